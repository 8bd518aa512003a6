#pragma once
// What a training loop asks of its data: batches, one after the other, and a position that a checkpoint can hold.

#include <cstdint>

#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// The length of a stream without end, and of one whose length only reading it shows.
inline constexpr std::int64_t kInfinite = -1;
inline constexpr std::int64_t kUnknown = -2;

/// Where a stream stands: `offset` elements of pass number `epoch` have been delivered.
struct DatasetState {
  std::int64_t epoch = 0;
  std::int64_t offset = 0;
  /// Where so many ranks read the pass, a stream each: `offset` is that of each of them. 0: one stream.
  std::int64_t ranks = 0;
  /// What was left then has been dealt out to another number of ranks, which have taken so many elements of it, all together.
  std::int64_t rest = 0;
  friend bool operator==(const DatasetState&, const DatasetState&) = default;
};

/// A source of batches, each a few tensors (inputs, targets, weights). It is read in passes, the epochs.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// The next batch of this pass; false at its end, after which the next call begins the following pass.
  virtual bool next(Tensors& batch) = 0;
  /// Where the source stands; between two passes at offset 0 of the later one.
  virtual DatasetState state() const = 0;
  /// Goes to a position that state() gave, here or in an earlier process: the batches that follow are the same ones.
  virtual void restore(const DatasetState& state) = 0;
  /// Batches in one pass, kInfinite or kUnknown.
  virtual std::int64_t cardinality() const = 0;
  /// For sources that deliver a rank's part of each batch: the rows of the last one, all ranks' together. kUnknown: batches are whole, and
  /// each rank takes its part of them.
  virtual std::int64_t global_rows() const { return kUnknown; }
  /// For sources of which every rank has another: this one's pass has ended, and the ranks have taken a step that others still had a batch for; or
  /// (`over`) no rank had one any more.
  virtual void idle(bool over) { static_cast<void>(over); }
};

}  // namespace lockstep::nn

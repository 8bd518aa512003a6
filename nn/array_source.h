#pragma once
// ArraySource: arrays in memory as a source of batches.

#include <cstdint>
#include <optional>

#include <lockstep/nn/batch_source.h>

namespace lockstep::nn {

struct ArraySourceOptions {
  std::int64_t batch_size = 32;
  /// Another order of the rows in each pass, a function of the seed and the pass's number.
  bool shuffle = false;
  std::int64_t seed = 0;
  /// Of each batch only part `part` of `parts`: what one rank needs.
  int part = 0, parts = 1;
};

/// Rows of arrays of one length, in order (then batches share the arrays' memory) or shuffled; the last batch may be shorter.
class ArraySource : public BatchSource {
 public:
  /// Throws InvalidArgumentError for no arrays, arrays of unequal length or of no rows, a batch size below 1.
  explicit ArraySource(Tensors arrays, ArraySourceOptions options = {});

  bool next(Tensors& batch) override;
  DatasetState state() const override { return state_; }
  void restore(const DatasetState& state) override;
  /// In batches.
  std::int64_t cardinality() const override { return (rows_ + options_.batch_size - 1) / options_.batch_size; }
  std::int64_t global_rows() const override { return options_.parts > 1 ? batch_rows_ : kUnknown; }

 private:
  Tensors arrays_;
  ArraySourceOptions options_;
  std::int64_t rows_ = 0;
  std::int64_t batch_rows_ = 0;  // of the last batch, all parts together
  DatasetState state_;
  Tensor order_;  // of the present pass, if shuffled
};

}  // namespace lockstep::nn

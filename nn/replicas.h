#pragma once
// Replicas: how the ranks of a job share the batches of a loop. Alone it does nothing. Model's own; programs use model.h.

#include <optional>
#include <span>

#include <lockstep/dist/replica.h>
#include <lockstep/nn/batch_source.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// This rank's rows of a batch, and what it knows of the others'; no replica: it is the whole batch.
struct BatchPart {
  Tensors tensors;
  std::optional<dist::Replica> replica;
};

class Replicas {
 public:
  /// Of the world.
  Replicas();
  bool several() const { return count_ > 1; }
  int index() const { return index_; }
  int count() const { return count_; }
  bool is_chief() const { return index_ == 0; }

  /// Cuts a batch that every rank has whole. Throws InvalidArgumentError if its tensors have no rows in common.
  BatchPart cut(const Tensors& whole) const;
  /// A batch that is this rank's part of `global_rows` rows already, cut as above.
  BatchPart part(Tensors rows, std::int64_t global_rows) const;
  /// The next batch of a source of which every rank has another: no batch when no rank has one left, one without rows when only others have.
  bool next_own(BatchSource& source, BatchPart& batch);

  /// What all ranks have in common after a step: the loss of the global batch, and whether any of them wants to stop, or was interrupted and must.
  struct Agreement {
    double loss;
    bool stop, interrupted;
  };
  Agreement agree(double loss, const std::optional<dist::Replica>& replica, bool stop, bool interrupted) const;
  /// The rows of all ranks' parts, one behind the other, from outputs for the rows of this rank's part.
  Tensors gather_rows(const Tensors& outputs, const std::optional<dist::Replica>& replica) const;
  /// Rank 0's.
  std::int64_t agreed_seed(std::int64_t seed) const;

 private:
  int index_, count_;
  Tensors last_;  // of next_own(): the shapes of an empty batch
};

}  // namespace lockstep::nn

#pragma once
// Replicas: how the ranks of a job share the batches of a loop. Alone it does nothing. Model's own; programs use model.h.

#include <optional>
#include <span>
#include <vector>

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
  /// Of the world. `shards`: a batch is cut in so many parts, of which each rank has as many. Throws InvalidArgumentError if they cannot be dealt out.
  explicit Replicas(std::optional<int> shards = {});
  /// Parts of a batch in this process.
  int members() const { return shards_.value_or(count_) / count_; }
  /// In all processes.
  int parts() const { return shards_.value_or(count_); }
  bool sharded() const { return shards_.has_value(); }
  bool several() const { return count_ > 1; }
  int index() const { return index_; }
  int count() const { return count_; }
  bool is_chief() const { return index_ == 0; }

  /// Cuts a batch that every rank has whole. Throws InvalidArgumentError if its tensors have no rows in common.
  BatchPart cut(const Tensors& whole) const;
  /// A batch that is this rank's part of `global_rows` rows already, cut as above.
  BatchPart part(Tensors rows, std::int64_t global_rows) const;
  /// This rank's part in the parts of its members.
  std::vector<BatchPart> members_of(const BatchPart& part) const;
  /// The next batch of a source of which every rank has another: no batch when no rank has one left, one without rows when only others have.
  bool next_own(BatchSource& source, BatchPart& batch);

  /// What the loss of a part adds to that of the global batch.
  static double contribution(double loss, const std::optional<dist::Replica>& replica);
  /// The loss of the global batch from that of a part, where the part is; all ranks call it. Alone, `loss` itself.
  Tensor loss_of_all(const Tensor& loss, const std::optional<dist::Replica>& replica) const;
  /// What all ranks have in common after a step: the loss of the global batch, and whether any of them wants to stop, or was interrupted and must.
  struct Agreement {
    double loss;
    bool stop, interrupted;
  };
  Agreement agree(double contribution, bool stop, bool interrupted) const;
  /// The rows of all ranks' parts, one behind the other, from outputs for the rows of this rank's part.
  Tensors gather_rows(const Tensors& outputs, const std::optional<dist::Replica>& replica) const;
  /// Rank 0's.
  std::int64_t agreed_seed(std::int64_t seed) const;

 private:
  int index_, count_;
  std::optional<int> shards_;
  Tensors last_;  // of next_own(): the shapes of an empty batch
  bool ended_ = false;  // of next_own(): the source's pass, while others' go on
};

}  // namespace lockstep::nn

#pragma once
// One dataset for all ranks: a rank's part of each global batch.

#include <memory>
#include <string>

#include <lockstep/io/dataset.h>

namespace lockstep::io {

struct DistributeOptions {
  std::int64_t batch_size = 32;  // of all ranks together
  bool drop_remainder = false;
  std::int64_t prefetch = 2;     // batches that are read ahead; 0: none
  int rank = -1;                 // -1: this process's
  int world = -1;
};

/// Batches of a dataset of single elements, cut among the ranks as fit cuts whole batches (tf.distribute's experimental_distribute_dataset): each rank reads
/// all elements, and computes, in the maps at the dataset's end, only its own. Where it stands counts global batches: a training goes on from there with
/// any number of ranks, and no element comes twice or never.
class DistributedSource final : public BatchSource {
 public:
  /// Throws InvalidArgumentError for sizes below 1 and a rank outside of its world.
  explicit DistributedSource(const Dataset& dataset, const DistributeOptions& options = {});
  bool next(Tensors& batch) override;
  DatasetState state() const override { return iterator_->state(); }
  void restore(const DatasetState& state) override;
  std::int64_t cardinality() const override { return iterator_->cardinality(); }
  std::int64_t global_rows() const override { return global_rows_; }

 private:
  std::unique_ptr<Iterator> iterator_;
  std::int64_t global_rows_ = kUnknown;
};

}  // namespace lockstep::io

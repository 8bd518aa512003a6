#pragma once
// A dataset for each rank, and a position that any number of ranks can go on from.

#include <functional>
#include <memory>
#include <vector>

#include <lockstep/io/dataset.h>

namespace lockstep::io {

/// What rank `rank` of `world` reads: batches. The same function everywhere; world's datasets together have each sample once.
using RankDataset = std::function<Dataset(std::int64_t rank, std::int64_t world)>;

struct ShardedOptions {
  int rank = -1;  // -1: this process's
  int world = -1;
};

/// The source of a fit whose ranks read different files or rows (FitOptions::own_data):
///   ShardedSource([&](auto rank, auto world) { return tfrecord_files(paths).shard(rank, world).shuffle(1000, {.seed = 1}).map(decode).batch(32); })
/// If a training goes on in the middle of a pass with another number of ranks, what each of the former ranks had left is dealt out, batch by batch,
/// to those that there are now, until the pass ends: no sample comes twice or never. Each then opens the former ranks' datasets and skips in them.
class ShardedSource final : public BatchSource {
 public:
  /// Throws InvalidArgumentError for a rank outside of its world.
  explicit ShardedSource(RankDataset dataset, const ShardedOptions& options = {});
  ~ShardedSource() override;
  bool next(Tensors& batch) override;
  DatasetState state() const override { return state_; }
  void restore(const DatasetState& state) override;
  /// Steps in a pass, as far as the rank's own dataset tells: others may have one more.
  std::int64_t cardinality() const override;
  void idle(bool over) override;

 private:
  class Rest;
  bool begin();

  RankDataset dataset_;
  std::int64_t rank_, world_;
  DatasetState state_;
  std::optional<DatasetState> over_;  // where the pass stands that has ended here, while others may go on with it
  std::optional<Dataset> own_;
  std::unique_ptr<Stream<Tensors>> stream_;  // of the own dataset's pass
  std::unique_ptr<Rest> rest_;               // of a pass that another number of ranks began
};

}  // namespace lockstep::io

#include <lockstep/io/sharded_source.h>

#include <utility>

#include <lockstep/dist/world.h>
#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {

/// What the former ranks had left of a pass: their streams in turns, an element of each, and of that sequence every world-th element.
class ShardedSource::Rest {
 public:
  Rest(const RankDataset& dataset, const DatasetState& at, std::int64_t rank, std::int64_t world) : world_(world) {
    for (std::int64_t former = 0; former < at.ranks; ++former) {
      nodes_.push_back(dataset(former, at.ranks).node());
      streams_.push_back(nodes_.back()->open(at.epoch));
      if (streams_.back()->skip(at.offset) < at.offset) streams_.back().reset();  // it had ended before the others
    }
    pass_over(at.rest + rank);
  }
  bool next(Tensors& batch) {
    const bool found = step([&](Stream<Tensors>& stream) { return stream.next(batch); });
    if (found) pass_over(world_ - 1);
    return found;
  }

 private:
  bool step(const auto& take) {
    for (std::size_t ended = 0; ended < streams_.size();) {
      StreamPtr<Tensors>& stream = streams_[at_];
      at_ = (at_ + 1) % streams_.size();
      if (stream && take(*stream)) return true;
      stream.reset();
      ++ended;
    }
    return false;
  }
  void pass_over(std::int64_t count) {
    while (count > 0 && step([](Stream<Tensors>& stream) { return stream.skip(1) == 1; })) --count;
  }
  std::int64_t world_;
  std::vector<NodePtr> nodes_;
  std::vector<StreamPtr<Tensors>> streams_;
  std::size_t at_ = 0;
};

ShardedSource::ShardedSource(RankDataset dataset, const ShardedOptions& options)
    : dataset_(std::move(dataset)), rank_(options.rank < 0 ? dist::rank() : options.rank), world_(options.world < 0 ? dist::world_size() : options.world) {
  if (rank_ >= world_) throw InvalidArgumentError("rank " + std::to_string(rank_) + " is not one of a world of " + std::to_string(world_), "ShardedSource");
  own_ = dataset_(rank_, world_);
  state_.ranks = world_;
}
ShardedSource::~ShardedSource() = default;

/// Opens the pass where the state stands; false if it has ended there.
bool ShardedSource::begin() {
  if (stream_ || rest_) return true;
  if (state_.ranks != world_ || state_.rest > 0) {
    rest_ = std::make_unique<Rest>(dataset_, state_, rank_, world_);
    return true;
  }
  stream_ = own_->node()->open(state_.epoch);
  return stream_->skip(state_.offset) == state_.offset;  // others may have more batches in this pass than this one has
}

bool ShardedSource::next(Tensors& batch) {
  const DeviceScope host{Device()};  // as in Iterator::next()
  over_.reset();
  bool found = false;
  try {
    found = begin() && (rest_ ? rest_->next(batch) : stream_->next(batch));
  } catch (...) {
    // The position stays, and what is read from it is opened again there.
    stream_.reset();
    rest_.reset();
    throw;
  }
  DatasetState after = state_;
  (rest_ ? after.rest : after.offset) += rest_ ? world_ : 1;
  if (found) {
    state_ = after;
    return true;
  }
  over_ = state_;
  stream_.reset();
  rest_.reset();
  state_ = {.epoch = state_.epoch + 1, .ranks = world_};
  return false;
}

void ShardedSource::idle(bool over) {
  if (!over_) return;
  // The pass goes on elsewhere: it is there that this source stands, at its end.
  const bool dealt = over_->ranks != world_ || over_->rest > 0;
  (dealt ? over_->rest : over_->offset) += dealt ? world_ : 1;
  state_ = *over_;
  if (over) state_ = {.epoch = over_->epoch + 1, .ranks = world_}, over_.reset();
}

void ShardedSource::restore(const DatasetState& state) {
  if (state.epoch < 0 || state.offset < 0 || state.rest < 0 || state.ranks < 0) throw InvalidArgumentError("no dataset stands there", "ShardedSource");
  if (state.ranks == 0 && state.offset > 0)
    throw FailedPreconditionError("the position is one of a single stream for all ranks", "ShardedSource", "go on with the source that the training began with");
  stream_.reset();
  rest_.reset();
  over_.reset();
  state_ = state;
  // Between two passes the number of ranks may change.
  if (state.offset == 0 && state.rest == 0) state_.ranks = world_;
}

std::int64_t ShardedSource::cardinality() const { return own_->cardinality(); }

}  // namespace lockstep::io

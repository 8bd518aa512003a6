#include <lockstep/io/dataset.h>

#include <bit>

#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/philox.h>
#include <lockstep/tensor/random.h>

namespace lockstep::io {
namespace {

void require_at_least(std::int64_t least, std::int64_t value, const char* what, const char* step) {
  if (value < least) throw InvalidArgumentError(std::string(what) + " must be at least " + std::to_string(least) + ", got " + std::to_string(value), step);
}

/// kInfinite or a count that is not negative.
void require_count(std::int64_t count, const char* step) {
  if (count < kInfinite) throw InvalidArgumentError("count must not be negative (or kInfinite, -1), got " + std::to_string(count), step);
}

/// A seed from the global generator, which random::set_seed() restarts.
std::int64_t drawn_seed() {
  const Tensor key = random::global_generator().next_key();
  const auto words = key.data<std::int64_t>();
  const auto bits = random::philox(0, std::uint64_t(words[1]), std::uint64_t(words[0]));
  return std::bit_cast<std::int64_t>((std::uint64_t(bits[1]) << 32) | bits[0]);
}

}  // namespace

void detail::refuse_arity(const char* step, std::size_t wanted, std::size_t given) {
  throw InvalidArgumentError("the function takes " + std::to_string(wanted) + (wanted == 1 ? " tensor" : " tensors") + ", an element has " + std::to_string(given), step,
                             "a function of a Tensors takes elements of any number");
}

Dataset Dataset::from_tensors(const Tensors& tensors) { return Dataset(make_tensors(tensors)); }
Dataset Dataset::from_tensor_slices(const Tensors& tensors) { return Dataset(make_slices(tensors)); }

Dataset Dataset::zip(const std::vector<Dataset>& datasets) {
  if (datasets.empty()) throw InvalidArgumentError("there is no dataset to zip", "Dataset.zip");
  std::vector<NodePtr> nodes;
  for (const Dataset& dataset : datasets) nodes.push_back(dataset.node_);
  return Dataset(make_zip(std::move(nodes)));
}

Dataset Dataset::mapped(ElementFunction f, const MapOptions& options) const {
  require_at_least(0, options.threads, "threads", "Dataset.map");
  if (options.threads == 0) return Dataset(make_map(node_, std::move(f)));
  // Twice as many places as threads, so that a slow element does not stop the others.
  return Dataset(make_background(node_, std::move(f), options.threads, 2 * std::int64_t(options.threads)));
}

Dataset Dataset::filtered(ElementPredicate predicate) const { return Dataset(make_filter(node_, std::move(predicate))); }

Dataset Dataset::shuffle(std::int64_t buffer, const ShuffleOptions& options) const {
  require_at_least(1, buffer, "buffer", "Dataset.shuffle");
  return Dataset(make_shuffle(node_, buffer, options.seed ? *options.seed : drawn_seed(), options.reshuffle_each_iteration));
}

Dataset Dataset::batch(std::int64_t size, bool drop_remainder) const {
  require_at_least(1, size, "size", "Dataset.batch");
  return Dataset(make_batch(node_, size, drop_remainder));
}

Dataset Dataset::unbatch() const { return Dataset(make_unbatch(node_)); }

Dataset Dataset::repeat(std::int64_t count) const {
  require_count(count, "Dataset.repeat");
  return Dataset(make_repeat(node_, count));
}

Dataset Dataset::take(std::int64_t count) const {
  require_count(count, "Dataset.take");
  return count == kInfinite ? *this : Dataset(make_take(node_, count));
}

Dataset Dataset::skip(std::int64_t count) const {
  require_at_least(0, count, "count", "Dataset.skip");
  return Dataset(make_skip(node_, count));
}

Dataset Dataset::shard(std::int64_t rank, std::int64_t world) const {
  require_at_least(1, world, "world", "Dataset.shard");
  if (rank < 0 || rank >= world) throw InvalidArgumentError("rank " + std::to_string(rank) + " is not one of a world of " + std::to_string(world), "Dataset.shard");
  return Dataset(make_shard(node_, rank, world));
}

Dataset Dataset::concatenate(const Dataset& other) const { return Dataset(make_concatenate(node_, other.node_)); }
Dataset Dataset::enumerate(std::int64_t start) const { return Dataset(make_enumerate(node_, start)); }

Dataset Dataset::prefetch(std::int64_t count) const {
  require_at_least(1, count, "count", "Dataset.prefetch");
  return Dataset(make_background(node_, nullptr, 1, count));
}

std::int64_t Dataset::cardinality() const { return node_->cardinality(); }
Dataset::RangeIterator Dataset::begin() const { return RangeIterator(iterate({.epoch = node_->next_pass()})); }

Iterator::Iterator(std::shared_ptr<const Node> node, DatasetState at) : node_(std::move(node)) { restore(at); }
Iterator::Iterator(Iterator&&) noexcept = default;
Iterator& Iterator::operator=(Iterator&& other) noexcept {
  stream_ = std::move(other.stream_);  // before the node, whose tensors a stream refers to
  node_ = std::move(other.node_);
  state_ = other.state_;
  return *this;
}
Iterator::~Iterator() = default;

bool Iterator::next(Tensors& element) {
  const DeviceScope host{Device()};  // data sets are the host's work, whatever trains on them
  try {
    if (!stream_) {
      stream_ = node_->open(state_.epoch);
      const std::int64_t skipped = state_.offset ? stream_->skip(state_.offset) : 0;
      if (skipped < state_.offset)
        throw FailedPreconditionError("cannot go on at element " + std::to_string(state_.offset) + " of pass " + std::to_string(state_.epoch) + ": the dataset has only " + std::to_string(skipped), "Dataset",
                                      "it is not the one whose position was saved");
    }
    if (stream_->next(element)) {
      ++state_.offset;
      return true;
    }
  } catch (...) {
    stream_.reset();
    throw;
  }
  stream_.reset();
  state_ = {state_.epoch + 1, 0};
  return false;
}

void Iterator::restore(const DatasetState& state) {
  if (state.epoch < 0 || state.offset < 0)
    throw InvalidArgumentError("no dataset stands at pass " + std::to_string(state.epoch) + ", element " + std::to_string(state.offset), "Dataset");
  stream_.reset();
  state_ = state;
}

std::int64_t Iterator::cardinality() const { return node_->cardinality(); }

}  // namespace lockstep::io

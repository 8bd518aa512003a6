#include <lockstep/io/dataset.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <mutex>
#include <thread>

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

Nest detail::as_nest(const Tensors& element, const StructurePtr& structure) {
  std::optional<Structure> known = structure ? structure->get() : std::nullopt;
  return Nest::pack(element, known ? std::move(*known) : Structure::flat(element.size()));
}

std::int64_t detail::as_number(const Tensor& number) {
  if (number.dtype() == int32) return number.item<std::int32_t>();
  return number.item<std::int64_t>();
}

// ---- what is known of elements and buffers

namespace {

detail::StructurePtr known(Structure structure) { return std::make_shared<detail::StructureCell>(std::move(structure)); }

/// The first element's number of tensors; none without an element.
std::optional<std::size_t> width_of_first(const Node& node) {
  const DeviceScope host{Device()};
  Tensors element;
  return node.open(0)->next(element) ? std::optional(element.size()) : std::nullopt;
}

/// A cell that is filled when the first element is made, at the latest when somebody asks.
detail::StructurePtr found_in_first(const NodePtr& node, const detail::StructurePtr& cell) {
  cell->look_with([weak = std::weak_ptr<const Node>(node)]() -> std::optional<Structure> {
    if (const NodePtr here = weak.lock()) width_of_first(*here);
    return std::nullopt;
  });
  return cell;
}

/// Parts side by side: a tuple, as soon as one of them has names.
detail::StructurePtr side_by_side(std::vector<std::pair<NodePtr, detail::StructurePtr>> parts) {
  if (std::none_of(parts.begin(), parts.end(), [](const auto& part) { return bool(part.second); })) return nullptr;
  return std::make_shared<detail::StructureCell>([parts = std::move(parts)]() -> std::optional<Structure> {
    Structure all{.kind = Structure::Kind::tuple};
    for (const auto& [node, cell] : parts) {
      std::optional<Structure> part = cell ? cell->get() : std::nullopt;
      if (!part) {
        const std::optional<std::size_t> width = node ? width_of_first(*node) : std::optional<std::size_t>(1);
        if (!width) return std::nullopt;
        part = Structure::flat(*width);
      }
      all.parts.push_back(std::move(*part));
    }
    return all;
  });
}

/// kAutotune: one for each core.
int thread_count(int asked, const char* step) {
  if (asked == kAutotune) return std::max(1, int(std::thread::hardware_concurrency()));
  require_at_least(0, asked, "threads", step);
  return asked;
}

}  // namespace

void detail::BufferGauge::add(std::int64_t elements, std::int64_t bytes) {
  elements_.fetch_add(elements, std::memory_order_relaxed);
  const std::int64_t now = bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  for (std::int64_t peak = peak_.load(std::memory_order_relaxed); now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed);) {}
}
BufferUse detail::BufferGauge::use() const { return {step_, elements_.load(), bytes_.load(), peak_.load(), most_elements_, most_bytes_}; }

std::string SkipCount::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}
void SkipCount::add(const std::string& message) {
  const std::lock_guard lock(mutex_);
  last_ = message;
  count_.fetch_add(1, std::memory_order_relaxed);
}

Dataset Dataset::behind(NodePtr node, detail::StructurePtr structure, detail::GaugePtr gauge) const {
  Dataset result(std::move(node), std::move(structure));
  result.gauges_ = gauges_;
  if (gauge) result.gauges_.push_back(std::move(gauge));
  return result;
}

void Dataset::add_buffers_of(const Dataset& other) { gauges_.insert(gauges_.end(), other.gauges_.begin(), other.gauges_.end()); }

std::vector<BufferUse> Dataset::buffers() const {
  std::vector<BufferUse> uses;
  for (const detail::GaugePtr& gauge : gauges_) uses.push_back(gauge->use());
  return uses;
}

// ---- sources

Dataset Dataset::from_tensors(const Tensors& tensors) { return Dataset(make_tensors(tensors)); }
Dataset Dataset::from_tensors(const Nest& nest) { return Dataset(make_tensors(nest.flat()), known(nest.structure())); }
Dataset Dataset::from_tensor_slices(const Tensors& tensors) { return Dataset(make_slices(tensors)); }
Dataset Dataset::from_tensor_slices(const Nest& nest) { return Dataset(make_slices(nest.flat()), known(nest.structure())); }

Dataset Dataset::range(std::int64_t start, std::int64_t stop, std::int64_t step) {
  if (step == 0) throw InvalidArgumentError("step must not be 0", "Dataset.range");
  return Dataset(make_range(start, stop, step));
}

Dataset Dataset::from_generator(std::function<ElementSource(std::int64_t)> open) {
  if (!open) throw InvalidArgumentError("there is no function", "Dataset.from_generator");
  return Dataset(make_generator(std::move(open)));
}

Dataset Dataset::zip(const std::vector<Dataset>& datasets) {
  if (datasets.empty()) throw InvalidArgumentError("there is no dataset to zip", "Dataset.zip");
  std::vector<NodePtr> nodes;
  std::vector<std::pair<NodePtr, detail::StructurePtr>> parts;
  for (const Dataset& dataset : datasets) {
    nodes.push_back(dataset.node_);
    parts.emplace_back(dataset.node_, dataset.structure_);
  }
  Dataset zipped(make_zip(std::move(nodes)), side_by_side(std::move(parts)));
  for (const Dataset& dataset : datasets) zipped.add_buffers_of(dataset);
  return zipped;
}

Dataset Dataset::choose_from_datasets(const std::vector<Dataset>& datasets, const Dataset& choice, bool stop_on_empty_dataset) {
  if (datasets.empty()) throw InvalidArgumentError("there is no dataset to choose from", "Dataset.choose_from_datasets");
  std::vector<NodePtr> nodes;
  for (const Dataset& dataset : datasets) nodes.push_back(dataset.node_);
  Dataset chosen(make_choose(std::move(nodes), choice.node_, stop_on_empty_dataset), datasets[0].structure_);
  for (const Dataset& dataset : datasets) chosen.add_buffers_of(dataset);
  chosen.add_buffers_of(choice);
  return chosen;
}

Dataset Dataset::sample_from_datasets(const std::vector<Dataset>& datasets, const SampleOptions& options) {
  std::vector<double> weights = options.weights.empty() ? std::vector<double>(datasets.size(), 1.0) : options.weights;
  if (weights.size() != datasets.size())
    throw InvalidArgumentError(std::to_string(weights.size()) + " weights do not go with " + std::to_string(datasets.size()) + " datasets", "Dataset.sample_from_datasets");
  return choose_from_datasets(datasets, Dataset(make_draws(std::move(weights), options.seed ? *options.seed : drawn_seed())), options.stop_on_empty_dataset);
}

// ---- element by element

Dataset Dataset::mapped(ElementFunction f, const MapOptions& options, detail::StructurePtr result) const {
  const int threads = thread_count(options.threads, "Dataset.map");
  NodePtr node;
  detail::GaugePtr gauge;
  if (threads == 0) {
    node = make_map(node_, std::move(f));
  } else {
    // Twice as many places as threads, so that a slow element does not stop the others.
    gauge = std::make_shared<detail::BufferGauge>("map", 2 * std::int64_t(threads), 0);
    node = make_background(node_, std::move(f), {.threads = threads, .capacity = 2 * std::int64_t(threads), .gauge = gauge});
  }
  if (result) found_in_first(node, result);
  return behind(std::move(node), std::move(result), std::move(gauge));
}

Dataset Dataset::filtered(ElementPredicate predicate) const { return behind(make_filter(node_, std::move(predicate)), structure_); }
Dataset Dataset::taken_while(ElementPredicate predicate) const { return behind(make_take_while(node_, std::move(predicate)), structure_); }

Dataset Dataset::scanned(const Tensors& state, StateFunction f) const {
  require_elements(state, "Dataset.scan");
  return behind(make_scan(node_, state, std::move(f)), nullptr);
}

namespace {
/// `f`, which tells `cell` how the elements of its datasets are named.
ElementDataset naming(ElementDataset f, detail::StructurePtr cell) {
  return [f = std::move(f), cell = std::move(cell)](const Tensors& element) {
    Dataset dataset = f(element);
    if (const std::optional<Structure> structure = dataset.structure()) cell->set(*structure);
    return dataset;
  };
}
}  // namespace

Dataset Dataset::flattened(ElementDataset f) const {
  const auto cell = std::make_shared<detail::StructureCell>();
  const NodePtr node = make_flat_map(node_, naming(std::move(f), cell));
  return behind(node, found_in_first(node, cell));
}

Dataset Dataset::interleaved(ElementDataset f, const InterleaveOptions& options) const {
  require_at_least(1, options.cycle_length, "cycle_length", "Dataset.interleave");
  require_at_least(1, options.block_length, "block_length", "Dataset.interleave");
  InterleaveOptions checked = options;
  checked.threads = thread_count(options.threads, "Dataset.interleave");
  const auto cell = std::make_shared<detail::StructureCell>();
  const NodePtr node = make_interleave(node_, naming(std::move(f), cell), checked);
  return behind(node, found_in_first(node, cell));
}

Dataset Dataset::ignore_errors(std::shared_ptr<SkipCount> count) const { return behind(make_ignore_errors(node_, std::move(count)), structure_); }
Dataset Dataset::unique() const { return behind(make_unique(node_), structure_); }
Dataset Dataset::enumerate(std::int64_t start) const { return behind(make_enumerate(node_, start), structure_ ? side_by_side({{nullptr, nullptr}, {node_, structure_}}) : nullptr); }

Dataset Dataset::resampled(ElementNumber class_of, const std::vector<double>& target, const ResampleOptions& options) const {
  if (!options.initial.empty() && options.initial.size() != target.size())
    throw InvalidArgumentError("initial has " + std::to_string(options.initial.size()) + " classes, target " + std::to_string(target.size()), "Dataset.rejection_resample");
  return behind(make_resample(node_, std::move(class_of), target, options.initial, options.seed ? *options.seed : drawn_seed()), structure_);
}

// ---- batches and windows

Dataset Dataset::batch(std::int64_t size, bool drop_remainder) const {
  require_at_least(1, size, "size", "Dataset.batch");
  return behind(make_batch(node_, {size, drop_remainder}), structure_);
}

Dataset Dataset::padded_batch(std::int64_t size, const PaddedBatchOptions& options) const {
  require_at_least(1, size, "size", "Dataset.padded_batch");
  return behind(make_padded_batch(node_, size, options), structure_);
}

Dataset Dataset::ragged_batch(std::int64_t size, bool drop_remainder) const {
  require_at_least(1, size, "size", "Dataset.ragged_batch");
  const auto cell = std::make_shared<detail::StructureCell>();
  const NodePtr node = make_ragged_batch(node_, structure_, cell, {size, drop_remainder});
  return behind(node, found_in_first(node, cell));
}

Dataset Dataset::unbatch() const { return behind(make_unbatch(node_), structure_); }

Windows Dataset::window(std::int64_t size, const WindowOptions& options) const {
  require_at_least(1, size, "size", "Dataset.window");
  require_at_least(0, options.shift, "shift", "Dataset.window");
  require_at_least(1, options.stride, "stride", "Dataset.window");
  if ((size - 1) > (std::numeric_limits<std::int64_t>::max() - 1) / options.stride)
    throw InvalidArgumentError("no window spans " + std::to_string(size) + " elements at a stride of " + std::to_string(options.stride), "Dataset.window");
  return Windows(*this, size, options);
}

Dataset Windows::flat_map(std::function<Dataset(const Dataset&)> f) const {
  const NodePtr node = make_windows(upstream_.node_, upstream_.structure_, size_, options_, [f = std::move(f)](std::int64_t, const Dataset& window) { return f(window); });
  return upstream_.behind(node, upstream_.structure_);
}

Dataset Windows::mapped(std::function<Tensors(const Dataset&)> f) const { return upstream_.behind(make_window_map(upstream_.node_, upstream_.structure_, size_, options_, std::move(f)), nullptr); }

Dataset Dataset::grouped(ElementNumber key, WindowDataset reduce, std::function<std::int64_t(std::int64_t)> size) const {
  return behind(make_groups(node_, structure_, std::move(key), std::move(reduce), std::move(size)), structure_);
}

Dataset Dataset::bucketed(ElementNumber length, const BucketOptions& options) const {
  const std::size_t buckets = options.boundaries.size() + 1;
  if (options.batch_sizes.size() != buckets)
    throw InvalidArgumentError(std::to_string(options.boundaries.size()) + " boundaries make " + std::to_string(buckets) + " buckets, there are " + std::to_string(options.batch_sizes.size()) + " batch sizes", "Dataset.bucket_by_sequence_length");
  for (const std::int64_t size : options.batch_sizes) require_at_least(1, size, "each batch size", "Dataset.bucket_by_sequence_length");
  if (!std::is_sorted(options.boundaries.begin(), options.boundaries.end())) throw InvalidArgumentError("boundaries must ascend", "Dataset.bucket_by_sequence_length");
  ElementNumber bucket_of = [length = std::move(length), boundaries = options.boundaries](const Tensors& element) {
    return std::int64_t(std::upper_bound(boundaries.begin(), boundaries.end(), length(element)) - boundaries.begin());
  };
  WindowDataset padded = [options](std::int64_t bucket, const Dataset& window) {
    PaddedBatchOptions batch{.padded_shapes = options.padded_shapes, .padding_values = options.padding_values, .drop_remainder = options.drop_remainder};
    if (options.pad_to_bucket_boundary) {
      if (std::size_t(bucket) == options.boundaries.size()) throw InvalidArgumentError("with pad_to_bucket_boundary no element may be as long as the last boundary", "Dataset.bucket_by_sequence_length");
      for (auto& shape : batch.padded_shapes)
        for (std::int64_t& size : shape) size = size == -1 ? options.boundaries[std::size_t(bucket)] - 1 : size;
    }
    return window.padded_batch(options.batch_sizes[std::size_t(bucket)], batch);
  };
  if (options.pad_to_bucket_boundary && options.padded_shapes.empty())
    throw InvalidArgumentError("pad_to_bucket_boundary needs padded_shapes, in which -1 becomes the boundary less one", "Dataset.bucket_by_sequence_length");
  return grouped(std::move(bucket_of), std::move(padded), [sizes = options.batch_sizes](std::int64_t bucket) { return sizes[std::size_t(bucket)]; });
}

// ---- order and selection

Dataset Dataset::shuffle(std::int64_t buffer, const ShuffleOptions& options) const {
  require_at_least(1, buffer, "buffer", "Dataset.shuffle");
  require_at_least(0, options.most_bytes, "most_bytes", "Dataset.shuffle");
  const auto gauge = std::make_shared<detail::BufferGauge>("shuffle", buffer, options.most_bytes);
  return behind(make_shuffle(node_, buffer, options.seed ? *options.seed : drawn_seed(), options.reshuffle_each_iteration, options.most_bytes, gauge), structure_, gauge);
}

Dataset Dataset::repeat(std::int64_t count) const {
  require_count(count, "Dataset.repeat");
  return behind(make_repeat(node_, count), structure_);
}

Dataset Dataset::take(std::int64_t count) const {
  require_count(count, "Dataset.take");
  return count == kInfinite ? *this : behind(make_take(node_, count), structure_);
}

Dataset Dataset::skip(std::int64_t count) const {
  require_at_least(0, count, "count", "Dataset.skip");
  return behind(make_skip(node_, count), structure_);
}

Dataset Dataset::shard(std::int64_t rank, std::int64_t world) const {
  require_at_least(1, world, "world", "Dataset.shard");
  if (rank < 0 || rank >= world) throw InvalidArgumentError("rank " + std::to_string(rank) + " is not one of a world of " + std::to_string(world), "Dataset.shard");
  return behind(make_shard(node_, rank, world), structure_);
}

Dataset Dataset::concatenate(const Dataset& other) const {
  Dataset joined = behind(make_concatenate(node_, other.node_), structure_);
  joined.add_buffers_of(other);
  return joined;
}

// ---- buffers

Dataset Dataset::prefetch(std::int64_t count, const PrefetchOptions& options) const {
  constexpr std::int64_t kDeepest = 64;
  const bool automatic = count == kAutotune;
  if (!automatic) require_at_least(1, count, "count", "Dataset.prefetch");
  require_at_least(0, options.most_bytes, "most_bytes", "Dataset.prefetch");
  const auto gauge = std::make_shared<detail::BufferGauge>("prefetch", automatic ? kDeepest : count, options.most_bytes);
  return behind(make_background(node_, nullptr, {.capacity = automatic ? kDeepest : count, .automatic = automatic, .most_bytes = options.most_bytes, .gauge = gauge}), structure_, gauge);
}

Dataset Dataset::cache() const {
  const auto gauge = std::make_shared<detail::BufferGauge>("cache", 0, 0);
  return behind(make_memory_cache(node_, gauge), structure_, gauge);
}
Dataset Dataset::cache(const std::string& path) const { return behind(make_file_cache(node_, path, false), structure_); }
Dataset Dataset::snapshot(const std::string& path, const SnapshotOptions& options) const { return behind(make_file_cache(node_, path, options.compressed), structure_); }

// ---- reading

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

#pragma once
// Inside datasets. A Node describes a step and opens one pass over it as a Stream. A node whose elements are rows of one table also
// opens the pass as a stream of row numbers: steps that only select and reorder work on those, and batch() gathers the rows.

#include <atomic>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <lockstep/io/dataset.h>

namespace lockstep::io {

using RowNumber = std::int64_t;

/// One pass over a node. After the end, next() goes on returning false.
template <class Element>
class Stream {
 public:
  virtual ~Stream() = default;
  virtual bool next(Element& element) = 0;
  /// Passes over up to `count` elements; returns how many there were.
  virtual std::int64_t skip(std::int64_t count) {
    Element element{};
    std::int64_t skipped = 0;
    while (skipped < count && next(element)) ++skipped;
    return skipped;
  }
};
template <class Element>
using StreamPtr = std::unique_ptr<Stream<Element>>;

class Node;
using NodePtr = std::shared_ptr<const Node>;

class Node {
 public:
  virtual ~Node() = default;
  virtual std::int64_t cardinality() const = 0;
  virtual StreamPtr<Tensors> open(std::int64_t epoch) const = 0;
  /// The tensors whose rows the elements are, or null.
  virtual const Tensors* table() const { return nullptr; }
  /// The pass as row numbers of the table. Only called if there is one.
  virtual StreamPtr<RowNumber> open_rows(std::int64_t) const { return nullptr; }
  /// The same over every world-th file from the rank-th on, where the elements come from at least `world` files and each from one of them; else null.
  virtual NodePtr of_files(std::int64_t, std::int64_t) const { return nullptr; }
  /// A step that computes each element from one of `upstream`'s, in these threads. Without `f`: it only reads ahead.
  struct Computed {
    NodePtr upstream;
    ElementFunction f;
    int threads = 0;
  };
  virtual std::optional<Computed> computed() const { return std::nullopt; }
  /// The pass that the next range-for makes.
  std::int64_t next_pass() const { return passes_.fetch_add(1, std::memory_order_relaxed); }

 private:
  mutable std::atomic<std::int64_t> passes_{0};
};

/// A stream and the node it reads, which nobody else may hold. (The node goes last.)
struct Opened {
  NodePtr node;
  StreamPtr<Tensors> stream;
};

inline Opened opened(NodePtr node, std::int64_t epoch) {
  StreamPtr<Tensors> stream = node->open(epoch);
  return {std::move(node), std::move(stream)};
}

/// Streams one after the other: `open()` gives an Opened, without a stream at the end. What it throws costs no more than that stream.
template <class Open>
class Successive final : public Stream<Tensors> {
 public:
  explicit Successive(Open open) : open_(std::move(open)) {}
  bool next(Tensors& element) override {
    while (more()) {
      if (at_.stream->next(element)) return true;
      at_.stream.reset();
    }
    return false;
  }
  std::int64_t skip(std::int64_t count) override {
    std::int64_t skipped = 0;
    while (skipped < count && more()) {
      skipped += at_.stream->skip(count - skipped);
      if (skipped < count) at_.stream.reset();
    }
    return skipped;
  }

 private:
  bool more() {
    if (!at_.stream) at_ = open_();
    return bool(at_.stream);
  }
  Open open_;
  Opened at_;
};
template <class Open>
StreamPtr<Tensors> one_after_the_other(Open open) {
  return std::make_unique<Successive<Open>>(std::move(open));
}

/// How elements are cut into batches.
struct Batching {
  std::int64_t size;
  bool drop_remainder;
  /// Batches of so many elements, of kInfinite or kUnknown.
  std::int64_t count(std::int64_t elements) const { return elements < 0 ? elements : elements / size + (!drop_remainder && elements % size ? 1 : 0); }
  /// The elements of the next batch, in place of what `batch` holds; false: there is none.
  template <class Element>
  bool next(Stream<Element>& upstream, std::vector<Element>& batch) const {
    batch.clear();
    Element element{};
    while (std::ssize(batch) < size && upstream.next(element)) batch.push_back(std::move(element));
    return !batch.empty() && (!drop_remainder || std::ssize(batch) == size);
  }
  /// Passes over up to `batches` whole ones; returns how many there were.
  template <class Element>
  std::int64_t skip(Stream<Element>& upstream, std::int64_t batches) const {
    std::int64_t skipped = 0;
    for (; skipped < batches; ++skipped) {
      const std::int64_t elements = upstream.skip(size);
      if (elements == 0 || (drop_remainder && elements < size)) break;
    }
    return skipped;
  }
};

/// Elements of a vector, in memory.
NodePtr make_list(std::vector<Tensors> elements);
/// All bytes of an element's tensors; of strings what they hold.
std::int64_t nbytes_of(const Tensors& element);
inline std::int64_t nbytes_of(RowNumber) { return std::int64_t(sizeof(RowNumber)); }
/// What a stream holds; `gauge` is told of it while this lives.
class Held {
 public:
  explicit Held(detail::GaugePtr gauge) : gauge_(std::move(gauge)) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { add(-elements_, -bytes_); }
  void add(std::int64_t elements, std::int64_t bytes) {
    count(elements, bytes);
    tell();
  }
  /// The same, of which the gauge hears with the next tell(): an element that goes and one that comes cost it nothing.
  void count(std::int64_t elements, std::int64_t bytes) { elements_ += elements, bytes_ += bytes; }
  void tell() {
    if (elements_ == told_elements_ && bytes_ == told_bytes_) return;
    if (gauge_) gauge_->add(elements_ - told_elements_, bytes_ - told_bytes_);
    told_elements_ = elements_, told_bytes_ = bytes_;
  }
  std::int64_t bytes() const { return bytes_; }

 private:
  detail::GaugePtr gauge_;
  std::int64_t elements_ = 0, bytes_ = 0, told_elements_ = 0, told_bytes_ = 0;
};

template <class Element>
StreamPtr<Element> open_as(const Node& node, std::int64_t epoch) {
  if constexpr (std::is_same_v<Element, Tensors>)
    return node.open(epoch);
  else
    return node.open_rows(epoch);
}

// ---- sources.cpp
NodePtr make_tensors(Tensors tensors);
NodePtr make_slices(Tensors tensors);
/// The rows' numbers as elements: a view of each row.
StreamPtr<Tensors> rows_as_elements(const Tensors& table, StreamPtr<RowNumber> rows);
/// What becomes of a batch's elements, one at least.
using Join = std::function<Tensors(const std::vector<Tensors>&)>;
/// Without `join` they are stacked, or, where they are rows of a table, gathered there.
NodePtr make_batch(NodePtr upstream, const Batching& batching, Join join = nullptr);
NodePtr make_unbatch(NodePtr upstream);
/// The rows of these numbers, of every tensor. Rows that follow each other are shared, not copied.
Tensors gather_rows(const Tensors& table, const std::vector<RowNumber>& rows);
/// Elements of equal specs as one. Throws InvalidArgumentError for unequal ones.
Tensors stack_elements(const std::vector<Tensors>& elements);
/// Row `row` of every tensor; no copy.
Tensors row_of(const Tensors& tensors, std::int64_t row);
/// Copies `count` elements of one dtype; strings are objects.
void copy_elements(Tensor& to, std::int64_t to_offset, const void* from, std::int64_t from_offset, std::int64_t count);
Shape rows_shape(std::int64_t rows, const Shape& row);
/// An element needs a tensor, and each of them elements. Throws InvalidArgumentError.
void require_elements(const Tensors& tensors, const char* step);

// ---- generators.cpp
NodePtr make_range(std::int64_t start, std::int64_t stop, std::int64_t step);
NodePtr make_generator(std::function<ElementSource(std::int64_t)> open);

// ---- readers.cpp
using FileOpener = std::function<StreamPtr<Tensors>(const std::string& path)>;
/// The elements of files, one file after the other. What opening or reading throws costs the rest of that element, or of that file.
NodePtr make_files(std::vector<std::string> paths, FileOpener open);

// ---- selection.cpp
NodePtr make_take(NodePtr upstream, std::int64_t count);
NodePtr make_skip(NodePtr upstream, std::int64_t count);
NodePtr make_shard(NodePtr upstream, std::int64_t rank, std::int64_t world);
NodePtr make_repeat(NodePtr upstream, std::int64_t count);
NodePtr make_shuffle(NodePtr upstream, std::int64_t buffer, std::int64_t seed, bool reshuffle, std::int64_t most_bytes, detail::GaugePtr gauge);

// ---- transform.cpp
NodePtr make_map(NodePtr upstream, ElementFunction f);
NodePtr make_filter(NodePtr upstream, ElementPredicate predicate);
NodePtr make_concatenate(NodePtr first, NodePtr second);
NodePtr make_zip(std::vector<NodePtr> upstreams);
NodePtr make_enumerate(NodePtr upstream, std::int64_t start);

// ---- stateful.cpp
NodePtr make_scan(NodePtr upstream, Tensors state, StateFunction f);
NodePtr make_take_while(NodePtr upstream, ElementPredicate predicate);
NodePtr make_unique(NodePtr upstream);
NodePtr make_ignore_errors(NodePtr upstream, std::shared_ptr<SkipCount> count);
NodePtr make_resample(NodePtr upstream, ElementNumber class_of, std::vector<double> target, std::vector<double> initial, std::int64_t seed);

// ---- interleave.cpp
NodePtr make_flat_map(NodePtr upstream, ElementDataset f);
NodePtr make_interleave(NodePtr upstream, ElementDataset f, const InterleaveOptions& options);
/// Each element from the dataset whose number `choice` gives.
NodePtr make_choose(std::vector<NodePtr> upstreams, NodePtr choice, bool stop_on_empty);
/// Numbers below weights.size(), drawn by weight without end: draw i of a pass is a function of (seed, pass, i).
NodePtr make_draws(std::vector<double> weights, std::int64_t seed);

// ---- windows.cpp
using WindowDataset = std::function<Dataset(std::int64_t key, const Dataset& window)>;
NodePtr make_windows(NodePtr upstream, detail::StructurePtr structure, std::int64_t size, const WindowOptions& options, WindowDataset reduce);
NodePtr make_window_map(NodePtr upstream, detail::StructurePtr structure, std::int64_t size, const WindowOptions& options, std::function<Tensors(const Dataset&)> f);
NodePtr make_groups(NodePtr upstream, detail::StructurePtr structure, ElementNumber key, WindowDataset reduce, std::function<std::int64_t(std::int64_t)> size);

// ---- uneven_batches.cpp
NodePtr make_padded_batch(NodePtr upstream, std::int64_t size, PaddedBatchOptions options);
NodePtr make_ragged_batch(NodePtr upstream, detail::StructurePtr structure, detail::StructurePtr result, const Batching& batching);

// ---- cache.cpp
NodePtr make_memory_cache(NodePtr upstream, detail::GaugePtr gauge);
NodePtr make_file_cache(NodePtr upstream, std::string path, bool compressed);

// ---- background.cpp
struct BackgroundOptions {
  int threads = 1;
  std::int64_t capacity = 1;    // elements
  bool automatic = false;       // begin with two and double up to the capacity while the consumer finds nothing
  std::int64_t most_bytes = 0;  // 0: no limit
  detail::GaugePtr gauge = nullptr;
};
/// `threads` threads read ahead and apply `f` where there is one. The order is kept.
NodePtr make_background(NodePtr upstream, ElementFunction f, BackgroundOptions options);
/// The same over a stream that is open already; `begin` starts the threads at once.
StreamPtr<Tensors> background_stream(StreamPtr<Tensors> upstream, BackgroundOptions options, bool begin);

}  // namespace lockstep::io

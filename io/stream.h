#pragma once
// Inside datasets. A Node describes a step and opens one pass over it as a Stream. A node whose elements are rows of one table also
// opens the pass as a stream of row numbers: steps that only select and reorder work on those, and batch() gathers the rows.

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include <lockstep/io/dataset.h>

namespace lockstep::io {

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
using RowNumber = std::int64_t;
template <class Element>
using StreamPtr = std::unique_ptr<Stream<Element>>;

class Node {
 public:
  virtual ~Node() = default;
  virtual std::int64_t cardinality() const = 0;
  virtual StreamPtr<Tensors> open(std::int64_t epoch) const = 0;
  /// The tensors whose rows the elements are, or null.
  virtual const Tensors* table() const { return nullptr; }
  /// The pass as row numbers of the table. Only called if there is one.
  virtual StreamPtr<RowNumber> open_rows(std::int64_t) const { return nullptr; }
  /// The pass that the next range-for makes.
  std::int64_t next_pass() const { return passes_.fetch_add(1, std::memory_order_relaxed); }

 private:
  mutable std::atomic<std::int64_t> passes_{0};
};
using NodePtr = std::shared_ptr<const Node>;

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
NodePtr make_batch(NodePtr upstream, std::int64_t size, bool drop_remainder);
NodePtr make_unbatch(NodePtr upstream);

// ---- selection.cpp
NodePtr make_take(NodePtr upstream, std::int64_t count);
NodePtr make_skip(NodePtr upstream, std::int64_t count);
NodePtr make_shard(NodePtr upstream, std::int64_t rank, std::int64_t world);
NodePtr make_repeat(NodePtr upstream, std::int64_t count);
NodePtr make_shuffle(NodePtr upstream, std::int64_t buffer, std::int64_t seed, bool reshuffle);

// ---- transform.cpp
NodePtr make_map(NodePtr upstream, ElementFunction f);
NodePtr make_filter(NodePtr upstream, ElementPredicate predicate);
NodePtr make_concatenate(NodePtr first, NodePtr second);
NodePtr make_zip(std::vector<NodePtr> upstreams);
NodePtr make_enumerate(NodePtr upstream, std::int64_t start);

// ---- background.cpp
/// `threads` threads read ahead, up to `capacity` elements, and apply `f` where there is one. The order is kept.
NodePtr make_background(NodePtr upstream, ElementFunction f, int threads, std::int64_t capacity);

}  // namespace lockstep::io

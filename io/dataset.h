#pragma once
// Dataset: a lazy stream of elements, each a few tensors, described by a chain of steps as in tf.data. Nothing is read before an
// iteration asks; the elements of pass number e depend on the description, its seeds and e alone, never on threads or timing.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <lockstep/nn/batch_source.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

// What a training loop asks of its data stands in nn; here it is implemented.
using nn::BatchSource;
using nn::DatasetState;
using nn::kInfinite;
using nn::kUnknown;

class Node;
template <class Element>
class Stream;

using ElementFunction = std::function<Tensors(const Tensors&)>;
using ElementPredicate = std::function<bool(const Tensors&)>;

struct ShuffleOptions {
  std::optional<std::int64_t> seed = {};  // none: drawn from the global generator when the dataset is described
  bool reshuffle_each_iteration = true;   // false: every pass in the order of the first
};
struct MapOptions {
  int threads = 0;  // in the background; 0: in the thread that asks for the element
};

/// One iteration after the other over a dataset. Not for use by two threads at once.
class Iterator final : public BatchSource {
 public:
  explicit Iterator(std::shared_ptr<const Node> node, DatasetState at = {});
  Iterator(Iterator&&) noexcept;
  Iterator& operator=(Iterator&&) noexcept;
  /// Ends the background threads, if the dataset has any; they finish the element they are at.
  ~Iterator() override;

  /// The next element; false at the end of the pass, after which the next call begins the following pass. What a step of the
  /// dataset throws comes out here, and the position stays: the next call asks for the same element again.
  bool next(Tensors& element) override;
  DatasetState state() const override { return state_; }
  /// Throws InvalidArgumentError for negative numbers. A position beyond the end is found by next(), as FailedPreconditionError.
  void restore(const DatasetState& state) override;
  std::int64_t cardinality() const override;

 private:
  std::shared_ptr<const Node> node_;
  std::unique_ptr<Stream<Tensors>> stream_;  // of the current pass, once something was asked of it
  DatasetState state_;
};

namespace detail {
[[noreturn]] void refuse_arity(const char* step, std::size_t wanted, std::size_t given);

inline Tensors as_element(Tensors element) { return element; }
inline Tensors as_element(Tensor tensor) { return {std::move(tensor)}; }
/// std::pair, std::tuple and std::array of tensors.
template <class Tuple>
Tensors as_element(Tuple&& tuple) {
  return std::apply([](auto&&... tensors) { return Tensors{std::move(tensors)...}; }, std::forward<Tuple>(tuple));
}
inline bool as_truth(bool truth) { return truth; }
inline bool as_truth(const Tensor& truth) { return truth.item<bool>(); }

/// Calls `f` with the element as a whole, or with its one, two or three tensors.
template <class F>
auto call_with(const char* step, F& f, const Tensors& element) {
  const auto require = [&](std::size_t wanted) {
    if (element.size() != wanted) refuse_arity(step, wanted, element.size());
  };
  if constexpr (std::is_invocable_v<F&, const Tensors&>) {
    return f(element);
  } else if constexpr (std::is_invocable_v<F&, const Tensor&>) {
    require(1);
    return f(element[0]);
  } else if constexpr (std::is_invocable_v<F&, const Tensor&, const Tensor&>) {
    require(2);
    return f(element[0], element[1]);
  } else {
    require(3);
    return f(element[0], element[1], element[2]);
  }
}
}  // namespace detail

/// A value that describes a stream; each step makes a new one and leaves this one as it is. Copies and iterators may be used by
/// several threads. Steps throw InvalidArgumentError for arguments that make no sense.
class Dataset {
 public:
  /// One element: these tensors.
  static Dataset from_tensors(const Tensors& tensors);
  static Dataset from_tensors(const Tensor& tensor) { return from_tensors(Tensors{tensor}); }
  /// One element per row: row i of every tensor. Throws InvalidArgumentError for scalars and unequal numbers of rows.
  /// Slices that are only selected and reordered (shuffle, take, skip, shard, repeat) before batch() are never made: the rows are
  /// copied straight into the batch, or shared with it where they lie next to each other.
  static Dataset from_tensor_slices(const Tensors& tensors);
  static Dataset from_tensor_slices(const Tensor& tensor) { return from_tensor_slices(Tensors{tensor}); }
  /// Elements of several datasets side by side, as long as all have one; the tensors of an element stand in one row.
  static Dataset zip(const std::vector<Dataset>& datasets);

  /// `f` of every element: f(Tensors), or f of its one to three tensors; it returns a Tensor, a pair, tuple or array of them, or
  /// Tensors. In threads it must be safe to call at once; the order is kept. It is not called for elements that are skipped.
  template <class F>
  Dataset map(F f, const MapOptions& options = {}) const {
    return mapped([f = std::move(f)](const Tensors& element) mutable { return detail::as_element(detail::call_with("Dataset.map", f, element)); }, options);
  }
  /// The elements for which `predicate`, called as by map(), is true: a bool or a boolean scalar.
  template <class F>
  Dataset filter(F predicate) const {
    return filtered([f = std::move(predicate)](const Tensors& element) mutable { return detail::as_truth(detail::call_with("Dataset.filter", f, element)); });
  }
  /// Random order: each element is drawn from the next `buffer` ones; a buffer as long as the dataset shuffles it uniformly.
  Dataset shuffle(std::int64_t buffer, const ShuffleOptions& options = {}) const;
  /// `size` elements stacked to one; the last batch may be shorter, or is dropped. Throws, when read, for elements of unequal specs.
  Dataset batch(std::int64_t size, bool drop_remainder = false) const;
  /// The rows of every element.
  Dataset unbatch() const;
  /// The stream `count` times in a row, or without end. Repetition r of pass e is pass e * count + r of this dataset.
  Dataset repeat(std::int64_t count = kInfinite) const;
  /// The first `count` elements (kInfinite: all).
  Dataset take(std::int64_t count) const;
  /// All but the first `count` elements.
  Dataset skip(std::int64_t count) const;
  /// Elements rank, rank + world, rank + 2 world, ...
  Dataset shard(std::int64_t rank, std::int64_t world) const;
  /// This stream, then that of `other`.
  Dataset concatenate(const Dataset& other) const;
  /// A running number, an int64 scalar, in front of each element's tensors.
  Dataset enumerate(std::int64_t start = 0) const;
  /// A thread reads ahead, up to `count` elements.
  Dataset prefetch(std::int64_t count) const;

  /// Elements in one pass, kInfinite or kUnknown. Reads nothing.
  std::int64_t cardinality() const;
  /// An iterator at a position, by default at the beginning of the first pass.
  Iterator iterate(const DatasetState& at = {}) const { return Iterator(node_, at); }

  /// What `for (const Tensors& element : dataset)` uses.
  class RangeIterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Tensors;
    using difference_type = std::ptrdiff_t;
    using pointer = const Tensors*;
    using reference = const Tensors&;
    explicit RangeIterator(Iterator iterator) : iterator_(std::make_shared<Iterator>(std::move(iterator))) { ++*this; }
    reference operator*() const { return element_; }
    pointer operator->() const { return &element_; }
    RangeIterator& operator++() {
      ended_ = !iterator_->next(element_);
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const RangeIterator& it, std::default_sentinel_t) { return it.ended_; }

   private:
    std::shared_ptr<Iterator> iterator_;
    Tensors element_;
    bool ended_ = false;
  };
  /// The next pass: the first loop over a dataset is pass 0, the second pass 1, ...
  RangeIterator begin() const;
  std::default_sentinel_t end() const { return {}; }

  explicit Dataset(std::shared_ptr<const Node> node) : node_(std::move(node)) {}

 private:
  Dataset mapped(ElementFunction f, const MapOptions& options) const;
  Dataset filtered(ElementPredicate predicate) const;

  std::shared_ptr<const Node> node_;
};

}  // namespace lockstep::io

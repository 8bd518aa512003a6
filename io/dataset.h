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

#include <lockstep/io/dataset_options.h>
#include <lockstep/io/nest.h>
#include <lockstep/nn/batch_source.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

// What a training loop asks of its data stands in nn; here it is implemented.
using nn::BatchSource;
using nn::DatasetState;
using nn::kInfinite;
using nn::kUnknown;

class Dataset;
class Node;
template <class Element>
class Stream;

using ElementFunction = std::function<Tensors(const Tensors&)>;
using ElementPredicate = std::function<bool(const Tensors&)>;
using ElementDataset = std::function<Dataset(const Tensors&)>;
using ElementNumber = std::function<std::int64_t(const Tensors&)>;
using StateFunction = std::function<std::pair<Tensors, Tensors>(const Tensors& state, const Tensors& element)>;
/// Gives the next element of a pass; false at its end.
using ElementSource = std::function<bool(Tensors&)>;

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
/// An element with its names.
Nest as_nest(const Tensors& element, const StructurePtr& structure);

inline Tensors as_element(Tensors element) { return element; }
inline Tensors as_element(Tensor tensor) { return {std::move(tensor)}; }
/// std::pair, std::tuple and std::array of tensors.
template <class Tuple>
Tensors as_element(Tuple&& tuple) {
  return std::apply([](auto&&... tensors) { return Tensors{std::move(tensors)...}; }, std::forward<Tuple>(tuple));
}
/// A result whose names are told to `structure`.
template <class Result>
Tensors as_element_of(Result&& result, const StructurePtr& structure) {
  if constexpr (std::is_same_v<std::remove_cvref_t<Result>, Nest>) {
    structure->set(result.structure());
    return result.flat();
  } else {
    return as_element(std::forward<Result>(result));
  }
}
inline bool as_truth(bool truth) { return truth; }
inline bool as_truth(const Tensor& truth) { return truth.item<bool>(); }
inline std::int64_t as_number(std::int64_t number) { return number; }
std::int64_t as_number(const Tensor& number);

/// Calls `f` with the element as a whole, as a Nest, or with its one, two or three tensors.
template <class F>
auto call_with(const char* step, F& f, const Tensors& element, const StructurePtr& structure) {
  const auto require = [&](std::size_t wanted) {
    if (element.size() != wanted) refuse_arity(step, wanted, element.size());
  };
  if constexpr (std::is_invocable_v<F&, const Tensors&>) {
    return f(element);
  } else if constexpr (std::is_invocable_v<F&, const Nest&>) {
    return f(as_nest(element, structure));
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

class Windows;

/// A value that describes a stream; each step makes a new one and leaves this one as it is. Copies and iterators may be used by
/// several threads. Steps throw InvalidArgumentError for arguments that make no sense.
class Dataset {
 public:
  // ---- sources

  /// One element: these tensors.
  static Dataset from_tensors(const Tensors& tensors);
  static Dataset from_tensors(const Tensor& tensor) { return from_tensors(Tensors{tensor}); }
  static Dataset from_tensors(const Nest& nest);
  /// One element per row: row i of every tensor. Throws InvalidArgumentError for scalars and unequal numbers of rows.
  /// Slices that are only selected and reordered (shuffle, take, skip, shard, repeat) before batch() are never made: the rows are
  /// copied straight into the batch, or shared with it where they lie next to each other.
  static Dataset from_tensor_slices(const Tensors& tensors);
  static Dataset from_tensor_slices(const Tensor& tensor) { return from_tensor_slices(Tensors{tensor}); }
  static Dataset from_tensor_slices(const Nest& nest);
  /// start, start + step, ... as int64 scalars, as long as `stop` is not reached.
  static Dataset range(std::int64_t start, std::int64_t stop, std::int64_t step = 1);
  static Dataset range(std::int64_t stop) { return range(0, stop); }
  /// What `open(pass)` gives until it returns false. A resumed pass is read again from its beginning, so that it must give the same elements.
  static Dataset from_generator(std::function<ElementSource(std::int64_t pass)> open);
  /// Elements of several datasets side by side, as long as all have one; the tensors of an element stand in one row, as a tuple.
  static Dataset zip(const std::vector<Dataset>& datasets);
  /// Each element from a dataset drawn by weight (tf.data.Dataset.sample_from_datasets).
  static Dataset sample_from_datasets(const std::vector<Dataset>& datasets, const SampleOptions& options = {});
  /// Each element from the dataset whose number `choice` gives next. Ends with `choice`, and, with stop_on_empty_dataset, where the chosen one has none left.
  static Dataset choose_from_datasets(const std::vector<Dataset>& datasets, const Dataset& choice, bool stop_on_empty_dataset = true);
  /// What save() wrote. Throws NotFoundError; DataLossError, when read, for damaged files.
  static Dataset load(const std::string& path);

  // ---- element by element

  /// `f` of every element: f(Tensors), f(Nest), or f of its one to three tensors; it returns a Tensor, a pair, tuple or array of them, Tensors or a
  /// Nest. In threads it must be safe to call at once; the order is kept. It is not called for elements that are skipped.
  template <class F>
  Dataset map(F f, const MapOptions& options = {}) const {
    using Result = decltype(detail::call_with("", f, std::declval<const Tensors&>(), structure_));
    const auto result = std::is_same_v<std::remove_cvref_t<Result>, Nest> ? std::make_shared<detail::StructureCell>() : nullptr;
    return mapped([f = std::move(f), from = structure_, result](const Tensors& element) mutable {
      return detail::as_element_of(detail::call_with("Dataset.map", f, element, from), result);
    }, options, result);
  }
  /// The elements for which `predicate`, called as by map(), is true: a bool or a boolean scalar.
  template <class F>
  Dataset filter(F predicate) const {
    return filtered(truth_of("Dataset.filter", std::move(predicate)));
  }
  /// The elements before the first for which `predicate` is false.
  template <class F>
  Dataset take_while(F predicate) const {
    return taken_while(truth_of("Dataset.take_while", std::move(predicate)));
  }
  /// f(state, element) gives the next state and an element; `state` is that of the first call. Both are Tensor, or both are Tensors.
  template <class F>
  Dataset scan(const Tensors& state, F f) const {
    return scanned(state, [f = std::move(f)](const Tensors& before, const Tensors& element) mutable {
      if constexpr (std::is_invocable_v<F&, const Tensors&, const Tensors&>) {
        return std::pair<Tensors, Tensors>(f(before, element));
      } else {
        if (before.size() != 1 || element.size() != 1) detail::refuse_arity("Dataset.scan", 1, std::max(before.size(), element.size()));
        auto [after, out] = f(before[0], element[0]);
        return std::pair(Tensors{std::move(after)}, Tensors{std::move(out)});
      }
    });
  }
  /// The last state of f(state, element) -> state over one pass; Tensor or Tensors.
  template <class State, class F>
  State reduce(State state, F f) const {
    Iterator iterator = iterate();
    for (Tensors element; iterator.next(element);) {
      if constexpr (std::is_invocable_v<F&, const State&, const Tensors&>) state = f(state, element);
      else if (element.size() == 1) state = f(state, element[0]);
      else detail::refuse_arity("Dataset.reduce", 1, element.size());
    }
    return state;
  }
  /// The elements of the datasets that `f` makes of each element, one after the other.
  template <class F>
  Dataset flat_map(F f) const {
    return flattened(dataset_of("Dataset.flat_map", std::move(f)));
  }
  /// The same of several at once, taking turns, in tf.data's order; with threads they are read in the background.
  template <class F>
  Dataset interleave(F f, const InterleaveOptions& options = {}) const {
    return interleaved(dataset_of("Dataset.interleave", std::move(f)), options);
  }
  /// Leaves out what fails: elements whose reading or computing throws an Error. They are counted.
  Dataset ignore_errors(std::shared_ptr<SkipCount> count = nullptr) const;
  /// Each element when it comes for the first time. Remembers all of them.
  Dataset unique() const;
  /// A running number, an int64 scalar, in front of each element's tensors.
  Dataset enumerate(std::int64_t start = 0) const;
  /// Elements left out so that classes come as often as `target` says; `class_of`, called as by map(), gives a number. Elements stay as they are.
  template <class F>
  Dataset rejection_resample(F class_of, const std::vector<double>& target, const ResampleOptions& options = {}) const {
    return resampled(number_of("Dataset.rejection_resample", std::move(class_of)), target, options);
  }

  // ---- batches and windows

  /// `size` elements stacked to one; the last batch may be shorter, or is dropped. Throws, when read, for elements of unequal specs.
  Dataset batch(std::int64_t size, bool drop_remainder = false) const;
  /// Elements of unequal shapes, filled up to one. Throws, when read, for elements of unequal dtypes or numbers of axes, or larger than padded_shapes.
  Dataset padded_batch(std::int64_t size, const PaddedBatchOptions& options = {}) const;
  /// Elements of unequal shapes as rows of unequal lengths (Nest::ragged), every axis ragged; scalars are stacked.
  Dataset ragged_batch(std::int64_t size, bool drop_remainder = false) const;
  /// The rows of every element.
  Dataset unbatch() const;
  /// Datasets of `size` elements each that follow one another.
  Windows window(std::int64_t size, const WindowOptions& options = {}) const;
  /// `size(key)` elements of the same key at a time, the rest at the end by ascending key; reduce(key, Dataset) makes a Dataset of them.
  template <class Key, class Reduce>
  Dataset group_by_window(Key key, Reduce reduce, std::function<std::int64_t(std::int64_t)> size) const {
    return grouped(number_of("Dataset.group_by_window", std::move(key)), std::move(reduce), std::move(size));
  }
  template <class Key, class Reduce>
  Dataset group_by_window(Key key, Reduce reduce, std::int64_t size) const {
    return grouped(number_of("Dataset.group_by_window", std::move(key)), std::move(reduce), [size](std::int64_t) { return size; });
  }
  /// Padded batches of elements of like lengths; `length`, called as by map(), gives a number.
  template <class F>
  Dataset bucket_by_sequence_length(F length, const BucketOptions& options) const {
    return bucketed(number_of("Dataset.bucket_by_sequence_length", std::move(length)), options);
  }

  // ---- order and selection

  /// Random order: each element is drawn from the next `buffer` ones; a buffer as long as the dataset shuffles it uniformly.
  Dataset shuffle(std::int64_t buffer, const ShuffleOptions& options = {}) const;
  /// The stream `count` times in a row, or without end. Repetition r of pass e is pass e * count + r of this dataset.
  Dataset repeat(std::int64_t count = kInfinite) const;
  /// The first `count` elements (kInfinite: all).
  Dataset take(std::int64_t count) const;
  /// All but the first `count` elements.
  Dataset skip(std::int64_t count) const;
  /// What process `rank` of `world` reads. Of a dataset of at least `world` files (readers.h), if only map, filter, shuffle, prefetch and the like
  /// are behind it, the files rank, rank + world, ...; else the elements with these numbers.
  Dataset shard(std::int64_t rank, std::int64_t world) const;
  /// This stream, then that of `other`.
  Dataset concatenate(const Dataset& other) const;

  // ---- buffers

  /// A thread reads ahead, up to `count` elements; kAutotune: it begins with two and doubles while the consumer finds it empty, up to 64.
  Dataset prefetch(std::int64_t count, const PrefetchOptions& options = {}) const;
  /// What the first pass gives is kept in memory when it was read to its end, and given in every pass.
  Dataset cache() const;
  /// The same in a file, which outlives the process: `path` appears when a pass was read to its end. Another process's file of that name is read.
  Dataset cache(const std::string& path) const;
  /// As cache(path), perhaps compressed (tf.data.Dataset.snapshot).
  Dataset snapshot(const std::string& path, const SnapshotOptions& options = {}) const;
  /// Writes one pass to a file that load() reads. Throws InvalidArgumentError for a dataset without end.
  void save(const std::string& path, const SnapshotOptions& options = {}) const;

  // ---- reading

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

  /// How the tensors of an element belong together; none, if nobody has named them. It may read the first element.
  std::optional<Structure> structure() const { return structure_ ? structure_->get() : std::nullopt; }
  /// An element of this dataset with its names.
  Nest nest(const Tensors& element) const { return detail::as_nest(element, structure_); }
  /// What shuffle, prefetch, map in threads and cache hold now, all iterators together.
  std::vector<BufferUse> buffers() const;

  explicit Dataset(std::shared_ptr<const Node> node, detail::StructurePtr structure = nullptr) : node_(std::move(node)), structure_(std::move(structure)) {}
  /// The description itself; for steps made elsewhere.
  const std::shared_ptr<const Node>& node() const { return node_; }

 private:
  friend class Windows;
  template <class F>
  ElementPredicate truth_of(const char* step, F f) const {
    return [step, f = std::move(f), from = structure_](const Tensors& element) mutable { return detail::as_truth(detail::call_with(step, f, element, from)); };
  }
  template <class F>
  ElementNumber number_of(const char* step, F f) const {
    return [step, f = std::move(f), from = structure_](const Tensors& element) mutable { return detail::as_number(detail::call_with(step, f, element, from)); };
  }
  template <class F>
  ElementDataset dataset_of(const char* step, F f) const {
    return [step, f = std::move(f), from = structure_](const Tensors& element) mutable { return Dataset(detail::call_with(step, f, element, from)); };
  }
  Dataset mapped(ElementFunction f, const MapOptions& options, detail::StructurePtr result) const;
  Dataset filtered(ElementPredicate predicate) const;
  Dataset taken_while(ElementPredicate predicate) const;
  Dataset scanned(const Tensors& state, StateFunction f) const;
  Dataset flattened(ElementDataset f) const;
  Dataset interleaved(ElementDataset f, const InterleaveOptions& options) const;
  Dataset resampled(ElementNumber class_of, const std::vector<double>& target, const ResampleOptions& options) const;
  Dataset grouped(ElementNumber key, std::function<Dataset(std::int64_t, const Dataset&)> reduce, std::function<std::int64_t(std::int64_t)> size) const;
  Dataset bucketed(ElementNumber length, const BucketOptions& options) const;
  /// A step behind this dataset, with the buffers of what is before it.
  Dataset behind(std::shared_ptr<const Node> node, detail::StructurePtr structure, detail::GaugePtr gauge = nullptr) const;
  void add_buffers_of(const Dataset& other);

  std::shared_ptr<const Node> node_;
  detail::StructurePtr structure_;  // null: nobody named anything
  std::vector<detail::GaugePtr> gauges_;
};

/// What window() gives: datasets that follow one another. tf.data has a dataset of datasets here.
class Windows {
 public:
  /// The elements of what `f` makes of each window.
  Dataset flat_map(std::function<Dataset(const Dataset&)> f) const;
  /// One element of each window: a Tensor or Tensors, for example by reduce().
  template <class F>
  Dataset map(F f) const {
    return mapped([f = std::move(f)](const Dataset& window) mutable { return detail::as_element(f(window)); });
  }

 private:
  friend class Dataset;
  Windows(Dataset upstream, std::int64_t size, const WindowOptions& options) : upstream_(std::move(upstream)), size_(size), options_(options) {}
  Dataset mapped(std::function<Tensors(const Dataset&)> f) const;
  Dataset upstream_;
  std::int64_t size_;
  WindowOptions options_;
};

}  // namespace lockstep::io

// Sorting and searching. NaN counts as larger than every number.

#include <cstring>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/line_place.h>
#include <lockstep/tensor/cuda/sort_pairs.h>

namespace lockstep::cuda {
namespace {

/// A number of 8 sizeof(T) bits of which the order is the elements': equal elements (0 and -0, all NaN) get equal keys.
template <class T>
LOCKSTEP_HD std::uint64_t order_key(T value) {
  constexpr int kBits = 8 * int(sizeof(T));
  constexpr std::uint64_t kSign = std::uint64_t(1) << (kBits - 1), kAll = kSign | (kSign - 1);
  if constexpr (std::is_same_v<T, bool>) {
    return value ? 1 : 0;
  } else if constexpr (std::is_integral_v<T>) {
    return (static_cast<std::uint64_t>(value) & kAll) ^ (std::is_signed_v<T> ? kSign : 0);
  } else {
    const auto number = value_of(value);
    if (number != number) return kAll;
    if (number == 0) return kSign;
    std::uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(T));
    return bits & kSign ? ~bits & kAll : bits ^ kSign;
  }
}

/// Entry e is element e % count of line e / count.
template <class T>
struct WriteKey {
  LinePlace place;
  bool descending;
  const T* x;
  std::uint64_t* keys;
  std::uint32_t* places;
  LOCKSTEP_HD void operator()(std::int64_t e) const {
    const std::uint64_t key = order_key(x[place(e / place.l.count, e % place.l.count)]);
    keys[e] = descending ? ~key : key;
    places[e] = std::uint32_t(e);
  }
};
struct WriteLine {
  std::int64_t count;
  const std::uint32_t* places;
  std::uint64_t* keys;
  LOCKSTEP_HD void operator()(std::int64_t e) const { keys[e] = std::uint64_t(std::int64_t(places[e]) / count); }
};

/// Sorts all lines at once: by the elements, then, stably, by the lines.
struct LineSort {
  LinePlace place;
  SortPlan sort;
  std::size_t keys = 0, places = 0, scratch = 0;
  Workspace workspace;

  LineSort(const Lines& lines, std::string_view op) : place{lines}, sort(sort_plan(lines.outer * lines.count * lines.inner, op)) {
    Cuts cuts;
    keys = cuts.take(std::size_t(sort.n) * 8);
    places = cuts.take(std::size_t(sort.n) * 4);
    scratch = cuts.take(sort.nbytes);
    workspace = Workspace(cuts.total());
  }
  template <class T>
  const std::uint32_t* enqueue_for(const T* x, bool descending) const {
    std::uint64_t* key = at<std::uint64_t>(workspace, keys);
    std::uint32_t* order = at<std::uint32_t>(workspace, places);
    std::byte* memory = at<std::byte>(workspace, scratch);
    for_each(sort.n, WriteKey<T>{place, descending, x, key, order});
    sort_pairs(sort, memory, key, order, 8 * int(sizeof(T)));
    const std::int64_t lines = place.l.outer * place.l.inner;
    if (lines > 1) {
      for_each(sort.n, WriteLine{place.l.count, order, key});
      sort_pairs(sort, memory, key, order, bits_of(lines - 1));
    }
    return order;
  }
};

/// The first `most` of each line: their elements, their places, or both.
template <class T>
struct WriteSorted {
  LinePlace from, to;
  const std::uint32_t* order;
  const T* x;
  T* values;
  std::int32_t* indices;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t line = i / to.l.count, k = i % to.l.count, source = std::int64_t(order[line * from.l.count + k]) % from.l.count, target = to(line, k);
    if (values) values[target] = x[from(line, source)];
    if (indices) indices[target] = std::int32_t(source);
  }
};

template <bool Indices>
BoundKernel sort(const BindContext& context) {
  const Lines lines = lines_of(context.shape(0), context.integer("axis"));
  const bool descending = context.text("direction") == "descending";
  return visit<(kReal | kBool).bits>(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, sorting = LineSort(lines, context.op().name)](Inputs in, Outputs out) {
      if (sorting.sort.n == 0) return;
      const T* x = static_cast<const T*>(in[0]);
      const std::uint32_t* order = sorting.enqueue_for(x, descending);
      for_each(sorting.sort.n, WriteSorted<T>{sorting.place, sorting.place, order, x, Indices ? nullptr : static_cast<T*>(out[0]), Indices ? static_cast<std::int32_t*>(out[0]) : nullptr});
    };
  });
}

BoundKernel top_k(const BindContext& context) {
  const Lines lines = lines_of(context.shape(0), -1);
  const std::int64_t k = context.integer("k");
  return visit<kReal.bits>(context.dtype_of(0), "top_k", [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, sorting = LineSort(lines, "top_k")](Inputs in, Outputs out) {
      if (sorting.sort.n == 0 || k == 0) return;
      const T* x = static_cast<const T*>(in[0]);
      const std::uint32_t* order = sorting.enqueue_for(x, true);
      for_each(lines.outer * k, WriteSorted<T>{sorting.place, {{lines.outer, k, 1}}, order, x, static_cast<T*>(out[0]), static_cast<std::int32_t*>(out[1])});
    };
  });
}

// ---- unique: runs of equal keys, numbered by where their first elements stand

struct RunHead {
  const std::uint64_t* keys;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t, std::int64_t k) const { return k == 0 || keys[k] != keys[k - 1] ? 1 : 0; }
};
/// Sorted place k belongs to run number[k]; a run begins at begins[number].
struct StoreRun {
  std::int64_t* numbers;
  std::int64_t* begins;
  std::int64_t count;
  const std::uint32_t* places;
  std::int64_t* heads;  // by element: 1 where it is the first of its kind
  LOCKSTEP_HD void operator()(std::int64_t, std::int64_t k, std::int64_t with, std::int64_t without) const {
    numbers[k] = with - 1;
    heads[places[k]] = with != without ? 1 : 0;
    if (with != without) begins[with - 1] = k;
    if (k == count - 1) begins[with] = count;
  }
};
struct LoadHead {
  const std::int64_t* heads;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t, std::int64_t k) const { return heads[k]; }
};
template <class T>
struct WriteUnique {
  const std::uint32_t* places;
  const std::int64_t *numbers, *begins, *ranks;
  const T* x;
  T* values;
  std::int32_t* index;
  std::int32_t* counts;  // may be null
  LOCKSTEP_HD void operator()(std::int64_t k) const {
    const std::int64_t run = numbers[k], begin = begins[run], rank = ranks[places[begin]];
    index[places[k]] = std::int32_t(rank);
    if (k != begin) return;
    values[rank] = x[places[k]];
    if (counts) counts[rank] = std::int32_t(begins[run + 1] - begin);
  }
};

template <bool Counts>
Tensors unique(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor& x = inputs[0];
  const std::int64_t count = x.numel();
  Tensor index = result_beside(x, x.shape(), int32);
  if (count == 0) {
    Tensors empty{result_beside(x, {0}, x.dtype()), index};
    if (Counts) empty.push_back(result_beside(x, {0}, int32));
    return empty;
  }
  return visit<(kReal | kBool).bits, Tensors>(x.dtype(), call.op().name, [&]<class T>(TypeTag<T>) -> Tensors {
    const T* elements = static_cast<const T*>(x.raw());
    const LineSort sorting({1, count, 1}, call.op().name);
    const std::uint32_t* places = sorting.enqueue_for(elements, false);
    const std::uint64_t* keys = at<std::uint64_t>(sorting.workspace, sorting.keys);
    Cuts cuts;
    const ScanPlan plan{1, count};
    const std::size_t numbers_at = cuts.take(std::size_t(count) * 8), begins_at = cuts.take(std::size_t(count + 1) * 8), heads_at = cuts.take(std::size_t(count) * 8);
    const std::size_t ranks_at = cuts.take(std::size_t(count + 1) * 8), scratch_at = cuts.take(plan.nbytes(8));
    const Workspace workspace(cuts.total());
    std::int64_t *numbers = at<std::int64_t>(workspace, numbers_at), *begins = at<std::int64_t>(workspace, begins_at), *heads = at<std::int64_t>(workspace, heads_at), *ranks = at<std::int64_t>(workspace, ranks_at);
    std::byte* scratch = at<std::byte>(workspace, scratch_at);
    scan(plan, scratch, std::int64_t(0), RunHead{keys}, AddUp(), StoreRun{numbers, begins, count, places, heads});
    scan(plan, scratch, std::int64_t(0), LoadHead{heads}, AddUp(), StoreRank{ranks, count});
    std::int64_t kinds = 0;
    copy_to_host(&kinds, ranks + count, sizeof(kinds));
    Tensors result{result_beside(x, {kinds}, x.dtype()), index};
    if (Counts) result.push_back(result_beside(x, {kinds}, int32));
    for_each(count, WriteUnique<T>{places, numbers, begins, ranks, elements, static_cast<T*>(result[0].mutable_raw()), static_cast<std::int32_t*>(result[1].mutable_raw()),
                                   Counts ? static_cast<std::int32_t*>(result[2].mutable_raw()) : nullptr});
    return result;
  });
}

// ---- bincount

/// The first negative value's place, and the largest value that counts.
struct Range {
  std::int64_t negative, most;
};
struct LoadRange {
  IndexAt value;
  std::int64_t count, below;
  LOCKSTEP_HD Range operator()(std::int64_t, std::int64_t k) const {
    const std::int64_t v = value(k);
    return {v < 0 ? k : count, v < below ? v : -1};
  }
};
struct MergeRanges {
  LOCKSTEP_HD Range operator()(Range a, Range b) const { return {a.negative < b.negative ? a.negative : b.negative, a.most > b.most ? a.most : b.most}; }
};
struct StoreRange {
  Range* z;
  LOCKSTEP_HD void operator()(std::int64_t, Range range) const { *z = range; }
};
template <class T>
struct Bin {
  Buckets buckets;
  const T* weights;  // null: 1 each
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    using C = decltype(value_of(T()));
    const std::int64_t begin = buckets.starts[i], end = buckets.starts[i + 1];
    if (!weights) {
      z[i] = stored<T>(static_cast<C>(end - begin));
      return;
    }
    C total{};
    for (std::int64_t e = begin; e < end; ++e) total = plus(total, value_of(weights[buckets.places[e]]));
    z[i] = stored<T>(total);
  }
};

Tensors bincount(const OpCall& call, std::span<const Tensor> inputs) {
  const auto length_attr = [&](std::string_view name, std::int64_t none) { return call.is_none(name) ? none : std::get<std::int64_t>(call.attr(name)); };
  const std::int64_t least = length_attr("minlength", 0), most = length_attr("maxlength", INT64_MAX), count = inputs[0].numel();
  const IndexAt value = index_at(inputs[0]);
  std::int64_t length = least;
  if (count > 0) {
    Cuts cuts;
    const FoldPlan plan = fold_plan(1, count, false);
    const std::size_t result_at = cuts.take(sizeof(Range)), scratch_at = cuts.take(plan.nbytes(sizeof(Range)));
    const Workspace workspace(cuts.total());
    fold(plan, at<std::byte>(workspace, scratch_at), Range{count, -1}, LoadRange{value, count, most}, MergeRanges(), StoreRange{at<Range>(workspace, result_at)});
    Range found;
    copy_to_host(&found, at<Range>(workspace, result_at), sizeof(found));
    if (found.negative < count) call.refuse("values must not be negative; element " + std::to_string(found.negative) + " is negative");
    length = std::max(length, found.most + 1);
  }
  length = std::min(length, most);
  const bool weighted = inputs.size() == 2;
  Tensor result = result_beside(inputs[0], {length}, weighted ? inputs[1].dtype() : int32);
  if (length == 0) return {result};
  Cuts cuts;
  const BucketsPlan plan = BucketsPlan::take(count, length, "bincount", cuts);
  const Workspace workspace(cuts.total());
  const Buckets bins = buckets(plan, workspace, value);
  visit<kReal.bits, void>(result.dtype(), "bincount", [&]<class T>(TypeTag<T>) {
    for_each(length, Bin<T>{bins, weighted ? static_cast<const T*>(inputs[1].raw()) : nullptr, static_cast<T*>(result.mutable_raw())});
  });
  return {result};
}

// ---- searchsorted, in_top_k

template <class T>
struct Search {
  std::int64_t count, wanted;
  bool right;
  const T *sorted, *values;
  std::int32_t* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::uint64_t key = order_key(values[i]);
    const T* line = sorted + i / wanted * count;
    std::int64_t low = 0, high = count;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      const std::uint64_t other = order_key(line[middle]);
      if (right ? other <= key : other < key) low = middle + 1;
      else high = middle;
    }
    z[i] = std::int32_t(low);
  }
};
BoundKernel searchsorted(const BindContext& context) {
  const Shape &sorted = context.shape(0), &values = context.shape(1);
  const std::int64_t count = sorted[sorted.ndim() - 1], wanted = values[values.ndim() - 1];
  const bool right = context.text("side") == "right";
  return visit<kReal.bits>(context.dtype_of(0), "searchsorted", [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, total = values.numel()](Inputs in, Outputs out) {
      for_each(total, Search<T>{count, wanted, right, static_cast<const T*>(in[0]), static_cast<const T*>(in[1]), static_cast<std::int32_t*>(out[0])});
    };
  });
}

/// How many predictions of a row are larger than the target's; far too many if the row is not finite.
template <class T>
struct LoadLarger {
  static constexpr std::int64_t kFar = std::int64_t(1) << 40;
  std::int64_t classes;
  IndexAt target_of;
  const T* x;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t row, std::int64_t k) const {
    const std::int64_t target = target_of(row);
    if (target < 0 || target >= classes) return kFar;
    const T mine = x[row * classes + target], other = x[row * classes + k];
    const auto difference = value_of(other) - value_of(other);
    return difference != difference ? kFar : order_key(mine) < order_key(other) ? 1 : 0;
  }
};
struct StoreHit {
  std::int64_t k;
  bool* z;
  LOCKSTEP_HD void operator()(std::int64_t row, std::int64_t larger) const { z[row] = larger < k; }
};
BoundKernel in_top_k(const BindContext& context) {
  const std::int64_t batch = context.shape(0)[0], classes = context.shape(0)[1];
  const bool wide = context.dtype_of(1) == int64;
  const FoldPlan plan = fold_plan(batch, classes, false);
  return visit<kFloats.bits>(context.dtype_of(0), "in_top_k", [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, k = std::min(context.integer("k"), classes), workspace = Workspace(plan.nbytes(8))](Inputs in, Outputs out) {
      fold(plan, workspace.data(), std::int64_t(0), LoadLarger<T>{classes, {in[1], wide}, static_cast<const T*>(in[0])}, AddUp(), StoreHit{classes > 0 ? k : 0, static_cast<bool*>(out[0])});
    };
  });
}

constexpr Kernel kSortKernels[] = {
    {"sort", sort<false>},
    {"argsort", sort<true>},
    {"top_k", top_k},
    {"unique", nullptr, unique<false>},
    {"unique_with_counts", nullptr, unique<true>},
    {"bincount", nullptr, bincount},
    {"searchsorted", searchsorted},
    {"in_top_k", in_top_k},
};

}  // namespace

std::span<const Kernel> sort_kernels() { return kSortKernels; }

}  // namespace lockstep::cuda

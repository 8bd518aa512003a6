// Cumulative ops along an axis, and reductions by segment.

#include <limits>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/line_place.h>
#include <lockstep/tensor/cuda/sort_pairs.h>

namespace lockstep::cuda {
namespace {

struct Sum : AddUp {
  template <class C>
  static C start() { return C(0); }
};
struct Product {
  template <class C>
  static C start() { return C(1); }
  template <class C>
  LOCKSTEP_HD C operator()(C a, C b) const { return times(a, b); }
};
struct LogSumExp {
  template <class C>
  static C start() { return -std::numeric_limits<C>::infinity(); }
  template <class C>
  LOCKSTEP_HD C operator()(C a, C b) const {
    const C high = a > b || a != a ? a : b, low = a > b || a != a ? b : a;
    if (high - high != C(0)) return high;  // infinite or NaN
    return high + ::log1p(::exp(low - high));
  }
};

template <class T, class C>
struct StoreLine {
  LinePlace place;
  bool exclusive;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t line, std::int64_t k, C with, C without) const { z[place(line, k)] = stored<T>(exclusive ? without : with); }
};

/// The scan of x into z, which may be the same memory only if x is read before z is written there: each piece reads an element, then writes it.
template <class Fold, std::uint32_t Set>
BoundKernel scan_kernel(const BindContext& context) {
  const Lines lines = lines_of(context.shape(0), context.integer("axis"));
  const LinePlace place{lines, context.boolean("reverse")};
  const ScanPlan plan{lines.outer * lines.inner, lines.count};
  return visit<Set>(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = decltype(value_of(T()));
    return [plan, place, exclusive = context.boolean("exclusive"), workspace = Workspace(plan.nbytes(sizeof(C)))](Inputs in, Outputs out) {
      if (plan.lines * plan.count == 0) return;
      scan(plan, workspace.data(), Fold::template start<C>(), LoadAt<LinePlace, T, C>{place, static_cast<const T*>(in[0])}, Fold(), StoreLine<T, C>{place, exclusive, static_cast<T*>(out[0])});
    };
  });
}

// ---- segments

enum class Segment { sum, mean, max, min, prod };

template <class T>
struct FoldSegment {
  Segment kind;
  T empty;
  Buckets buckets;
  std::int64_t inner;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    using C = decltype(value_of(T()));
    const std::int64_t segment = i / inner, column = i - segment * inner, begin = buckets.starts[segment], end = buckets.starts[segment + 1];
    if (begin == end) {
      z[i] = empty;
      return;
    }
    C total = value_of(x[std::int64_t(buckets.places[begin]) * inner + column]);
    for (std::int64_t e = begin + 1; e < end; ++e) {
      const C value = value_of(x[std::int64_t(buckets.places[e]) * inner + column]);
      if (kind == Segment::max) total = value > total || value != value ? value : total;
      else if (kind == Segment::min) total = value < total || value != value ? value : total;
      else if (kind == Segment::prod) total = times(total, value);
      else total = plus(total, value);
    }
    if (kind == Segment::mean) total = total / static_cast<C>(end - begin);
    z[i] = stored<T>(total);
  }
};

/// What an empty unsorted segment gives: the lowest number for maxima, the largest for minima, 1 for products, 0 for the rest.
template <class T>
T empty_value(Segment kind) {
  if (kind == Segment::prod) return stored<T>(compute_t<T>(1));
  if (kind != Segment::max && kind != Segment::min) return T{};
  const bool largest = kind == Segment::min;
  if constexpr (std::is_same_v<T, Half>) return T(largest ? 65504.0f : -65504.0f);
  else if constexpr (std::is_same_v<T, BFloat16>) return T(largest ? 3.3895313892515355e38f : -3.3895313892515355e38f);
  else return largest ? std::numeric_limits<T>::max() : std::numeric_limits<T>::lowest();
}

template <Segment Kind>
BoundKernel unsorted(const BindContext& context) {
  const std::int64_t rows = context.shape(1).numel(), segments = context.integer("num_segments");
  std::int64_t inner = 1;
  for (int i = context.shape(1).ndim(); i < context.shape(0).ndim(); ++i) inner *= context.shape(0)[i];
  const bool wide = context.dtype_of(1) == int64;
  Cuts cuts;
  const BucketsPlan plan = BucketsPlan::take(rows, segments, context.op().name, cuts);
  const Workspace workspace(cuts.total());
  return visit<kReal.bits>(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, empty = empty_value<T>(Kind)](Inputs in, Outputs out) {
      const Buckets sorted = buckets(plan, workspace, IndexAt{in[1], wide});
      for_each(segments * inner, FoldSegment<T>{Kind, empty, sorted, inner, static_cast<const T*>(in[0]), static_cast<T*>(out[0])});
    };
  });
}

/// The first place where ids are not as they should be, and the last id.
struct LoadWrong {
  IndexAt id;
  std::int64_t count;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t, std::int64_t k) const {
    const std::int64_t value = id(k);
    return value < 0 || value == INT64_MAX || (k > 0 && value < id(k - 1)) ? k : count;
  }
};
struct Least {
  LOCKSTEP_HD std::int64_t operator()(std::int64_t a, std::int64_t b) const { return a < b ? a : b; }
};
struct StoreWrong {
  IndexAt id;
  std::int64_t count;
  std::int64_t* z;  // the place, the id there, the last id
  LOCKSTEP_HD void operator()(std::int64_t, std::int64_t place) const {
    z[0] = place;
    z[1] = place < count ? id(place) : 0;
    z[2] = id(count - 1);
  }
};

template <Segment Kind>
Tensors sorted(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor& data = inputs[0];
  const std::int64_t rows = inputs[1].numel();
  const IndexAt id = index_at(inputs[1]);
  Shape shape = data.shape();
  shape[0] = 0;
  if (rows > 0) {
    Cuts cuts;
    const FoldPlan plan = fold_plan(1, rows, false);
    const std::size_t result_at = cuts.take(3 * sizeof(std::int64_t)), scratch_at = cuts.take(plan.nbytes(sizeof(std::int64_t)));
    const Workspace workspace(cuts.total());
    fold(plan, at<std::byte>(workspace, scratch_at), rows, LoadWrong{id, rows}, Least(), StoreWrong{id, rows, at<std::int64_t>(workspace, result_at)});
    std::int64_t found[3];
    copy_to_host(found, at<std::int64_t>(workspace, result_at), sizeof(found));
    if (found[0] < rows) call.refuse("segment_ids must be sorted, not negative and below 2^63 - 1; element " + std::to_string(found[0]) + " is " + std::to_string(found[1]));
    shape[0] = found[2] + 1;
  }
  shape = Shape(shape.dims());
  Tensor result = result_beside(data, shape, data.dtype());
  const std::int64_t inner = shape[0] ? shape.numel() / shape[0] : 0;
  if (shape.numel() == 0) return {result};
  Cuts cuts;
  const BucketsPlan plan = BucketsPlan::take(rows, shape[0], call.op().name, cuts);
  const Workspace workspace(cuts.total());
  const Buckets by_segment = buckets(plan, workspace, id);
  visit<kReal.bits, void>(data.dtype(), call.op().name, [&]<class T>(TypeTag<T>) {
    for_each(shape.numel(), FoldSegment<T>{Kind, T{}, by_segment, inner, static_cast<const T*>(data.raw()), static_cast<T*>(result.mutable_raw())});
  });
  return {result};
}

constexpr Kernel kScanKernels[] = {
    {"cumsum", scan_kernel<Sum, kReal.bits>},
    {"cumprod", scan_kernel<Product, kReal.bits>},
    {"cumulative_logsumexp", scan_kernel<LogSumExp, kFloats.bits>},
    {"segment_sum", nullptr, sorted<Segment::sum>},
    {"segment_mean", nullptr, sorted<Segment::mean>},
    {"segment_max", nullptr, sorted<Segment::max>},
    {"unsorted_segment_sum", unsorted<Segment::sum>},
    {"unsorted_segment_mean", unsorted<Segment::mean>},
    {"unsorted_segment_max", unsorted<Segment::max>},
    {"unsorted_segment_min", unsorted<Segment::min>},
    {"unsorted_segment_prod", unsorted<Segment::prod>},
};

}  // namespace

std::span<const Kernel> scan_kernels() { return kScanKernels; }

}  // namespace lockstep::cuda

// Reductions of contiguous runs for every instruction set that Highway knows here.

#include <lockstep/tensor/ops/reduce.h>

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lockstep/tensor/ops/reduce_runs.cpp"
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lockstep {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <Reducer R, class D>
struct Fold {
  using T = hn::TFromD<D>;
  using V = hn::VFromD<D>;
  static T start() {
    if constexpr (R == Reducer::sum) return T(0);
    else if constexpr (R == Reducer::product) return T(1);
    else if constexpr (R == Reducer::maximum) return -std::numeric_limits<T>::infinity();
    else return std::numeric_limits<T>::infinity();
  }
  static HWY_INLINE V apply(V a, V b) {
    if constexpr (R == Reducer::sum) return hn::Add(a, b);
    else if constexpr (R == Reducer::product) return hn::Mul(a, b);
    // Written so that a NaN on either side is kept.
    else if constexpr (R == Reducer::maximum) return hn::IfThenElse(hn::Or(hn::Gt(b, a), hn::IsNaN(b)), b, a);
    else return hn::IfThenElse(hn::Or(hn::Lt(b, a), hn::IsNaN(b)), b, a);
  }
  /// As apply for operands that are no NaN; of others it may lose one.
  static HWY_INLINE V apply_ordered(V a, V b) {
    if constexpr (R == Reducer::maximum) return hn::Max(a, b);
    else if constexpr (R == Reducer::minimum) return hn::Min(a, b);
    else return apply(a, b);
  }
  static HWY_INLINE T apply1(T a, T b) {
    if constexpr (R == Reducer::sum) return a + b;
    else if constexpr (R == Reducer::product) return a * b;
    else if constexpr (R == Reducer::maximum) return b > a || b != b ? b : a;
    else return b < a || b != b ? b : a;
  }
};

template <Reducer R>
inline constexpr bool kExtremum = R == Reducer::maximum || R == Reducer::minimum;

/// Blocks bound the error of long sums: inside one, each lane adds 64 numbers at most.
constexpr std::int64_t kBlock = 4096;

/// In vectors of 32 bytes also where there are longer ones: a sum has the same bits with AVX2 and AVX-512, and memory is the limit anyway.
template <Reducer R, class T>
T FoldBlock(const T* x, std::int64_t n) {
  const hn::CappedTag<T, 32 / sizeof(T)> d;
  using F = Fold<R, decltype(d)>;
  const std::int64_t lanes = std::int64_t(hn::Lanes(d));
  auto a0 = hn::Set(d, F::start()), a1 = a0, a2 = a0, a3 = a0;
  auto nan = hn::IsNaN(a0);  // of extrema: found beside them, which keeps the chains of dependent instructions short
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto v0 = hn::LoadU(d, x + i), v1 = hn::LoadU(d, x + i + lanes), v2 = hn::LoadU(d, x + i + 2 * lanes), v3 = hn::LoadU(d, x + i + 3 * lanes);
    a0 = F::apply_ordered(a0, v0);
    a1 = F::apply_ordered(a1, v1);
    a2 = F::apply_ordered(a2, v2);
    a3 = F::apply_ordered(a3, v3);
    if constexpr (kExtremum<R>) nan = hn::Or(nan, hn::Or(hn::Or(hn::IsNaN(v0), hn::IsNaN(v1)), hn::Or(hn::IsNaN(v2), hn::IsNaN(v3))));
  }
  if constexpr (kExtremum<R>)
    if (!hn::AllFalse(d, nan)) return std::numeric_limits<T>::quiet_NaN();
  for (; i + lanes <= n; i += lanes) a0 = F::apply(a0, hn::LoadU(d, x + i));
  HWY_ALIGN T parts[hn::MaxLanes(d)];
  hn::Store(F::apply(F::apply(a0, a1), F::apply(a2, a3)), d, parts);
  for (std::int64_t width = lanes / 2; width > 0; width /= 2)
    for (std::int64_t j = 0; j < width; ++j) parts[j] = F::apply1(parts[j], parts[j + width]);
  T result = parts[0];
  for (; i < n; ++i) result = F::apply1(result, x[i]);
  return result;
}

template <Reducer R, class T>
T FoldRun(const T* x, std::int64_t n) {
  using F = Fold<R, hn::CappedTag<T, 32 / sizeof(T)>>;
  if (n <= kBlock) return FoldBlock<R, T>(x, n);
  if constexpr (R == Reducer::sum) {
    double total = 0;
    for (std::int64_t i = 0; i < n; i += kBlock) total += double(FoldBlock<R, T>(x + i, std::min(kBlock, n - i)));
    return T(total);
  } else {
    T total = F::start();
    for (std::int64_t i = 0; i < n; i += kBlock) total = F::apply1(total, FoldBlock<R, T>(x + i, std::min(kBlock, n - i)));
    return total;
  }
}

template <Reducer R, class T>
void FoldRows(const T* x, std::int64_t rows, std::int64_t columns, T* acc) {
  const hn::ScalableTag<T> d;
  using F = Fold<R, decltype(d)>;
  const std::int64_t lanes = std::int64_t(hn::Lanes(d));
  std::int64_t row = 0;
  // Four rows at a time, so that the accumulator is read and written a quarter as often.
  for (; row + 4 <= rows; row += 4) {
    const T* r0 = x + row * columns;
    const T *r1 = r0 + columns, *r2 = r1 + columns, *r3 = r2 + columns;
    std::int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      const auto pair = F::apply(F::apply(hn::LoadU(d, r0 + j), hn::LoadU(d, r1 + j)), F::apply(hn::LoadU(d, r2 + j), hn::LoadU(d, r3 + j)));
      hn::StoreU(F::apply(hn::LoadU(d, acc + j), pair), d, acc + j);
    }
    for (; j < columns; ++j) acc[j] = F::apply1(acc[j], F::apply1(F::apply1(r0[j], r1[j]), F::apply1(r2[j], r3[j])));
  }
  for (; row < rows; ++row) {
    const T* r = x + row * columns;
    std::int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) hn::StoreU(F::apply(hn::LoadU(d, acc + j), hn::LoadU(d, r + j)), d, acc + j);
    for (; j < columns; ++j) acc[j] = F::apply1(acc[j], r[j]);
  }
}

template <class T>
ReduceRuns<T> RunsOf(Reducer reducer) {
  switch (reducer) {
    case Reducer::sum: return {FoldRun<Reducer::sum, T>, FoldRows<Reducer::sum, T>};
    case Reducer::product: return {FoldRun<Reducer::product, T>, FoldRows<Reducer::product, T>};
    case Reducer::maximum: return {FoldRun<Reducer::maximum, T>, FoldRows<Reducer::maximum, T>};
    default: return {FoldRun<Reducer::minimum, T>, FoldRows<Reducer::minimum, T>};
  }
}
ReduceRuns<float> FloatRuns(Reducer reducer) { return RunsOf<float>(reducer); }
ReduceRuns<double> DoubleRuns(Reducer reducer) { return RunsOf<double>(reducer); }

}  // namespace HWY_NAMESPACE
}  // namespace lockstep
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lockstep {
HWY_EXPORT(FloatRuns);
HWY_EXPORT(DoubleRuns);

template <>
ReduceRuns<float> reduce_runs<float>(Reducer reducer) {
  return HWY_DYNAMIC_DISPATCH(FloatRuns)(reducer);
}
template <>
ReduceRuns<double> reduce_runs<double>(Reducer reducer) {
  return HWY_DYNAMIC_DISPATCH(DoubleRuns)(reducer);
}
}  // namespace lockstep
#endif

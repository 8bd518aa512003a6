// Reductions over axes. Every sum is added up in an order that follows from the shape, so results are the same bits in every run.

#include <limits>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/reduce.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep::cuda {
namespace {

/// What T is accumulated in: the type of computation; all integers of a sum in 64 bits, which wrap.
template <class T>
using Accumulated = std::conditional_t<kWhole<T>, std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>, decltype(value_of(T()))>;

template <Reducer R>
struct Combine {
  template <class A>
  LOCKSTEP_HD A operator()(A a, A b) const {
    if constexpr (R == Reducer::sum) return plus(a, b);
    else if constexpr (R == Reducer::product) return times(a, b);
    else if constexpr (std::is_same_v<A, bool>) return R == Reducer::maximum ? a || b : a && b;
    else if constexpr (R == Reducer::maximum) return a != a || a > b ? a : b;  // a NaN on either side is kept
    else return a != a || a < b ? a : b;
  }
};

template <Reducer R, class T, class A>
A start_of() {
  if constexpr (R == Reducer::sum) return A{};
  else if constexpr (R == Reducer::product && kIsComplex<A>) return A{1, 0};
  else if constexpr (R == Reducer::product) return A(1);
  else if constexpr (std::is_same_v<A, bool>) return R == Reducer::minimum;
  else if constexpr (std::is_floating_point_v<A>) return R == Reducer::maximum ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::infinity();
  else return R == Reducer::maximum ? A(std::numeric_limits<T>::min()) : A(std::numeric_limits<T>::max());
}

template <class T, class A>
struct StoreScaled {
  double scale;
  std::int64_t count;  // integers: divided by it, 0 where there is nothing; 1 for no mean
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t o, A total) const {
    if constexpr (kWhole<T>) {
      const T wrapped = static_cast<T>(total);
      z[o] = count == 1 ? wrapped : count == 0 ? T(0) : static_cast<T>(static_cast<A>(wrapped) / static_cast<A>(count));
    } else if constexpr (kIsComplex<T>) {
      z[o] = {total.re * decltype(total.re)(scale), total.im * decltype(total.re)(scale)};
    } else if constexpr (std::is_same_v<T, bool>) {
      z[o] = total;
    } else {
      z[o] = stored<T>(scale == 1 ? total : total * A(scale));
    }
  }
};

template <Reducer R, std::uint32_t Set>
BoundKernel bind_reduction(const BindContext& context, const Folding& folding, bool mean) {
  return visit<Set>(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using A = Accumulated<T>;
    const FoldPlan plan = fold_plan(folding);
    return [plan, walk = fold_walk(folding), scale = mean ? 1.0 / double(folding.reduced) : 1.0, count = mean ? folding.reduced : 1,
            workspace = Workspace(plan.nbytes(sizeof(A)))](Inputs in, Outputs out) {
      fold(plan, workspace.data(), start_of<R, T, A>(), LoadAt<FoldWalk, T, A>{walk, static_cast<const T*>(in[0])}, Combine<R>(), StoreScaled<T, A>{scale, count, static_cast<T*>(out[0])});
    };
  });
}

template <Reducer R, std::uint32_t Set, bool Mean = false>
BoundKernel reduce(const BindContext& context) {
  return bind_reduction<R, Set>(context, fold_axes(context.shape(0), rules::wrap_axes(context.attr("axis"), context.shape(0).ndim())), Mean);
}

BoundKernel sum_to_shape(const BindContext& context) {
  return bind_reduction<Reducer::sum, kNumeric.bits>(context, fold_axes(context.shape(0), broadcast_axes(context.shape(0), context.shape(1))), false);
}

// ---- argmax, argmin: of equals the first, and the first NaN before all

template <class C>
struct Candidate {
  C value;
  std::int64_t place;  // negative: none
};
template <bool Largest>
struct Better {
  template <class C>
  LOCKSTEP_HD Candidate<C> operator()(Candidate<C> a, Candidate<C> b) const {
    if (a.place < 0) return b;
    if (b.place < 0) return a;
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan) return a_nan ? a : b;
    const bool better = Largest ? a.value > b.value : a.value < b.value, worse = Largest ? a.value < b.value : a.value > b.value;
    if (!a_nan && (better || worse)) return better ? a : b;
    return a.place < b.place ? a : b;
  }
};
template <class T, class C>
struct LoadCandidate {
  FoldWalk walk;
  const T* x;
  LOCKSTEP_HD Candidate<C> operator()(std::int64_t o, std::int64_t k) const { return {C(value_of(x[walk(o, k)])), k}; }
};
template <class C>
struct StorePlace {
  bool wide;
  void* z;
  LOCKSTEP_HD void operator()(std::int64_t o, Candidate<C> best) const {
    if (wide) static_cast<std::int64_t*>(z)[o] = best.place;
    else static_cast<std::int32_t*>(z)[o] = std::int32_t(best.place);
  }
};
template <bool Largest>
BoundKernel arg(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const int axes[] = {rules::wrap_axis(context.integer("axis"), shape.ndim())};
  const Folding folding = fold_axes(shape, axes);
  const bool wide = context.output(0).dtype == int64;
  return visit<(kReal | kBool).bits>(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = std::conditional_t<kWhole<T> || std::is_same_v<T, bool>, std::conditional_t<std::is_same_v<T, std::uint64_t>, std::uint64_t, std::int64_t>, decltype(value_of(T()))>;
    const FoldPlan plan = fold_plan(folding);
    return [plan, walk = fold_walk(folding), wide, workspace = Workspace(plan.nbytes(sizeof(Candidate<C>)))](Inputs in, Outputs out) {
      fold(plan, workspace.data(), Candidate<C>{C(), -1}, LoadCandidate<T, C>{walk, static_cast<const T*>(in[0])}, Better<Largest>(), StorePlace<C>{wide, out[0]});
    };
  });
}

constexpr Kernel kReduceKernels[] = {
    {"reduce_sum", reduce<Reducer::sum, kNumeric.bits>},
    {"reduce_mean", reduce<Reducer::sum, kNumeric.bits, true>},
    {"reduce_max", reduce<Reducer::maximum, kReal.bits>},
    {"reduce_min", reduce<Reducer::minimum, kReal.bits>},
    {"reduce_prod", reduce<Reducer::product, kNumeric.bits>},
    {"reduce_any", reduce<Reducer::maximum, kBool.bits>},
    {"reduce_all", reduce<Reducer::minimum, kBool.bits>},
    {"argmax", arg<true>},
    {"argmin", arg<false>},
    {"sum_to_shape_of", sum_to_shape},
};

}  // namespace

std::span<const Kernel> reduce_kernels() { return kReduceKernels; }

}  // namespace lockstep::cuda

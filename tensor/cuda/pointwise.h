#pragma once
// Pointwise kernels: a body for one element (pointwise/kernels.inc and plain.inc), and around it broadcasting and loads of 16 bytes.

#include <math.h>

#include <lockstep/tensor/cuda/launch.h>
#include <lockstep/tensor/pointwise/bind.h>

namespace lockstep::cuda {

#define LOCKSTEP_CODE(...) __VA_ARGS__
#include <lockstep/tensor/cuda/lanes.inc>
#include <lockstep/tensor/pointwise/special.inc>
#undef LOCKSTEP_CODE

#define LOCKSTEP_ONE(name, expression, heavy)                                         \
  struct name##_body {                                                                \
    static constexpr int kOperands = 1;                                               \
    static constexpr bool kHeavy = heavy;                                             \
    template <class V>                                                                \
    LOCKSTEP_HD static auto apply([[maybe_unused]] const double* p, V x) {            \
      [[maybe_unused]] const Lanes<V> l;                                              \
      return expression;                                                              \
    }                                                                                 \
  };
#define LOCKSTEP_UNARY(name, expression) LOCKSTEP_ONE(name, expression, false)
#define LOCKSTEP_HEAVY(name, expression) LOCKSTEP_ONE(name, expression, true)
#define LOCKSTEP_BINARY(name, expression)                                             \
  struct name##_body {                                                                \
    static constexpr int kOperands = 2;                                               \
    static constexpr bool kHeavy = false;                                             \
    template <class V>                                                                \
    LOCKSTEP_HD static auto apply(const double*, V x, V y) {                          \
      [[maybe_unused]] const Lanes<V> l;                                              \
      return expression;                                                              \
    }                                                                                 \
  };
#include <lockstep/tensor/pointwise/kernels.inc>
#include <lockstep/tensor/cuda/plain.inc>
#undef LOCKSTEP_ONE
#undef LOCKSTEP_UNARY
#undef LOCKSTEP_HEAVY
#undef LOCKSTEP_BINARY

/// How up to three operands lie over the result: neighbouring axes along which all walk the same way are one.
struct Broadcast {
  static constexpr int kMost = 3;
  std::int64_t numel = 1;
  std::int64_t inner = 1;  // size of the last axis
  int ndim = 0;            // merged axes
  bool narrow = false;     // 32 bits are enough to divide with
  std::int64_t size[Shape::kMaxDims] = {};
  std::int64_t stride[kMost][Shape::kMaxDims] = {};

  /// Offsets of the first N operands for element i of the result.
  template <int N>
  LOCKSTEP_HD void offsets(std::int64_t i, std::int64_t (&at)[N]) const {
    if (!narrow) return wide_offsets(i, at, N);
    for (std::int64_t& each : at) each = 0;
    std::uint32_t rest = std::uint32_t(i);
    for (int axis = ndim - 1; axis >= 0; --axis) {
      const std::uint32_t n = std::uint32_t(size[axis]), quotient = axis == 0 ? 0 : rest / n, k = rest - quotient * n;
      rest = quotient;
      for (int o = 0; o < N; ++o) at[o] += std::int64_t(k) * stride[o][axis];
    }
  }
  LOCKSTEP_NOINLINE LOCKSTEP_HD void wide_offsets(std::int64_t i, std::int64_t* at, int operands) const {
    for (int o = 0; o < operands; ++o) at[o] = 0;
    for (int axis = ndim - 1; axis >= 0; --axis) {
      const std::int64_t quotient = axis == 0 ? 0 : i / size[axis], k = i - quotient * size[axis];
      i = quotient;
      for (int o = 0; o < operands; ++o) at[o] += k * stride[o][axis];
    }
  }
};
Broadcast broadcast_of(const BindContext& context);

template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T at[N];
};
/// Elements that move together.
template <class Body, class T>
inline constexpr int kPack = sizeof(T) >= 16 ? 1 : sizeof(T) == 8 ? 2 : 4;
template <class Body, class T>
  requires(Body::kHeavy || kIsComplex<T>)
inline constexpr int kPack<Body, T> = 1;

/// z[i] = body(x[i], y[i], w[i]) for kPack elements at once, or for one where they do not lie well.
template <class Body, class R, class A, class B, class C>
struct Pointwise {
  static constexpr int kN = kPack<Body, std::conditional_t<(sizeof(A) > sizeof(R)), A, R>>;
  Broadcast walk;
  bool packed;
  double p[4];
  const A* x;
  const B* y;
  const C* w;
  R* z;

  LOCKSTEP_HD R one(A a, B b, C c) const {
    if constexpr (Body::kOperands == 1) return result(Body::apply(p, value_of(a)));
    else if constexpr (Body::kOperands == 2) return result(Body::apply(p, value_of(a), value_of(b)));
    else return Body::apply(p, a, b, c);
  }
  template <class V>
  LOCKSTEP_HD static R result(V value) {
    if constexpr (std::is_same_v<R, V>) return value;
    else return stored<R>(value);
  }
  template <class T>
  LOCKSTEP_HD static Pack<T, kN> load(const T* from, bool walks) {
    if (walks) return *reinterpret_cast<const Pack<T, kN>*>(from);
    Pack<T, kN> all;
    for (T& each : all.at) each = *from;
    return all;
  }
  LOCKSTEP_HD void move_pack(std::int64_t first) const {
    constexpr int kOperands = Body::kOperands;
    std::int64_t at[kOperands];
    const int last = walk.ndim - 1;
    if constexpr (kOperands == 1) at[0] = first;
    else walk.offsets(first, at);
    const Pack<A, kN> a = load(x + at[0], kOperands == 1 || walk.stride[0][last] == 1);
    Pack<B, kN> b{};
    Pack<C, kN> c{};
    if constexpr (kOperands > 1) b = load(y + at[1], walk.stride[1][last] == 1);
    if constexpr (kOperands > 2) c = load(w + at[2], walk.stride[2][last] == 1);
    Pack<R, kN> r;
    for (int k = 0; k < kN; ++k) r.at[k] = one(a.at[k], b.at[k], c.at[k]);
    *reinterpret_cast<Pack<R, kN>*>(z + first) = r;
  }
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    constexpr int kOperands = Body::kOperands;
    const std::int64_t first = packed ? i * kN : i;
    std::int64_t at[kOperands];
    if constexpr (kN > 1)
      if (packed && first + kN <= walk.numel) {
        move_pack(first);
        return;
      }
    const std::int64_t end = !packed ? first + 1 : walk.numel;
    for (std::int64_t k = first; k < end; ++k) {
      if constexpr (kOperands == 1) {
        z[k] = one(x[k], B(), C());
      } else {
        walk.offsets(k, at);
        z[k] = one(x[at[0]], y[at[1]], kOperands > 2 ? w[at[kOperands - 1]] : C());
      }
    }
  }
};

/// Binds a body for operands A, B, C (those that it takes) and result R.
template <class Body, class R, class A, class B = A, class C = A>
BoundKernel bind_body(const BindContext& context) {
  using Run = Pointwise<Body, R, A, B, C>;
  Run run{broadcast_of(context), false, {}, nullptr, nullptr, nullptr, nullptr};
  const SmallVector<double, 4> params = pointwise_params(context);
  std::copy(params.begin(), params.end(), run.p);
  // Packs need whole rows of them, or one row, whose rest is done by ones.
  const bool packs = Run::kN > 1 && run.walk.ndim > 0 && (run.walk.ndim == 1 || run.walk.inner % Run::kN == 0) && run.walk.numel >= Run::kN;
  return [run, packs](Inputs in, Outputs out) {
    Run now = run;
    now.x = static_cast<const A*>(in[0]);
    if constexpr (Body::kOperands > 1) now.y = static_cast<const B*>(in[1]);
    if constexpr (Body::kOperands > 2) now.w = static_cast<const C*>(in[2]);
    now.z = static_cast<R*>(out[0]);
    const auto fits = [](const auto* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % (sizeof(*pointer) * std::size_t(Run::kN)) == 0; };
    now.packed = packs && fits(now.x) && fits(now.y) && fits(now.w) && fits(now.z);
    for_each(now.packed ? (now.walk.numel + Run::kN - 1) / Run::kN : now.walk.numel, now);
  };
}

/// The binder of a row of one or two operands of the dtypes in `Set`: `Float` for floats, `Other` for the rest.
template <class Float, class Other, std::uint32_t Set>
BoundKernel pointwise(const BindContext& context) {
  return visit<Set>(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using Body = std::conditional_t<kFloating<T>, Float, Other>;
    using V = decltype(value_of(T()));
    if constexpr (Body::kOperands == 1) {
      using R = decltype(Body::apply(static_cast<const double*>(nullptr), V()));
      return bind_body<Body, std::conditional_t<std::is_same_v<R, V>, T, R>, T>(context);
    } else {
      using R = decltype(Body::apply(static_cast<const double*>(nullptr), V(), V()));
      return bind_body<Body, std::conditional_t<std::is_same_v<R, V>, T, R>, T>(context);
    }
  });
}

}  // namespace lockstep::cuda

// The kernels for every instruction set that Highway knows here; vector_run and its kin choose once, when a run is asked for.

#include <lockstep/tensor/pointwise/kernels.h>

#include <cmath>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lockstep/tensor/pointwise/kernels.cpp"
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lockstep {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using pointwise::Kernel;

#include <lockstep/tensor/pointwise/lanes-inl.h>

#define LOCKSTEP_UNARY(name, expression)                                                                    \
  struct name##_body {                                                                                      \
    static constexpr int kOperands = 1;                                                                     \
    template <class L, class V>                                                                             \
    HWY_INLINE static V apply(const L& l, V x, V, const double* p) {                                        \
      static_cast<void>(l), static_cast<void>(p);                                                           \
      return expression;                                                                                    \
    }                                                                                                       \
  };
#define LOCKSTEP_BINARY(name, expression)                                                                   \
  struct name##_body {                                                                                      \
    static constexpr int kOperands = 2;                                                                     \
    template <class L, class V>                                                                             \
    HWY_INLINE static V apply(const L& l, V x, V y, const double*) {                                        \
      return expression;                                                                                    \
    }                                                                                                       \
  };
#include <lockstep/tensor/pointwise/kernels.inc>
#undef LOCKSTEP_UNARY
#undef LOCKSTEP_BINARY

/// The stretch loop; the rest that does not fill a vector is computed in a padded copy, so nothing outside is touched.
template <class Body, class T>
void stretch(const void* const* in, void* out, std::int64_t n, const double* p) {
  const hn::ScalableTag<T> d;
  const Lanes<decltype(d)> l{d};
  const std::int64_t lanes = std::int64_t(hn::Lanes(d));
  const T* x = static_cast<const T*>(in[0]);
  const T* y = static_cast<const T*>(in[Body::kOperands - 1]);
  T* z = static_cast<T*>(out);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto vx = hn::LoadU(d, x + i);
    if constexpr (Body::kOperands == 1) hn::StoreU(Body::apply(l, vx, vx, p), d, z + i);
    else hn::StoreU(Body::apply(l, vx, hn::LoadU(d, y + i), p), d, z + i);
  }
  if (i == n) return;
  const std::size_t rest = std::size_t(n - i);
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN T px[hn::MaxLanes(d)] = {};
  HWY_ALIGN T py[hn::MaxLanes(d)] = {};
  std::memcpy(px, x + i, rest * sizeof(T));
  std::memcpy(py, y + i, rest * sizeof(T));
  hn::Store(Body::apply(l, hn::Load(d, px), hn::Load(d, py), p), d, px);
  std::memcpy(z + i, px, rest * sizeof(T));
#else
  const auto mask = hn::FirstN(d, rest);
  const auto vx = hn::MaskedLoad(mask, d, x + i);
  const auto vy = hn::MaskedLoad(mask, d, y + i);
  hn::BlendedStore(Body::apply(l, vx, vy, p), mask, d, z + i);
#endif
}

PointwiseFn VectorRun(Kernel kernel, DType dtype) {
  if (dtype != float32 && dtype != float64) return nullptr;
  switch (kernel) {
#define LOCKSTEP_UNARY(name, expression) \
  case Kernel::name: return dtype == float32 ? PointwiseFn(stretch<name##_body, float>) : PointwiseFn(stretch<name##_body, double>);
#define LOCKSTEP_BINARY LOCKSTEP_UNARY
#include <lockstep/tensor/pointwise/kernels.inc>
#undef LOCKSTEP_UNARY
#undef LOCKSTEP_BINARY
    case Kernel::count: break;
  }
  return nullptr;
}

// ---- chains

using pointwise::ChainOp;
using pointwise::ChainStep;

constexpr std::size_t kChainVectors = 8;

/// The steps on elements [i, i + sizeof...(K) vectors), or on `rest` elements, less than a vector. The accumulators stay in registers.
template <bool kRest, std::size_t... K>
HWY_INLINE void ChainBlock(const ChainStep* steps, int count, std::int64_t i, std::size_t rest, std::index_sequence<K...>) {
  const hn::ScalableTag<float> d;
  const Lanes<decltype(d)> l{d};
  const std::size_t lanes = hn::Lanes(d);
  hn::VFromD<decltype(d)> a[] = {(static_cast<void>(K), hn::Zero(d))...};
  for (int s = 0; s < count; ++s) {
    const auto operand = [&](std::size_t k) HWY_ATTR {
      const float* from = steps[s].operand + i;
      if constexpr (kRest) return hn::MaskedLoad(hn::FirstN(d, rest), d, from);
      else return hn::LoadU(d, from + k * lanes);
    };
    switch (steps[s].op) {
#define LOCKSTEP_STEP(op, expression) case ChainOp::op: ((a[K] = expression), ...); break;
#define LOCKSTEP_ALONE(op, body) LOCKSTEP_STEP(op, body::apply(l, a[K], a[K], nullptr))
#define LOCKSTEP_WITH(op, body) LOCKSTEP_STEP(op, body::apply(l, a[K], operand(K), nullptr))
#define LOCKSTEP_AFTER(op, body) LOCKSTEP_STEP(op, body::apply(l, operand(K), a[K], nullptr))
      LOCKSTEP_STEP(load, operand(K))
      LOCKSTEP_ALONE(neg, neg_body)
      LOCKSTEP_ALONE(abs, abs_body)
      LOCKSTEP_ALONE(square, square_body)
      LOCKSTEP_ALONE(sqrt, sqrt_body)
      LOCKSTEP_ALONE(rsqrt, rsqrt_body)
      LOCKSTEP_ALONE(reciprocal, reciprocal_body)
      LOCKSTEP_ALONE(relu, relu_body)
      LOCKSTEP_WITH(add, add_body)
      LOCKSTEP_WITH(subtract, subtract_body)
      LOCKSTEP_AFTER(subtract_from, subtract_body)
      LOCKSTEP_WITH(multiply, multiply_body)
      LOCKSTEP_WITH(divide, divide_body)
      LOCKSTEP_AFTER(divide_into, divide_body)
      LOCKSTEP_WITH(maximum, maximum_body)
      LOCKSTEP_AFTER(maximum_of, maximum_body)
      LOCKSTEP_WITH(minimum, minimum_body)
      LOCKSTEP_AFTER(minimum_of, minimum_body)
      LOCKSTEP_WITH(squared_difference, squared_difference_body)
      LOCKSTEP_AFTER(squared_difference_of, squared_difference_body)
#undef LOCKSTEP_AFTER
#undef LOCKSTEP_WITH
#undef LOCKSTEP_ALONE
#undef LOCKSTEP_STEP
    }
    if (steps[s].store) {
      float* to = steps[s].store + i;
      if constexpr (kRest) hn::BlendedStore(a[0], hn::FirstN(d, rest), d, to);
      else (hn::StoreU(a[K], d, to + K * lanes), ...);
    }
  }
}

void RunChain(const ChainStep* steps, int count, std::int64_t n) {
  const std::int64_t lanes = std::int64_t(hn::Lanes(hn::ScalableTag<float>())), block = std::int64_t(kChainVectors) * lanes;
  std::int64_t i = 0;
  for (; i + block <= n; i += block) ChainBlock<false>(steps, count, i, 0, std::make_index_sequence<kChainVectors>());
  for (; i + lanes <= n; i += lanes) ChainBlock<false>(steps, count, i, 0, std::index_sequence<0>());
  if (i < n) ChainBlock<true>(steps, count, i, std::size_t(n - i), std::index_sequence<0>());
}

// ---- plain loops, which the compiler vectorizes for each target

template <class T>
HWY_INLINE auto value_of(T x) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) return float(x);
  else return x;
}

template <int Relation, class T>
void compare(const void* const* in, void* out, std::int64_t n, const double*) {
  const T* HWY_RESTRICT x = static_cast<const T*>(in[0]);
  const T* HWY_RESTRICT y = static_cast<const T*>(in[1]);
  bool* z = static_cast<bool*>(out);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto a = value_of(x[i]);
    const auto b = value_of(y[i]);
    if constexpr (Relation == 0) z[i] = a == b;
    else if constexpr (Relation == 1) z[i] = a != b;
    else if constexpr (Relation == 2) z[i] = a < b;
    else if constexpr (Relation == 3) z[i] = a <= b;
    else if constexpr (Relation == 4) z[i] = a > b;
    else z[i] = a >= b;
  }
}

template <class T>
PointwiseFn compare_of(int relation) {
  switch (relation) {
    case 0: return compare<0, T>;
    case 1: return compare<1, T>;
    case 2: return compare<2, T>;
    case 3: return compare<3, T>;
    case 4: return compare<4, T>;
    default: return compare<5, T>;
  }
}

PointwiseFn CompareRun(int relation, DType dtype) {
  return visit_dtype(dtype, [&]<class T>(TypeTag<T>) -> PointwiseFn {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) return nullptr;
    else return compare_of<T>(relation);
  });
}

template <class T>
void choose(const void* const* in, void* out, std::int64_t n, const double*) {
  const std::uint8_t* condition = static_cast<const std::uint8_t*>(in[0]);
  const T* x = static_cast<const T*>(in[1]);
  const T* y = static_cast<const T*>(in[2]);
  T* z = static_cast<T*>(out);
  for (std::int64_t i = 0; i < n; ++i) {
    const T a = x[i], b = y[i];
    z[i] = condition[i] ? a : b;
  }
}

struct Bytes16 {
  std::uint64_t low, high;
};

PointwiseFn SelectRun(std::size_t size) {
  switch (size) {
    case 1: return choose<std::uint8_t>;
    case 2: return choose<std::uint16_t>;
    case 4: return choose<std::uint32_t>;
    case 8: return choose<std::uint64_t>;
    case 16: return choose<Bytes16>;
    default: return nullptr;
  }
}

template <class From, class To>
HWY_INLINE To converted(From from) {
  const auto x = value_of(from);
  using X = std::remove_cv_t<decltype(x)>;
  if constexpr (std::is_same_v<To, bool>) return x != X(0);
  else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>) return To(float(x));
  else if constexpr (std::is_floating_point_v<X> && std::is_integral_v<To>) {
    // Out of range is undefined in C++: do as x86's conversion does, through the widest type it has for the purpose.
    if constexpr (sizeof(To) == 8) {
      constexpr double kLimit = 9223372036854775808.0;
      if (!(x >= X(-kLimit) && x < X(kLimit))) return std::is_signed_v<To> || !(x >= X(kLimit) && x < X(2 * kLimit)) ? To(INT64_MIN) : To(std::uint64_t(x));
      return To(std::int64_t(x));
    } else if constexpr (sizeof(To) == 4 && std::is_signed_v<To>) {
      return x >= X(-2147483648.0) && x < X(2147483648.0) ? To(x) : To(INT32_MIN);
    } else {
      const std::int64_t wide = x >= X(-9223372036854775808.0) && x < X(9223372036854775808.0) ? std::int64_t(x) : INT64_MIN;
      return static_cast<To>(wide);
    }
  } else return static_cast<To>(x);
}

template <class From, class To>
void convert(const void* const* in, void* out, std::int64_t n, const double*) {
  const From* x = static_cast<const From*>(in[0]);
  To* z = static_cast<To*>(out);
  for (std::int64_t i = 0; i < n; ++i) z[i] = converted<From, To>(x[i]);
}

template <class T>
inline constexpr bool kReal = !std::is_same_v<T, std::string> && !std::is_same_v<T, std::complex<float>> && !std::is_same_v<T, std::complex<double>>;

PointwiseFn CastRun(DType from, DType to) {
  return visit_dtype(from, [&]<class From>(TypeTag<From>) -> PointwiseFn {
    return visit_dtype(to, [&]<class To>(TypeTag<To>) -> PointwiseFn {
      if constexpr (kReal<From> && kReal<To>) return convert<From, To>;
      else return nullptr;
    });
  });
}

template <int Operation, class T>
void integer(const void* const* in, void* out, std::int64_t n, const double*) {
  using U = std::make_unsigned_t<T>;  // wraps, as every integer tensor does
  const T* x = static_cast<const T*>(in[0]);
  const T* y = static_cast<const T*>(in[1]);
  T* z = static_cast<T*>(out);
  for (std::int64_t i = 0; i < n; ++i) {
    const T a = x[i], b = y[i];
    if constexpr (Operation == 0) z[i] = T(U(U(a) + U(b)));
    else if constexpr (Operation == 1) z[i] = T(U(U(a) - U(b)));
    else if constexpr (Operation == 2) z[i] = T(U(std::uint64_t(U(a)) * U(b)));
    else if constexpr (Operation == 3) z[i] = a < b ? b : a;
    else if constexpr (Operation == 4) z[i] = b < a ? b : a;
    else z[i] = T(U(std::uint64_t(U(U(a) - U(b))) * U(U(a) - U(b))));
  }
}

PointwiseFn IntegerRun(int operation, DType dtype) {
  return visit_dtype(dtype, [&]<class T>(TypeTag<T>) -> PointwiseFn {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      switch (operation) {
        case 0: return integer<0, T>;
        case 1: return integer<1, T>;
        case 2: return integer<2, T>;
        case 3: return integer<3, T>;
        case 4: return integer<4, T>;
        default: return integer<5, T>;
      }
    }
    return nullptr;
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace lockstep
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lockstep {

HWY_EXPORT(VectorRun);
HWY_EXPORT(CompareRun);
HWY_EXPORT(SelectRun);
HWY_EXPORT(CastRun);
HWY_EXPORT(IntegerRun);
HWY_EXPORT(RunChain);

namespace pointwise {

PointwiseFn vector_run(Kernel kernel, DType dtype) { return HWY_DYNAMIC_DISPATCH(VectorRun)(kernel, dtype); }
PointwiseFn compare_run(int relation, DType dtype) { return HWY_DYNAMIC_DISPATCH(CompareRun)(relation, dtype); }
PointwiseFn select_run(DType dtype) { return HWY_DYNAMIC_DISPATCH(SelectRun)(dtype == string ? 0 : itemsize(dtype)); }
PointwiseFn cast_run(DType from, DType to) { return HWY_DYNAMIC_DISPATCH(CastRun)(from, to); }
PointwiseFn integer_run(int operation, DType dtype) { return HWY_DYNAMIC_DISPATCH(IntegerRun)(operation, dtype); }

void run_chain(const ChainStep* steps, int count, std::int64_t n) { HWY_DYNAMIC_DISPATCH(RunChain)(steps, count, n); }

namespace {

/// 16-bit floats: a tile to float32, the float32 kernel, and back.
template <Kernel K, class Low>
void low_run(const void* const* in, void* out, std::int64_t n, const double* p) {
  static const PointwiseFn run = vector_run(K, float32);
  constexpr std::int64_t kTile = 256;
  float x[2][kTile];
  for (std::int64_t i = 0; i < n; i += kTile) {
    const std::int64_t count = std::min(kTile, n - i);
    for (int operand = 0; operand < (K >= Kernel::add ? 2 : 1); ++operand)
      for (std::int64_t j = 0; j < count; ++j) x[operand][j] = float(static_cast<const Low*>(in[operand])[i + j]);
    const void* tiles[] = {x[0], x[1]};
    run(tiles, x[0], count, p);
    for (std::int64_t j = 0; j < count; ++j) static_cast<Low*>(out)[i + j] = Low(x[0][j]);
  }
}

}  // namespace

PointwiseFn float_run(Kernel kernel, DType dtype) {
  if (dtype != float16 && dtype != bfloat16) return vector_run(kernel, dtype);
  switch (kernel) {
#define LOCKSTEP_UNARY(name, expression) \
  case Kernel::name: return dtype == float16 ? PointwiseFn(low_run<Kernel::name, Half>) : PointwiseFn(low_run<Kernel::name, BFloat16>);
#define LOCKSTEP_BINARY LOCKSTEP_UNARY
#include <lockstep/tensor/pointwise/kernels.inc>
#undef LOCKSTEP_UNARY
#undef LOCKSTEP_BINARY
    case Kernel::count: break;
  }
  return nullptr;
}

}  // namespace pointwise
}  // namespace lockstep
#endif

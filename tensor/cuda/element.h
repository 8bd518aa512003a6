#pragma once
// Elements as kernels see them. 16-bit floats are computed in float32; complex numbers have a plain struct of their own, because
// std::complex is not made for device code.

#include <complex>
#include <string>
#include <type_traits>

#include <lockstep/tensor/op.h>

#ifdef LOCKSTEP_CUDA_EMULATED
/// What may run on the host and on the device.
#define LOCKSTEP_HD
#define LOCKSTEP_NOINLINE
#else
#include <cuda_fp16.h>
#define LOCKSTEP_HD __host__ __device__
#define LOCKSTEP_NOINLINE __noinline__
#endif

namespace lockstep::cuda {

template <class T>
struct Complex {
  T re, im;
};
template <class T>
LOCKSTEP_HD Complex<T> operator+(Complex<T> a, Complex<T> b) { return {a.re + b.re, a.im + b.im}; }
template <class T>
LOCKSTEP_HD Complex<T> operator-(Complex<T> a, Complex<T> b) { return {a.re - b.re, a.im - b.im}; }
template <class T>
LOCKSTEP_HD Complex<T> operator-(Complex<T> a) { return {-a.re, -a.im}; }
template <class T>
LOCKSTEP_HD Complex<T> operator*(Complex<T> a, Complex<T> b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
/// Smith's way: no square of a part overflows.
template <class T>
LOCKSTEP_HD Complex<T> operator/(Complex<T> a, Complex<T> b) {
  const bool tall = (b.re < 0 ? -b.re : b.re) < (b.im < 0 ? -b.im : b.im);
  const T ratio = tall ? b.re / b.im : b.im / b.re, denominator = tall ? b.im + b.re * ratio : b.re + b.im * ratio;
  return tall ? Complex<T>{(a.re * ratio + a.im) / denominator, (a.im * ratio - a.re) / denominator}
              : Complex<T>{(a.re + a.im * ratio) / denominator, (a.im - a.re * ratio) / denominator};
}
template <class T>
LOCKSTEP_HD bool operator==(Complex<T> a, Complex<T> b) { return a.re == b.re && a.im == b.im; }

/// The element type of a C++ type of dtype.h.
template <class T> struct DeviceType { using type = T; };
template <class T> struct DeviceType<std::complex<T>> { using type = Complex<T>; };
template <class T> using device_t = typename DeviceType<T>::type;

template <class T> inline constexpr bool kLow = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T> inline constexpr bool kIsComplex = std::is_same_v<T, Complex<float>> || std::is_same_v<T, Complex<double>>;
template <class T> inline constexpr bool kFloating = std::is_floating_point_v<T> || kLow<T>;
template <class T> inline constexpr bool kWhole = std::is_integral_v<T> && !std::is_same_v<T, bool>;

LOCKSTEP_HD inline float value_of(Half x) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(x.bits));
#else
  return Half::to_float(x.bits);
#endif
}
LOCKSTEP_HD inline float value_of(BFloat16 x) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(std::uint32_t(x.bits) << 16);
#else
  return float(x);
#endif
}
template <class T>
LOCKSTEP_HD T value_of(T x) { return x; }

/// A number of the type of computation as an element.
template <class T>
LOCKSTEP_HD T stored(compute_t<T> x) {
  if constexpr (std::is_same_v<T, Half>) {
#ifdef __CUDA_ARCH__
    T result;
    result.bits = __half_as_ushort(__float2half_rn(x));
    return result;
#else
    return T(x);
#endif
  } else if constexpr (std::is_same_v<T, BFloat16>) {
#ifdef __CUDA_ARCH__
    const std::uint32_t word = __float_as_uint(x);
    T result;
    result.bits = x != x ? std::uint16_t((word >> 16) | 0x40u) : std::uint16_t((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
    return result;
#else
    return T(x);
#endif
  } else {
    return x;
  }
}

/// a + b in the type of computation; integers wrap.
template <class C>
LOCKSTEP_HD C plus(C a, C b) {
  if constexpr (std::is_integral_v<C>) return static_cast<C>(std::uint64_t(a) + std::uint64_t(b));
  else return a + b;
}
template <class C>
LOCKSTEP_HD C times(C a, C b) {
  if constexpr (std::is_integral_v<C>) return static_cast<C>(std::uint64_t(a) * std::uint64_t(b));
  else return a * b;
}

/// Calls f(TypeTag<T>) with the element type of a dtype out of `Set` (the bits of a DTypeSet); refuses any other.
template <std::uint32_t Set, class R = BoundKernel, class F>
R visit(DType dtype, std::string_view op, F&& f) {
  return visit_dtype(dtype, [&]<class T>(TypeTag<T>) -> R {
    if constexpr (!std::is_same_v<T, std::string> && ((Set >> unsigned(dtype_of<T>)) & 1u) != 0) return f(TypeTag<device_t<T>>{});
    else throw UnimplementedError("there is no CUDA kernel for " + std::string(name(dtype)), op);
  });
}

struct alignas(16) Bytes16 {
  std::uint64_t low, high;
};
/// Where elements are only moved: f(TypeTag<T>) with a type of their size.
template <class R, class F>
R visit_itemsize(std::size_t size, F&& f) {
  switch (size) {
    case 1: return f(TypeTag<std::uint8_t>{});
    case 2: return f(TypeTag<std::uint16_t>{});
    case 4: return f(TypeTag<std::uint32_t>{});
    case 8: return f(TypeTag<std::uint64_t>{});
    default: return f(TypeTag<Bytes16>{});
  }
}
inline void refuse_strings(DType dtype, std::string_view op) {
  if (dtype == string) throw UnimplementedError("there is no CUDA kernel for string", op);
}
template <class R = BoundKernel, class F>
R visit_size(DType dtype, std::string_view op, F&& f) {
  refuse_strings(dtype, op);
  return visit_itemsize<R>(itemsize(dtype), f);
}

/// Sizes or strides by value in a kernel's arguments.
struct Dims {
  std::int64_t at[Shape::kMaxDims];
  LOCKSTEP_HD std::int64_t operator[](int axis) const { return at[axis]; }
};
inline Dims dims_of(const std::array<std::int64_t, Shape::kMaxDims>& values) {
  Dims dims{};
  for (int i = 0; i < Shape::kMaxDims; ++i) dims.at[i] = values[std::size_t(i)];
  return dims;
}
inline Dims dims_of(const Shape& shape) {
  Dims dims{};
  for (int i = 0; i < shape.ndim(); ++i) dims.at[i] = shape[i];
  return dims;
}

/// Index i of an int32 operand, or of an int64 one (`wide`).
struct IndexAt {
  const void* indices;
  bool wide;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t i) const {
    return wide ? static_cast<const std::int64_t*>(indices)[i] : std::int64_t(static_cast<const std::int32_t*>(indices)[i]);
  }
};
inline IndexAt index_at(const Tensor& indices) { return {indices.raw(), indices.dtype() == int64}; }

}  // namespace lockstep::cuda

#pragma once
// Element types. A DType is a one-byte value; everything known about a dtype (its size, name, class, C++ type) is asked here.

#include <bit>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace lockstep {

/// Element type of a tensor. The order is the promotion-free order of the groups below; values are stable (they go to files).
enum class DType : std::uint8_t {
  boolean, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
  float16, bfloat16, float32, float64, complex64, complex128, string,
};
inline constexpr int kDTypeCount = 16;

inline constexpr DType boolean = DType::boolean;
inline constexpr DType int8 = DType::int8;
inline constexpr DType int16 = DType::int16;
inline constexpr DType int32 = DType::int32;
inline constexpr DType int64 = DType::int64;
inline constexpr DType uint8 = DType::uint8;
inline constexpr DType uint16 = DType::uint16;
inline constexpr DType uint32 = DType::uint32;
inline constexpr DType uint64 = DType::uint64;
inline constexpr DType float16 = DType::float16;
inline constexpr DType bfloat16 = DType::bfloat16;
inline constexpr DType float32 = DType::float32;
inline constexpr DType float64 = DType::float64;
inline constexpr DType complex64 = DType::complex64;
inline constexpr DType complex128 = DType::complex128;
inline constexpr DType string = DType::string;

/// IEEE 754 binary16 storage. Arithmetic happens in float; conversion rounds to nearest even.
struct Half {
  std::uint16_t bits = 0;
  Half() = default;
  explicit Half(float value) : bits(from_float(value)) {}
  explicit operator float() const { return to_float(bits); }
  static std::uint16_t from_float(float value);
  static float to_float(std::uint16_t bits);
  friend bool operator==(Half a, Half b) { return float(a) == float(b); }
  friend bool operator<(Half a, Half b) { return float(a) < float(b); }
};

/// bfloat16 storage: the upper half of a float. Conversion rounds to nearest even; NaN stays NaN.
struct BFloat16 {
  std::uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value) : bits(from_float(value)) {}
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t(bits) << 16); }
  static std::uint16_t from_float(float value) {
    const std::uint32_t word = std::bit_cast<std::uint32_t>(value);
    if (value != value) return std::uint16_t((word >> 16) | 0x40u);
    return std::uint16_t((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
  }
  friend bool operator==(BFloat16 a, BFloat16 b) { return float(a) == float(b); }
  friend bool operator<(BFloat16 a, BFloat16 b) { return float(a) < float(b); }
};

/// Bytes of one element; sizeof(std::string) for string.
std::size_t itemsize(DType dtype);
/// NumPy's name: "float32", "bool", "string", ...
std::string_view name(DType dtype);
/// The dtype of that name. Throws InvalidArgumentError, naming the nearest.
DType dtype_from_name(std::string_view name);

/// A set of dtypes, one bit each.
struct DTypeSet {
  std::uint32_t bits = 0;
  constexpr bool contains(DType dtype) const { return (bits >> unsigned(dtype)) & 1u; }
  friend constexpr DTypeSet operator|(DTypeSet a, DTypeSet b) { return {a.bits | b.bits}; }
};
template <class... D>
constexpr DTypeSet dtypes(D... list) {
  return {((1u << unsigned(list)) | ... | 0u)};
}
inline constexpr DTypeSet kBool = dtypes(boolean);
inline constexpr DTypeSet kSigned = dtypes(int8, int16, int32, int64);
inline constexpr DTypeSet kUnsigned = dtypes(uint8, uint16, uint32, uint64);
inline constexpr DTypeSet kInts = kSigned | kUnsigned;
inline constexpr DTypeSet kIndexInts = dtypes(int32, int64);
inline constexpr DTypeSet kFloats = dtypes(float16, bfloat16, float32, float64);
inline constexpr DTypeSet kComplex = dtypes(complex64, complex128);
inline constexpr DTypeSet kReal = kInts | kFloats;
inline constexpr DTypeSet kNumeric = kReal | kComplex;
inline constexpr DTypeSet kFixedSize = kNumeric | kBool;
inline constexpr DTypeSet kAny = kFixedSize | dtypes(string);
/// "float32, float64" for messages.
std::string to_string(DTypeSet set);

inline bool is_float(DType dtype) { return kFloats.contains(dtype); }
inline bool is_complex(DType dtype) { return kComplex.contains(dtype); }
inline bool is_integer(DType dtype) { return kInts.contains(dtype); }
/// Can a gradient flow through it: floats and complex numbers.
inline bool is_differentiable(DType dtype) { return is_float(dtype) || is_complex(dtype); }

template <class T> inline constexpr DType dtype_of = [] { static_assert(sizeof(T) == 0, "no dtype for this C++ type"); return DType::boolean; }();
template <> inline constexpr DType dtype_of<bool> = boolean;
template <> inline constexpr DType dtype_of<std::int8_t> = int8;
template <> inline constexpr DType dtype_of<std::int16_t> = int16;
template <> inline constexpr DType dtype_of<std::int32_t> = int32;
template <> inline constexpr DType dtype_of<std::int64_t> = int64;
template <> inline constexpr DType dtype_of<long long> = int64;
template <> inline constexpr DType dtype_of<std::uint8_t> = uint8;
template <> inline constexpr DType dtype_of<std::uint16_t> = uint16;
template <> inline constexpr DType dtype_of<std::uint32_t> = uint32;
template <> inline constexpr DType dtype_of<std::uint64_t> = uint64;
template <> inline constexpr DType dtype_of<Half> = float16;
template <> inline constexpr DType dtype_of<BFloat16> = bfloat16;
template <> inline constexpr DType dtype_of<float> = float32;
template <> inline constexpr DType dtype_of<double> = float64;
template <> inline constexpr DType dtype_of<std::complex<float>> = complex64;
template <> inline constexpr DType dtype_of<std::complex<double>> = complex128;
template <> inline constexpr DType dtype_of<std::string> = string;

template <class T>
struct TypeTag {
  using type = T;
};

/// Calls `f(TypeTag<T>{})` with the C++ type of `dtype`. The caller has checked that `dtype` is in the set it handles.
template <class F>
decltype(auto) visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::boolean: return f(TypeTag<bool>{});
    case DType::int8: return f(TypeTag<std::int8_t>{});
    case DType::int16: return f(TypeTag<std::int16_t>{});
    case DType::int32: return f(TypeTag<std::int32_t>{});
    case DType::int64: return f(TypeTag<std::int64_t>{});
    case DType::uint8: return f(TypeTag<std::uint8_t>{});
    case DType::uint16: return f(TypeTag<std::uint16_t>{});
    case DType::uint32: return f(TypeTag<std::uint32_t>{});
    case DType::uint64: return f(TypeTag<std::uint64_t>{});
    case DType::float16: return f(TypeTag<Half>{});
    case DType::bfloat16: return f(TypeTag<BFloat16>{});
    case DType::float32: return f(TypeTag<float>{});
    case DType::float64: return f(TypeTag<double>{});
    case DType::complex64: return f(TypeTag<std::complex<float>>{});
    case DType::complex128: return f(TypeTag<std::complex<double>>{});
    case DType::string: return f(TypeTag<std::string>{});
  }
  __builtin_unreachable();
}

/// The type arithmetic on T happens in: float for the 16-bit floats, T itself otherwise.
template <class T> struct ComputeType { using type = T; };
template <> struct ComputeType<Half> { using type = float; };
template <> struct ComputeType<BFloat16> { using type = float; };
template <class T> using compute_t = typename ComputeType<T>::type;

}  // namespace lockstep

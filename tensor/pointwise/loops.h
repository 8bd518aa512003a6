#pragma once
// Runs from a plain function of one element, for the ops that no vector kernel covers: libm's functions, integers, complex numbers.

#include <cstdint>
#include <span>

#include <lockstep/tensor/op.h>

namespace lockstep::pointwise {

/// Body::apply(x, params) for each element, in compute_t of the dtype; a Body says by its constraints which types it takes.
template <class Body>
PointwiseFn unary_loop(DType dtype) {
  return visit_dtype(dtype, [&]<class T>(TypeTag<T>) -> PointwiseFn {
    using C = compute_t<T>;
    if constexpr (requires(C x, const double* p) { Body::apply(x, p); }) {
      return [](const void* const* in, void* out, std::int64_t n, const double* p) {
        using R = decltype(Body::apply(C{}, p));
        using To = std::conditional_t<std::is_same_v<R, C>, T, R>;
        const T* x = static_cast<const T*>(in[0]);
        To* z = static_cast<To*>(out);
        for (std::int64_t i = 0; i < n; ++i) z[i] = static_cast<To>(Body::apply(static_cast<C>(x[i]), p));
      };
    } else {
      return nullptr;
    }
  });
}

/// The same for two operands of one dtype.
template <class Body>
PointwiseFn binary_loop(DType dtype) {
  return visit_dtype(dtype, [&]<class T>(TypeTag<T>) -> PointwiseFn {
    using C = compute_t<T>;
    if constexpr (requires(C x) { Body::apply(x, x); }) {
      return [](const void* const* in, void* out, std::int64_t n, const double*) {
        using R = decltype(Body::apply(C{}, C{}));
        using To = std::conditional_t<std::is_same_v<R, C>, T, R>;
        const T* x = static_cast<const T*>(in[0]);
        const T* y = static_cast<const T*>(in[1]);
        To* z = static_cast<To*>(out);
        for (std::int64_t i = 0; i < n; ++i) z[i] = static_cast<To>(Body::apply(static_cast<C>(x[i]), static_cast<C>(y[i])));
      };
    } else {
      return nullptr;
    }
  });
}

template <class T>
concept Real = std::floating_point<T>;
template <class T>
concept Whole = std::integral<T> && !std::same_as<T, bool>;
template <class T>
concept ComplexNumber = std::same_as<T, std::complex<float>> || std::same_as<T, std::complex<double>>;

/// The largest whole number <= x / y.
template <Whole T>
constexpr T floor_quotient(T x, T y) {
  if constexpr (std::is_signed_v<T>) {
    if (y == T(-1)) return static_cast<T>(0 - std::uint64_t(x));  // the smallest number has no opposite: it wraps
  }
  const T q = T(x / y);
  return T(x % y) != 0 && ((x < 0) != (y < 0)) ? T(q - 1) : q;
}

/// base^exponent for exponents >= 0; wraps.
template <Whole T>
constexpr T power(T base, T exponent) {
  std::uint64_t result = 1, factor = std::uint64_t(base);
  for (auto e = std::uint64_t(exponent); e; e >>= 1) {
    if (e & 1) result *= factor;
    factor *= factor;
  }
  return static_cast<T>(result);
}

}  // namespace lockstep::pointwise

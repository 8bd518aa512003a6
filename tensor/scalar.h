#pragma once
// A number without a dtype: the literal in `t + 10` or an attribute. It takes the dtype of the tensor it meets.

#include <complex>
#include <concepts>
#include <cstdint>
#include <string>

#include <lockstep/tensor/dtype.h>

namespace lockstep {

/// A literal bool, integer, real or complex number.
class Scalar {
 public:
  enum class Kind : std::uint8_t { boolean, integer, real, complex };

  template <std::same_as<bool> B>
  Scalar(B value) : kind_(Kind::boolean), integer_(value), real_(value ? 1 : 0) {}
  template <std::integral I>
    requires(!std::same_as<I, bool> && !std::same_as<I, char>)
  Scalar(I value) : kind_(Kind::integer), integer_(static_cast<std::int64_t>(value)), real_(static_cast<double>(value)) {}
  template <std::floating_point F>
  Scalar(F value) : kind_(Kind::real), real_(double(value)) {}
  template <std::floating_point F>
  Scalar(std::complex<F> value) : kind_(Kind::complex), real_(double(value.real())), imaginary_(double(value.imag())) {}

  Kind kind() const { return kind_; }
  double real() const { return real_; }
  double imaginary() const { return imaginary_; }
  std::int64_t integer() const { return kind_ == Kind::real || kind_ == Kind::complex ? std::int64_t(real_) : integer_; }
  /// Can it become `dtype` without losing its kind or wrapping: 1.5 cannot become int32, 300 not int8, 1 can become float32.
  bool fits(DType dtype) const;
  friend bool operator==(const Scalar& a, const Scalar& b) {
    return a.kind_ == b.kind_ && a.integer_ == b.integer_ && a.real_ == b.real_ && a.imaginary_ == b.imaginary_;
  }

 private:
  Kind kind_;
  std::int64_t integer_ = 0;
  double real_ = 0;
  double imaginary_ = 0;
};

std::string to_string(const Scalar& scalar);

}  // namespace lockstep

#pragma once
// Tensors from values at hand: nested braces, vectors, spans.

#include <algorithm>
#include <concepts>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep {

/// Nested braces of literals, as in `constant({{1, 2, 3}, {4, 5, 6}})`. Only ever written as an argument.
class NestedLiteral {
 public:
  NestedLiteral(bool value) : value_(Scalar(value)), dtype_(boolean) {}
  template <std::integral I>
    requires(!std::same_as<I, bool> && !std::same_as<I, char>)
  NestedLiteral(I value) : value_(Scalar(value)), dtype_(sizeof(I) > 4 ? int64 : int32) {}
  /// A literal 2. is float32, as in Keras; ask for float64 by the dtype argument.
  template <std::floating_point F>
  NestedLiteral(F value) : value_(Scalar(value)), dtype_(float32) {}
  template <std::floating_point F>
  NestedLiteral(std::complex<F> value) : value_(Scalar(value)), dtype_(sizeof(F) == 8 ? complex128 : complex64) {}
  NestedLiteral(const char* value) : value_(std::string(value)), dtype_(string) {}
  NestedLiteral(std::string value) : value_(std::move(value)), dtype_(string) {}
  NestedLiteral(std::initializer_list<NestedLiteral> items) : value_(std::vector<NestedLiteral>(items)), dtype_(float32) {}

  bool is_list() const { return std::holds_alternative<std::vector<NestedLiteral>>(value_); }
  const std::vector<NestedLiteral>& items() const { return std::get<std::vector<NestedLiteral>>(value_); }
  const std::variant<Scalar, std::string, std::vector<NestedLiteral>>& value() const { return value_; }
  DType dtype() const { return dtype_; }

 private:
  std::variant<Scalar, std::string, std::vector<NestedLiteral>> value_;
  DType dtype_;
};

/// A tensor of literals: int32, int64, float32, bool, complex or string by what is written; a mixture of ints and reals is float32.
/// `dtype` asks for another one. Throws InvalidArgumentError for braces of unequal length or depth, or a literal that does not fit.
Tensor constant(const NestedLiteral& values, std::optional<DType> dtype = {});

/// A copy of the elements; 1-d. A std::vector<double> gives float64.
template <class T>
Tensor constant(std::span<const T> values) {
  return constant(values, Shape{std::int64_t(values.size())});
}
/// A copy of the elements under `shape`. Throws InvalidArgumentError unless it has as many.
template <class T>
Tensor constant(std::span<const T> values, const Shape& shape);
template <class T>
Tensor constant(const std::vector<T>& values) {
  return constant(values, Shape{std::int64_t(values.size())});
}
template <class T>
Tensor constant(const std::vector<T>& values, const Shape& shape);

/// The caller's memory itself, without a copy: it must stay, unchanged, for as long as any tensor shares it. `release`, which must not
/// throw, runs once, in the thread that drops the last such tensor. Throws as constant() does; then `release` has not run.
template <class T>
Tensor borrow(std::span<const T> values, const Shape& shape, std::function<void()> release = {});

/// Zeros (false, empty strings).
Tensor zeros(const Shape& shape, DType dtype = float32);
Tensor ones(const Shape& shape, DType dtype = float32);

namespace detail {
void require_numel(std::size_t given, const Shape& shape);
}

template <class T>
Tensor constant(std::span<const T> values, const Shape& shape) {
  detail::require_numel(values.size(), shape);
  Tensor tensor = Tensor::empty(shape, dtype_of<T>);
  std::copy(values.begin(), values.end(), tensor.mutable_data<T>());
  return placed(std::move(tensor));
}

template <class T>
Tensor constant(const std::vector<T>& values, const Shape& shape) {
  detail::require_numel(values.size(), shape);
  Tensor tensor = Tensor::empty(shape, dtype_of<T>);
  std::copy(values.begin(), values.end(), tensor.mutable_data<T>());
  return placed(std::move(tensor));
}

template <class T>
Tensor borrow(std::span<const T> values, const Shape& shape, std::function<void()> release) {
  detail::require_numel(values.size(), shape);
  return Tensor::borrow(const_cast<T*>(values.data()), shape, dtype_of<T>, std::move(release));
}

}  // namespace lockstep

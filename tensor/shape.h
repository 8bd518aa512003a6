#pragma once
// Shape: up to 8 sizes stored inline, so that copying one never allocates. Tensors are row-major and contiguous.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace lockstep {

/// Sizes of a tensor, outermost first. Rank 0 is a scalar; a size may be 0. At most kMaxDims axes.
class Shape {
 public:
  static constexpr int kMaxDims = 8;

  Shape() = default;
  /// Throws InvalidArgumentError for a negative size, more than kMaxDims axes, or more than 2^58 elements (sizes of 0 not counted).
  Shape(std::initializer_list<std::int64_t> sizes) : Shape(std::span<const std::int64_t>(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const std::int64_t> sizes);
  /// The shape of a value inside a trace whose sizes depend on data (boolean_mask, unique, ...).
  static Shape unknown() {
    Shape shape;
    shape.ndim_ = -1;
    return shape;
  }

  /// False only for Shape::unknown(); no other member may then be used.
  bool known() const { return ndim_ >= 0; }
  int ndim() const { return ndim_; }
  /// Size of an axis; negative counts from the end. Throws IndexError.
  std::int64_t dim(int axis) const;
  std::int64_t operator[](int axis) const { return dims_[std::size_t(axis)]; }
  std::int64_t& operator[](int axis) { return dims_[std::size_t(axis)]; }
  /// Number of elements; 1 for a scalar.
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < ndim_; ++i) n *= dims_[std::size_t(i)];
    return n;
  }
  std::span<const std::int64_t> dims() const { return {dims_.data(), std::size_t(ndim_)}; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + ndim_; }
  /// Appends an axis. Throws as the constructor does.
  void push_back(std::int64_t size);

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.ndim_ != b.ndim_) return false;
    for (int i = 0; i < a.ndim_; ++i)
      if (a.dims_[std::size_t(i)] != b.dims_[std::size_t(i)]) return false;
    return true;
  }

 private:
  std::array<std::int64_t, kMaxDims> dims_{};
  int ndim_ = 0;
};

/// "(2, 3)", "(3,)", "()" as Python prints tuples; "(?)" when unknown.
std::string to_string(const Shape& shape);
/// Row-major strides in elements.
std::array<std::int64_t, Shape::kMaxDims> row_major_strides(const Shape& shape);

}  // namespace lockstep

#include <lockstep/tensor/shape.h>

#include <lockstep/tensor/base/error.h>

namespace lockstep {

Shape::Shape(std::span<const std::int64_t> sizes) {
  if (sizes.size() > std::size_t(kMaxDims))
    throw InvalidArgumentError("a shape has at most " + std::to_string(kMaxDims) + " axes, got " + std::to_string(sizes.size()));
  for (const std::int64_t size : sizes) push_back(size);
}

std::int64_t Shape::dim(int axis) const {
  const int wrapped = axis < 0 ? axis + ndim_ : axis;
  if (wrapped < 0 || wrapped >= ndim_)
    throw IndexError("axis " + std::to_string(axis) + " is out of range for shape " + to_string(*this));
  return dims_[std::size_t(wrapped)];
}

void Shape::push_back(std::int64_t size) {
  if (ndim_ == kMaxDims) throw InvalidArgumentError("a shape has at most " + std::to_string(kMaxDims) + " axes");
  if (size < 0) throw InvalidArgumentError("negative size " + std::to_string(size) + " at axis " + std::to_string(ndim_));
  // Overflow is judged on the nonzero sizes, so that (0, 2^62) cannot hide a product that later code multiplies out.
  std::int64_t product = 1;
  for (const std::int64_t each : dims()) product *= each > 0 ? each : 1;
  if (size > 0 && (__builtin_mul_overflow(product, size, &product) || product > (std::int64_t(1) << 58)))
    throw InvalidArgumentError("shape overflows: more than 2^58 elements at axis " + std::to_string(ndim_));
  dims_[std::size_t(ndim_++)] = size;
}

std::string to_string(const Shape& shape) {
  if (!shape.known()) return "(?)";
  std::string text = "(";
  for (int i = 0; i < shape.ndim(); ++i) text.append(i ? ", " : "").append(std::to_string(shape[i]));
  return text.append(shape.ndim() == 1 ? ",)" : ")");
}

std::array<std::int64_t, Shape::kMaxDims> row_major_strides(const Shape& shape) {
  std::array<std::int64_t, Shape::kMaxDims> strides{};
  std::int64_t stride = 1;
  for (int i = shape.ndim() - 1; i >= 0; --i) {
    strides[std::size_t(i)] = stride;
    stride *= shape[i];
  }
  return strides;
}

}  // namespace lockstep

#pragma once
// What the rows of images share: channels last, one image (height, width, channels) or a batch of them.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/tensor/op.h>

namespace lockstep::image {

/// Refuses all but (height, width, channels) and (batch, height, width, channels).
inline void require_images(const InferContext& context, std::size_t operand = 0) {
  const int ndim = context.shape(operand).ndim();
  if (ndim != 3 && ndim != 4) context.refuse("images are (height, width, channels) or (batch, height, width, channels)");
}
/// Position of the axis of rows; columns and channels follow it.
inline int rows_axis(const Shape& shape) { return shape.ndim() - 3; }
inline std::int64_t height_of(const Shape& shape) { return shape[shape.ndim() - 3]; }
inline std::int64_t width_of(const Shape& shape) { return shape[shape.ndim() - 2]; }
inline std::int64_t channels_of(const Shape& shape) { return shape[shape.ndim() - 1]; }
/// The shape with another height and width.
inline Shape with_size(Shape shape, std::int64_t height, std::int64_t width) {
  shape[shape.ndim() - 3] = height;
  shape[shape.ndim() - 2] = width;
  return shape;
}

/// Bits of an integer dtype's largest value.
inline int value_bits(DType dtype) { return int(itemsize(dtype)) * 8 - (kSigned.contains(dtype) ? 1 : 0); }
inline double largest_value(DType dtype) { return std::ldexp(1.0, value_bits(dtype)) - 1; }
/// To an integer dtype: what lies beyond it becomes its smallest or largest value.
Tensor saturated(const Tensor& x, DType dtype);

// The adjustments of float images, by numbers that broadcast.
Tensor with_contrast(const Tensor& x, const Tensor& factor);
Tensor with_hue(const Tensor& x, const Tensor& delta);
Tensor with_saturation(const Tensor& x, const Tensor& factor);

using Compose = Tensors (*)(const OpCall&, std::span<const Tensor>);

/// A row of one operand that is defined by others.
inline OpDef composed(std::string_view name, std::string_view doc, DTypeSet dtypes, std::vector<AttrDef> attrs, void (*infer)(InferContext&), Compose compose, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "image", .attrs = std::move(attrs), .dtypes = same(dtypes), .infer = infer, .onnx = no_onnx("exported as the ops that define it"), .samples = std::move(samples), .compose = compose};
}

}  // namespace lockstep::image

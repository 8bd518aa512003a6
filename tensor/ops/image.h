#pragma once
// What the rows of images share: channels last, one image (height, width, channels) or a batch of them.

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

/// Refuses sizes below `least` or above 2^30.
inline void require_size(const InferContext& context, std::string_view name, std::int64_t least = 1) {
  const std::int64_t value = context.integer(name);
  if (value < least || value > (std::int64_t(1) << 30)) context.refuse(std::string(name) + " must be in [" + std::to_string(least) + ", 2^30], got " + std::to_string(value));
}

inline AttrDef integer_attr(std::string_view name) { return {.name = name, .type = AttrType::integer, .required = true}; }
inline AttrDef integer_attr(std::string_view name, std::int64_t fallback) { return {.name = name, .type = AttrType::integer, .fallback = fallback}; }
inline AttrDef number_attr(std::string_view name) { return {.name = name, .type = AttrType::number, .required = true}; }
inline AttrDef number_attr(std::string_view name, double fallback) { return {.name = name, .type = AttrType::number, .fallback = fallback}; }
inline AttrDef boolean_attr(std::string_view name, bool fallback) { return {.name = name, .type = AttrType::boolean, .fallback = fallback}; }
inline AttrDef text_attr(std::string_view name, const char* fallback) { return {.name = name, .type = AttrType::string, .fallback = std::string(fallback)}; }

using Compose = Tensors (*)(const OpCall&, std::span<const Tensor>);

/// A row of one operand that is defined by others.
inline OpDef composed(std::string_view name, std::string_view doc, DTypeSet dtypes, std::vector<AttrDef> attrs, void (*infer)(InferContext&), Compose compose, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "image", .attrs = std::move(attrs), .dtypes = same(dtypes), .infer = infer, .onnx = no_onnx("exported as the ops that define it"), .samples = std::move(samples), .compose = compose};
}

}  // namespace lockstep::image

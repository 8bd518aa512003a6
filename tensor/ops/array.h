#pragma once
// What the rows of arrangement (array.cpp, join.cpp) have in common.

#include <string>
#include <utility>
#include <vector>

#include <lockstep/tensor/op.h>

namespace lockstep::array {

inline Ints list(const Shape& shape) { return {shape.begin(), shape.end()}; }

/// Shape from sizes that the caller gave; negative ones are the op's refusal.
inline Shape shape_of(const InferContext& context, const Ints& sizes) {
  for (const std::int64_t size : sizes)
    if (size < 0) context.refuse("negative size " + std::to_string(size) + " in " + to_string(AttrValue(sizes)));
  try {
    return Shape(std::span<const std::int64_t>(sizes.begin(), sizes.size()));
  } catch (const InvalidArgumentError& error) {
    context.refuse(error.what());
  }
}

inline AttrDef axis_attr(std::int64_t fallback) { return {.name = "axis", .type = AttrType::integer, .fallback = fallback}; }

inline OpDef base(std::string_view name, std::string_view doc, void (*infer)(InferContext&), GradRule gradient, OnnxForm form, std::vector<AttrDef> attrs, Sample sample) {
  return {.name = name, .doc = doc, .family = "array", .attrs = std::move(attrs), .dtypes = same(kAny), .infer = infer, .gradient = gradient, .onnx = form, .samples = {std::move(sample)}};
}
inline OpDef with_kernel(OpDef row, BoundKernel (*cpu)(const BindContext&)) {
  row.cpu = cpu;
  return row;
}
inline OpDef viewing(OpDef row) {
  row.fusion = Fusion::view;
  return row;
}
inline OpDef composed(OpDef row, Tensors (*compose)(const OpCall&, std::span<const Tensor>)) {
  row.compose = compose;
  return row;
}
inline OpDef taking(OpDef row, int least, int most) {
  row.min_inputs = least;
  row.max_inputs = most;
  return row;
}

}  // namespace lockstep::array

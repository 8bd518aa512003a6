#pragma once
// What the rows of arrangement (array.cpp, join.cpp) have in common.

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops/permute.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep::array {

inline Ints list(const Shape& shape) { return {shape.begin(), shape.end()}; }

/// Shape from sizes that the caller gave; negative ones are the op's refusal.
template <class Context>
Shape shape_of(const Context& context, const Ints& sizes) {
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

// ---- how the kernels of every device walk

/// The order of axes that transpose was asked for.
inline SmallVector<int, 8> permutation(const OpCall& call, int ndim) {
  SmallVector<int, 8> order;
  if (call.is_none("perm"))
    for (int i = ndim - 1; i >= 0; --i) order.push_back(i);
  else
    for (const std::int64_t axis : call.ints("perm")) order.push_back(rules::wrap_axis(axis, ndim));
  return order;
}

/// Reads `from` with its axes in the order that transpose was asked for; `to` is their sizes in this order.
inline StridedCopy transpose_walk(const OpCall& call, const Shape& from, const Shape& to) {
  StridedCopy copy = gather_walk(to);
  const auto strides = row_major_strides(from);
  const SmallVector<int, 8> order = permutation(call, from.ndim());
  for (std::size_t i = 0; i < order.size(); ++i) copy.from[i] = strides[std::size_t(order[i])];
  return copy;
}

/// What repeat walks.
struct Repetition {
  Shape shape;  // of the operand, flattened if there is no axis
  int axis;
};
inline Repetition repetition(const OpCall& call, const Shape& shape) {
  if (call.is_none("axis")) return {Shape{shape.numel()}, 0};
  return {shape, rules::wrap_axis(std::get<std::int64_t>(call.attr("axis")), shape.ndim())};
}

/// Which row of the operand each row of the result is.
inline Ints repeated_rows(const OpCall& call, std::int64_t rows) {
  const Ints repeats = call.ints("repeats");
  Ints result;
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t k = 0; k < repeats[repeats.size() == 1 ? 0 : std::size_t(i)]; ++k) result.push_back(i);
  return result;
}

/// Reads `from` as if it were broadcast to `to`.
inline StridedCopy broadcast_walk(const Shape& from, const Shape& to) {
  StridedCopy copy = gather_walk(to);
  const auto strides = row_major_strides(from);
  for (int i = 0; i < from.ndim(); ++i)
    if (from[i] != 1) copy.from[std::size_t(i + to.ndim() - from.ndim())] = strides[std::size_t(i)];
  return copy;
}

/// Reads the axes that reverse was asked for from their ends.
inline StridedCopy reverse_walk(const OpCall& call, const Shape& shape) {
  StridedCopy copy = gather_walk(shape);
  copy.from = row_major_strides(shape);
  for (const int axis : rules::wrap_axes(call.attr("axis"), shape.ndim())) {
    const auto k = std::size_t(axis);
    copy.from_offset += (shape[axis] - 1) * copy.from[k];
    copy.from[k] = -copy.from[k];
  }
  return copy;
}

/// By how much roll shifts each axis: at least 0, less than its size.
inline std::array<std::int64_t, Shape::kMaxDims> roll_shift(const OpCall& context, const Shape& shape) {
  std::array<std::int64_t, Shape::kMaxDims> shift{};
  const Ints by = context.ints("shift"), axis = context.ints("axis");
  for (std::size_t i = 0; i < by.size(); ++i) {
    const int a = rules::wrap_axis(axis[i], shape.ndim());
    if (shape[a] > 0) shift[std::size_t(a)] = (shift[std::size_t(a)] + by[i] % shape[a] + shape[a]) % shape[a];
  }
  return shift;
}

enum class PadMode : std::uint8_t { constant, reflect, symmetric };
inline PadMode pad_mode(const OpCall& call) {
  const std::string& mode = call.text("mode");
  return mode == "constant" ? PadMode::constant : mode == "reflect" ? PadMode::reflect : PadMode::symmetric;
}
/// Position in the operand of position `i` of the padded axis, -1 for the constant.
constexpr std::int64_t padded_source(std::int64_t i, std::int64_t before, std::int64_t size, PadMode mode) {
  std::int64_t at = i - before;
  if (at >= 0 && at < size) return at;
  if (mode == PadMode::constant) return -1;
  if (mode == PadMode::reflect) return at < 0 ? -at : 2 * size - 2 - at;
  return at < 0 ? -at - 1 : 2 * size - 1 - at;
}

}  // namespace lockstep::array

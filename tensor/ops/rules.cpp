#include <lockstep/tensor/ops/rules.h>

#include <algorithm>

namespace lockstep::rules {

std::optional<Shape> try_broadcast(const Shape& a, const Shape& b) {
  const int ndim = std::max(a.ndim(), b.ndim());
  Shape result;
  for (int i = 0; i < ndim; ++i) {
    const int ia = i - (ndim - a.ndim()), ib = i - (ndim - b.ndim());
    const std::int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    if (da != db && da != 1 && db != 1) return std::nullopt;
    result.push_back(da == 1 ? db : da);
  }
  return result;
}

Shape broadcast(const InferContext& context, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const std::optional<Shape> result = try_broadcast(a, b);
  if (!result) context.refuse("shapes " + to_string(a) + " and " + to_string(b) + " do not broadcast");
  return *result;
}

void like_first(InferContext& context) { context.output(context.dtype_of(0), context.shape(0)); }

void bool_like_first(InferContext& context) { context.output(boolean, context.shape(0)); }

void broadcast_all(InferContext& context) {
  Shape shape = context.shape(0);
  for (std::size_t i = 1; i < context.input_count(); ++i) shape = broadcast(context, shape, context.shape(i));
  context.output(context.dtype_of(0), shape);
}

void broadcast_to_bool(InferContext& context) {
  broadcast_all(context);
  context.outputs[0].dtype = boolean;
}

int axis(const InferContext& context, std::int64_t axis, int ndim) {
  if (axis < -ndim || axis >= ndim)
    context.refuse("axis " + std::to_string(axis) + " is out of range for " + std::to_string(ndim) + " axes");
  return wrap_axis(axis, ndim);
}

SmallVector<int, 8> wrap_axes(const AttrValue& value, int ndim) {
  SmallVector<int, 8> result;
  if (const auto* single = std::get_if<std::int64_t>(&value)) {
    result.push_back(wrap_axis(*single, ndim));
  } else if (const auto* list = std::get_if<Ints>(&value)) {
    for (const std::int64_t each : *list) result.push_back(wrap_axis(each, ndim));
    std::sort(result.begin(), result.end());
  } else {
    for (int i = 0; i < ndim; ++i) result.push_back(i);
  }
  return result;
}

SmallVector<int, 8> axes(const InferContext& context, const AttrValue& value, int ndim) {
  if (const auto* single = std::get_if<std::int64_t>(&value)) axis(context, *single, ndim);
  if (const auto* list = std::get_if<Ints>(&value))
    for (const std::int64_t each : *list) axis(context, each, ndim);
  SmallVector<int, 8> result = wrap_axes(value, ndim);
  if (std::adjacent_find(result.begin(), result.end()) != result.end()) context.refuse("an axis is given twice: " + to_string(value));
  return result;
}

void epilogue(const InferContext& context) {
  for (std::size_t i = 0; i < context.input_count(); ++i)
    if (context.shape(i).numel() == 0) context.refuse("takes no empty operands");
  const std::string& word = context.text("activation");
  for (const char* known : {"none", "relu", "tanh", "sigmoid", "gelu"})
    if (word == known) return;
  context.refuse("activation must be none, relu, tanh, sigmoid or gelu, got \"" + word + "\"");
}

Shape reduce(const Shape& shape, std::span<const int> axes, bool keepdims) {
  Shape result;
  for (int i = 0; i < shape.ndim(); ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!reduced) result.push_back(shape[i]);
    else if (keepdims) result.push_back(1);
  }
  return result;
}

}  // namespace lockstep::rules

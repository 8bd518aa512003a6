// Joining and splitting: concat, stack, unstack, split.

#include <algorithm>
#include <numeric>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/array.h>
#include <lockstep/tensor/ops/permute.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {

using namespace array;

namespace {

using G = const GradContext&;

void concat_infer(InferContext& context) {
  const Shape& first = context.shape(0);
  const int axis = rules::axis(context, context.integer("axis"), first.ndim());
  Ints sizes = list(first);
  for (std::size_t i = 1; i < context.input_count(); ++i) {
    const Shape& shape = context.shape(i);
    bool fits = shape.ndim() == first.ndim();
    for (int k = 0; fits && k < first.ndim(); ++k) fits = k == axis || shape[k] == first[k];
    if (!fits) context.refuse("operands 0 and " + std::to_string(i) + " differ in another axis than " + std::to_string(axis));
    sizes[std::size_t(axis)] += shape[axis];
  }
  context.output(context.dtype_of(0), shape_of(context, sizes));
}

/// Operands side by side: `block` elements of each in turn, `outer` times.
BoundKernel bind_join(const BindContext& context, std::int64_t outer, SmallVector<std::int64_t, 8> blocks) {
  const DType dtype = context.dtype_of(0);
  const std::int64_t total = std::accumulate(blocks.begin(), blocks.end(), std::int64_t(0));
  return [=](Inputs in, Outputs out) {
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      run_copy(simplified({.shape = Shape{outer, blocks[i]}, .from = {blocks[i], 1}, .to = {total, 1}, .to_offset = offset}), dtype, in[i], out[0]);
      offset += blocks[i];
    }
  };
}

BoundKernel concat_cpu(const BindContext& context) {
  const int axis = rules::wrap_axis(context.integer("axis"), context.shape(0).ndim());
  std::int64_t outer = 1;
  for (int i = 0; i < axis; ++i) outer *= context.shape(0)[i];
  SmallVector<std::int64_t, 8> blocks;
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    std::int64_t block = 1;
    for (int k = axis; k < context.shape(i).ndim(); ++k) block *= context.shape(i)[k];
    blocks.push_back(block);
  }
  return bind_join(context, outer, blocks);
}

Gradients concat_gradient(G context) {
  const std::int64_t axis = context.integer("axis");
  Ints sizes;
  for (const Tensor& input : context.inputs()) {
    if (!input.shape().known()) throw UnimplementedError("the gradient needs known shapes inside a traced function", "concat");
    sizes.push_back(input.shape()[rules::wrap_axis(axis, input.ndim())]);
  }
  Gradients result;
  for (Tensor& part : split(context.upstream(), sizes, axis)) result.push_back(std::move(part));
  return result;
}

void stack_infer(InferContext& context) {
  const Shape& first = context.shape(0);
  const int axis = rules::axis(context, context.integer("axis"), first.ndim() + 1);
  for (std::size_t i = 1; i < context.input_count(); ++i)
    if (context.shape(i) != first) context.refuse("operands 0 and " + std::to_string(i) + " differ in shape");
  Ints sizes;
  for (int i = 0; i <= first.ndim(); ++i) {
    if (i == axis) sizes.push_back(std::int64_t(context.input_count()));
    if (i < first.ndim()) sizes.push_back(first[i]);
  }
  context.output(context.dtype_of(0), shape_of(context, sizes));
}

BoundKernel stack_cpu(const BindContext& context) {
  const Shape& first = context.shape(0);
  const int axis = rules::wrap_axis(context.integer("axis"), first.ndim() + 1);
  std::int64_t outer = 1;
  for (int i = 0; i < axis; ++i) outer *= first[i];
  const std::int64_t block = outer ? first.numel() / outer : 0;
  return bind_join(context, outer, SmallVector<std::int64_t, 8>(context.input_count(), block));
}

Gradients stack_gradient(G context) {
  Gradients result;
  for (Tensor& part : unstack(context.upstream(), context.integer("axis"))) result.push_back(std::move(part));
  return result;
}

/// The inverse of bind_join.
BoundKernel bind_parts(const BindContext& context, std::int64_t outer, SmallVector<std::int64_t, 8> blocks) {
  const DType dtype = context.dtype_of(0);
  const std::int64_t total = std::accumulate(blocks.begin(), blocks.end(), std::int64_t(0));
  return [=](Inputs in, Outputs out) {
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      run_copy(simplified({.shape = Shape{outer, blocks[i]}, .from = {total, 1}, .to = {blocks[i], 1}, .from_offset = offset}), dtype, in[0], out[i]);
      offset += blocks[i];
    }
  };
}

void unstack_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::axis(context, context.integer("axis"), shape.ndim());
  if (shape[axis] > std::int64_t(InferContext::kMostOutputs)) context.refuse("a call has at most 2^20 outputs");
  const int axes[] = {axis};
  for (std::int64_t i = 0; i < shape[axis]; ++i) context.output(context.dtype_of(0), rules::reduce(shape, axes, false));
}

BoundKernel unstack_cpu(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::wrap_axis(context.integer("axis"), shape.ndim());
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.ndim(); ++i) inner *= shape[i];
  return bind_parts(context, outer, SmallVector<std::int64_t, 8>(std::size_t(shape[axis]), inner));
}

Tensors all_upstreams(G context, std::size_t count) {
  Tensors result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(context.upstream(i));
  return result;
}

Gradients unstack_gradient(G context) { return {stack(all_upstreams(context, context.output_count()), context.integer("axis"))}; }

void split_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::axis(context, context.integer("axis"), shape.ndim());
  const AttrValue& wanted = context.attr("num_or_size_splits");
  Ints sizes;
  if (const auto* count = std::get_if<std::int64_t>(&wanted)) {
    if (*count < 1 || shape[axis] % *count != 0)
      context.refuse("axis " + std::to_string(axis) + " of size " + std::to_string(shape[axis]) + " cannot be split into " + std::to_string(*count) + " equal parts");
    if (*count > std::int64_t(InferContext::kMostOutputs)) context.refuse("a call has at most 2^20 outputs");
    sizes = Ints(std::size_t(*count), shape[axis] / *count);
  } else {
    sizes = context.ints("num_or_size_splits");
    std::int64_t rest = shape[axis], free = -1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == -1 && free < 0) free = std::int64_t(i);
      else if (sizes[i] < 0) context.refuse("sizes must not be negative: " + to_string(wanted));
      else if (sizes[i] > rest) context.refuse("sizes " + to_string(wanted) + " add up to more than " + std::to_string(shape[axis]));
      else rest -= sizes[i];
    }
    if (free >= 0 && rest >= 0) sizes[std::size_t(free)] = rest, rest = 0;
    if (rest != 0) context.refuse("sizes " + to_string(wanted) + " do not add up to " + std::to_string(shape[axis]));
  }
  for (const std::int64_t size : sizes) {
    Shape part = shape;
    part[axis] = size;
    context.output(context.dtype_of(0), part);
  }
}

BoundKernel split_cpu(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::wrap_axis(context.integer("axis"), shape.ndim());
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.ndim(); ++i) inner *= shape[i];
  SmallVector<std::int64_t, 8> blocks;
  for (std::size_t i = 0; i < context.output_count(); ++i) blocks.push_back(context.output(i).shape[axis] * inner);
  return bind_parts(context, outer, blocks);
}

Gradients split_gradient(G context) { return {concat(all_upstreams(context, context.output_count()), context.integer("axis"))}; }

}  // namespace

std::vector<OpDef> join_rows() {
  const Sample::Operand x{.shape = {2, 3}};
  const auto ints = [](std::string_view name) { return AttrDef{.name = name, .type = AttrType::ints, .required = true}; };
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(with_kernel(taking(base("concat", "the operands one after the other along an axis", concat_infer, concat_gradient, onnx("Concat"), {axis_attr(0)}, {.inputs = {x, {.shape = {1, 3}}}}), 1, -1), concat_cpu));
  rows.push_back(with_kernel(taking(base("stack", "the operands along a new axis", stack_infer, stack_gradient, no_onnx("exported as Unsqueeze and Concat"), {axis_attr(0)}, {.inputs = {x, x}, .attrs = {{"axis", std::int64_t(1)}}}), 1, -1), stack_cpu));
  rows.push_back(with_kernel(base("unstack", "one output for each position along an axis", unstack_infer, unstack_gradient, no_onnx("exported as Split and Squeeze"), {axis_attr(0)}, {.inputs = {x}}), unstack_cpu));
  rows.push_back(with_kernel(base("split", "parts along an axis: so many equal ones, or of these sizes (one may be -1)", split_infer, split_gradient, onnx("Split"),
      {ints("num_or_size_splits"), axis_attr(0)}, {.inputs = {x}, .attrs = {{"num_or_size_splits", Ints{1, 2}}, {"axis", std::int64_t(1)}}}), split_cpu));
  rows.back().samples.push_back({.inputs = {x}, .attrs = {{"num_or_size_splits", std::int64_t(2)}}});
  // clang-format on
  return rows;
}

}  // namespace lockstep

// Joining and splitting.

#include <lockstep/tensor/cuda/copy.h>
#include <lockstep/tensor/cuda/element.h>
#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep::cuda {
namespace {

using Blocks = SmallVector<std::int64_t, 8>;

/// One copy for each part of a row: from operand i to output 0, or from operand 0 to output i.
BoundKernel bind_parts(const BindContext& context, std::int64_t outer, const Blocks& blocks, bool joining) {
  const DType dtype = context.dtype_of(0);
  refuse_strings(dtype, context.op().name);
  std::int64_t total = 0, offset = 0;
  for (const std::int64_t block : blocks) total += block;
  std::vector<StridedCopy> copies;
  for (const std::int64_t block : blocks) {
    StridedCopy copy{.shape = Shape{outer, block}, .from = {joining ? block : total, 1}, .to = {joining ? total : block, 1}};
    (joining ? copy.to_offset : copy.from_offset) = offset;
    copies.push_back(simplified(copy));
    offset += block;
  }
  return [=](Inputs in, Outputs out) {
    for (std::size_t i = 0; i < copies.size(); ++i) enqueue_copy(copies[i], dtype, in[joining ? i : 0], out[joining ? 0 : i]);
  };
}

std::int64_t outer_of(const Shape& shape, int axis) {
  std::int64_t outer = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  return outer;
}
std::int64_t behind(const Shape& shape, int axis) {
  std::int64_t block = 1;
  for (int i = axis; i < shape.ndim(); ++i) block *= shape[i];
  return block;
}

BoundKernel concat(const BindContext& context) {
  const int axis = rules::wrap_axis(context.integer("axis"), context.shape(0).ndim());
  Blocks blocks;
  for (std::size_t i = 0; i < context.input_count(); ++i) blocks.push_back(behind(context.shape(i), axis));
  return bind_parts(context, outer_of(context.shape(0), axis), blocks, true);
}

BoundKernel stack(const BindContext& context) {
  const Shape& first = context.shape(0);
  const int axis = rules::wrap_axis(context.integer("axis"), first.ndim() + 1);
  return bind_parts(context, outer_of(first, axis), Blocks(context.input_count(), behind(first, axis)), true);
}

BoundKernel unstack(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::wrap_axis(context.integer("axis"), shape.ndim());
  return bind_parts(context, outer_of(shape, axis), Blocks(std::size_t(shape[axis]), behind(shape, axis + 1)), false);
}

BoundKernel split(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::wrap_axis(context.integer("axis"), shape.ndim());
  Blocks blocks;
  for (std::size_t i = 0; i < context.output_count(); ++i) blocks.push_back(behind(context.output(i).shape, axis));
  return bind_parts(context, outer_of(shape, axis), blocks, false);
}

constexpr Kernel kJoinKernels[] = {{"concat", concat}, {"stack", stack}, {"unstack", unstack}, {"split", split}};

}  // namespace

std::span<const Kernel> join_kernels() { return kJoinKernels; }

}  // namespace lockstep::cuda

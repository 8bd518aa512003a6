#include <lockstep/tensor/cuda/pointwise.h>

namespace lockstep::cuda {

Broadcast broadcast_of(const BindContext& context) {
  Broadcast walk;
  const Shape& out = context.output(0).shape;
  const int ndim = out.ndim(), operands = int(context.input_count());
  std::int64_t stride[Broadcast::kMost][Shape::kMaxDims] = {};
  for (int o = 0; o < operands; ++o) {
    const Shape& shape = context.shape(std::size_t(o));
    std::int64_t step = 1;
    for (int axis = ndim - 1; axis >= ndim - shape.ndim(); --axis) {
      const std::int64_t extent = shape[axis - (ndim - shape.ndim())];
      stride[o][axis] = extent == 1 ? 0 : step;
      step *= extent;
    }
  }
  for (int axis = 0; axis < ndim; ++axis) {
    walk.numel *= out[axis];
    if (out[axis] == 1) continue;
    bool joins = walk.ndim > 0;
    for (int o = 0; o < operands; ++o) joins = joins && walk.stride[o][walk.ndim - 1] == stride[o][axis] * out[axis];
    if (!joins) walk.size[walk.ndim++] = 1;
    walk.size[walk.ndim - 1] *= out[axis];
    for (int o = 0; o < operands; ++o) walk.stride[o][walk.ndim - 1] = stride[o][axis];
  }
  if (walk.ndim > 0) walk.inner = walk.size[walk.ndim - 1];
  walk.narrow = walk.numel < (std::int64_t(1) << 31);
  return walk;
}

}  // namespace lockstep::cuda

#include <lockstep/tensor/pointwise/bind.h>

namespace lockstep {

SmallVector<double, 4> pointwise_params(const OpCall& call) {
  SmallVector<double, 4> params;
  for (const AttrDef& declared : call.op().attrs)
    if (declared.type == AttrType::number || declared.type == AttrType::integer || declared.type == AttrType::boolean)
      params.push_back(call.number(declared.name));
  return params;
}

BoundKernel bind_pointwise(const BindContext& context) {
  const PointwiseFn run = context.op().pointwise(std::array{context.dtype_of(0)}, context.output(0).dtype);
  const std::int64_t n = context.output(0).shape.numel();
  return [run, n](Inputs in, Outputs out) { run(in, out[0], n, nullptr); };
}

}  // namespace lockstep

// Pointwise ops of two and three operands.

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/pointwise/bind.h>

namespace lockstep {
namespace {

Gradients add_gradient(const GradContext& context) {
  return {grads::unbroadcast(context.upstream(), context.input(0)), grads::unbroadcast(context.upstream(), context.input(1))};
}

PointwiseFn add_run(std::span<const DType> inputs, DType) {
  return inputs[0] == float32 ? PointwiseFn([](const void* const* in, void* out, std::int64_t n, const double*) {
    const float* x = static_cast<const float*>(in[0]);
    const float* y = static_cast<const float*>(in[1]);
    float* z = static_cast<float*>(out);
    for (std::int64_t i = 0; i < n; ++i) z[i] = x[i] + y[i];
  })
                              : nullptr;
}

}  // namespace

std::vector<OpDef> arithmetic_rows() {
  return {
      {.name = "add",
       .doc = "x + y",
       .family = "arithmetic",
       .min_inputs = 2,
       .max_inputs = 2,
       .dtypes = same(kNumeric | dtypes(string)),
       .infer = rules::broadcast_all,
       .gradient = add_gradient,
       .fusion = Fusion::pointwise,
       .onnx = onnx("Add"),
       .samples = {{.inputs = {{.shape = {2, 3}}, {.shape = {3}}}}},
       .cpu = bind_pointwise,
       .pointwise = add_run,
       .commutative = true},
  };
}

}  // namespace lockstep

// Complex numbers from parts, and their parts.

#include <lockstep/tensor/complex.h>

#include <cmath>
#include <complex>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/pointwise/bind.h>

namespace lockstep {
namespace {

using G = const GradContext&;

void complex_infer(InferContext& context) {
  rules::broadcast_all(context);
  context.outputs[0].dtype = context.dtype_of(0) == float32 ? complex64 : complex128;
}
void part_infer(InferContext& context) { context.output(context.dtype_of(0) == complex64 ? float32 : float64, context.shape(0)); }

template <class T>
void join_parts(const void* const* in, void* out, std::int64_t n, const double*) {
  for (std::int64_t i = 0; i < n; ++i) static_cast<std::complex<T>*>(out)[i] = {static_cast<const T*>(in[0])[i], static_cast<const T*>(in[1])[i]};
}
PointwiseFn complex_run(std::span<const DType> in, DType) { return in[0] == float32 ? join_parts<float> : join_parts<double>; }

template <auto F, class T>
void each_number(const void* const* in, void* out, std::int64_t n, const double*) {
  for (std::int64_t i = 0; i < n; ++i) static_cast<T*>(out)[i] = F(static_cast<const std::complex<T>*>(in[0])[i]);
}
template <auto F>
PointwiseFn part_run(std::span<const DType> in, DType) {
  return in[0] == complex64 ? each_number<F, float> : each_number<F, double>;
}

constexpr auto kRe = [](auto z) { return z.real(); };
constexpr auto kIm = [](auto z) { return z.imag(); };
constexpr auto kArgument = [](auto z) { return std::arg(z); };
constexpr auto kModulus = [](auto z) { return std::abs(z); };

Tensor as_complex(const Tensor& x) { return complex(x, zeros_like(x)); }

Gradients complex_gradient(G context) {
  const Tensor up = context.upstream();
  return {grads::unbroadcast(real(up), context.input(0)), grads::unbroadcast(imag(up), context.input(1))};
}
Gradients angle_gradient(G context) {
  const Tensor re = real(context.input(0)), im = imag(context.input(0)), scale = context.upstream() / (square(re) + square(im));
  return {complex(-(im * scale), re * scale)};
}
Gradients abs_gradient(G context) {
  const Tensor& z = context.input(0);
  const Tensor scale = divide_no_nan(context.upstream(), context.output());
  return {complex(real(z) * scale, imag(z) * scale)};
}

OpDef part(std::string_view name, std::string_view doc, PointwiseFn (*run)(std::span<const DType>, DType), GradRule gradient, double low = -2) {
  return {.name = name, .doc = doc, .family = "math", .dtypes = same(kComplex), .infer = part_infer, .gradient = gradient, .fusion = Fusion::pointwise,
          .onnx = no_onnx("ONNX's operators take no complex numbers"), .samples = {{.inputs = {{.dtype = complex128, .shape = {2, 3}, .low = low}}}}, .cpu = bind_pointwise, .pointwise = run};
}

}  // namespace

Tensor complex(const Tensor& re, const Tensor& im) {
  static const OpDef& op = find_op("complex");
  return apply(op, {re, im});
}
Tensor real(const Tensor& z) {
  static const OpDef& op = find_op("real");
  return apply(op, {z});
}
Tensor imag(const Tensor& z) {
  static const OpDef& op = find_op("imag");
  return apply(op, {z});
}
Tensor angle(const Tensor& z) {
  static const OpDef& op = find_op("angle");
  return apply(op, {z});
}
Tensor complex_abs(const Tensor& z) {
  static const OpDef& op = find_op("complex_abs");
  return apply(op, {z});
}

std::vector<OpDef> complex_rows() {
  std::vector<OpDef> rows;
  rows.push_back({.name = "complex", .doc = "x + i y", .family = "math", .min_inputs = 2, .max_inputs = 2, .dtypes = same(dtypes(float32, float64)), .infer = complex_infer, .gradient = complex_gradient,
                  .fusion = Fusion::pointwise, .onnx = no_onnx("ONNX's operators take no complex numbers"), .samples = {{.inputs = {{.shape = {2, 3}}, {.shape = {3}}}}}, .cpu = bind_pointwise, .pointwise = complex_run});
  rows.push_back(part("real", "the real part", part_run<kRe>, [](G c) -> Gradients { return {as_complex(c.upstream())}; }));
  rows.push_back(part("imag", "the imaginary part", part_run<kIm>, [](G c) -> Gradients { const Tensor up = c.upstream(); return {complex(zeros_like(up), up)}; }));
  rows.push_back(part("angle", "the argument, in (-pi, pi]", part_run<kArgument>, angle_gradient, 0.4));
  rows.push_back(part("complex_abs", "the modulus |z|; its gradient at 0 is 0", part_run<kModulus>, abs_gradient, 0.4));
  return rows;
}

}  // namespace lockstep

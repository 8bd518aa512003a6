// Discrete cosine transforms along the last axis: FFTW's, and in front of them TensorFlow's sizes and norms.

#include <cmath>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/fft.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using G = const GradContext&;

Tensor cosines(const Tensor& x, std::int64_t type) {
  static const OpDef& op = find_op("signal_cosines");
  return apply(op, {x}, {{"type", type}});
}

/// (n,): `edge` first (and last, if both), `inner` elsewhere.
Tensor edged(std::int64_t n, double edge, double inner, bool both, DType dtype) {
  Tensor result = Tensor::empty({n}, dtype);
  visit_dtype(dtype, [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_floating_point_v<T>)
      for (std::int64_t i = 0; i < n; ++i) result.mutable_data<T>()[i] = T(i == 0 || (both && i == n - 1) ? edge : inner);
  });
  return placed(result);
}

void require_type(const InferContext& context) {
  const std::int64_t type = context.integer("type");
  if (type < 1 || type > 4) context.refuse("type must be 1, 2, 3 or 4, got " + std::to_string(type));
  if (context.shape(0).ndim() < 1) context.refuse("needs at least one axis");
}

void cosines_infer(InferContext& context) {
  require_type(context);
  fft::require_length(context, context.shape(0).dim(-1), context.integer("type") == 1 ? 2 : 1);
  rules::like_first(context);
}

template <class T>
BoundKernel bind_cosines(fft::Kind kind, const Shape& shape) {
  const std::int64_t n = shape.dim(-1), rows = shape.numel() / n;
  return [plan = fft::plan<T>(kind, std::array{n}), n, rows](Inputs in, Outputs out) {
    fft::transform_rows(*plan, rows, [&](std::int64_t row, T* buffer) { std::memcpy(buffer, static_cast<const T*>(in[0]) + row * n, std::size_t(n) * sizeof(T)); },
                        [&](std::int64_t row, const T* result) { std::memcpy(static_cast<T*>(out[0]) + row * n, result, std::size_t(n) * sizeof(T)); });
  };
}
BoundKernel cosines_cpu(const BindContext& context) {
  const auto kind = fft::Kind(int(fft::Kind::dct1) + int(context.integer("type")) - 1);
  return context.dtype_of(0) == float32 ? bind_cosines<float>(kind, context.shape(0)) : bind_cosines<double>(kind, context.shape(0));
}

/// The transposed matrices: type 4 is symmetric, 2 and 3 are each other's but for the first element, 1 its own but for both ends.
Gradients cosines_gradient(G context) {
  const Tensor up = context.upstream();
  grads::require_known(up, "signal_cosines");
  const std::int64_t n = up.shape().dim(-1);
  switch (context.integer("type")) {
    case 1: return {cosines(up * edged(n, 1, 0.5, true, up.dtype()), 1) * edged(n, 1, 2, true, up.dtype())};
    case 2: return {cosines(up * edged(n, 2, 1, false, up.dtype()), 3)};
    case 3: return {cosines(up, 2) * edged(n, 0.5, 1, false, up.dtype())};
    default: return {cosines(up, 4)};
  }
}

bool is_ortho(const OpCall& call) { return !call.is_none("norm"); }

template <bool Inverse>
std::int64_t true_type(const OpCall& call) {
  const std::int64_t type = call.integer("type");
  return Inverse && (type == 2 || type == 3) ? 5 - type : type;
}

template <bool Inverse>
void dct_infer(InferContext& context) {
  require_type(context);
  if (is_ortho(context) && (!std::holds_alternative<std::string>(context.attr("norm")) || context.text("norm") != "ortho")) context.refuse("norm must be none or \"ortho\", got " + to_string(context.attr("norm")));
  const bool first = context.integer("type") == 1;
  if (first && is_ortho(context)) context.refuse("type 1 has no orthonormal form");
  Shape shape = context.shape(0);
  std::int64_t& n = shape[shape.ndim() - 1];
  if (!context.is_none("n")) {
    if (!std::holds_alternative<std::int64_t>(context.attr("n"))) context.refuse("n must be none or a whole number, got " + to_string(context.attr("n")));
    n = context.integer("n");
  }
  fft::require_length(context, n, first ? 2 : 1);
  context.output(context.dtype_of(0), shape);
}

template <bool Inverse>
Tensors dct_of(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor x = call.is_none("n") ? inputs[0] : fft::fitted_to(inputs[0], {call.integer("n")});
  const std::int64_t n = x.shape().dim(-1);
  const std::int64_t type = true_type<Inverse>(call);
  if (!is_ortho(call)) return {cosines(x, type)};
  const double edge = std::sqrt(0.25 / double(n)), inner = std::sqrt(0.5 / double(n));
  switch (type) {
    case 2: return {cosines(x, 2) * edged(n, edge, inner, false, x.dtype())};
    case 3: return {cosines(x * edged(n, 2 * edge, inner, false, x.dtype()), 3)};
    default: return {cosines(x, 4) * inner};
  }
}

OpDef row(std::string_view name, std::string_view doc, void (*infer)(InferContext&)) {
  return {.name = name, .doc = doc, .family = "signal", .dtypes = same(dtypes(float32, float64)), .infer = infer, .onnx = no_onnx("ONNX has no cosine transform")};
}

}  // namespace

std::vector<OpDef> dct_rows() {
  std::vector<OpDef> rows;
  const AttrDef type = attrs::integer("type", 2);
  const Sample::Operand x{.shape = {2, 5}};
  rows.push_back(row("signal_cosines", "the unscaled cosine transform of type 1 to 4 along the last axis", cosines_infer));
  rows.back().attrs = {type};
  rows.back().gradient = cosines_gradient;
  rows.back().cpu = cosines_cpu;
  for (std::int64_t t = 1; t <= 4; ++t) rows.back().samples.push_back({.inputs = {x}, .attrs = {{"type", t}}});
  const std::vector<AttrDef> sized{type, {.name = "n", .type = AttrType::any, .doc = "none, or the length to crop or pad to first"}, {.name = "norm", .type = AttrType::any, .doc = "none or \"ortho\""}};
  rows.push_back(row("signal_dct", "the cosine transform of type 1 to 4 along the last axis", dct_infer<false>));
  rows.back().compose = dct_of<false>;
  rows.push_back(row("signal_idct", "the inverse of the cosine transform of that type, unscaled unless norm is \"ortho\"", dct_infer<true>));
  rows.back().compose = dct_of<true>;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    rows[i].attrs = sized;
    for (const std::int64_t t : {2, 3, 4}) rows[i].samples.push_back({.inputs = {x}, .attrs = {{"type", t}, {"norm", std::string("ortho")}}});
    for (const std::int64_t n : {3, 7}) rows[i].samples.push_back({.inputs = {x}, .attrs = {{"n", n}}});
  }
  return rows;
}

}  // namespace lockstep

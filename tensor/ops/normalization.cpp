// Normalizations, as compositions: traced, each becomes a few fused passes over the data; their gradients follow. On CUDA too: cuDNN's normalizations would be
// borders between which nothing fuses (residual, activation, dropout, casts), and are not the ones meant here: mean and variance of 16-bit tensors are float32
// there, and have no gradients of their own, which batch_norm's outputs have.

#include <algorithm>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

Tensor epsilon_of(const OpCall& call, const Tensor& x) { return scalar(call.number("epsilon"), x.dtype()); }

void bias_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  if (x.ndim() < 1 || context.shape(1) != Shape{x[x.ndim() - 1]}) context.refuse("the bias must have one number for each of the last axis");
  rules::like_first(context);
}

/// Three operands (training): y, batch mean, population variance. Five: y with the mean and variance given.
void batch_norm_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  if (x.ndim() < 2) context.refuse("needs a batch axis and channels");
  const Shape channels{x[x.ndim() - 1]};
  for (std::size_t i = 1; i < context.input_count(); ++i)
    if (context.shape(i) != channels) context.refuse("operand " + std::to_string(i) + " must have shape " + to_string(channels));
  if (context.input_count() == 4) context.refuse("takes x, gamma, beta, and in inference mean and variance");
  if (context.boolean("training") != (context.input_count() == 3)) context.refuse("training takes 3 operands, inference 5");
  rules::like_first(context);
  if (context.input_count() == 3) {
    context.output(context.dtype_of(0), channels);
    context.output(context.dtype_of(0), channels);
  }
}

Tensors batch_norm_of(const OpCall& call, std::span<const Tensor> in) {
  const Tensor &x = in[0], &gamma = in[1], &beta = in[2];
  if (in.size() == 5) {
    const Tensor scale = rsqrt(in[4] + epsilon_of(call, x)) * gamma;
    return {x * scale + (beta - in[3] * scale)};
  }
  Ints axes;
  for (int i = 0; i < x.ndim() - 1; ++i) axes.push_back(i);
  const Tensor mean = reduce_mean(x, axes);
  const Tensor centered = x - mean;
  const Tensor variance = reduce_mean(square(x - stop_gradient(mean)), axes);
  return {centered * (rsqrt(variance + epsilon_of(call, x)) * gamma) + beta, mean, variance};
}

/// `parameter` of the shape of the normalized axes, made to broadcast against x.
Tensor aligned(const Tensor& parameter, const Tensor& x, const AttrValue& axis) {
  const SmallVector<int, 8> axes = rules::wrap_axes(axis, x.ndim());
  Ints sizes;
  for (int i = axes.empty() ? x.ndim() : axes[0]; i < x.ndim(); ++i) sizes.push_back(std::find(axes.begin(), axes.end(), i) != axes.end() ? x.shape()[i] : 1);
  return int(sizes.size()) == parameter.ndim() ? parameter : reshape(parameter, sizes);
}

void layer_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  Shape wanted;
  for (const int axis : rules::axes(context, context.attr("axis"), x.ndim())) wanted.push_back(x[axis]);
  for (std::size_t i = 1; i < context.input_count(); ++i)
    if (context.shape(i) != wanted) context.refuse("operand " + std::to_string(i) + " must have the shape of the normalized axes, " + to_string(wanted));
  rules::like_first(context);
}

Axes axes_of(const OpCall& call) {
  Axes axes;
  axes.value = call.attr("axis");
  return axes;
}

Tensors layer_norm_of(const OpCall& call, std::span<const Tensor> in) {
  const Tensor& x = in[0];
  const Tensor centered = x - reduce_mean(x, axes_of(call), true);
  const Tensor variance = reduce_mean(square(centered), axes_of(call), true);
  return {centered * rsqrt(variance + epsilon_of(call, x)) * aligned(in[1], x, call.attr("axis")) + aligned(in[2], x, call.attr("axis"))};
}

Tensors rms_norm_of(const OpCall& call, std::span<const Tensor> in) {
  const Tensor& x = in[0];
  return {x * rsqrt(reduce_mean(square(x), axes_of(call), true) + epsilon_of(call, x)) * aligned(in[1], x, call.attr("axis"))};
}

OpDef base(std::string_view name, std::string_view doc, int least, int most, std::vector<AttrDef> attrs, void (*infer)(InferContext&), Tensors (*compose)(const OpCall&, std::span<const Tensor>), OnnxForm form, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "normalization", .min_inputs = least, .max_inputs = most, .attrs = std::move(attrs), .dtypes = same(kFloats), .infer = infer, .precision = Precision::keep_high, .onnx = form, .samples = std::move(samples), .compose = compose};
}
AttrDef epsilon(double fallback) { return {.name = "epsilon", .type = AttrType::number, .fallback = fallback}; }

}  // namespace

std::vector<OpDef> normalization_rows() {
  const Sample::Operand x{.shape = {4, 3}}, c{.shape = {3}, .low = 0.4, .high = 2}, images{.shape = {2, 3, 4}}, plane{.shape = {3, 4}}, line{.shape = {4}};
  const AttrDef last{.name = "axis", .type = AttrType::axes, .fallback = std::int64_t(-1)};
  const auto composed = no_onnx("exported as the ops that define it");
  std::vector<OpDef> rows;
  rows.push_back(base("bias_add", "x plus a vector along the last axis", 2, 2, {}, bias_infer, [](const OpCall&, std::span<const Tensor> in) -> Tensors { return {in[0] + in[1]}; }, no_onnx("exported as Add"), {{.inputs = {x, c}}}));
  rows.back().dtypes = same(kNumeric);
  rows.push_back(base("batch_norm", "gamma (x - mean) / sqrt(variance + epsilon) + beta over all axes but the last; training: x, gamma, beta -> y, mean, population variance; inference: x, gamma, beta, mean, variance -> y", 3, 5,
                      {epsilon(1e-3), {.name = "training", .type = AttrType::boolean, .fallback = true}}, batch_norm_infer, batch_norm_of, onnx("BatchNormalization"), {{.inputs = {x, c, c}}, {.inputs = {x, c, c, c, c}, .attrs = {{"training", false}}}}));
  rows.back().first_order_only = "the variance holds the mean constant, as TensorFlow's does";
  rows.push_back(base("layer_norm", "gamma (x - mean) / sqrt(variance + epsilon) + beta over axes", 3, 3, {last, epsilon(1e-3)}, layer_infer, layer_norm_of, onnx("LayerNormalization"), {{.inputs = {images, line, line}}, {.inputs = {images, plane, plane}, .attrs = {{"axis", Ints{1, 2}}}}}));
  rows.push_back(base("rms_norm", "gamma x / sqrt(mean(x^2) + epsilon) over axes", 2, 2, {last, epsilon(1e-6)}, layer_infer, rms_norm_of, composed, {{.inputs = {images, line}}}));
  return rows;
}

}  // namespace lockstep

// Linear algebra and neural networks as functions: each finds its row once and applies it.

#include <lockstep/tensor/ops.h>

#include <algorithm>
#include <cmath>

#include <lockstep/tensor/op.h>

namespace lockstep {

Tensor matmul(const Tensor& x, const Tensor& y, bool transpose_a, bool transpose_b) {
  static const OpDef& op = find_op("matmul");
  return apply(op, {x, y}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
}

Tensor matvec(const Tensor& x, const Tensor& y, bool transpose_a) {
  static const OpDef& op = find_op("matvec");
  return apply(op, {x, y}, {{"transpose_a", transpose_a}});
}

Tensor einsum(std::span<const Tensor> inputs, const std::string& equation) {
  static const OpDef& op = find_op("einsum");
  return apply(op, inputs, {{"equation", equation}});
}

Tensor tensordot(const Tensor& x, const Tensor& y, const IntLists& axes) {
  static const OpDef& op = find_op("tensordot");
  return apply(op, {x, y}, {{"axes", axes}});
}

Tensor cholesky(const Tensor& x) {
  static const OpDef& op = find_op("cholesky");
  return apply(op, {x});
}

Tensor det(const Tensor& x) {
  static const OpDef& op = find_op("det");
  return apply(op, {x});
}

Tensor inv(const Tensor& x, bool adjoint) {
  static const OpDef& op = find_op("inv");
  return apply(op, {x}, {{"adjoint", adjoint}});
}

Tensor solve(const Tensor& matrix, const Tensor& rhs, bool adjoint) {
  static const OpDef& op = find_op("solve");
  return apply(op, {matrix, rhs}, {{"adjoint", adjoint}});
}

Tensor triangular_solve(const Tensor& matrix, const Tensor& rhs, bool lower, bool adjoint) {
  static const OpDef& op = find_op("triangular_solve");
  return apply(op, {matrix, rhs}, {{"lower", lower}, {"adjoint", adjoint}});
}

std::pair<Tensor, Tensor> slogdet(const Tensor& x) {
  static const OpDef& op = find_op("slogdet");
  Tensors out = apply_all(op, {x});
  return {std::move(out[0]), std::move(out[1])};
}

std::pair<Tensor, Tensor> qr(const Tensor& x, bool full_matrices) {
  static const OpDef& op = find_op("qr");
  Tensors out = apply_all(op, {x}, {{"full_matrices", full_matrices}});
  return {std::move(out[0]), std::move(out[1])};
}

Tensor svd(const Tensor& x, bool compute_uv) {
  static const OpDef& op = find_op("svd");
  return apply(op, {x}, {{"compute_uv", compute_uv}});
}

Tensor eigvalsh(const Tensor& x) {
  static const OpDef& op = find_op("eigvalsh");
  return apply(op, {x});
}

Tensor conv1d(const Tensor& x, const Tensor& kernel, std::int64_t stride, const std::string& padding, std::int64_t dilation) {
  static const OpDef& op = find_op("conv1d");
  return apply(op, {x, kernel}, {{"stride", stride}, {"padding", padding}, {"dilation", dilation}});
}

Tensor conv2d(const Tensor& x, const Tensor& kernel, const Ints& strides, const std::string& padding, const Ints& dilations, std::int64_t groups, const IntLists& explicit_padding) {
  static const OpDef& op = find_op("conv2d");
  return apply(op, {x, kernel}, {{"strides", strides}, {"padding", padding}, {"dilations", dilations}, {"groups", groups}, {"explicit_padding", explicit_padding}});
}

Tensor conv3d(const Tensor& x, const Tensor& kernel, const Ints& strides, const std::string& padding) {
  static const OpDef& op = find_op("conv3d");
  return apply(op, {x, kernel}, {{"strides", strides}, {"padding", padding}});
}

Tensor depthwise_conv2d(const Tensor& x, const Tensor& kernel, const Ints& strides, const std::string& padding, const Ints& dilations) {
  static const OpDef& op = find_op("depthwise_conv2d");
  return apply(op, {x, kernel}, {{"strides", strides}, {"padding", padding}, {"dilations", dilations}});
}

Tensor conv2d_transpose(const Tensor& x, const Tensor& kernel, const Ints& output_shape, const Ints& strides, const std::string& padding) {
  static const OpDef& op = find_op("conv2d_transpose");
  return apply(op, {x, kernel}, {{"output_shape", output_shape}, {"strides", strides}, {"padding", padding}});
}

Tensor max_pool1d(const Tensor& x, std::int64_t ksize, std::int64_t strides, const std::string& padding) {
  static const OpDef& op = find_op("max_pool1d");
  return apply(op, {x}, {{"ksize", ksize}, {"strides", strides}, {"padding", padding}});
}

Tensor avg_pool1d(const Tensor& x, std::int64_t ksize, std::int64_t strides, const std::string& padding) {
  static const OpDef& op = find_op("avg_pool1d");
  return apply(op, {x}, {{"ksize", ksize}, {"strides", strides}, {"padding", padding}});
}

Tensor max_pool2d(const Tensor& x, const Ints& ksize, const Ints& strides, const std::string& padding) {
  static const OpDef& op = find_op("max_pool2d");
  return apply(op, {x}, {{"ksize", ksize}, {"strides", strides}, {"padding", padding}});
}

Tensor avg_pool2d(const Tensor& x, const Ints& ksize, const Ints& strides, const std::string& padding) {
  static const OpDef& op = find_op("avg_pool2d");
  return apply(op, {x}, {{"ksize", ksize}, {"strides", strides}, {"padding", padding}});
}

Tensor bias_add(const Tensor& x, const Tensor& bias) {
  static const OpDef& op = find_op("bias_add");
  return apply(op, {x, bias});
}

std::tuple<Tensor, Tensor, Tensor> batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon, bool training) {
  static const OpDef& op = find_op("batch_norm");
  Tensors out = apply_all(op, {x, gamma, beta}, {{"epsilon", epsilon}, {"training", training}});
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& variance, double epsilon) {
  static const OpDef& op = find_op("batch_norm");
  return apply(op, {x, gamma, beta, mean, variance}, {{"epsilon", epsilon}, {"training", false}});
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Axes& axis, double epsilon) {
  static const OpDef& op = find_op("layer_norm");
  return apply(op, {x, gamma, beta}, {{"axis", axis.value}, {"epsilon", epsilon}});
}

Tensor rms_norm(const Tensor& x, const Tensor& gamma, const Axes& axis, double epsilon) {
  static const OpDef& op = find_op("rms_norm");
  return apply(op, {x, gamma}, {{"axis", axis.value}, {"epsilon", epsilon}});
}

Tensor softmax(const Tensor& x, std::int64_t axis) {
  static const OpDef& op = find_op("softmax");
  return apply(op, {x}, {{"axis", axis}});
}

Tensor log_softmax(const Tensor& x, std::int64_t axis) {
  static const OpDef& op = find_op("log_softmax");
  return apply(op, {x}, {{"axis", axis}});
}

Tensor l2_normalize(const Tensor& x, const Axes& axis, double epsilon) {
  static const OpDef& op = find_op("l2_normalize");
  return apply(op, {x}, {{"axis", axis.value}, {"epsilon", epsilon}});
}

Tensor dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value, std::optional<double> scale, bool is_causal) {
  static const OpDef& op = find_op("dot_product_attention");
  if (!scale) scale = 1 / std::sqrt(double(std::max<std::int64_t>(1, query.ndim() > 0 ? query.shape().dim(-1) : 1)));
  return apply_all(op, {query, key, value}, {{"scale", *scale}, {"is_causal", is_causal}})[0];
}

Tensor softmax_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits, std::int64_t axis) {
  static const OpDef& op = find_op("softmax_cross_entropy_with_logits");
  return apply(op, {labels, logits}, {{"axis", axis}});
}

Tensor sparse_softmax_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits) {
  static const OpDef& op = find_op("sparse_softmax_cross_entropy_with_logits");
  return apply(op, {labels, logits});
}

Tensor sigmoid_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits) {
  static const OpDef& op = find_op("sigmoid_cross_entropy_with_logits");
  return apply(op, {labels, logits});
}

Tensor weighted_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits, double pos_weight) {
  static const OpDef& op = find_op("weighted_cross_entropy_with_logits");
  return apply(op, {labels, logits}, {{"pos_weight", pos_weight}});
}

}  // namespace lockstep

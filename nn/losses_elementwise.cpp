// Losses that are a mean over elements: regression and hinge losses, overlaps of images.

#include <cmath>
#include <numbers>

#include <lockstep/nn/aligned.h>
#include <lockstep/nn/losses.h>

namespace lockstep::nn::losses {
namespace {

/// Targets of 0 and 1 only become -1 and 1; others stay. Decided for the whole batch, inside the graph.
Tensor signs(const Tensor& y_true) {
  const Tensor is_binary = reduce_all(logical_or(equal(y_true, scalar(0, y_true.dtype())), equal(y_true, scalar(1, y_true.dtype()))));
  return where(is_binary, 2.0 * y_true - 1.0, y_true);
}

Tensor hinge_of(const Aligned& a) { return relu(1.0 - signs(a.y_true) * a.y_pred); }

}  // namespace

Tensor mean_squared_error(const Tensor& y_true, const Tensor& y_pred) {
  const Aligned a = aligned(y_true, y_pred, "mean_squared_error");
  return reduce_mean(squared_difference(a.y_true, a.y_pred), -1);
}

Tensor mean_absolute_error(const Tensor& y_true, const Tensor& y_pred) {
  const Aligned a = aligned(y_true, y_pred, "mean_absolute_error");
  return reduce_mean(abs(a.y_true - a.y_pred), -1);
}

Tensor mean_absolute_percentage_error(const Tensor& y_true, const Tensor& y_pred) {
  const Aligned a = aligned(y_true, y_pred, "mean_absolute_percentage_error");
  return 100.0 * reduce_mean(abs((a.y_true - a.y_pred) / maximum(abs(a.y_true), scalar(kEpsilon, a.y_true.dtype()))), -1);
}

Tensor mean_squared_logarithmic_error(const Tensor& y_true, const Tensor& y_pred) {
  const Aligned a = aligned(y_true, y_pred, "mean_squared_logarithmic_error");
  const Tensor least = scalar(kEpsilon, a.y_pred.dtype());
  return reduce_mean(squared_difference(log(maximum(a.y_pred, least) + 1.0), log(maximum(a.y_true, least) + 1.0)), -1);
}

Tensor huber(const Tensor& y_true, const Tensor& y_pred, double delta) {
  const Aligned a = aligned(y_true, y_pred, "huber");
  const Tensor error = a.y_pred - a.y_true, size = abs(error);
  return reduce_mean(where(size <= delta, 0.5 * square(error), delta * size - 0.5 * delta * delta), -1);
}

Tensor log_cosh(const Tensor& y_true, const Tensor& y_pred) {
  const Aligned a = aligned(y_true, y_pred, "log_cosh");
  constexpr float kLog2 = std::numbers::ln2_v<float>;  // Keras rounds it to float32 in every dtype, and so do the reference values
  const Tensor error = a.y_pred - a.y_true;
  return reduce_mean(error + softplus(error * -2.0) - kLog2, -1);
}

Tensor cosine_similarity(const Tensor& y_true, const Tensor& y_pred, std::int64_t axis) {
  const Aligned a = aligned(y_true, y_pred, "cosine_similarity");
  constexpr double kLeastSquare = kEpsilon * kEpsilon;
  return -reduce_sum(l2_normalize(a.y_true, axis, kLeastSquare) * l2_normalize(a.y_pred, axis, kLeastSquare), axis);
}

Tensor poisson(const Tensor& y_true, const Tensor& y_pred) {
  const Aligned a = aligned(y_true, y_pred, "poisson");
  return reduce_mean(a.y_pred - a.y_true * log(a.y_pred + kEpsilon), -1);
}

Tensor hinge(const Tensor& y_true, const Tensor& y_pred) { return reduce_mean(hinge_of(aligned(y_true, y_pred, "hinge")), -1); }

Tensor squared_hinge(const Tensor& y_true, const Tensor& y_pred) { return reduce_mean(square(hinge_of(aligned(y_true, y_pred, "squared_hinge"))), -1); }

Tensor categorical_hinge(const Tensor& y_true, const Tensor& y_pred) {
  const Aligned a = aligned(y_true, y_pred, "categorical_hinge");
  const Tensor right = reduce_sum(a.y_true * a.y_pred, -1), wrong = reduce_max((1.0 - a.y_true) * a.y_pred, -1);
  return relu(wrong - right + 1.0);
}

Tensor dice(const Tensor& y_true, const Tensor& y_pred, const Axes& axis) {
  const Aligned a = aligned(y_true, y_pred, "dice");
  const Tensor overlap = reduce_sum(a.y_true * a.y_pred, axis);
  return 1.0 - 2.0 * overlap / (reduce_sum(a.y_true, axis) + reduce_sum(a.y_pred, axis) + kEpsilon);
}

Tensor tversky(const Tensor& y_true, const Tensor& y_pred, double alpha, double beta, const Axes& axis) {
  const Aligned a = aligned(y_true, y_pred, "tversky");
  const Tensor overlap = reduce_sum(a.y_true * a.y_pred, axis);
  const Tensor missed = reduce_sum((1.0 - a.y_pred) * a.y_true, axis), extra = reduce_sum(a.y_pred * (1.0 - a.y_true), axis);
  return 1.0 - overlap / (overlap + alpha * missed + beta * extra + kEpsilon);
}

}  // namespace lockstep::nn::losses

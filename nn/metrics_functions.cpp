// The functions of metrics.h.

#include <lockstep/nn/aligned.h>
#include <lockstep/nn/metrics.h>

namespace lockstep::nn::metrics {
namespace {

Tensor hits(const Tensor& matches) { return cast(matches, float32); }
Ints dims_of(const Tensor& x) { return Ints(x.shape().begin(), x.shape().end()); }

/// Labels of any shape in the k largest of predictions with one axis more.
Tensor in_top(const Tensor& labels, const Tensor& predictions, std::int64_t k) {
  const Tensor rows = reshape(predictions, {-1, predictions.shape().dim(-1)});
  return hits(reshape(in_top_k(rows, reshape(labels, {-1}), k), dims_of(labels)));
}

}  // namespace

Tensor accuracy(const Tensor& y_true, const Tensor& y_pred) {
  const auto [truth, prediction] = align_ranks(as_dtype(y_true, y_pred.dtype()), y_pred);
  require_same_shape(truth, prediction, "accuracy");
  return hits(equal(truth, prediction));
}

Tensor binary_accuracy(const Tensor& y_true, const Tensor& y_pred, double threshold) {
  const auto [truth, prediction] = align_ranks(y_true, as_float(y_pred));
  require_same_shape(truth, prediction, "binary_accuracy");
  return hits(equal(truth, cast(prediction > threshold, truth.dtype())));
}

Tensor categorical_accuracy(const Tensor& y_true, const Tensor& y_pred) {
  require_same_shape(y_true, y_pred, "categorical_accuracy");
  return hits(equal(argmax(y_true, -1), argmax(y_pred, -1)));
}

Tensor sparse_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred) {
  const Tensor labels = labels_of(y_true, y_pred, "sparse_categorical_accuracy");
  Tensor matches = equal(labels, argmax(y_pred, -1));
  if (matches.shape().known() && matches.ndim() > 1 && matches.shape().dim(-1) == 1) matches = squeeze(matches, -1);
  return hits(matches);
}

Tensor top_k_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred, std::int64_t k) {
  const Aligned a = aligned(y_true, y_pred, "top_k_categorical_accuracy");
  return in_top(argmax(a.y_true, -1), a.y_pred, k);
}

Tensor sparse_top_k_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred, std::int64_t k, bool from_sorted_ids) {
  const Tensor labels = labels_of(y_true, y_pred, "sparse_top_k_categorical_accuracy");
  if (!from_sorted_ids) return in_top(labels, as_float(y_pred), k);
  const std::int64_t count = std::min(k, y_pred.shape().dim(-1));
  const Tensor best = as_dtype(y_pred, int64)[{ellipsis, slice(0, count)}];
  return hits(reduce_any(equal(expand_dims(labels, -1), best), -1));
}

Tensor cosine_similarity(const Tensor& y_true, const Tensor& y_pred, std::int64_t axis) { return -losses::cosine_similarity(y_true, y_pred, axis); }

Tensor pearson_correlation(const Tensor& y_true, const Tensor& y_pred, std::int64_t axis) {
  const Aligned a = aligned(y_true, y_pred, "pearson_correlation");
  const auto standardized = [&](const Tensor& x) {
    const Tensor centered = x - reduce_mean(x, axis, true);
    return centered / reduce_std(centered, axis, true);
  };
  return reduce_mean(standardized(a.y_true) * standardized(a.y_pred), axis);
}

Tensor concordance_correlation(const Tensor& y_true, const Tensor& y_pred, std::int64_t axis) {
  const Aligned a = aligned(y_true, y_pred, "concordance_correlation");
  const Tensor true_mean = reduce_mean(a.y_true, axis, true), pred_mean = reduce_mean(a.y_pred, axis, true);
  const Tensor spread = reduce_variance(a.y_true, axis, true) + reduce_variance(a.y_pred, axis, true) + squared_difference(true_mean, pred_mean);
  const Tensor covariance = (a.y_true - pred_mean) * (a.y_pred - pred_mean);
  return reduce_mean(2.0 * covariance / (spread + kEpsilon), axis);
}

}  // namespace lockstep::nn::metrics

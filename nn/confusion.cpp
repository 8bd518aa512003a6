#include <lockstep/nn/confusion.h>

#include <cmath>

#include <lockstep/nn/aligned.h>
#include <lockstep/nn/loss.h>
#include <lockstep/tensor/constant.h>

namespace lockstep::nn {
namespace {

Ints dims_of(const Tensor& x) { return Ints(x.shape().begin(), x.shape().end()); }

/// All but the k largest predictions of a sample below every threshold.
Tensor only_top(const Tensor& y_pred, std::int64_t k) {
  const Tensor chosen = reduce_sum(one_hot(top_k(y_pred, k).second, y_pred.shape().dim(-1), 1, 0, -1, y_pred.dtype()), -2);
  return y_pred * chosen + (1.0 - chosen) * -1e10;
}

/// One weight per element of y_pred: of one per sample, per row, or per element.
Tensor element_weights(const Tensor& sample_weight, const Tensor& y_true, const Tensor& y_pred, DType dtype) {
  Tensor weights = as_dtype(sample_weight, dtype);
  if (weights.ndim() > 0) weights = align_ranks(y_true, expand_dims(weights, -1), false).second;
  return broadcast_to(weights, dims_of(y_pred));
}

}  // namespace

const char* name(Count count) {
  switch (count) {
    case Count::true_positives: return "true_positives";
    case Count::false_positives: return "false_positives";
    case Count::true_negatives: return "true_negatives";
    case Count::false_negatives: return "false_negatives";
  }
  return "";
}

bool evenly_spaced(const std::vector<double>& thresholds) {
  if (thresholds.size() < 3) return false;
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    const double even = double(i) / double(thresholds.size() - 1);
    if (std::fabs(thresholds[i] - even) > kEpsilon + 1e-5 * even) return false;
  }
  return true;
}

std::vector<double> spaced_thresholds(std::int64_t count) {
  if (count == 1) return {0.5};
  std::vector<double> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(double(i) / double(count - 1));
  return result;
}

Confusion::Confusion(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight, const Setup& setup, const std::string& owner) : multi_label_(setup.multi_label) {
  const DType dtype = setup.dtype;
  auto [prediction, truth] = align_ranks(as_dtype(y_pred, dtype), as_dtype(y_true, dtype));
  require_same_shape(truth, prediction, owner);
  if (setup.top_k) prediction = only_top(prediction, *setup.top_k);
  Tensor weights;
  if (sample_weight.defined() && !setup.class_id) weights = element_weights(sample_weight, truth, prediction, dtype);
  if (setup.class_id) {
    if (prediction.ndim() < 2) throw InvalidArgumentError("class_id needs predictions (batch, classes), got " + to_string(prediction.shape()), owner);
    const Tensor whole = truth;
    truth = truth[{ellipsis, *setup.class_id, newaxis}];
    prediction = prediction[{ellipsis, *setup.class_id, newaxis}];
    if (sample_weight.defined()) weights = element_weights(sample_weight, whole, prediction, dtype);
  }
  if (setup.label_weights) {
    const Tensor per_label = broadcast_to(as_dtype(constant(*setup.label_weights), dtype), dims_of(prediction));
    weights = weights.defined() ? weights * per_label : per_label;
  }
  if (!multi_label_) {
    truth = reshape(truth, {-1});
    prediction = reshape(prediction, {-1});
    if (weights.defined()) weights = reshape(weights, {-1});
  } else if (prediction.ndim() != 2) {
    throw InvalidArgumentError("several labels need predictions (batch, labels), got " + to_string(prediction.shape()), owner);
  }
  positives_ = cast(cast(truth, boolean), dtype);
  negatives_ = 1.0 - positives_;
  if (weights.defined()) {
    positives_ = positives_ * weights;
    negatives_ = negatives_ * weights;
  }
  if (setup.evenly) {
    fill_buckets(prediction, setup);
    return;
  }
  const std::int64_t count = std::int64_t(setup.thresholds.size());
  const Tensor thresholds = reshape(as_dtype(constant(setup.thresholds), dtype), multi_label_ ? Ints{count, 1, 1} : Ints{count, 1});
  above_ = cast(greater(expand_dims(prediction, 0), thresholds), dtype);
}

/// Each prediction falls into the bucket of the last threshold below it; sums from the right are what lies above each.
void Confusion::fill_buckets(const Tensor& y_pred, const Setup& setup) {
  const std::int64_t count = std::int64_t(setup.thresholds.size());
  Tensor bucket = ceil(clip_by_value(y_pred, 0.0, 1.0) * double(count - 1)) - 1.0;
  if (setup.thresholds.front() < 0 || setup.thresholds.back() > 1) bucket = relu(bucket);  // 0 lies above a first threshold below 0
  Tensor index = cast(bucket, int64);
  std::int64_t labels = 1;
  if (multi_label_) {
    labels = y_pred.shape()[1];
    const Tensor offset = range(0, labels * count, count, int64);
    index = where(index < 0, index, index + offset);
  }
  const auto above = [&](const Tensor& weights) {
    const Tensor sums = unsorted_segment_sum(reshape(weights, {-1}), reshape(index, {-1}), labels * count);
    if (!multi_label_) return cumsum(sums, 0, false, true);
    return transpose(cumsum(reshape(sums, {labels, count}), 1, false, true));
  };
  true_above_ = above(positives_);
  false_above_ = above(negatives_);
}

Tensor Confusion::operator[](Count count) const {
  const bool of_positives = count == Count::true_positives || count == Count::false_negatives;
  const bool is_above = count == Count::true_positives || count == Count::false_positives;
  const Tensor& weights = of_positives ? positives_ : negatives_;
  if (above_.defined()) return reduce_sum((is_above ? above_ : 1.0 - above_) * weights, 1);
  const Tensor& above = of_positives ? true_above_ : false_above_;
  return is_above ? above : (multi_label_ ? reduce_sum(transpose(weights), 1) : reduce_sum(weights)) - above;
}

}  // namespace lockstep::nn

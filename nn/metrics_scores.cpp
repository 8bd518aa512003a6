// F-scores and R2.

#include <lockstep/nn/aligned.h>
#include <lockstep/nn/metrics_counts.h>

namespace lockstep::nn::metrics {
namespace {

void require_matrices(const Tensor& y_true, const Tensor& y_pred, const std::string& owner) {
  if (y_true.ndim() != 2 || y_pred.ndim() != 2)
    throw InvalidArgumentError("y_true and y_pred must be (batch, outputs), got " + to_string(y_true.shape()) + " and " + to_string(y_pred.shape()), owner);
  require_same_shape(y_true, y_pred, owner);
}

}  // namespace

// ---- F

FBetaScore::FBetaScore() : FBetaScore(Options()) {}
FBetaScore::FBetaScore(Options options) : Metric({options.name, options.dtype}), options_(std::move(options)) { FBetaScore::configured(); }

void FBetaScore::configured() {
  const auto& average = options_.average;
  if (average && *average != "micro" && *average != "macro" && *average != "weighted") throw InvalidArgumentError("average must be none, micro, macro or weighted, got '" + *average + "'", name());
  if (!(options_.beta > 0)) throw InvalidArgumentError("beta must be above 0, got " + std::to_string(options_.beta), name());
  if (options_.threshold && !(*options_.threshold > 0 && *options_.threshold <= 1)) throw InvalidArgumentError("threshold must be in (0, 1], got " + std::to_string(*options_.threshold), name());
  drop_weights();
  Metric::configured();
}

void FBetaScore::fields(Fields& f) {
  Metric::fields(f);
  f.field("average", options_.average);
  f.field("beta", options_.beta);
  f.field("threshold", options_.threshold);
}

void FBetaScore::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  require_matrices(y_true, y_pred, name());
  const bool micro = options_.average == "micro";
  if (!has_weights()) {
    const Shape shape = micro ? Shape() : Shape{y_pred.shape()[1]};
    true_positives_ = add_weight("true_positives", shape);
    false_positives_ = add_weight("false_positives", shape);
    false_negatives_ = add_weight("false_negatives", shape);
    intermediate_weights_ = add_weight("intermediate_weights", shape);
  }
  const Tensor truth = as_dtype(y_true, dtype()), prediction = as_dtype(y_pred, dtype());
  // The largest is positive, but not among zeros.
  const Tensor chosen = options_.threshold ? prediction > *options_.threshold : logical_and(prediction >= reduce_max(prediction, -1, true), abs(prediction) > 1e-9);
  const Tensor positive = cast(chosen, dtype());
  Tensor weights;
  if (sample_weight.defined()) weights = expand_dims(as_dtype(sample_weight, dtype()), 1);
  const auto total = [&](const Tensor& values) { return reduce_sum(weights.defined() ? values * weights : values, micro ? Axes() : Axes(0)); };
  true_positives_.assign_add(total(positive * truth));
  false_positives_.assign_add(total(positive * (1.0 - truth)));
  false_negatives_.assign_add(total((1.0 - positive) * truth));
  intermediate_weights_.assign_add(total(truth));
}

Tensor FBetaScore::result() const {
  if (!has_weights()) return scalar(0, dtype());
  const Tensor hit = true_positives_;
  const Tensor precision = hit / (hit + Tensor(false_positives_) + kEpsilon), recall = hit / (hit + Tensor(false_negatives_) + kEpsilon);
  const double square = options_.beta * options_.beta;
  const Tensor scores = precision * recall / (square * precision + recall + kEpsilon) * (1 + square);
  if (!options_.average) return scores;
  if (*options_.average != "weighted") return reduce_mean(scores);
  const Tensor weights = intermediate_weights_;
  return reduce_sum(scores * (weights / (reduce_sum(weights) + kEpsilon)));
}

F1Score::F1Score() : F1Score(Options()) {}
F1Score::F1Score(Options options) : FBetaScore({.average = options.average, .threshold = options.threshold, .name = options.name, .dtype = options.dtype}) {}
void F1Score::fields(Fields& f) {
  Metric::fields(f);
  f.field("average", options_.average);
  f.field("threshold", options_.threshold);
}

// ---- R2

R2Score::R2Score() : R2Score(Options()) {}
R2Score::R2Score(Options options) : Metric({options.name, options.dtype}), options_(std::move(options)) { R2Score::configured(); }

void R2Score::configured() {
  const auto& way = options_.class_aggregation;
  if (way && *way != "uniform_average" && *way != "variance_weighted_average")
    throw InvalidArgumentError("class_aggregation must be none, uniform_average or variance_weighted_average, got '" + *way + "'", name());
  if (options_.num_regressors < 0) throw InvalidArgumentError("num_regressors must not be negative, got " + std::to_string(options_.num_regressors), name());
  drop_weights();
  num_samples_ = add_weight("num_samples", {}, zeros, count_dtype());
  squared_sum_ = {};
  Metric::configured();
}

void R2Score::fields(Fields& f) {
  Metric::fields(f);
  f.field("class_aggregation", options_.class_aggregation);
  f.field("num_regressors", options_.num_regressors);
}

void R2Score::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  const DType dtype = count_dtype();
  const auto [truth, prediction] = align_ranks(as_dtype(y_true, dtype), as_dtype(y_pred, dtype));
  require_matrices(truth, prediction, name());
  if (!squared_sum_.defined()) {
    const Shape shape{prediction.shape()[1]};
    squared_sum_ = add_weight("squared_sum", shape, zeros, dtype);
    sum_ = add_weight("sum", shape, zeros, dtype);
    residual_ = add_weight("residual", shape, zeros, dtype);
    count_ = add_weight("count", shape, zeros, dtype);
  }
  Tensor weights = ones_like(truth);
  if (sample_weight.defined()) {
    Tensor given = as_dtype(sample_weight, dtype);
    if (given.ndim() == 1) given = expand_dims(given, 1);
    weights = broadcast_to(given, Ints(truth.shape().begin(), truth.shape().end()));
  }
  const Tensor weighted = truth * weights;
  squared_sum_.assign_add(reduce_sum(truth * weighted, 0));
  sum_.assign_add(reduce_sum(weighted, 0));
  residual_.assign_add(reduce_sum(squared_difference(truth, prediction) * weights, 0));
  count_.assign_add(reduce_sum(weights, 0));
  num_samples_.assign_add(scalar(double(truth.numel()), dtype));
}

Tensor R2Score::result() const {
  if (!squared_sum_.defined()) return scalar(0, count_dtype());
  const Tensor sum = sum_, variance = Tensor(squared_sum_) - sum * (sum / Tensor(count_));
  const Tensor raw = 1.0 - Tensor(residual_) / variance;
  const Tensor scores = where(is_inf(raw), scalar(0, raw.dtype()), raw);
  Tensor score = scores;
  if (options_.class_aggregation == "uniform_average") score = reduce_mean(scores);
  else if (options_.class_aggregation) score = reduce_sum(variance * scores) / reduce_sum(variance);
  if (options_.num_regressors == 0) return score;
  // Adjusted for the number of regressors, where there are samples enough for that.
  const Tensor n = num_samples_, spare = n - double(options_.num_regressors) - 1.0;
  const Tensor enough = spare > 0;
  return where(enough, 1.0 - (1.0 - score) * (n - 1.0) / where(enough, spare, ones_like(spare)), score);
}

}  // namespace lockstep::nn::metrics

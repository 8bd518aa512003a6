// Counts at thresholds, and what curves of them say.

#include <algorithm>
#include <cctype>

#include <lockstep/nn/aligned.h>
#include <lockstep/nn/metrics_counts.h>

namespace lockstep::nn::metrics {
namespace {

std::vector<double> resolved(const NumberList& given, double fallback, const std::string& owner) {
  std::vector<double> thresholds = given.given ? given.values : std::vector<double>{fallback};
  if (thresholds.empty()) throw InvalidArgumentError("an empty list of thresholds", owner);
  for (const double each : thresholds)
    if (given.given && !(each >= 0 && each <= 1)) throw InvalidArgumentError("thresholds must be in [0, 1], got " + std::to_string(each), owner);
  return thresholds;
}

Tensor single_or_all(const Tensor& values) { return values.numel() == 1 ? reshape(values, {}) : values; }

/// a / (a + b), 0 for 0 / 0.
Tensor share(const Tensor& a, const Tensor& b) { return divide_no_nan(a, a + b); }

}  // namespace

// ---- single counts

ConditionCount::ConditionCount(Count count, Options options) : Metric({options.name, options.dtype}), count_(count), options_(std::move(options)) { ConditionCount::configured(); }
void ConditionCount::configured() {
  thresholds_ = resolved(options_.thresholds, 0.5, name());
  drop_weights();
  accumulator_ = add_weight("accumulator", {std::int64_t(thresholds_.size())}, zeros, count_dtype());
  Metric::configured();
}
void ConditionCount::fields(Fields& f) {
  Metric::fields(f);
  visit(f, "thresholds", options_.thresholds);
}
void ConditionCount::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  const Confusion batch(y_true, y_pred, sample_weight, {.thresholds = thresholds_, .dtype = count_dtype(), .evenly = evenly_spaced(thresholds_)}, class_name());
  accumulator_.assign_add(batch[count_]);
}
Tensor ConditionCount::result() const { return single_or_all(accumulator_); }

// ---- ratios

PositivesRatio::PositivesRatio(Count other, Options options) : Metric({options.name, options.dtype}), other_(other), options_(std::move(options)) { PositivesRatio::configured(); }
void PositivesRatio::configured() {
  constexpr double kBelowAll = -1e10;  // with top_k whatever was not taken out is positive
  thresholds_ = resolved(options_.thresholds, options_.top_k ? kBelowAll : 0.5, name());
  drop_weights();
  const Shape shape{std::int64_t(thresholds_.size())};
  true_positives_ = add_weight("true_positives", shape, zeros, count_dtype());
  others_ = add_weight(nn::name(other_), shape, zeros, count_dtype());
  Metric::configured();
}
void PositivesRatio::fields(Fields& f) {
  Metric::fields(f);
  visit(f, "thresholds", options_.thresholds);
  f.field("top_k", options_.top_k);
  f.field("class_id", options_.class_id);
}
void PositivesRatio::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  const Confusion batch(y_true, y_pred, sample_weight,
                        {.thresholds = thresholds_, .dtype = count_dtype(), .top_k = options_.top_k, .class_id = options_.class_id, .evenly = evenly_spaced(thresholds_)}, class_name());
  true_positives_.assign_add(batch[Count::true_positives]);
  others_.assign_add(batch[other_]);
}
Tensor PositivesRatio::result() const { return single_or_all(share(true_positives_, others_)); }

// ---- four counts

void FourCounts::make_counts(const Shape& shape) {
  drop_weights();
  true_positives_ = add_weight("true_positives", shape, zeros, count_dtype());
  false_positives_ = add_weight("false_positives", shape, zeros, count_dtype());
  true_negatives_ = add_weight("true_negatives", shape, zeros, count_dtype());
  false_negatives_ = add_weight("false_negatives", shape, zeros, count_dtype());
}
void FourCounts::add(const Confusion& batch) {
  true_positives_.assign_add(batch[Count::true_positives]);
  false_positives_.assign_add(batch[Count::false_positives]);
  true_negatives_.assign_add(batch[Count::true_negatives]);
  false_negatives_.assign_add(batch[Count::false_negatives]);
}

CurvePoint::CurvePoint(Setup setup, Metric::Options options) : FourCounts(std::move(options)), setup_(setup) { CurvePoint::configured(); }
void CurvePoint::configured() {
  if (!(setup_.value >= 0 && setup_.value <= 1)) throw InvalidArgumentError(std::string(setup_.argument) + " must be in [0, 1], got " + std::to_string(setup_.value), name());
  if (setup_.num_thresholds <= 0) throw InvalidArgumentError("num_thresholds must be at least 1, got " + std::to_string(setup_.num_thresholds), name());
  thresholds_ = spaced_thresholds(setup_.num_thresholds);
  make_counts({setup_.num_thresholds});
  Metric::configured();
}
void CurvePoint::fields(Fields& f) {
  Metric::fields(f);
  f.required({setup_.argument});
  f.field("class_id", setup_.class_id);
  f.field("num_thresholds", setup_.num_thresholds);
  f.field(setup_.argument, setup_.value);
}
void CurvePoint::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  add(Confusion(y_true, y_pred, sample_weight, {.thresholds = thresholds_, .dtype = count_dtype(), .class_id = setup_.class_id, .evenly = thresholds_.size() > 1}, class_name()));
}
Tensor CurvePoint::rate(Rate which) const {
  switch (which) {
    case Rate::sensitivity: return share(true_positives_, false_negatives_);
    case Rate::specificity: return share(true_negatives_, false_positives_);
    case Rate::precision: return share(true_positives_, false_positives_);
  }
  return {};
}
Tensor CurvePoint::result() const {
  const Tensor dependent = rate(setup_.dependent);
  return relu(reduce_max(where(rate(setup_.constrained) >= setup_.value, dependent, scalar(0, dependent.dtype()))));
}

// ---- area

AUC::AUC() : AUC(Options()) {}
AUC::AUC(Options options) : FourCounts({options.name, options.dtype}), options_(std::move(options)) { AUC::configured(); }

void AUC::configured() {
  const auto one_of = [&](std::string& value, std::initializer_list<const char*> names, const char* argument) {
    for (const char* each : names)
      if (std::equal(value.begin(), value.end(), each, each + std::string_view(each).size(), [](char a, char b) { return std::tolower(a) == std::tolower(b); })) return void(value = each);
    throw InvalidArgumentError("unknown " + std::string(argument) + " '" + value + "'", name());
  };
  one_of(options_.curve, {"ROC", "PR", "PRGAIN"}, "curve");
  one_of(options_.summation_method, {"interpolation", "minoring", "majoring"}, "summation_method");
  if (options_.thresholds) {
    std::sort(options_.thresholds->begin(), options_.thresholds->end());
    thresholds_ = resolved(*options_.thresholds, 0, name());
    thresholds_.insert(thresholds_.begin(), 0);
    thresholds_.push_back(1);
    options_.num_thresholds = std::int64_t(thresholds_.size());
  } else {
    if (options_.num_thresholds <= 1) throw InvalidArgumentError("num_thresholds must be at least 2, got " + std::to_string(options_.num_thresholds), name());
    thresholds_ = spaced_thresholds(options_.num_thresholds);
  }
  if (options_.num_labels && !options_.multi_label) throw InvalidArgumentError("num_labels is for multi_label = true", name());
  drop_weights();
  if (!options_.multi_label) make_counts({options_.num_thresholds});
  else if (options_.num_labels) make_counts({options_.num_thresholds, *options_.num_labels});
  Metric::configured();
}

void AUC::fields(Fields& f) {
  Metric::fields(f);
  f.field("num_thresholds", options_.num_thresholds);
  f.field("curve", options_.curve);
  f.field("summation_method", options_.summation_method);
  f.field("multi_label", options_.multi_label);
  f.field("num_labels", options_.num_labels);
  f.field("label_weights", options_.label_weights);
  f.field("from_logits", options_.from_logits);
  f.field("thresholds", options_.thresholds);
}

void AUC::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  if (!has_weights()) {
    if (y_pred.ndim() != 2) throw InvalidArgumentError("several labels need predictions (batch, labels), got " + to_string(y_pred.shape()), name());
    make_counts({options_.num_thresholds, y_pred.shape()[1]});
  }
  const bool evenly = !options_.thresholds || evenly_spaced(thresholds_);
  std::vector<double> thresholds = thresholds_;
  thresholds.front() -= kEpsilon;  // so that 0 and 1 themselves lie between
  thresholds.back() += kEpsilon;
  const std::vector<double>* label_weights = options_.label_weights && !options_.multi_label ? &*options_.label_weights : nullptr;
  add(Confusion(y_true, options_.from_logits ? sigmoid(as_float(y_pred)) : y_pred, sample_weight,
                {.thresholds = thresholds, .dtype = count_dtype(), .multi_label = options_.multi_label, .evenly = evenly, .label_weights = label_weights}, class_name()));
}

/// The sum over thresholds; of several labels the (weighted) mean.
Tensor AUC::over_labels(const Tensor& terms) const {
  if (!options_.multi_label) return reduce_sum(terms);
  const Tensor areas = reduce_sum(terms, 0);
  if (!options_.label_weights) return reduce_mean(areas);
  const Tensor weights = as_dtype(constant(*options_.label_weights), areas.dtype());
  return divide_no_nan(reduce_sum(areas * weights), reduce_sum(weights));
}

/// Between two thresholds true positives grow linearly with all predicted positives, so that precision is no straight line
/// (Davis and Goadrich 2006).
Tensor AUC::interpolated_precision_recall() const {
  const Tensor hit = true_positives_, all_above = hit + Tensor(false_positives_);
  const Index low = slice({}, -1), high = slice(1);
  const Tensor hits = hit[{low}] - hit[{high}], p0 = all_above[{low}], p1 = all_above[{high}];
  const Tensor slope = divide_no_nan(hits, relu(p0 - p1));
  const Tensor intercept = hit[{high}] - slope * p1;
  const Tensor ratio = where(logical_and(p0 > 0, p1 > 0), divide_no_nan(p0, relu(p1)), ones_like(p1));
  const Tensor positives = hit[{high}] + Tensor(false_negatives_)[{high}];
  return over_labels(divide_no_nan(slope * (hits + intercept * log(ratio)), relu(positives)));
}

Tensor AUC::result() const {
  if (!has_weights()) return scalar(0, count_dtype());
  if (options_.curve == "PR" && options_.summation_method == "interpolation") return interpolated_precision_recall();
  Tensor x, y;
  if (options_.curve == "ROC") {
    x = share(false_positives_, true_negatives_);
    y = share(true_positives_, false_negatives_);
  } else if (options_.curve == "PR") {
    x = share(true_positives_, false_negatives_);
    y = share(true_positives_, false_positives_);
  } else {
    const Tensor hit = true_positives_, odds = divide_no_nan(hit + Tensor(false_negatives_), Tensor(true_negatives_) + Tensor(false_positives_));
    const Tensor none = equal(hit, scalar(0, hit.dtype())), zero = scalar(0, hit.dtype()), one = scalar(1, hit.dtype());
    x = relu(where(none, zero, 1.0 - odds * divide_no_nan(false_negatives_, hit)));
    y = where(none, one, 1.0 - odds * divide_no_nan(false_positives_, hit));
  }
  const Index low = slice({}, -1), high = slice(1);
  const Tensor y0 = y[{low}], y1 = y[{high}];
  const Tensor heights = options_.summation_method == "interpolation" ? (y0 + y1) / 2.0 : options_.summation_method == "minoring" ? minimum(y0, y1) : maximum(y0, y1);
  return over_labels((x[{low}] - x[{high}]) * heights);
}

}  // namespace lockstep::nn::metrics

#pragma once
// Metrics that count: positives and negatives at thresholds, areas and points of curves, F-scores, overlaps of classes, R2. Names,
// arguments and defaults are Keras's.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lockstep/nn/confusion.h>
#include <lockstep/nn/metric.h>
#include <lockstep/nn/number_list.h>

namespace lockstep::nn::metrics {

// ---- counts at thresholds

/// How often prediction and target are such at each threshold; a number for one threshold, a vector for several.
class ConditionCount : public Metric {
 public:
  struct Options {
    /// None: 0.5. A prediction strictly above it is positive.
    NumberList thresholds = {};
    std::string name = {};
    DType dtype = float32;
  };
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() const override;
  void fields(Fields& f) override;
  void configured() override;

 protected:
  ConditionCount(Count count, Options options);

 private:
  Count count_;
  Options options_;
  std::vector<double> thresholds_;
  Variable accumulator_;
};
/// Positives that are predicted.
class TruePositives : public ConditionCount {
 public:
  explicit TruePositives(Options options) : ConditionCount(Count::true_positives, std::move(options)) {}
  TruePositives() : TruePositives(Options()) {}
};
/// Negatives that are predicted.
class TrueNegatives : public ConditionCount {
 public:
  explicit TrueNegatives(Options options) : ConditionCount(Count::true_negatives, std::move(options)) {}
  TrueNegatives() : TrueNegatives(Options()) {}
};
/// Negatives that are predicted to be positive.
class FalsePositives : public ConditionCount {
 public:
  explicit FalsePositives(Options options) : ConditionCount(Count::false_positives, std::move(options)) {}
  FalsePositives() : FalsePositives(Options()) {}
};
/// Positives that are predicted to be negative.
class FalseNegatives : public ConditionCount {
 public:
  explicit FalseNegatives(Options options) : ConditionCount(Count::false_negatives, std::move(options)) {}
  FalseNegatives() : FalseNegatives(Options()) {}
};

/// true positives / (true positives + another count) at each threshold.
class PositivesRatio : public Metric {
 public:
  struct Options {
    /// None: 0.5, or with top_k every prediction among the k largest.
    NumberList thresholds = {};
    /// Only the k largest predictions of a sample count as positive.
    std::optional<std::int64_t> top_k = {};
    /// Only this column counts.
    std::optional<std::int64_t> class_id = {};
    std::string name = {};
    DType dtype = float32;
  };
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() const override;
  std::string direction() const override { return "up"; }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  PositivesRatio(Count other, Options options);

 private:
  Count other_;
  Options options_;
  std::vector<double> thresholds_;
  Variable true_positives_, others_;
};
/// Share of the predicted positives that are positive; counts are kept across batches, not ratios averaged.
class Precision : public PositivesRatio {
 public:
  explicit Precision(Options options) : PositivesRatio(Count::false_positives, std::move(options)) {}
  Precision() : Precision(Options()) {}
};
/// Share of the positives that are predicted.
class Recall : public PositivesRatio {
 public:
  explicit Recall(Options options) : PositivesRatio(Count::false_negatives, std::move(options)) {}
  Recall() : Recall(Options()) {}
};

// ---- curves

/// All four counts at each threshold.
class FourCounts : public Metric {
 public:
  std::string direction() const override { return "up"; }

 protected:
  explicit FourCounts(Metric::Options options) : Metric(std::move(options)) {}
  void make_counts(const Shape& shape);
  void add(const Confusion& batch);
  Variable true_positives_, false_positives_, true_negatives_, false_negatives_;
};

/// The best of one rate among the thresholds where another is at least a given value.
class CurvePoint : public FourCounts {
 public:
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() const override;
  void fields(Fields& f) override;
  void configured() override;

 protected:
  enum class Rate { sensitivity, specificity, precision };
  struct Setup {
    const char* argument;  // name of the value in configurations
    Rate constrained, dependent;
    double value;
    std::int64_t num_thresholds;
    std::optional<std::int64_t> class_id;
  };
  CurvePoint(Setup setup, Metric::Options options);

 private:
  Tensor rate(Rate which) const;
  Setup setup_;
  std::vector<double> thresholds_;
};
/// The best sensitivity where the specificity is at least the given one.
class SensitivityAtSpecificity : public CurvePoint {
 public:
  struct Options {
    double specificity = 0.5;
    std::int64_t num_thresholds = 200;
    std::optional<std::int64_t> class_id = {};
    std::string name = {};
    DType dtype = float32;
  };
  explicit SensitivityAtSpecificity(Options options) : CurvePoint({"specificity", Rate::specificity, Rate::sensitivity, options.specificity, options.num_thresholds, options.class_id}, {options.name, options.dtype}) {}
  SensitivityAtSpecificity() : SensitivityAtSpecificity(Options()) {}
};
/// The best specificity where the sensitivity is at least the given one.
class SpecificityAtSensitivity : public CurvePoint {
 public:
  struct Options {
    double sensitivity = 0.5;
    std::int64_t num_thresholds = 200;
    std::optional<std::int64_t> class_id = {};
    std::string name = {};
    DType dtype = float32;
  };
  explicit SpecificityAtSensitivity(Options options) : CurvePoint({"sensitivity", Rate::sensitivity, Rate::specificity, options.sensitivity, options.num_thresholds, options.class_id}, {options.name, options.dtype}) {}
  SpecificityAtSensitivity() : SpecificityAtSensitivity(Options()) {}
};
/// The best precision where the recall is at least the given one.
class PrecisionAtRecall : public CurvePoint {
 public:
  struct Options {
    double recall = 0.5;
    std::int64_t num_thresholds = 200;
    std::optional<std::int64_t> class_id = {};
    std::string name = {};
    DType dtype = float32;
  };
  explicit PrecisionAtRecall(Options options) : CurvePoint({"recall", Rate::sensitivity, Rate::precision, options.recall, options.num_thresholds, options.class_id}, {options.name, options.dtype}) {}
  PrecisionAtRecall() : PrecisionAtRecall(Options()) {}
};
/// The best recall where the precision is at least the given one.
class RecallAtPrecision : public CurvePoint {
 public:
  struct Options {
    double precision = 0.5;
    std::int64_t num_thresholds = 200;
    std::optional<std::int64_t> class_id = {};
    std::string name = {};
    DType dtype = float32;
  };
  explicit RecallAtPrecision(Options options) : CurvePoint({"precision", Rate::precision, Rate::sensitivity, options.precision, options.num_thresholds, options.class_id}, {options.name, options.dtype}) {}
  RecallAtPrecision() : RecallAtPrecision(Options()) {}
};

/// Area under a curve, by counts at thresholds.
class AUC : public FourCounts {
 public:
  struct Options {
    std::int64_t num_thresholds = 200;
    /// "ROC", "PR" or "PRGAIN".
    std::string curve = "ROC";
    /// "interpolation", "minoring" or "majoring".
    std::string summation_method = "interpolation";
    std::string name = {};
    DType dtype = float32;
    /// Instead of num_thresholds evenly spaced ones; -1e-7 and 1 + 1e-7 are added.
    std::optional<std::vector<double>> thresholds = {};
    /// One area per column, averaged.
    bool multi_label = false;
    std::optional<std::int64_t> num_labels = {};
    std::optional<std::vector<double>> label_weights = {};
    bool from_logits = false;
  };
  AUC();
  explicit AUC(Options options);
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Tensor interpolated_precision_recall() const;
  Tensor over_labels(const Tensor& terms) const;
  Options options_;
  std::vector<double> thresholds_;
};

// ---- scores

/// (1 + beta^2) precision recall / (beta^2 precision + recall) of one-hot targets (batch, classes).
class FBetaScore : public Metric {
 public:
  struct Options {
    /// None: one score per class. "micro", "macro" or "weighted": one number.
    std::optional<std::string> average = {};
    double beta = 1.0;
    /// None: the largest prediction is positive.
    std::optional<double> threshold = {};
    std::string name = "fbeta_score";
    DType dtype = float32;
  };
  FBetaScore();
  explicit FBetaScore(Options options);
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() const override;
  std::string direction() const override { return "up"; }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Options options_;

 private:
  Variable true_positives_, false_positives_, false_negatives_, intermediate_weights_;
};

/// FBetaScore with beta = 1.
class F1Score : public FBetaScore {
 public:
  struct Options {
    std::optional<std::string> average = {};
    std::optional<double> threshold = {};
    std::string name = "f1_score";
    DType dtype = float32;
  };
  F1Score();
  explicit F1Score(Options options);
  void fields(Fields& f) override;
};

/// Share of the variance that predictions (batch, outputs) explain.
class R2Score : public Metric {
 public:
  struct Options {
    /// None: one score per output. "uniform_average" or "variance_weighted_average".
    std::optional<std::string> class_aggregation = "uniform_average";
    /// If not 0: the adjusted score for a model with so many independent variables.
    std::int64_t num_regressors = 0;
    std::string name = {};
    DType dtype = float32;
  };
  R2Score();
  explicit R2Score(Options options);
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() const override;
  std::string direction() const override { return "up"; }
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
  Variable num_samples_, squared_sum_, sum_, residual_, count_;
};

}  // namespace lockstep::nn::metrics

#pragma once
// Metrics that are a mean (or a sum) of values, and the functions that give the values. Names, arguments and defaults are Keras's.

#include <cstdint>
#include <optional>
#include <string>

#include <lockstep/nn/losses.h>
#include <lockstep/nn/metric.h>

namespace lockstep::nn::metrics {

// ---- functions: one value per sample; those of losses.h serve as well

/// 1 where both are equal.
Tensor accuracy(const Tensor& y_true, const Tensor& y_pred);
/// 1 where y_true equals (y_pred > threshold).
Tensor binary_accuracy(const Tensor& y_true, const Tensor& y_pred, double threshold = 0.5);
/// 1 where both have their maximum at the same class; of equal ones the first is the maximum.
Tensor categorical_accuracy(const Tensor& y_true, const Tensor& y_pred);
/// 1 where y_pred has its maximum at the label.
Tensor sparse_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred);
/// 1 where the class of y_true is among the k largest of y_pred; ties count.
Tensor top_k_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred, std::int64_t k = 5);
/// The same of labels. `from_sorted_ids`: y_pred holds class numbers, the best first.
Tensor sparse_top_k_categorical_accuracy(const Tensor& y_true, const Tensor& y_pred, std::int64_t k = 5, bool from_sorted_ids = false);
/// The cosine of the angle along an axis (the loss is its negative).
Tensor cosine_similarity(const Tensor& y_true, const Tensor& y_pred, std::int64_t axis = -1);
/// Correlation along an axis.
Tensor pearson_correlation(const Tensor& y_true, const Tensor& y_pred, std::int64_t axis = -1);
/// Agreement along an axis: correlation that also punishes another mean or scale.
Tensor concordance_correlation(const Tensor& y_true, const Tensor& y_pred, std::int64_t axis = -1);

// ---- of values

/// Sum of all values.
class Sum : public Metric {
 public:
  Sum();
  explicit Sum(Options options);
  /// Weights multiply the values, which are summed to the weights' axes first.
  void update_state(const Tensor& values, const Tensor& sample_weight = {});
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override;
  Tensor result() const override { return total_; }
  using Metric::operator();
  Tensor operator()(const Tensor& values);
  void configured() override;

 private:
  Variable total_;
};

/// Mean of all values: of one per sample, which is the mean over its other axes; a scalar counts once a batch.
class Mean : public Metric {
 public:
  Mean();
  explicit Mean(Options options);
  /// sum(w v) / sum(w); values are averaged to the weights' axes first.
  void update_state(const Tensor& values, const Tensor& sample_weight = {});
  /// Refused by Mean itself, which takes values; a metric that is a mean of something overrides it and calls the above.
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override;
  Tensor result() const override { return divide_no_nan(total_, count_); }
  using Metric::operator();
  Tensor operator()(const Tensor& values);
  void configured() override;

 private:
  Variable total_, count_;
};

/// Mean of a value per sample of target and prediction.
class SampleMean : public Mean {
 public:
  using Mean::Mean;
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  bool heeds_masks() const override { return true; }

 protected:
  virtual Tensor values(const Tensor& y_true, const Tensor& y_pred) const = 0;
};

/// Mean of a function's values (keras.metrics.MeanMetricWrapper).
class MeanMetricWrapper : public SampleMean {
 public:
  explicit MeanMetricWrapper(Named<Function> function, Options options = {});
  std::string function_name() const override { return function_.name; }
  const Named<Function>& function() const { return function_; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Named<Function> function_;
};

/// Is more of a metric better, or less?
enum class Better { up, down };

/// The mean of a function without arguments of its own.
template <Tensor (*F)(const Tensor&, const Tensor&), Better better>
class Plain : public SampleMean {
 public:
  using SampleMean::SampleMean;
  std::string direction() const override { return better == Better::up ? "up" : "down"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override { return F(y_true, y_pred); }
};

/// Mean of accuracy.
class Accuracy : public Plain<accuracy, Better::up> {
 public:
  using Plain::Plain;
};
/// Mean of categorical_accuracy.
class CategoricalAccuracy : public Plain<categorical_accuracy, Better::up> {
 public:
  using Plain::Plain;
};
/// Mean of sparse_categorical_accuracy.
class SparseCategoricalAccuracy : public Plain<sparse_categorical_accuracy, Better::up> {
 public:
  using Plain::Plain;
};
/// Mean of losses::mean_squared_error.
class MeanSquaredError : public Plain<losses::mean_squared_error, Better::down> {
 public:
  using Plain::Plain;
};
/// Mean of losses::mean_absolute_error.
class MeanAbsoluteError : public Plain<losses::mean_absolute_error, Better::down> {
 public:
  using Plain::Plain;
};
/// Mean of losses::mean_absolute_percentage_error.
class MeanAbsolutePercentageError : public Plain<losses::mean_absolute_percentage_error, Better::down> {
 public:
  using Plain::Plain;
};
/// Mean of losses::mean_squared_logarithmic_error.
class MeanSquaredLogarithmicError : public Plain<losses::mean_squared_logarithmic_error, Better::down> {
 public:
  using Plain::Plain;
};
/// Mean of losses::log_cosh, named "logcosh".
class LogCoshError : public Plain<losses::log_cosh, Better::down> {
 public:
  LogCoshError();
  explicit LogCoshError(Options options);
};
/// Mean of losses::hinge.
class Hinge : public Plain<losses::hinge, Better::down> {
 public:
  using Plain::Plain;
};
/// Mean of losses::squared_hinge.
class SquaredHinge : public Plain<losses::squared_hinge, Better::down> {
 public:
  using Plain::Plain;
};
/// Mean of losses::categorical_hinge.
class CategoricalHinge : public Plain<losses::categorical_hinge, Better::down> {
 public:
  using Plain::Plain;
};
/// Mean of losses::kl_divergence.
class KLDivergence : public Plain<losses::kl_divergence, Better::down> {
 public:
  using Plain::Plain;
};
/// Mean of losses::poisson.
class Poisson : public Plain<losses::poisson, Better::down> {
 public:
  using Plain::Plain;
};

/// The root of the mean squared error.
class RootMeanSquaredError : public SampleMean {
 public:
  using SampleMean::SampleMean;
  Tensor result() const override { return sqrt(Mean::result()); }
  std::string direction() const override { return "down"; }
  bool heeds_masks() const override { return false; }  // as Keras has it

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
/// Share of elements on the right side of the threshold (strictly above it: 1).
class BinaryAccuracy : public SampleMean {
 public:
  struct Options {
    double threshold = 0.5;
    std::string name = {};
    DType dtype = float32;
  };
  BinaryAccuracy();
  explicit BinaryAccuracy(Options options);
  void fields(Fields& f) override;
  std::string direction() const override { return "up"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Options options_;
};
/// Share of samples whose class is among the k most probable; ties count.
class TopKCategoricalAccuracy : public SampleMean {
 public:
  struct Options {
    std::int64_t k = 5;
    std::string name = {};
    DType dtype = float32;
  };
  TopKCategoricalAccuracy();
  explicit TopKCategoricalAccuracy(Options options);
  void fields(Fields& f) override;
  std::string direction() const override { return "up"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Options options_;
};
/// As TopKCategoricalAccuracy, of labels. `from_sorted_ids`: y_pred holds class numbers, the best first.
class SparseTopKCategoricalAccuracy : public SampleMean {
 public:
  struct Options {
    std::int64_t k = 5;
    bool from_sorted_ids = false;
    std::string name = {};
    DType dtype = float32;
  };
  SparseTopKCategoricalAccuracy();
  explicit SparseTopKCategoricalAccuracy(Options options);
  void fields(Fields& f) override;
  std::string direction() const override { return "up"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Options options_;
};
/// Mean cosine of the angles.
class CosineSimilarity : public SampleMean {
 public:
  struct Options {
    std::int64_t axis = -1;
    std::string name = {};
    DType dtype = float32;
  };
  CosineSimilarity();
  explicit CosineSimilarity(Options options);
  void fields(Fields& f) override;
  std::string direction() const override { return "up"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Options options_;
};
/// Mean of losses::binary_crossentropy.
class BinaryCrossentropy : public SampleMean {
 public:
  struct Options {
    bool from_logits = false;
    double label_smoothing = 0.0;
    std::string name = {};
    DType dtype = float32;
  };
  BinaryCrossentropy();
  explicit BinaryCrossentropy(Options options);
  void fields(Fields& f) override;
  std::string direction() const override { return "down"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Options options_;
};
/// Mean of losses::categorical_crossentropy.
class CategoricalCrossentropy : public SampleMean {
 public:
  struct Options {
    bool from_logits = false;
    double label_smoothing = 0.0;
    std::int64_t axis = -1;
    std::string name = {};
    DType dtype = float32;
  };
  CategoricalCrossentropy();
  explicit CategoricalCrossentropy(Options options);
  void fields(Fields& f) override;
  std::string direction() const override { return "down"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Options options_;
};
/// Mean of losses::sparse_categorical_crossentropy.
class SparseCategoricalCrossentropy : public SampleMean {
 public:
  struct Options {
    bool from_logits = false;
    std::optional<std::int64_t> ignore_class = {};
    std::int64_t axis = -1;
    std::string name = {};
    DType dtype = float32;
  };
  SparseCategoricalCrossentropy();
  explicit SparseCategoricalCrossentropy(Options options);
  void fields(Fields& f) override;
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  std::string direction() const override { return "down"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Options options_;
};
/// Mean correlation along an axis.
class PearsonCorrelation : public SampleMean {
 public:
  struct Options {
    std::int64_t axis = -1;
    std::string name = {};
    DType dtype = float32;
  };
  PearsonCorrelation();
  explicit PearsonCorrelation(Options options);
  void fields(Fields& f) override;
  std::string direction() const override { return "up"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Options options_;
};
/// Mean concordance correlation along an axis.
class ConcordanceCorrelation : public SampleMean {
 public:
  struct Options {
    std::int64_t axis = -1;
    std::string name = {};
    DType dtype = float32;
  };
  ConcordanceCorrelation();
  explicit ConcordanceCorrelation(Options options);
  void fields(Fields& f) override;
  std::string direction() const override { return "up"; }

 protected:
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;

 private:
  Options options_;
};

}  // namespace lockstep::nn::metrics

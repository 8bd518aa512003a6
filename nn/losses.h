#pragma once
// The losses of Keras: classes with a reduction, and the functions behind them, which give one value per sample (the last axis is
// reduced). Names, arguments and defaults are Keras's. Every function takes integer targets as well, aligns (n,) with (n, 1), and
// throws InvalidArgumentError for shapes that do not fit, where broadcasting would give a matrix of errors.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <lockstep/nn/loss.h>
#include <lockstep/nn/number_list.h>

namespace lockstep::nn::losses {

/// mean((y_true - y_pred)^2)
Tensor mean_squared_error(const Tensor& y_true, const Tensor& y_pred);
/// mean(|y_true - y_pred|)
Tensor mean_absolute_error(const Tensor& y_true, const Tensor& y_pred);
/// 100 mean(|y_true - y_pred| / max(|y_true|, 1e-7))
Tensor mean_absolute_percentage_error(const Tensor& y_true, const Tensor& y_pred);
/// mean((log(max(y_true, 1e-7) + 1) - log(max(y_pred, 1e-7) + 1))^2)
Tensor mean_squared_logarithmic_error(const Tensor& y_true, const Tensor& y_pred);
/// mean(log(cosh(y_pred - y_true)))
Tensor log_cosh(const Tensor& y_true, const Tensor& y_pred);
/// mean(y_pred - y_true log(y_pred + 1e-7))
Tensor poisson(const Tensor& y_true, const Tensor& y_pred);
/// sum(y_true log(y_true / y_pred)), both clipped to [1e-7, 1]
Tensor kl_divergence(const Tensor& y_true, const Tensor& y_pred);
/// mean(max(1 - y_true y_pred, 0)); targets of 0 and 1 only count as -1 and 1
Tensor hinge(const Tensor& y_true, const Tensor& y_pred);
/// mean(max(1 - y_true y_pred, 0)^2); targets as for hinge
Tensor squared_hinge(const Tensor& y_true, const Tensor& y_pred);
/// max(max((1 - y_true) y_pred) - sum(y_true y_pred) + 1, 0)
Tensor categorical_hinge(const Tensor& y_true, const Tensor& y_pred);
/// -log p(labels | logits), summed over all alignments. `y_true` (batch, labels): class numbers, padded with 0, which is also the blank;
/// `y_pred` (batch, time, classes): logits. inf where there is not enough time for the labels.
Tensor ctc(const Tensor& y_true, const Tensor& y_pred);
/// mean(e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2)
Tensor huber(const Tensor& y_true, const Tensor& y_pred, double delta = 1.0);
/// -cos of the angle between both along `axis`; a zero vector gives 0.
Tensor cosine_similarity(const Tensor& y_true, const Tensor& y_pred, std::int64_t axis = -1);
/// mean(-y_true log p - (1 - y_true) log(1 - p)) with p clipped to [1e-7, 1 - 1e-7]; from logits without clipping. Inside a traced function
/// the output of sigmoid is replaced by its logits.
Tensor binary_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits = false, double label_smoothing = 0.0, std::int64_t axis = -1);
/// Binary cross-entropy times (1 - p_t)^gamma, with class balancing also times alpha (1 - alpha for the negatives).
Tensor binary_focal_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool apply_class_balancing = false, double alpha = 0.25, double gamma = 2.0, bool from_logits = false, double label_smoothing = 0.0, std::int64_t axis = -1);
/// -sum(y_true log p); probabilities are divided by their sum and clipped first. Inside a traced function the output of softmax is replaced by
/// its logits.
Tensor categorical_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits = false, double label_smoothing = 0.0, std::int64_t axis = -1);
/// -sum(alpha (1 - p)^gamma y_true log p)
Tensor categorical_focal_crossentropy(const Tensor& y_true, const Tensor& y_pred, const NumberList& alpha = 0.25, double gamma = 2.0, bool from_logits = false, double label_smoothing = 0.0, std::int64_t axis = -1);
/// -log p[label]; `y_true` (..., ) or (..., 1) holds class numbers. Samples of `ignore_class` give 0. Throws for a label outside the classes.
Tensor sparse_categorical_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits = false, std::optional<std::int64_t> ignore_class = {}, std::int64_t axis = -1);
/// (1 - p[label]^q) / q
Tensor categorical_generalized_cross_entropy(const Tensor& y_true, const Tensor& y_pred, double q = 0.5);
/// 1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred) + 1e-7)
Tensor dice(const Tensor& y_true, const Tensor& y_pred, const Axes& axis = {});
/// 1 - o / (o + alpha sum((1 - y_pred) y_true) + beta sum(y_pred (1 - y_true)) + 1e-7) with o = sum(y_true y_pred)
Tensor tversky(const Tensor& y_true, const Tensor& y_pred, double alpha = 0.5, double beta = 0.5, const Axes& axis = {});
/// Circle loss of embeddings `y_pred` (batch, n) of length 1 with labels `y_true` (batch,).
Tensor circle(const Tensor& y_true, const Tensor& y_pred, double gamma = 80.0, double margin = 0.4, bool remove_diagonal = true);

/// Where `y_true` does not hold `ignore_class`, in the shape of the sparse losses of `y_pred`.
Tensor not_ignored(const Tensor& y_true, const Tensor& y_pred, std::int64_t ignore_class);

/// A loss without arguments of its own.
template <Tensor (*F)(const Tensor&, const Tensor&)>
class Plain : public Loss {
 public:
  using Loss::Loss;
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override { return F(y_true, y_pred); }
};

/// mean_squared_error
class MeanSquaredError : public Plain<mean_squared_error> {
 public:
  using Plain::Plain;
};
/// mean_absolute_error
class MeanAbsoluteError : public Plain<mean_absolute_error> {
 public:
  using Plain::Plain;
};
/// mean_absolute_percentage_error
class MeanAbsolutePercentageError : public Plain<mean_absolute_percentage_error> {
 public:
  using Plain::Plain;
};
/// mean_squared_logarithmic_error
class MeanSquaredLogarithmicError : public Plain<mean_squared_logarithmic_error> {
 public:
  using Plain::Plain;
};
/// log_cosh
class LogCosh : public Plain<log_cosh> {
 public:
  using Plain::Plain;
};
/// poisson
class Poisson : public Plain<poisson> {
 public:
  using Plain::Plain;
};
/// kl_divergence
class KLDivergence : public Plain<kl_divergence> {
 public:
  using Plain::Plain;
};
/// hinge
class Hinge : public Plain<hinge> {
 public:
  using Plain::Plain;
};
/// squared_hinge
class SquaredHinge : public Plain<squared_hinge> {
 public:
  using Plain::Plain;
};
/// categorical_hinge
class CategoricalHinge : public Plain<categorical_hinge> {
 public:
  using Plain::Plain;
};
/// ctc
class CTC : public Plain<ctc> {
 public:
  using Plain::Plain;
};

/// huber. Huber: quadratic up to `delta`, then linear.
class Huber : public Loss {
 public:
  struct Options {
    double delta = 1.0;
    std::string reduction = "sum_over_batch_size";
    std::string name = "huber_loss";
    std::optional<DType> dtype = {};
  };
  Huber();
  explicit Huber(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  void fields(Fields& f) override;

 private:
  Options options_;
};
/// cosine_similarity. -cosine of the angle: -1 for the same direction.
class CosineSimilarity : public Loss {
 public:
  struct Options {
    std::int64_t axis = -1;
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  CosineSimilarity();
  explicit CosineSimilarity(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  void fields(Fields& f) override;

 private:
  Options options_;
};
/// binary_crossentropy. Of independent yes-no probabilities (or logits).
class BinaryCrossentropy : public Loss {
 public:
  struct Options {
    bool from_logits = false;
    double label_smoothing = 0.0;
    std::int64_t axis = -1;
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  BinaryCrossentropy();
  explicit BinaryCrossentropy(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  void fields(Fields& f) override;

 private:
  Options options_;
};
/// binary_focal_crossentropy. Cross-entropy times (1 - p_t)^gamma: well classified samples count less.
class BinaryFocalCrossentropy : public Loss {
 public:
  struct Options {
    bool apply_class_balancing = false;
    double alpha = 0.25;
    double gamma = 2.0;
    bool from_logits = false;
    double label_smoothing = 0.0;
    std::int64_t axis = -1;
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  BinaryFocalCrossentropy();
  explicit BinaryFocalCrossentropy(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  void fields(Fields& f) override;

 private:
  Options options_;
};
/// categorical_crossentropy. Of one-hot (or soft) targets.
class CategoricalCrossentropy : public Loss {
 public:
  struct Options {
    bool from_logits = false;
    double label_smoothing = 0.0;
    std::int64_t axis = -1;
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  CategoricalCrossentropy();
  explicit CategoricalCrossentropy(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  void fields(Fields& f) override;

 private:
  Options options_;
};
/// categorical_focal_crossentropy. `alpha`: one weight, or one per class.
class CategoricalFocalCrossentropy : public Loss {
 public:
  struct Options {
    NumberList alpha = 0.25;
    double gamma = 2.0;
    bool from_logits = false;
    double label_smoothing = 0.0;
    std::int64_t axis = -1;
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  CategoricalFocalCrossentropy();
  explicit CategoricalFocalCrossentropy(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  void fields(Fields& f) override;

 private:
  Options options_;
};
/// sparse_categorical_crossentropy. Of labels; `ignore_class` is a label (say -1) whose samples do not count.
class SparseCategoricalCrossentropy : public Loss {
 public:
  struct Options {
    bool from_logits = false;
    std::optional<std::int64_t> ignore_class = {};
    std::int64_t axis = -1;
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  SparseCategoricalCrossentropy();
  explicit SparseCategoricalCrossentropy(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  Tensor valid(const Tensor& y_true, const Tensor& y_pred, const Tensor& values) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
};
/// categorical_generalized_cross_entropy. (1 - p^q) / q of the label's probability: robust against wrong labels. 0 < q < 1.
class CategoricalGeneralizedCrossEntropy : public Loss {
 public:
  struct Options {
    double q = 0.5;
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  CategoricalGeneralizedCrossEntropy();
  explicit CategoricalGeneralizedCrossEntropy(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
};
/// dice. 1 - 2 |overlap| / (|y_true| + |y_pred|) over the axes (none: all, one number).
class Dice : public Loss {
 public:
  struct Options {
    Axes axis = {};
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  Dice();
  explicit Dice(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  bool values_end_in_classes() const override { return !std::holds_alternative<None>(options_.axis.value); }
  void fields(Fields& f) override;

 private:
  Options options_;
};
/// tversky. As Dice, with weights for false positives and false negatives.
class Tversky : public Loss {
 public:
  struct Options {
    double alpha = 0.5;
    double beta = 0.5;
    Axes axis = {};
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  Tversky();
  explicit Tversky(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  bool values_end_in_classes() const override { return !std::holds_alternative<None>(options_.axis.value); }
  void fields(Fields& f) override;

 private:
  Options options_;
};
/// circle. Of embeddings (batch, n) of length 1 and their labels: pulls those of one label together, pushes others apart.
class Circle : public Loss {
 public:
  struct Options {
    double gamma = 80.0;
    double margin = 0.4;
    bool remove_diagonal = true;
    std::string reduction = "sum_over_batch_size";
    std::string name = {};
    std::optional<DType> dtype = {};
  };
  Circle();
  explicit Circle(Options options);
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override;
  Tensor valid(const Tensor& y_true, const Tensor& y_pred, const Tensor& values) const override;
  void fields(Fields& f) override;

 private:
  Options options_;
};

}  // namespace lockstep::nn::losses

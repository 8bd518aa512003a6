#pragma once
// The chapter's loss in its forms: a function, a function that makes functions, a class; and the metrics made of it.

#include <string>

#include <lockstep/lockstep.h>

namespace book {

/// Half the squared error where it is small, the absolute error where it is large.
lockstep::Tensor huber_fn(const lockstep::Tensor& y_true, const lockstep::Tensor& y_pred);
/// The same with another threshold. Called "huber_fn", as in the book: by this name it is saved.
lockstep::Named<lockstep::nn::Loss::Function> create_huber(double threshold = 1);

/// The threshold as a field is saved with the loss.
class HuberLoss : public lockstep::nn::Loss {
 public:
  HuberLoss() : HuberLoss(1) {}
  explicit HuberLoss(double threshold, Options options = {}) : Loss(std::move(options)), threshold_(threshold) {}
  lockstep::Tensor call(const lockstep::Tensor& y_true, const lockstep::Tensor& y_pred) const override { return create_huber(threshold_).function(y_true, y_pred); }
  void fields(lockstep::Fields& f) override {
    Loss::fields(f);
    f.field("threshold", threshold_);
  }
  double threshold() const { return threshold_; }

 private:
  double threshold_;
};

/// A streaming metric from scratch: the mean of all Huber values that it has seen.
class HuberMetric : public lockstep::nn::Metric {
 public:
  HuberMetric() : HuberMetric(1) {}
  explicit HuberMetric(double threshold, Options options = {}) : Metric(std::move(options)), threshold_(threshold) {
    total_ = add_weight("total", lockstep::zeros);
    count_ = add_weight("count", lockstep::zeros);
  }
  void update_state(const lockstep::Tensor& y_true, const lockstep::Tensor& y_pred, const lockstep::Tensor& sample_weight = {}) override;
  lockstep::Tensor result() const override { return total_.value() / count_.value(); }
  void fields(lockstep::Fields& f) override {
    Metric::fields(f);
    f.field("threshold", threshold_);
  }

 private:
  double threshold_;
  lockstep::Variable total_, count_;
};

/// The same on top of Mean, which also takes care of sample weights.
class HuberMean : public lockstep::nn::metrics::Mean {
 public:
  HuberMean() : HuberMean(1) {}
  explicit HuberMean(double threshold, Options options = {}) : Mean(std::move(options)), threshold_(threshold) {}
  void update_state(const lockstep::Tensor& y_true, const lockstep::Tensor& y_pred, const lockstep::Tensor& sample_weight = {}) override {
    Mean::update_state(create_huber(threshold_).function(y_true, y_pred), sample_weight);
  }
  void fields(lockstep::Fields& f) override {
    Mean::fields(f);
    f.field("threshold", threshold_);
  }

 private:
  double threshold_;
};

}  // namespace book

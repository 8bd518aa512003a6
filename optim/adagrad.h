#pragma once
// Optimizers that divide by the root of a sum or an average of squared gradients: RMSprop, Adagrad, Adadelta, Ftrl.

#include <lockstep/optim/optimizer.h>

namespace lockstep::optim {

/// v = rho v + (1 - rho) g^2, step = lr g / sqrt(v + epsilon); centered takes the square of the average gradient off v.
class RMSprop : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double rho = 0.9, momentum = 0, epsilon = 1e-7;
    bool centered = false;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  RMSprop();
  explicit RMSprop(Options options);
  void fields(Fields& f) override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double rho_, momentum_, epsilon_;
  bool centered_;
};

/// a += g^2, w -= lr g / sqrt(a + epsilon).
class Adagrad : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double initial_accumulator_value = 0.1, epsilon = 1e-7;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Adagrad();
  explicit Adagrad(Options options);
  void fields(Fields& f) override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;
  bool leaves_rows() const override { return initial_accumulator_value_ + epsilon_ > 0; }  // or 0 / 0
  void update_rows(const IndexedSlices& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double initial_accumulator_value_, epsilon_;
};

/// Steps are g times the root of the average squared step over that of the average squared gradient.
class Adadelta : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double rho = 0.95, epsilon = 1e-7;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Adadelta();
  explicit Adadelta(Options options);
  void fields(Fields& f) override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double rho_, epsilon_;
};

/// Follow the regularized leader: small weights become exactly zero under l1.
class Ftrl : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double learning_rate_power = -0.5, initial_accumulator_value = 0.1;
    double l1_regularization_strength = 0, l2_regularization_strength = 0, l2_shrinkage_regularization_strength = 0, beta = 0;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Ftrl();
  /// Throws InvalidArgumentError for negative strengths or accumulators, or a positive power.
  explicit Ftrl(Options options);
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double learning_rate_power_, initial_accumulator_value_;
  double l1_regularization_strength_, l2_regularization_strength_, l2_shrinkage_regularization_strength_, beta_;
};

}  // namespace lockstep::optim

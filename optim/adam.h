#pragma once
// Adam and what was made of it. All keep m, an average of the gradients (momentum), and all but Adamax v, an average of their squares
// (velocity); t is the number of the update.

#include <lockstep/optim/optimizer.h>

namespace lockstep::optim {

/// w -= alpha m / (sqrt(v) + epsilon), alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t); amsgrad takes the largest v so far.
class Adam : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
    bool amsgrad = false;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Adam();
  explicit Adam(Options options);
  void fields(Fields& f) override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double beta_1_, beta_2_, epsilon_;
  bool amsgrad_;
};

/// Adam with weight decay.
class AdamW : public Adam {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
    bool amsgrad = false;
    std::optional<double> weight_decay = 0.004, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  AdamW();
  /// Throws InvalidArgumentError without weight_decay.
  explicit AdamW(Options options);
  void configured() override;
};

/// u = max(beta_2 u, |g|), w -= lr m / ((1 - beta_1^t) (u + epsilon)).
class Adamax : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Adamax();
  explicit Adamax(Options options);
  void fields(Fields& f) override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double beta_1_, beta_2_, epsilon_;
};

/// Adam with Nesterov momentum: mu_t = beta_1 (1 - 0.96^t / 2), whose product over all updates is one more state variable.
class Nadam : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Nadam();
  explicit Nadam(Options options);
  void fields(Fields& f) override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void begin_update() override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double beta_1_, beta_2_, epsilon_;
  Variable product_;
};

/// Adam's bias-corrected step, scaled for each variable to lr times the variable's norm.
class Lamb : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Lamb();
  explicit Lamb(Options options);
  void fields(Fields& f) override;

 protected:
  bool elementwise() const override { return false; }
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double beta_1_, beta_2_, epsilon_;
};

/// Adam's velocity, and in place of a schedule an average of the iterates; m is the iterate, the variable lies between the two.
class ScheduleFreeAdamW : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.0025;
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8;
    std::int64_t warmup_steps = 0;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  ScheduleFreeAdamW();
  explicit ScheduleFreeAdamW(Options options);
  void fields(Fields& f) override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double beta_1_, beta_2_, epsilon_;
  std::int64_t warmup_steps_;
};

}  // namespace lockstep::optim

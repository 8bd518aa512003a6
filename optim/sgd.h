#pragma once
// Optimizers with at most one average of gradients: SGD and Lion.

#include <lockstep/optim/optimizer.h>

namespace lockstep::optim {

/// w -= lr g; with momentum m = momentum m - lr g, w += m; with nesterov w += momentum m - lr g.
class SGD : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.01;
    double momentum = 0;
    bool nesterov = false;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  SGD();
  /// Throws InvalidArgumentError unless momentum lies in [0, 1].
  explicit SGD(Options options);
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;
  bool leaves_rows() const override { return momentum_ == 0; }
  void update_rows(const IndexedSlices& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double momentum_;
  bool nesterov_;
};

/// w -= lr sign(beta_1 m + (1 - beta_1) g), then m = beta_2 m + (1 - beta_2) g.
class Lion : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9, beta_2 = 0.99;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Lion();
  /// Throws InvalidArgumentError unless beta_1 lies in (0, 1].
  explicit Lion(Options options);
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double beta_1_, beta_2_;
};

}  // namespace lockstep::optim

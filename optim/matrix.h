#pragma once
// Optimizers that look at a weight as a matrix: Adafactor and Muon.

#include <lockstep/optim/optimizer.h>

namespace lockstep::optim {

/// Keeps the means of the squared gradients over rows and over columns in place of all of them; steps are relative to the weights' size.
class Adafactor : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double beta_2_decay = -0.8, epsilon_1 = 1e-30, epsilon_2 = 1e-3, clip_threshold = 1;
    bool relative_step = true;
    std::optional<double> weight_decay = {}, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Adafactor();
  explicit Adafactor(Options options);
  void fields(Fields& f) override;

 protected:
  bool elementwise() const override { return false; }
  void build_slots(std::span<const Variable> variables) override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  double beta_2_decay_, epsilon_1_, epsilon_2_, clip_threshold_;
  bool relative_step_;
};

/// Matrices move by their momentum made orthogonal (Newton-Schulz); all other variables, embeddings and the variables whose path contains
/// a match of one of `exclude_layers` move by Adam with a weight decay of its own.
class Muon : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double adam_beta_1 = 0.9, adam_beta_2 = 0.999;
    std::optional<double> adam_weight_decay = 0.004;
    double epsilon = 1e-7;
    std::vector<std::string> exclude_layers = {};
    bool exclude_embeddings = true;
    double muon_a = 3.4445, muon_b = -4.7750, muon_c = 2.0315, adam_lr_ratio = 1, momentum = 0.95;
    std::int64_t ns_steps = 5;
    bool nesterov = true;
    std::optional<double> rms_rate = 0.2;
    std::optional<double> weight_decay = 0.004, clipnorm = {}, clipvalue = {}, global_clipnorm = {};
    bool use_ema = false;
    double ema_momentum = 0.99;
    std::optional<std::int64_t> ema_overwrite_frequency = {};
    std::optional<double> loss_scale_factor = {};
    std::optional<std::int64_t> gradient_accumulation_steps = {};
    std::string name = {};
  };
  Muon();
  explicit Muon(Options options);
  void fields(Fields& f) override;

 protected:
  bool elementwise() const override { return false; }
  void build_slots(std::span<const Variable> variables) override;
  std::optional<double> weight_decay_of(const Variable& variable) const override;
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override;

 private:
  bool uses_adam(const Variable& variable) const;
  Tensor orthogonal(Tensor x) const;

  double adam_beta_1_, adam_beta_2_;
  std::optional<double> adam_weight_decay_;
  double epsilon_;
  std::vector<std::string> exclude_layers_;
  bool exclude_embeddings_;
  double muon_a_, muon_b_, muon_c_, adam_lr_ratio_, momentum_;
  std::int64_t ns_steps_;
  bool nesterov_;
  std::optional<double> rms_rate_;
};

}  // namespace lockstep::optim

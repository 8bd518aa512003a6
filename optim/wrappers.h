#pragma once
// Optimizers made of other optimizers: dynamic loss scaling, and one optimizer per group of variables.

#include <lockstep/optim/optimizer.h>

namespace lockstep::optim {

/// Multiplies the loss by a scale that follows the gradients: where one is not finite the step is skipped and the scale halved; after
/// `dynamic_growth_steps` finite steps in a row it is doubled. For float16, whose small gradients would vanish.
class LossScaleOptimizer : public Optimizer {
 public:
  struct Options {
    Ref<Optimizer> inner_optimizer = {};
    double initial_scale = 32768;
    std::int64_t dynamic_growth_steps = 2000;
    std::string name = {};
  };
  LossScaleOptimizer();
  /// Throws InvalidArgumentError without inner_optimizer. Its own loss_scale_factor is switched off.
  explicit LossScaleOptimizer(Options options);

  const Ref<Optimizer>& inner_optimizer() const { return inner_; }
  /// The present scale, a float32 scalar.
  Tensor dynamic_scale() const;
  Variable iterations() override { return inner_->iterations(); }
  Tensor learning_rate() override { return inner_->learning_rate(); }
  void set_learning_rate(const LearningRate& rate) override { inner_->set_learning_rate(rate); }
  /// Its own, followed by those of the inner optimizer.
  std::vector<Variable> variables() override;
  void constrain(const Variable& variable, std::function<Tensor(const Tensor&)> constraint) override { inner_->constrain(variable, std::move(constraint)); }
  Tensor scale_loss(const Tensor& loss) override;
  void shard_state() override { inner_->shard_state(); }
  std::vector<std::pair<Variable, Shape>> sharded_variables() const override { return inner_->sharded_variables(); }
  void finalize_variable_values(std::span<const Variable> variables) override { inner_->finalize_variable_values(variables); }
  bool has_averages() const override { return inner_->has_averages(); }
  void swap_averages() override { inner_->swap_averages(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void run(std::span<const Gradient> gradients, std::span<const Variable> variables) override;

 private:
  Ref<Optimizer> inner_;
  double initial_scale_;
  std::int64_t dynamic_growth_steps_;
  Variable counter_, scale_;
};

/// Which optimizer a variable gets: the one under its path, the one under a regular expression that matches all of its path, or the
/// default. A function of the variable can be given in its place.
class OptimizerMap : public Component {
 public:
  static constexpr const char* kModule = "keras.optimizers";
  using Function = std::function<Ref<Optimizer>(const Variable& variable)>;
  static std::shared_ptr<OptimizerMap> wrap(Named<Function> function);
  static void register_builtins() { Optimizer::register_builtins(); }

  struct Options {
    Ref<Optimizer> default_optimizer = {};
    std::vector<std::pair<std::string, Ref<Optimizer>>> optimizer_map = {};
  };
  OptimizerMap() = default;
  /// Throws InvalidArgumentError without a default, or for one key twice.
  explicit OptimizerMap(Options options);

  const Ref<Optimizer>& default_optimizer() const { return options_.default_optimizer; }
  /// The others, under their keys.
  const std::vector<std::pair<std::string, Ref<Optimizer>>>& entries() const { return options_.optimizer_map; }
  /// Throws InvalidArgumentError if several patterns match.
  virtual Ref<Optimizer> operator()(const Variable& variable) const;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
};

/// Gives each variable to its optimizer. Each inner optimizer has its own learning rate.
class MultiOptimizer : public Optimizer {
 public:
  struct Options {
    Ref<OptimizerMap> optimizer_map = {};
    /// Replaces that of the inner optimizers.
    std::optional<double> loss_scale_factor = {};
    std::string name = {};
  };
  MultiOptimizer();
  /// Throws InvalidArgumentError without optimizer_map.
  explicit MultiOptimizer(Options options);

  /// Those of the map, the default one, then (once it is built) what a function has given for variables, in their order.
  const std::vector<Ref<Optimizer>>& optimizers() const { return optimizers_; }
  /// Both throw FailedPreconditionError: ask the inner optimizers.
  Tensor learning_rate() override;
  void set_learning_rate(const LearningRate& rate) override;
  /// Its own, followed by those of the inner optimizers.
  std::vector<Variable> variables() override;
  void constrain(const Variable& variable, std::function<Tensor(const Tensor&)> constraint) override;
  void set_loss_scale_factor(std::optional<double> factor) override;
  void finalize_variable_values(std::span<const Variable> variables) override;
  /// Of any of the optimizers; the others' variables stay as they are.
  bool has_averages() const override;
  void swap_averages() override;
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build_slots(std::span<const Variable> variables) override;
  void run(std::span<const Gradient> gradients, std::span<const Variable> variables) override;

 private:
  std::size_t add(const Ref<Optimizer>& optimizer);

  Ref<OptimizerMap> map_;
  std::vector<Ref<Optimizer>> optimizers_;
  std::unordered_set<std::string> names_;
  std::unordered_map<const void*, std::size_t> optimizer_of_;
  std::vector<std::pair<Variable, std::function<Tensor(const Tensor&)>>> constraints_;
};

}  // namespace lockstep::optim

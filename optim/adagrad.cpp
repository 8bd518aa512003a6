#include <lockstep/optim/adagrad.h>

#include <lockstep/tensor/indexed_slices.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::optim {
namespace {

/// beta average + (1 - beta) value, assigned and returned.
Tensor mix(const Variable& average, const Tensor& value, double beta) {
  average.assign(average.value() * beta + value * (1 - beta));
  return average.value();
}

Tensor raised(const Tensor& x, double exponent) { return exponent == 0.5 ? sqrt(x) : pow(x, scalar(exponent, x.dtype())); }

}  // namespace

// ---- RMSprop

RMSprop::RMSprop() : RMSprop(Options()) {}
RMSprop::RMSprop(Options options)
    : Optimizer(common_options(options)), rho_(options.rho), momentum_(options.momentum), epsilon_(options.epsilon), centered_(options.centered) {}

void RMSprop::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("rho", rho_);
  f.field("momentum", momentum_);
  f.field("epsilon", epsilon_);
  f.field("centered", centered_);
}

void RMSprop::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) add_slot(variable, "velocity");
  if (momentum_ > 0)
    for (const Variable& variable : variables) add_slot(variable, "momentum");
  if (centered_)
    for (const Variable& variable : variables) add_slot(variable, "average_gradient");
}

void RMSprop::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  Tensor spread = mix(slot(variable, "velocity"), square(gradient), rho_);
  if (centered_) spread = spread - square(mix(slot(variable, "average_gradient"), gradient, rho_));
  const Tensor step = learning_rate * gradient / sqrt(spread + epsilon_);
  if (momentum_ <= 0) {
    variable.assign_sub(step);
    return;
  }
  const Variable& momentum = slot(variable, "momentum");
  momentum.assign(momentum.value() * momentum_ + step);
  variable.assign_sub(momentum.value());
}

// ---- Adagrad

Adagrad::Adagrad() : Adagrad(Options()) {}
Adagrad::Adagrad(Options options)
    : Optimizer(common_options(options)), initial_accumulator_value_(options.initial_accumulator_value), epsilon_(options.epsilon) {}

void Adagrad::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("initial_accumulator_value", initial_accumulator_value_);
  f.field("epsilon", epsilon_);
}

void Adagrad::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) add_slot(variable, "accumulator", initial_accumulator_value_);
}

void Adagrad::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const Variable& accumulator = slot(variable, "accumulator");
  accumulator.assign_add(square(gradient));
  variable.assign_sub(learning_rate * gradient / sqrt(accumulator.value() + epsilon_));
}

void Adagrad::update_rows(const IndexedSlices& gradient, const Variable& variable, const Tensor& learning_rate) {
  const Variable& accumulator = slot(variable, "accumulator");
  const Tensor squares = square(gradient.values), sums = gather(accumulator.value(), gradient.indices) + squares;
  add_rows(accumulator, gradient.indices, squares);
  add_rows(variable, gradient.indices, -(learning_rate * gradient.values / sqrt(sums + epsilon_)));
}

// ---- Adadelta

Adadelta::Adadelta() : Adadelta(Options()) {}
Adadelta::Adadelta(Options options) : Optimizer(common_options(options)), rho_(options.rho), epsilon_(options.epsilon) {}

void Adadelta::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("rho", rho_);
  f.field("epsilon", epsilon_);
}

void Adadelta::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) {
    add_slot(variable, "accumulated_grad");
    add_slot(variable, "accumulated_delta_var");
  }
}

void Adadelta::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const Variable& steps = slot(variable, "accumulated_delta_var");
  const Tensor gradients = mix(slot(variable, "accumulated_grad"), square(gradient), rho_);
  const Tensor step = sqrt(steps.value() + epsilon_) * gradient / sqrt(gradients + epsilon_);
  mix(steps, square(step), rho_);
  variable.assign_sub(learning_rate * step);
}

// ---- Ftrl

Ftrl::Ftrl() : Ftrl(Options()) {}
Ftrl::Ftrl(Options options)
    : Optimizer(common_options(options)), learning_rate_power_(options.learning_rate_power), initial_accumulator_value_(options.initial_accumulator_value),
      l1_regularization_strength_(options.l1_regularization_strength), l2_regularization_strength_(options.l2_regularization_strength),
      l2_shrinkage_regularization_strength_(options.l2_shrinkage_regularization_strength), beta_(options.beta) {
  Ftrl::configured();
}

void Ftrl::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("learning_rate_power", learning_rate_power_);
  f.field("initial_accumulator_value", initial_accumulator_value_);
  f.field("l1_regularization_strength", l1_regularization_strength_);
  f.field("l2_regularization_strength", l2_regularization_strength_);
  f.field("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength_);
  f.field("beta", beta_);
}

void Ftrl::configured() {
  Optimizer::configured();
  const auto require = [](bool fine, const char* name, const char* what, double value) {
    if (!fine) throw InvalidArgumentError(std::string(name) + " must not be " + what + ", got " + std::to_string(value), "Ftrl");
  };
  require(initial_accumulator_value_ >= 0, "initial_accumulator_value", "negative", initial_accumulator_value_);
  require(learning_rate_power_ <= 0, "learning_rate_power", "positive", learning_rate_power_);
  require(l1_regularization_strength_ >= 0, "l1_regularization_strength", "negative", l1_regularization_strength_);
  require(l2_regularization_strength_ >= 0, "l2_regularization_strength", "negative", l2_regularization_strength_);
  require(l2_shrinkage_regularization_strength_ >= 0, "l2_shrinkage_regularization_strength", "negative", l2_shrinkage_regularization_strength_);
}

void Ftrl::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) {
    add_slot(variable, "accumulator", initial_accumulator_value_);
    add_slot(variable, "linear");
  }
}

void Ftrl::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const Variable& accumulator = slot(variable, "accumulator");
  const Variable& linear = slot(variable, "linear");
  const Tensor w = variable.value(), before = accumulator.value(), after = before + square(gradient);
  const Tensor root = raised(after, -learning_rate_power_);
  const Tensor shrunk = gradient + w * (2 * l2_shrinkage_regularization_strength_);
  linear.assign_add(shrunk - (root - raised(before, -learning_rate_power_)) / learning_rate * w);
  const Tensor quadratic = root / learning_rate + 2 * (l2_regularization_strength_ + beta_ / (2 * learning_rate));
  const Tensor clipped = clip_by_value(linear.value(), -l1_regularization_strength_, l1_regularization_strength_);
  variable.assign((clipped - linear.value()) / quadratic);
  accumulator.assign(after);
}

}  // namespace lockstep::optim

#include <lockstep/optim/sgd.h>

#include <lockstep/tensor/indexed_slices.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::optim {

SGD::SGD() : SGD(Options()) {}
SGD::SGD(Options options) : Optimizer(common_options(options)), momentum_(options.momentum), nesterov_(options.nesterov) { SGD::configured(); }

void SGD::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("momentum", momentum_);
  f.field("nesterov", nesterov_);
}

void SGD::configured() {
  Optimizer::configured();
  if (!(momentum_ >= 0 && momentum_ <= 1)) throw InvalidArgumentError("momentum must lie in [0, 1], got " + std::to_string(momentum_), "SGD");
}

void SGD::build_slots(std::span<const Variable> variables) {
  if (momentum_ == 0) return;
  for (const Variable& variable : variables) add_slot(variable, "momentum");
}

void SGD::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const Tensor step = gradient * learning_rate;
  if (momentum_ == 0) {
    variable.assign_sub(step);
    return;
  }
  const Variable& slot = this->slot(variable, "momentum");
  const Tensor momentum = slot.value() * momentum_ - step;
  slot.assign(momentum);
  variable.assign_add(nesterov_ ? momentum * momentum_ - step : momentum);
}

/// Without momentum.
void SGD::update_rows(const IndexedSlices& gradient, const Variable& variable, const Tensor& learning_rate) {
  add_rows(variable, gradient.indices, -(gradient.values * learning_rate));
}

Lion::Lion() : Lion(Options()) {}
Lion::Lion(Options options) : Optimizer(common_options(options)), beta_1_(options.beta_1), beta_2_(options.beta_2) { Lion::configured(); }

void Lion::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("beta_1", beta_1_);
  f.field("beta_2", beta_2_);
}

void Lion::configured() {
  Optimizer::configured();
  if (!(beta_1_ > 0 && beta_1_ <= 1)) throw InvalidArgumentError("beta_1 must lie in (0, 1], got " + std::to_string(beta_1_), "Lion");
}

void Lion::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) add_slot(variable, "momentum");
}

void Lion::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const Variable& slot = this->slot(variable, "momentum");
  const Tensor momentum = slot.value();
  variable.assign_sub(learning_rate * sign(momentum * beta_1_ + gradient * (1 - beta_1_)));
  slot.assign(momentum * beta_2_ + gradient * (1 - beta_2_));
}

}  // namespace lockstep::optim

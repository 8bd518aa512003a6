#include <lockstep/optim/matrix.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include <lockstep/optim/averages.h>

namespace lockstep::optim {
namespace {

Tensor root_mean_square(const Tensor& x) { return sqrt(reduce_mean(square(x))); }

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return text;
}

}  // namespace

// ---- Adafactor

Adafactor::Adafactor() : Adafactor(Options()) {}
Adafactor::Adafactor(Options options)
    : Optimizer(common_options(options)), beta_2_decay_(options.beta_2_decay), epsilon_1_(options.epsilon_1), epsilon_2_(options.epsilon_2),
      clip_threshold_(options.clip_threshold), relative_step_(options.relative_step) {}

void Adafactor::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("beta_2_decay", beta_2_decay_);
  f.field("epsilon_1", epsilon_1_);
  f.field("epsilon_2", epsilon_2_);
  f.field("clip_threshold", clip_threshold_);
  f.field("relative_step", relative_step_);
}

void Adafactor::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) {
    const Shape& shape = variable.shape();
    if (variable.ndim() < 2) {  // not factored; Keras keeps the two places in its files
      add_slot(variable, "row", scalar(0, int32));
      add_slot(variable, "column", scalar(0, int32));
    } else {
      Shape rows, columns;
      for (int axis = 0; axis < shape.ndim(); ++axis) {
        if (axis != shape.ndim() - 1) rows.push_back(shape[axis]);
        if (axis != shape.ndim() - 2) columns.push_back(shape[axis]);
      }
      add_slot(variable, "row", full(rows, 0.0, variable.dtype()));
      add_slot(variable, "column", full(columns, 0.0, variable.dtype()));
    }
    add_slot(variable, "velocity");
  }
}

void Adafactor::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const DType dtype = variable.dtype();
  const Tensor t = update_number();
  // With relative_step the rate itself is bounded so; Keras bounds it here in either case.
  const Tensor rate = minimum(learning_rate, cast(1 / sqrt(t), dtype));
  const Tensor alpha = maximum(root_mean_square(variable.value()), scalar(epsilon_2_, dtype)) * rate;
  const Tensor beta = cast(1 - pow(t, scalar(beta_2_decay_, float64)), dtype), rest = 1 - beta;
  const Tensor squares = square(gradient) + epsilon_1_;
  const Variable& velocity = slot(variable, "velocity");
  if (variable.ndim() < 2) {
    velocity.assign(beta * velocity.value() + rest * squares);
  } else {
    const Variable& row = slot(variable, "row");
    const Variable& column = slot(variable, "column");
    row.assign(beta * row.value() + rest * reduce_mean(squares, -1));
    column.assign(beta * column.value() + rest * reduce_mean(squares, -2));
    velocity.assign(expand_dims(row.value() / reduce_mean(row.value(), -1, true), -1) * expand_dims(column.value(), -2));
  }
  const Tensor step = gradient / sqrt(velocity.value());
  variable.assign_sub(alpha * (step / maximum(root_mean_square(step) / clip_threshold_, scalar(1.0, dtype))));
}

// ---- Muon

Muon::Muon() : Muon(Options()) {}
Muon::Muon(Options options)
    : Optimizer(common_options(options)), adam_beta_1_(options.adam_beta_1), adam_beta_2_(options.adam_beta_2), adam_weight_decay_(options.adam_weight_decay),
      epsilon_(options.epsilon), exclude_layers_(std::move(options.exclude_layers)), exclude_embeddings_(options.exclude_embeddings), muon_a_(options.muon_a),
      muon_b_(options.muon_b), muon_c_(options.muon_c), adam_lr_ratio_(options.adam_lr_ratio), momentum_(options.momentum), ns_steps_(options.ns_steps),
      nesterov_(options.nesterov), rms_rate_(options.rms_rate) {}

void Muon::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("adam_beta_1", adam_beta_1_);
  f.field("adam_beta_2", adam_beta_2_);
  f.field("epsilon", epsilon_);
  f.field("exclude_layers", exclude_layers_);
  f.field("muon_a", muon_a_);
  f.field("muon_b", muon_b_);
  f.field("muon_c", muon_c_);
  f.field("adam_lr_ratio", adam_lr_ratio_);
  f.field("momentum", momentum_);
  f.field("ns_steps", ns_steps_);
  f.field("nesterov", nesterov_);
  f.field("exclude_embeddings", exclude_embeddings_);
  f.field("adam_weight_decay", adam_weight_decay_);
  f.field("rms_rate", rms_rate_);
}

bool Muon::uses_adam(const Variable& variable) const {
  if (variable.ndim() != 2) return true;
  if (exclude_embeddings_ && lower(variable.path()).find("embedding") != std::string::npos) return true;
  return std::any_of(exclude_layers_.begin(), exclude_layers_.end(), [&](const std::string& pattern) { return contains_match(variable.path(), pattern); });
}

std::optional<double> Muon::weight_decay_of(const Variable& variable) const { return uses_adam(variable) ? adam_weight_decay_ : common().weight_decay; }

void Muon::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) {
    add_slot(variable, "momentum");
    if (uses_adam(variable)) add_slot(variable, "velocity");
  }
}

void Muon::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const Variable& slot = this->slot(variable, "momentum");
  if (uses_adam(variable)) {
    const Tensor alpha = learning_rate * adam_lr_ratio_ * cast(adam_scale(adam_beta_1_, adam_beta_2_, update_number()), variable.dtype());
    const Tensor momentum = move_average(slot, gradient, adam_beta_1_);
    const Tensor velocity = move_average(this->slot(variable, "velocity"), square(gradient), adam_beta_2_);
    variable.assign_sub(momentum * alpha / (sqrt(velocity) + epsilon_));
    return;
  }
  slot.assign_add(gradient + slot.value() * (momentum_ - 1));
  const Tensor step = orthogonal(nesterov_ ? gradient + slot.value() * momentum_ : slot.value());
  const double size = double(std::max(variable.shape()[0], variable.shape()[1]));
  const double scale = rms_rate_ ? std::sqrt(size) * *rms_rate_ : 1;
  variable.assign_sub(learning_rate * scale * step);
}

/// Newton-Schulz: a few steps of x <- (a + b x x' + c (x x')^2) x bring all singular values near 1. On the shorter side, where x x' is small.
Tensor Muon::orthogonal(Tensor x) const {
  const bool tall = x.shape()[0] > x.shape()[1];
  if (tall) x = transpose(x);
  x = x / (sqrt(reduce_sum(square(x))) + 1e-7);
  for (std::int64_t i = 0; i < ns_steps_; ++i) {
    const Tensor products = matmul(x, x, false, true);
    x = muon_a_ * x + matmul(muon_b_ * products + matmul(muon_c_ * products, products), x);
  }
  return tall ? transpose(x) : x;
}

}  // namespace lockstep::optim

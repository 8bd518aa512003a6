#include <lockstep/optim/adam.h>

#include <lockstep/optim/averages.h>

namespace lockstep::optim {

// ---- Adam, AdamW

Adam::Adam() : Adam(Options()) {}
Adam::Adam(Options options)
    : Optimizer(common_options(options)), beta_1_(options.beta_1), beta_2_(options.beta_2), epsilon_(options.epsilon), amsgrad_(options.amsgrad) {}

void Adam::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("beta_1", beta_1_);
  f.field("beta_2", beta_2_);
  f.field("epsilon", epsilon_);
  f.field("amsgrad", amsgrad_);
}

void Adam::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) {
    add_slot(variable, "momentum");
    add_slot(variable, "velocity");
  }
  if (!amsgrad_) return;
  for (const Variable& variable : variables) add_slot(variable, "velocity_hat");
}

void Adam::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const Tensor alpha = learning_rate * cast(adam_scale(beta_1_, beta_2_, update_number()), variable.dtype());
  const Tensor momentum = move_average(slot(variable, "momentum"), gradient, beta_1_);
  Tensor velocity = move_average(slot(variable, "velocity"), square(gradient), beta_2_);
  if (amsgrad_) {
    const Variable& largest = slot(variable, "velocity_hat");
    velocity = maximum(largest.value(), velocity);
    largest.assign(velocity);
  }
  variable.assign_sub(momentum * alpha / (sqrt(velocity) + epsilon_));
}

AdamW::AdamW() : AdamW(Options()) {}
AdamW::AdamW(Options options)
    : Adam({.learning_rate = options.learning_rate, .beta_1 = options.beta_1, .beta_2 = options.beta_2, .epsilon = options.epsilon, .amsgrad = options.amsgrad,
            .weight_decay = options.weight_decay, .clipnorm = options.clipnorm, .clipvalue = options.clipvalue, .global_clipnorm = options.global_clipnorm,
            .use_ema = options.use_ema, .ema_momentum = options.ema_momentum, .ema_overwrite_frequency = options.ema_overwrite_frequency,
            .loss_scale_factor = options.loss_scale_factor, .gradient_accumulation_steps = options.gradient_accumulation_steps, .name = options.name}) {
  AdamW::configured();
}

void AdamW::configured() {
  Optimizer::configured();
  if (!common().weight_decay) throw InvalidArgumentError("weight_decay must be a number", "AdamW", "use Adam for none");
}

// ---- Adamax

Adamax::Adamax() : Adamax(Options()) {}
Adamax::Adamax(Options options) : Optimizer(common_options(options)), beta_1_(options.beta_1), beta_2_(options.beta_2), epsilon_(options.epsilon) {}

void Adamax::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("beta_1", beta_1_);
  f.field("beta_2", beta_2_);
  f.field("epsilon", epsilon_);
}

void Adamax::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) {
    add_slot(variable, "momentum");
    add_slot(variable, "norm");
  }
}

void Adamax::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const Tensor correction = cast(1 - power(beta_1_, update_number()), variable.dtype());
  const Tensor momentum = move_average(slot(variable, "momentum"), gradient, beta_1_);
  const Variable& norm = slot(variable, "norm");
  norm.assign(maximum(norm.value() * beta_2_, abs(gradient)));
  variable.assign_sub(learning_rate * momentum / (correction * (norm.value() + epsilon_)));
}

// ---- Nadam

namespace {

/// The momentum of update t.
Tensor scheduled_momentum(double beta_1, const Tensor& t) { return beta_1 * (1 - 0.5 * power(0.96, t)); }

}  // namespace

Nadam::Nadam() : Nadam(Options()) {}
Nadam::Nadam(Options options) : Optimizer(common_options(options)), beta_1_(options.beta_1), beta_2_(options.beta_2), epsilon_(options.epsilon) {}

void Nadam::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("beta_1", beta_1_);
  f.field("beta_2", beta_2_);
  f.field("epsilon", epsilon_);
}

void Nadam::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) {
    add_slot(variable, "momentum");
    add_slot(variable, "velocity");
  }
  product_ = add_state("u_product", scalar(1.0, float64));
}

void Nadam::begin_update() { product_.assign(product_.value() * scheduled_momentum(beta_1_, update_number())); }

void Nadam::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const DType dtype = variable.dtype();
  const Tensor t = update_number(), product = product_.value();
  const Tensor now = scheduled_momentum(beta_1_, t), next = scheduled_momentum(beta_1_, t + 1);
  const Tensor momentum_scale = cast(next / (1 - product * next), dtype), gradient_scale = cast((1 - now) / (1 - product), dtype);
  const Tensor velocity_scale = cast(1 / (1 - power(beta_2_, t)), dtype);
  const Tensor momentum = move_average(slot(variable, "momentum"), gradient, beta_1_);
  const Tensor velocity = move_average(slot(variable, "velocity"), square(gradient), beta_2_);
  variable.assign_sub((momentum * momentum_scale + gradient * gradient_scale) * learning_rate / (sqrt(velocity * velocity_scale) + epsilon_));
}

// ---- Lamb

Lamb::Lamb() : Lamb(Options()) {}
Lamb::Lamb(Options options) : Optimizer(common_options(options)), beta_1_(options.beta_1), beta_2_(options.beta_2), epsilon_(options.epsilon) {}

void Lamb::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("beta_1", beta_1_);
  f.field("beta_2", beta_2_);
  f.field("epsilon", epsilon_);
}

void Lamb::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) {
    add_slot(variable, "momentum");
    add_slot(variable, "velocity");
  }
}

void Lamb::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const DType dtype = variable.dtype();
  const Tensor t = update_number();
  const Tensor momentum = move_average(slot(variable, "momentum"), gradient, beta_1_);
  const Tensor velocity = move_average(slot(variable, "velocity"), square(gradient), beta_2_);
  const Tensor step = momentum * cast(1 / (1 - power(beta_1_, t)), dtype) / (sqrt(velocity * cast(1 / (1 - power(beta_2_, t)), dtype)) + epsilon_);
  const Tensor size = sqrt(reduce_sum(square(variable.value()))), step_size = sqrt(reduce_sum(square(step)));
  const Tensor ratio = where(logical_and(size > 0, step_size > 0), size / step_size, scalar(1.0, dtype));
  variable.assign_sub(ratio * learning_rate * step);
}

// ---- ScheduleFreeAdamW

ScheduleFreeAdamW::ScheduleFreeAdamW() : ScheduleFreeAdamW(Options()) {}
ScheduleFreeAdamW::ScheduleFreeAdamW(Options options)
    : Optimizer(common_options(options)), beta_1_(options.beta_1), beta_2_(options.beta_2), epsilon_(options.epsilon), warmup_steps_(options.warmup_steps) {}

void ScheduleFreeAdamW::fields(Fields& f) {
  Optimizer::fields(f);
  f.field("beta_1", beta_1_);
  f.field("beta_2", beta_2_);
  f.field("epsilon", epsilon_);
  f.field("warmup_steps", warmup_steps_);
}

void ScheduleFreeAdamW::build_slots(std::span<const Variable> variables) {
  for (const Variable& variable : variables) {
    add_slot(variable, "momentum", variable.peek());
    add_slot(variable, "velocity");
  }
}

void ScheduleFreeAdamW::update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) {
  const DType dtype = variable.dtype();
  const Tensor t = update_number();
  Tensor rate = learning_rate;
  if (warmup_steps_ > 0) rate = rate * cast(minimum(t / double(warmup_steps_), scalar(1.0, float64)), dtype);
  const Variable& iterate = slot(variable, "momentum");
  const Tensor velocity = move_average(slot(variable, "velocity"), square(gradient), beta_2_);
  const Tensor scale = sqrt(velocity * cast(1 / (1 - power(beta_2_, t)), dtype)) + epsilon_;
  const Tensor before = iterate.value(), after = before - rate * gradient / scale;
  iterate.assign(after);
  // The variable is y = (1 - beta_1) iterate + beta_1 average: the average is solved from it, moved by 1 / t, and put in again.
  const Tensor weight = cast(1 / t, dtype);
  const Tensor average = (1 - weight) * ((variable.value() - before * (1 - beta_1_)) / beta_1_) + weight * after;
  variable.assign(after * (1 - beta_1_) + average * beta_1_);
}

}  // namespace lockstep::optim

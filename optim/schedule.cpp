#include <lockstep/optim/schedule.h>

#include <cmath>
#include <numbers>

#include <lockstep/tensor/ops.h>

namespace lockstep::optim {
namespace {

struct FunctionSchedule : Schedule {
  Named<Function> function;
  Tensor operator()(const Tensor& step) const override { return function.function(step); }
  std::string function_name() const override { return function.name; }
};

Tensor real(double value) { return scalar(value, float64); }

void require_positive(double steps, const char* argument, const char* schedule) {
  if (!(steps > 0)) throw InvalidArgumentError(std::string(argument) + " must be positive, got " + std::to_string(steps), schedule);
}

/// From 1 at fraction 0 to `alpha` at fraction 1.
Tensor cosine(const Tensor& fraction, double alpha) { return (1 - alpha) * 0.5 * (1 + cos(fraction * std::numbers::pi)) + alpha; }

}  // namespace

std::shared_ptr<Schedule> Schedule::wrap(Named<Function> function) {
  auto schedule = std::make_shared<FunctionSchedule>();
  schedule->function = std::move(function);
  return schedule;
}

void Schedule::register_builtins() {
  static const bool once = [] {
    register_class(component_class<ExponentialDecay>("ExponentialDecay", kModule));
    register_class(component_class<PiecewiseConstantDecay>("PiecewiseConstantDecay", kModule));
    register_class(component_class<PolynomialDecay>("PolynomialDecay", kModule));
    register_class(component_class<InverseTimeDecay>("InverseTimeDecay", kModule));
    register_class(component_class<CosineDecay>("CosineDecay", kModule));
    register_class(component_class<CosineDecayRestarts>("CosineDecayRestarts", kModule));
    return true;
  }();
  static_cast<void>(once);
}

ExponentialDecay::ExponentialDecay() : ExponentialDecay(Options()) {}
ExponentialDecay::ExponentialDecay(Options options) : options_(std::move(options)) { ExponentialDecay::configured(); }

void ExponentialDecay::fields(Fields& f) {
  f.required({"initial_learning_rate", "decay_steps", "decay_rate"});
  f.field("initial_learning_rate", options_.initial_learning_rate);
  f.field("decay_steps", options_.decay_steps);
  f.field("decay_rate", options_.decay_rate);
  f.field("staircase", options_.staircase);
  f.field("name", options_.name);
}

void ExponentialDecay::configured() { require_positive(options_.decay_steps, "decay_steps", "ExponentialDecay"); }

Tensor ExponentialDecay::operator()(const Tensor& step) const {
  Tensor exponent = cast(step, float64) / options_.decay_steps;
  if (options_.staircase) exponent = floor(exponent);
  return options_.initial_learning_rate * pow(real(options_.decay_rate), exponent);
}

PiecewiseConstantDecay::PiecewiseConstantDecay() : options_{.values = {0.1}} {}
PiecewiseConstantDecay::PiecewiseConstantDecay(Options options) : options_(std::move(options)) { PiecewiseConstantDecay::configured(); }

void PiecewiseConstantDecay::fields(Fields& f) {
  f.required({"boundaries", "values"});
  f.field("boundaries", options_.boundaries);
  f.field("values", options_.values);
  f.field("name", options_.name);
}

void PiecewiseConstantDecay::configured() {
  if (options_.boundaries.size() + 1 != options_.values.size())
    throw InvalidArgumentError("there must be one value more than boundaries, got " + std::to_string(options_.boundaries.size()) + " boundaries and " +
                               std::to_string(options_.values.size()) + " values", "PiecewiseConstantDecay");
}

Tensor PiecewiseConstantDecay::operator()(const Tensor& step) const {
  const Tensor at = cast(step, float64);
  Tensor rate = real(options_.values.back());
  for (std::size_t i = options_.boundaries.size(); i-- > 0;) rate = where(at <= options_.boundaries[i], real(options_.values[i]), rate);
  return rate;
}

PolynomialDecay::PolynomialDecay() : PolynomialDecay(Options()) {}
PolynomialDecay::PolynomialDecay(Options options) : options_(std::move(options)) { PolynomialDecay::configured(); }

void PolynomialDecay::fields(Fields& f) {
  f.required({"initial_learning_rate", "decay_steps"});
  f.field("initial_learning_rate", options_.initial_learning_rate);
  f.field("decay_steps", options_.decay_steps);
  f.field("end_learning_rate", options_.end_learning_rate);
  f.field("power", options_.power);
  f.field("cycle", options_.cycle);
  f.field("name", options_.name);
}

void PolynomialDecay::configured() { require_positive(options_.decay_steps, "decay_steps", "PolynomialDecay"); }

Tensor PolynomialDecay::operator()(const Tensor& step) const {
  Tensor at = cast(step, float64);
  Tensor steps = real(options_.decay_steps);
  if (options_.cycle) steps = steps * maximum(ceil(at / steps), real(1));
  else at = minimum(at, steps);
  return (options_.initial_learning_rate - options_.end_learning_rate) * pow(1 - at / steps, real(options_.power)) + options_.end_learning_rate;
}

InverseTimeDecay::InverseTimeDecay() : InverseTimeDecay(Options()) {}
InverseTimeDecay::InverseTimeDecay(Options options) : options_(std::move(options)) { InverseTimeDecay::configured(); }

void InverseTimeDecay::fields(Fields& f) {
  f.required({"initial_learning_rate", "decay_steps", "decay_rate"});
  f.field("initial_learning_rate", options_.initial_learning_rate);
  f.field("decay_steps", options_.decay_steps);
  f.field("decay_rate", options_.decay_rate);
  f.field("staircase", options_.staircase);
  f.field("name", options_.name);
}

void InverseTimeDecay::configured() { require_positive(options_.decay_steps, "decay_steps", "InverseTimeDecay"); }

Tensor InverseTimeDecay::operator()(const Tensor& step) const {
  Tensor periods = cast(step, float64) / options_.decay_steps;
  if (options_.staircase) periods = floor(periods);
  return options_.initial_learning_rate / (1 + options_.decay_rate * periods);
}

CosineDecay::CosineDecay() : CosineDecay(Options()) {}
CosineDecay::CosineDecay(Options options) : options_(std::move(options)) { CosineDecay::configured(); }

void CosineDecay::fields(Fields& f) {
  f.required({"initial_learning_rate", "decay_steps"});
  f.field("initial_learning_rate", options_.initial_learning_rate);
  f.field("decay_steps", options_.decay_steps);
  f.field("alpha", options_.alpha);
  f.field("name", options_.name);
  f.field("warmup_target", options_.warmup_target);
  f.field("warmup_steps", options_.warmup_steps);
}

void CosineDecay::configured() { require_positive(options_.decay_steps, "decay_steps", "CosineDecay"); }

Tensor CosineDecay::operator()(const Tensor& step) const {
  const double steps = options_.decay_steps, warmup = options_.warmup_target ? options_.warmup_steps : 0;
  const Tensor at = minimum(cast(step, float64), real(steps + warmup));
  const double top = options_.warmup_target.value_or(options_.initial_learning_rate);
  const Tensor falling = top * cosine((at - warmup) / steps, options_.alpha);
  if (warmup <= 0) return falling;
  const Tensor rising = options_.initial_learning_rate + (top - options_.initial_learning_rate) * (at / warmup);
  return where(at < warmup, rising, falling);
}

CosineDecayRestarts::CosineDecayRestarts() : CosineDecayRestarts(Options()) {}
CosineDecayRestarts::CosineDecayRestarts(Options options) : options_(std::move(options)) { CosineDecayRestarts::configured(); }

void CosineDecayRestarts::fields(Fields& f) {
  f.required({"initial_learning_rate", "first_decay_steps"});
  f.field("initial_learning_rate", options_.initial_learning_rate);
  f.field("first_decay_steps", options_.first_decay_steps);
  f.field("t_mul", options_.t_mul);
  f.field("m_mul", options_.m_mul);
  f.field("alpha", options_.alpha);
  f.field("name", options_.name);
}

void CosineDecayRestarts::configured() { require_positive(options_.first_decay_steps, "first_decay_steps", "CosineDecayRestarts"); }

Tensor CosineDecayRestarts::operator()(const Tensor& step) const {
  const double t = options_.t_mul;
  const Tensor periods = cast(step, float64) / options_.first_decay_steps;
  Tensor restarts, fraction;
  if (t == 1) {
    restarts = floor(periods);
    fraction = periods - restarts;
  } else {
    // The first i periods last (1 - t^i) / (1 - t). The quotient of logarithms is a rounding error off at the restart itself, where
    // the floor must not fall to the period before.
    restarts = floor(log(1 - periods * (1 - t)) / std::log(t) + 1e-10);
    const Tensor length = pow(real(t), restarts);
    fraction = (periods - (1 - length) / (1 - t)) / length;
  }
  const Tensor height = pow(real(options_.m_mul), restarts);
  const Tensor decayed = (1 - options_.alpha) * (0.5 * height * (1 + cos(fraction * std::numbers::pi))) + options_.alpha;
  return options_.initial_learning_rate * decayed;
}

}  // namespace lockstep::optim

#include <lockstep/nn/callbacks.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>

#include <lockstep/dist/world.h>
#include <lockstep/nn/model.h>
#include <lockstep/optim/wrappers.h>
#include <lockstep/tensor/base/warning.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

void require_not_negative(const char* who, const char* what, std::int64_t value) {
  if (value < 0) throw InvalidArgumentError(std::string(what) + " must not be negative, got " + std::to_string(value), who);
}

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

/// An optimizer with a learning rate of its own, and what tells it from others: "" or "_sgd".
struct RateOwner {
  optim::Optimizer* optimizer;
  std::string suffix;
};

/// Inside of the wrappers.
std::vector<RateOwner> rate_owners(optim::Optimizer& optimizer) {
  if (const auto* scaled = dynamic_cast<optim::LossScaleOptimizer*>(&optimizer)) return rate_owners(*scaled->inner_optimizer());
  const auto* several = dynamic_cast<optim::MultiOptimizer*>(&optimizer);
  if (!several) return {{&optimizer, ""}};
  std::vector<RateOwner> owners;
  for (const Ref<optim::Optimizer>& inner : several->optimizers()) owners.push_back({&*inner, "_" + inner->name()});
  return owners;
}

double rate_of(optim::Optimizer& optimizer) { return optimizer.learning_rate().item<double>(); }

void log_rates(optim::Optimizer& optimizer, Logs& logs) {
  for (const RateOwner& owner : rate_owners(optimizer)) logs.set("learning_rate" + owner.suffix, rate_of(*owner.optimizer));
}

std::string best_name(const Weight& weight) { return "best_weights/" + weight.variable().path(); }

std::string names_in(const Logs& logs) {
  std::string list;
  for (const auto& [name, value] : logs) list += (list.empty() ? "'" : ", '") + name + "'";
  return list.empty() ? "none" : list;
}

}  // namespace

// ---- watching a value

MonitorCallback::MonitorCallback(std::string who, std::string monitor, std::string mode, double min_delta)
    : who_(std::move(who)), monitor_(std::move(monitor)), mode_(std::move(mode)), min_delta_(std::abs(min_delta)) {
  if (mode_ != "auto" && mode_ != "min" && mode_ != "max") throw InvalidArgumentError("mode is \"auto\", \"min\" or \"max\", got \"" + mode_ + "\"", who_);
  if (!std::isfinite(min_delta_)) throw InvalidArgumentError("min_delta must be finite", who_);
  if (monitor_.empty()) throw InvalidArgumentError("monitor must name a value of the logs", who_);
}

void MonitorCallback::forget() {
  best_.reset();
  direction_ = 0;
  warned_ = false;
}

void MonitorCallback::find_direction(const Logs& logs) {
  if (mode_ == "auto") {
    const std::string direction = model().metric_direction(monitor_);
    if (direction.empty())
      throw InvalidArgumentError("nobody knows whether more or less of '" + monitor_ + "' is better; the logs have " + names_in(logs), who_,
                                 "pass mode = \"max\" if more is better, mode = \"min\" if less is");
    direction_ = direction == "up" ? 1 : -1;
  } else {
    direction_ = mode_ == "max" ? 1 : -1;
  }
}

std::optional<double> MonitorCallback::monitored(const Logs& logs) {
  if (direction_ == 0) find_direction(logs);
  const std::optional<double> value = logs.find(monitor_);
  if (!value && !warned_) {
    warn(who_, "the logs have no '" + monitor_ + "' to watch; they have " + names_in(logs));
    warned_ = true;
  }
  return value;
}

bool MonitorCallback::improves(double value, std::optional<double> reference) const {
  // Anything is better than NaN, which would otherwise stay the best for ever.
  if (std::isnan(value)) return false;
  if (!reference || std::isnan(*reference)) return true;
  return direction_ > 0 ? value - min_delta_ > *reference : value + min_delta_ < *reference;
}

CallbackState MonitorCallback::state() const {
  CallbackState state;
  if (best_) state.set_number("best", *best_);
  return state;
}
void MonitorCallback::set_state(const CallbackState& state) {
  if (state.has("best")) best_ = state.number("best");
}

// ---- EarlyStopping

EarlyStopping::EarlyStopping() : EarlyStopping(Options()) {}
EarlyStopping::EarlyStopping(Options options) : MonitorCallback("EarlyStopping", options.monitor, options.mode, options.min_delta), options_(std::move(options)) {
  require_not_negative("EarlyStopping", "patience", options_.patience);
  require_not_negative("EarlyStopping", "start_from_epoch", options_.start_from_epoch);
}

void EarlyStopping::on_train_begin() {
  forget();
  stopped_epoch_.reset();
  best_weights_.reset();
  best_epoch_ = wait_ = 0;
}

void EarlyStopping::on_epoch_end(std::int64_t epoch, Logs& logs) {
  const std::optional<double> current = monitored(logs);
  if (!current || epoch < options_.start_from_epoch) return;
  const bool better = improves(*current, best());
  ++wait_;
  // The first epoch's count as the best until there is a better one, if it was NaN.
  if (options_.restore_best_weights && (better || !best_weights_)) {
    best_weights_ = model().get_weights();
    best_epoch_ = epoch;
  }
  if (better) {
    set_best(*current);
    best_epoch_ = epoch;
    if (improves(*current, options_.baseline)) wait_ = 0;
  } else if (wait_ >= options_.patience && epoch > 0) {
    stopped_epoch_ = epoch;
    model().stop_training();
  }
}

void EarlyStopping::on_train_end(const Logs&) {
  if (stopped_epoch_ && options_.verbose > 0) dist::out() << "Epoch " << *stopped_epoch_ + 1 << ": early stopping" << std::endl;
  if (!best_weights_) return;
  if (options_.verbose > 0) dist::out() << "Restoring model weights from the end of the best epoch: " << best_epoch_ + 1 << "." << std::endl;
  model().set_weights(*best_weights_);
}

CallbackState EarlyStopping::state() const {
  CallbackState state = MonitorCallback::state();
  state.set_count("best_epoch", best_epoch_);
  state.set_count("wait", wait_);
  if (stopped_epoch_) state.set_count("stopped_epoch", *stopped_epoch_);
  if (best_weights_) {
    const std::vector<Weight> weights = model().weights();
    for (std::size_t i = 0; i < weights.size(); ++i) state.set(best_name(weights[i]), (*best_weights_)[i]);
  }
  return state;
}

void EarlyStopping::set_state(const CallbackState& state) {
  MonitorCallback::set_state(state);
  best_epoch_ = state.count("best_epoch");
  wait_ = state.count("wait");
  const std::vector<Weight> weights = model().weights();
  if (options_.restore_best_weights && !weights.empty() && state.has(best_name(weights[0]))) {
    best_weights_.emplace();
    for (const Weight& weight : weights) best_weights_->push_back(state.at(best_name(weight)));
  }
  if (!state.has("stopped_epoch") || wait_ < options_.patience) return;
  stopped_epoch_ = state.count("stopped_epoch");
  model().stop_training();
}

// ---- learning rates

ReduceLROnPlateau::ReduceLROnPlateau() : ReduceLROnPlateau(Options()) {}
ReduceLROnPlateau::ReduceLROnPlateau(Options options) : MonitorCallback("ReduceLROnPlateau", options.monitor, options.mode, options.min_delta), options_(std::move(options)) {
  if (!(options_.factor >= 0 && options_.factor < 1)) throw InvalidArgumentError("factor must be at least 0 and less than 1, got " + text_of(options_.factor), who());
  if (!(options_.min_lr >= 0)) throw InvalidArgumentError("min_lr must not be negative, got " + text_of(options_.min_lr), who());
  require_not_negative("ReduceLROnPlateau", "patience", options_.patience);
  require_not_negative("ReduceLROnPlateau", "cooldown", options_.cooldown);
}

void ReduceLROnPlateau::on_train_begin() {
  forget();
  wait_ = cooldown_left_ = reductions_ = 0;
}

void ReduceLROnPlateau::on_epoch_end(std::int64_t epoch, Logs& logs) {
  log_rates(model().optimizer(), logs);
  const std::optional<double> current = monitored(logs);
  if (!current) return;
  if (cooldown_left_ > 0) {
    --cooldown_left_;
    wait_ = 0;
  }
  if (improves(*current, best())) {
    set_best(*current);
    wait_ = 0;
  } else if (cooldown_left_ == 0 && ++wait_ >= options_.patience && reduce(epoch)) {
    ++reductions_;
    cooldown_left_ = options_.cooldown;
    wait_ = 0;
  }
}

CallbackState ReduceLROnPlateau::state() const {
  CallbackState state = MonitorCallback::state();
  state.set_count("wait", wait_);
  state.set_count("cooldown", cooldown_left_);
  state.set_count("reductions", reductions_);
  return state;
}

void ReduceLROnPlateau::set_state(const CallbackState& state) {
  MonitorCallback::set_state(state);
  wait_ = state.count("wait");
  cooldown_left_ = state.count("cooldown");
  reductions_ = state.count("reductions");
}

bool ReduceLROnPlateau::reduce(std::int64_t epoch) {
  bool reduced = false;
  for (const RateOwner& owner : rate_owners(model().optimizer())) {
    const double rate = rate_of(*owner.optimizer);
    if (rate <= options_.min_lr) continue;
    const double reduced_rate = std::max(rate * options_.factor, options_.min_lr);
    owner.optimizer->set_learning_rate(reduced_rate);
    reduced = true;
    if (options_.verbose > 0) dist::out() << "\nEpoch " << epoch + 1 << ": ReduceLROnPlateau reducing learning_rate" << owner.suffix << " to " << text_of(reduced_rate) << "." << std::endl;
  }
  return reduced;
}

LearningRateScheduler::LearningRateScheduler(std::function<double(std::int64_t, double)> schedule, int verbose) : schedule_(std::move(schedule)), verbose_(verbose) {
  if (!schedule_) throw InvalidArgumentError("there is no schedule", "LearningRateScheduler");
}

void LearningRateScheduler::on_epoch_begin(std::int64_t epoch) {
  if (set_for_ == epoch) return;
  for (const RateOwner& owner : rate_owners(model().optimizer())) {
    const double rate = schedule_(epoch, rate_of(*owner.optimizer));
    if (!std::isfinite(rate)) throw InvalidArgumentError("the schedule gives " + text_of(rate) + " for epoch " + std::to_string(epoch), "LearningRateScheduler");
    owner.optimizer->set_learning_rate(rate);
    if (verbose_ > 0) dist::out() << "\nEpoch " << epoch + 1 << ": LearningRateScheduler setting learning_rate" << owner.suffix << " to " << text_of(rate) << "." << std::endl;
  }
  set_for_ = epoch;
}

CallbackState LearningRateScheduler::state() const {
  CallbackState state;
  if (set_for_) state.set_count("set_for", *set_for_);
  return state;
}
void LearningRateScheduler::set_state(const CallbackState& state) { set_for_ = state.count("set_for"); }

void LearningRateScheduler::on_epoch_end(std::int64_t, Logs& logs) { log_rates(model().optimizer(), logs); }

// ---- TerminateOnNaN

void TerminateOnNaN::on_train_batch_end(std::int64_t batch, const BatchLogs& logs) {
  if (std::isfinite(logs.loss())) return;
  stopped_at_ = {epoch_, batch};
  std::string message = "the loss is " + std::string(std::isnan(logs.loss()) ? "NaN" : "infinite") + " in epoch " + std::to_string(epoch_) + ", batch " + std::to_string(batch);
  for (const Weight& weight : model().weights()) {
    const Tensor value = weight.variable().value();
    if (!is_float(value.dtype()) || reduce_all(is_finite(value)).item<bool>()) continue;
    message += "; after it '" + weight.variable().path() + "' is not finite";
    break;
  }
  if (options_.raise_error) throw InvalidArgumentError(message, "TerminateOnNaN");
  warn("TerminateOnNaN", message + ": training ends");
  model().stop_training();
}

// ---- SwapEMAWeights

void SwapEMAWeights::swap(bool averages) {
  if (averages_in_model_ == averages) return;
  model().optimizer().swap_averages();
  averages_in_model_ = averages;
}

CallbackState SwapEMAWeights::state() const {
  CallbackState state;
  if (averages_in_model_) state.set_count("averages_in_model", 1);
  return state;
}
void SwapEMAWeights::set_state(const CallbackState& state) { averages_in_model_ = state.has("averages_in_model"); }

void SwapEMAWeights::on_epoch_begin(std::int64_t) {
  if (options_.swap_on_epoch) swap(false);
}

void SwapEMAWeights::on_epoch_end(std::int64_t epoch, Logs&) {
  if (!options_.swap_on_epoch) return;
  swap(true);
  // At its end fit gives the weights their averages once more: these must not be the weights that were swapped out.
  if (epoch + 1 == params().epochs || model().stopping()) {
    swap(false);
    model().optimizer().finalize_variable_values(model().optimizer().trainable_variables());
    averages_in_model_ = true;
  }
}

}  // namespace lockstep::nn

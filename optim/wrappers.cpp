#include <lockstep/optim/wrappers.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <lockstep/dist/gradients.h>
#include <lockstep/tensor/indexed_slices.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::optim {

// ---- LossScaleOptimizer

LossScaleOptimizer::LossScaleOptimizer() : Optimizer({.learning_rate = 0}), initial_scale_(Options().initial_scale), dynamic_growth_steps_(Options().dynamic_growth_steps) {}

LossScaleOptimizer::LossScaleOptimizer(Options options)
    : Optimizer({.learning_rate = 0, .name = options.name}), inner_(std::move(options.inner_optimizer)), initial_scale_(options.initial_scale),
      dynamic_growth_steps_(options.dynamic_growth_steps) {
  LossScaleOptimizer::configured();
}

void LossScaleOptimizer::fields(Fields& f) {
  name_field(f);
  f.required({"inner_optimizer"});
  f.field("inner_optimizer", inner_);
  f.field("initial_scale", initial_scale_);
  f.field("dynamic_growth_steps", dynamic_growth_steps_);
}

void LossScaleOptimizer::configured() {
  if (!inner_) throw InvalidArgumentError("there must be an inner_optimizer", "LossScaleOptimizer");
  if (!(initial_scale_ > 0)) throw InvalidArgumentError("initial_scale must be positive, got " + std::to_string(initial_scale_), "LossScaleOptimizer");
  if (dynamic_growth_steps_ < 1) throw InvalidArgumentError("dynamic_growth_steps must be at least 1, got " + std::to_string(dynamic_growth_steps_), "LossScaleOptimizer");
  inner_->set_loss_scale_factor({});  // or the gradients would be scaled twice
  move_to(*inner_, path() + "/" + inner_->name());
}

void LossScaleOptimizer::build_slots(std::span<const Variable> variables) {
  counter_ = add_state("step_counter", scalar(0, int64));
  scale_ = add_state("dynamic_scale", scalar(initial_scale_, float32));
  inner_->build(variables);
}

std::vector<Variable> LossScaleOptimizer::variables() {
  std::vector<Variable> all = Optimizer::variables();
  const std::vector<Variable> inner = inner_->variables();
  all.insert(all.end(), inner.begin(), inner.end());
  return all;
}

Tensor LossScaleOptimizer::dynamic_scale() const { return scale_.defined() ? scale_.value() : scalar(initial_scale_, float32); }

Tensor LossScaleOptimizer::scale_loss(const Tensor& loss) { return replica_scaled(loss) * cast(dynamic_scale(), loss.dtype()); }

void LossScaleOptimizer::run(std::span<const Gradient> local, std::span<const Variable> variables) {
  // Whether they are finite is asked of what all replicas have together, so that all of them decide alike.
  const std::vector<Gradient> gradients = dist::reduce_gradients(local, variables);
  const dist::ReplicaScope reduced(nullptr);
  const Tensor scale = scale_.value(), count = counter_.value();
  Tensor finite = scalar(true, boolean);
  std::vector<Gradient> unscaled;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    // Divided in the variable's dtype, where a float16 gradient keeps what the scale has saved.
    unscaled.push_back(map_values(gradients[i], [&, dtype = variables[i].dtype()](const Tensor& values) {
      finite = logical_and(finite, reduce_all(is_finite(values)));
      return cast(values, dtype) / cast(scale, dtype);
    }));
  }
  std::vector<Variable> touched(variables.begin(), variables.end());
  const std::vector<Variable> state = inner_->variables();
  touched.insert(touched.end(), state.begin(), state.end());
  update_if(finite, touched, [&] { inner_->apply(unscaled, variables); });
  const Tensor grows = equal(count, scalar(dynamic_growth_steps_ - 1, int64));
  scale_.assign(where(finite, where(grows, scale * 2, scale), scale * 0.5));
  counter_.assign(where(logical_and(finite, logical_not(grows)), count + 1, scalar(0, int64)));
}

// ---- OptimizerMap

namespace {

struct FunctionMap : OptimizerMap {
  Named<Function> function;
  Ref<Optimizer> operator()(const Variable& variable) const override { return function.function(variable); }
  std::string function_name() const override { return function.name; }
};

}  // namespace

std::shared_ptr<OptimizerMap> OptimizerMap::wrap(Named<Function> function) {
  auto map = std::make_shared<FunctionMap>();
  map->function = std::move(function);
  return map;
}

OptimizerMap::OptimizerMap(Options options) : options_(std::move(options)) { OptimizerMap::configured(); }

void OptimizerMap::fields(Fields& f) {
  f.required({"default_optimizer"});
  f.field("default_optimizer", options_.default_optimizer);
  Json before = Json::object();
  for (const auto& [key, optimizer] : options_.optimizer_map) before[key] = serialize(*optimizer);
  Json after = before;
  f.field("optimizer_map", after);
  if (after == before) return;
  if (!after.is_object()) throw InvalidArgumentError("'optimizer_map' must be an object of optimizers, got " + after.dump(), "OptimizerMap");
  options_.optimizer_map.clear();
  for (const auto& [key, optimizer] : after.items()) options_.optimizer_map.emplace_back(key, deserialize<Optimizer>(optimizer));
}

void OptimizerMap::configured() {
  if (!options_.default_optimizer) throw InvalidArgumentError("there must be a default_optimizer", "OptimizerMap");
  std::unordered_set<std::string> keys;
  for (const auto& [key, optimizer] : options_.optimizer_map) {
    if (!optimizer) throw InvalidArgumentError("there is no optimizer under '" + key + "'", "OptimizerMap");
    if (!keys.insert(key).second) throw InvalidArgumentError("there are two optimizers under '" + key + "'", "OptimizerMap");
  }
}

Ref<Optimizer> OptimizerMap::operator()(const Variable& variable) const {
  Ref<Optimizer> found;
  for (const auto& [key, optimizer] : options_.optimizer_map)
    if (key == variable.path()) return optimizer;
  for (const auto& [key, optimizer] : options_.optimizer_map) {
    if (!is_match(variable.path(), key)) continue;
    if (found) throw InvalidArgumentError("several patterns match variable '" + variable.path() + "'", "OptimizerMap");
    found = optimizer;
  }
  return found ? found : options_.default_optimizer;
}

// ---- MultiOptimizer

MultiOptimizer::MultiOptimizer() : Optimizer({.learning_rate = 0}) {}

MultiOptimizer::MultiOptimizer(Options options)
    : Optimizer({.learning_rate = 0, .loss_scale_factor = options.loss_scale_factor, .name = options.name}), map_(std::move(options.optimizer_map)) {
  MultiOptimizer::configured();
}

void MultiOptimizer::fields(Fields& f) {
  f.required({"optimizer_map"});
  f.field("optimizer_map", map_);
  std::optional<double> factor = common().loss_scale_factor;
  f.field("loss_scale_factor", factor);
  if (factor != common().loss_scale_factor) set_loss_scale_factor(factor);
  name_field(f);
}

void MultiOptimizer::configured() {
  if (!map_) throw InvalidArgumentError("there must be an optimizer_map", "MultiOptimizer");
  if (map_->default_optimizer()) add(map_->default_optimizer());
  const std::size_t first = optimizers_.size();
  for (const auto& [key, optimizer] : map_->entries()) add(optimizer);
  // It was added first, so that it keeps its plain name; in Keras's order, which its files have, it is the last.
  std::rotate(optimizers_.begin(), optimizers_.begin() + std::ptrdiff_t(first), optimizers_.end());
}

/// Its index among the optimizers.
std::size_t MultiOptimizer::add(const Ref<Optimizer>& optimizer) {
  if (!optimizer || dynamic_cast<LossScaleOptimizer*>(optimizer.ptr().get()) || dynamic_cast<MultiOptimizer*>(optimizer.ptr().get()))
    throw InvalidArgumentError("a variable's optimizer must be a plain one" + (optimizer ? ", got a " + optimizer->class_name() : std::string()), "MultiOptimizer");
  for (std::size_t i = 0; i < optimizers_.size(); ++i)
    if (optimizers_[i].ptr() == optimizer.ptr()) return i;
  std::string name = optimizer->name();
  for (int n = 1; !names_.insert(name).second; ++n) name = optimizer->name() + "_" + std::to_string(n);
  move_to(*optimizer, path() + "/" + name);
  optimizer->set_loss_scale_factor(common().loss_scale_factor);
  optimizers_.push_back(optimizer);
  return optimizers_.size() - 1;
}

void MultiOptimizer::build_slots(std::span<const Variable> variables) {
  std::vector<std::vector<Variable>> groups(optimizers_.size());
  for (const Variable& variable : variables) {
    const std::size_t which = add((*map_)(variable));
    groups.resize(optimizers_.size());
    groups[which].push_back(variable);
    optimizer_of_[variable.key()] = which;
  }
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (!groups[i].empty()) optimizers_[i]->build(groups[i]);
  for (const auto& [variable, constraint] : constraints_) constrain(variable, constraint);
}

void MultiOptimizer::constrain(const Variable& variable, std::function<Tensor(const Tensor&)> constraint) {
  if (!built()) constraints_.emplace_back(variable, std::move(constraint));
  else if (const auto found = optimizer_of_.find(variable.key()); found != optimizer_of_.end()) optimizers_[found->second]->constrain(variable, std::move(constraint));
}

std::vector<Variable> MultiOptimizer::variables() {
  std::vector<Variable> all = Optimizer::variables();
  for (const Ref<Optimizer>& optimizer : optimizers_) {
    const std::vector<Variable> inner = optimizer->variables();
    all.insert(all.end(), inner.begin(), inner.end());
  }
  return all;
}

void MultiOptimizer::set_loss_scale_factor(std::optional<double> factor) {
  Optimizer::set_loss_scale_factor(factor);
  for (const Ref<Optimizer>& optimizer : optimizers_) optimizer->set_loss_scale_factor(factor);
}

Tensor MultiOptimizer::learning_rate() {
  throw FailedPreconditionError("each of the optimizers has a learning rate of its own", "MultiOptimizer", "ask optimizers()");
}
void MultiOptimizer::set_learning_rate(const LearningRate&) { learning_rate(); }

void MultiOptimizer::finalize_variable_values(std::span<const Variable> variables) {
  for (const Variable& variable : variables)
    if (const auto found = optimizer_of_.find(variable.key()); found != optimizer_of_.end()) optimizers_[found->second]->finalize_variable_values({&variable, 1});
}

bool MultiOptimizer::has_averages() const {
  return std::any_of(optimizers_.begin(), optimizers_.end(), [](const Ref<Optimizer>& inner) { return inner->has_averages(); });
}

void MultiOptimizer::swap_averages() {
  if (!has_averages()) throw FailedPreconditionError("none of the optimizers keeps averages of the variables", class_name(), "construct one with use_ema = true");
  for (const Ref<Optimizer>& inner : optimizers_)
    if (inner->has_averages()) inner->swap_averages();
}

void MultiOptimizer::run(std::span<const Gradient> gradients, std::span<const Variable> variables) {
  std::vector<std::vector<Gradient>> parts(optimizers_.size());
  std::vector<std::vector<Variable>> targets(optimizers_.size());
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const std::size_t which = optimizer_of_.at(variables[i].key());
    parts[which].push_back(gradients[i]);
    targets[which].push_back(variables[i]);
  }
  for (std::size_t i = 0; i < optimizers_.size(); ++i) optimizers_[i]->apply(parts[i], targets[i]);
  iterations().assign_add(1);
}

}  // namespace lockstep::optim

#include <lockstep/optim/optimizer.h>

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>
#include <re2/re2.h>

#include <lockstep/optim/clipping.h>
#include <lockstep/autodiff/control_flow.h>
#include <lockstep/dist/collectives.h>
#include <lockstep/dist/gradients.h>
#include <lockstep/dist/world.h>
#include <lockstep/tensor/base/snake_case.h>
#include <lockstep/tensor/base/warning.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/indexed_slices.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::optim {
namespace {

void require_pattern(const RE2& pattern) {
  if (!pattern.ok()) throw InvalidArgumentError("'" + pattern.pattern() + "' is not a regular expression: " + pattern.error(), "Optimizer");
}

Tensor one_in(const Tensor& count, std::int64_t period) { return equal(mod(count, scalar(period, int64)), scalar(0, int64)); }

}  // namespace

bool contains_match(const std::string& text, const std::string& pattern) {
  const RE2 expression(pattern, RE2::Quiet);
  require_pattern(expression);
  return RE2::PartialMatch(text, expression);
}
bool is_match(const std::string& text, const std::string& pattern) {
  const RE2 expression(pattern, RE2::Quiet);
  require_pattern(expression);
  return RE2::FullMatch(text, expression);
}

// ---- configuration

Optimizer::Optimizer(CommonOptions options) : common_(std::move(options)) {
  register_builtins();  // so that serialize() knows them
  Optimizer::configured();
}

std::string Optimizer::name() const { return common_.name.empty() ? snake_case(class_name()) : common_.name; }

void Optimizer::name_field(Fields& f) {
  const std::string name = this->name();
  std::optional<std::string> given = name;
  f.field("name", given);
  if (given && *given != name) common_.name = *given;
}

void Optimizer::fields(Fields& f) {
  name_field(f);

  const LearningRate& rate = common_.learning_rate;
  const Variable& variable = rate_.defined() ? rate_ : rate.variable();
  const auto present = [&]() -> Json {
    if (rate.schedule()) return serialize(*rate.schedule());
    if (variable.defined()) return cast(variable.peek(), float64).item<double>();
    return rate.value();
  };
  const Json before = present();
  Json after = before;
  f.field("learning_rate", after);
  if (after != before) {
    if (after.is_number() && !created_) common_.learning_rate = after.get<double>();
    else if (after.is_number()) set_learning_rate(after.get<double>());
    else if (!after.is_null()) set_learning_rate(deserialize<Schedule>(after));
    else throw InvalidArgumentError("'learning_rate' must be a number or a schedule, got null", class_name());
  }

  f.field("weight_decay", common_.weight_decay);
  f.field("clipnorm", common_.clipnorm);
  f.field("global_clipnorm", common_.global_clipnorm);
  f.field("clipvalue", common_.clipvalue);
  f.field("use_ema", common_.use_ema);
  f.field("ema_momentum", common_.ema_momentum);
  f.field("ema_overwrite_frequency", common_.ema_overwrite_frequency);
  f.field("loss_scale_factor", common_.loss_scale_factor);
  f.field("gradient_accumulation_steps", common_.gradient_accumulation_steps);
}

void Optimizer::configured() {
  const auto refuse = [&](const std::string& why) { throw InvalidArgumentError(why, class_name()); };
  const CommonOptions& o = common_;
  if (int(o.clipnorm.has_value()) + int(o.clipvalue.has_value()) + int(o.global_clipnorm.has_value()) > 1)
    refuse("only one of clipnorm, clipvalue and global_clipnorm can be given");
  if (o.gradient_accumulation_steps && *o.gradient_accumulation_steps < 2)
    refuse("gradient_accumulation_steps must be at least 2, got " + std::to_string(*o.gradient_accumulation_steps));
  if (o.use_ema && !(o.ema_momentum >= 0 && o.ema_momentum <= 1)) refuse("ema_momentum must lie in [0, 1], got " + std::to_string(o.ema_momentum));
  if (o.use_ema && o.ema_overwrite_frequency && *o.ema_overwrite_frequency < 1)
    refuse("ema_overwrite_frequency must be at least 1, got " + std::to_string(*o.ema_overwrite_frequency));
  const Variable& rate = o.learning_rate.variable();
  if (rate.defined() && (!is_float(rate.dtype()) || rate.ndim() != 0))
    refuse("a variable as learning rate must be a float scalar, '" + rate.path() + "' is " + to_string(TensorSpec{rate.dtype(), rate.shape()}));
}

// ---- state

/// Iterations and learning rate: they come first, and may be asked for before build().
void Optimizer::create_common() {
  if (created_) return;
  created_ = true;
  iterations_ = add_state("iteration", scalar(0, int64));
  if (schedule()) return;
  rate_ = common_.learning_rate.variable();
  if (rate_.defined()) state_.push_back(rate_);
  else rate_ = add_state("learning_rate", scalar(common_.learning_rate.value(), float64));
}

Variable Optimizer::iterations() {
  create_common();
  return iterations_;
}

Tensor Optimizer::learning_rate() {
  create_common();
  return cast(schedule() ? (*schedule())(iterations_.value()) : rate_.value(), float64);
}

void Optimizer::set_learning_rate(const LearningRate& rate) {
  if (rate.schedule() || rate.variable().defined()) {
    if (rate_.defined()) std::erase(state_, rate_);
    rate_ = rate.variable();
    if (created_ && rate_.defined()) state_.insert(state_.begin() + 1, rate_);
    common_.learning_rate = rate;
    return;
  }
  if (schedule())
    throw TypeError("the learning rate is given by a schedule, so it cannot be set to a number", class_name(), "construct the optimizer with a number as learning_rate");
  if (rate_.defined()) rate_.assign(rate.value());
  else common_.learning_rate = rate;
}

std::vector<Variable> Optimizer::variables() {
  create_common();
  return state_;
}

Variable Optimizer::add_state(std::string_view state, const Tensor& initial) {
  state_.emplace_back(initial, Variable::Options{.path = path() + "/" + std::string(state), .trainable = false});
  return state_.back();
}

Variable Optimizer::add_slot(const Variable& variable, std::string_view slot, double initial) {
  return add_slot(variable, slot, full(variable.shape(), initial, variable.dtype()));
}

Variable Optimizer::add_slot(const Variable& variable, std::string_view slot, const Tensor& initial) {
  state_.emplace_back(initial, Variable::Options{.path = path() + "/" + variable.path() + "/" + std::string(slot), .trainable = false, .kind = variable.kind()});
  return slots_[variable.key()].insert_or_assign(std::string(slot), state_.back()).first->second;
}

const Variable& Optimizer::slot(const Variable& variable, std::string_view slot) const {
  if (const auto slots = slots_.find(variable.key()); slots != slots_.end())
    if (const auto found = slots->second.find(slot); found != slots->second.end()) return found->second;
  throw NotFoundError("variable '" + variable.path() + "' has no slot '" + std::string(slot) + "'", class_name(), "create it in build_slots, by add_slot");
}

std::vector<std::pair<Variable, Shape>> Optimizer::sharded_variables() const {
  std::vector<std::pair<Variable, Shape>> result;
  for (const Variable& variable : trainable_) {
    const auto part = parts_.find(variable.key());
    if (part == parts_.end()) continue;
    if (const auto slots = slots_.find(part->second.key()); slots != slots_.end())
      for (const auto& [name, slot] : slots->second)
        if (slot.shape() == part->second.shape()) result.emplace_back(slot, variable.shape());
  }
  return result;
}

namespace {

/// This rank's elements of x, counted in row-major order; all ranks have as many, the last ones zeros at the end.
Tensor own_part(const Tensor& x) {
  const std::int64_t ranks = dist::world_size(), count = x.numel(), each = (count + ranks - 1) / ranks;
  Tensor flat = reshape(x, {-1});
  if (each * ranks > count) flat = concat(std::array{flat, zeros({each * ranks - count}, x.dtype())}, 0);
  return flat[slice(dist::rank() * each, (dist::rank() + 1) * each)];
}

}  // namespace

void Optimizer::build(std::span<const Variable> variables) {
  if (built_) return;
  create_common();
  trainable_.assign(variables.begin(), variables.end());
  for (const Variable& variable : variables) known_.insert(variable.key());
  if (common_.use_ema)
    for (const Variable& variable : variables) add_slot(variable, "average");
  if (common_.gradient_accumulation_steps)
    for (const Variable& variable : variables) add_slot(variable, "gradient_accumulator");
  built_ = true;
  if (!sharded_) return build_slots(trainable_);
  std::vector<Variable> parts;
  for (const Variable& variable : trainable_) {
    parts.emplace_back(own_part(variable.value()), Variable::Options{.path = variable.path(), .trainable = false, .kind = StateKind::sharded});
    parts_.emplace(variable.key(), parts.back());
  }
  build_slots(parts);
}

void Optimizer::shard_state() {
  if (built_) throw FailedPreconditionError("the state can be dealt out to the ranks only before the optimizer is built", class_name());
  if (!elementwise()) throw InvalidArgumentError("its updates need whole variables, so that its state cannot be dealt out to the ranks", class_name(), "use an optimizer that moves each element by itself, as Adam does");
  sharded_ = dist::world_size() > 1;
}

void Optimizer::exclude_from_weight_decay(std::span<const Variable> variables, const std::vector<std::string>& patterns) {
  if (built_) throw FailedPreconditionError("variables can be excluded from weight decay only before the optimizer is built", class_name());
  for (const Variable& variable : variables) undecayed_.insert(variable.key());
  undecayed_patterns_.insert(undecayed_patterns_.end(), patterns.begin(), patterns.end());
}

bool Optimizer::decays(const Variable& variable) const {
  return !undecayed_.contains(variable.key()) &&
         std::none_of(undecayed_patterns_.begin(), undecayed_patterns_.end(), [&](const std::string& pattern) { return contains_match(variable.path(), pattern); });
}

std::optional<double> Optimizer::weight_decay_of(const Variable&) const { return common_.weight_decay; }

void Optimizer::constrain(const Variable& variable, std::function<Tensor(const Tensor&)> constraint) {
  constraints_.insert_or_assign(variable.key(), std::move(constraint));
}

Tensor Optimizer::scale_loss(const Tensor& loss) {
  const Tensor shared = replica_scaled(loss);
  return common_.loss_scale_factor ? shared * *common_.loss_scale_factor : shared;
}

Tensor Optimizer::replica_scaled(const Tensor& loss) {
  const dist::Replica* replica = dist::replica();
  return !replica || replica->even() ? loss : loss * (replica->share() * replica->count);
}

void Optimizer::finalize_variable_values(std::span<const Variable> variables) {
  if (!common_.use_ema) return;
  require_known(variables);
  for (const Variable& variable : variables) variable.assign(slot(variable, "average").value());
}

void Optimizer::swap_averages() {
  if (!common_.use_ema) throw FailedPreconditionError("it keeps no averages of the variables", class_name(), "construct it with use_ema = true");
  for (const Variable& variable : trainable_) {
    const Tensor value = variable.value();
    variable.assign(slot(variable, "average").value());
    slot(variable, "average").assign(value);
  }
}

// ---- a step

void Optimizer::apply_gradients(std::span<const std::pair<Gradient, Variable>> gradients_and_variables) {
  std::vector<Gradient> gradients;
  std::vector<Variable> variables;
  for (const auto& [gradient, variable] : gradients_and_variables) {
    gradients.push_back(gradient);
    variables.push_back(variable);
  }
  apply(gradients, variables);
}

void Optimizer::apply(std::span<const Gradient> gradients, std::span<const Variable> variables) {
  if (gradients.empty()) return;
  if (variables.empty()) {
    if (!built_) throw InvalidArgumentError("gradients without variables need an optimizer that is built", class_name(), "call build(variables) first");
    variables = trainable_;
  } else if (!built_) {
    build(variables);
  }
  if (gradients.size() != variables.size())
    throw InvalidArgumentError("there are " + std::to_string(gradients.size()) + " gradients for " + std::to_string(variables.size()) + " variables", class_name());
  require_known(variables);
  run(gradients, variables);
}

void Optimizer::require_known(std::span<const Variable> variables) const {
  for (const Variable& variable : variables)
    if (!known_.contains(variable.key()))
      throw InvalidArgumentError("the optimizer was not built for variable '" + variable.path() + "'", class_name(), "make another optimizer for other variables");
}

void Optimizer::warn_missing(const std::vector<std::string>& paths) {
  std::string list;
  for (const std::string& path : paths) list += (list.empty() ? "'" : ", '") + path + "'";
  if (warned_.insert(list).second) warn(class_name(), "no gradient for " + list + ": not updated");
}

void Optimizer::run(std::span<const Gradient> gradients, std::span<const Variable> variables) {
  std::vector<Gradient> present;
  std::vector<Variable> moved;
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].exists()) {
      missing.push_back(variables[i].path());
      continue;
    }
    present.push_back(prepared(gradients[i], variables[i]));
    moved.push_back(variables[i]);
  }
  if (present.empty()) throw InvalidArgumentError("there is no gradient for any variable", class_name());
  if (!missing.empty()) warn_missing(missing);

  if (reduces_first()) present = dist::reduce_gradients(present, moved);
  if (common_.gradient_accumulation_steps) accumulate(present, moved);
  else update(std::move(present), moved);
  if (common_.use_ema) update_averages();
  for (const Variable& variable : moved)
    if (const auto found = constraints_.find(variable.key()); found != constraints_.end()) variable.assign(found->second(variable.value()));
  iterations_.assign_add(1);
}

/// Are the gradients of a call averaged over the replicas before anything is done with them? Not if they are accumulated first. (Members of one process share
/// the accumulators, which then must hold what all of them have: they reduce at every step.)
bool Optimizer::reduces_first() const {
  const dist::Replica* replica = dist::replica();
  return replica && (!common_.gradient_accumulation_steps || replica->joint);
}

/// In the variable's dtype and unscaled. By rows where they go on as such: equal ones summed first, as everything that follows expects; reduce_gradients does
/// so itself.
Gradient Optimizer::prepared(const Gradient& gradient, const Variable& variable) const {
  if (gradient.is_slices() && (gradient.slices().dense_shape != variable.shape() || variable.ndim() == 0))
    throw InvalidArgumentError("variable '" + variable.path() + "' has shape " + to_string(variable.shape()) + ", its gradient has rows of one of shape " + to_string(gradient.slices().dense_shape), class_name());
  const DType given = gradient.is_slices() ? gradient.slices().values.dtype() : gradient.dense().dtype();
  const bool changes = given != variable.dtype() || common_.loss_scale_factor;
  if (!changes && (!gradient.is_slices() || reduces_first())) return gradient;
  // (Whether they travel by rows is not for one rank to decide.)
  const bool by_rows = common_.gradient_accumulation_steps || takes_rows();
  const Gradient sums = !gradient.is_slices() ? gradient : reduces_first() ? Gradient(sum_slices(gradient.slices())) : by_rows ? summed(gradient) : Gradient(gradient.dense());
  return map_values(sums, [&](const Tensor& values) {
    const Tensor own = given == variable.dtype() ? values : cast(values, variable.dtype());
    return common_.loss_scale_factor ? own / *common_.loss_scale_factor : own;
  });
}

void Optimizer::accumulate(std::span<const Gradient> gradients, std::span<const Variable> variables) {
  const std::int64_t period = *common_.gradient_accumulation_steps;
  const Tensor due = one_in(iterations_.value() + 1, period);
  Tensors means;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Variable& sum = slot(variables[i], "gradient_accumulator");
    if (gradients[i].is_slices()) add_rows(sum, gradients[i].slices().indices, gradients[i].slices().values);
    else sum.assign_add(gradients[i].dense());
    means.push_back(sum.value() / double(period));
  }
  if (dist::replica() && !dist::replica()->joint) {
    // Between two updates nothing travels: whether one is due is the same on all ranks.
    const auto reduced = [&] {
      Tensors all;
      for (const Gradient& mean : dist::reduce_gradients(std::vector<Gradient>(means.begin(), means.end()), variables)) all.push_back(mean.dense());
      return all;
    };
    means = autodiff::cond(due, reduced, [&] { return means; });
  }
  std::vector<Variable> touched(variables.begin(), variables.end());
  touched.insert(touched.end(), state_.begin(), state_.end());
  update_if(due, touched, [&] { update({means.begin(), means.end()}, variables); });
  for (const Variable& variable : trainable_) {
    const Variable& sum = slot(variable, "gradient_accumulator");
    sum.assign(where(due, scalar(0.0, sum.dtype()), sum.value()));
  }
}

void Optimizer::update(std::vector<Gradient> gradients, std::span<const Variable> variables) {
  if (!takes_rows())
    for (Gradient& gradient : gradients) gradient = gradient.dense();
  if (common_.clipnorm.value_or(0) > 0)
    for (Gradient& gradient : gradients) gradient = clip_by_norm(gradient, *common_.clipnorm);
  else if (common_.global_clipnorm.value_or(0) > 0)
    gradients = clip_by_global_norm(gradients, *common_.global_clipnorm);
  else if (common_.clipvalue.value_or(0) > 0)
    for (Gradient& gradient : gradients) gradient = map_values(gradient, [&](const Tensor& values) { return clip_by_value(values, -*common_.clipvalue, *common_.clipvalue); });

  if (sharded_) update_parts(std::move(gradients), variables);
  else move(gradients, variables, variables);
}

/// Moves variables, or parts of those that they are `known_as`.
void Optimizer::move(std::span<const Gradient> gradients, std::span<const Variable> variables, std::span<const Variable> known_as) {
  const Tensor rate = learning_rate();
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Variable& variable = variables[i];
    const std::optional<double> decay = weight_decay_of(known_as[i]);
    if (decay && decays(known_as[i])) variable.assign(variable.value() - variable.value() * *decay * cast(rate, variable.dtype()));
  }
  begin_update();
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Tensor own_rate = cast(rate, variables[i].dtype());
    if (gradients[i].is_slices()) update_rows(gradients[i].slices(), variables[i], own_rate);
    else update_step(gradients[i].dense(), variables[i], own_rate);
  }
}

void Optimizer::update_parts(std::vector<Gradient> gradients, std::span<const Variable> variables) {
  std::vector<Variable> parts;
  for (std::size_t i = 0; i < variables.size(); ++i) {
    parts.push_back(parts_.at(variables[i].key()));
    parts[i].assign(own_part(variables[i].value()));
    gradients[i] = own_part(gradients[i].dense());
  }
  move(gradients, parts, variables);
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Shape& shape = variables[i].shape();
    const Tensor whole = dist::all_gather(parts[i].value(), {.label = variables[i].path()});
    variables[i].assign(reshape(whole[slice(0, shape.numel())], Ints(shape.begin(), shape.end())));
  }
}

void Optimizer::update_step(const Tensor&, const Variable&, const Tensor&) {
  throw UnimplementedError("update_step is not overridden", class_name());
}

void Optimizer::update_rows(const IndexedSlices& gradient, const Variable& variable, const Tensor& learning_rate) {
  update_step(Gradient(gradient).dense(), variable, learning_rate);
}

void Optimizer::update_averages() {
  const Tensor count = updates();
  const Tensor first = equal(count, scalar(0, int64));
  const double momentum = common_.ema_momentum;
  for (const Variable& variable : trainable_) {
    const Variable& average = slot(variable, "average");
    average.assign(where(first, variable.value(), average.value() * momentum + variable.value() * (1 - momentum)));
  }
  if (!common_.ema_overwrite_frequency) return;
  const Tensor due = one_in(count + 1, *common_.ema_overwrite_frequency);
  for (const Variable& variable : trainable_) variable.assign(where(due, slot(variable, "average").value(), variable.value()));
}

Tensor Optimizer::updates() {
  const Tensor calls = iterations().value();
  return common_.gradient_accumulation_steps ? floordiv(calls, scalar(*common_.gradient_accumulation_steps, int64)) : calls;
}

Tensor Optimizer::update_number() { return cast(updates() + 1, float64); }

void Optimizer::update_if(const Tensor& condition, std::span<const Variable> variables, const std::function<void()>& update) {
  if (!condition.is_symbolic()) {
    if (condition.item<bool>()) update();
    return;
  }
  // Selecting keeps the update in the pointwise pass over each variable, where a branch would copy all of the state in and out.
  std::vector<Tensor> before;
  for (const Variable& variable : variables) before.push_back(variable.value());
  update();
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Tensor after = variables[i].value();
    if (after.id() != before[i].id()) variables[i].assign(where(condition, after, before[i]));
  }
}

}  // namespace lockstep::optim

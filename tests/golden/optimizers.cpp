// optimizers.h5: every optimizer over twelve steps, schedules, loss scaling, what is refused. Steps run eagerly, and as one traced
// function that serves all of them.

#include <nlohmann/json.hpp>

#include "case.h"

namespace golden {

using namespace lockstep;
using namespace lockstep::optim;

namespace {


Tensor row(const Case& c, const std::string& name, std::int64_t i) { return c.at(name)[i]; }

Json described(const std::string& name, const Json& config) { return {{"class_name", name}, {"config", config}}; }

/// The two variables of a case and the calls that move them.
struct Training {
  Variable w, b;

  explicit Training(const Case& c) {
    const Json names = c.spec.value("variable_names", Json::array({"w", "b"}));
    w = Variable(c.at("w0"), {.path = names.at(0)});
    b = Variable(c.at("b0"), {.path = names.at(1)});
  }
  void require(const Case& c, const std::string& how, std::int64_t step) const {
    const std::string when = how + ", step " + std::to_string(step) + ", ";
    require_close(when + "w", w.value(), row(c, "w", step), rtol(c), atol(c));
    require_close(when + "b", b.value(), row(c, "b", step), rtol(c), atol(c));
  }
};

/// Keras's "adam_3/w_momentum" for our "optimizer/adam_3/w/momentum"; Adafactor and Nadam have slots without such a name.
void require_slot_name(const std::string& path, const std::string& keras) {
  std::string name = path.substr(std::string("optimizer/").size());
  std::replace(name.begin() + std::ptrdiff_t(name.find('/')) + 1, name.end(), '/', '_');
  const bool named = keras.find('/') != std::string::npos && !path.ends_with("/row") && !path.ends_with("/column");
  if (named && name != keras) throw Mismatch("a slot is named " + path + ", in Keras " + keras);
}

void require_slots(const Case& c, Optimizer& optimizer, const std::string& how) {
  const std::vector<Variable> slots = optimizer.variables();
  const Json& names = c.spec.at("slots");
  if (slots.size() != names.size()) throw Mismatch("there are " + std::to_string(slots.size()) + " slots, expected " + names.dump());
  const bool nested = c.spec.at("kind") == "loss_scale" || c.spec.at("kind") == "multi_optimizer";
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (!nested) require_slot_name(slots[i].path(), names.at(i));
    const std::string key = "slot_" + std::string(i < 10 ? "0" : "") + std::to_string(i);
    if (!c.has(key)) continue;
    require_close(how + ", " + slots[i].path(), cast(slots[i].value(), c.at(key).dtype()), c.at(key), rtol(c), atol(c));
  }
}

void train(const Case& c, bool traced) {
  const std::string how = traced ? "traced" : "eager";
  const Training training(c);
  const Json wanted = c.spec.at("config");
  Json config = wanted;
  if (c.spec.contains("learning_rate_initial")) config["learning_rate"] = c.spec.at("learning_rate_initial");
  const Ref<Optimizer> optimizer = deserialize<Optimizer>(described(c.spec.at("class"), config));
  if (c.spec.contains("exclude_from_weight_decay")) optimizer->exclude_from_weight_decay(c.spec.at("exclude_from_weight_decay").get<std::vector<std::string>>());

  const auto step = [&](const Tensor& gw, const Tensor& gb, bool has_b) {
    const std::pair<Gradient, Variable> pairs[] = {{gw, training.w}, {has_b ? Gradient(gb) : Gradient(), training.b}};
    optimizer->apply_gradients(pairs);
    return identity(gw);
  };
  const auto traced_step = autodiff::function(step);
  const Json missing = c.spec.value("missing_b_steps", Json::array()), rates = c.spec.value("learning_rate_set", Json::object());
  const std::int64_t steps = c.spec.at("steps");
  for (std::int64_t i = 0; i < steps; ++i) {
    if (rates.contains(std::to_string(i))) optimizer->set_learning_rate(rates.at(std::to_string(i)).get<double>());
    const bool has_b = std::find(missing.begin(), missing.end(), i) == missing.end();
    if (traced) traced_step(row(c, "gw", i), row(c, "gb", i), has_b);
    else step(row(c, "gw", i), row(c, "gb", i), has_b);
    training.require(c, how, i);
  }
  if (traced && traced_step.trace_count() != (missing.empty() ? 1 : 2)) throw Mismatch("traced " + std::to_string(traced_step.trace_count()) + " times");
  require_slots(c, *optimizer, how);
  require_config(optimizer->config(), wanted);
  require_config(deserialize<Optimizer>(serialize(*optimizer))->config(), wanted);
  if (c.has("w_final")) {
    const Variable variables[] = {training.w, training.b};
    optimizer->finalize_variable_values(variables);
    require_close(how + ", w_final", training.w.value(), c.at("w_final"), rtol(c), atol(c));
    require_close(how + ", b_final", training.b.value(), c.at("b_final"), rtol(c), atol(c));
  }
}

void check_loss_scale(const Case& c, bool traced) {
  const std::string how = traced ? "traced" : "eager";
  const Training training(c);
  const Ref<Optimizer> optimizer = deserialize<Optimizer>(described(c.spec.at("class"), c.spec.at("config")));
  optimizer->build({training.w, training.b});
  // The scale reaches the gradients through the loss.
  const auto step = [&](const Tensor& gw, const Tensor& gb) {
    const Tensor scale = optimizer->scale_loss(scalar(1.0, gw.dtype()));
    const Gradient gradients[] = {gw * scale, gb * scale};
    optimizer->apply(gradients);
    return std::tuple(scale, optimizer->scale_loss(scalar(1.0, gw.dtype())));
  };
  const auto traced_step = autodiff::function(step);
  for (std::int64_t i = 0; i < c.spec.at("steps").get<std::int64_t>(); ++i) {
    const auto [before, after] = traced ? traced_step(row(c, "gw", i), row(c, "gb", i)) : step(row(c, "gw", i), row(c, "gb", i));
    const Tensor scales[] = {before, after};
    require_close(how + ", scale in step " + std::to_string(i), stack(scales), row(c, "scale_before_after", i), 0, 0);
    training.require(c, how, i);
  }
  require_slots(c, *optimizer, how);
  require_config(optimizer->config(), c.spec.at("config"));
  require_config(deserialize<Optimizer>(serialize(*optimizer))->config(), c.spec.at("config"));
}

void check_multi(const Case& c, bool traced) {
  const Training training(c);
  const Json& each = c.spec.at("optimizers");
  const Ref<Optimizer> for_w = deserialize<Optimizer>(each.at("w")), for_b = deserialize<Optimizer>(each.at("b"));
  MultiOptimizer optimizer({.optimizer_map = [&](const Variable& variable) { return variable == training.b ? for_b : for_w; }});
  const auto step = [&](const Tensor& gw, const Tensor& gb) {
    const Gradient gradients[] = {gw, gb};
    optimizer.apply(gradients, {training.w, training.b});
    return identity(gw);
  };
  const auto traced_step = autodiff::function(step);
  for (std::int64_t i = 0; i < c.spec.at("steps").get<std::int64_t>(); ++i) {
    if (traced) traced_step(row(c, "gw", i), row(c, "gb", i));
    else step(row(c, "gw", i), row(c, "gb", i));
    training.require(c, traced ? "traced" : "eager", i);
  }
  require_slots(c, optimizer, traced ? "traced" : "eager");
}

void check_schedule(const Case& c) {
  const Ref<Schedule> schedule = deserialize<Schedule>(described(c.spec.at("class"), c.spec.at("config")));
  require_config(schedule->config(), c.spec.at("config"));
  const auto traced = autodiff::function([&](const Tensor& step) { return (*schedule)(step); });
  const Json edges = c.spec.value("edge_steps", Json::array());
  const std::int64_t first = c.spec.at("steps").at(0), last = c.spec.at("steps").at(1);
  for (std::int64_t i = first; i <= last; ++i) {
    if (std::find(edges.begin(), edges.end(), i) != edges.end()) continue;  // rounding decides, both sides are right
    const Tensor step = scalar(i, int64), rate = (*schedule)(step);
    const std::string when = "step " + std::to_string(i);
    require_close(when, cast(rate, float64), cast(row(c, "lr", i - first), float64), rtol(c), atol(c));
    if (c.has("lr_float64")) require_close(when + ", float64", cast(rate, float64), row(c, "lr_float64", i - first), rtol(c), atol(c));
    require_close(when + ", traced", traced(step), rate, 1e-15, 0);
  }
}

void attempt(const Case& c) {
  const std::string name = c.spec.at("class");
  const Json config = c.spec.at("config");
  if (!config.contains("action")) {
    Optimizer::register_builtins();
    try {
      deserialize(described(name, config), Optimizer::kModule);
    } catch (const NotFoundError&) {
      deserialize(described(name, config), Schedule::kModule);
    }
    return;
  }
  const std::string action = config.at("action");
  const Variable x(constant({1.0f, 1.0f}), {.path = "x"}), y(constant({1.0f, 1.0f}), {.path = "y"});
  const Gradient gradients[] = {constant({1.0f, 2.0f})}, none[] = {Gradient()};
  SGD sgd;
  if (action == "apply on a variable it was not built with") {
    sgd.apply(gradients, {x});
    sgd.apply(gradients, {y});
  } else if (action == "no gradient for any variable") {
    sgd.apply(none, {x});
  } else if (action == "assign a learning rate over a schedule") {
    SGD({.learning_rate = ExponentialDecay({.decay_steps = 2, .decay_rate = 0.5})}).set_learning_rate(0.1);
  } else if (action == "apply without variables before build") {
    sgd.apply(gradients);
  } else if (action.starts_with("get('")) {
    Ref<Optimizer>(action.substr(5, action.find('\'', 5) - 5));
  } else if (action.starts_with("get(")) {
    deserialize<Optimizer>(Json(std::stod(action.substr(4))));
  } else {
    throw Mismatch("the action '" + action + "' is unknown");
  }
}

void check_optimizer_refusal(const Case& c) {
  const std::string error = c.spec.at("error");
  try {
    attempt(c);
  } catch (const TypeError&) {
    if (error == "TypeError" || error == "InvalidArgument") return;
    throw;
  } catch (const InvalidArgumentError&) {
    if (error == "InvalidArgument") return;
    throw;
  } catch (const NotFoundError&) {
    if (error == "InvalidArgument") return;  // an unknown name
    throw;
  }
  throw Mismatch("not refused");
}

}  // namespace

void check_optimizer(const Case& c) {
  const std::string kind = c.spec.at("kind");
  if (kind == "schedule") return check_schedule(c);
  if (kind == "refusal") return check_optimizer_refusal(c);
  for (const bool traced : {false, true}) {
    if (kind == "optimizer" || kind == "optimizer_schedule") train(c, traced);
    else if (kind == "loss_scale") check_loss_scale(c, traced);
    else if (kind == "multi_optimizer") check_multi(c, traced);
    else throw Mismatch("the kind \"" + kind + "\" is unknown");
  }
}

}  // namespace golden

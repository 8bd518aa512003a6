// losses_metrics.h5: losses with reductions, weights and masks; metrics over batches and ranks; what both refuse.

#include <lockstep/dist/world.h>
#include <lockstep/nn/loss.h>
#include <lockstep/nn/metric.h>
#include <lockstep/nn/metrics.h>
#include <lockstep/nn/metrics_counts.h>
#include <lockstep/tensor/base/snake_case.h>

#include "case.h"

namespace golden {

using namespace lockstep;
using nn::Loss;
using nn::Metric;

namespace {

const Json& args_of(const Case& c) { return c.spec.contains("args") ? c.spec.at("args") : c.spec.at("config"); }

/// The component that a case names, built from the arguments that its constructor was given.
template <class Base>
std::shared_ptr<Base> build(const Case& c) {
  return deserialize<Base>(Json{{"class_name", c.spec.at("class")}, {"config", args_of(c)}}).ptr();
}

/// Keras numbers the names of a process ("precision_5"); ours count within the model only.
std::string without_number(std::string name) {
  const std::size_t digits = name.find_last_not_of("0123456789");
  return digits != std::string::npos && digits + 1 < name.size() && name[digits] == '_' ? name.substr(0, digits) : name;
}

void require_kept_config(const Case& c, const Component& component) {
  if (!c.spec.contains("config") || !c.spec.contains("args")) return;
  const Json config = component.config();
  for (const auto& [key, expected] : c.spec.at("config").items()) {
    if (!config.contains(key)) throw Mismatch("config() has no '" + key + "'");
    const bool automatic = key == "name" && !c.spec.at("args").contains("name");
    const bool same = automatic ? without_number(config[key]) == without_number(expected) : same_value(config[key], expected);
    if (!same) throw Mismatch("config()['" + key + "'] is " + config[key].dump() + ", expected " + expected.dump());
  }
}

Tensor optional_data(const Case& c, const std::string& name) { return c.has(name) ? c.at(name) : Tensor(); }

void require_value(const Case& c, const std::string& what, const Tensor& actual, const Tensor& expected) {
  require_close(what, actual, nn::as_dtype(expected, actual.dtype()), c.spec.at("rtol"), c.spec.at("atol"));
}
void require_value(const Case& c, const std::string& what, const Tensor& actual, const Json& expected) {
  std::vector<double> values;
  for (const Json& each : expected.is_array() ? expected : Json::array({expected})) values.push_back(each.is_string() ? (each == "nan" ? NAN : each == "inf" ? INFINITY : -INFINITY) : each.get<double>());
  require_value(c, what, actual, constant(values, expected.is_array() ? Shape{std::int64_t(values.size())} : Shape()));
}

/// The data sets that exist, as operands of a traced function.
template <class F>
Tensor traced(const Case& c, std::initializer_list<const char*> names, const F& f) {
  std::vector<Tensor> operands;
  for (const char* name : names)
    if (c.has(name)) operands.push_back(c.at(name));
  const auto function = autodiff::function([&](std::span<const Tensor> symbols) {
    std::size_t next = 0;
    std::vector<Tensor> all;
    for (const char* name : names) all.push_back(c.has(name) ? symbols[next++] : Tensor());
    return f(all);
  });
  return function(std::span<const Tensor>(operands));
}

void check_loss(const Case& c) {
  const auto loss = build<Loss>(c);
  require_kept_config(c, *loss);
  const auto call = [&](const std::vector<Tensor>& x) { return (*loss)(x[0], x[1], x[2], x[3]); };
  require_value(c, "eager", call({c.at("y_true"), c.at("y_pred"), optional_data(c, "sample_weight"), optional_data(c, "mask")}), c.at("loss"));
  require_value(c, "traced", traced(c, {"y_true", "y_pred", "sample_weight", "mask"}, call), c.at("loss"));
  const auto again = deserialize<Loss>(serialize(*loss)).ptr();
  require_value(c, "from its configuration", (*again)(c.at("y_true"), c.at("y_pred"), optional_data(c, "sample_weight"), optional_data(c, "mask")), c.at("loss"));
}

/// The book's function: elementwise, so that the metric takes the mean over all axes but the first.
std::shared_ptr<Metric> huber_wrapper(double threshold) {
  return Ref<Metric>(named("huber", [threshold](const Tensor& y_true, const Tensor& y_pred) {
           const Tensor error = y_true - y_pred, size = abs(error);
           return where(size < threshold, square(error) / 2.0, threshold * size - threshold * threshold / 2.0);
         })).ptr();
}

std::shared_ptr<Metric> metric_of(const Case& c) { return c.spec.at("class") == "MeanMetricWrapper" ? huber_wrapper(c.spec.at("threshold")) : build<Metric>(c); }

Tensor row(const Tensor& x, std::int64_t i) { return x.defined() ? x[{i}] : x; }
Tensor rows_of_rank(const Tensor& x, int rank) { return x.defined() ? x[{slice(rank, {}, 2)}] : x; }

void require_states(const Case& c, const std::string& prefix, const std::vector<Tensor>& states) {
  const Json& names = c.spec.at("state");
  if (states.size() != names.size()) throw Mismatch(prefix + ": " + std::to_string(states.size()) + " variables, expected " + names.dump());
  for (std::size_t i = 0; i < states.size(); ++i) require_value(c, prefix + std::to_string(i), states[i], c.at(prefix + std::to_string(i)));
}
std::vector<Tensor> values_of(Metric& metric) {
  std::vector<Tensor> result;
  for (const Variable& variable : metric.variables()) result.push_back(variable);
  return result;
}

void check_metric(const Case& c) {
  const Tensor y_true = c.at("y_true"), y_pred = c.at("y_pred"), weight = optional_data(c, "sample_weight");
  const std::int64_t batches = y_true.shape()[0];
  const auto metric = metric_of(c);
  if (c.spec.at("class") != "MeanMetricWrapper") require_kept_config(c, *metric);
  if (c.spec.contains("before_any_update")) require_value(c, "before any update", metric->result(), c.spec.at("before_any_update"));
  for (std::int64_t b = 0; b < batches; ++b)
    require_value(c, "result after batch " + std::to_string(b), (*metric)(row(y_true, b), row(y_pred, b), row(weight, b)), row(c.at("results"), b));
  require_states(c, "state", values_of(*metric));
  const Json& names = c.spec.at("state");
  const std::vector<Variable> variables = metric->variables();
  for (std::size_t i = 0; i < variables.size(); ++i)
    if (const std::string path = "metrics/" + metric->name() + "/" + names[i].get<std::string>(); variables[i].path() != path) throw Mismatch("variable at " + variables[i].path() + ", expected " + path);

  // A traced function updates the same variables.
  const auto other = metric_of(c);
  for (std::int64_t b = 0; b < batches; ++b) {
    Case batch = c;
    for (const char* name : {"y_true", "y_pred", "sample_weight"})
      if (c.has(name)) batch.data[name] = row(c.at(name), b);
    const Tensor result = traced(batch, {"y_true", "y_pred", "sample_weight"}, [&](const std::vector<Tensor>& x) { return (*other)(x[0], x[1], x[2]); });
    require_value(c, "traced result after batch " + std::to_string(b), result, row(c.at("results"), b));
  }

  // Two ranks that saw every second row: their states add up to those of all rows, and give the same result.
  std::vector<Tensor> total;
  std::shared_ptr<Metric> own;  // of this process, if it is one of two
  for (int rank = 0; rank < 2; ++rank) {
    const auto local = metric_of(c);
    for (std::int64_t b = 0; b < batches; ++b) local->update_state(rows_of_rank(row(y_true, b), rank), rows_of_rank(row(y_pred, b), rank), rows_of_rank(row(weight, b), rank));
    require_states(c, "rank" + std::to_string(rank) + "_state", values_of(*local));
    require_value(c, "result of a rank alone", local->result(), c.spec.at("rank_results")[std::size_t(rank)]);
    const std::vector<Tensor> states = values_of(*local);
    if (rank == dist::rank()) own = local;
    for (std::size_t i = 0; i < states.size(); ++i)
      if (rank == 0) total.push_back(states[i]);
      else total[i] = total[i] + states[i];
  }
  if (dist::world_size() == 2) {
    require_value(c, "result over the two ranks of this job", own->reduced_result(), row(c.at("results"), batches - 1));
    require_value(c, "result of this rank, afterwards", own->result(), c.spec.at("rank_results")[std::size_t(dist::rank())]);
  }
  for (std::size_t i = 0; i < total.size(); ++i) variables[i].assign(total[i]);
  require_value(c, "result of the sum of the ranks' states", metric->result(), row(c.at("results"), batches - 1));

  metric->reset_state();
  for (const Tensor& state : values_of(*metric)) require_value(c, "state after a reset", state, zeros(state.shape(), state.dtype()));
  require_value(c, "result of the second batch alone", (*metric)(row(y_true, 1), row(y_pred, 1), row(weight, 1)), c.spec.at("batch1_alone_after_reset"));
}

/// The book's streaming Huber metric: states are the sum of the elements' losses and their number.
class HuberMetric : public Metric {
 public:
  explicit HuberMetric(double threshold = 1.0) : threshold_(threshold), total_(add_weight("total", zeros)), count_(add_weight("count", zeros)) {}
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor&) override {
    const Tensor error = y_true - y_pred, size = abs(error);
    const Tensor values = where(size < threshold_, square(error) / 2.0, threshold_ * size - threshold_ * threshold_ / 2.0);
    total_.assign_add(reduce_sum(values));
    count_.assign_add(double(values.numel()));
  }
  Tensor result() const override { return Tensor(total_) / Tensor(count_); }
  void fields(Fields& f) override {
    Metric::fields(f);
    f.field("threshold", threshold_);
  }

 private:
  double threshold_;
  Variable total_, count_;
};

void check_metric_book(const Case& c) {
  const bool huber = c.spec.at("class") == "HuberMetric";
  std::shared_ptr<Metric> metric = std::make_shared<nn::metrics::Precision>();
  if (huber) metric = std::make_shared<HuberMetric>(c.spec.at("config").at("threshold").get<double>());
  const Tensor results = c.at("results");
  for (std::int64_t b = 0; b < results.shape()[0]; ++b) {
    const Tensor result = (*metric)(row(c.at("y_true"), b), row(c.at("y_pred"), b));
    const std::vector<Tensor> states = values_of(*metric);
    require_value(c, "result", result, huber ? results[{b, 0}] : results[{b}]);
    for (std::size_t i = 0; i < states.size(); ++i) require_value(c, "state", reshape(states[i], {}), huber ? results[{b, i + 1}] : c.at("states")[{b, i}]);
  }
  metric->reset_states();
  for (const Tensor& state : values_of(*metric)) require_value(c, "state after a reset", state, zeros(state.shape(), state.dtype()));
}

template <class M>
void check_values(const Case& c) {
  M metric;
  if (!c.has("values")) return require_value(c, "without an update", metric.result(), row(c.at("results"), 0));
  const Tensor values = c.at("values"), weight = optional_data(c, "sample_weight");
  for (std::int64_t i = 0; i < values.shape()[0]; ++i) {
    metric.update_state(row(values, i), row(weight, i));
    require_value(c, "result", metric.result(), row(c.at("results"), i));
    const std::vector<Tensor> states = values_of(metric);
    for (std::size_t s = 0; s < states.size(); ++s) require_value(c, "state", states[s], c.at("states")[{i, s}]);
  }
}

Shape shape_from(const Json& sizes) {
  const auto list = sizes.get<std::vector<std::int64_t>>();
  return Shape(std::span<const std::int64_t>(list));
}

void check_string_resolution(const Case& c) {
  for (const Json& each : c.spec.at("rows")) {
    const Shape y_true = shape_from(each.at("y_true")), y_pred = shape_from(each.at("y_pred"));
    for (const char* identifier : {"accuracy", "acc"}) {
      const Ref<Metric> metric = nn::metric_for(identifier, y_true, y_pred);
      if (const Json got = {metric->class_name(), metric->name()}; got != each.at(identifier)) throw Mismatch(std::string(identifier) + " is " + got.dump() + ", expected " + each.dump());
    }
    for (const char* identifier : {"crossentropy", "ce"})
      if (const std::string got = snake_case(nn::loss_for(identifier, y_true, y_pred)->class_name()); got != each.at(identifier)) throw Mismatch(std::string(identifier) + " is " + got + ", expected " + each.dump());
  }
}

/// `f` must throw: an unknown name (here an error of its own), or what the case says.
template <class F>
void require_refusal(const Case& c, const F& f) {
  try {
    f();
    synchronize(default_device());
  } catch (const NotFoundError&) {
    if (c.spec.at("class") != "get") throw;
    return;
  } catch (const InvalidArgumentError& error) {
    // An argument that does not exist is a TypeError in Python; here it is an unknown key of a configuration.
    const bool unknown_key = std::string(error.what()).find("unknown key") != std::string::npos;
    if (c.spec.at("error") == "TypeError" && !unknown_key && !dynamic_cast<const TypeError*>(&error)) throw Mismatch(std::string("expected a TypeError, got: ") + error.what());
    return;
  }
  accepted("expected " + c.spec.at("error").dump() + ", but it was accepted");
}

/// Arguments, or shapes, that the component of this name must refuse; of a loss and a metric of one name, both (but weights of fewer axes
/// suit a metric, which averages its values down to them).
template <class Base>
bool require_refusal_of(const Case& c) {
  Base::register_builtins();
  const std::vector<ComponentClass> classes = registered_classes();
  if (std::none_of(classes.begin(), classes.end(), [&](const ComponentClass& each) { return each.module == Base::kModule && c.spec.at("class") == each.name; })) return false;
  require_refusal(c, [&] {
    const auto component = build<Base>(c);
    if (c.has("y_true")) (*component)(c.at("y_true"), c.at("y_pred"), optional_data(c, "sample_weight"));
  });
  return true;
}

void check_refusal(const Case& c) {
  if (c.spec.at("class") != "get") {
    const bool is_loss = require_refusal_of<Loss>(c);
    const bool is_metric = is_loss && c.has("sample_weight") ? false : require_refusal_of<Metric>(c);
    if (!is_loss && !is_metric) throw Mismatch("no class of this name");
    return;
  }
  const std::string action = c.spec.at("config").at("action");
  const std::string identifier = action.substr(action.find('\'') + 1, action.rfind('\'') - action.find('\'') - 1);
  require_refusal(c, [&] { Ref<Loss>{identifier}; });
  require_refusal(c, [&] { Ref<Metric>{identifier}; });
}

}  // namespace

void check_losses_metrics(const Case& c) {
  const std::string kind = c.spec.at("kind");
  if (kind == "loss") return check_loss(c);
  if (kind == "metric") return check_metric(c);
  if (kind == "metric_book") return check_metric_book(c);
  if (kind == "value_metric") return c.spec.at("class") == "Mean" ? check_values<nn::metrics::Mean>(c) : check_values<nn::metrics::Sum>(c);
  if (kind == "string_resolution") return check_string_resolution(c);
  if (kind == "refusal") return check_refusal(c);
  throw Mismatch("unknown kind of case: " + kind);
}

}  // namespace golden

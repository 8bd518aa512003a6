// training.h5: whole trainings by fit (traced steps and eager ones), and custom loops: the loss of every batch, what the progress shows, weights
// after the first step and at the end, the optimizer's state, evaluation.

#include <nlohmann/json.hpp>

#include "case.h"

namespace golden {

using namespace lockstep;
using namespace lockstep::nn;

namespace {

// ---- the book's classes that cases name

/// m = momentum m - (1 - momentum) g, w = w + lr m.
class MyMomentumOptimizer : public optim::Optimizer {
 public:
  MyMomentumOptimizer() : Optimizer({.learning_rate = 0.001}) {}
  void fields(Fields& f) override {
    Optimizer::fields(f);
    f.field("momentum", momentum_);
  }

 protected:
  void build_slots(std::span<const Variable> variables) override {
    for (const Variable& variable : variables) add_slot(variable, "momentum");
  }
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override {
    const Variable& m = slot(variable, "momentum");
    m.assign(m.value() * momentum_ - gradient * (1 - momentum_));
    variable.assign_add(learning_rate * m.value());
  }

 private:
  double momentum_ = 0.9;
};

/// factor * sum |w|.
class MyL1Regularizer : public Regularizer {
 public:
  void fields(Fields& f) override { f.field("factor", factor_); }
  Tensor operator()(const Tensor& w) const override { return reduce_sum(abs(w)) * factor_; }

 private:
  double factor_ = 0.01;
};

/// Hidden layers, a prediction and a reconstruction of the input; the error of the latter is a part of the loss and a metric.
class ReconstructingRegressor : public Model {
 public:
  ReconstructingRegressor(const Json& args, DTypePolicy policy) : Model("reconstructing_regressor", policy), factor_(args.at("factor")) {
    for (int i = 0; i < args.at("layers").get<int>(); ++i)
      hidden_.push_back(track("hidden" + std::to_string(i), Dense({.units = args.at("units"), .activation = args.at("activation").get<std::string>(), .dtype = policy})));
    out_ = track("out", Dense({.units = args.at("output_dim"), .dtype = policy}));
    error_ = track_metric(nn::metrics::Mean({.name = "reconstruction_error", .dtype = policy.compute_dtype()}));
  }

 protected:
  void build(const Shape& input) override { reconstruct_ = track("reconstruct", Dense({.units = input.dim(-1), .dtype = dtype_policy()})); }
  Tensor call(const Tensor& x, const CallOptions& options) override {
    Tensor z = x;
    for (const auto& layer : hidden_) z = (*layer)(z);
    const Tensor y = (*out_)(z);
    const Tensor error = reduce_mean(square((*reconstruct_)(z) - x));
    add_loss(error * factor_);
    if (options.training) error_->update_state(error);
    return y;
  }

 private:
  double factor_;
  std::vector<std::shared_ptr<Dense>> hidden_;
  std::shared_ptr<Dense> out_, reconstruct_;
  std::shared_ptr<nn::metrics::Mean> error_;
};

LOCKSTEP_REGISTER(MyMomentumOptimizer, "Custom");
LOCKSTEP_REGISTER(MyL1Regularizer, "Custom");

// ---- building what a case describes

DType dtype_of(const Case& c) { return dtype_from_name(c.spec.at("dtype").get<std::string>()); }

std::string indexed(const std::string& name, std::size_t i) { return name + (i < 10 ? "0" : "") + std::to_string(i); }

Ref<optim::Optimizer> optimizer_of(const Json& json) { return deserialize<optim::Optimizer>(json); }

std::shared_ptr<Model> model_of(const Case& c) {
  if (c.spec.contains("model_class")) return std::make_shared<ReconstructingRegressor>(c.spec.at("args"), DTypePolicy(dtype_of(c)));
  const auto model = std::dynamic_pointer_cast<Model>(deserialize<Layer>(c.spec.at("model")).ptr());
  Json wanted = without_build_config(c.spec.at("model").at("config"));
  for (Json& layer : wanted.at("layers"))
    if (layer.contains("inbound_nodes"))
      for (Json& node : layer.at("inbound_nodes")) {
        Json& arguments = node.at("kwargs");  // one that is null is not given
        for (auto each = arguments.begin(); each != arguments.end();) each = each->is_null() ? arguments.erase(each) : std::next(each);
      }
  require_config(serialize(*model).at("config"), wanted);
  const auto again = std::dynamic_pointer_cast<Model>(deserialize<Layer>(serialize(*model)).ptr());  // with its configuration written by us
  if (again->config() != model->config()) throw Mismatch("the configuration read back is " + again->config().dump() + ", was " + model->config().dump());
  return again;
}

LossChoice loss_of(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  return deserialize<Loss>(Json{{"class_name", json.at("class_name")}, {"config", json.value("args", Json::object())}});
}

std::vector<MetricList> metrics_of(const Json& json, std::size_t outputs) {
  std::vector<MetricList> lists(outputs);
  if (!json.is_array()) return {};
  for (std::size_t i = 0; i < json.size(); ++i)
    if (json[i].is_array())
      for (const Json& each : json[i]) lists[i].push_back(each.get<std::string>());
    else lists[0].push_back(json[i].get<std::string>());
  return lists;
}

CompileOptions compile_options(const Case& c, const Model& model, bool eager) {
  // (The reference is of one process: on several ranks the statistics of batches must be those of the whole.)
  CompileOptions options{.optimizer = optimizer_of(c.spec.at("optimizer")), .run_eagerly = eager, .synchronized_batch_norm = true};
  const Json& compile = c.spec.at("compile");
  if (compile.at("loss").is_object() && compile["loss"].contains("loss_weights")) {
    PerOutput<LossChoice>::Named named;
    for (const std::string& name : model.output_names()) named[name] = loss_of(compile["loss"].at(name));
    options.loss = named;
    options.loss_weights = compile["loss"].at("loss_weights").get<std::vector<double>>();
  } else {
    options.loss = loss_of(compile.at("loss"));
  }
  if (c.spec.contains("model") && c.spec.at("model").is_object() && c.spec.at("model").contains("compile_config")) {
    const Json& config = c.spec.at("model").at("compile_config");
    options.metrics = metrics_of(config.at("metrics"), model.output_names().size());
    options.weighted_metrics = metrics_of(config.at("weighted_metrics"), model.output_names().size());
  }
  return options;
}

/// The data sets NAME, or NAME0, NAME1, ..., with floats in the case's dtype.
std::vector<Tensor> arrays(const Case& c, const std::string& name) {
  std::vector<Tensor> result;
  const auto add = [&](const Tensor& tensor) { result.push_back(is_float(tensor.dtype()) ? as_dtype(tensor, dtype_of(c)) : tensor); };
  if (c.has(name)) add(c.at(name));
  for (int i = 0; c.has(name + std::to_string(i)); ++i) add(c.at(name + std::to_string(i)));
  return result;
}

void set_weights(const Case& c, Layer& model) {
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < c.spec.at("weights").size(); ++i) values.push_back(c.at(indexed("w0_", i)));
  model.set_weights(values);
}

void require_weights(const Case& c, const std::string& what, const std::string& prefix, const std::vector<Tensor>& actual) {
  for (std::size_t i = 0; c.has(indexed(prefix, i)); ++i) require_close(what + " " + c.spec.at("weights")[i].get<std::string>(), actual.at(i), as_dtype(c.at(indexed(prefix, i)), actual[i].dtype()), rtol(c), atol(c));
}

void require_number(const Case& c, const std::string& what, double actual, double expected) {
  require_close(what, constant(std::vector<double>{actual}), constant(std::vector<double>{expected}), rtol(c), atol(c));
}

// ---- trainings

/// Compares batch by batch.
class Watcher : public Callback {
 public:
  Watcher(const Case& c, std::string how) : case_(c), how_(std::move(how)) {}
  void on_train_batch_end(std::int64_t, const BatchLogs& logs) override {
    const std::string where = how_ + "step " + std::to_string(step_);
    if (step_ == 0) require_weights(case_, where, "step1_", model().get_weights());
    require_number(case_, where + " loss", logs.loss(), case_.at("step_loss").data<double>()[step_]);
    require_number(case_, where + " running loss", logs.reduced().at("loss"), case_.at("running_loss").data<double>()[step_]);
    if (const Json running = case_.spec.value("running", Json()); running.is_array())
      for (const auto& [name, value] : running.at(step_).items()) require_number(case_, where + " " + name, logs.reduced().at(name), value);
    ++step_;
  }
  std::size_t steps() const { return step_; }

 private:
  const Case& case_;
  std::string how_;
  std::size_t step_ = 0;
};

void check_fit(const Case& c, bool eager) {
  const std::string how = eager ? "eager, " : "traced, ";
  const std::shared_ptr<Model> model = model_of(c);
  const std::vector<Tensor> x = arrays(c, "x"), y = arrays(c, "y"), weights = arrays(c, "sample_weight");
  if (!model->built()) {
    std::vector<Shape> shapes;
    for (const Tensor& each : x) shapes.push_back(each.shape());
    model->build_for(shapes);
  }
  set_weights(c, *model);
  model->compile(compile_options(c, *model, eager));
  const auto watcher = std::make_shared<Watcher>(c, how);
  FitOptions options{.batch_size = c.spec.at("batch_size"), .epochs = c.spec.at("epochs"), .verbose = 0, .callbacks = {watcher}, .shuffle = c.spec.at("shuffle")};
  if (!weights.empty()) options.sample_weight = weights;
  if (const Json& classes = c.spec.at("class_weight"); classes.is_object())
    for (const auto& [index, weight] : classes.items()) options.class_weight[std::stoll(index)] = weight;
  const History history = model->fit(x, y, options);
  if (std::int64_t(watcher->steps()) != c.at("step_loss").shape().numel()) throw Mismatch(how + std::to_string(watcher->steps()) + " steps, expected " + to_string(c.at("step_loss").shape()));
  for (const auto& [name, values] : c.spec.at("history").items())
    for (std::size_t i = 0; i < values.size(); ++i) require_number(c, how + "history of " + name, history.history.at(name).at(i), values[i]);
  require_weights(c, how + "end", "w1_", model->get_weights());
  const std::vector<Variable> state = model->optimizer().variables();
  for (std::size_t i = 0; c.has(indexed("opt1_", i)); ++i)
    require_close(how + c.spec.at("optimizer_variables")[i].get<std::string>(), as_dtype(state.at(i).value(), float64), as_dtype(c.at(indexed("opt1_", i)), float64), rtol(c), atol(c));
  const Logs evaluated = model->evaluate(x, y, {.batch_size = options.batch_size, .verbose = 0, .sample_weight = options.sample_weight});
  for (const auto& [name, value] : c.spec.at("evaluate").items()) require_number(c, how + "evaluate " + name, evaluated.at(name), value);
}

void check_custom_loop(const Case& c, bool traced) {
  const std::string how = traced ? "traced, " : "eager, ";
  const std::shared_ptr<Model> model = model_of(c);
  set_weights(c, *model);
  const Tensor x = arrays(c, "x")[0], y = arrays(c, "y")[0];
  const std::vector<Weight> weights = model->weights();
  struct Group {
    Ref<optim::Optimizer> optimizer;
    std::vector<Variable> variables;
  };
  std::vector<Group> groups;
  for (const Json& each : c.spec.at("optimizers")) {
    Group group{optimizer_of(each.at("optimizer")), {}};
    for (const Json& name : each.at("weights"))
      for (std::size_t i = 0; i < weights.size(); ++i)
        if (c.spec.at("weights")[i] == name) group.variables.push_back(weights[i].variable());
    group.optimizer->build(group.variables);
    groups.push_back(std::move(group));
  }
  const auto body = [&](const Tensor& inputs, const Tensor& targets) {
    autodiff::GradientTape tape({.persistent = true});
    const Tensor loss = reduce_mean(square(targets - (*model)(inputs, {.training = true})));
    for (const Group& group : groups) {
      const std::vector<autodiff::Source> sources(group.variables.begin(), group.variables.end());
      group.optimizer->apply(tape.gradient(loss, sources), group.variables);
    }
    return loss;
  };
  const auto step = autodiff::function(body);
  const std::int64_t batch = c.spec.at("batch_size"), rows = x.shape()[0];
  for (std::int64_t i = 0; i < c.spec.at("steps").get<std::int64_t>(); ++i) {
    std::vector<std::int64_t> indices;
    for (std::int64_t row = 0; row < batch; ++row) indices.push_back((i * batch + row) % rows);
    const Tensor chosen = constant(indices), inputs = gather(x, chosen), targets = gather(y, chosen);
    const Tensor loss = traced ? step(inputs, targets) : body(inputs, targets);
    require_number(c, how + "loss of step " + std::to_string(i), as_dtype(loss, float64).item<double>(), as_dtype(c.at("step_loss"), float64).data<double>()[std::size_t(i)]);
    if (i == 0) require_weights(c, how + "step 0", "step1_", model->get_weights());
  }
  require_weights(c, how + "end", "w1_", model->get_weights());
}

void check_fit_refusal(const Case& c) {
  if (c.spec.at("name").get<std::string>().find("class_and_sample_weight") == std::string::npos) throw Mismatch("this refusal is unknown");
  require_refusal(c.spec.at("error"), [] {
    Sequential model({Dense(2)});
    model.compile({.optimizer = "sgd", .loss = "mse"});
    model.fit(zeros({4, 3}), zeros({4, 2}), {.verbose = 0, .class_weight = {{0, 2.0}}, .sample_weight = ones({4})});
  });
}

}  // namespace

void check_training(const Case& c) {
  const std::string kind = c.spec.at("kind");
  if (kind == "refusal") return check_fit_refusal(c);
  for (const bool other : {false, true}) {
    if (kind == "training") check_fit(c, other);
    else if (kind == "custom_loop") check_custom_loop(c, other);
    else throw Mismatch("the kind of training case \"" + kind + "\" is unknown");
  }
}

}  // namespace golden

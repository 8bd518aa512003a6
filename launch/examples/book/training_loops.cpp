// "Custom training loops", and an optimizer of one's own.
#include <iomanip>
#include <iostream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "housing.h"
#include "sections.h"

using namespace lockstep;

namespace book {
namespace {

/// "[=====>....] 128/256 - loss: 0.51 - mean_absolute_error: 0.42"
std::string status_bar(std::int64_t step, std::int64_t total, std::span<const std::shared_ptr<nn::metrics::Mean>> metrics) {
  constexpr std::int64_t kWidth = 30;
  const std::int64_t done = (kWidth - 1) * step / total;
  std::ostringstream bar;
  bar << "[" << std::string(std::size_t(done), '=') << (step < total ? '>' : '=') << std::string(std::size_t(kWidth - 1 - done), '.') << "] " << step << "/" << total;
  for (const auto& metric : metrics) bar << " - " << metric->name() << ": " << std::fixed << std::setprecision(1) << metric->result().item<float>();
  return bar.str();
}

void loop(const Housing& data) {
  random::set_seed(42);
  const nn::L2 l2(0.05);
  nn::Sequential model({nn::Dense({.units = 30, .activation = "relu", .kernel_initializer = "he_normal", .kernel_regularizer = l2}), nn::BatchNormalization(),
                        nn::Dense({.units = 1, .kernel_regularizer = l2, .kernel_constraint = nn::MaxNorm({.max_value = 1})})});
  model.build_for({32, 8});
  optim::SGD optimizer({.learning_rate = 0.01});
  const nn::losses::MeanSquaredError loss_fn;
  const auto mean_loss = std::make_shared<nn::metrics::Mean>(nn::Metric::Options{.name = "loss"});
  const auto mean_error = std::make_shared<nn::metrics::MeanAbsoluteError>();
  const std::vector<std::shared_ptr<nn::metrics::Mean>> shown = {mean_loss, mean_error};

  // One step: forward in training mode, loss and penalties, gradients, update, constraints, metrics. Traced at the first call.
  const auto step = autodiff::function([&](const Tensor& x, const Tensor& y) {
    autodiff::GradientTape tape;
    const Tensor y_pred = model(x, {.training = true});
    Tensor loss = loss_fn(y, y_pred);
    for (const Tensor& penalty : model.losses()) loss = loss + penalty;
    const std::vector<Variable> variables = model.trainable_variables();
    const std::vector<autodiff::Source> sources(variables.begin(), variables.end());
    optimizer.apply(tape.gradient(loss, sources), variables);
    for (const nn::Weight& weight : model.trainable_weights())
      if (weight.constraint()) weight.assign((*weight.constraint())(weight));
    mean_loss->update_state(loss);
    mean_error->update_state(y, y_pred);
    return loss;
  });

  const std::int64_t epochs = 5, batch = 32, steps = data.x_train.shape()[0] / batch;
  std::vector<float> losses;
  for (std::int64_t epoch = 1; epoch <= epochs; ++epoch) {
    std::cout << "Epoch " << epoch << "/" << epochs << "\n";
    for (std::int64_t i = 0; i < steps; ++i) {
      const Tensor rows = random::integers({batch}, 0, data.x_train.shape()[0]);  // with replacement
      step(gather(data.x_train, rows), gather(data.y_train, rows));
    }
    std::cout << status_bar(steps, steps, shown) << "\n";
    losses.push_back(mean_loss->result().item<float>());
    for (const auto& metric : shown) metric->reset_states();
  }
  show("halfway, the bar reads", status_bar(steps / 2, steps, {}));

  const float norm_of_kernel = norm(model.layers()[2]->get_weights()[0]).item<float>();
  const Tensor moving_mean = model.layers()[1]->get_weights()[2];
  show("penalties", std::to_string(model.losses().size()));
  show("norm of the last kernel, at most 1", std::string(norm_of_kernel <= 1.000001f ? "kept" : "exceeded"));
  show("has batch normalization seen the batches?", std::string(reduce_max(abs(moving_mean)).item<float>() > 0 ? "yes" : "no"));
  check(28, {losses.back() < losses.front(), model.losses().size() == 2, norm_of_kernel <= 1.000001f, reduce_max(abs(moving_mean)).item<float>() > 0, equals(mean_loss->result(), 0),
             status_bar(128, 256, {}) == "[==============>...............] 128/256"});
}

/// Momentum as an average of the gradients.
class MyMomentumOptimizer : public optim::Optimizer {
 public:
  MyMomentumOptimizer() : MyMomentumOptimizer(0.001) {}
  explicit MyMomentumOptimizer(optim::LearningRate learning_rate, double momentum = 0.9) : Optimizer({.learning_rate = std::move(learning_rate)}), momentum_(momentum) {}
  void fields(Fields& f) override {
    Optimizer::fields(f);
    f.field("momentum", momentum_);
  }

 protected:
  void build_slots(std::span<const Variable> variables) override {
    for (const Variable& variable : variables) add_slot(variable, "momentum");
  }
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override {
    const Variable& momentum = slot(variable, "momentum");
    momentum.assign(momentum_ * momentum.value() - (1 - momentum_) * gradient);
    variable.assign_add(learning_rate * momentum.value());
  }

 private:
  double momentum_;
};

void optimizer(const Housing& data) {
  MyMomentumOptimizer optimizer(0.1);
  const Variable w(constant(1.f), {.path = "w"});
  const Tensor gradient = constant(1.f);
  optimizer.apply_gradients({{gradient, w}});
  const Tensor one = w;
  optimizer.apply_gradients({{gradient, w}});
  show("w = 1 after a gradient of 1", one, 4);
  show("and after another", w, 4);
  for (const Variable& variable : optimizer.variables()) show(variable.path(), variable, 4);
  show("momentum in its config()", optimizer.config().at("momentum").dump());
  CustomObjects custom_objects;
  custom_objects.add<MyMomentumOptimizer>("MyMomentumOptimizer");
  const CustomObjectScope scope(custom_objects);
  const Json saved = serialize(MyMomentumOptimizer(0.01, 0.5));

  random::set_seed(42);
  nn::Sequential model({nn::Dense(1)});
  model.compile({.optimizer = MyMomentumOptimizer(0.05), .loss = "mse"});
  const auto losses = model.fit(data.x_train, data.y_train, {.epochs = 3, .verbose = 0}).history.at("loss");
  show("in fit: does the loss fall?", std::string(losses[2] < losses[0] ? "yes" : "no"));
  check(30, {near(one, 0.99), near(w, 0.971), near(optimizer.variables().back(), -0.19), deserialize<optim::Optimizer>(saved)->config() == saved.at("config"), losses[2] < losses[0]});
}

}  // namespace

void training_loops() {
  const Housing data = housing();
  heading("Custom training loops (row 28)");
  loop(data);
  heading("Custom optimizers (row 30)");
  optimizer(data);
}

}  // namespace book

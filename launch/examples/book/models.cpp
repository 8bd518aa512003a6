// "Custom models" and "Losses and metrics based on model internals".
#include <nlohmann/json.hpp>

#include "housing.h"
#include "sections.h"

using namespace lockstep;

namespace book {
namespace {

/// A few dense layers, around which the inputs are carried.
class ResidualBlock : public nn::Layer {
 public:
  ResidualBlock(int n_layers, std::int64_t n_neurons) {
    for (int i = 0; i < n_layers; ++i)
      hidden_.push_back(track("hidden_" + std::to_string(i), nn::Dense({.units = n_neurons, .activation = "relu", .kernel_initializer = "he_normal"})));
  }

 protected:
  Tensor call(const Tensor& inputs) override {
    Tensor z = inputs;
    for (const auto& layer : hidden_) z = (*layer)(z);
    return inputs + z;
  }

 private:
  std::vector<std::shared_ptr<nn::Dense>> hidden_;
};

class ResidualRegressor : public nn::Model {
 public:
  ResidualRegressor() = default;
  explicit ResidualRegressor(std::int64_t output_dim) : output_dim_(output_dim) { ResidualRegressor::configured(); }
  void fields(Fields& f) override {
    Model::fields(f);
    f.field("output_dim", output_dim_);
  }
  void configured() override { out_ = track("out", nn::Dense(output_dim_)); }

 protected:
  Tensor call(const Tensor& inputs) override {
    Tensor z = (*hidden1_)(inputs);
    for (int i = 0; i < 4; ++i) z = (*block1_)(z);
    return (*out_)((*block2_)(z));
  }

 private:
  std::int64_t output_dim_ = 1;
  std::shared_ptr<nn::Dense> hidden1_ = track("hidden1", nn::Dense({.units = 30, .activation = "relu", .kernel_initializer = "he_normal"}));
  std::shared_ptr<ResidualBlock> block1_ = track("block1", ResidualBlock(2, 30)), block2_ = track("block2", ResidualBlock(2, 30));
  std::shared_ptr<nn::Dense> out_;
};

/// An auxiliary output that must reconstruct the inputs keeps the hidden layers from forgetting them.
class ReconstructingRegressor : public nn::Model {
 public:
  explicit ReconstructingRegressor(std::int64_t output_dim) {
    for (int i = 0; i < 5; ++i) hidden_.push_back(track("hidden_" + std::to_string(i), nn::Dense({.units = 30, .activation = "relu", .kernel_initializer = "he_normal"})));
    out_ = track("out", nn::Dense(output_dim));
  }

 protected:
  Tensor call(const Tensor& inputs, const nn::CallOptions& options) override {
    if (!reconstruct_) reconstruct_ = track("reconstruct", nn::Dense(inputs.shape().dim(-1)));
    Tensor z = inputs;
    for (const auto& layer : hidden_) z = (*layer)(z);
    const Tensor reconstruction_loss = reduce_mean(square((*reconstruct_)(z) - inputs));
    add_loss(0.05 * reconstruction_loss);
    if (options.training) reconstruction_mean_->update_state(reconstruction_loss);
    return (*out_)(z);
  }

 private:
  std::vector<std::shared_ptr<nn::Dense>> hidden_;
  std::shared_ptr<nn::Dense> out_, reconstruct_;
  std::shared_ptr<nn::metrics::Mean> reconstruction_mean_ = track_metric(nn::metrics::Mean({.name = "reconstruction_error"}));
};

void residual(const Housing& data) {
  random::set_seed(42);
  ResidualRegressor model(1);
  model.compile({.optimizer = optim::Nadam({.learning_rate = 0.01}), .loss = "mse"});
  const auto losses = model.fit(data.x_train, data.y_train, {.epochs = 3, .verbose = 0}).history.at("loss");
  show("does the loss fall?", std::string(losses[2] < losses[0] ? "yes" : "no"));
  for (const nn::Weight& weight : model.weights()) show(weight.variable().path(), to_string(weight.shape()));

  // Saved and loaded: the configuration and the weights.
  CustomObjects custom_objects;
  custom_objects.add<ResidualRegressor>("ResidualRegressor");
  const CustomObjectScope scope(custom_objects);
  const auto loaded = std::dynamic_pointer_cast<ResidualRegressor>(deserialize<nn::Layer>(serialize(model)).ptr());
  loaded->build_for({32, 8});
  loaded->set_weights(model.get_weights());
  const Tensor three = data.x_test[{slice(0, 3)}];
  const Tensor before = model.predict(three, {.verbose = 0}), after = loaded->predict(three, {.verbose = 0});
  show("predictions of the loaded model / of the first one", after / before, 3);
  check(24, {losses[2] < losses[0], model.weights().size() == 12, model.config().at("output_dim") == 1, before.shape() == Shape({3, 1}), reduce_max(abs(after - before)).item<float>() == 0});
}

void reconstructing(const Housing& data) {
  random::set_seed(42);
  ReconstructingRegressor model(1);
  model.compile({.optimizer = "nadam", .loss = "mse"});
  const auto history = model.fit(data.x_train, data.y_train, {.epochs = 3, .verbose = 0}).history;
  const auto& loss = history.at("loss");
  const auto& reconstruction = history.at("reconstruction_error");
  show("does the loss fall?", std::string(loss[2] < loss[0] ? "yes" : "no"));
  show("and the reconstruction error?", std::string(reconstruction[2] < reconstruction[0] ? "yes" : "no"));
  const double evaluated = model.evaluate(data.x_test, data.y_test, {.batch_size = 516, .verbose = 0}).at("loss");
  const double mse = reduce_mean(square(model.predict(data.x_test, {.batch_size = 516, .verbose = 0}) - data.y_test)).item<float>();
  model(data.x_test);
  const double added = model.losses().at(0).item<float>();
  show("evaluated loss / (mse + 0.05 reconstruction error)", evaluated / (mse + added), 3);
  check(25, {loss[2] < loss[0], reconstruction[2] < reconstruction[0], near(evaluated, mse + added, 1e-4), added > 0, model.trainable_variables().size() == 14});
}

}  // namespace

void models() {
  const Housing data = housing();
  heading("Custom models (row 24)");
  residual(data);
  heading("Losses and metrics of a model's own (row 25)");
  reconstructing(data);
}

}  // namespace book

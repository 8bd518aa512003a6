// "Custom activation functions, initializers, regularizers, and constraints".
#include <cmath>

#include <nlohmann/json.hpp>

#include "housing.h"
#include "sections.h"

using namespace lockstep;

namespace book {
namespace {

Tensor my_softplus(const Tensor& z) { return log(1 + exp(z)); }

Tensor my_glorot_initializer(const Shape& shape, DType dtype) { return random::normal(shape, 0, std::sqrt(2. / double(shape.dim(0) + shape.dim(1))), dtype); }

Tensor my_l1_regularizer(const Tensor& weights) { return reduce_sum(abs(0.01 * weights)); }

Tensor my_positive_weights(const Tensor& weights) { return where(weights < 0, zeros_like(weights), weights); }

/// A parent of no fields of its own: nothing to call.
class MyL1Regularizer : public nn::Regularizer {
 public:
  explicit MyL1Regularizer(double factor = 0) : factor_(factor) {}
  Tensor operator()(const Tensor& weights) const override { return reduce_sum(abs(factor_ * weights)); }
  void fields(Fields& f) override { f.field("factor", factor_); }

 private:
  double factor_;
};

nn::Dense::Options custom_dense() {
  return {.units = 1,
          .activation = named("my_softplus", my_softplus),
          .kernel_initializer = named("my_glorot_initializer", my_glorot_initializer),
          .kernel_regularizer = named("my_l1_regularizer", my_l1_regularizer),
          .kernel_constraint = named("my_positive_weights", my_positive_weights)};
}

}  // namespace

void components() {
  heading("Custom activations, initializers, regularizers and constraints (row 17)");
  const Housing data = housing();
  random::set_seed(42);
  nn::Sequential model({nn::Dense({.units = 30, .activation = "relu", .kernel_initializer = "he_normal"}), nn::Dense(custom_dense())});
  model.compile({.optimizer = "nadam", .loss = "mse", .metrics = {"mae"}});
  model.build_for({32, 8});
  const Tensor initial = model.layers()[1]->get_weights()[0];
  const auto losses = model.fit(data.x_train, data.y_train, {.epochs = 3, .verbose = 0}).history.at("loss");
  show("loss after 3 epochs", losses.back(), 1);
  const Tensor kernel = model.layers()[1]->get_weights()[0], predictions = model.predict(data.x_test, {.verbose = 0});
  const Tensor penalty = model.losses().at(0);
  // What evaluate shows is the mean squared error and the penalty.
  const double evaluated = model.evaluate(data.x_test, data.y_test, {.verbose = 0}).at("loss");
  const double error = reduce_mean(square(predictions - data.y_test)).item<float>();
  const auto is_negative = [](const Tensor& t) { return reduce_any(t < 0).item<bool>(); };
  show("negative weights before training?", std::string(is_negative(initial) ? "yes" : "no"));
  show("and after?", std::string(is_negative(kernel) ? "yes" : "no"));
  show("evaluated loss / (mean squared error + penalty)", evaluated / (error + penalty.item<float>()), 3);
  const Json config = nn::Dense(custom_dense()).config();
  show("kernel_constraint in the configuration", config.at("kernel_constraint").dump());
  check(17, {losses[2] < losses[0], is_negative(initial), !is_negative(kernel), !is_negative(predictions), near(penalty, reduce_sum(abs(kernel)).item<float>() * 0.01, 1e-5),
             near(evaluated, error + penalty.item<float>(), 1e-4), config.at("activation") == "my_softplus"});

  heading("A regularizer as a class (row 18)");
  const MyL1Regularizer regularizer(0.01);
  const Json saved = serialize(regularizer);
  show("serialized", saved.dump());
  CustomObjects custom_objects;
  custom_objects.add<MyL1Regularizer>("MyL1Regularizer");
  const CustomObjectScope scope(custom_objects);
  const Ref<nn::Regularizer> loaded = deserialize<nn::Regularizer>(saved);
  show("loaded, of {1, -2}", (*loaded)(constant({1.f, -2.f})), 4);
  check(18, {regularizer.config() == Json({{"factor", 0.01}}), near((*loaded)(constant({1.f, -2.f})), 0.03)});
}

}  // namespace book

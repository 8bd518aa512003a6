// "Custom loss functions", "Saving and loading models that contain custom components", and a function as a metric.
#include <nlohmann/json.hpp>

#include "housing.h"
#include "huber.h"
#include "sections.h"

using namespace lockstep;

namespace book {
namespace {

nn::Sequential two_layers() { return nn::Sequential({nn::Dense({.units = 30, .activation = "relu", .kernel_initializer = "he_normal"}), nn::Dense(1)}); }

double mean_huber(nn::Model& model, const Tensor& x, const Tensor& y, double threshold) {
  return reduce_mean(create_huber(threshold).function(y, model.predict(x, {.verbose = 0}))).item<float>();
}

void function_as_loss(const Housing& data) {
  show("huber_fn({{0}, {0}}, {{0.5}, {3}})", huber_fn(constant({{0.f}, {0.f}}), constant({{0.5f}, {3.f}})));
  random::set_seed(42);
  nn::Sequential model = two_layers();
  model.compile({.optimizer = "nadam", .loss = named("huber_fn", huber_fn), .metrics = {"mae"}});
  const nn::History run = model.fit(data.x_train, data.y_train, {.epochs = 3, .verbose = 0, .validation_data = {data.x_valid, data.y_valid}});
  for (const auto& [name, values] : run.history) show(name + " after 3 epochs", values.back(), 1);
  const auto& loss = run.history.at("loss");

  // At a standstill the progress shows the mean over the epoch, the smaller last batch included; weights enter the sum, not the count.
  const double plain = mean_huber(model, data.x_train, data.y_train, 1);
  model.compile({.optimizer = optim::SGD({.learning_rate = 0.0}), .loss = named("huber_fn", huber_fn)});
  const double standing = model.fit(data.x_train, data.y_train, {.verbose = 0}).history.at("loss")[0];
  const double tripled = model.fit(data.x_train, data.y_train, {.verbose = 0, .sample_weight = full({data.x_train.shape()[0]}, 3, float32)}).history.at("loss")[0];
  show("loss of an epoch / mean of huber_fn", standing / plain, 3);
  show("the same with sample weights of 3", tripled / plain, 3);
  check(14, {equals(huber_fn(constant({{0.f}, {0.f}}), constant({{0.5f}, {3.f}})), {{0.125}, {2.5}}), loss.size() == 3, loss[2] < loss[0], run.history.contains("val_mae"), near(standing, plain, 1e-5),
             near(tripled, 3 * plain, 1e-4)});
}

void saved_by_name() {
  const Ref<nn::Loss> loss = create_huber(2.0);
  const Json saved = serialize(*loss);
  show("create_huber(2.0), serialized", saved.dump());
  const std::string unknown = refusal<NotFoundError>([&] { deserialize<nn::Loss>(saved); });
  show("deserialized without custom objects", unknown);
  CustomObjects custom_objects;
  custom_objects.add<nn::Loss>(named("huber_fn", huber_fn));
  const CustomObjectScope scope(custom_objects);
  const Ref<nn::Loss> loaded = deserialize<nn::Loss>(saved);
  const Tensor y = constant({{0.f}}), far = constant({{3.f}});
  show("the loss of an error of 3, before", (*loss)(y, far));
  show("and with huber_fn as the custom object: the threshold is lost", (*loaded)(y, far));
  check(15, {saved == "huber_fn", unknown.find("huber_fn") != std::string::npos, equals((*loss)(y, far), 4), equals((*loaded)(y, far), 2.5)});
}

void class_as_loss(const Housing& data) {
  const HuberLoss loss(2);
  show("HuberLoss(2).config()", loss.config().dump());
  CustomObjects custom_objects;
  custom_objects.add<HuberLoss>("HuberLoss");
  const CustomObjectScope scope(custom_objects);
  const auto loaded = std::dynamic_pointer_cast<HuberLoss>(deserialize<nn::Loss>(serialize(loss)).ptr());
  show("loaded, its threshold", loaded ? loaded->threshold() : 0, 1);
  const Tensor y = constant({{0.f}, {0.f}}), far = constant({{1.f}, {3.f}});
  show("sum_over_batch_size", loss(y, far));
  show("sum", HuberLoss(2, {.reduction = "sum"})(y, far));
  show("none", HuberLoss(2, {.reduction = "none"})(y, far));
  random::set_seed(42);
  nn::Sequential model = two_layers();
  model.compile({.optimizer = "nadam", .loss = HuberLoss(2), .metrics = {"mae"}});
  const auto losses = model.fit(data.x_train, data.y_train, {.epochs = 3, .verbose = 0}).history.at("loss");
  show("loss after 3 epochs", losses.back(), 1);
  check(16, {loss.config().at("threshold") == 2.0, loss.config().at("reduction") == "sum_over_batch_size", loaded && loaded->threshold() == 2, equals(loss(y, far), 2.25),
             equals(HuberLoss(2, {.reduction = "auto"})(y, far), 2.25), equals(HuberLoss(2, {.reduction = "sum"})(y, far), 4.5), near(HuberLoss(2, {.reduction = "none"})(y, far), {{0.5}, {4}}), losses[2] < losses[0]});
}

void function_as_metric(const Housing& data) {
  random::set_seed(42);
  nn::Sequential model = two_layers();
  model.predict(data.x_valid, {.verbose = 0});
  const double plain = mean_huber(model, data.x_train, data.y_train, 2);
  model.compile({.optimizer = optim::SGD({.learning_rate = 0.0}), .loss = "mse", .metrics = {create_huber(2.0)}});
  const auto history = model.fit(data.x_train, data.y_train, {.verbose = 0}).history;
  show("the metric is called", history.contains("huber_fn") ? std::string("huber_fn") : std::string("something else"));
  show("its value over an epoch / mean of its values", history.at("huber_fn")[0] / plain, 3);
  check(19, {near(history.at("huber_fn")[0], plain, 1e-4)});
}

}  // namespace

void losses() {
  const Housing data = housing();
  heading("Custom loss functions (row 14)");
  function_as_loss(data);
  heading("Saving what contains them (rows 15, 16)");
  saved_by_name();
  class_as_loss(data);
  heading("Functions as metrics (row 19)");
  function_as_metric(data);
}

}  // namespace book

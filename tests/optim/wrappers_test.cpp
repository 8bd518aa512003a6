// Optimizers made of others: loss scaling, one optimizer per group of variables.

#include <gtest/gtest.h>

#include <limits>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

namespace lockstep::optim {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<std::vector<double>> values_of(const std::vector<Variable>& variables) {
  std::vector<std::vector<double>> all;
  for (const Variable& variable : variables) all.push_back(cast(variable.value(), float64).to_vector<double>());
  return all;
}

class LossScale : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(, LossScale, testing::Bool(), [](const auto& info) { return info.param ? "Traced" : "Eager"; });

TEST_P(LossScale, SkipsAStepThatIsNotFiniteWithoutTouchingAnyState) {
  const Variable w(constant({1.0f, 2.0f}), {.path = "w"}), b(constant({3.0f}), {.path = "b"});
  LossScaleOptimizer optimizer({.inner_optimizer = Nadam({.weight_decay = 0.1, .use_ema = true}), .initial_scale = 8});
  const auto body = [&](const Tensor& gw, const Tensor& gb) { optimizer.apply_gradients({{gw, w}, {gb, b}}); };
  const auto traced = autodiff::function(body);
  const auto step = [&](const Tensor& gw, const Tensor& gb) { GetParam() ? traced(gw, gb) : body(gw, gb); };
  step(constant({8.0f, -8.0f}), constant({4.0f}));
  std::vector<Variable> variables = optimizer.inner_optimizer()->variables();
  variables.insert(variables.end(), {w, b});
  const auto before = values_of(variables);
  step(constant({8.0f, -8.0f}), constant({kInfinity}));
  EXPECT_EQ(values_of(variables), before);
  EXPECT_EQ(optimizer.dynamic_scale().item<float>(), 4);
  step(constant({8.0f, -8.0f}), constant({4.0f}));
  EXPECT_NE(values_of(variables), before);
  EXPECT_EQ(optimizer.iterations().value().item<std::int64_t>(), 2);
}

TEST(LossScaleOptimizer, SavesGradientsThatFloat16WouldLose) {
  const Variable w(constant({1.0f}), {.path = "w"});
  LossScaleOptimizer optimizer({.inner_optimizer = SGD({.learning_rate = 1e6}), .initial_scale = 1024});
  const Tensor scaled = cast(optimizer.scale_loss(constant({1e-7f})), float16);
  optimizer.apply_gradients({{scaled, w}});
  EXPECT_NEAR(w.value().to_vector<float>()[0], 1 - 0.1, 1e-3);
}

TEST(LossScaleOptimizer, SwitchesOffTheFixedScaleOfTheInnerOne) {
  const Variable w(constant({1.0f}), {.path = "w"});
  LossScaleOptimizer optimizer({.inner_optimizer = SGD({.learning_rate = 1, .loss_scale_factor = 16}), .initial_scale = 2});
  optimizer.apply_gradients({{constant({1.0f}), w}});
  EXPECT_EQ(w.value().to_vector<float>()[0], 0.5f);
}

TEST(LossScaleOptimizer, PassesOnTheLearningRateAndConstraints) {
  const Variable w(constant({1.0f}), {.path = "w"});
  LossScaleOptimizer optimizer({.inner_optimizer = "sgd", .initial_scale = 1});
  optimizer.constrain(w, [](const Tensor& x) { return relu(x); });
  optimizer.set_learning_rate(4);
  EXPECT_EQ(optimizer.learning_rate().item<double>(), 4);
  optimizer.apply_gradients({{constant({1.0f}), w}});
  EXPECT_EQ(w.value().to_vector<float>()[0], 0);
}

TEST(LossScaleOptimizer, NeedsAnInnerOne) { EXPECT_THROW(LossScaleOptimizer(LossScaleOptimizer::Options{}), InvalidArgumentError); }

TEST(OptimizerMap, PrefersThePathThenOnePatternThenTheDefault) {
  const auto variable = [](const char* path) { return Variable(constant({1.0f}), {.path = path}); };
  const OptimizerMap map({.default_optimizer = "sgd", .optimizer_map = {{"encoder/.*", "adam"}, {"encoder/dense/kernel", "nadam"}, {".*/bias", "lion"}}});
  EXPECT_EQ(map(variable("encoder/dense/kernel"))->class_name(), "Nadam");
  EXPECT_EQ(map(variable("encoder/conv/kernel"))->class_name(), "Adam");
  EXPECT_EQ(map(variable("encoder"))->class_name(), "SGD") << "a pattern must match all of the path";
  EXPECT_THROW(map(variable("encoder/dense/bias")), InvalidArgumentError) << "two patterns match";
  EXPECT_THROW(OptimizerMap({.default_optimizer = "sgd", .optimizer_map = {{"a", "adam"}, {"a", "sgd"}}}), InvalidArgumentError);
}

TEST(MultiOptimizer, GivesEachVariableToItsOptimizer) {
  const Variable w(constant({1.0f}), {.path = "w"}), b(constant({1.0f}), {.path = "b"});
  MultiOptimizer optimizer({.optimizer_map = [fast = Ref<Optimizer>(SGD({.learning_rate = 0.5})), slow = Ref<Optimizer>(SGD({.learning_rate = 0.25}))](
                                                const Variable& variable) { return variable.path() == "w" ? fast : slow; }});
  optimizer.apply_gradients({{constant({1.0f}), b}, {constant({1.0f}), w}});
  EXPECT_EQ(w.value().to_vector<float>()[0], 0.5f);
  EXPECT_EQ(b.value().to_vector<float>()[0], 0.75f);
  std::vector<std::string> paths;
  for (const Variable& variable : optimizer.variables()) paths.push_back(variable.path());
  EXPECT_EQ(paths, (std::vector<std::string>{"optimizer/multi_optimizer/iteration", "optimizer/multi_optimizer/learning_rate",
                                             "optimizer/multi_optimizer/sgd/iteration", "optimizer/multi_optimizer/sgd/learning_rate",
                                             "optimizer/multi_optimizer/sgd_1/iteration", "optimizer/multi_optimizer/sgd_1/learning_rate"}));
}

TEST(MultiOptimizer, HasNoLearningRateOfItsOwn) {
  MultiOptimizer optimizer({.optimizer_map = OptimizerMap({.default_optimizer = "sgd"})});
  EXPECT_THROW(optimizer.learning_rate(), FailedPreconditionError);
  EXPECT_THROW(optimizer.set_learning_rate(1.0), FailedPreconditionError);
}

TEST(MultiOptimizer, TakesNoWrappersInside) {
  const Ref<Optimizer> scaled = LossScaleOptimizer({.inner_optimizer = "sgd"});
  EXPECT_THROW(MultiOptimizer({.optimizer_map = OptimizerMap({.default_optimizer = scaled})}), InvalidArgumentError);
}

TEST(MultiOptimizer, HandsItsScaleConstraintsAndAveragesOn) {
  const Variable w(constant({1.0f}), {.path = "w"}), b(constant({1.0f}), {.path = "b"});
  MultiOptimizer optimizer({.optimizer_map = OptimizerMap({.default_optimizer = SGD({.learning_rate = 1, .use_ema = true, .ema_momentum = 0.5})}), .loss_scale_factor = 4});
  optimizer.constrain(b, [](const Tensor& x) { return relu(x); });
  for (int i = 0; i < 2; ++i) optimizer.apply_gradients({{optimizer.scale_loss(constant({1.0f})), w}, {constant({16.0f}), b}});
  EXPECT_EQ(w.value().to_vector<float>()[0], -1);
  EXPECT_EQ(b.value().to_vector<float>()[0], 0);
  const Variable both[] = {w, b};
  optimizer.finalize_variable_values(both);
  EXPECT_EQ(w.value().to_vector<float>()[0], -0.5f);
}

TEST(MultiOptimizer, HasTheDefaultOneBehindThoseOfTheMap) {
  MultiOptimizer optimizer({.optimizer_map = OptimizerMap({.default_optimizer = "sgd", .optimizer_map = {{"b", "adam"}, {"c", "lion"}}})});
  std::string names;
  for (const Ref<Optimizer>& each : optimizer.optimizers()) names += each->name() + " ";
  EXPECT_EQ(names, "adam lion sgd ");
}

TEST(MultiOptimizer, ReadsWhatKerasWrites) {
  const Json saved = Json::parse(R"({"module": "keras.optimizers", "class_name": "MultiOptimizer", "config": {"optimizer_map": {"module": "keras.optimizers",
    "class_name": "OptimizerMap", "config": {"default_optimizer": {"module": "keras.optimizers", "class_name": "SGD", "config": {"name": "sgd", "learning_rate": 0.5},
    "registered_name": null}, "optimizer_map": {"encoder/.*": {"module": "keras.optimizers", "class_name": "Adam", "config": {"name": "adam"},
    "registered_name": null}}}, "registered_name": null}, "loss_scale_factor": null, "name": "multi_optimizer"}, "registered_name": null})");
  const Ref<Optimizer> optimizer = deserialize<Optimizer>(saved);
  const Json again = serialize(*optimizer);
  EXPECT_EQ(again.at("config").at("optimizer_map").at("config").at("optimizer_map").at("encoder/.*").at("config").at("beta_1"), 0.9);
  EXPECT_EQ(serialize(*deserialize<Optimizer>(again)), again);
}

}  // namespace
}  // namespace lockstep::optim

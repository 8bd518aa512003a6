// What all optimizers share, and each optimizer's first steps against Keras.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <lockstep/lockstep.h>

namespace lockstep::optim {
namespace {

using autodiff::GradientTape;

void expect_values(const Tensor& actual, const std::vector<double>& expected, double tolerance = 1e-6) {
  const std::vector<double> values = cast(actual, float64).to_vector<double>();
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << "element " << i;
}

std::vector<std::string> paths(const std::vector<Variable>& variables) {
  std::vector<std::string> list;
  for (const Variable& variable : variables) list.push_back(variable.path());
  return list;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// ---- each optimizer

struct FirstSteps {
  const char* name;
  Ref<Optimizer> (*make)();
  std::vector<double> expected;
};

class KerasOptimizers : public testing::TestWithParam<FirstSteps> {};

/// w = [1, -2], gradients [.5, -.25], [-.1, .3], [.2, .2]: the weights after three steps in Keras 3.15.
TEST_P(KerasOptimizers, TakeTheSameThreeSteps) {
  const Variable w(constant({1.0f, -2.0f}), {.path = "w"});
  const Ref<Optimizer> optimizer = GetParam().make();
  for (const Tensor& gradient : {constant({0.5f, -0.25f}), constant({-0.1f, 0.3f}), constant({0.2f, 0.2f})}) optimizer->apply_gradients({{gradient, w}});
  expect_values(w.value(), GetParam().expected, 3e-7);
}

INSTANTIATE_TEST_SUITE_P(
    , KerasOptimizers,
    testing::Values(
        FirstSteps{"Sgd", [] { return Ref<Optimizer>("sgd"); }, {0.99400002, -2.0025001}},
        FirstSteps{"SgdMomentum", [] { return Ref<Optimizer>(SGD({.momentum = 0.9})); }, {0.98635, -2.0009248}},
        FirstSteps{"SgdNesterov", [] { return Ref<Optimizer>(SGD({.momentum = 0.9, .nesterov = true})); }, {0.98171496, -2.0033324}},
        FirstSteps{"SgdClipnorm", [] { return Ref<Optimizer>(SGD({.clipnorm = 0.1})); }, {0.99871469, -2.0012088}},
        FirstSteps{"SgdClipvalue", [] { return Ref<Optimizer>(SGD({.clipvalue = 0.1})); }, {0.99900001, -2.0009999}},
        FirstSteps{"SgdGlobalClipnorm", [] { return Ref<Optimizer>(SGD({.global_clipnorm = 0.1})); }, {0.99871469, -2.0012088}},
        FirstSteps{"SgdDecay", [] { return Ref<Optimizer>(SGD({.weight_decay = 0.1})); }, {0.99101198, -1.996508}},
        FirstSteps{"Adam", [] { return Ref<Optimizer>("adam"); }, {0.99788785, -1.9995327}},
        FirstSteps{"AdamW", [] { return Ref<Optimizer>("adamw"); }, {0.99787587, -1.9995087}},
        FirstSteps{"Nadam", [] { return Ref<Optimizer>("nadam"); }, {0.99862158, -2.0001781}},
        FirstSteps{"Adamax", [] { return Ref<Optimizer>("adamax"); }, {0.99825042, -1.9994609}},
        FirstSteps{"RmsProp", [] { return Ref<Optimizer>("rmsprop"); }, {0.99622893, -2.0008452}},
        FirstSteps{"RmsPropCentered", [] { return Ref<Optimizer>(RMSprop({.momentum = 0.9, .centered = true})); }, {0.99090636, -1.9972486}},
        FirstSteps{"Adagrad", [] { return Ref<Optimizer>("adagrad"); }, {0.99900532, -2.0003467}},
        FirstSteps{"Adadelta", [] { return Ref<Optimizer>("adadelta"); }, {0.99999821, -2.0000014}},
        FirstSteps{"Ftrl", [] { return Ref<Optimizer>("ftrl"); }, {0.46448281, -0.43141752}},
        FirstSteps{"Lion", [] { return Ref<Optimizer>("lion"); }, {0.99900001, -2.0009999}},
        FirstSteps{"Lamb", [] { return Ref<Optimizer>(Lamb()); }, {0.99439329, -2.0002356}},
        FirstSteps{"Adafactor", [] { return Ref<Optimizer>("adafactor"); }, {0.99778771, -2.0013783}}),
    [](const auto& info) { return info.param.name; });

/// Keras on TensorFlow reads the iterate of before the step after it has moved; this is the algorithm as published.
TEST(ScheduleFreeAdamW, LiesBetweenItsIterateAndTheirAverage) {
  const Variable w(constant(std::vector<double>{-4.25}), {.path = "w"});
  ScheduleFreeAdamW optimizer({.learning_rate = 0.1, .warmup_steps = 3});
  double iterate = -4.25, average = -4.25, v = 0;
  for (int t = 1; t <= 4; ++t) {
    optimizer.apply_gradients({{constant(std::vector<double>{double(t)}), w}});
    v += (t * t - v) * (1 - 0.999);
    iterate -= 0.1 * std::min(t / 3.0, 1.0) * t / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    average += (iterate - average) / t;
    expect_values(optimizer.variables()[2].value(), {iterate}, 1e-13);
    expect_values(w.value(), {0.1 * iterate + 0.9 * average}, 1e-13);
  }
}

TEST(Adam, KeepsItsHyperParametersInFullPrecision) {
  const Variable w(constant(std::vector<double>{1.0}), {.path = "w"});
  Adam optimizer({.learning_rate = 0.1, .epsilon = 1e-8});
  optimizer.apply_gradients({{constant(std::vector<double>{0.3}), w}});
  optimizer.apply_gradients({{constant(std::vector<double>{-0.7}), w}});
  double m = 0, v = 0, expected = 1;
  for (int t = 1; t <= 2; ++t) {
    const double g = t == 1 ? 0.3 : -0.7;
    m += (g - m) * (1 - 0.9);
    v += (g * g - v) * (1 - 0.999);
    expected -= 0.1 * std::sqrt(1 - std::pow(0.999, t)) / (1 - std::pow(0.9, t)) * m / (std::sqrt(v) + 1e-8);
  }
  EXPECT_NEAR(w.value().item<double>(), expected, 1e-15) << "a beta of 0.9 rounded to float32 is 2e-8 off";
}

TEST(Muon, MovesEmbeddingsAndExcludedLayersByAdam) {
  const Tensor start = ones({2, 3}), gradient = constant({{1.0f, 2.0f, 3.0f}, {1.0f, 0.0f, -1.0f}});
  const Variable kernel(start, {.path = "dense/kernel"}), output(start, {.path = "output/kernel"}), table(start, {.path = "Embedding_1/table"}), alone(start, {.path = "alone"});
  Muon muon({.adam_weight_decay = std::nullopt, .exclude_layers = {"^out.*kernel$"}});
  muon.apply_gradients({{gradient, kernel}, {gradient, output}, {gradient, table}});
  Adam adam;
  adam.apply_gradients({{gradient, alone}});
  EXPECT_EQ(output.value().to_vector<float>(), alone.value().to_vector<float>());
  EXPECT_EQ(table.value().to_vector<float>(), alone.value().to_vector<float>());
  EXPECT_NE(kernel.value().to_vector<float>(), alone.value().to_vector<float>());
}

// ---- gradients

TEST(Optimizer, LeavesAVariableWithoutGradientAndWarnsOnce) {
  const Variable w(constant({1.0f}), {.path = "w"}), b(constant({5.0f}), {.path = "b"});
  SGD optimizer({.learning_rate = 0.5});
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) optimizer.apply_gradients({{constant({1.0f}), w}, {Gradient(), b}});
  const std::string warnings = testing::internal::GetCapturedStderr();
  expect_values(w.value(), {-0.5});
  expect_values(b.value(), {5});
  EXPECT_EQ(optimizer.iterations().value().item<std::int64_t>(), 3);
  EXPECT_NE(warnings.find("no gradient for 'b'"), std::string::npos) << warnings;
  EXPECT_EQ(warnings.find("no gradient"), warnings.rfind("no gradient")) << warnings;
}

TEST(Optimizer, TakesSparseGradientsAsTheirSums) {
  const Variable sparse(ones({3, 2}), {.path = "sparse"}), dense(ones({3, 2}), {.path = "dense"});
  const IndexedSlices slices{constant({2, 0, 2}), constant({{1.0f, 2.0f}, {3.0f, 4.0f}, {5.0f, 6.0f}}), {3, 2}};
  Adagrad a, b;
  a.apply_gradients({{slices, sparse}});
  b.apply_gradients({{constant({{3.0f, 4.0f}, {0.0f, 0.0f}, {6.0f, 8.0f}}), dense}});
  EXPECT_EQ(sparse.value().to_vector<float>(), dense.value().to_vector<float>());
}

TEST(Optimizer, CastsGradientsToTheVariablesDtype) {
  const Variable w(constant({1.0f}), {.path = "w"});
  SGD optimizer({.learning_rate = 0.5});
  optimizer.apply_gradients({{cast(constant({1.0f}), bfloat16), w}});
  expect_values(w.value(), {0.5});
}

TEST(Optimizer, DoesNothingWithoutGradients) {
  SGD optimizer;
  optimizer.apply({});
  EXPECT_FALSE(optimizer.built());
  EXPECT_EQ(optimizer.iterations().value().item<std::int64_t>(), 0);
}

TEST(Optimizer, RefusesAnotherNumberOfGradientsThanVariables) {
  const Variable w(constant({1.0f}), {.path = "w"}), b(constant({1.0f}), {.path = "b"});
  SGD optimizer;
  optimizer.build({w, b});
  const Gradient one[] = {constant({1.0f})};
  EXPECT_THROW(optimizer.apply(one), InvalidArgumentError);
}

TEST(Optimizer, NamesAVariableItWasNotBuiltFor) {
  const Variable w(constant({1.0f}), {.path = "w"}), other(constant({1.0f}), {.path = "dense/other"});
  SGD optimizer;
  optimizer.build({w});
  EXPECT_NE(message_of([&] { optimizer.apply_gradients({{constant({1.0f}), other}}); }).find("'dense/other'"), std::string::npos);
}

// ---- clipping

TEST(Clipping, KeepsASmallGradientAndScalesALargeOne) {
  expect_values(clip_by_norm(constant({3.0f, 4.0f}), 10), {3, 4});
  expect_values(clip_by_norm(constant({3.0f, 4.0f}), 1), {0.6, 0.8});
  expect_values(clip_by_norm(constant({0.0f, 0.0f}), 1), {0, 0});
}

TEST(Clipping, ScalesAllGradientsByOneFactor) {
  const Tensor gradients[] = {constant({3.0f}), constant(std::vector<double>{4.0})};
  const std::vector<Tensor> clipped = clip_by_global_norm(gradients, 1);
  expect_values(clipped[0], {0.6});
  expect_values(clipped[1], {0.8});
  EXPECT_EQ(clipped[1].dtype(), float64);
}

TEST(Clipping, MakesAllGradientsNanIfOneIsInfinite) {
  const Tensor gradients[] = {constant({3.0f}), constant({std::numeric_limits<float>::infinity()})};
  for (const Tensor& clipped : clip_by_global_norm(gradients, 1)) EXPECT_TRUE(std::isnan(clipped.to_vector<float>()[0]));
}

// ---- weight decay, averages, constraints

TEST(WeightDecay, SparesVariablesByThemselvesAndByPattern) {
  const Variable w(constant({1.0f}), {.path = "dense/kernel"}), b(constant({1.0f}), {.path = "dense/bias"}), g(constant({1.0f}), {.path = "norm/gamma"});
  SGD optimizer({.learning_rate = 0.5, .weight_decay = 0.5});
  optimizer.exclude_from_weight_decay(std::span(&g, 1), {"bias$"});
  const Tensor zero = constant({0.0f});
  optimizer.apply_gradients({{zero, w}, {zero, b}, {zero, g}});
  expect_values(w.value(), {0.75});
  expect_values(b.value(), {1});
  expect_values(g.value(), {1});
  EXPECT_THROW(optimizer.exclude_from_weight_decay({"kernel"}), FailedPreconditionError);
}

TEST(Averages, BeginWithTheWeightsAndAreGivenAtTheEnd) {
  const Variable w(constant({0.0f}), {.path = "w"});
  SGD optimizer({.learning_rate = 1, .use_ema = true, .ema_momentum = 0.5});
  for (const float g : {-1.0f, -1.0f, -1.0f}) optimizer.apply_gradients({{constant({g}), w}});
  expect_values(w.value(), {3});
  optimizer.finalize_variable_values({&w, 1});
  expect_values(w.value(), {0.5 * (0.5 * 1 + 0.5 * 2) + 0.5 * 3});
}

TEST(Averages, OfAnAccumulatingOptimizerFollowEachCall) {
  const Variable w(constant({1.0f, 1.0f}), {.path = "w"});
  SGD optimizer({.learning_rate = 0.5, .use_ema = true, .ema_momentum = 0.5, .gradient_accumulation_steps = 2});
  for (int i = 1; i <= 6; ++i) optimizer.apply_gradients({{constant({1.0f, 2.0f}) * i, w}});
  expect_values(w.value(), {-4.25, -9.5});
  expect_values(optimizer.variables()[2].value(), {-2.65625, -6.3125});
}

TEST(Constraints, ReplaceTheWeightsAfterEachUpdate) {
  const Variable w(constant({1.0f, 1.0f}), {.path = "w"});
  SGD optimizer({.learning_rate = 1});
  optimizer.constrain(w, [](const Tensor& x) { return relu(x); });
  optimizer.apply_gradients({{constant({3.0f, -3.0f}), w}});
  expect_values(w.value(), {0, 4});
}

// ---- state

TEST(Optimizer, NamesItsStateByOptimizerVariableAndSlot) {
  const Variable w(ones({2}), {.path = "dense/kernel"}), b(ones({1}), {.path = "dense/bias"});
  Adam optimizer({.amsgrad = true, .use_ema = true, .gradient_accumulation_steps = 2, .name = "main"});
  optimizer.build({w, b});
  EXPECT_EQ(paths(optimizer.variables()),
            (std::vector<std::string>{"optimizer/main/iteration", "optimizer/main/learning_rate", "optimizer/main/dense/kernel/average",
                                      "optimizer/main/dense/bias/average", "optimizer/main/dense/kernel/gradient_accumulator",
                                      "optimizer/main/dense/bias/gradient_accumulator", "optimizer/main/dense/kernel/momentum",
                                      "optimizer/main/dense/kernel/velocity", "optimizer/main/dense/bias/momentum", "optimizer/main/dense/bias/velocity",
                                      "optimizer/main/dense/kernel/velocity_hat", "optimizer/main/dense/bias/velocity_hat"}));
  for (const Variable& variable : optimizer.variables()) EXPECT_FALSE(variable.trainable()) << variable.path();
}

TEST(Optimizer, IsBuiltOnce) {
  const Variable w(ones({2}), {.path = "w"});
  Adam optimizer;
  optimizer.build({w});
  const std::size_t count = optimizer.variables().size();
  optimizer.build({w});
  EXPECT_EQ(optimizer.variables().size(), count);
}

TEST(Optimizer, TakesItsStateAlongWhenMoved) {
  const Variable w(constant({1.0f}), {.path = "w"});
  SGD first({.learning_rate = 1, .momentum = 0.5});
  first.apply_gradients({{constant({1.0f}), w}});
  SGD second = std::move(first);
  second.apply_gradients({{constant({0.0f}), w}});
  expect_values(w.value(), {-0.5});
  EXPECT_EQ(second.iterations().value().item<std::int64_t>(), 2);
}

// ---- the learning rate

TEST(LearningRate, IsSetBetweenSteps) {
  const Variable w(constant({0.0f}), {.path = "w"});
  SGD optimizer({.learning_rate = 1});
  optimizer.apply_gradients({{constant({1.0f}), w}});
  optimizer.set_learning_rate(0.25);
  optimizer.apply_gradients({{constant({1.0f}), w}});
  expect_values(w.value(), {-1.25});
  EXPECT_EQ(optimizer.learning_rate().item<double>(), 0.25);
}

TEST(LearningRate, CanBeAVariableOfTheCallers) {
  const Variable w(constant({0.0f}), {.path = "w"}), rate(constant(1.0f), {.path = "rate", .trainable = false});
  SGD a({.learning_rate = rate}), b({.learning_rate = rate});
  rate.assign(0.5);
  a.apply_gradients({{constant({1.0f}), w}});
  b.apply_gradients({{constant({1.0f}), w}});
  expect_values(w.value(), {-1});
  EXPECT_EQ(a.variables()[1], rate);
  const Variable matrix(ones({2}), {.path = "matrix"});
  EXPECT_THROW(SGD({.learning_rate = matrix}), InvalidArgumentError);
}

TEST(LearningRate, CanBeAFunctionOfTheNumberOfCalls) {
  const Variable w(constant({0.0f}), {.path = "w"});
  SGD optimizer({.learning_rate = [](const Tensor& step) { return cast(step, float32) + 1.0f; }});
  for (int i = 0; i < 3; ++i) optimizer.apply_gradients({{constant({1.0f}), w}});
  expect_values(w.value(), {-(1 + 2 + 3)});
  EXPECT_EQ(paths(optimizer.variables()), (std::vector<std::string>{"optimizer/sgd/iteration"}));
}

// ---- several optimizers on one tape

TEST(Optimizer, MovesTheLowerLayersWhileAnotherMovesTheUpper) {
  const Variable lower(constant({{1.0f}}), {.path = "lower"}), upper(constant({{2.0f}}), {.path = "upper"});
  SGD slow({.learning_rate = 0.1});
  Nadam fast;
  GradientTape tape({.persistent = true});
  const Tensor loss = reduce_sum(square(matmul(matmul(constant({{1.0f}}), lower), upper)));
  slow.apply(tape.gradient(loss, {lower}), {lower});
  fast.apply(tape.gradient(loss, {upper}), {upper});
  expect_values(lower.value(), {1 - 0.1 * 8});
  EXPECT_LT(upper.value().to_vector<float>()[0], 2);
}

}  // namespace
}  // namespace lockstep::optim

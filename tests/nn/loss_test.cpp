// Losses: reductions, weights, masks, refusals, names, functions, gradients.

#include <gtest/gtest.h>

#include <cmath>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

#include "item.h"

namespace lockstep::nn {
namespace {

Tensor truth() { return constant({{0.f, 1.f}, {2.f, 3.f}}); }
Tensor prediction() { return constant({{1.f, 1.f}, {0.f, 0.f}}); }

template <class E = InvalidArgumentError, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "accepted";
}
#define EXPECT_IN(PART, TEXT) EXPECT_NE((TEXT).find(PART), std::string::npos) << (TEXT)

/// The book's loss with a threshold, as a user writes it.
class HuberLoss : public Loss {
 public:
  explicit HuberLoss(double threshold = 1.0) : threshold_(threshold) {}
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override {
    const Tensor error = y_true - y_pred, size = abs(error);
    return where(size < threshold_, square(error) / 2.0, threshold_ * size - threshold_ * threshold_ / 2.0);
  }
  void fields(Fields& f) override {
    Loss::fields(f);
    f.field("threshold", threshold_);
  }

 private:
  double threshold_;
};

TEST(Loss, ReducesInEveryWayWithWeights) {
  const Tensor weights = constant({1.f, 3.f});
  const auto of = [&](const char* reduction) { return losses::MeanSquaredError({.reduction = reduction}); };
  EXPECT_EQ(item(of("sum_over_batch_size")(truth(), prediction())), 3.5f);
  EXPECT_EQ(item(of("sum_over_batch_size")(truth(), prediction(), weights)), 10.f);
  EXPECT_EQ(item(of("sum")(truth(), prediction(), weights)), 20.f);
  EXPECT_EQ(item(of("mean_with_sample_weight")(truth(), prediction(), weights)), 5.f);
  EXPECT_EQ(of("none")(truth(), prediction(), weights).to_vector<float>(), (std::vector<float>{0.5f, 19.5f}));
}

TEST(Loss, TakesAutoAsTheMeanOverTheBatch) {
  const losses::Huber loss({.reduction = "auto"});
  EXPECT_EQ(loss.reduction(), "sum_over_batch_size");
  EXPECT_EQ(loss.config()["reduction"], "sum_over_batch_size");
}

TEST(Loss, RefusesAnUnknownReductionByName) { EXPECT_IN("'average'", message_of([] { losses::Huber({.reduction = "average"}); })); }

TEST(Loss, AveragesOverWhatTheMaskKeeps) {
  const losses::MeanSquaredError loss;
  const Tensor y = constant({{{0.f}, {0.f}}, {{0.f}, {0.f}}}), p = constant({{{1.f}, {9.f}}, {{3.f}, {9.f}}}), mask = constant({{true, false}, {true, false}});
  EXPECT_EQ(item(loss(y, p, {}, mask)), 5.f);
  EXPECT_EQ(item(loss(y, p, {}, constant({{false, false}, {false, false}}))), 0.f);
}

TEST(Loss, AlignsAVectorWithAColumnInsteadOfBroadcastingToAMatrix) {
  const losses::MeanAbsoluteError loss({.reduction = "none"});
  EXPECT_EQ(loss(constant({1.f, 2.f}), constant({{1.f}, {4.f}})).to_vector<float>(), (std::vector<float>{0.f, 2.f}));
  EXPECT_EQ(HuberLoss()(constant({1.f, 2.f}), constant({{1.f}, {2.f}})).item<float>(), 0.f);
}

TEST(Loss, RefusesShapesThatWouldBroadcast) {
  const losses::MeanSquaredError loss;
  const std::string message = message_of([&] { loss(zeros({4, 2}), zeros({4, 1})); });
  EXPECT_IN("(4, 2)", message);
  EXPECT_IN("(4, 1)", message);
  EXPECT_IN("mean_squared_error", message);
}

TEST(Loss, RefusesSampleWeightsThatWouldLieAlongTheWrongAxis) {
  const losses::MeanSquaredError loss;
  EXPECT_IN("(3,)", message_of([&] { loss(zeros({3, 3, 2}), zeros({3, 3, 2}), ones({3})); }));
}

TEST(Loss, TakesAWeightPerClassWhereTheValuesEndInClasses) {
  const losses::Dice loss({.axis = Ints{1}, .reduction = "none"});
  const Tensor values = loss(ones({2, 3, 2}), zeros({2, 3, 2}), constant({1.f, 3.f}));
  EXPECT_EQ(values.to_vector<float>(), (std::vector<float>{1, 3, 1, 3}));
}

TEST(Loss, RefusesALabelOutsideTheClasses) {
  const losses::SparseCategoricalCrossentropy loss;
  EXPECT_IN("label 3", message_of([&] { loss(constant({0, 3}), ones({2, 3})); }));
}

TEST(Loss, LeavesOutTheIgnoredClass) {
  const losses::SparseCategoricalCrossentropy loss({.ignore_class = -1});
  const Tensor p = constant({{0.5f, 0.5f}, {0.25f, 0.75f}});
  EXPECT_NEAR(item(loss(constant({0, -1}), p)), std::log(2.f), 1e-6);
}

TEST(Loss, ComputesInFloat64IfThePredictionsAre) {
  const losses::MeanSquaredError loss;
  EXPECT_EQ(loss(constant({{1, 2}}), constant({{1, 2}}, float64)).dtype(), float64);
  EXPECT_EQ(loss(constant({{1, 2}}), constant({{1, 2}}, bfloat16)).dtype(), float32);
  EXPECT_EQ(losses::MeanSquaredError({.dtype = float64})(truth(), prediction()).dtype(), float64);
}

TEST(Loss, TakesTheLogitsBehindASoftmaxInsideAFunction) {
  const losses::SparseCategoricalCrossentropy loss;
  const Tensor logits = constant({{0.f, 100.f}});
  const auto traced = autodiff::function([&](const Tensor& x) { return loss(constant({0}), softmax(x)); });
  EXPECT_NEAR(item(traced(logits)), 100.f, 1e-4);  // the probability itself would be clipped to 1e-7
  const losses::BinaryCrossentropy binary;
  const auto sigmoidal = autodiff::function([&](const Tensor& x) { return binary(constant({{0.f}}), sigmoid(x)); });
  EXPECT_NEAR(item(sigmoidal(constant({{50.f}}))), 50.f, 1e-4);
}

TEST(Loss, HasTheGradientOfTheLogitsBehindASoftmaxInsideAFunction) {
  const losses::CategoricalCrossentropy loss;
  const auto gradient = autodiff::function([&](const Tensor& x) {
    autodiff::GradientTape tape;
    tape.watch(x);
    const Tensor logits = x * 2.0;
    return tape.gradient(loss(constant({{1.f, 0.f}}), softmax(logits)), x).dense();
  });
  const std::vector<float> values = gradient(constant({{0.f, 50.f}})).to_vector<float>();
  EXPECT_NEAR(values[0], -2.f, 1e-5);  // softmax minus target, times 2; a clipped probability would give 0
  EXPECT_NEAR(values[1], 2.f, 1e-5);
}

TEST(Loss, HasGradientsThroughWeightsAndReduction) {
  const losses::Huber loss;
  const Variable p(constant({{0.5f}, {3.f}}));
  autodiff::GradientTape tape;
  const Tensor value = loss(zeros({2, 1}), p, constant({1.f, 2.f}));
  EXPECT_EQ(tape.gradient(value, p).dense().to_vector<float>(), (std::vector<float>{0.25f, 1.f}));
}

TEST(Loss, CTCHasTheProbabilityOfAllAlignments) {
  // Two steps of three equally probable classes: "1" is 11, 01 or 10.
  const Tensor loss = losses::ctc(constant({{1, 0}}), zeros({1, 2, 3}));
  EXPECT_NEAR(loss.to_vector<float>()[0], -std::log(3.0 / 9.0), 1e-5);
}

TEST(Loss, CTCIsInfiniteWithoutTimeForTheLabels) { EXPECT_TRUE(std::isinf(losses::ctc(constant({{1, 1}}), zeros({1, 2, 3})).to_vector<float>()[0])); }

TEST(Loss, CTCHasAGradient) {
  const Variable logits(zeros({1, 2, 3}));
  autodiff::GradientTape tape;
  const Tensor gradient = tape.gradient(losses::ctc(constant({{1, 0}}), logits), logits).dense();
  // Softmax minus the share of the paths that emit the class: 11, 01, 10 emit the blank once and 1 twice at each step.
  const std::vector<float> expected = {1 / 3.f - 1 / 3.f, 1 / 3.f - 2 / 3.f, 1 / 3.f, 1 / 3.f - 1 / 3.f, 1 / 3.f - 2 / 3.f, 1 / 3.f};
  const std::vector<float> got = gradient.to_vector<float>();
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5) << i;
}

TEST(Loss, IsFoundByClassNameFunctionNameAndShortName) {
  for (const char* name : {"mse", "MSE", "mean_squared_error", "MeanSquaredError"}) EXPECT_EQ(Ref<Loss>(name)->class_name(), "MeanSquaredError");
  for (const char* name : {"bce", "BCE", "kld", "KLD", "huber", "log_cosh", "ctc", "categorical_focal_crossentropy"}) EXPECT_TRUE(Ref<Loss>(name));
  EXPECT_THROW(Ref<Loss>("logcosh"), NotFoundError);
}

TEST(Loss, KeepsEveryArgumentInItsConfiguration) {
  Loss::register_builtins();
  const losses::Huber huber({.delta = 2.5, .reduction = "sum"});
  EXPECT_EQ(huber.config()["name"], "huber_loss");
  EXPECT_EQ(huber.config()["delta"], 2.5);
  const Ref<Loss> again = deserialize<Loss>(serialize(huber));
  EXPECT_EQ(item((*again)(zeros({1, 1}), constant({{4.f}}))), 2.5f * 4 - 2.5f * 2.5f / 2);
  EXPECT_EQ(losses::CategoricalFocalCrossentropy({.alpha = {0.25, 0.5}}).config()["alpha"].dump(), "[0.25,0.5]");
  EXPECT_EQ(losses::CategoricalFocalCrossentropy().config()["alpha"].dump(), "0.25");
}

TEST(Loss, GoesThroughItsConfigurationForEveryClass) {
  Loss::register_builtins();
  int count = 0;
  for (const ComponentClass& entry : registered_classes()) {
    if (entry.module != Loss::kModule) continue;
    const auto loss = entry.make();
    EXPECT_EQ(deserialize<Loss>(serialize(*loss))->config(), loss->config()) << entry.name;
    ++count;
  }
  EXPECT_EQ(count, 22);
}

TEST(Loss, IsWrittenByTheUserAndSavedWithItsThreshold) {
  const HuberLoss loss(2.0);
  EXPECT_EQ(loss.name(), "huber_loss");
  EXPECT_EQ(item(loss(zeros({2, 1}), constant({{1.f}, {4.f}}))), (0.5f + 6.f) / 2);
  CustomObjects objects;
  objects.add<HuberLoss>("HuberLoss");
  const CustomObjectScope scope(objects);
  EXPECT_EQ(item((*deserialize<Loss>(serialize(loss)))(zeros({2, 1}), constant({{1.f}, {4.f}}))), 3.25f);
}

TEST(Loss, IsAPlainFunctionSavedByItsName) {
  const auto huber_fn = [](const Tensor& y_true, const Tensor& y_pred) { return abs(y_true - y_pred); };
  const Ref<Loss> loss(named("huber_fn", huber_fn));
  EXPECT_EQ(serialize(*loss).dump(), "\"huber_fn\"");
  EXPECT_EQ(loss->name(), "huber_fn");
  EXPECT_EQ(item((*loss)(constant({1.f, 2.f}), constant({{2.f}, {4.f}}))), 1.5f);
}

TEST(Loss, KeepsANullReductionAsItIs) {
  const Ref<Loss> loss = deserialize<Loss>({{"class_name", "MeanSquaredError"}, {"config", {{"reduction", nullptr}}}});
  EXPECT_EQ(loss->reduction(), "none");
  EXPECT_EQ(loss->config()["reduction"], nullptr);
  EXPECT_EQ(losses::MeanSquaredError({.reduction = "none"}).config()["reduction"], "none");
}

}  // namespace
}  // namespace lockstep::nn

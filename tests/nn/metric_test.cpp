// Metrics: the book's Precision and Huber metric, traced updates, state, names.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

#include "item.h"

namespace lockstep::nn {
namespace {

/// Row 21 of the book, from scratch.
class HuberMetric : public Metric {
 public:
  explicit HuberMetric(double threshold = 1.0) : threshold_(threshold), total_(add_weight("total", zeros)), count_(add_weight("count", zeros)) {}
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override {
    const Tensor values = losses::huber(expand_dims(y_true, -1), expand_dims(y_pred, -1), threshold_);
    total_.assign_add(reduce_sum(sample_weight.defined() ? values * sample_weight : values));
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

/// The same on top of Mean.
class HuberMean : public metrics::Mean {
 public:
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override { Mean::update_state(losses::huber(y_true, y_pred), sample_weight); }
};

TEST(Precision, KeepsCountsAcrossBatchesInsteadOfAveragingRatios) {
  metrics::Precision precision;
  EXPECT_FLOAT_EQ(item(precision(constant({0, 1, 1, 1, 0, 1, 0, 1}), constant({1, 1, 0, 1, 0, 1, 0, 1}))), 0.8f);
  EXPECT_FLOAT_EQ(item(precision(constant({0, 1, 0, 0, 1, 0, 1, 1}), constant({1, 0, 1, 1, 0, 0, 0, 0}))), 0.5f);
  EXPECT_FLOAT_EQ(item(precision.result()), 0.5f);
  const std::vector<Variable> variables = precision.variables();
  ASSERT_EQ(variables.size(), 2u);
  EXPECT_EQ(variables[0].path(), "metrics/precision/true_positives");
  EXPECT_EQ(variables[0].value().to_vector<float>(), std::vector<float>{4});
  EXPECT_EQ(variables[1].path(), "metrics/precision/false_positives");
  EXPECT_EQ(variables[1].value().to_vector<float>(), std::vector<float>{4});
  EXPECT_EQ(variables[0].kind(), StateKind::summed);
  EXPECT_FALSE(variables[0].trainable());
  precision.reset_states();
  EXPECT_EQ(item(precision.result()), 0.f);
}

TEST(Metric, UpdatesItsVariablesInsideAFunctionAsEagerly) {
  metrics::Mean eager, traced;
  metrics::AUC eager_area({.num_thresholds = 10}), traced_area({.num_thresholds = 10});
  const auto step = autodiff::function([&](const Tensor& y, const Tensor& p) {
    traced.update_state(p);
    traced_area.update_state(y, p);
    return traced.result();
  });
  const Tensor y = constant({0.f, 1.f, 1.f, 0.f});
  for (const Tensor& p : {constant({0.1f, 0.8f, 0.3f, 0.4f}), constant({0.9f, 0.2f, 0.7f, 0.6f})}) {
    EXPECT_FLOAT_EQ(item(step(y, p)), item(eager(p)));
    eager_area.update_state(y, p);
  }
  EXPECT_EQ(step.trace_count(), 1);
  EXPECT_FLOAT_EQ(item(traced.result()), 0.5f);
  EXPECT_FLOAT_EQ(item(traced_area.result()), item(eager_area.result()));
  EXPECT_EQ(traced_area.variables()[2].value().to_vector<float>(), eager_area.variables()[2].value().to_vector<float>());
  EXPECT_FALSE(step.concrete_functions()[0]->graph().updates.empty());
}

TEST(Metric, MakesVariablesThatDependOnTheDataWhileTracing) {
  metrics::F1Score score;
  EXPECT_TRUE(score.variables().empty());
  const auto step = autodiff::function([&](const Tensor& y, const Tensor& p) {
    score.update_state(y, p);
    return score.result();
  });
  const Tensor y = constant({{1.f, 0.f}, {0.f, 1.f}}), p = constant({{0.9f, 0.1f}, {0.6f, 0.4f}});
  step(y, p);
  const std::vector<float> values = step(y, p).to_vector<float>();
  EXPECT_NEAR(values[0], 2.f / 3, 1e-6);
  EXPECT_EQ(values[1], 0.f);
  EXPECT_EQ(score.variables()[0].value().to_vector<float>(), (std::vector<float>{2, 0}));
}

TEST(Metric, IsWrittenByTheUserFromScratchAndOnTopOfMean) {
  HuberMetric own(2.0);
  EXPECT_FLOAT_EQ(item(own(constant({{2.f}}), constant({{10.f}}))), 14.f);
  EXPECT_FLOAT_EQ(item(own(constant({{0.f}, {5.f}}), constant({{1.f}, {9.25f}}))), (14 + 0.5f + 6.5f) / 3);
  EXPECT_EQ(own.variables()[0].path(), "metrics/huber_metric/total");
  EXPECT_EQ(own.config().dump(), R"({"name":"huber_metric","dtype":"float32","threshold":2.0})");
  own.reset_state();
  EXPECT_EQ(own.variables()[1].value().item<float>(), 0.f);

  HuberMean mean;
  EXPECT_FLOAT_EQ(item(mean(constant({{0.f}, {0.f}}), constant({{1.f}, {2.f}}))), 1.f);
  mean.update_state(constant({{0.f}}), constant({{1.f}}), constant({2.f}));
  EXPECT_FLOAT_EQ(item(mean.result()), (0.5f + 1.5f + 1.f) / 4);
}

TEST(Metric, WeighsAFunctionsMeanByTheSizesOfTheBatches) {
  const Ref<Metric> metric(named("distance", [](const Tensor& y_true, const Tensor& y_pred) { return abs(y_true - y_pred); }));
  metric->update_state(zeros({3, 1}), ones({3, 1}));
  metric->update_state(zeros({1}), constant({{5.f}}));
  EXPECT_EQ(item(metric->result()), 2.f);
  EXPECT_EQ(serialize(*metric).dump(), "\"distance\"");
  EXPECT_EQ(metric->name(), "distance");
}

TEST(Mean, CountsAScalarOnceABatch) {
  metrics::Mean mean;
  mean(scalar(1, float32));
  mean.update_state(scalar(4, float32), scalar(2, float32));
  EXPECT_EQ(item(mean.result()), 3.f);
  EXPECT_THROW(mean(ones({2}), ones({2})), InvalidArgumentError);  // values, not a target and a prediction
}

TEST(Mean, IsZeroBeforeAnyUpdate) { EXPECT_EQ(item(metrics::Mean().result()), 0.f); }

TEST(Metric, PutsAThresholdItselfBelow) {
  metrics::BinaryAccuracy accuracy;
  EXPECT_EQ(item(accuracy(constant({{1.f}, {0.f}}), constant({{0.5f}, {0.5f}}))), 0.5f);
}

TEST(Metric, KeepsAnAreaOfEvenThresholdsLikeOneOfListedThresholds) {
  // Buckets and comparisons must count alike, on the thresholds too.
  metrics::AUC buckets({.num_thresholds = 5}), compared({.thresholds = std::vector<double>{0.25, 0.5, 0.76}});
  compared.update_state(constant({0, 0, 1, 1, 1}), constant({0.f, 0.25f, 0.5f, 0.76f, 1.f}));
  buckets.update_state(constant({0, 0, 1, 1, 1}), constant({0.f, 0.25f, 0.5f, 0.75f, 1.f}));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(buckets.variables()[i].value().to_vector<float>(), compared.variables()[i].value().to_vector<float>()) << i;
}

TEST(Metric, RefusesShapesThatDoNotFitByName) {
  metrics::Precision precision;
  try {
    precision.update_state(zeros({3, 4}), zeros({3, 5}));
    FAIL() << "accepted";
  } catch (const InvalidArgumentError& error) {
    for (const char* part : {"Precision", "(3, 4)", "(3, 5)"}) EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
  EXPECT_EQ(item(precision.result()), 0.f);
}

TEST(Metric, RefusesASecondVariableOfOneName) {
  HuberMetric metric;
  EXPECT_THROW(metric.add_weight("total"), AlreadyExistsError);
}

TEST(Metric, MovesItsVariablesWithItsNameAndPath) {
  metrics::Recall recall;
  recall.set_name("found");
  EXPECT_EQ(recall.variables()[0].path(), "metrics/found/true_positives");
  recall.set_path("model/metrics/found");
  EXPECT_EQ(recall.variables()[1].path(), "model/metrics/found/false_negatives");
}

TEST(Metric, MakesItsVariablesAnewForAConfiguration) {
  metrics::Precision precision;
  configure(precision, Json{{"name", "p"}, {"thresholds", {0.2, 0.7}}});
  ASSERT_EQ(precision.variables().size(), 2u);
  EXPECT_EQ(precision.variables()[0].path(), "metrics/p/true_positives");
  const std::vector<float> values = precision(constant({1, 0, 1}), constant({0.3f, 0.8f, 0.9f})).to_vector<float>();
  EXPECT_FLOAT_EQ(values[0], 2.f / 3);
  EXPECT_FLOAT_EQ(values[1], 0.5f);
  EXPECT_EQ(precision.config()["thresholds"].dump(), "[0.2,0.7]");
}

TEST(Metric, GoesThroughItsConfigurationForEveryClass) {
  Metric::register_builtins();
  int count = 0;
  for (const ComponentClass& entry : registered_classes()) {
    if (entry.module != Metric::kModule) continue;
    const auto metric = entry.make();
    EXPECT_EQ(deserialize<Metric>(serialize(*metric))->config(), metric->config()) << entry.name;
    ++count;
  }
  EXPECT_EQ(count, 44);
}

TEST(Metric, IsFoundByClassNameSnakeNameAndShortName) {
  for (const char* name : {"auc", "AUC", "binary_io_u", "f1_score", "r2_score", "mae", "bce", "log_cosh_error", "sparse_top_k_categorical_accuracy"}) EXPECT_TRUE(Ref<Metric>(name)) << name;
  EXPECT_THROW(Ref<Metric>("ce"), NotFoundError);
  EXPECT_THROW(Ref<Metric>("mean_io_u"), TypeError) << "of how many classes?";
}

TEST(Metric, IsNamedAsItWasAskedForAndChosenByShapes) {
  EXPECT_EQ(metric_for("mse", {8, 1}, {8, 1})->name(), "mse");
  EXPECT_EQ(metric_for("Accuracy", {8}, {8, 4})->class_name(), "SparseCategoricalAccuracy");
  EXPECT_EQ(metric_for("acc", {8, 4}, {8, 4})->name(), "acc");
  EXPECT_EQ(loss_for("ce", {8, 1}, {8, 1})->class_name(), "BinaryCrossentropy");
}

TEST(Metric, CountsForEachUseOfARegisteredFunctionByItself) {
  CustomObjects objects;
  objects.add<Metric>(named("gap", [](const Tensor& y_true, const Tensor& y_pred) { return y_pred - y_true; }));
  const CustomObjectScope scope(objects);
  const Ref<Metric> first = metric_for("gap", {1, 1}, {1, 1}), second = metric_for("gap", {1, 1}, {1, 1});
  first->update_state(zeros({1, 1}), ones({1, 1}));
  EXPECT_EQ(item(first->result()), 1.f);
  EXPECT_EQ(item(second->result()), 0.f);
}

TEST(Metric, KnowsWhetherMoreIsBetter) {
  EXPECT_EQ(metrics::Precision().direction(), "up");
  EXPECT_EQ(metrics::MeanSquaredError().direction(), "down");
  EXPECT_EQ(metrics::Mean().direction(), "");
}

TEST(Metric, AdjustsR2OnlyWhereThereAreSamplesEnough) {
  const Tensor y = constant({{1.f}, {2.f}, {3.f}, {4.f}}), p = constant({{1.f}, {2.f}, {3.f}, {5.f}});
  EXPECT_FLOAT_EQ(item(metrics::R2Score()(y, p)), 0.8f);
  EXPECT_FLOAT_EQ(item(metrics::R2Score({.num_regressors = 1})(y, p)), 1 - 0.2f * 3 / 2);
  EXPECT_FLOAT_EQ(item(metrics::R2Score({.num_regressors = 3})(y, p)), 0.8f);
}

}  // namespace
}  // namespace lockstep::nn

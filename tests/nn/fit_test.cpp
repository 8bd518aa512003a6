// compile, fit, evaluate, predict.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

namespace lockstep::nn {
namespace {

Tensor inputs(std::int64_t rows = 64) { return random::normal({rows, 3}, 0, 1, float32, 11); }
Tensor targets(const Tensor& x) { return reduce_sum(x, {1}, true); }

Sequential regressor() {
  Sequential model({InputLayer({3}), Dense({.units = 1, .kernel_initializer = "zeros"})});
  model.compile({.optimizer = optim::SGD({.learning_rate = 0.1}), .loss = "mse", .metrics = {"mae"}});
  return model;
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Fit, LearnsALinearFunction) {
  Sequential model = regressor();
  const Tensor x = inputs(), y = targets(x);
  const History history = model.fit(x, y, {.batch_size = 8, .epochs = 10, .verbose = 0, .seed = 1});
  EXPECT_LT(history.history.at("loss").back(), 1e-4);
  EXPECT_EQ(history.history.at("mae").size(), 10u);
  EXPECT_NEAR(model.predict(ones({1, 3}), {.verbose = 0}).item<float>(), 3.f, 0.05f);
}

TEST(Fit, GivesTheSameBitsForTheSameSeedAndOthersForAnother) {
  const Tensor x = inputs(), y = targets(x);
  const auto trained = [&](std::int64_t seed) {
    Sequential model = regressor();
    model.fit(x, y, {.batch_size = 7, .epochs = 2, .verbose = 0, .seed = seed});
    return model.get_weights()[0];
  };
  EXPECT_TRUE(reduce_all(equal(trained(1), trained(1))).item<bool>());
  EXPECT_FALSE(reduce_all(equal(trained(1), trained(2))).item<bool>());
}

/// An embedding whose gradient is dense.
class DenseEmbedding : public Embedding {
 public:
  using Embedding::Embedding;

 protected:
  Tensor call(const Tensor& x) override { return embedding_lookup(identity(weights()[0].variable().value()), x); }
};

TEST(Fit, TrainsAnEmbeddingByRowsToTheBitsOfADenseGradient) {
  const Tensor x = cast(random::uniform({40, 5}, 0, 200, float32, 4), int32), y = random::normal({40, 1}, 0, 1, float32, 5);
  const Tensor table = random::normal({200, 3}, 0, 1, float32, 6), kernel = random::normal({3, 1}, 0, 1, float32, 7);
  const auto trained = [&](const Ref<Layer>& layer, const Ref<optim::Optimizer>& optimizer, bool eagerly) {
    Sequential model({InputLayer({.shape = {5}, .dtype = int32}), layer, GlobalAveragePooling1D(), Dense(1)});
    model(x);
    model.set_weights({table, kernel, zeros({1})});
    model.compile({.optimizer = optimizer, .loss = "mse", .run_eagerly = eagerly});
    model.fit(x, y, {.batch_size = 8, .epochs = 3, .verbose = 0, .shuffle = false});
    return model.get_weights();
  };
  for (const char* regularizer : {"", "l2"})
    for (const bool eagerly : {false, true})
      for (const char* name : {"sgd", "adagrad", "adam", "rmsprop"}) {
        SCOPED_TRACE(std::string(name) + regularizer);
        Embedding::Options options{.input_dim = 200, .output_dim = 3, .embeddings_constraint = "unit_norm"};
        if (*regularizer) options.embeddings_regularizer = regularizer;
        const std::vector<Tensor> rows = trained(Embedding(options), name, eagerly), dense = trained(DenseEmbedding(options), name, eagerly);
        for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_TRUE(reduce_all(equal(rows[i], dense[i])).item<bool>()) << i;
      }
}

TEST(Fit, GivesEagerlyWhatItGivesTraced) {
  const Tensor x = inputs(), y = targets(x);
  const auto trained = [&](bool eagerly) {
    Sequential model({InputLayer({3}), Dense({.units = 4, .activation = "tanh", .kernel_initializer = "ones"}), Dense({.units = 1, .kernel_initializer = "ones"})});
    model.compile({.optimizer = "adam", .loss = "mse", .run_eagerly = eagerly});
    model.fit(x, y, {.batch_size = 10, .epochs = 2, .verbose = 0, .shuffle = false});
    return model.get_weights()[0];
  };
  EXPECT_TRUE(reduce_all(less(abs(trained(true) - trained(false)), scalar(1e-6, float32))).item<bool>());
}

TEST(Fit, HoldsOutTheLastRows) {
  Sequential model = regressor();
  const Tensor x = inputs(10), y = targets(x);
  const History history = model.fit(x, y, {.epochs = 1, .verbose = 0, .validation_split = 0.25});
  const Logs last = model.evaluate(x[slice(7, 10)], y[slice(7, 10)], {.verbose = 0});
  EXPECT_FLOAT_EQ(float(history.history.at("val_loss")[0]), float(last.at("loss")));
}

TEST(Fit, ValidatesEveryFewEpochs) {
  Sequential model = regressor();
  const Tensor x = inputs(10), y = targets(x);
  const History history = model.fit(x, y, {.epochs = 4, .verbose = 0, .validation_data = {x, y}, .validation_freq = 2});
  EXPECT_EQ(history.history.at("loss").size(), 4u);
  EXPECT_EQ(history.history.at("val_loss").size(), 2u);
}

TEST(Fit, CountsEpochsFromTheInitialOne) {
  Sequential model = regressor();
  const Tensor x = inputs(10), y = targets(x);
  EXPECT_EQ(model.fit(x, y, {.epochs = 5, .verbose = 0, .initial_epoch = 3}).epoch, (std::vector<std::int64_t>{3, 4}));
}

TEST(Fit, ReadsOnWhereStepsEndAnEpoch) {
  Sequential model = regressor();
  const Tensor x = inputs(10), y = targets(x);
  struct Count : Callback {
    std::vector<std::int64_t> batches;
    void on_train_batch_end(std::int64_t batch, const BatchLogs&) override { batches.push_back(batch); }
  };
  const auto count = std::make_shared<Count>();
  model.fit(x, y, {.batch_size = 4, .epochs = 2, .verbose = 0, .callbacks = {count}, .steps_per_epoch = 2});
  EXPECT_EQ(count->batches, (std::vector<std::int64_t>{0, 1, 0, 1}));
}

TEST(Fit, StopsWhenACallbackAsksForIt) {
  struct Stop : Callback {
    void on_train_batch_end(std::int64_t batch, const BatchLogs&) override {
      if (batch == 1) model().stop_training();
    }
  };
  Sequential model = regressor();
  const Tensor x = inputs(40), y = targets(x);
  const History history = model.fit(x, y, {.batch_size = 4, .epochs = 3, .verbose = 0, .callbacks = {Stop()}});
  EXPECT_EQ(history.epoch.size(), 1u);
  EXPECT_EQ(model.optimizer().iterations().value().item<std::int64_t>(), 2);
}

TEST(Fit, TakesDictionariesOfArraysLossesAndMetrics) {
  const Symbol a = input({3}, {.name = "a"}), b = input({3}, {.name = "b"});
  Functional model({a, b}, {a >> Dense({.units = 1, .name = "first"}), b >> Dense({.units = 1, .name = "second"})});
  model.compile({.optimizer = "sgd", .loss = {{"first", "mse"}, {"second", "mae"}}, .loss_weights = {{"second", 0.5}}, .metrics = {{"second", {"mse"}}}});
  const Tensor x = inputs(8), y = targets(x);
  const History history = model.fit({{"b", x}, {"a", x}}, {{"second", y}, {"first", y}}, {.epochs = 1, .verbose = 0});
  const Logs logs = model.evaluate({{"a", x}, {"b", x}}, {{"first", y}, {"second", y}}, {.verbose = 0});
  EXPECT_NEAR(logs.at("loss"), logs.at("first_loss") + 0.5 * logs.at("second_loss"), 1e-5);
  EXPECT_TRUE(logs.find("second_mse"));
  EXPECT_EQ(model.predict_all({x, x}, {.verbose = 0}).size(), 2u);
}

TEST(Fit, TakesAPlainFunctionAsLossAndMetric) {
  const auto huber_fn = [](const Tensor& y_true, const Tensor& y_pred) {
    const Tensor error = y_true - y_pred;
    return where(less(abs(error), scalar(1, error.dtype())), square(error) / 2, abs(error) - 0.5);
  };
  Sequential model({InputLayer({3}), Dense(1)});
  model.compile({.optimizer = "nadam", .loss = huber_fn, .metrics = {named("huber", huber_fn)}});
  const Tensor x = inputs(8), y = targets(x);
  const History history = model.fit(x, y, {.batch_size = 4, .epochs = 1, .verbose = 0});
  EXPECT_NEAR(history.history.at("loss")[0], history.history.at("huber")[0], 1e-6);
}

TEST(Fit, AddsRegularizationOnceAndAppliesConstraints) {
  Sequential model({InputLayer({3}), Dense({.units = 1, .use_bias = false, .kernel_initializer = "ones", .kernel_regularizer = L1(0.25), .kernel_constraint = "non_neg"})});
  model.compile({.optimizer = optim::SGD({.learning_rate = 10}), .loss = "mse"});
  const Tensor x = inputs(8);
  const History history = model.fit(x, targets(x), {.batch_size = 8, .epochs = 1, .verbose = 0});
  EXPECT_NEAR(history.history.at("loss")[0], 0.75, 1e-6);  // the error is 0
  EXPECT_GE(reduce_min(model.get_weights()[0]).item<float>(), 0.f);
}

TEST(Fit, TakesASourceOfBatches) {
  Sequential model = regressor();
  const Tensor x = inputs(), y = targets(x);
  ArraySource data({x, y}, {.batch_size = 16});
  const History history = model.fit(data, {.epochs = 5, .verbose = 0});
  EXPECT_LT(history.history.at("loss").back(), history.history.at("loss").front());
  EXPECT_EQ(history.params.steps, 4);
}

TEST(Fit, UpdatesAndResetsTheMetricsThatAModelTracks) {
  class Counting : public Model {
   public:
    Counting() { calls_ = track_metric(metrics::Sum(Metric::Options{.name = "calls"})), out_ = track("out", Dense(1)); }

   protected:
    Tensor call(const Tensor& x, const CallOptions& options) override {
      if (options.training) calls_->update_state(constant(1.f));
      add_loss(reduce_mean(square(x)) * 0.0);
      return (*out_)(x);
    }

   private:
    std::shared_ptr<metrics::Sum> calls_;
    std::shared_ptr<Dense> out_;
  };
  Counting model;
  model.compile({.optimizer = "sgd", .loss = "mse"});
  const Tensor x = inputs(12), y = targets(x);
  EXPECT_EQ(model.fit(x, y, {.batch_size = 4, .epochs = 2, .verbose = 0}).history.at("calls"), (std::vector<double>{3, 3}));
}

TEST(Fit, RunsInMixedPrecisionWithFloat32Weights) {
  for (const char* policy : {"mixed_bfloat16", "mixed_float16"}) {
    Sequential model({InputLayer({3}), Dense(8, "relu"), Dense({.units = 1, .dtype = "float32"})}, {}, policy);
    model.compile({.optimizer = "adam", .loss = "mse"});
    const Tensor x = inputs(), y = targets(x);
    const History history = model.fit(x, y, {.epochs = 20, .verbose = 0, .seed = 3});
    EXPECT_LT(history.history.at("loss").back(), history.history.at("loss").front()) << policy;
    EXPECT_EQ(model.weights()[0].variable().dtype(), float32);
  }
}

TEST(Compile, WrapsTheOptimizerForFloat16) {
  Sequential model({Dense(1)}, {}, "mixed_float16");
  model.compile({.optimizer = "adam", .loss = "mse"});
  EXPECT_TRUE(dynamic_cast<optim::LossScaleOptimizer*>(&model.optimizer()));
  model.compile({.optimizer = "adam", .loss = "mse", .auto_scale_loss = false});
  EXPECT_FALSE(dynamic_cast<optim::LossScaleOptimizer*>(&model.optimizer()));
}

TEST(Model, TrainsOnOneBatchAndRemembersMetricsUntilTheyAreReset) {
  Sequential model = regressor();
  const Tensor x = inputs(8), y = targets(x);
  const double first = model.train_on_batch(x, y).at("loss");
  const double mean = model.train_on_batch(x, y).at("loss");
  EXPECT_LT(mean, first);
  model.reset_metrics();
  EXPECT_LT(model.test_on_batch(x, y).at("loss"), mean);
  EXPECT_EQ(model.predict_on_batch(x)[0].shape(), Shape({8, 1}));
}

TEST(Model, PredictsWithoutHavingBeenCompiled) {
  Sequential model({Dense(2)});
  EXPECT_EQ(model.predict(inputs(5), {.batch_size = 2, .verbose = 0}).shape(), Shape({5, 2}));
  EXPECT_FALSE(model.compiled());
}

TEST(Model, TrainsAfterItWasMoved) {
  Sequential first = regressor();
  const Tensor x = inputs(8), y = targets(x);
  first.train_on_batch(x, y);
  Sequential second = std::move(first);
  const double before = second.test_on_batch(x, y).at("loss");
  for (int i = 0; i < 20; ++i) second.train_on_batch(x, y);
  second.reset_metrics();
  EXPECT_LT(second.test_on_batch(x, y).at("loss"), before);
}

TEST(Model, MakesAStepOfItsOwn) {
  class Doubled : public Sequential {
   public:
    using Sequential::Sequential;
    Tensor train_step(const Batch& batch) override { return Sequential::train_step(batch) * 2; }
  };
  Doubled model({InputLayer({3}), Dense({.units = 1, .kernel_initializer = "zeros"})});
  model.compile({.optimizer = "sgd", .loss = "mse"});
  double own = 0;
  struct Look : Callback {
    explicit Look(double& own) : own(own) {}
    void on_train_batch_end(std::int64_t, const BatchLogs& logs) override { own = logs.loss() / logs.get().at("loss"); }
    double& own;
  };
  const Tensor x = inputs(8);
  model.fit(x, targets(x), {.batch_size = 8, .verbose = 0, .callbacks = {Look(own)}});
  EXPECT_NEAR(own, 2, 1e-6);
}

TEST(Fit, ShowsTheMetricsAndLossesThatALayerAdds) {
  class Penalized : public Layer {
   protected:
    Tensor call(const Tensor& x) override {
      const Tensor size = reduce_mean(square(x));
      add_loss(size);
      add_metric(size, "size");
      return x;
    }
  };
  Sequential model({InputLayer({3}), Penalized(), Dense({.units = 1, .kernel_initializer = "zeros"})});
  model.compile({.optimizer = optim::SGD({.learning_rate = 0}), .loss = "mse"});
  const Tensor x = ones({8, 3}) * 2.f;
  const History history = model.fit(x, zeros({8, 1}), {.batch_size = 4, .epochs = 2, .verbose = 0});
  EXPECT_EQ(history.history.at("size"), (std::vector<double>{4, 4}));
  EXPECT_EQ(history.history.at("loss"), (std::vector<double>{4, 4}));
}

// ---- what is refused

TEST(Fit, RefusesShapesThatWouldBroadcastToAMatrix) {
  Sequential model({InputLayer({3}), Dense(2)});
  model.compile({.optimizer = "sgd", .loss = "mse"});
  const std::string text = message([&] { model.fit(inputs(4), zeros({4, 3}), {.verbose = 0}); });
  EXPECT_NE(text.find("(4, 3)"), std::string::npos) << text;
}

TEST(Fit, RefusesALabelOutsideOfTheClasses) {
  Sequential model({InputLayer({3}), Dense(4, "softmax")});
  model.compile({.optimizer = "sgd", .loss = "sparse_categorical_crossentropy"});
  const std::string text = message([&] { model.fit(inputs(3), constant({0, 4, 1}), {.verbose = 0}); });
  EXPECT_NE(text.find("4"), std::string::npos) << text;
}

TEST(Fit, RefusesArraysOfUnequalLengthAndEmptyOnes) {
  Sequential model = regressor();
  EXPECT_NE(message([&] { model.fit(inputs(4), zeros({5, 1}), {.verbose = 0}); }).find("4 and 5"), std::string::npos);
  EXPECT_NE(message([&] { model.fit(zeros({0, 3}), zeros({0, 1}), {.verbose = 0}); }).find("no rows"), std::string::npos);
}

TEST(Fit, RefusesToRunUncompiled) {
  Sequential model({Dense(1)});
  EXPECT_THROW(model.fit(inputs(4), zeros({4, 1})), FailedPreconditionError);
}

TEST(Fit, SuggestsTheNearestNameOfALossAndAnOptimizer) {
  Sequential model({InputLayer({3}), Dense(1)});
  EXPECT_NE(message([&] { model.compile({.optimizer = "adm"}); }).find("did you mean"), std::string::npos);
  model.compile({.loss = "mean_square_error"});
  EXPECT_NE(message([&] { model.fit(inputs(4), zeros({4, 1}), {.verbose = 0}); }).find("did you mean 'mean_squared_error'"), std::string::npos);
}

TEST(Fit, RefusesAnUnknownNameOfAnOutput) {
  Sequential model({InputLayer({3}), Dense({.units = 1, .name = "out"})});
  model.compile({.optimizer = "sgd", .loss = {{"ouput", "mse"}}});
  EXPECT_NE(message([&] { model.fit(inputs(4), zeros({4, 1}), {.verbose = 0}); }).find("'ouput', the model has 'out'"), std::string::npos);
}

TEST(Fit, NamesInputBatchAndEpochOfANaNWhenAskedTo) {
  Sequential model = regressor();
  Tensor x = inputs(8);
  const Tensor bad = concat(std::vector<Tensor>{x, constant({{std::numeric_limits<float>::quiet_NaN(), 0.f, 0.f}})}, 0);
  const std::string text = message([&] { model.fit(bad, zeros({9, 1}), {.batch_size = 4, .verbose = 0, .shuffle = false, .check_numerics = true}); });
  EXPECT_NE(text.find("input 0"), std::string::npos) << text;
  EXPECT_NE(text.find("epoch 0, batch 2"), std::string::npos) << text;
}

TEST(Fit, NamesTheLayerThatOverflowsWhenAskedTo) {
  Sequential model({InputLayer({3}), Dense({.units = 2, .name = "fine"}), Lambda([](const Tensor& x) { return exp(x * 1e30); }, "explodes"), Dense(1)});
  model.compile({.optimizer = "sgd", .loss = "mse"});
  const std::string text = message([&] { model.fit(inputs(8), zeros({8, 1}), {.verbose = 0, .check_numerics = true}); });
  EXPECT_NE(text.find("explodes"), std::string::npos) << text;
}

}  // namespace
}  // namespace lockstep::nn

// Callbacks: what they decide epoch by epoch (as Keras 3.15 does for the same values), what they refuse, and what they do to a real fit.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include <lockstep/lockstep.h>

namespace lockstep::nn {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();

template <class E = InvalidArgumentError, class F>
std::string refusal(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "accepted";
}
#define EXPECT_IN(PART, TEXT) EXPECT_NE((TEXT).find(PART), std::string::npos) << (TEXT)

/// What `f` writes to stderr.
template <class F>
std::string warnings(const F& f) {
  testing::internal::CaptureStderr();
  f();
  return testing::internal::GetCapturedStderr();
}

/// What `f` writes to stdout.
template <class F>
std::string printed(const F& f) {
  testing::internal::CaptureStdout();
  f();
  return testing::internal::GetCapturedStdout();
}

Logs logs(std::initializer_list<std::pair<const char*, double>> entries) {
  Logs result;
  for (const auto& [name, value] : entries) result.set(name, value);
  return result;
}

/// One weight and no bias: y = w x.
struct Line {
  explicit Line(Ref<optim::Optimizer> optimizer = optim::SGD({.learning_rate = 0.5})) : model({InputLayer(InputLayer::Options{.shape = {1}}), Dense({.units = 1, .use_bias = false})}) {
    model.compile({.optimizer = std::move(optimizer), .loss = "mse", .metrics = {"mae", "accuracy"}});
  }
  double weight() const { return model.get_weights()[0].to_vector<float>()[0]; }
  void set_weight(double value) { model.set_weights({constant({{float(value)}})}); }

  Sequential model;
};

const std::vector<double> kValues = {1.0, 0.9, 0.85, 0.86, 0.85, 0.849, 0.8, 0.81, 0.82, 0.83, 0.7, 0.71, 0.72, 0.73, 0.74};

/// A training whose epochs log these values; at the end of epoch e the weight is e.
template <class C>
void play(C& callback, Line& line, const std::vector<double>& values, const char* name = "val_loss") {
  callback.attach(line.model, {.epochs = std::int64_t(values.size())});
  callback.on_train_begin();
  for (std::size_t epoch = 0; epoch < values.size() && !line.model.stopping(); ++epoch) {
    line.set_weight(double(epoch));
    callback.on_epoch_begin(std::int64_t(epoch));
    Logs epoch_logs = logs({{name, values[epoch]}});
    callback.on_epoch_end(std::int64_t(epoch), epoch_logs);
  }
  callback.on_train_end({});
}

// ---- logs

TEST(Logs, AreSortedByName) {
  std::string names;
  for (const auto& [name, value] : logs({{"val_loss", 1}, {"accuracy", 2}, {"loss", 3}})) names += name + " ";
  EXPECT_EQ(names, "accuracy loss val_loss ");
}

TEST(Logs, KeepTheLastValueOfAName) {
  const Logs twice = logs({{"loss", 1}, {"loss", 2}});
  EXPECT_EQ(twice.at("loss"), 2);
  EXPECT_EQ(std::distance(twice.begin(), twice.end()), 1);
}

TEST(Logs, SuggestTheNearestName) {
  EXPECT_IN("did you mean 'val_loss'?", refusal<NotFoundError>([] { logs({{"val_loss", 1}, {"mae", 2}}).at("val_los"); }));
  EXPECT_EQ(logs({{"mae", 2}}).find("loss"), std::nullopt);
}

TEST(Callback, HasAModelOnlyInARun) { EXPECT_THROW(Callback().model(), FailedPreconditionError); }

// ---- EarlyStopping

struct Stop {
  EarlyStopping::Options options;
  std::optional<std::int64_t> stopped;
  double best;
  std::int64_t best_epoch;
  double weight;
};

TEST(EarlyStopping, StopsWhereKerasStops) {
  const std::vector<Stop> stops = {
      {{}, 3, 0.85, 2, 3},
      {{.patience = 2}, 4, 0.85, 2, 4},
      {{.patience = 3}, 9, 0.8, 6, 9},
      {{.patience = 3, .restore_best_weights = true}, 9, 0.8, 6, 6},
      {{.min_delta = 0.06, .patience = 3}, 4, 0.9, 1, 4},
      {{.patience = 4, .baseline = 0.75}, 3, 0.85, 2, 3},
      {{.patience = 4, .baseline = 0.75, .restore_best_weights = true}, 3, 0.85, 2, 2},
      {{.patience = 2, .restore_best_weights = true, .start_from_epoch = 4}, 8, 0.8, 6, 6},
      {{.patience = 2, .mode = "max"}, 2, 1.0, 0, 2},
      {{.mode = "max", .restore_best_weights = true}, 1, 1.0, 0, 0},
      {{.patience = 20, .restore_best_weights = true}, std::nullopt, 0.7, 10, 10},
  };
  for (const Stop& stop : stops) {
    Line line;
    EarlyStopping callback(stop.options);
    play(callback, line, kValues);
    SCOPED_TRACE("patience " + std::to_string(stop.options.patience) + ", mode " + stop.options.mode);
    EXPECT_EQ(callback.stopped_epoch(), stop.stopped);
    EXPECT_EQ(callback.best(), stop.best);
    EXPECT_EQ(callback.best_epoch(), stop.best_epoch);
    EXPECT_EQ(line.weight(), stop.weight);
  }
}

TEST(EarlyStopping, KnowsFromTheMetricWhetherMoreIsBetter) {
  for (const auto& [name, stopped] : {std::pair("val_accuracy", 2), std::pair("val_mae", 4)}) {
    Line line;
    line.model.fit(constant({{1.f}}), constant({{1.f}}), {.verbose = 0});
    EarlyStopping callback({.monitor = name, .patience = 2});
    play(callback, line, {3, 2, 1, 2, 3, 4, 5}, name);
    EXPECT_EQ(callback.stopped_epoch(), stopped) << name;
  }
}

TEST(EarlyStopping, AsksForTheModeOfAMetricThatNobodyKnows) {
  Line line;
  EarlyStopping callback({.monitor = "val_strangeness"});
  const std::string message = refusal([&] { play(callback, line, {1, 2}, "val_other"); });
  for (const char* part : {"[EarlyStopping]", "'val_strangeness'", "'val_other'", "mode = \"max\"", "mode = \"min\""}) EXPECT_IN(part, message);
}

TEST(EarlyStopping, WarnsOnceAboutAValueThatIsNotLogged) {
  Line line;
  EarlyStopping callback;
  EXPECT_EQ(warnings([&] { play(callback, line, {1, 2, 3}, "loss"); }), "lockstep: warning: [EarlyStopping] the logs have no 'val_loss' to watch; they have 'loss'\n");
  EXPECT_EQ(callback.stopped_epoch(), std::nullopt);
}

TEST(EarlyStopping, NeverTakesNaNForTheBest) {
  Line line;
  EarlyStopping callback({.patience = 2, .restore_best_weights = true});
  play(callback, line, {kNaN, 3, kNaN, 2, kNaN, kNaN, 1});
  EXPECT_EQ(callback.stopped_epoch(), 5);
  EXPECT_EQ(callback.best(), 2);
  EXPECT_EQ(line.weight(), 3);
}

TEST(EarlyStopping, RestoresTheFirstEpochIfAllAreNaN) {
  Line line;
  EarlyStopping callback({.patience = 3, .restore_best_weights = true});
  play(callback, line, {kNaN, kNaN, kNaN, kNaN, kNaN});
  EXPECT_EQ(callback.best(), std::nullopt);
  EXPECT_EQ(line.weight(), 0);
}

TEST(EarlyStopping, BeginsAnewInEachTraining) {
  Line first, second;
  EarlyStopping callback({.patience = 1});
  play(callback, first, {1, 2, 3});
  EXPECT_EQ(callback.stopped_epoch(), 1);
  play(callback, second, {9, 8, 7});
  EXPECT_EQ(callback.stopped_epoch(), std::nullopt);
  EXPECT_EQ(callback.best(), 7);
}

TEST(EarlyStopping, SaysWhatItDidIfAsked) {
  Line line;
  EarlyStopping callback({.patience = 1, .verbose = 1, .restore_best_weights = true});
  EXPECT_EQ(printed([&] { play(callback, line, {2, 1, 3}); }), "Epoch 3: early stopping\nRestoring model weights from the end of the best epoch: 2.\n");
}

TEST(EarlyStopping, RefusesOptionsThatMeanNothing) {
  EXPECT_IN("\"auto\", \"min\" or \"max\"", refusal([] { EarlyStopping({.mode = "minimum"}); }));
  EXPECT_IN("patience", refusal([] { EarlyStopping({.patience = -1}); }));
  EXPECT_IN("start_from_epoch", refusal([] { EarlyStopping({.start_from_epoch = -1}); }));
  EXPECT_IN("min_delta", refusal([] { EarlyStopping({.min_delta = kInfinity}); }));
  EXPECT_IN("monitor", refusal([] { EarlyStopping({.monitor = ""}); }));
}

TEST(EarlyStopping, EndsAFitWithTheWeightsOfItsBestEpoch) {
  // The step is far too long: each epoch makes it worse.
  Line line(optim::SGD({.learning_rate = 3}));
  line.set_weight(0);
  const Tensor x = constant({{1.f}, {1.f}}), y = constant({{1.f}, {1.f}});
  const auto stopping = std::make_shared<EarlyStopping>(EarlyStopping::Options{.patience = 2, .restore_best_weights = true});
  const History history = line.model.fit(x, y, {.epochs = 10, .verbose = 0, .callbacks = {stopping}, .validation_data = {x, y}, .shuffle = false});
  EXPECT_EQ(history.epoch.size(), 3u);
  EXPECT_EQ(stopping->stopped_epoch(), 2);
  EXPECT_EQ(stopping->best_epoch(), 0);
  EXPECT_EQ(line.weight(), 6);
}

// ---- learning rates

struct Plateau {
  ReduceLROnPlateau::Options options;
  std::vector<double> logged;
  double rate;
};

TEST(ReduceLROnPlateau, ReducesWhenKerasDoes) {
  const std::vector<Plateau> plateaus = {
      {{.patience = 1}, {0.5, 0.5, 0.5, 0.5, 0.05, 0.005, 0.005, 0.005, 0.0005, 5e-05, 5e-06, 5e-06, 5e-07, 5e-08, 5e-09}, 5e-10},
      {{.factor = 0.5, .patience = 2}, {0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125, 0.125, 0.0625, 0.0625}, 0.03125},
      {{.factor = 0.5, .patience = 1, .cooldown = 2}, {0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625, 0.03125, 0.03125, 0.015625}, 0.015625},
      {{.factor = 0.5, .patience = 1, .min_lr = 0.2}, {0.5, 0.5, 0.5, 0.5, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2}, 0.2},
      {{.factor = 0.5, .patience = 3, .min_delta = 0.06}, {0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125, 0.125, 0.0625}, 0.0625},
      {{.factor = 0.5, .patience = 0, .mode = "max"}, {0.5, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625, 0.001953125, 0.0009765625, 0.00048828125, 0.000244140625, 0.0001220703125, 0.00006103515625}, 0.000030517578125},
  };
  for (const Plateau& plateau : plateaus) {
    Line line;
    ReduceLROnPlateau callback(plateau.options);
    callback.attach(line.model, {});
    callback.on_train_begin();
    for (std::size_t epoch = 0; epoch < kValues.size(); ++epoch) {
      Logs epoch_logs = logs({{"val_loss", kValues[epoch]}});
      callback.on_epoch_end(std::int64_t(epoch), epoch_logs);
      // Keras's rates are float32.
      EXPECT_NEAR(epoch_logs.at("learning_rate"), plateau.logged[epoch], 1e-5 * plateau.logged[epoch]) << epoch;
    }
    EXPECT_NEAR(line.model.optimizer().learning_rate().item<double>(), plateau.rate, 1e-6 * plateau.rate);
  }
}

TEST(ReduceLROnPlateau, ReducesEachOptimizerOfSeveral) {
  Sequential model({InputLayer(InputLayer::Options{.shape = {1}}), Dense({.units = 1, .use_bias = false, .name = "a"}), Dense({.units = 1, .use_bias = false, .name = "b"})});
  const auto slow = std::make_shared<optim::SGD>(optim::SGD::Options{.learning_rate = 0.25, .name = "slow"});
  model.compile({.optimizer = optim::MultiOptimizer({.optimizer_map = optim::OptimizerMap({.default_optimizer = optim::SGD({.learning_rate = 0.5, .name = "fast"}), .optimizer_map = {{".*/b/.*", slow}}})}),
                 .loss = "mse"});
  const Tensor x = constant({{1.f}}), y = constant({{1.f}});
  const History history = model.fit(x, y, {.epochs = 2, .verbose = 0, .callbacks = {ReduceLROnPlateau({.monitor = "loss", .factor = 0.5, .patience = 1, .mode = "max", .min_delta = 1e9})}});
  EXPECT_EQ(history.history.at("learning_rate_fast"), (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(history.history.at("learning_rate_slow"), (std::vector<double>{0.25, 0.25}));
  EXPECT_EQ(slow->learning_rate().item<double>(), 0.125);
}

TEST(ReduceLROnPlateau, SaysWhatItDidIfAsked) {
  Line line;
  ReduceLROnPlateau callback({.factor = 0.5, .patience = 1, .verbose = 1});
  EXPECT_EQ(printed([&] { play(callback, line, {1, 2}); }), "\nEpoch 2: ReduceLROnPlateau reducing learning_rate to 0.25.\n");
  EXPECT_EQ(callback.reductions(), 1);
}

TEST(ReduceLROnPlateau, RefusesOptionsThatMeanNothing) {
  EXPECT_IN("factor", refusal([] { ReduceLROnPlateau({.factor = 1}); }));
  EXPECT_IN("factor", refusal([] { ReduceLROnPlateau({.factor = -0.5}); }));
  EXPECT_IN("factor", refusal([] { ReduceLROnPlateau({.factor = kNaN}); }));
  EXPECT_IN("min_lr", refusal([] { ReduceLROnPlateau({.min_lr = -1}); }));
  EXPECT_IN("cooldown", refusal([] { ReduceLROnPlateau({.cooldown = -1}); }));
  EXPECT_IN("patience", refusal([] { ReduceLROnPlateau({.patience = -1}); }));
  EXPECT_IN("mode", refusal([] { ReduceLROnPlateau({.mode = "up"}); }));
}

TEST(LearningRateScheduler, SetsTheRateThatTheTracedStepUses) {
  // x = y = 1: one step is w += 2 rate (1 - w).
  Line line;
  line.set_weight(0);
  const Tensor x = constant({{1.f}}), y = constant({{1.f}});
  std::vector<double> before;
  const History history = line.model.fit(x, y, {.epochs = 3, .verbose = 0, .callbacks = {LearningRateScheduler([&](std::int64_t epoch, double rate) {
                                                  before.push_back(rate);
                                                  return epoch == 0 ? 0.25 : rate / 2;
                                                })}});
  EXPECT_EQ(before, (std::vector<double>{0.5, 0.25, 0.125}));
  EXPECT_EQ(history.history.at("learning_rate"), (std::vector<double>{0.25, 0.125, 0.0625}));
  EXPECT_FLOAT_EQ(float(line.weight()), 1 - 0.5f * 0.75f * 0.875f);
}

TEST(LearningRateScheduler, RefusesARateThatIsNoNumber) {
  Line line;
  LearningRateScheduler callback([](std::int64_t, double) { return kNaN; });
  EXPECT_IN("epoch 0", refusal([&] { play(callback, line, {1}); }));
  EXPECT_THROW(LearningRateScheduler(nullptr), InvalidArgumentError);
}

// ---- TerminateOnNaN

TEST(TerminateOnNaN, EndsTheTrainingAndNamesEpochBatchAndWeight) {
  for (const float bad : {float(kNaN), float(kInfinity)}) {
    Line line;
    const Tensor x = constant({{1.f}, {1.f}, {bad}, {1.f}}), y = constant({{1.f}, {1.f}, {1.f}, {1.f}});
    const auto guard = std::make_shared<TerminateOnNaN>();
    History history;
    const std::string said = warnings([&] { history = line.model.fit(x, y, {.batch_size = 1, .epochs = 5, .verbose = 0, .callbacks = {guard}, .shuffle = false}); });
    EXPECT_EQ(history.epoch.size(), 1u);
    EXPECT_EQ(guard->stopped_at(), std::pair(std::int64_t(0), std::int64_t(2)));
    EXPECT_IN("[TerminateOnNaN] the loss is " + std::string(std::isnan(bad) ? "NaN" : "infinite") + " in epoch 0, batch 2; after it '", said);
    EXPECT_IN("/kernel' is not finite: training ends\n", said);
  }
}

TEST(TerminateOnNaN, ThrowsIfAsked) {
  Line line;
  TerminateOnNaN callback({.raise_error = true});
  callback.attach(line.model, {});
  callback.on_epoch_begin(3);
  callback.on_train_batch_end(0, BatchLogs(1, [] { return Logs(); }));
  EXPECT_IN("epoch 3, batch 7", refusal([&] { callback.on_train_batch_end(7, BatchLogs(-kInfinity, [] { return Logs(); })); }));
}

// ---- SwapEMAWeights

/// A step is w += (1 - w) / 2 for x = y = 1: values 0.5, 0.75, 0.875; averages 0.5 (the first value), 0.625, 0.75.
optim::SGD averaging() { return optim::SGD({.learning_rate = 0.25, .use_ema = true, .ema_momentum = 0.5}); }

TEST(SwapEMAWeights, EvaluatesWithTheAverages) {
  const Tensor x = constant({{1.f}}), y = constant({{1.f}});
  for (const bool scaled : {false, true}) {
    Line line = scaled ? Line(optim::LossScaleOptimizer({.inner_optimizer = averaging()})) : Line(averaging());
    line.set_weight(0);
    std::vector<double> seen;
    const auto look = LambdaCallback({.on_epoch_end = [&](std::int64_t, Logs&) { seen.push_back(line.weight()); },
                                      .on_test_batch_end = [&](std::int64_t, const BatchLogs&) { seen.push_back(line.weight()); }});
    line.model.fit(x, y, {.epochs = 2, .verbose = 0, .callbacks = {SwapEMAWeights(), look}, .validation_data = {x, y}});
    EXPECT_EQ(seen, (std::vector<double>{0.5, 0.5, 0.625, 0.75}));
    EXPECT_EQ(line.weight(), 0.625);
  }
}

TEST(SwapEMAWeights, LeavesTheAveragesInTheModelBetweenEpochs) {
  Line line(averaging());
  line.set_weight(0);
  const Tensor x = constant({{1.f}}), y = constant({{1.f}});
  std::vector<double> seen;
  const auto look = LambdaCallback({.on_epoch_end = [&](std::int64_t, Logs&) { seen.push_back(line.weight()); },
                                    .on_train_batch_begin = [&](std::int64_t) { seen.push_back(line.weight()); }});
  line.model.fit(x, y, {.epochs = 3, .verbose = 0, .callbacks = {SwapEMAWeights({.swap_on_epoch = true}), look}});
  EXPECT_EQ(seen, (std::vector<double>{0, 0.5, 0.5, 0.625, 0.75, 0.75}));
  EXPECT_EQ(line.weight(), 0.75);
}

TEST(SwapEMAWeights, RefusesAnOptimizerWithoutAverages) {
  Line line;
  const Tensor x = constant({{1.f}}), y = constant({{1.f}});
  EXPECT_IN("use_ema = true", refusal<FailedPreconditionError>([&] { line.model.evaluate(x, y, {.verbose = 0, .callbacks = {SwapEMAWeights()}}); }));
}

// ---- LambdaCallback, and the hooks of a run

TEST(LambdaCallback, IsToldWhatHappensInOrder) {
  Line line;
  std::string told;
  const LambdaCallback callback({.on_epoch_begin = [&](std::int64_t epoch) { told += "E" + std::to_string(epoch) + " "; },
                                 .on_epoch_end = [&](std::int64_t, Logs& logs) { told += logs.find("val_loss") ? "e " : "? "; },
                                 .on_train_begin = [&] { told += "F "; },
                                 .on_train_end = [&](const Logs&) { told += "f "; },
                                 .on_train_batch_begin = [&](std::int64_t batch) { told += "B" + std::to_string(batch) + " "; },
                                 .on_train_batch_end = [&](std::int64_t, const BatchLogs& logs) { told += logs.get().find("loss") ? "b " : "? "; },
                                 .on_test_begin = [&] { told += "T "; },
                                 .on_test_end = [&](const Logs&) { told += "t "; },
                                 .on_test_batch_begin = [&](std::int64_t) { told += "S "; },
                                 .on_test_batch_end = [&](std::int64_t, const BatchLogs&) { told += "s "; },
                                 .on_predict_begin = [&] { told += "P "; },
                                 .on_predict_end = [&] { told += "p "; },
                                 .on_predict_batch_begin = [&](std::int64_t) { told += "Q "; },
                                 .on_predict_batch_end = [&](std::int64_t) { told += "q "; }});
  const Tensor x = constant({{1.f}, {2.f}}), y = constant({{1.f}, {1.f}});
  line.model.fit(x, y, {.batch_size = 1, .epochs = 2, .verbose = 0, .callbacks = {callback}, .validation_data = {x, y}, .validation_batch_size = 2});
  EXPECT_EQ(told, "F E0 B0 b B1 b T S s t e E1 B0 b B1 b T S s t e f ");
  told.clear();
  line.model.predict(x, {.verbose = 0, .callbacks = {callback}});
  EXPECT_EQ(told, "P Q q p ");
}

// ---- ProgbarLogger

/// The logger's output, without a terminal, its clock standing still.
struct Plain {
  std::ostringstream stream;
  ProgbarLogger logger() {
    return ProgbarLogger({.stream = &stream, .terminal = false, .clock = [] { return 0.0; }});
  }
};

/// Attaches `callback` with `verbose`, under a fit that is silent itself.
template <class C>
class Loud : public Callback {
 public:
  Loud(C callback, RunParams params) : callback_(std::move(callback)), params_(params) {}
  void on_train_begin() override { callback_.attach(model(), params_), callback_.on_train_begin(); }
  void on_train_end(const Logs& logs) override { callback_.on_train_end(logs); }
  void on_epoch_begin(std::int64_t epoch) override { callback_.on_epoch_begin(epoch); }
  void on_epoch_end(std::int64_t epoch, Logs& logs) override { callback_.on_epoch_end(epoch, logs); }
  void on_train_batch_end(std::int64_t batch, const BatchLogs& logs) override { callback_.on_train_batch_end(batch, logs); }
  void on_test_begin() override { callback_.attach(model(), params_), callback_.on_test_begin(); }
  void on_test_end(const Logs& logs) override { callback_.on_test_end(logs); }
  void on_test_batch_end(std::int64_t batch, const BatchLogs& logs) override { callback_.on_test_batch_end(batch, logs); }
  void on_predict_begin() override { callback_.attach(model(), params_), callback_.on_predict_begin(); }
  void on_predict_end() override { callback_.on_predict_end(); }
  void on_predict_batch_end(std::int64_t batch) override { callback_.on_predict_batch_end(batch); }

 private:
  C callback_;
  RunParams params_;
};

TEST(ProgbarLogger, WritesALineForEachEpochAndNoneForItsValidation) {
  Line line(optim::SGD({.learning_rate = 0}));
  line.set_weight(0);
  Plain plain;
  const Tensor x = constant({{1.f}, {1.f}}), y = constant({{1.f}, {1.f}});
  line.model.fit(x, y, {.batch_size = 1, .epochs = 2, .verbose = 0, .callbacks = {Loud(plain.logger(), {.epochs = 2, .verbose = 1})}, .validation_data = {x, y}});
  const std::string epoch = "2/2 - 0s - 0s/step - accuracy: 0.0000e+00 - loss: 1.0000 - mae: 1.0000 - val_accuracy: 0.0000e+00 - val_loss: 1.0000 - val_mae: 1.0000\n";
  EXPECT_EQ(plain.stream.str(), "Epoch 1/2\n" + epoch + "Epoch 2/2\n" + epoch);
}

TEST(ProgbarLogger, ShowsEvaluationAndPredictionWithoutEpochs) {
  Line line;
  line.set_weight(0);
  Plain plain;
  const Tensor x = constant({{1.f}, {1.f}}), y = constant({{1.f}, {1.f}});
  line.model.evaluate(x, y, {.verbose = 0, .callbacks = {Loud(plain.logger(), {.steps = 1})}});
  line.model.predict(x, {.verbose = 0, .callbacks = {Loud(plain.logger(), {.steps = 1})}});
  EXPECT_EQ(plain.stream.str(), "1/1 - 0s - 0s/step - accuracy: 0.0000e+00 - loss: 1.0000 - mae: 1.0000\n1/1 - 0s - 0s/step\n");
}

}  // namespace
}  // namespace lockstep::nn

// Data-parallel training against what one process computes of the same batches.
#include <csignal>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/autodiff/trace.h>
#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/dist/gradients.h>
#include <lockstep/lockstep.h>
#include <lockstep/nn/array_source.h>

#include "support.h"

using namespace lockstep;

namespace {

double largest_difference(std::span<const Tensor> a, std::span<const Tensor> b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, cast(reduce_max(abs(a[i] - b[i])), float64).item<double>());
  return largest;
}

/// Do all ranks have the same bits?
bool equal_on_all_ranks(const std::vector<Tensor>& values) {
  bool same = true;
  for (const Tensor& value : values) same = same && reduce_all(equal(dist::broadcast(value), value)).item<bool>();
  return dist::all_reduce(constant(std::int64_t(same))).item<std::int64_t>() == dist::world_size();
}

struct Data {
  Tensor x, y;
};
Data regression(std::int64_t rows) {
  const Tensor key = constant(std::vector<std::int64_t>{5, 0});
  const Tensor x = random::normal_from(key, {rows, 6}, 0, 1, float64);
  return {x, reduce_sum(x * x, 1, true) + x[{all, slice(0, 1)}]};
}

const nn::DTypePolicy kDouble{"float64"};

nn::Sequential two_layers(double dropout = 0, bool batch_norm = false) {
  std::vector<Ref<nn::Layer>> layers{nn::InputLayer({6}), nn::Dense({.units = 9, .activation = "tanh", .kernel_regularizer = "l2", .dtype = kDouble})};
  if (batch_norm) layers.push_back(nn::BatchNormalization({.synchronized = true, .dtype = kDouble}));
  if (dropout > 0) layers.push_back(nn::Dropout({.rate = dropout, .seed = 3, .dtype = kDouble}));
  layers.push_back(nn::Dense({.units = 1, .dtype = kDouble}));
  return nn::Sequential(layers);
}

/// The weights after training on all rows in one process: the same steps, outside of fit.
std::vector<Tensor> trained_alone(nn::Model& model, const Data& data, std::int64_t batch_size, int epochs) {
  const std::int64_t rows = data.x.shape()[0];
  for (int epoch = 0; epoch < epochs; ++epoch)
    for (std::int64_t at = 0; at < rows; at += batch_size) {
      const auto part = slice(at, std::min(rows, at + batch_size));
      model.train_step({.x = {data.x[part]}, .y = {data.y[part]}, .sample_weight = {}});
      model.clear_losses();
    }
  return model.get_weights();
}

/// Trains two equal models, one by fit and one alone, and compares their weights.
void expect_as_alone(nn::Model& shared, nn::Model& alone, const Data& data, const nn::CompileOptions& options, nn::FitOptions fit, std::int64_t batch_size) {
  nn::CompileOptions other = options;
  other.optimizer = deserialize<optim::Optimizer>(serialize(*options.optimizer));
  shared.compile(options);
  alone.compile(other);
  shared(data.x), alone(data.x);
  alone.set_weights(shared.get_weights());
  alone.test_on_batch(data.x[slice(0, 1)], data.y[slice(0, 1)]);  // makes the losses
  fit.batch_size = batch_size, fit.verbose = 0, fit.shuffle = false;
  shared.fit(data.x, data.y, fit);
  const std::vector<Tensor> expected = trained_alone(alone, data, batch_size, int(fit.epochs));
  EXPECT_LT(largest_difference(shared.get_weights(), expected), 1e-9);
  EXPECT_TRUE(equal_on_all_ranks(shared.get_weights()));
}

TEST(DataParallelFit, GivesTheWeightsOfOneProcessAlsoWhenBatchesDoNotDivide) {
  for (const std::int64_t batch_size : {4, 7, 30}) {
    SCOPED_TRACE(batch_size);
    nn::Sequential shared = two_layers(), alone = two_layers();
    // 31 rows: the last batch has fewer rows than there are ranks, or a single one.
    expect_as_alone(shared, alone, regression(31), {.optimizer = optim::SGD({.learning_rate = 0.05}), .loss = "mse"}, {.epochs = 2}, batch_size);
  }
}

TEST(DataParallelFit, DropsWhatOneProcessWouldDrop) {
  nn::Sequential shared = two_layers(0.4), alone = two_layers(0.4);
  const Data data = regression(24);
  shared.compile({.optimizer = optim::SGD({.learning_rate = 0.05}), .loss = "mse"});
  alone.compile({.optimizer = optim::SGD({.learning_rate = 0.05}), .loss = "mse"});
  shared(data.x), alone(data.x);
  alone.set_weights(shared.get_weights());
  alone.fit(data.x, data.y, {.batch_size = 24, .epochs = 1, .verbose = 0, .shuffle = false});
  shared.fit(data.x, data.y, {.batch_size = 24, .epochs = 1, .verbose = 0, .shuffle = false});
  EXPECT_LT(largest_difference(shared.get_weights(), alone.get_weights()), 1e-12);
  const Tensor whole = random::uniform_from(constant(std::vector<std::int64_t>{3, 9}), {10, 5});
  for (const std::int64_t first : {0, 1, 3, 7})
    for (const DType dtype : {float32, float64})
      EXPECT_TRUE(reduce_all(equal(random::uniform_from(constant(std::vector<std::int64_t>{3, 9, first * 5}), {10 - first, 5}, 0, 1, dtype),
                                   random::uniform_from(constant(std::vector<std::int64_t>{3, 9}), {10, 5}, 0, 1, dtype)[slice(first, 10)])).item<bool>()) << first;
  EXPECT_TRUE(reduce_all(equal(random::normal_from(constant(std::vector<std::int64_t>{3, 9, 15}), {7, 5}), random::normal_from(constant(std::vector<std::int64_t>{3, 9}), {10, 5})[slice(3, 10)])).item<bool>());
  EXPECT_EQ(whole.shape(), (Shape{10, 5}));
}

TEST(DataParallelFit, UsesTheStatisticsOfTheWholeBatchWhereTheyAreSynchronized) {
  nn::Sequential shared = two_layers(0, true), alone = two_layers(0, true);
  expect_as_alone(shared, alone, regression(26), {.optimizer = optim::SGD({.learning_rate = 0.05}), .loss = "mse"}, {.epochs = 2}, 10);
}

TEST(DataParallelFit, KeepsMovingAveragesEqualWhereStatisticsAreLocal) {
  nn::Sequential model = two_layers(0, true);
  const Data data = regression(24);
  model.compile({.optimizer = "sgd", .loss = "mse", .synchronized_batch_norm = false});
  model.fit(data.x, data.y, {.batch_size = 12, .verbose = 0});
  EXPECT_TRUE(equal_on_all_ranks(model.get_weights()));
}

TEST(DataParallelFit, ClipsByTheNormOfTheReducedGradient) {
  nn::Sequential shared = two_layers(), alone = two_layers();
  expect_as_alone(shared, alone, regression(24), {.optimizer = optim::Adam({.learning_rate = 0.05, .global_clipnorm = 0.3}), .loss = "mse"}, {.epochs = 2}, 8);
}

TEST(DataParallelFit, AccumulatesWithoutReducingInBetween) {
  nn::Sequential shared = two_layers(), alone = two_layers();
  expect_as_alone(shared, alone, regression(24), {.optimizer = optim::SGD({.learning_rate = 0.05, .gradient_accumulation_steps = 2}), .loss = "mse"}, {.epochs = 2}, 6);
}

TEST(DataParallelFit, GivesTheSameBitsWhereTheRanksShareTheOptimizersState) {
  const Data data = regression(24);
  for (const char* name : {"adam", "rmsprop", "nadam", "sgd", "lion", "ftrl", "adagrad", "adadelta", "adamax"}) {
    SCOPED_TRACE(name);
    std::vector<std::vector<Tensor>> weights;
    std::int64_t bytes[2] = {};
    for (const bool shard : {false, true}) {
      random::set_seed(1);
      nn::Sequential model = two_layers(0.2, true);
      Ref<optim::Optimizer> optimizer(name);
      configure(*optimizer, Json{{"learning_rate", 0.01}, {"weight_decay", 0.001}, {"global_clipnorm", 0.5}});
      model.compile({.optimizer = optimizer, .loss = "mse", .shard_optimizer_state = shard});
      model.fit(data.x, data.y, {.batch_size = 8, .epochs = 2, .verbose = 0});
      weights.push_back(model.get_weights());
      for (const Variable& variable : model.optimizer().variables()) bytes[shard] += variable.shape().numel() * std::int64_t(itemsize(variable.dtype()));
    }
    random::set_seed(0);
    for (std::size_t i = 0; i < weights[0].size(); ++i) EXPECT_TRUE(same_bits(weights[0][i], weights[1][i])) << i;
    EXPECT_LE(bytes[1] * dist::world_size(), bytes[0] + 400 * dist::world_size()) << "the state is a part of the whole";
  }
  nn::Sequential model = two_layers();
  model.compile({.optimizer = optim::Lamb({.learning_rate = 0.1}), .loss = "mse", .shard_optimizer_state = true});
  EXPECT_THROW(model.fit(data.x, data.y, {.verbose = 0}), InvalidArgumentError);
}

TEST(DataParallelFit, SendsGradientsInFewerBitsByChoice) {
  const Data data = regression(24);
  std::vector<std::vector<Tensor>> weights;
  for (const std::optional<DType> wire : {std::optional<DType>(), std::optional(bfloat16)}) {
    random::set_seed(1);
    nn::Sequential model = two_layers();
    model.compile({.optimizer = optim::SGD({.learning_rate = 0.05}), .loss = "mse", .gradient_wire = wire});
    model.fit(data.x, data.y, {.batch_size = 24, .verbose = 0});
    weights.push_back(model.get_weights());
  }
  random::set_seed(0);
  const double difference = largest_difference(weights[0], weights[1]);
  EXPECT_LT(difference, 0.05);
  if (dist::world_size() > 1) {
    EXPECT_GT(difference, 1e-7) << "they did travel in bfloat16";
  }
  nn::Sequential model = two_layers();
  EXPECT_THROW(model.compile({.optimizer = "sgd", .loss = "mse", .gradient_wire = int32}), InvalidArgumentError);
}

TEST(DataParallelFit, DecidesOnFiniteGradientsTogether) {
  nn::Sequential model = two_layers();
  const Data data = regression(24);
  // Only the rows of the last rank are too large.
  Tensor x = concat(std::array{data.x[slice(0, 23)], full({1, 6}, 1e300, float64)}, 0), y = concat(std::array{data.y[slice(0, 23)], full({1, 1}, 1e300, float64)}, 0);
  model.compile({.optimizer = optim::LossScaleOptimizer({.inner_optimizer = optim::SGD({.learning_rate = 0.05})}), .loss = "mse"});
  model(data.x);
  const std::vector<Tensor> before = model.get_weights();
  model.fit(x, y, {.batch_size = 24, .verbose = 0, .shuffle = false});
  EXPECT_LT(largest_difference(model.get_weights(), before), 1e-300) << "the step is skipped on all ranks";
}

TEST(DataParallelFit, SharesWeightedLossesExactly) {
  const Data data = regression(25);
  const Tensor weights = random::uniform_from(constant(std::vector<std::int64_t>{8, 0}), {25}, 0, 1, float64);
  for (const char* reduction : {"sum_over_batch_size", "sum", "mean_with_sample_weight"}) {
    SCOPED_TRACE(reduction);
    nn::Sequential shared = two_layers(), alone = two_layers();
    for (nn::Sequential* model : {&shared, &alone}) {
      model->compile({.optimizer = optim::SGD({.learning_rate = 1e-3}), .loss = nn::losses::MeanSquaredError({.reduction = reduction})});
      (*model)(data.x);
    }
    alone.set_weights(shared.get_weights());
    alone.test_on_batch(data.x[slice(0, 1)], data.y[slice(0, 1)]);
    shared.fit(data.x, data.y, {.batch_size = 25, .verbose = 0, .shuffle = false, .sample_weight = weights});
    alone.train_step({.x = {data.x}, .y = {data.y}, .sample_weight = {weights}});
    EXPECT_LT(largest_difference(shared.get_weights(), alone.get_weights()), 1e-10);
  }
}

TEST(DataParallelFit, ReducesMetricsAndLossesOfAllRanks) {
  nn::Sequential model = two_layers();
  const Data data = regression(23);
  model.compile({.optimizer = optim::SGD({.learning_rate = 0.0}), .loss = "mse", .metrics = {"mae"}});
  const nn::History history = model.fit(data.x, data.y, {.batch_size = 9, .epochs = 1, .verbose = 0});
  const Tensor prediction = model(data.x);
  const double mae = reduce_mean(abs(prediction - data.y)).item<double>();
  EXPECT_NEAR(history.history.at("mae")[0], mae, 1e-5);
  const nn::Logs logs = model.evaluate(data.x, data.y, {.batch_size = 5, .verbose = 0});
  EXPECT_NEAR(logs.at("mae"), mae, 1e-5);
  EXPECT_LT(largest_difference(std::array{model.predict(data.x, {.batch_size = 5, .verbose = 0})}, std::array{prediction}), 1e-12);
}

TEST(DataParallelFit, GivesTheLossOfAllRowsToARankThatAsksAlone) {
  nn::Sequential model = two_layers();
  const Data data = regression(21);
  model.compile({.optimizer = optim::SGD({.learning_rate = 0.0}), .loss = "mse"});
  model(data.x);
  std::vector<double> losses;
  const nn::LambdaCallback reader({.on_train_batch_end = [&](std::int64_t batch, const nn::BatchLogs& logs) {
    if (batch % dist::world_size() == dist::rank()) losses.push_back(logs.loss());
  }});
  model.fit(data.x, data.y, {.batch_size = 5, .epochs = 1, .verbose = 0, .callbacks = {reader}, .shuffle = false});
  std::size_t seen = 0;
  for (std::int64_t batch = dist::rank(); batch < 5; batch += dist::world_size(), ++seen) {
    const auto rows = slice(5 * batch, std::min<std::int64_t>(21, 5 * batch + 5));
    ASSERT_LT(seen, losses.size());
    const Tensor error = reduce_mean(square(model(data.x[rows]) - data.y[rows])) + reduce_sum(square(model.get_weights()[0])) * 0.01;
    EXPECT_NEAR(losses[seen], error.item<double>(), 1e-6) << "batch " << batch;
  }
}

TEST(DataParallelFit, TakesDataOfTheRanksOwnInUnevenParts) {
  nn::Sequential shared = two_layers(), alone = two_layers();
  const Data data = regression(25);
  const int ranks = dist::world_size(), own = dist::rank();
  // Rank r has r + 1 parts of ranks * (ranks + 1) / 2.
  const std::int64_t parts = ranks * (ranks + 1) / 2, begin = 25 * (own * (own + 1) / 2) / parts, end = 25 * ((own + 1) * (own + 2) / 2) / parts;
  for (nn::Sequential* model : {&shared, &alone}) model->compile({.optimizer = optim::SGD({.learning_rate = 0.05}), .loss = "mse"}), (*model)(data.x);
  alone.set_weights(shared.get_weights());
  alone.test_on_batch(data.x[slice(0, 1)], data.y[slice(0, 1)]);
  shared.fit(data.x[slice(begin, end)], data.y[slice(begin, end)], {.batch_size = 25, .verbose = 0, .shuffle = false, .own_data = true});
  EXPECT_LT(largest_difference(shared.get_weights(), trained_alone(alone, data, 25, 1)), 1e-9);
}

/// Batches of given numbers of rows, from `data` on.
class Batches : public nn::BatchSource {
 public:
  Batches(Data data, std::vector<Index> rows) : data_(std::move(data)), rows_(std::move(rows)) {}
  bool next(Tensors& batch) override {
    if (at_ == rows_.size()) return at_ = 0, false;
    batch = {data_.x[rows_[at_]], data_.y[rows_[at_]]};
    return ++at_, true;
  }
  nn::DatasetState state() const override { return {0, std::int64_t(at_)}; }
  void restore(const nn::DatasetState& state) override { at_ = std::size_t(state.offset); }
  std::int64_t cardinality() const override { return std::int64_t(rows_.size()); }

 private:
  Data data_;
  std::vector<Index> rows_;
  std::size_t at_ = 0;
};

TEST(DataParallelFit, WeighsTheRanksOwnBatchesByTheirRowsFromStepToStep) {
  const int ranks = dist::world_size(), own = dist::rank();
  const std::int64_t whole = 2 * ranks;
  const Data data = regression(2 * whole);
  // In each step one rank has ranks + 1 rows, first the first and then the last, and the others one: as many in all as if each had two.
  const std::int64_t second = whole + own;
  const std::vector<Index> rows{own == 0 ? slice(0, ranks + 1) : slice(ranks + own, ranks + own + 1), own == ranks - 1 ? slice(second, 2 * whole) : slice(second, second + 1)};
  Batches batches(data, rows);
  nn::Sequential shared = two_layers(), alone = two_layers();
  for (nn::Sequential* model : {&shared, &alone}) model->compile({.optimizer = optim::SGD({.learning_rate = 0.05}), .loss = "mse"}), (*model)(data.x);
  alone.set_weights(shared.get_weights());
  alone.test_on_batch(data.x[slice(0, 1)], data.y[slice(0, 1)]);
  shared.fit(batches, {.verbose = 0, .own_data = true});
  EXPECT_LT(largest_difference(shared.get_weights(), trained_alone(alone, data, whole, 1)), 1e-9);
}

TEST(DataParallelFit, BeginsWithRankZerosWeights) {
  random::set_seed(100 + dist::rank());
  nn::Sequential model = two_layers();
  random::set_seed(0);
  const Data data = regression(8);
  model.compile({.optimizer = optim::SGD({.learning_rate = 0.0}), .loss = "mse"});
  model.fit(data.x, data.y, {.batch_size = 8, .verbose = 0});
  EXPECT_TRUE(equal_on_all_ranks(model.get_weights()));
}

TEST(DataParallelFit, StopsOnAllRanksWhenOneIsAskedTo) {
  nn::Sequential model = two_layers();
  const Data data = regression(64);
  model.compile({.optimizer = "sgd", .loss = "mse"});
  const int last = dist::world_size() - 1;
  std::int64_t steps = 0;
  const nn::History history = model.fit(data.x, data.y, {.batch_size = 8, .epochs = 5, .verbose = 0, .callbacks = {nn::LambdaCallback({.on_train_batch_end = [&](std::int64_t batch, const nn::BatchLogs&) {
                                                           ++steps;
                                                           if (dist::rank() == last && batch == 2) std::raise(SIGTERM);
                                                         }})}});
  EXPECT_TRUE(history.interrupted);
  EXPECT_EQ(history.epoch.size(), 1u) << "the epoch under way is the last";
  EXPECT_LE(steps, 4);
  EXPECT_EQ(dist::all_reduce(constant(steps), dist::ReduceOp::max).item<std::int64_t>(), steps);
}

TEST(Metric, IsReducedWithoutTouchingTheRanksOwnState) {
  nn::metrics::Mean mean;
  const double own = dist::rank() + 1;
  mean.update_state(constant({own, own}));
  double sum = 0;
  for (int r = 0; r < dist::world_size(); ++r) sum += r + 1;
  EXPECT_FLOAT_EQ(mean.reduced_result().item<float>(), float(sum / dist::world_size()));
  EXPECT_FLOAT_EQ(mean.result().item<float>(), float(own));
}

TEST(RequireSame, NamesTheFirstLineThatDiffers) {
  dist::require_same(dist::communicator(), "a\nb\n", "texts");
  if (dist::world_size() == 1) return;
  try {
    dist::require_same(dist::communicator(), "a\nb" + std::to_string(dist::rank()) + "\n", "texts");
    FAIL();
  } catch (const FailedPreconditionError& error) {
    EXPECT_NE(std::string(error.what()).find("rank 0: b0; rank 1: b1"), std::string::npos) << error.what();
  }
}

TEST(Buckets, HoldTensorsFromTheLastToTheFirst) {
  const std::vector<TensorSpec> specs{{float32, {10}}, {float32, {100}}, {float64, {1}}, {float32, {7}}, {float32, {1}}};
  EXPECT_EQ(dist::bucket_plan(specs, 100), (std::vector<std::vector<std::size_t>>{{4, 3}, {2}, {1}, {0}}));
}

TEST(Overlap, StartsAReductionAsSoonAsItsOperandsExist) {
  autodiff::Trace trace;
  const Tensor x = trace.argument({float32, {8}});
  const Tensor a = exp(x), b = sin(x);
  const Tensors second = dist::all_reduce_start(std::array{b}), first = dist::all_reduce_start(std::array{a});
  const Tensors sum = dist::all_reduce_wait(first);
  trace.graph().results.push_back(sum[0].symbol().value);
  const autodiff::Graph after = autodiff::overlap(trace.graph());
  EXPECT_EQ(after.op_names(), (std::vector<std::string>{"exp", "sin", "all_reduce_start", "all_reduce_start", "all_reduce_wait"})) << "in the program's order among themselves";
  autodiff::Trace other;
  const Tensor y = other.argument({float32, {8}});
  const Tensor c = exp(y), d = sin(y);
  const Tensors started = dist::all_reduce_start(std::array{c});
  other.graph().results.push_back(dist::all_reduce_wait(started)[0].symbol().value);
  other.graph().results.push_back(d.symbol().value);
  EXPECT_EQ(autodiff::overlap(other.graph()).op_names(), (std::vector<std::string>{"exp", "all_reduce_start", "sin", "all_reduce_wait"}));
}

}  // namespace

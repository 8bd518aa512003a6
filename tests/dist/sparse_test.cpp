// Gradients by rows between ranks, beside the reduction of their dense forms.
#include <cstring>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/dist/gradients.h>
#include <lockstep/lockstep.h>

#include "support.h"

using namespace lockstep;

namespace {

bool same_bytes(const Tensor& a, const Tensor& b) { return a.spec() == b.spec() && std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0; }

/// `count` slices of this rank, with indices that repeat here and on other ranks.
IndexedSlices own_slices(std::int64_t count, DType dtype, std::int64_t rows = 1000) {
  const auto key = [&](std::int64_t stream) { return constant(std::vector<std::int64_t>{stream, dist::rank()}); };
  return {random::uniform_from(key(7), {count}, 0, 12, int32), cast(random::normal_from(key(8), {count, 3}), dtype), {rows, 3}};
}

dist::Replica whole_world() { return {.count = dist::world_size(), .index = dist::rank()}; }

struct Reduced {
  Gradient rows, dense, other;
};
/// Reduces the slices, and their dense form, beside a dense gradient.
Reduced reduced(const IndexedSlices& slices, const dist::Replica& replica) {
  const Variable table(zeros(slices.dense_shape, slices.values.dtype()), {.path = "table"}), weight(zeros({5}, slices.values.dtype()), {.path = "weight"});
  const dist::ReplicaScope scope(&replica);
  const Tensor other = cast(constant({1.0, 2.0, 3.0, 4.0, 5.0}) * double(dist::rank() + 1), slices.values.dtype());
  const std::vector<Variable> variables{table, weight};
  const std::vector<Gradient> by_rows = dist::reduce_gradients(std::vector<Gradient>{slices, other}, variables);
  const std::vector<Gradient> dense = dist::reduce_gradients(std::vector<Gradient>{Gradient(slices).dense(), other}, variables);
  return {by_rows[0], dense[0], by_rows[1]};
}

TEST(SparseGradients, AreReducedToTheBitsOfTheDenseOnes) {
  for (const DType dtype : {float32, float64, bfloat16, float16})
    for (const std::optional<DType> wire : {std::optional<DType>(), std::optional(bfloat16)})
      for (const bool uneven : {false, true}) {
        SCOPED_TRACE(std::string(name(dtype)) + (wire ? " as bfloat16" : "") + (uneven ? ", uneven" : ""));
        dist::Replica replica = whole_world();
        replica.wire = wire;
        const Reduced result = reduced(own_slices(uneven ? 5 * dist::rank() : 20, dtype), replica);
        EXPECT_TRUE(result.rows.is_slices());
        EXPECT_FALSE(result.other.is_slices());
        EXPECT_TRUE(same_bytes(result.rows.dense(), result.dense.dense()));
        EXPECT_TRUE(reduce_all(equal(dist::broadcast(result.rows.dense()), result.rows.dense())).item<bool>());
      }
}

TEST(SparseGradients, AreReducedInsideATracedFunction) {
  const dist::Replica replica = whole_world();
  const Variable table(zeros({1000, 3}), {.path = "table"});
  const auto mean = [&](const Tensor& indices, const Tensor& values) {
    const dist::ReplicaScope scope(&replica);
    return dist::reduce_gradients(std::vector<Gradient>{IndexedSlices{indices, values, {1000, 3}}}, std::vector<Variable>{table})[0].dense();
  };
  const auto traced = autodiff::function(mean);
  const IndexedSlices slices = own_slices(20, float32);
  const Tensor expected = reduced(slices, replica).dense.dense();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(same_bytes(traced(slices.indices, slices.values), expected));
}

TEST(SparseGradients, BecomeDenseWhereTheGatheredRowsWouldBeMore) {
  // 16 bytes for each row of a table with 12 each. A rank alone gathers nothing.
  const std::int64_t count = 30;
  EXPECT_EQ(reduced(own_slices(count, float32, dist::world_size() * count * 16 / 12), whole_world()).rows.is_slices(), dist::world_size() == 1);
  EXPECT_TRUE(reduced(own_slices(count, float32, dist::world_size() * count * 16 / 12 + 1), whole_world()).rows.is_slices());
}

TEST(SparseGradients, AreComparedBeforeATracedStep) {
  const dist::Replica replica = whole_world();
  const Variable table(zeros({1000, 3}), {.path = "table"});
  const auto traced = autodiff::function([&](const Tensor& indices, const Tensor& values) {
    const dist::ReplicaScope scope(&replica);
    const Gradient slices = IndexedSlices{indices, values, {1000, 3}};
    return dist::reduce_gradients(std::vector<Gradient>{dist::rank() == 0 ? slices : Gradient(slices.dense())}, std::vector<Variable>{table})[0].dense();
  });
  const IndexedSlices slices = own_slices(4, float32);
  if (dist::world_size() > 1) EXPECT_THROW(traced(slices.indices, slices.values), FailedPreconditionError);
  else EXPECT_TRUE(same_bytes(traced(slices.indices, slices.values), Gradient(slices).dense())) << "a rank alone agrees with itself";
}

TEST(GatherReplicas, IsRefusedWhereThereAreMoreThanRanks) {
  EXPECT_EQ(dist::gather_replicas(ones({2, 3}), dist::world_size()).shape(), (Shape{2 * dist::world_size(), 3}));
  EXPECT_THROW(dist::gather_replicas(ones({2, 3}), dist::world_size() + 1), FailedPreconditionError);
}

// ---- training

/// An embedding whose gradient is dense.
class DenseEmbedding : public nn::Embedding {
 public:
  using nn::Embedding::Embedding;

 protected:
  Tensor call(const Tensor& x) override { return embedding_lookup(identity(weights()[0].variable().value()), x); }
};

template <class Table>
std::vector<Tensor> trained(const Ref<optim::Optimizer>& optimizer, const nn::FitOptions& fit, const nn::CompileOptions& compile = {}) {
  nn::Sequential model({nn::InputLayer({.shape = {4}, .dtype = int32}), Table(nn::Embedding::Options{.input_dim = 600, .output_dim = 5}), nn::GlobalAveragePooling1D(), nn::Dense(2)});
  nn::CompileOptions options = compile;
  options.optimizer = optimizer, options.loss = "mse";
  model.compile(options);
  const Tensor x = random::uniform_from(constant(std::vector<std::int64_t>{5, 1}), {50, 4}, 0, 600, int32), y = random::normal_from(constant(std::vector<std::int64_t>{5, 2}), {50, 2});
  model(x);
  model.set_weights({random::normal_from(constant(std::vector<std::int64_t>{5, 3}), {600, 5}), random::normal_from(constant(std::vector<std::int64_t>{5, 4}), {5, 2}), zeros({2})});
  nn::FitOptions how = fit;
  how.batch_size = 12, how.epochs = 2, how.verbose = 0, how.shuffle = false;
  model.fit(x, y, how);
  std::vector<Tensor> all = model.get_weights();
  for (const Variable& variable : model.optimizer().variables()) all.push_back(variable.value());
  return all;
}

void expect_same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(same_bytes(a[i], b[i])) << i;
}

/// (The last batch of an epoch has 2 rows.)
TEST(EmbeddingFit, GivesTheBitsOfDenseGradients) {
  Ref<optim::Optimizer> (*const optimizers[])() = {[] { return Ref<optim::Optimizer>(optim::SGD({.learning_rate = 0.1})); }, [] { return Ref<optim::Optimizer>(optim::Adagrad({.learning_rate = 0.1, .clipnorm = 0.1})); },
                                                   [] { return Ref<optim::Optimizer>(optim::Adam({.learning_rate = 0.1, .global_clipnorm = 0.2})); },
                                                   [] { return Ref<optim::Optimizer>(optim::SGD({.learning_rate = 0.1, .gradient_accumulation_steps = 2})); },
                                                   [] { return Ref<optim::Optimizer>(optim::LossScaleOptimizer({.inner_optimizer = optim::SGD({.learning_rate = 0.1}), .initial_scale = 4})); }};
  for (const auto make : optimizers) {
    SCOPED_TRACE(make()->class_name());
    expect_same(trained<nn::Embedding>(make(), {}), trained<DenseEmbedding>(make(), {}));
    for (const int shards : {dist::world_size(), 2 * dist::world_size()}) expect_same(trained<nn::Embedding>(make(), {.shards = shards}), trained<DenseEmbedding>(make(), {.shards = shards}));
    // (Members reduce before they accumulate, ranks afterwards.)
    if (make()->config().value("gradient_accumulation_steps", Json()).is_null()) expect_same(trained<nn::Embedding>(make(), {.shards = dist::world_size()}), trained<nn::Embedding>(make(), {}));
    expect_same(trained<nn::Embedding>(make(), {}, {.run_eagerly = true}), trained<DenseEmbedding>(make(), {}, {.run_eagerly = true}));
  }
}

TEST(EmbeddingFit, GivesTheBitsOfDenseGradientsWhereTheRanksShareTheOptimizersState) {
  for (const char* name : {"sgd", "adagrad", "adam"})
    expect_same(trained<nn::Embedding>(name, {}, {.shard_optimizer_state = true}), trained<DenseEmbedding>(name, {}, {.shard_optimizer_state = true}));
}

TEST(EmbeddingFit, SendsRowsInFewerBitsByChoice) {
  expect_same(trained<nn::Embedding>("sgd", {}, {.gradient_wire = bfloat16}), trained<DenseEmbedding>("sgd", {}, {.gradient_wire = bfloat16}));
}

}  // namespace

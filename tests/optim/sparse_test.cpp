// Gradients by rows: the same bits as their dense form, without passing over the table where the optimizer allows it.

#include <gtest/gtest.h>

#include <cstring>

#include <lockstep/autodiff/passes/plan.h>
#include <lockstep/lockstep.h>

namespace lockstep::optim {
namespace {

bool same_bytes(const Tensor& a, const Tensor& b) {
  const Tensor here = to(a, Device()), there = to(b, Device());
  return a.spec() == b.spec() && std::memcmp(here.raw(), there.raw(), here.nbytes()) == 0;
}

Tensor draws(std::int64_t stream, const Shape& shape, DType dtype) { return cast(random::normal_from(constant(std::vector<std::int64_t>{41, stream}), shape), dtype); }

struct Way {
  bool by_rows, traced;
  DType dtype;
};

/// All state after five steps on a table that is looked up twice, a weight, and a table that is looked up and used as a whole.
std::vector<Tensor> trained(const Ref<Optimizer>& optimizer, const Way& way) {
  const Variable table(draws(1, {40, 3}, way.dtype), {.path = "table"}), weight(draws(2, {3}, way.dtype), {.path = "weight"}), both(draws(3, {40, 3}, way.dtype), {.path = "both"});
  const std::vector<Variable> variables{table, weight, both};
  optimizer->constrain(table, [](const Tensor& x) { return clip_by_value(x, -1.5, 1.5); });
  const auto body = [&](const Tensor& ids, const Tensor& more) {
    autodiff::GradientTape tape;
    const Tensor y = reduce_sum(square(embedding_lookup(table, ids) * weight)) + reduce_sum(gather(table, more) * embedding_lookup(both, more)) + reduce_sum(square(both));
    std::vector<Gradient> gradients = tape.gradient(optimizer->scale_loss(y), std::vector<autodiff::Source>(variables.begin(), variables.end()));
    EXPECT_TRUE(gradients[0].is_slices());
    EXPECT_FALSE(gradients[2].is_slices());
    if (!way.by_rows)
      for (Gradient& gradient : gradients) gradient = gradient.dense();
    optimizer->apply(gradients, variables);
  };
  const auto step = autodiff::function(body);
  for (std::int64_t i = 0; i < 5; ++i) {
    const Tensor ids = random::uniform_from(constant(std::vector<std::int64_t>{42, i}), {6}, 0, 9, int32), more = random::uniform_from(constant(std::vector<std::int64_t>{43, i}), {8}, 0, 40, int64);
    if (way.traced) step(ids, more);
    else body(ids, more);
  }
  std::vector<Tensor> all{table.value(), weight.value(), both.value()};
  for (const Variable& variable : optimizer->variables()) all.push_back(variable.value());
  return all;
}

struct Case {
  const char* name;
  Ref<Optimizer> (*make)();
};
class GradientsByRows : public testing::TestWithParam<Case> {};

TEST_P(GradientsByRows, HaveTheBitsOfTheirDenseForm) {
  for (const bool traced : {false, true})
    for (const DType dtype : {float32, float64, bfloat16}) {
      SCOPED_TRACE(std::string(traced ? "traced " : "eager ") + std::string(name(dtype)));
      const std::vector<Tensor> rows = trained(GetParam().make(), {true, traced, dtype}), dense = trained(GetParam().make(), {false, traced, dtype});
      ASSERT_EQ(rows.size(), dense.size());
      for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_TRUE(same_bytes(rows[i], dense[i])) << "state " << i;
    }
}

INSTANTIATE_TEST_SUITE_P(
    , GradientsByRows,
    testing::Values(
        Case{"Sgd", [] { return Ref<Optimizer>(SGD({.learning_rate = 0.1})); }}, Case{"SgdMomentum", [] { return Ref<Optimizer>(SGD({.learning_rate = 0.1, .momentum = 0.9})); }},
        Case{"SgdDecay", [] { return Ref<Optimizer>(SGD({.learning_rate = 0.1, .weight_decay = 0.01})); }},
        Case{"SgdClipnorm", [] { return Ref<Optimizer>(SGD({.learning_rate = 0.1, .clipnorm = 0.3})); }},
        Case{"SgdGlobalClipnorm", [] { return Ref<Optimizer>(SGD({.learning_rate = 0.1, .global_clipnorm = 0.3})); }},
        Case{"SgdClipvalue", [] { return Ref<Optimizer>(SGD({.learning_rate = 0.1, .clipvalue = 0.2})); }},
        Case{"SgdAverages", [] { return Ref<Optimizer>(SGD({.learning_rate = 0.1, .use_ema = true, .ema_momentum = 0.5, .ema_overwrite_frequency = 2})); }},
        Case{"SgdScaled", [] { return Ref<Optimizer>(SGD({.learning_rate = 0.1, .loss_scale_factor = 3})); }},
        Case{"SgdAccumulated", [] { return Ref<Optimizer>(SGD({.learning_rate = 0.1, .gradient_accumulation_steps = 2})); }},
        Case{"Adagrad", [] { return Ref<Optimizer>(Adagrad({.learning_rate = 0.1})); }},
        Case{"AdagradWithEverything", [] { return Ref<Optimizer>(Adagrad({.learning_rate = 0.1, .weight_decay = 0.01, .global_clipnorm = 0.5, .use_ema = true, .loss_scale_factor = 3})); }},
        Case{"AdagradFromZero", [] { return Ref<Optimizer>(Adagrad({.learning_rate = 0.1, .initial_accumulator_value = 0, .epsilon = 0})); }},
        Case{"AdagradAccumulated", [] { return Ref<Optimizer>(Adagrad({.learning_rate = 0.1, .clipnorm = 0.3, .gradient_accumulation_steps = 2})); }},
        Case{"Adam", [] { return Ref<Optimizer>(Adam({.learning_rate = 0.1})); }}, Case{"AdamAccumulated", [] { return Ref<Optimizer>(Adam({.learning_rate = 0.1, .gradient_accumulation_steps = 3})); }},
        Case{"RmsProp", [] { return Ref<Optimizer>(RMSprop({.learning_rate = 0.1})); }}, Case{"Lion", [] { return Ref<Optimizer>(Lion({.learning_rate = 0.1})); }},
        Case{"Ftrl", [] { return Ref<Optimizer>(Ftrl({.learning_rate = 0.1})); }}, Case{"Adadelta", [] { return Ref<Optimizer>("adadelta"); }}, Case{"Lamb", [] { return Ref<Optimizer>(Lamb()); }},
        Case{"LossScaledSgd", [] { return Ref<Optimizer>(LossScaleOptimizer({.inner_optimizer = SGD({.learning_rate = 0.1}), .initial_scale = 8, .dynamic_growth_steps = 2})); }},
        Case{"LossScaledAdam", [] { return Ref<Optimizer>(LossScaleOptimizer({.inner_optimizer = "adam", .initial_scale = 8})); }},
        Case{"Several", [] { return Ref<Optimizer>(MultiOptimizer({.optimizer_map = OptimizerMap({.default_optimizer = "adam", .optimizer_map = {{"table", Adagrad({.learning_rate = 0.1})}}})})); }}),
    [](const auto& info) { return info.param.name; });

IndexedSlices some_slices() { return {constant({7, 2, 7, 2, 30}), draws(5, {5, 3}, float32), {40, 3}}; }

TEST(SumSlices, PutsSumsInPlaceOfTheFirstAndZerosInPlaceOfTheOthers) {
  const IndexedSlices sums = sum_slices({constant({7, 2, 7, 7}), constant({{1.0f, 2.0f}, {3.0f, -0.0f}, {10.0f, 20.0f}, {100.0f, 200.0f}}), {9, 2}});
  EXPECT_EQ(sums.indices.to_vector<std::int32_t>(), (std::vector<std::int32_t>{7, 2, 7, 7}));
  EXPECT_EQ(sums.values.to_vector<float>(), (std::vector<float>{111, 222, 3, 0, 0, 0, 0, 0}));
  EXPECT_FALSE(std::signbit(sums.values.to_vector<float>()[3])) << "a sum begins with zero, as the dense one does";
  EXPECT_TRUE(same_bytes(Gradient(sum_slices(some_slices())).dense(), Gradient(some_slices()).dense()));
  EXPECT_TRUE(same_bytes(sum_slices(sum_slices(some_slices())).values, sum_slices(some_slices()).values));
  EXPECT_EQ(sum_slices({zeros({0}, int64), zeros({0, 2}, float32), {9, 2}}).values.shape(), (Shape{0, 2}));
}

TEST(SumSlices, RefusesAnIndexOutsideAndLeavesTheVariableAlone) {
  for (const int index : {-1, 40}) {
    const Variable table(ones({40, 3}), {.path = "table"});
    const IndexedSlices slices{constant({3, index}), ones({2, 3}), {40, 3}};
    SGD optimizer;
    EXPECT_THROW(optimizer.apply_gradients({{slices, table}}), InvalidArgumentError);
    const auto step = autodiff::function([&](const Tensor& indices) { optimizer.apply_gradients({{IndexedSlices{indices, ones({2, 3}), {40, 3}}, table}}); });
    EXPECT_THROW(step(slices.indices), InvalidArgumentError);
    EXPECT_TRUE(same_bytes(table.value(), ones({40, 3})));
  }
}

TEST(SlicesOfAnotherShape, AreRefusedForAVariableOfAnotherShape) {
  const Variable table(ones({41, 3}), {.path = "table"});
  for (Ref<Optimizer> optimizer : {Ref<Optimizer>(SGD()), Ref<Optimizer>("adam")}) EXPECT_THROW(optimizer->apply_gradients({{some_slices(), table}}), InvalidArgumentError);
}

TEST(Summed, IsDenseWhereThereAreAsManySlicesAsRows) {
  EXPECT_TRUE(summed(some_slices()).is_slices());
  EXPECT_FALSE(summed(IndexedSlices{constant({0, 1, 1}), ones({3, 2}), {3, 2}}).is_slices());
  EXPECT_FALSE(summed(Gradient()).exists());
}

TEST(AddRows, WritesAVariableInPlaceUnlessItsValueIsHeld) {
  const Variable table(zeros({40, 3}), {.path = "table"});
  table.assign_add(ones({40, 3}));
  const void* place = table.peek().raw();
  add_rows(table, constant({3, 3}), ones({2, 3}));
  EXPECT_EQ(table.peek().raw(), place);
  const Tensor held = table.value();
  add_rows(table, constant({3}), ones({1, 3}));
  EXPECT_EQ(held.to_vector<float>()[9], 3);
  EXPECT_EQ(table.value().to_vector<float>()[9], 4);
  EXPECT_THROW(add_rows(table, constant({3}), ones({2, 3})), InvalidArgumentError);
}

/// In a traced step of a table the rows alone are read and written.
TEST(TracedRows, AreUpdatedInPlace) {
  for (Ref<Optimizer> optimizer : {Ref<Optimizer>(SGD()), Ref<Optimizer>(Adagrad())}) {
    SCOPED_TRACE(optimizer->class_name());
    const Variable table(draws(1, {400, 3}, float32), {.path = "table"}), other(draws(2, {300, 2}, float32), {.path = "other"}), weight(draws(3, {3, 2}, float32), {.path = "weight"});
    const std::vector<Variable> variables{table, other, weight};
    const auto step = autodiff::function([&](const Tensor& ids) {
      autodiff::GradientTape tape;
      const Tensor y = reduce_sum(square(matmul(embedding_lookup(table, ids), weight) + embedding_lookup(other, ids)));
      optimizer->apply(tape.gradient(y, std::vector<autodiff::Source>(variables.begin(), variables.end())), variables);
      return y;
    });
    const autodiff::Graph& graph = step.concrete_function(constant({5, 6, 5, 7})).optimized();
    for (const autodiff::Node& node : graph.nodes)
      if (node.kind == autodiff::Node::Kind::op && graph.spec(node.outputs[0]).shape.numel() >= 600) {
        EXPECT_EQ(node.op->name, "add_rows");
      }
    const autodiff::MemoryPlan plan = autodiff::plan_memory(graph, autodiff::schedule(graph, 1), {});
    EXPECT_EQ(plan.update_in_place, std::vector<bool>(graph.updates.size(), true));
    EXPECT_LT(plan.arena_bytes, 4096);
  }
}

TEST(Clipping, LeavesRowsWithoutGradientZeroAlsoWhereTheNormIsNotFinite) {
  const Gradient clipped = clip_by_global_norm(std::vector<Gradient>{IndexedSlices{constant({1}), constant({{INFINITY, 1.0f}}), {5, 2}}}, 1)[0];
  ASSERT_TRUE(clipped.is_slices());
  EXPECT_TRUE(std::isnan(clipped.slices().values.to_vector<float>()[1]));
}

}  // namespace
}  // namespace lockstep::optim

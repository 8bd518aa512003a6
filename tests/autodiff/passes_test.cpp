// Each pass: the graph before and after it, and that the result stays the same.

#include <gtest/gtest.h>

#include <lockstep/autodiff/fused.h>
#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/autodiff/trace.h>
#include <lockstep/lockstep.h>

namespace lockstep::autodiff {
namespace {

using Names = std::vector<std::string>;

Graph trace_of(const std::vector<TensorSpec>& specs, const std::function<Tensors(std::span<const Tensor>)>& body) {
  Trace trace;
  std::vector<Tensor> arguments;
  for (const TensorSpec& spec : specs) arguments.push_back(trace.argument(spec));
  return trace.finish(body(arguments));
}

const TensorSpec kMatrix{float32, {4, 6}};

Tensor ramp(const Shape& shape) {
  Tensor tensor = Tensor::empty(shape, float32);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.mutable_data<float>()[i] = float(i % 11) / 4 - 1;
  return tensor;
}

/// Runs the graph with and without the pass.
void expect_same_results(const Graph& before, const Graph& after, std::span<const Tensor> arguments) {
  const Tensors a = Executable(before, {.in_place = false, .memory_plan = false, .parallel = false}).run(arguments);
  const Tensors b = Executable(after, {}).run(arguments);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].shape(), b[i].shape());
    for (std::int64_t k = 0; k < a[i].numel(); ++k) EXPECT_NEAR(a[i].data<float>()[std::size_t(k)], b[i].data<float>()[std::size_t(k)], 1e-5);
  }
}

TEST(Prune, DropsWhatNoResultNeeds) {
  const Graph before = trace_of({kMatrix}, [](std::span<const Tensor> x) -> Tensors {
    exp(x[0]);
    return {neg(x[0])};
  });
  EXPECT_EQ(before.op_names(), (Names{"exp", "neg"}));
  EXPECT_EQ(prune(before).op_names(), (Names{"neg"}));
}

TEST(Prune, KeepsWhatHasAnEffect) {
  const Graph before = trace_of({kMatrix}, [](std::span<const Tensor> x) -> Tensors {
    print("value", {x});
    return {neg(x[0])};
  });
  EXPECT_EQ(prune(before).op_names(), (Names{"print", "neg"}));
}

TEST(Fold, LetsPointwiseOpsReadWhatWasBroadcastForThem) {
  const Graph before = trace_of({kMatrix}, [](std::span<const Tensor> x) -> Tensors { return {x[0] * broadcast_like(reduce_mean(x[0], 0), exp(x[0]))}; });
  const Graph after = prune(fold(before));
  EXPECT_EQ(after.op_names(), (Names{"reduce_mean", "multiply"}));
  const Tensor x = ramp({4, 6});
  expect_same_results(before, after, {&x, 1});
}

TEST(Fold, BroadcastsWhereNothingElseGivesTheShape) {
  const Graph before = trace_of({kMatrix}, [](std::span<const Tensor> x) -> Tensors { return {neg(broadcast_like(reduce_mean(x[0], 0), exp(x[0])))}; });
  const Graph after = prune(fold(before));
  EXPECT_EQ(after.op_names(), (Names{"reduce_mean", "broadcast_to", "neg"}));
  const Tensor x = ramp({4, 6});
  expect_same_results(before, after, {&x, 1});
}

TEST(Fold, ComputesConstantsOnce) {
  const Graph before = trace_of({kMatrix}, [](std::span<const Tensor> x) -> Tensors {
    return {x[0] * exp(constant(2.0f) + constant(1.0f))};
  });
  EXPECT_EQ(prune(fold(before)).op_names(), (Names{"multiply"}));
}

TEST(Fold, RemovesFactorsOfOneAndDoubleTransposes) {
  const Graph before = trace_of({kMatrix}, [](std::span<const Tensor> x) -> Tensors { return {transpose(transpose(x[0])) * 1.0f}; });
  EXPECT_EQ(prune(fold(before)).op_names(), Names{});
  const Tensor x[] = {ramp({4, 6})};
  expect_same_results(before, prune(fold(before)), x);
}

TEST(Fold, LeavesAnErrorToTheRun) {
  const Graph before = trace_of({kMatrix}, [](std::span<const Tensor>) -> Tensors { return {gather(constant({1.0f}), constant({5}))}; });
  EXPECT_NO_THROW(fold(before));
}

TEST(CommonSubexpressions, AreComputedOnce) {
  const Graph before = trace_of({kMatrix, kMatrix}, [](std::span<const Tensor> x) -> Tensors {
    return {exp(x[0] + x[1]) * exp(x[1] + x[0])};
  });
  EXPECT_EQ(before.op_names(), (Names{"add", "exp", "add", "exp", "multiply"}));
  EXPECT_EQ(prune(merge_common(before)).op_names(), (Names{"add", "exp", "multiply"}));
}

TEST(CommonSubexpressions, DifferWhenAttributesDiffer) {
  const Graph before = trace_of({kMatrix}, [](std::span<const Tensor> x) -> Tensors { return {reduce_sum(x[0], 0), reduce_sum(x[0], 1)}; });
  EXPECT_EQ(prune(merge_common(before)).op_names(), (Names{"reduce_sum", "reduce_sum"}));
}

TEST(FusePointwise, MakesAChainOneNode) {
  const Graph before = trace_of({kMatrix, kMatrix}, [](std::span<const Tensor> x) -> Tensors { return {tanh(x[0] * x[1] + 1.0f)}; });
  EXPECT_EQ(before.op_names(), (Names{"multiply", "add", "tanh"}));
  const Graph after = fuse_pointwise(before);
  EXPECT_EQ(after.op_names(), (Names{"fused"}));
  const Tensor x[] = {ramp({4, 6}), ramp({4, 6})};
  expect_same_results(before, after, x);
}

TEST(FusePointwise, ReachesThroughRowsColumnsAndScalars) {
  const Graph before = trace_of({kMatrix, {float32, {6}}, {float32, {4, 1}}, {float32, {}}}, [](std::span<const Tensor> x) -> Tensors {
    return {(x[0] + x[1]) * x[2] - x[3]};
  });
  EXPECT_EQ(fuse_pointwise(before).op_names(), (Names{"fused"}));
  const Tensor x[] = {ramp({4, 6}), ramp({6}), ramp({4, 1}), ramp({})};
  expect_same_results(before, fuse_pointwise(before), x);
}

TEST(FusePointwise, EndsInSumsOverAllRowsOrColumns) {
  const Graph before = trace_of({kMatrix, kMatrix}, [](std::span<const Tensor> x) -> Tensors {
    const Tensor y = square(x[0] - x[1]);
    return {reduce_mean(y), reduce_sum(y, 0), reduce_sum(y, 1)};
  });
  const Graph after = fuse_pointwise(before);
  EXPECT_EQ(after.op_names(), (Names{"fused"}));
  const Tensor x[] = {ramp({4, 6}), ramp({4, 6})};
  expect_same_results(before, after, x);
}

TEST(FusePointwise, DoesNotCloseACycle) {
  // exp(x) feeds a product whose result meets exp(x) again: the three may not become one node around the product.
  const Graph before = trace_of({{float32, {4, 4}}}, [](std::span<const Tensor> x) -> Tensors {
    const Tensor y = exp(x[0]);
    return {y + matmul(y, y)};
  });
  EXPECT_EQ(fuse_pointwise(before).op_names(), (Names{"exp", "matmul", "add"}));
}

TEST(FusePointwise, AgreesOnLargeAndOddShapes) {
  for (const Shape& shape : {Shape{3, 5000}, Shape{70000}, Shape{1000, 7}, Shape{0, 4}, Shape{1, 1}}) {
    const TensorSpec spec{float32, shape};
    const Shape row{shape[shape.ndim() - 1]};
    const Graph before = trace_of({spec, {float32, row}}, [](std::span<const Tensor> x) -> Tensors {
      const Tensor y = (x[0] + x[1]) * 0.25f - x[0];
      return {y, reduce_sum(y * y, 0)};
    });
    const Tensor x[] = {ramp(shape), ramp(row)};
    const Tensors a = Executable(before, {}).run(x), b = Executable(fuse_pointwise(before), {}).run(x);
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::int64_t k = 0; k < a[i].numel(); ++k)
        ASSERT_NEAR(a[i].data<float>()[std::size_t(k)], b[i].data<float>()[std::size_t(k)], 1e-4 * (1 + std::abs(a[i].data<float>()[std::size_t(k)]))) << to_string(shape);
  }
}

TEST(FuseGemm, TakesBiasAndActivationIntoTheProduct) {
  const Graph before = trace_of({{float32, {64, 32}}, {float32, {32, 128}}, {float32, {128}}}, [](std::span<const Tensor> x) -> Tensors {
    return {relu(matmul(x[0], x[1]) + x[2])};
  });
  EXPECT_EQ(before.op_names(), (Names{"matmul", "add", "relu"}));
  const Graph after = fuse_gemm(before);
  EXPECT_EQ(after.op_names(), (Names{"fused_matmul"}));
  const Tensor x[] = {ramp({64, 32}), ramp({32, 128}), ramp({128})};
  expect_same_results(before, after, x);
}

TEST(FuseGemm, StopsWhereAnIntermediateIsNeeded) {
  const Graph before = trace_of({{float32, {64, 32}}, {float32, {32, 128}}, {float32, {128}}}, [](std::span<const Tensor> x) -> Tensors {
    const Tensor sum = matmul(x[0], x[1]) + x[2];
    return {relu(sum), sum};
  });
  EXPECT_EQ(fuse_gemm(before).op_names(), (Names{"fused_matmul", "relu"}));
}

TEST(InPlace, LetsAResultTakeOverAnOperandThatDies) {
  const Graph graph = trace_of({kMatrix}, [](std::span<const Tensor> x) -> Tensors { return {exp(neg(abs(x[0]))) + 1.0f}; });
  const MemoryPlan with = plan_memory(graph, schedule(graph, 1), {.in_place = true});
  const MemoryPlan without = plan_memory(graph, schedule(graph, 1), {.in_place = false});
  EXPECT_EQ(without.in_place, 0);
  EXPECT_GE(with.in_place, 2);
  EXPECT_LT(with.storages.size(), without.storages.size());
}

TEST(InPlace, WritesAnUpdateIntoItsVariable) {
  const Variable w(ramp({4, 6}));
  Trace trace;
  const Tensor x = trace.argument(kMatrix);
  w.assign(w.value() - x);
  const Graph graph = trace.finish({});
  const MemoryPlan plan = plan_memory(graph, schedule(graph, 1), {});
  EXPECT_EQ(plan.update_in_place, std::vector<bool>{true});
}

TEST(InPlace, CopiesAnUpdateWhoseOldValueIsReturned) {
  const Variable w(ramp({4, 6}));
  Trace trace;
  const Tensor x = trace.argument(kMatrix);
  const Tensor old = w.value();
  w.assign(old - x);
  const Graph graph = trace.finish({&old, 1});
  EXPECT_EQ(plan_memory(graph, schedule(graph, 1), {}).update_in_place, std::vector<bool>{false});
}

TEST(MemoryPlan, SharesTheArenaByLifetime) {
  const Graph graph = trace_of({{float32, {32, 32}}}, [](std::span<const Tensor> x) -> Tensors {
    Tensor y = x[0];
    for (int i = 0; i < 6; ++i) y = matmul(y, y);
    return {y};
  });
  const MemoryPlan shared = plan_memory(graph, schedule(graph, 1), {.memory_plan = true});
  const MemoryPlan apart = plan_memory(graph, schedule(graph, 1), {.memory_plan = false});
  EXPECT_EQ(apart.arena_bytes, 5 * 32 * 32 * 4);
  EXPECT_EQ(shared.arena_bytes, 2 * 32 * 32 * 4);
}

TEST(Schedule, PutsIndependentBranchesSideBySide) {
  const TensorSpec square{float32, {128, 128}};
  const Graph graph = trace_of({square, square}, [](std::span<const Tensor> x) -> Tensors {
    return {matmul(x[0], x[0]) + matmul(x[1], x[1])};
  });
  const Schedule two = schedule(graph, 2);
  ASSERT_EQ(two.stages.size(), 2u);
  EXPECT_TRUE(two.stages[0].parallel);
  EXPECT_EQ(schedule(graph, 1).stages.size(), 3u);
  const Tensor x[] = {ramp({128, 128}), ramp({128, 128})};
  expect_same_results(graph, graph, x);
}

TEST(Passes, AreSwitchedOffByName) {
  const Graph before = trace_of({kMatrix}, [](std::span<const Tensor> x) -> Tensors { return {exp(x[0]) * exp(x[0])}; });
  EXPECT_EQ(optimize(before, {"fuse"}).op_names(), (Names{"exp", "multiply"}));
  EXPECT_EQ(optimize(before, {"fuse", "cse"}).op_names(), (Names{"exp", "exp", "multiply"}));
  EXPECT_EQ(optimize(before).op_names(), (Names{"fused"}));
  EXPECT_THROW(optimize(before, {"fuze"}), NotFoundError);
}

/// A loss, and something made of its gradient for an upstream that `upstream_of` makes from the loss and the third argument.
Graph loss_and_gradient(const std::function<Tensor(const Tensor& loss, const Tensor& given)>& upstream_of) {
  return trace_of({{int32, {4}}, kMatrix, {float32, {4}}}, [&](std::span<const Tensor> x) -> Tensors {
    const Tensor loss = sparse_softmax_cross_entropy_with_logits(x[0], exp(x[1]));
    const Tensor doubled = loss * 2.0f;
    return {doubled, abs(apply_named("sparse_softmax_cross_entropy_gradient", Tensors{x[0], exp(x[1]), upstream_of(loss, x[2])})[1])};
  });
}

TEST(MergeCovered, TakesTheLossFromTheCallThatMakesItsGradient) {
  const Graph before = merge_common(loss_and_gradient([](const Tensor&, const Tensor& given) { return square(given); }));
  const Graph after = merge_covered(before);
  EXPECT_EQ(after.op_names(), (Names{"exp", "square", "sparse_softmax_cross_entropy_gradient", "multiply", "abs"}));
  const Tensor arguments[] = {constant({0, 5, 2, 2}), ramp({4, 6}), ramp({4})};
  expect_same_results(before, after, arguments);
}

TEST(MergeCovered, LeavesAGradientThatNeedsTheLoss) {
  const Graph before = merge_common(loss_and_gradient([](const Tensor& loss, const Tensor& given) { return given * loss; }));
  EXPECT_EQ(merge_covered(before).op_names(), before.op_names());
}

TEST(MergeCovered, LeavesAGradientBehindAnEffect) {
  Graph before = merge_common(loss_and_gradient([](const Tensor&, const Tensor& given) { return square(given); }));
  std::find_if(before.nodes.begin(), before.nodes.end(), [](const Node& node) { return node.op == &find_op("square"); })->effect = Effect::print;
  EXPECT_EQ(merge_covered(before).op_names(), before.op_names());
}

TEST(MergeCovered, ComputesTheGradientOverTheLogits) {
  const Graph graph = merge_covered(merge_common(loss_and_gradient([](const Tensor&, const Tensor& given) { return square(given); })));
  const MemoryPlan plan = plan_memory(graph, schedule(graph, 1), {});
  const Node& wide = *std::find_if(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) { return node.op && !node.op->covers.empty(); });
  EXPECT_EQ(plan.storage_of[std::size_t(wide.outputs[1])], plan.storage_of[std::size_t(wide.inputs[1])]);
  EXPECT_NE(plan.storage_of[std::size_t(wide.outputs[0])], plan.storage_of[std::size_t(wide.inputs[0])]) << "numbers of classes are no losses";
}

TEST(MergeCovered, RefusesALabelBeforeAVariableChanges) {
  Variable counter(constant(0.0f));
  const auto step = function([&](const Tensor& labels, const Tensor& logits) {
    counter.assign(counter.value() + 1.0f);
    GradientTape tape;
    tape.watch(logits);
    const Tensor loss = reduce_mean(sparse_softmax_cross_entropy_with_logits(labels, logits));
    return tape.gradient(loss, logits).dense();
  });
  const Tensor logits = ramp({4, 6});
  step(constant({0, 1, 2, 3}), logits);
  EXPECT_THROW(step(constant({0, 1, 2, 6}), logits), InvalidArgumentError);
  EXPECT_EQ(counter.value().item<float>(), 1);
}

TEST(FusePointwise, ComputesCheapValuesAgainInsteadOfWritingThem) {
  const Graph before = trace_of({{float32, {64, 128}}}, [](std::span<const Tensor> x) -> Tensors {
    const Tensor centered = x[0] - reduce_mean(x[0], 0);
    return {centered * rsqrt(reduce_mean(square(centered), 0) + 1.0f)};
  });
  const Graph after = fuse_pointwise(before);
  for (const Node& node : after.nodes) {
    if (node.op == &fused_op()) {
      EXPECT_EQ(node.outputs.size(), 1u);
    }
  }
  const Tensor x = ramp({64, 128});
  expect_same_results(before, after, {&x, 1});
}

TEST(FusePointwise, WritesWhatWouldNeedMoreOperandsToBeComputedAgain) {
  const TensorSpec large{float32, {64, 128}};
  const Graph before = trace_of({large, large}, [](std::span<const Tensor> x) -> Tensors {
    const Tensor sum = x[0] + x[1];
    return {sum * reduce_mean(square(sum), 0)};
  });
  const Graph after = fuse_pointwise(before);
  const auto first = std::find_if(after.nodes.begin(), after.nodes.end(), [](const Node& node) { return node.op == &fused_op(); });
  ASSERT_NE(first, after.nodes.end());
  EXPECT_EQ(first->outputs.size(), 2u);
  const Tensor arguments[] = {ramp({64, 128}), ramp({64, 128})};
  expect_same_results(before, after, arguments);
}

}  // namespace
}  // namespace lockstep::autodiff

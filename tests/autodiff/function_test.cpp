#include <gtest/gtest.h>

#include <thread>

#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/lockstep.h>
#include <lockstep/tensor/base/allocator.h>

namespace lockstep::autodiff {
namespace {

TEST(Function, TracesOncePerDtypeAndShape) {
  int traces = 0;
  const auto cube = function([&](const Tensor& x) {
    ++traces;
    return x * x * x;
  });
  EXPECT_EQ(cube(constant(2.0f)).item<float>(), 8.0f);
  EXPECT_EQ(cube(constant(3.0f)).item<float>(), 27.0f);
  EXPECT_EQ(traces, 1);
  EXPECT_EQ(cube(constant(2)).item<std::int32_t>(), 8);
  EXPECT_EQ(cube(constant({1.0f, 2.0f})).to_vector<float>(), (std::vector<float>{1, 8}));
  EXPECT_EQ(traces, 3);
}

TEST(Function, RetracesForEachStaticValue) {
  const auto scale = function([](const Tensor& x, int factor) { return x * float(factor); });
  EXPECT_EQ(scale(constant(2.0f), 3).item<float>(), 6.0f);
  EXPECT_EQ(scale(constant(2.0f), 4).item<float>(), 8.0f);
  EXPECT_EQ(scale(constant(5.0f), 3).item<float>(), 15.0f);
  EXPECT_EQ(scale.trace_count(), 2);
}

TEST(Function, RefusesWhatItsInputSignatureDoesNotAllow) {
  const auto f = function([](const Tensor& x) { return x; }, {.input_signature = {{{float32, {-1, 2}}}}});
  EXPECT_EQ(f(full({3, 2}, 1.0, float32)).shape(), (Shape{3, 2}));
  EXPECT_THROW(f(full({3, 4}, 1.0, float32)), InvalidArgumentError);
  EXPECT_THROW(f(full({3, 2}, 1, int32)), InvalidArgumentError);
}

TEST(Function, ReportsEndlessRetracing) {
  const auto f = function([](const Tensor& x, int n) { return x + float(n); }, {.most_traces = 3});
  for (int n = 0; n < 3; ++n) f(constant(1.0f), n);
  EXPECT_THROW(f(constant(1.0f), 3), FailedPreconditionError);
}

TEST(Function, ReturnsTuplesAndVectors) {
  const auto both = function([](const Tensor& x) { return std::pair(x + 1.0f, x * 2.0f); });
  const auto [sum, product] = both(constant(3.0f));
  EXPECT_EQ(sum.item<float>(), 4.0f);
  EXPECT_EQ(product.item<float>(), 6.0f);
  const auto parts = function([](const Tensor& x) { return unstack(x); });
  EXPECT_EQ(parts(constant({1.0f, 2.0f}))[1].item<float>(), 2.0f);
}

TEST(Function, UpdatesVariablesAtEveryCall) {
  const Variable counter(constant(0), {.path = "counter"});
  const auto increment = function([&](const Tensor& by) {
    counter.assign_add(by);
    return counter.value();
  });
  EXPECT_EQ(increment(constant(1)).item<std::int32_t>(), 1);
  EXPECT_EQ(increment(constant(5)).item<std::int32_t>(), 6);
  EXPECT_EQ(counter.value().item<std::int32_t>(), 6);
  EXPECT_EQ(increment.trace_count(), 1);
}

TEST(Function, ReadsAVariableAsItIsAtThatPoint) {
  const Variable v(constant(1.0f));
  const auto f = function([&](const Tensor& x) {
    const Tensor before = v.value();
    v.assign(x);
    return std::pair(before, v.value() * 10.0f);
  });
  const auto [before, after] = f(constant(7.0f));
  EXPECT_EQ(before.item<float>(), 1.0f);
  EXPECT_EQ(after.item<float>(), 70.0f);
  EXPECT_EQ(v.value().item<float>(), 7.0f);
}

TEST(Function, ExchangesTwoVariables) {
  const Variable a(constant({1.0f, 2.0f})), b(constant({3.0f, 4.0f}));
  const auto swap = function([&](const Tensor& unused) {
    const Tensor old_a = a.value();
    a.assign(b.value());
    b.assign(old_a);
    return unused;
  });
  swap(constant(0.0f));
  EXPECT_EQ(a.value().to_vector<float>(), (std::vector<float>{3, 4}));
  EXPECT_EQ(b.value().to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(Function, KeepsTensorsReadBeforeAnUpdate) {
  const Variable w(full({1000}, 1.0, float32));
  const auto step = function([&](const Tensor& by) {
    w.assign_sub(by * w.value());
    return reduce_sum(w.value());
  });
  const Tensor before = w.value();
  step(constant(0.5f));
  EXPECT_EQ(before.data<float>()[999], 1.0f);
  EXPECT_EQ(w.value().data<float>()[999], 0.5f);
}

TEST(Function, DifferentiatesInside) {
  const Variable w(constant({1.0f, 2.0f, 3.0f}));
  const auto slope = function([&](const Tensor& x) {
    GradientTape tape;
    const Tensor loss = reduce_sum(square(w.value() * x));
    return tape.gradient(loss, w).dense();
  });
  EXPECT_EQ(slope(constant(2.0f)).to_vector<float>(), (std::vector<float>{8, 16, 24}));
}

TEST(Function, IsSeenThroughByATapeOutside) {
  const auto square_sum = function([](const Tensor& x) { return reduce_sum(x * x); });
  const Variable w(constant({1.0f, 2.0f}));
  GradientTape tape;
  const Tensor loss = square_sum(w);
  EXPECT_EQ(tape.gradient(loss, w).dense().to_vector<float>(), (std::vector<float>{2, 4}));
}

TEST(Function, JoinsTheTraceThatCallsIt) {
  const auto inner = function([](const Tensor& x) { return x + 1.0f; });
  const auto outer = function([&](const Tensor& x) { return inner(x) * inner(x); });
  EXPECT_EQ(outer(constant(2.0f)).item<float>(), 9.0f);
  EXPECT_EQ(outer.concrete_function(constant(2.0f)).graph().op_names(), (std::vector<std::string>{"add", "add", "multiply"}));
}

TEST(Function, RefusesElementsOfASymbolicTensor) {
  const auto f = function([](const Tensor& x) { return x * x.item<float>(); });
  EXPECT_THROW(f(constant(2.0f)), FailedPreconditionError);
}

TEST(Function, RefusesATensorThatLeakedFromItsTrace) {
  Tensor leaked;
  const auto f = function([&](const Tensor& x) {
    leaked = x + 1.0f;
    return x;
  });
  f(constant(2.0f));
  EXPECT_THROW(leaked + 1.0f, FailedPreconditionError);
}

TEST(Function, RunsOpsWhoseShapesDependOnData) {
  const auto positive = function([](const Tensor& x) { return boolean_mask(x, greater(x, scalar(0.0f, float32))) * 2.0f; });
  EXPECT_EQ(positive(constant({1.0f, -2.0f, 3.0f})).to_vector<float>(), (std::vector<float>{2, 6}));
  EXPECT_EQ(positive(constant({-1.0f, -2.0f, 3.0f})).to_vector<float>(), (std::vector<float>{6}));
}

TEST(Function, PrintsAndDrawsItsGraph) {
  const auto f = function([](const Tensor& x) { return exp(x) + 1.0f; });
  const Graph& graph = f.concrete_function(constant({1.0f, 2.0f})).graph();
  EXPECT_NE(to_string(graph).find("= exp(%0)"), std::string::npos) << to_string(graph);
  EXPECT_NE(to_dot(graph).find("digraph"), std::string::npos);
}

TEST(Function, LeavesVariablesAloneWhenItFails) {
  const Variable w(constant({1.0f, 2.0f}));
  const auto f = function([&](const Tensor& ids) {
    w.assign(w.value() + 1.0f);
    return gather(w.value(), ids);
  });
  EXPECT_THROW(f(constant({0, 7})), InvalidArgumentError);
  EXPECT_EQ(w.value().to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(Function, AllocatesNothingFromTheSystemInASteadyStep) {
  const Variable w(full({64, 32}, 0.1, float32)), m(full({64, 32}, 0.0, float32), {.trainable = false});
  const Tensor x = full({16, 64}, 0.5, float32);
  const auto step = function([&](const Tensor& batch) {
    GradientTape tape;
    const Tensor loss = reduce_mean(square(matmul(batch, w)));
    const Tensor g = tape.gradient(loss, w).dense();
    m.assign(0.9f * m.value() + g);
    w.assign_sub(0.1f * m.value());
    return loss;
  });
  for (int i = 0; i < 3; ++i) step(x);
  const std::size_t before = memory_stats().system_allocations;
  for (int i = 0; i < 10; ++i) step(x);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_EQ(memory_stats().system_allocations, before);
#else
  EXPECT_GE(memory_stats().system_allocations, before);
#endif
}

TEST(Function, MayBeCalledFromManyThreadsAtOnce) {
  const Variable total(full({64}, 0.0, float32));
  const auto add = function([&](const Tensor& x) {
    total.assign_add(x);
    return x * 2.0f;
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const Tensor y = add(full({64}, 1.0, float32));
        EXPECT_EQ(y.data<float>()[63], 2.0f);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(total.value().data<float>()[63], 200.0f);
}

}  // namespace
}  // namespace lockstep::autodiff

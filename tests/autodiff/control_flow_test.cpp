#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep::autodiff {
namespace {

Tensor absolute(const Tensor& x) {
  return cond(greater(reduce_sum(x), scalar(0.0f, float32)), [&] { return x * 1.0f; }, [&] { return x * -1.0f; });
}

TEST(Cond, TakesOneBranchInsideATrace) {
  const auto f = function(absolute);
  EXPECT_EQ(f(constant(3.0f)).item<float>(), 3.0f);
  EXPECT_EQ(f(constant(-3.0f)).item<float>(), 3.0f);
  EXPECT_EQ(f.trace_count(), 1);
}

TEST(Cond, ChangesOnlyTheVariablesOfTheBranchTaken) {
  const Variable positive(constant(0)), negative(constant(0));
  const auto count = function([&](const Tensor& x) {
    return cond(greater(x, scalar(0.0f, float32)),
                [&] {
                  positive.assign_add(1);
                  return x;
                },
                [&] {
                  negative.assign_add(1);
                  return x;
                });
  });
  count(constant(1.0f));
  count(constant(-1.0f));
  count(constant(2.0f));
  EXPECT_EQ(positive.value().item<std::int32_t>(), 2);
  EXPECT_EQ(negative.value().item<std::int32_t>(), 1);
}

TEST(Cond, IsDifferentiatedThroughTheBranchTaken) {
  const auto slope = function([](const Tensor& x) {
    GradientTape tape;
    tape.watch(x);
    const Tensor y = cond(greater(x, scalar(0.0f, float32)), [&] { return x * x; }, [&] { return x * -3.0f; });
    return tape.gradient(y, x).dense();
  });
  EXPECT_EQ(slope(constant(5.0f)).item<float>(), 10.0f);
  EXPECT_EQ(slope(constant(-5.0f)).item<float>(), -3.0f);
}

TEST(Cond, RefusesBranchesThatDisagree) {
  const auto f = function([](const Tensor& x) {
    return cond(greater(x, scalar(0.0f, float32)), [&] { return x; }, [&] { return cast(x, float64); });
  });
  EXPECT_THROW(f(constant(1.0f)), TypeError);
}

Tensor power_by_loop(const Tensor& x, const Tensor& n) {
  return for_range(constant(0), n, [&](const Tensor&, std::span<const Tensor> state) -> Tensors { return {state[0] * x}; }, {ones_like(x)})[0];
}

TEST(WhileLoop, LoopsAsOftenAsTheDataSay) {
  const auto f = function(power_by_loop);
  EXPECT_EQ(f(constant(2.0f), constant(10)).item<float>(), 1024.0f);
  EXPECT_EQ(f(constant(3.0f), constant(0)).item<float>(), 1.0f);
  EXPECT_EQ(f.trace_count(), 1);
  EXPECT_EQ(power_by_loop(constant(2.0f), constant(5)).item<float>(), 32.0f) << "and eagerly";
}

TEST(WhileLoop, IsDifferentiatedThroughEveryRound) {
  const auto slope = function([](const Tensor& x, const Tensor& n) {
    GradientTape tape;
    tape.watch(x);
    return tape.gradient(power_by_loop(x, n), x).dense();
  });
  EXPECT_EQ(slope(constant(2.0f), constant(3)).item<float>(), 12.0f);
  EXPECT_EQ(slope(constant(2.0f), constant(5)).item<float>(), 80.0f);
}

TEST(WhileLoop, CarriesTheVariablesThatItsBodyAssigns) {
  const Variable total(constant(0));
  const auto sum = function([&](const Tensor& n) {
    return for_range(constant(0), n, [&](const Tensor& i, std::span<const Tensor> state) -> Tensors {
      total.assign_add(i);
      return {state[0] + total.value()};
    }, {constant(0)})[0];
  });
  EXPECT_EQ(sum(constant(4)).item<std::int32_t>(), 0 + 1 + 3 + 6);
  EXPECT_EQ(total.value().item<std::int32_t>(), 6);
}

TEST(WhileLoop, RefusesAStateThatChangesItsShape) {
  const auto f = function([](const Tensor& x) {
    return while_loop([](std::span<const Tensor> s) { return less(reduce_sum(s[0]), scalar(10.0f, float32)); },
                      [](std::span<const Tensor> s) -> Tensors {
                        const Tensor pair[] = {s[0], s[0]};
                        return {concat(pair, 0)};
                      },
                      {x})[0];
  });
  EXPECT_THROW(f(constant({1.0f})), InvalidArgumentError);
}

TEST(Print, HappensWhenTheGraphRunsAndInOrder) {
  const auto f = function([](const Tensor& x) {
    print("first", {&x, 1});
    print("second");
    return x;
  });
  f.concrete_function(constant(1.0f));
  ::testing::internal::CaptureStdout();
  f(constant(1.0f));
  f(constant(2.0f));
  const std::string printed = ::testing::internal::GetCapturedStdout();
  EXPECT_EQ(printed, "first 1.0\nsecond\nfirst 2.0\nsecond\n");
}

}  // namespace
}  // namespace lockstep::autodiff

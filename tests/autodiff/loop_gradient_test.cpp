// Branches and loops against the same program unrolled in C++: values, first and second derivatives, traced and seen from outside.

#include <gtest/gtest.h>

#include <cmath>

#include <lockstep/lockstep.h>

namespace lockstep::autodiff {
namespace {

using Floats = std::vector<float>;
/// A program of a tensor and a number of rounds.
using Program = std::function<Tensor(const Tensor& x, const Tensor& n)>;

Tensor first_derivative(const Program& f, const Tensor& x, const Tensor& n) {
  GradientTape tape;
  tape.watch(x);
  return tape.gradient(f(x, n), x).dense();
}

Tensor second_derivative(const Program& f, const Tensor& x, const Tensor& n) {
  GradientTape tape;
  tape.watch(x);
  const Gradient gradient = tape.gradient(first_derivative(f, x, n), x);
  return gradient.exists() ? gradient.dense() : zeros_like(x);
}

Tensor third_derivative(const Program& f, const Tensor& x, const Tensor& n) {
  GradientTape tape;
  tape.watch(x);
  return tape.gradient(second_derivative(f, x, n), x).dense();
}

void expect_near(const Tensor& actual, const Tensor& expected, const char* what) {
  ASSERT_TRUE(actual.defined()) << what;
  const Floats a = actual.to_vector<float>(), b = expected.to_vector<float>();
  ASSERT_EQ(a.size(), b.size()) << what;
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4 * (1 + std::abs(b[i]))) << what << " " << i;
}

/// `graph` as a traced function, with tapes inside and outside, equals `plain` run eagerly.
void expect_same(const Program& graph, const Program& plain, const Tensor& x, int rounds) {
  const Tensor n = constant(rounds);
  const auto traced = function(graph);
  expect_near(traced(x, n), plain(x, n), "value");
  const Tensor first = first_derivative(plain, x, n), second = second_derivative(plain, x, n);
  const auto first_inside = [&](const Tensor& a, const Tensor& b) { return first_derivative(graph, a, b); };
  expect_near(function(first_inside)(x, n), first, "first, inside");
  expect_near(first_derivative(traced, x, n), first, "first, outside");
  expect_near(function([&](const Tensor& a, const Tensor& b) { return second_derivative(graph, a, b); })(x, n), second, "second, inside");
  expect_near(second_derivative(traced, x, n), second, "second, outside");
  expect_near(first_derivative(function(first_inside), x, n), second, "second, one inside and one outside");
}

const Tensor kPoint = constant({0.5f, -1.25f, 2.0f});

TEST(LoopGradient, OfAPowerEqualsTheUnrolledOne) {
  const Program plain = [](const Tensor& x, const Tensor& n) {
    Tensor y = ones_like(x);
    for (int i = 0; i < n.item<std::int32_t>(); ++i) y = y * x;
    return y;
  };
  const Program graph = [](const Tensor& x, const Tensor& n) {
    return for_range(constant(0), n, [&](const Tensor&, std::span<const Tensor> state) -> Tensors { return {state[0] * x}; }, {ones_like(x)})[0];
  };
  for (const int rounds : {1, 4}) expect_same(graph, plain, kPoint, rounds);
  expect_near(function([&](const Tensor& x, const Tensor& n) { return first_derivative(graph, x, n); })(kPoint, constant(0)), zeros_like(kPoint), "no round");
}

TEST(LoopGradient, OfSeveralStatesThatMixEqualsTheUnrolledOne) {
  const auto round = [](const Tensor& x, const Tensor& a, const Tensor& b) { return std::pair(sin(a) + b * x, a * 0.5f + square(b) * 0.1f); };
  const Program plain = [&](const Tensor& x, const Tensor& n) {
    Tensor a = x, b = x * x;
    for (int i = 0; i < n.item<std::int32_t>(); ++i) std::tie(a, b) = round(x, a, b);
    return reduce_sum(a * b);
  };
  const Program graph = [&](const Tensor& x, const Tensor& n) {
    const Tensors done = for_range(constant(0), n, [&](const Tensor&, std::span<const Tensor> state) -> Tensors {
      const auto [a, b] = round(x, state[0], state[1]);
      return {a, b};
    }, {x, x * x});
    return reduce_sum(done[0] * done[1]);
  };
  expect_same(graph, plain, kPoint, 3);
}

TEST(LoopGradient, UsesTheCounterAsAValue) {
  const Program plain = [](const Tensor& x, const Tensor& n) {
    Tensor y = x;
    for (int i = 0; i < n.item<std::int32_t>(); ++i) y = y * y * 0.5f + x * float(i);
    return y;
  };
  const Program graph = [](const Tensor& x, const Tensor& n) {
    return for_range(constant(0), n, [&](const Tensor& i, std::span<const Tensor> state) -> Tensors {
      return {state[0] * state[0] * 0.5f + x * cast(i, float32)};
    }, {x})[0];
  };
  expect_same(graph, plain, kPoint, 3);
}

TEST(LoopGradient, StopsWhereTheDataSay) {
  const Program plain = [](const Tensor& x, const Tensor&) {
    Tensor y = x;
    while (reduce_sum(y * y).item<float>() < 50.0f) y = y * 1.5f + x * y;
    return y;
  };
  const Program graph = [](const Tensor& x, const Tensor&) {
    return while_loop([](std::span<const Tensor> s) { return less(reduce_sum(s[0] * s[0]), scalar(50.0f, float32)); },
                      [&](std::span<const Tensor> s) -> Tensors { return {s[0] * 1.5f + x * s[0]}; }, {x})[0];
  };
  expect_same(graph, plain, constant({0.5f, 0.25f}), 0);
}

TEST(LoopGradient, GoesThroughALoopInALoop) {
  const Program plain = [](const Tensor& x, const Tensor& n) {
    Tensor y = x;
    for (int i = 0; i < n.item<std::int32_t>(); ++i)
      for (int j = 0; j < i; ++j) y = y * x + 0.5f;
    return y;
  };
  const Program graph = [](const Tensor& x, const Tensor& n) {
    return for_range(constant(0), n, [&](const Tensor& i, std::span<const Tensor> state) -> Tensors {
      return for_range(constant(0), i, [&](const Tensor&, std::span<const Tensor> inner) -> Tensors { return {inner[0] * x + 0.5f}; }, {state[0]});
    }, {x})[0];
  };
  expect_same(graph, plain, kPoint, 3);
}

TEST(LoopGradient, GoesThroughABranchInALoop) {
  const Program plain = [](const Tensor& x, const Tensor& n) {
    Tensor y = x;
    for (int i = 0; i < n.item<std::int32_t>(); ++i) y = reduce_sum(y).item<float>() > 1.0f ? y * x : square(y) + x;
    return y;
  };
  const Program graph = [](const Tensor& x, const Tensor& n) {
    return for_range(constant(0), n, [&](const Tensor&, std::span<const Tensor> state) -> Tensors {
      return {cond(greater(reduce_sum(state[0]), scalar(1.0f, float32)), [&] { return state[0] * x; }, [&] { return square(state[0]) + x; })};
    }, {x})[0];
  };
  expect_same(graph, plain, kPoint, 4);
}

TEST(LoopGradient, HasAThirdDerivative) {
  const Program graph = [](const Tensor& x, const Tensor& n) {
    return for_range(constant(0), n, [&](const Tensor&, std::span<const Tensor> state) -> Tensors { return {state[0] * x}; }, {ones_like(x)})[0];
  };
  const auto third = function([&](const Tensor& x, const Tensor& n) { return third_derivative(graph, x, n); });
  EXPECT_NEAR(third(constant(2.0f), constant(4)).item<float>(), 4 * 3 * 2 * 2.0, 1e-3);
}

TEST(LoopGradient, ReachesAVariableReadInTheBody) {
  const Variable w(constant(1.5f));
  const auto slope = function([&](const Tensor& n) {
    GradientTape tape;
    const Tensor y = for_range(constant(0), n, [&](const Tensor&, std::span<const Tensor> state) -> Tensors { return {state[0] * w.value()}; }, {constant(1.0f)})[0];
    return tape.gradient(y, w).dense();
  });
  EXPECT_NEAR(slope(constant(3)).item<float>(), 3 * 1.5 * 1.5, 1e-5);
}

TEST(CondGradient, EqualsThatOfTheBranchTaken) {
  for (const float start : {2.0f, -2.0f}) {
    const Program plain = [](const Tensor& x, const Tensor&) { return reduce_sum(x).item<float>() > 0 ? x * x * x : exp(x) * 2.0f; };
    const Program graph = [](const Tensor& x, const Tensor&) {
      return cond(greater(reduce_sum(x), scalar(0.0f, float32)), [&] { return x * x * x; }, [&] { return exp(x) * 2.0f; });
    };
    expect_same(graph, plain, constant({start, 0.5f}), 0);
  }
}

TEST(CondGradient, IsZeroForWhatTheBranchTakenDoesNotUse) {
  const auto slopes = function([](const Tensor& x, const Tensor& y) {
    GradientTape tape;
    tape.watch(x);
    tape.watch(y);
    const Tensor z = cond(greater(x, scalar(0.0f, float32)), [&] { return x * 3.0f; }, [&] { return x * y; });
    const auto gradients = tape.gradient(z, {x, y});
    return std::pair(gradients[0].dense(), gradients[1].dense());
  });
  const auto [x, y] = slopes(constant(1.0f), constant(5.0f));
  EXPECT_EQ(x.item<float>(), 3.0f);
  EXPECT_EQ(y.item<float>(), 0.0f);
  EXPECT_EQ(slopes(constant(-1.0f), constant(5.0f)).second.item<float>(), -1.0f);
}

TEST(CondGradient, CountsATensorThatComesTwiceTwice) {
  const auto product = function([](const Tensor& p, const Tensor& a, const Tensor& b) {
    return cond(greater(p, scalar(0.0f, float32)), [&] { return a * b; }, [&] { return a; });
  });
  const auto looped = function([](const Tensor& n, const Tensor& a, const Tensor& b) {
    return for_range(constant(0), n, [&](const Tensor&, std::span<const Tensor> s) -> Tensors { return {s[0] * a * b}; }, {a})[0];
  });
  const Tensor x = constant(3.0f);
  GradientTape tape({.persistent = true});
  tape.watch(x);
  EXPECT_EQ(tape.gradient(product(constant(1.0f), x, x), x).dense().item<float>(), 6.0f);
  EXPECT_EQ(tape.gradient(looped(constant(1), x, x), x).dense().item<float>(), 27.0f) << "x^3";
  EXPECT_EQ(second_derivative([&](const Tensor& y, const Tensor& n) { return looped(n, y, y); }, x, constant(1)).item<float>(), 18.0f);
}

TEST(CondGradient, OfABranchThatReturnsWhatItCapturedIsCountedOnce) {
  const auto choose = function([](const Tensor& p, const Tensor& a) {
    return cond(greater(p, scalar(0.0f, float32)), [&]() -> Tensors { return {a, a}; }, [&]() -> Tensors { return {a * 2.0f, a}; });
  });
  const auto looped = function([](const Tensor& n, const Tensor& a, const Tensor& b) {
    return for_range(constant(0), n, [](const Tensor&, std::span<const Tensor> s) -> Tensors { return {s[1], s[0]}; }, {a, b});
  });
  const Tensor x = constant(3.0f), y = constant(5.0f);
  GradientTape tape({.persistent = true});
  tape.watch(x);
  tape.watch(y);
  const Tensors chosen = choose(constant(1.0f), x);
  EXPECT_EQ(tape.gradient(chosen[0] * 10.0f + chosen[1], x).dense().item<float>(), 11.0f);
  for (const int rounds : {0, 1, 2}) {
    const Tensors swapped = looped(constant(rounds), x, y);
    const auto gradients = tape.gradient(swapped[0] * 10.0f + swapped[1], {x, y});
    EXPECT_EQ(gradients[0].dense().item<float>(), rounds % 2 ? 1.0f : 10.0f) << rounds;
    EXPECT_EQ(gradients[1].dense().item<float>(), rounds % 2 ? 10.0f : 1.0f) << rounds;
  }
}

TEST(CondGradient, ReachesAVariableReadInABranch) {
  const Variable w(constant(3.0f)), v(constant(2.0f));
  const auto slopes = function([&](const Tensor& x) {
    GradientTape tape;
    const Tensor y = cond(greater(x, scalar(0.0f, float32)), [&] { return square(w.value()) * x; },
                          [&] { return cond(less(x, scalar(-5.0f, float32)), [&] { return v * x; }, [&] { return v * w.value(); }); });
    const auto gradients = tape.gradient(y + w.value(), {w, v});
    return std::pair(gradients[0].dense(), gradients[1].dense());
  });
  const auto at = [&](float x) {
    const auto [first, second] = slopes(constant(x));
    return std::pair(first.item<float>(), second.item<float>());
  };
  EXPECT_EQ(at(10.0f), std::pair(61.0f, 0.0f));
  EXPECT_EQ(at(-1.0f), std::pair(3.0f, 3.0f));
  EXPECT_EQ(at(-6.0f), std::pair(1.0f, -6.0f));
}

TEST(CondGradient, OfABranchInABranchEqualsTheOneTaken) {
  const auto pick = [](const Tensor& x, const Tensor&) {
    const auto above = [&](float bound) { return greater(reduce_sum(x), scalar(bound, float32)); };
    return cond(above(0), [&] { return cond(above(2), [&] { return x * x; }, [&] { return x * 5.0f; }); }, [&] { return -x; });
  };
  for (const float start : {3.0f, 1.0f, -1.0f}) {
    const Program plain = [&](const Tensor& x, const Tensor&) { return start > 2 ? x * x : start > 0 ? x * 5.0f : -x; };
    expect_near(function([&](const Tensor& x, const Tensor& n) { return first_derivative(pick, x, n); })(constant(start), constant(0)),
                first_derivative(plain, constant(start), constant(0)), "nested");
  }
}

TEST(Cond, AssignmentsInABranchAreSeenAfterIt) {
  const Variable v(constant(1.0f));
  const auto f = function([&](const Tensor& x) {
    v.assign(v.value() + 1.0f);
    const Tensor y = cond(greater(x, scalar(0.0f, float32)),
                          [&] {
                            v.assign(v.value() * 10.0f);
                            v.assign_add(x);
                            return v.value();
                          },
                          [&] { return v.value(); });
    return std::pair(y, v.value());
  });
  const auto [taken, after] = f(constant(5.0f));
  EXPECT_EQ(taken.item<float>(), 25.0f);
  EXPECT_EQ(after.item<float>(), 25.0f);
  const auto [other, same] = f(constant(-5.0f));
  EXPECT_EQ(other.item<float>(), 26.0f);
  EXPECT_EQ(same.item<float>(), 26.0f);
  EXPECT_EQ(v.value().item<float>(), 26.0f);
}

TEST(Cond, DrawsRandomNumbersOnlyInTheBranchTaken) {
  const Generator generator(3);
  const auto f = function([&](const Tensor& x) {
    return cond(greater(x, scalar(0.0f, float32)), [&] { return random::uniform_from(generator.next_key(), {}); }, [&] { return x; });
  });
  const float first = f(constant(1.0f)).item<float>();
  f(constant(-1.0f));
  const float second = f(constant(1.0f)).item<float>();
  EXPECT_NE(first, second);
  EXPECT_EQ(generator.state().value().to_vector<std::int64_t>(), (std::vector<std::int64_t>{3, 2}));
}

TEST(WhileLoop, DrawsNewRandomNumbersInEachRound) {
  const auto f = function([](const Tensor& n) {
    return for_range(constant(0), n, [](const Tensor&, std::span<const Tensor> s) -> Tensors {
      return {s[1], random::uniform({})};
    }, {constant(0.0f), constant(0.0f)});
  });
  const Tensors last_two = f(constant(5));
  EXPECT_NE(last_two[0].item<float>(), last_two[1].item<float>());
}

TEST(WhileLoop, PrintsInEachRoundAndNotAgainForTheGradient) {
  const auto slope = function([](const Tensor& x) {
    GradientTape tape;
    tape.watch(x);
    const Tensor y = for_range(constant(0), constant(2), [&](const Tensor& i, std::span<const Tensor> s) -> Tensors {
      print("round", {&i, 1});
      return {cond(greater(x, scalar(0.0f, float32)), [&] { print("up"); return s[0] * x; }, [&] { return s[0]; })};
    }, {x})[0];
    const Tensor z = cond(greater(x, scalar(0.0f, float32)), [&] { print("last"); return y * 2.0f; }, [&] { return y; });
    return tape.gradient(z, x).dense();
  });
  ::testing::internal::CaptureStdout();
  const Tensor result = slope(constant(2.0f));
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "round 0\nup\nround 1\nup\nlast\n");
  EXPECT_EQ(result.item<float>(), 24.0f);
}

TEST(WhileLoop, RefusesAConditionThatIsNoBoolScalar) {
  const auto f = function([](const Tensor& x) {
    return while_loop([](std::span<const Tensor> s) { return s[0]; }, [](std::span<const Tensor> s) -> Tensors { return {s[0]}; }, {x})[0];
  });
  EXPECT_THROW(f(constant(1.0f)), InvalidArgumentError);
}

TEST(Cond, RefusesAPredicateThatIsNoBoolScalar) {
  const auto choose = [](const Tensor& p) { return cond(p, [] { return constant(1.0f); }, [] { return constant(2.0f); }); };
  EXPECT_THROW(choose(constant(1.0f)), TypeError);
  EXPECT_THROW(function(choose)(constant(1.0f)), TypeError);
  EXPECT_THROW(function(choose)(constant({true, false})), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep::autodiff

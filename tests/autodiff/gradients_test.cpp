// What a tape answers in the less common cases: rows, custom rules, higher derivatives, tapes in tapes.

#include <gtest/gtest.h>

#include <cmath>

#include <lockstep/lockstep.h>

#include "../message_of.h"

namespace lockstep::autodiff {
namespace {

using Floats = std::vector<float>;

Floats values(const Gradient& gradient) { return gradient.exists() ? gradient.dense().to_vector<float>() : Floats(); }

/// What an error of type E says; empty if there was none.
/// The book's softplus, right at large inputs, with a rule of its own.
auto book_softplus() {
  return custom_gradient([](const Tensor& z) {
    const Tensor slope = 1.0f - 1.0f / (1.0f + exp(z));
    return CustomGradient{log(1.0f + exp(-abs(z))) + maximum(scalar(0.0f, float32), z), [slope](const Tensor& g) { return Tensors{g * slope}; }};
  });
}

TEST(Tape, SaysWhyItDoesNotAnswerTwice) {
  const Variable w(constant(2.0f));
  GradientTape tape;
  const Tensor y = square(w);
  tape.gradient(y, w);
  const std::string message = message_of<FailedPreconditionError>([&] { tape.gradient(y, w); });
  EXPECT_NE(message.find("given its gradient already"), std::string::npos) << message;
  EXPECT_NE(message.find("persistent"), std::string::npos) << message;
  EXPECT_THROW(tape.jacobian(y, w), FailedPreconditionError);
}

TEST(Tape, StartsOverAfterReset) {
  const Variable w(constant(2.0f));
  GradientTape tape;
  const Tensor first = square(w);
  tape.gradient(first, w);
  tape.reset();
  const Tensor second = w * 5.0f;
  EXPECT_EQ(values(tape.gradient(second, w)), Floats{5});
}

TEST(Tape, WatchesFloatsOnly) {
  GradientTape tape;
  EXPECT_NE(message_of<InvalidArgumentError>([&] { tape.watch(constant({1, 2})); }).find("int32"), std::string::npos);
}

TEST(Tape, DoesNotWatchVariablesThatAreNotTrainable) {
  const Variable frozen(constant(3.0f), {.trainable = false}), w(constant(2.0f));
  GradientTape tape;
  const Tensor y = frozen * w.value();
  const auto gradients = tape.gradient(y, {frozen, w});
  EXPECT_FALSE(gradients[0].exists());
  EXPECT_EQ(values(gradients[1]), Floats{3});
}

TEST(Tape, WatchesOnlyWhatItIsToldToIfAccessIsNotEnough) {
  const Variable a(constant(3.0f)), b(constant(2.0f));
  GradientTape tape({.watch_accessed_variables = false});
  tape.watch(a);
  const Tensor y = a.value() * b.value();
  const auto gradients = tape.gradient(y, {a, b});
  EXPECT_EQ(values(gradients[0]), Floats{2});
  EXPECT_FALSE(gradients[1].exists());
}

TEST(Tape, AddsAllReadingsOfAVariable) {
  const Variable w(constant(3.0f));
  GradientTape tape;
  const Tensor before = square(w);
  w.assign(10.0f);
  const Tensor y = before + w.value() * 2.0f;
  EXPECT_EQ(values(tape.gradient(y, w)), Floats{2 * 3 + 2});
}

TEST(Tape, TakesSeveralTargetsWithTheirUpstreams) {
  const Variable w(constant({1.0f, 2.0f}));
  GradientTape tape;
  const Tensor targets[] = {square(w), w * 3.0f};
  const Tensor upstreams[] = {constant({10.0f, 1.0f}), Tensor()};
  const Source sources[] = {w};
  EXPECT_EQ(values(tape.gradient(targets, sources, upstreams)[0]), (Floats{23, 7}));
}

TEST(Tape, GivesTheGradientOfASourceThatIsTheTarget) {
  const Tensor x = constant({4.0f, 5.0f});
  GradientTape tape;
  tape.watch(x);
  EXPECT_EQ(values(tape.gradient(x, x)), (Floats{1, 1}));
}

TEST(Tape, GivesGradientsOfIntermediates) {
  const Variable w(constant(3.0f));
  GradientTape tape;
  const Tensor middle = square(w);
  const Tensor y = middle * middle;
  EXPECT_EQ(values(tape.gradient(y, middle)), Floats{18});
}

TEST(Tape, GivesInfinityForARootOfAnUnderflow) {
  const Variable x(constant({1e-50}, float32));
  GradientTape tape;
  EXPECT_TRUE(std::isinf(values(tape.gradient(sqrt(x), x))[0]));
}

TEST(Tape, SeesEverythingAgainAfterAPauseAndPausesNest) {
  const Variable w(constant(2.0f));
  GradientTape tape;
  Tensor y = square(w);
  {
    const auto outer = tape.stop_recording();
    { const auto inner = tape.stop_recording(); }
    EXPECT_FALSE(tape.recording());
    y = y + 100.0f * w.value();
  }
  EXPECT_TRUE(tape.recording());
  const Tensor z = w * 7.0f;
  EXPECT_EQ(values(tape.gradient(z, w)), Floats{7});
}

TEST(Tape, PausesOneTapeAndNotTheOther) {
  const Variable w(constant(2.0f));
  GradientTape paused, awake;
  Tensor y;
  {
    const auto pause = paused.stop_recording();
    y = square(w);
  }
  EXPECT_FALSE(paused.gradient(y, w).exists());
  EXPECT_EQ(values(awake.gradient(y, w)), Floats{4});
}

TEST(Tape, NestsThreeTimes) {
  const Variable x(constant(2.0f));
  GradientTape third;
  Tensor second_derivative;
  {
    GradientTape second;
    Tensor first_derivative;
    {
      GradientTape first;
      const Tensor y = square(square(x));
      first_derivative = first.gradient(y, x).dense();
    }
    second_derivative = second.gradient(first_derivative, x).dense();
  }
  EXPECT_EQ(second_derivative.item<float>(), 12 * 4);
  EXPECT_EQ(values(third.gradient(second_derivative, x)), Floats{24 * 2});
}

TEST(Tape, DifferentiatesThroughAnAssignmentOfAnotherVariableNever) {
  const Variable w(constant(3.0f)), copy(constant(1.0f));
  GradientTape tape;
  copy.assign_add(square(w));
  EXPECT_FALSE(tape.gradient(copy.value() * 2.0f, w).exists());
}

TEST(IndexedSlices, AreSummedOverRepeatedIndices) {
  const Variable table(full({4, 2}, 0.0, float32));
  GradientTape tape;
  const Tensor rows = embedding_lookup(table, constant({{2, 0}, {2, 2}}));
  const Tensor weights = constant({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f});
  const Gradient gradient = tape.gradient(rows * reshape(weights, {2, 2, 2}), table);
  ASSERT_TRUE(gradient.is_slices());
  EXPECT_EQ(gradient.slices().values.shape(), (Shape{4, 2}));
  EXPECT_EQ(gradient.slices().dense_shape, (Shape{4, 2}));
  EXPECT_EQ(values(gradient), (Floats{3, 4, 0, 0, 13, 16, 0, 0}));
}

TEST(IndexedSlices, StayRowsWhenTwoLookupsMeet) {
  const Variable table(full({3, 1}, 0.0, float32));
  GradientTape tape;
  const Tensor y = reduce_sum(gather(table, constant({0, 1}))) + 2.0f * reduce_sum(gather(table, constant({1})));
  const Gradient gradient = tape.gradient(y, table);
  ASSERT_TRUE(gradient.is_slices());
  EXPECT_EQ(gradient.slices().indices.numel(), 3);
  EXPECT_EQ(values(gradient), (Floats{1, 3, 0}));
}

TEST(IndexedSlices, StayRowsWhereOneLookupIsByWiderIndices) {
  const Variable table(full({3, 1}, 0.0, float32));
  for (const bool wide_first : {false, true}) {
    GradientTape tape;
    const Tensor narrow = reduce_sum(gather(table, constant({0, 1}))), wide = 2.0f * reduce_sum(gather(table, constant(std::vector<std::int64_t>{1})));
    const Gradient gradient = tape.gradient(wide_first ? wide + narrow : narrow + wide, table);
    ASSERT_TRUE(gradient.is_slices());
    EXPECT_EQ(gradient.slices().indices.dtype(), int64);
    EXPECT_EQ(values(gradient), (Floats{1, 3, 0}));
  }
}

TEST(IndexedSlices, BecomeDenseBesideADenseGradient) {
  const Variable table(constant({{1.0f}, {2.0f}, {3.0f}}));
  GradientTape tape;
  const Tensor y = reduce_sum(gather(table, constant({2, 2}))) + reduce_sum(square(table));
  const Gradient gradient = tape.gradient(y, table);
  EXPECT_FALSE(gradient.is_slices());
  EXPECT_EQ(values(gradient), (Floats{2, 4, 8}));
}

TEST(IndexedSlices, GoOnThroughTheOpsThatMadeTheTable) {
  const Variable w(constant({{1.0f}, {2.0f}}));
  GradientTape tape;
  const Tensor y = gather(square(w), constant({1, 1, 0}));
  EXPECT_EQ(values(tape.gradient(y, w)), (Floats{2, 8}));
}

TEST(IndexedSlices, ComeOutOfATracedFunctionAsItsGradient) {
  const Variable table(full({3, 1}, 1.0, float32));
  const auto slope = function([&](const Tensor& ids) {
    GradientTape tape;
    return tape.gradient(reduce_sum(gather(table, ids)), table).dense();
  });
  EXPECT_EQ(slope(constant({2, 2, 0})).to_vector<float>(), (Floats{1, 0, 2}));
}

TEST(CustomGradient, IsDifferentiatedTwiceThroughWhatItsRuleUses) {
  const Variable x(constant({0.0f, 1.0f}));
  const auto softplus = book_softplus();
  GradientTape outer;
  Tensor first;
  {
    GradientTape inner;
    first = inner.gradient(softplus(x), x).dense();
  }
  const Floats second = values(outer.gradient(first, x));
  ASSERT_EQ(second.size(), 2u);
  for (int i = 0; i < 2; ++i) {
    const double s = 1 / (1 + std::exp(-double(i)));
    EXPECT_NEAR(second[std::size_t(i)], s * (1 - s), 1e-6);
  }
}

TEST(CustomGradient, HoldsInsideATracedFunction) {
  const auto slope = function([f = book_softplus()](const Tensor& x) {
    GradientTape tape;
    tape.watch(x);
    return tape.gradient(f(x), x).dense();
  });
  EXPECT_EQ(slope(constant({1000.0f, 0.0f})).to_vector<float>(), (Floats{1, 0.5}));
}

TEST(CustomGradient, HoldsForATapeOutsideOfTheTracedFunction) {
  const auto softplus = function([f = book_softplus()](const Tensor& x) { return f(x); });
  const Variable x(constant({1000.0f, 0.0f}));
  EXPECT_EQ(softplus(x).to_vector<float>()[0], 1000.0f);
  GradientTape tape;
  EXPECT_EQ(values(tape.gradient(softplus(x), x)), (Floats{1, 0.5}));
}

TEST(CustomGradient, CostsNothingInAnOptimizedGraph) {
  const auto softplus = function([f = book_softplus()](const Tensor& x) { return f(x); });
  EXPECT_EQ(softplus.concrete_function(constant({1.0f})).optimized().op_names(), std::vector<std::string>{"fused"});
}

TEST(CustomGradient, MayCallAnother) {
  const auto doubled = custom_gradient([](const Tensor& x) { return CustomGradient{x * 1.0f, [](const Tensor& g) { return Tensors{g * 2.0f}; }}; });
  const auto both = custom_gradient([&](const Tensor& x) {
    return CustomGradient{doubled(x) + 1.0f, [](const Tensor& g) { return Tensors{g * 10.0f}; }};
  });
  const auto through = [&](const Tensor& x) {
    GradientTape tape;
    tape.watch(x);
    return std::pair(tape.gradient(both(doubled(x)), x).dense(), both(x));
  };
  EXPECT_EQ(through(constant(3.0f)).first.item<float>(), 20.0f) << "the inner rule of `both` counts for nothing";
  const auto traced = function(through);
  const auto [slope, value] = traced(constant(3.0f));
  EXPECT_EQ(slope.item<float>(), 20.0f);
  EXPECT_EQ(value.item<float>(), 4.0f);
}

TEST(CustomGradient, GivesEachOfSeveralArgumentsItsOwn) {
  const auto f = custom_gradient([](const Tensor& x, const Tensor& y) {
    return CustomGradient{x * y, [](const Tensor& g) { return Tensors{g * 100.0f, Tensor()}; }};
  });
  const Variable a(constant(2.0f)), b(constant(3.0f));
  GradientTape tape;
  const auto gradients = tape.gradient(f(a, b), {a, b});
  EXPECT_EQ(values(gradients[0]), Floats{100});
  EXPECT_FALSE(gradients[1].exists()) << "an undefined tensor means none";
}

TEST(CustomGradient, RefusesARuleThatForgetsAnArgument) {
  const auto f = custom_gradient([](const Tensor& x, const Tensor& y) {
    return CustomGradient{x * y, [](const Tensor& g) { return Tensors{g}; }};
  });
  const Variable a(constant(2.0f)), b(constant(3.0f));
  GradientTape tape;
  const Tensor z = f(a, b);
  EXPECT_NE(message_of<InvalidArgumentError>([&] { tape.gradient(z, a); }).find("1 gradients for 2 arguments"), std::string::npos);
}

TEST(CustomGradient, MayReturnItsArgument) {
  const auto reversed = custom_gradient([](const Tensor& x) { return CustomGradient{x, [](const Tensor& g) { return Tensors{-g}; }}; });
  const Variable w(constant(2.0f));
  {
    GradientTape tape;
    EXPECT_EQ(values(tape.gradient(reversed(w) * 3.0f, w)), Floats{-3});
  }
  const auto traced = function([&](const Tensor& x) { return reversed(x) * 3.0f; });
  GradientTape tape;
  EXPECT_EQ(values(tape.gradient(traced(w), w)), Floats{-3});
}

TEST(Jacobian, OfAMatrixProductIsTheOtherFactor) {
  const Tensor a = constant({{1.0f, 2.0f}, {3.0f, 4.0f}}), x = constant({{5.0f}, {6.0f}});
  GradientTape tape;
  tape.watch(x);
  const Tensor jacobian = tape.jacobian(matmul(a, x), x);
  EXPECT_EQ(jacobian.shape(), (Shape{2, 1, 2, 1}));
  EXPECT_EQ(jacobian.to_vector<float>(), (Floats{1, 2, 3, 4}));
}

TEST(Jacobian, IsZeroWhereThereIsNoPath) {
  const Variable x(constant({1.0f, 2.0f})), unused(constant({1.0f, 2.0f, 3.0f}));
  GradientTape tape;
  const Tensor jacobian = tape.jacobian(square(x), unused);
  EXPECT_EQ(jacobian.shape(), (Shape{2, 3}));
  EXPECT_EQ(jacobian.to_vector<float>(), Floats(6, 0.0f));
}

TEST(Jacobian, IsTracedAndDifferentiatedAgain) {
  const auto second = [](const Tensor& x) {
    GradientTape outer;
    outer.watch(x);
    Tensor first;
    {
      GradientTape inner;
      inner.watch(x);
      first = inner.jacobian(x * x * x, x);
    }
    return outer.jacobian(first, x);
  };
  const Tensor x = constant({1.0f, 2.0f});
  const Floats expected = {6, 0, 0, 0, 0, 0, 0, 12};
  EXPECT_EQ(second(x).to_vector<float>(), expected);
  EXPECT_EQ(function(second)(x).to_vector<float>(), expected);
}

TEST(BatchJacobian, KeepsExamplesApart) {
  const Tensor x = constant({{1.0f, 2.0f}, {3.0f, 4.0f}, {5.0f, 6.0f}});
  const auto jacobian = [](const Tensor& x) {
    GradientTape tape;
    tape.watch(x);
    const Tensor y = stack(std::vector<Tensor>{reduce_sum(square(x), 1), reduce_prod(x, 1)}, 1);
    return tape.batch_jacobian(y, x);
  };
  const Tensor eager = jacobian(x);
  EXPECT_EQ(eager.shape(), (Shape{3, 2, 2}));
  EXPECT_EQ(eager.to_vector<float>(), (Floats{2, 4, 2, 1, 6, 8, 4, 3, 10, 12, 6, 5}));
  EXPECT_EQ(function(jacobian)(x).to_vector<float>(), eager.to_vector<float>());
}

TEST(BatchJacobian, RefusesBatchesOfUnequalSize) {
  const Variable x(constant({{1.0f}, {2.0f}}));
  GradientTape tape;
  const std::string message = message_of<InvalidArgumentError>([&] { tape.batch_jacobian(reduce_sum(x, 0), x); });
  EXPECT_NE(message.find("share their first axis"), std::string::npos) << message;
}

TEST(Hessian, OfAQuadraticFormIsItsMatrix) {
  const Tensor a = constant({{2.0f, 1.0f}, {1.0f, 6.0f}});
  const auto form = [&](const Tensor& x) { return 0.5f * reduce_sum(x * matvec(a, x)); };
  const Tensor x = constant({1.0f, -1.0f});
  EXPECT_EQ(hessian(form, x).to_vector<float>(), (Floats{2, 1, 1, 6}));
  EXPECT_EQ(function([&](const Tensor& x) { return hessian(form, x); })(x).to_vector<float>(), (Floats{2, 1, 1, 6}));
}

TEST(Hessian, OfALinearFunctionIsZero) {
  const Tensor matrix = hessian([](const Tensor& x) { return reduce_sum(x * 3.0f); }, constant({1.0f, 2.0f}));
  EXPECT_EQ(matrix.shape(), (Shape{2, 2}));
  EXPECT_EQ(matrix.to_vector<float>(), Floats(4, 0.0f));
}

TEST(TapeAndFunction, ATapeOutsideSeesATensorThatTheFunctionCaptured) {
  const Tensor c = constant(3.0f);
  const auto f = function([&](const Tensor& x) { return x * c; });
  GradientTape tape;
  tape.watch(c);
  EXPECT_EQ(values(tape.gradient(f(constant(5.0f)), c)), Floats{5});
}

TEST(TapeAndFunction, ATapeOutsideDifferentiatesATapeInside) {
  const auto slope = function([](const Tensor& x) {
    GradientTape tape;
    tape.watch(x);
    return tape.gradient(x * x * x, x).dense();
  });
  const Variable x(constant(2.0f));
  GradientTape tape;
  EXPECT_EQ(values(tape.gradient(slope(x), x)), Floats{12});
}

TEST(TapeAndFunction, ATapeOutsideLeavesTheFunctionsStateRight) {
  const Variable w(constant(3.0f)), calls(constant(0), {.trainable = false});
  const auto f = function([&](const Tensor& x) {
    calls.assign_add(1);
    return w.value() * x;
  });
  for (int i = 0; i < 3; ++i) {
    GradientTape tape;
    EXPECT_EQ(values(tape.gradient(f(constant(2.0f)), w)), Floats{2});
  }
  EXPECT_EQ(calls.value().item<std::int32_t>(), 3);
}

TEST(TapeAndFunction, ATapeThatIsNotConcernedLeavesTheGraphToRun) {
  const Variable w(constant(3.0f));
  const auto f = function([&](const Tensor& x) { return x * 2.0f; });
  GradientTape tape;
  EXPECT_FALSE(tape.gradient(f(constant(1.0f)), w).exists());
}

}  // namespace
}  // namespace lockstep::autodiff

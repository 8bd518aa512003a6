#include <gtest/gtest.h>

#include <cmath>

#include <lockstep/lockstep.h>

namespace lockstep::autodiff {
namespace {

Tensor book_function(const Tensor& w1, const Tensor& w2) { return 3.0f * square(w1) + 2.0f * w1 * w2; }

TEST(GradientTape, GivesTheBooksGradients) {
  const Variable w1(constant(5.0f)), w2(constant(3.0f));
  GradientTape tape;
  const Tensor z = book_function(w1, w2);
  const std::vector<Gradient> gradients = tape.gradient(z, {w1, w2});
  EXPECT_EQ(gradients[0].dense().item<float>(), 36.0f);
  EXPECT_EQ(gradients[1].dense().item<float>(), 10.0f);
}

TEST(GradientTape, GivesZerosForASign) {
  const Tensor x = constant({-2.f, 0.5f});
  GradientTape outer;
  outer.watch(x);
  GradientTape inner;
  inner.watch(x);
  const Tensor slope = inner.gradient(abs(x), x).dense();
  EXPECT_EQ(slope.to_vector<float>(), (std::vector<float>{-1, 1}));
  EXPECT_EQ(outer.gradient(slope, x).dense().to_vector<float>(), (std::vector<float>{0, 0}));
}

TEST(GradientTape, IsSpentAfterOneGradient) {
  const Variable w1(constant(5.0f)), w2(constant(3.0f));
  GradientTape tape;
  const Tensor z = book_function(w1, w2);
  tape.gradient(z, w1);
  EXPECT_THROW(tape.gradient(z, w2), FailedPreconditionError);
}

TEST(GradientTape, AnswersAgainWhenPersistent) {
  const Variable w1(constant(5.0f)), w2(constant(3.0f));
  GradientTape tape({.persistent = true});
  const Tensor z = book_function(w1, w2);
  EXPECT_EQ(tape.gradient(z, w1).dense().item<float>(), 36.0f);
  EXPECT_EQ(tape.gradient(z, w2).dense().item<float>(), 10.0f);
}

TEST(GradientTape, IgnoresConstantsUnlessWatched) {
  const Tensor c1 = constant(5.0f), c2 = constant(3.0f);
  {
    GradientTape tape;
    EXPECT_FALSE(tape.gradient(book_function(c1, c2), c1).exists());
  }
  GradientTape tape;
  tape.watch(c1);
  EXPECT_EQ(tape.gradient(book_function(c1, c2), c1).dense().item<float>(), 36.0f);
}

TEST(GradientTape, GivesNoGradientWithoutAPath) {
  const Variable w1(constant(5.0f)), w2(constant(3.0f));
  GradientTape tape;
  const Tensor z = square(w1);
  EXPECT_FALSE(tape.gradient(z, w2).exists());
}

TEST(GradientTape, SumsOverAVectorTarget) {
  const Variable w1(constant(5.0f)), w2(constant(3.0f));
  GradientTape tape;
  const std::vector<Tensor> parts = {book_function(w1, w2 + 2.0f), book_function(w1, w2 + 5.0f), book_function(w1, w2 + 7.0f)};
  const Tensor z = stack(parts);
  const std::vector<Gradient> gradients = tape.gradient(z, {w1, w2});
  EXPECT_EQ(gradients[0].dense().item<float>(), 136.0f);
  EXPECT_EQ(gradients[1].dense().item<float>(), 30.0f);
}

TEST(GradientTape, NestsForSecondDerivatives) {
  const Variable w1(constant(5.0f)), w2(constant(3.0f));
  GradientTape hessian_tape({.persistent = true});
  GradientTape jacobian_tape;
  const Tensor z = book_function(w1, w2);
  const std::vector<Gradient> first = jacobian_tape.gradient(z, {w1, w2});
  EXPECT_EQ(hessian_tape.gradient(first[0].dense(), w1).dense().item<float>(), 6.0f);
  EXPECT_EQ(hessian_tape.gradient(first[0].dense(), w2).dense().item<float>(), 2.0f);
  EXPECT_EQ(hessian_tape.gradient(first[1].dense(), w1).dense().item<float>(), 2.0f);
  EXPECT_FALSE(hessian_tape.gradient(first[1].dense(), w2).exists());
}

TEST(GradientTape, StopsRecordingWhilePaused) {
  const Variable w(constant(2.0f));
  GradientTape tape;
  const Tensor seen = square(w);
  Tensor unseen;
  {
    const auto pause = tape.stop_recording();
    unseen = square(w) * 100.0f;
  }
  EXPECT_EQ(tape.gradient(seen + unseen, w).dense().item<float>(), 4.0f);
}

TEST(GradientTape, LetsNothingThroughStopGradient) {
  const Variable w1(constant(5.0f)), w2(constant(3.0f));
  GradientTape tape;
  const Tensor z = 3.0f * square(w1) + stop_gradient(2.0f * w1.value() * w2.value());
  const std::vector<Gradient> gradients = tape.gradient(z, {w1, w2});
  EXPECT_EQ(gradients[0].dense().item<float>(), 30.0f);
  EXPECT_FALSE(gradients[1].exists());
}

TEST(GradientTape, GivesRowsForAnEmbedding) {
  const Variable table(full({6, 2}, 1.0, float32));
  GradientTape tape;
  const Tensor rows = embedding_lookup(table, constant({4, 1, 4}));
  const Gradient gradient = tape.gradient(reduce_sum(rows), table);
  ASSERT_TRUE(gradient.is_slices());
  EXPECT_EQ(gradient.slices().indices.to_vector<std::int32_t>(), (std::vector<std::int32_t>{4, 1, 4}));
  EXPECT_EQ(gradient.dense().to_vector<float>(), (std::vector<float>{0, 0, 1, 1, 0, 0, 0, 0, 2, 2, 0, 0}));
}

TEST(GradientTape, RefusesAnUpstreamOfAnotherShape) {
  const Variable w(constant({1.0f, 2.0f}));
  GradientTape tape;
  const Tensor y = square(w);
  EXPECT_THROW(tape.gradient(y, w, constant({1.0f, 2.0f, 3.0f})), InvalidArgumentError);
}

TEST(GradientTape, DoesNotConfuseAnAssignedVariableWithItsSource) {
  const Variable w(constant(3.0f)), copy(constant(0.0f));
  GradientTape tape;
  copy.assign(square(w));
  const Tensor y = copy.value() * 2.0f;
  const std::vector<Gradient> gradients = tape.gradient(y, {w, copy});
  EXPECT_FALSE(gradients[0].exists());
  EXPECT_EQ(gradients[1].dense().item<float>(), 2.0f);
}

TEST(CustomGradient, ReplacesTheRule) {
  const auto my_softplus = custom_gradient([](const Tensor& z) {
    const Tensor slope = 1.0f - 1.0f / (1.0f + exp(z));
    return CustomGradient{log(1.0f + exp(-abs(z))) + maximum(scalar(0.0f, float32), z), [slope](const Tensor& g) { return Tensors{g * slope}; }};
  });
  const Variable x(constant({1000.0f, 0.0f}));
  GradientTape tape;
  const Tensor y = my_softplus(x);
  const Tensor gradient = tape.gradient(y, x).dense();
  EXPECT_EQ(y.data<float>()[0], 1000.0f);
  EXPECT_EQ(gradient.data<float>()[0], 1.0f);
  EXPECT_EQ(gradient.data<float>()[1], 0.5f);
}

TEST(CustomGradient, IsNeededWhereTheNaiveFormOverflows) {
  const Variable x(constant({1000.0f}));
  GradientTape tape;
  const Tensor y = log(exp(x) + 1.0f);
  EXPECT_TRUE(std::isnan(tape.gradient(y, x).dense().item<float>()));
}

TEST(Jacobian, HasTargetShapeThenSourceShape) {
  const Variable x(constant({1.0f, 2.0f, 3.0f}));
  GradientTape tape;
  const Tensor jacobian = tape.jacobian(cumsum(x), x);
  EXPECT_EQ(jacobian.shape(), (Shape{3, 3}));
  EXPECT_EQ(jacobian.to_vector<float>(), (std::vector<float>{1, 0, 0, 1, 1, 0, 1, 1, 1}));
}

TEST(Hessian, OfTheBooksFunction) {
  const Tensor w[] = {constant(5.0f), constant(3.0f)};
  const auto rows = hessian([](std::span<const Tensor> x) { return book_function(x[0], x[1]); }, w);
  EXPECT_EQ(rows[0][0].dense().item<float>(), 6.0f);
  EXPECT_EQ(rows[0][1].dense().item<float>(), 2.0f);
  EXPECT_EQ(rows[1][0].dense().item<float>(), 2.0f);
  EXPECT_FALSE(rows[1][1].exists());
}

}  // namespace
}  // namespace lockstep::autodiff

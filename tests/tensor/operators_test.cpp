#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Floats = std::vector<float>;

Tensor book_matrix() { return constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}); }

TEST(Operators, ComputeAsInTheBook) {
  const Tensor t = book_matrix();
  EXPECT_EQ((t + 10).to_vector<float>(), (Floats{11, 12, 13, 14, 15, 16}));
  EXPECT_EQ(square(t).to_vector<float>(), (Floats{1, 4, 9, 16, 25, 36}));
  EXPECT_EQ(matmul(t, transpose(t)).to_vector<float>(), (Floats{14, 32, 32, 77}));
}

TEST(Operators, GiveTheTransposeAsANewTensor) {
  const Tensor t = book_matrix(), transposed = transpose(t);
  EXPECT_NE(transposed.raw(), t.raw());
  EXPECT_TRUE(transposed.unique());
  EXPECT_EQ(transposed.to_vector<float>(), (Floats{1, 4, 2, 5, 3, 6}));
}

TEST(Operators, GiveALiteralTheTensorsDType) {
  for (const DType dtype : {int8, int64, uint16, float16, bfloat16, float32, float64, complex64, complex128}) {
    const Tensor t = ones({2}, dtype);
    for (const Tensor& result : {t + 1, 1 + t, t - 1, 1 - t, t * 2, 2 * t}) EXPECT_EQ(result.dtype(), dtype);
  }
  EXPECT_EQ((ones({2}, float16) + 0.5).dtype(), float16);
  EXPECT_EQ((ones({2}, float64) * 0.1).to_vector<double>(), (std::vector<double>{0.1, 0.1})) << "a double literal keeps its digits";
}

TEST(Operators, ComputeInEitherOrder) {
  const Tensor t = constant({2.f, 4.f});
  EXPECT_EQ((10 - t).to_vector<float>(), (Floats{8, 6}));
  EXPECT_EQ((t - 10).to_vector<float>(), (Floats{-8, -6}));
  EXPECT_EQ((8 / t).to_vector<float>(), (Floats{4, 2}));
  EXPECT_EQ((t / 8).to_vector<float>(), (Floats{0.25, 0.5}));
  EXPECT_EQ((-t).to_vector<float>(), (Floats{-2, -4}));
}

TEST(Operators, CompareWithTensorsAndLiterals) {
  const Tensor t = constant({1.f, 2.f, 3.f}), two = constant({2.f, 2.f, 2.f});
  using Bools = std::vector<bool>;
  EXPECT_EQ((t < two).to_vector<bool>(), (Bools{true, false, false}));
  EXPECT_EQ((t <= two).to_vector<bool>(), (Bools{true, true, false}));
  EXPECT_EQ((t > 2).to_vector<bool>(), (Bools{false, false, true}));
  EXPECT_EQ((t >= 2).to_vector<bool>(), (Bools{false, true, true}));
}

/// `f` must throw an E of `op` whose text holds all of `words`.
template <class E, class F>
void expect_refusal(F&& f, const char* op, std::initializer_list<const char*> words) {
  try {
    f();
    ADD_FAILURE() << op << " took the call";
  } catch (const E& error) {
    EXPECT_EQ(error.op(), op) << error.what();
    for (const char* word : words) EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what() << " lacks " << word;
  }
}

TEST(Operators, RefuseALiteralThatTheDTypeCannotHold) {
  expect_refusal<InvalidArgumentError>([] { constant({1, 2}) + 1.5; }, "add", {"1.5", "int32 (2,)"});
  expect_refusal<InvalidArgumentError>([] { 1.5 * constant({1, 2}); }, "multiply", {"1.5", "int32"});
  expect_refusal<InvalidArgumentError>([] { constant({1, 2}, int8) - 300; }, "subtract", {"300", "int8"});
  expect_refusal<InvalidArgumentError>([] { static_cast<void>(constant({1, 2}, uint8) > -1); }, "greater", {"-1", "uint8"});
  expect_refusal<InvalidArgumentError>([] { constant({1.f}) + true; }, "add", {"true", "float32"});
  expect_refusal<InvalidArgumentError>([] { constant({1.f}) + std::complex<float>(0, 1); }, "add", {"0+1j", "float32"});
}

TEST(Operators, RefuseTwoDTypesAndSayHowToCast) {
  expect_refusal<InvalidArgumentError>([] { constant(2.f) + constant(40); }, "add", {"float32", "int32", "cast(x, float32)"});
  expect_refusal<TypeError>([] { constant(2.f) + constant(40.f, float64); }, "add", {"float32", "float64"});
  EXPECT_EQ((constant(2.f) + cast(constant(40.f, float64), float32)).item<float>(), 42.0f);
}

TEST(Operators, RefuseShapesThatDoNotBroadcast) {
  expect_refusal<InvalidArgumentError>([] { zeros({2, 3}) + zeros({2}); }, "add", {"(2, 3)", "(2,)"});
  EXPECT_EQ((zeros({2, 1, 3}) + zeros({4, 1})).shape(), (Shape{2, 4, 3}));
  EXPECT_EQ((zeros({0, 1}) + zeros({1, 3})).shape(), (Shape{0, 3}));
}

TEST(Operators, RefuseAnUndefinedTensorBesideALiteral) {
  expect_refusal<InvalidArgumentError>([] { Tensor() + 1; }, "add", {"undefined"});
  expect_refusal<InvalidArgumentError>([] { 1 / Tensor(); }, "divide", {"undefined"});
  expect_refusal<InvalidArgumentError>([] { static_cast<void>(Tensor() < 1); }, "less", {"undefined"});
  expect_refusal<InvalidArgumentError>([] { -Tensor(); }, "neg", {"undefined"});
  expect_refusal<InvalidArgumentError>([] { Tensor()[0]; }, "strided_slice", {"undefined"});
}

TEST(Aliases, AreTheSameFunction) {
  using Unary = Tensor (*)(const Tensor&);
  using Binary = Tensor (*)(const Tensor&, const Tensor&);
  EXPECT_EQ(static_cast<Unary>(math::log), static_cast<Unary>(lockstep::log));
  EXPECT_EQ(static_cast<Unary>(math::square), static_cast<Unary>(lockstep::square));
  EXPECT_EQ(static_cast<Binary>(math::add), static_cast<Binary>(lockstep::add));
  EXPECT_EQ(&math::reduce_mean, &lockstep::reduce_mean);
}

TEST(Aliases, OfTheBookAllExist) {
  const Tensor t = book_matrix();
  EXPECT_EQ(add(t, multiply(t, t)).shape(), t.shape());
  EXPECT_EQ(sqrt(exp(t)).shape(), t.shape());
  EXPECT_EQ(reshape(t, {3, 2}).shape(), (Shape{3, 2}));
  EXPECT_EQ(squeeze(expand_dims(t, 0)).shape(), t.shape());
  EXPECT_EQ(tile(t, {1, 2}).shape(), (Shape{2, 6}));
  EXPECT_EQ(reduce_mean(t).item<float>(), 3.5f);
  EXPECT_EQ(reduce_sum(t, 0).to_vector<float>(), (Floats{5, 7, 9}));
  EXPECT_EQ(reduce_max(t, 1).to_vector<float>(), (Floats{3, 6}));
}

}  // namespace
}  // namespace lockstep

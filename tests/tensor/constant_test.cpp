#include <gtest/gtest.h>

#include <complex>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Complex = std::complex<double>;

TEST(Constant, OfNestedBracesHasTheirShape) {
  const Tensor t = constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}});
  EXPECT_EQ(t.dtype(), float32);
  EXPECT_EQ(t.shape(), (Shape{2, 3}));
  EXPECT_EQ(t.to_vector<float>(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(constant({{{1}, {2}}, {{3}, {4}}}).shape(), (Shape{2, 2, 1}));
}

TEST(Constant, OfANumberIsAScalar) {
  EXPECT_EQ(constant(42).spec(), (TensorSpec{int32, {}}));
  EXPECT_EQ(constant(42).item<std::int32_t>(), 42);
}

TEST(Constant, OfALiteralHasKerassDType) {
  EXPECT_EQ(constant(2.).dtype(), float32);
  EXPECT_EQ(constant({2., 3.}).dtype(), float32);
  EXPECT_EQ(constant(std::int64_t(1)).dtype(), int64);
  EXPECT_EQ(constant(true).dtype(), boolean);
  EXPECT_EQ(constant("text").dtype(), string);
  EXPECT_EQ(constant(std::complex<float>(1, 2)).dtype(), complex64);
  EXPECT_EQ(constant(Complex(1, 2)).dtype(), complex128);
}

TEST(Constant, OfIntegersAndRealsIsReal) {
  EXPECT_EQ(constant({1, 2.5}).to_vector<float>(), (std::vector<float>{1, 2.5}));
  EXPECT_EQ(constant({1, std::int64_t(2)}).dtype(), int64);
}

TEST(Constant, OfAVectorOrASpanKeepsItsElementType) {
  const std::vector<double> values{1, 2, 3, 4};
  EXPECT_EQ(constant(values).spec(), (TensorSpec{float64, {4}}));
  EXPECT_EQ(constant(std::span<const double>(values)).dtype(), float64);
  EXPECT_EQ(constant(std::span<const double>(values), {2, 2}).shape(), (Shape{2, 2}));
  EXPECT_EQ(constant(values, {2, 2}).to_vector<double>(), values);
  EXPECT_EQ(constant(std::vector<std::uint8_t>{1, 2}).dtype(), uint8);
  EXPECT_EQ(constant(std::vector<bool>{true, false}).to_vector<bool>(), (std::vector<bool>{true, false}));
  EXPECT_EQ(constant(std::vector<std::string>{"a", "b"}).data<std::string>()[1], "b");
}

TEST(Constant, CopiesAVector) {
  std::vector<float> values{1, 2};
  const Tensor t = constant(values);
  values[0] = 9;
  EXPECT_EQ(t.data<float>()[0], 1.0f);
}

TEST(Constant, TakesTheDTypeAskedFor) {
  EXPECT_EQ(constant({1, 2}, float64).to_vector<double>(), (std::vector<double>{1, 2}));
  EXPECT_EQ(constant(0.1, float64).item<double>(), 0.1);
  EXPECT_EQ(constant({1, 2}, uint8).dtype(), uint8);
  EXPECT_EQ(constant(1.5, complex64).item<std::complex<float>>(), std::complex<float>(1.5f, 0));
}

TEST(Constant, RefusesALiteralThatDoesNotFitTheDType) {
  EXPECT_THROW(constant(1.5, int32), InvalidArgumentError);
  EXPECT_THROW(constant({1, 300}, uint8), InvalidArgumentError);
  EXPECT_THROW(constant(Complex(1, 2), float64), InvalidArgumentError);
  EXPECT_THROW(constant("text", float32), InvalidArgumentError);
  EXPECT_THROW(constant(1, string), InvalidArgumentError);
  EXPECT_THROW(constant(true, int32), InvalidArgumentError);
}

/// The text of the refusal of `make`.
template <class F>
std::string refusal(F&& make) {
  try {
    make();
  } catch (const InvalidArgumentError& error) {
    EXPECT_EQ(error.op(), "constant");
    return error.what();
  }
  return "no error";
}

TEST(Constant, RefusesBracesOfUnequalLength) {
  EXPECT_EQ(refusal([] { constant({{1, 2, 3}, {4, 5}}); }), "[constant] braces of unequal length: 3 and 2 elements along axis 1");
  EXPECT_NE(refusal([] { constant({{{1}, {2}}, {{3}}}); }), "no error");
}

TEST(Constant, RefusesBracesOfUnequalDepth) {
  EXPECT_EQ(refusal([] { constant({NestedLiteral{1, 2}, NestedLiteral(3)}); }), "[constant] braces of unequal depth");
  EXPECT_EQ(refusal([] { constant({NestedLiteral(3), NestedLiteral{1, 2}}); }), "[constant] braces of unequal depth");
}

TEST(Constant, RefusesAMixtureOfKinds) {
  EXPECT_EQ(refusal([] { constant({1, "a"}); }), "[constant] braces mix int32 and string");
  EXPECT_NE(refusal([] { constant({true, 2.0}); }), "no error");
}

TEST(Constant, RefusesMoreThanEightBraces) { EXPECT_THROW(constant({{{{{{{{{1}, {2}}}}}}}}}), InvalidArgumentError); }

TEST(Constant, RefusesElementsThatDoNotFillTheShape) {
  EXPECT_EQ(refusal([] { constant(std::vector<float>{1, 2, 3}, {2, 2}); }), "[constant] 3 elements do not fill shape (2, 2)");
}

TEST(Constant, OfNoElementsIsEmpty) {
  EXPECT_EQ(constant(std::vector<double>{}).spec(), (TensorSpec{float64, {0}}));
  EXPECT_EQ(constant(std::vector<float>{}, {0, 3}).shape(), (Shape{0, 3}));
}

TEST(Borrow, UsesTheCallersMemoryItself) {
  std::vector<float> values{1, 2, 3, 4};
  const Tensor t = borrow(std::span<const float>(values), {2, 2});
  EXPECT_EQ(t.raw(), values.data());
  EXPECT_EQ(t.to_vector<float>(), values);
  EXPECT_THROW(borrow(std::span<const float>(values), {3}), InvalidArgumentError);
}

TEST(Borrow, LeavesTheMemoryAloneWhenOpsRun) {
  const std::vector<float> values{1, 2};
  const Tensor t = borrow(std::span<const float>(values), {2});
  EXPECT_EQ((t + 1).to_vector<float>(), (std::vector<float>{2, 3}));
  EXPECT_EQ(values, (std::vector<float>{1, 2}));
}

}  // namespace
}  // namespace lockstep

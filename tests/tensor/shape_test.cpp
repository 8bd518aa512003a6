#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

TEST(Shape, KeepsSizesOutermostFirst) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.ndim(), 3);
  EXPECT_EQ(shape.numel(), 24);
  EXPECT_EQ(shape.dim(0), 2);
  EXPECT_EQ(shape.dim(-1), 4);
  EXPECT_EQ(std::vector<std::int64_t>(shape.begin(), shape.end()), (std::vector<std::int64_t>{2, 3, 4}));
}

TEST(Shape, OfAScalarHasNoAxesAndOneElement) {
  EXPECT_EQ(Shape().ndim(), 0);
  EXPECT_EQ(Shape().numel(), 1);
}

TEST(Shape, WithAnEmptyAxisHasNoElements) { EXPECT_EQ((Shape{3, 0, 5}).numel(), 0); }

TEST(Shape, PrintsAsPythonPrintsTuples) {
  EXPECT_EQ(to_string(Shape()), "()");
  EXPECT_EQ(to_string(Shape{3}), "(3,)");
  EXPECT_EQ(to_string(Shape{2, 3}), "(2, 3)");
  EXPECT_EQ(to_string(Shape::unknown()), "(?)");
}

TEST(Shape, RefusesANegativeSizeNamingTheAxis) {
  try {
    Shape{2, -3};
    FAIL() << "a negative size must be refused";
  } catch (const InvalidArgumentError& error) {
    EXPECT_EQ(std::string(error.what()), "negative size -3 at axis 1");
  }
  Shape shape{2};
  EXPECT_THROW(shape.push_back(-1), InvalidArgumentError);
}

TEST(Shape, HoldsEightAxesAndRefusesNine) {
  Shape shape{1, 2, 1, 2, 1, 2, 1, 2};
  EXPECT_EQ(shape.numel(), 16);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), InvalidArgumentError);
  EXPECT_THROW(shape.push_back(1), InvalidArgumentError);
}

TEST(Shape, RefusesMoreElementsThanCanBeCounted) {
  const std::int64_t most = std::int64_t(1) << 58;
  EXPECT_EQ((Shape{most}).numel(), most);
  EXPECT_THROW((Shape{most + 1}), InvalidArgumentError);
  EXPECT_THROW((Shape{std::int64_t(1) << 62, 4}), InvalidArgumentError);
  EXPECT_THROW((Shape{INT64_MAX, INT64_MAX, INT64_MAX}), InvalidArgumentError);
  Shape shape{std::int64_t(1) << 40};
  EXPECT_THROW(shape.push_back(std::int64_t(1) << 40), InvalidArgumentError);
  EXPECT_EQ(shape, (Shape{std::int64_t(1) << 40})) << "a refused axis is not kept";
}

TEST(Shape, CountsHugeSizesBesideAnEmptyAxisToo) {
  EXPECT_THROW((Shape{0, std::int64_t(1) << 40, std::int64_t(1) << 40}), InvalidArgumentError);
  EXPECT_THROW((Shape{std::int64_t(1) << 40, std::int64_t(1) << 40, 0}), InvalidArgumentError);
}

TEST(Shape, RefusesAnAxisOutOfRange) {
  const Shape shape{2, 3};
  EXPECT_THROW(shape.dim(2), IndexError);
  EXPECT_THROW(shape.dim(-3), IndexError);
  EXPECT_THROW(Shape().dim(0), IndexError);
}

TEST(Shape, IsEqualWhenAllSizesAre) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2}), (Shape{2, 1}));
  EXPECT_NE(Shape(), Shape::unknown());
  EXPECT_FALSE(Shape::unknown().known());
}

TEST(Shape, HasRowMajorStrides) {
  const auto strides = row_major_strides({2, 3, 4});
  EXPECT_EQ(strides[0], 12);
  EXPECT_EQ(strides[1], 4);
  EXPECT_EQ(strides[2], 1);
}

}  // namespace
}  // namespace lockstep

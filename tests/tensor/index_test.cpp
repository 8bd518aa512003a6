#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Values = std::vector<std::int32_t>;

Tensor book() { return constant({{1, 2, 3}, {4, 5, 6}}); }

void expect(const Tensor& t, const Shape& shape, const Values& values) {
  EXPECT_EQ(t.shape(), shape);
  EXPECT_EQ(t.to_vector<std::int32_t>(), values);
}

TEST(Index, SelectsAsInTheBook) {
  expect(book()[{all, slice(1)}], {2, 2}, {2, 3, 5, 6});
  expect(book()[{ellipsis, 1, newaxis}], {2, 1}, {2, 5});
}

TEST(Index, TakesAnAxisAwayByAnInteger) {
  expect(book()[1], {3}, {4, 5, 6});
  expect(book()[-2], {3}, {1, 2, 3});
  expect(book()[{1, -1}], {}, {6});
}

TEST(Index, SlicesAsNumPyDoes) {
  const Tensor x = range(0, 6);
  expect(x[slice(1, 4)], {3}, {1, 2, 3});
  expect(x[slice(-2)], {2}, {4, 5});
  expect(x[slice({}, -2)], {4}, {0, 1, 2, 3});
  expect(x[slice({}, {}, 2)], {3}, {0, 2, 4});
  expect(x[slice({}, {}, -1)], {6}, {5, 4, 3, 2, 1, 0});
  expect(x[slice(4, 1, -2)], {2}, {4, 2});
  expect(x[slice({}, {}, -4)], {2}, {5, 1});
  expect(x[slice(-100, 100)], {6}, {0, 1, 2, 3, 4, 5});
  expect(x[slice(100, -100, -5)], {2}, {5, 0});
}

TEST(Index, GivesAnEmptySliceWhereNothingIsBetween) {
  const Tensor x = range(0, 6);
  expect(x[slice(4, 2)], {0}, {});
  expect(x[slice(2, 4, -1)], {0}, {});
  expect(x[slice(6)], {0}, {});
  expect(zeros({0}, int32)[slice({}, {}, -1)], {0}, {});
}

TEST(Index, TakesTheFirstElementOnlyByAVeryLongStep) {
  const Tensor x = range(0, 6);
  expect(x[slice({}, {}, INT64_MAX)], {1}, {0});
  expect(x[slice({}, {}, INT64_MIN)], {1}, {5});
  expect(x[slice(INT64_MIN, INT64_MAX, 5)], {2}, {0, 5});
}

TEST(Index, CombinesAxesOfDifferentKinds) {
  const Tensor x = reshape(range(0, 24), {2, 3, 4});
  expect(x[{1, slice({}, {}, -1), slice({}, {}, 3)}], {3, 2}, {20, 23, 16, 19, 12, 15});
  expect(x[{ellipsis, 0}], {2, 3}, {0, 4, 8, 12, 16, 20});
  expect(x[{0, ellipsis, -1}], {3}, {3, 7, 11});
  expect(x[{newaxis, 0, 0, newaxis, slice(1, 3)}], {1, 1, 2}, {1, 2});
  expect(x[{1, 2, 3, ellipsis}], {}, {23});
  EXPECT_EQ((x[{newaxis, ellipsis, newaxis}]).shape(), (Shape{1, 2, 3, 4, 1}));
}

TEST(Index, RefusesAnIntegerOutOfRangeNamingTheAxis) {
  try {
    book()[{all, 3}];
    FAIL() << "there is no column 3";
  } catch (const IndexError& error) {
    EXPECT_EQ(std::string(error.what()), "[strided_slice] index 3 is out of range for axis 1 of size 3 in [:, 3] of a tensor of shape (2, 3)");
  }
  EXPECT_THROW(book()[2], IndexError);
  EXPECT_THROW(book()[-3], IndexError);
  EXPECT_THROW(book()[INT64_MIN], IndexError);
  EXPECT_THROW((zeros({0, 2})[0]), IndexError);
}

TEST(Index, RefusesTooManyIndices) {
  EXPECT_THROW((book()[{0, 0, 0}]), IndexError);
  EXPECT_THROW(constant(1)[0], IndexError);
  EXPECT_THROW((book()[{ellipsis, 0, ellipsis}]), IndexError);
}

TEST(Index, RefusesAStepOfZero) { EXPECT_THROW((book()[slice({}, {}, 0)]), InvalidArgumentError); }

TEST(Index, RefusesMoreThanEightAxesNamingTheOp) {
  try {
    zeros({1, 1, 1, 1, 1, 1, 1})[{newaxis, newaxis}];
    FAIL() << "nine axes";
  } catch (const InvalidArgumentError& error) {
    EXPECT_EQ(error.op(), "strided_slice");
  }
}

TEST(Index, PrintsAsItIsWritten) { EXPECT_EQ(to_string(IndexList{1, slice(1), slice({}, 2, -1), ellipsis, newaxis, all}), "[1, 1:, :2:-1, ..., newaxis, :]"); }

}  // namespace
}  // namespace lockstep

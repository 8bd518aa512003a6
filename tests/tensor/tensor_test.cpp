#include <gtest/gtest.h>

#include <thread>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

TEST(Tensor, IsUndefinedWhenDefaultConstructed) {
  const Tensor nothing;
  EXPECT_FALSE(nothing.defined());
  EXPECT_THROW(nothing.item<float>(), FailedPreconditionError);
  EXPECT_THROW(nothing.data<float>(), FailedPreconditionError);
  EXPECT_THROW(nothing.to_vector<float>(), FailedPreconditionError);
  const Tensor copy = nothing;
  EXPECT_FALSE(copy.defined());
}

TEST(Tensor, SharesItsElementsWithItsCopies) {
  const Tensor x = constant({1, 2, 3});
  const Tensor copy = x;
  EXPECT_EQ(copy.raw(), x.raw());
  EXPECT_EQ(copy.id(), x.id());
}

TEST(Tensor, IsEmptyAfterItWasMovedFrom) {
  Tensor x = constant({1, 2, 3});
  const Tensor y = std::move(x);
  EXPECT_FALSE(x.defined());
  EXPECT_EQ(y.to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 2, 3}));
}

TEST(Tensor, SurvivesAssignmentToItself) {
  Tensor x = constant({1, 2, 3});
  const Tensor& same = x;
  x = same;
  EXPECT_EQ(x.numel(), 3);
}

TEST(Tensor, SharesItsElementsWithItsViews) {
  const Tensor x = constant({{1, 2, 3}, {4, 5, 6}});
  const Tensor view = Tensor::view(x, {3, 2});
  EXPECT_EQ(view.raw(), x.raw());
  EXPECT_NE(view.id(), x.id());
  EXPECT_EQ(view.shape(), (Shape{3, 2}));
  const Tensor row = Tensor::view(x, {3}, 3);
  EXPECT_EQ(row.to_vector<std::int32_t>(), (std::vector<std::int32_t>{4, 5, 6}));
}

TEST(Tensor, LivesAsLongAsAViewOfAViewOfIt) {
  Tensor part;
  {
    const Tensor x = constant({{1, 2, 3}, {4, 5, 6}});
    const Tensor flat = reshape(x, {6});
    part = Tensor::view(flat, {2}, 4);
  }
  EXPECT_EQ(part.to_vector<std::int32_t>(), (std::vector<std::int32_t>{5, 6}));
}

TEST(Tensor, RefusesAViewWithAnotherNumberOfElements) { EXPECT_THROW(Tensor::view(constant({1, 2, 3}), {2}), InternalError); }

TEST(Tensor, IsUniqueOnlyWhileNobodyElseSharesItsElements) {
  const Tensor x = constant({1, 2, 3});
  EXPECT_TRUE(x.unique());
  {
    const Tensor copy = x;
    EXPECT_FALSE(x.unique());
  }
  EXPECT_TRUE(x.unique());
  {
    const Tensor view = reshape(x, {3, 1});
    EXPECT_FALSE(x.unique());
    EXPECT_FALSE(view.unique());
  }
  EXPECT_TRUE(x.unique());
}

TEST(Tensor, OfBorrowedMemoryIsNeverUnique) {
  float values[] = {1, 2};
  EXPECT_FALSE(Tensor::borrow(values, {2}, float32, {}).unique());
}

TEST(Tensor, GivesBorrowedMemoryBackWhenTheLastUserDies) {
  float values[] = {1, 2, 3, 4};
  int released = 0;
  {
    Tensor view;
    {
      const Tensor x = Tensor::borrow(values, {4}, float32, [&] { ++released; });
      EXPECT_EQ(x.raw(), values);
      view = reshape(x, {2, 2});
    }
    EXPECT_EQ(released, 0);
    EXPECT_EQ(view.raw(), values);
  }
  EXPECT_EQ(released, 1);
}

TEST(Tensor, OfNoElementsIsAllowed) {
  const Tensor x = zeros({2, 0, 3});
  EXPECT_EQ(x.numel(), 0);
  EXPECT_EQ(x.nbytes(), 0u);
  EXPECT_TRUE(x.to_vector<float>().empty());
  EXPECT_THROW(x.item<float>(), InvalidArgumentError);
  EXPECT_EQ(reduce_sum(x).item<float>(), 0.0f);
}

TEST(Tensor, OfNoAxesHasOneElement) {
  const Tensor x = constant(42);
  EXPECT_EQ(x.ndim(), 0);
  EXPECT_EQ(x.numel(), 1);
  EXPECT_EQ(x.item<std::int32_t>(), 42);
}

TEST(Tensor, GivesItsItemOnlyIfThereIsExactlyOne) {
  EXPECT_EQ(constant({{7}}).item<std::int32_t>(), 7);
  try {
    constant({1, 2}).item<std::int32_t>();
    FAIL() << "two elements are no item";
  } catch (const InvalidArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("int32 (2,)"), std::string::npos) << error.what();
  }
}

TEST(Tensor, RefusesElementsOfAnotherTypeNamingBoth) {
  try {
    constant({1.0f}).data<double>();
    FAIL() << "float32 elements are no doubles";
  } catch (const TypeError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("float64"), std::string::npos) << text;
    EXPECT_NE(text.find("float32 (1,)"), std::string::npos) << text;
  }
  EXPECT_THROW(constant(1).item<std::int64_t>(), TypeError);
}

TEST(Tensor, HasAlignedElements) {
  for (const std::int64_t n : {1, 3, 1000, 100000}) EXPECT_EQ(reinterpret_cast<std::uintptr_t>(zeros({n}, int8).raw()) % 64, 0u) << n;
}

TEST(Tensor, HasAnIdOfItsOwnOnEveryThread) {
  std::uint64_t other = 0;
  const Tensor here = constant(1);
  std::thread([&] { other = constant(2).id(); }).join();
  EXPECT_NE(here.id(), other);
  EXPECT_NE(here.id(), constant(1).id());
}

TEST(Tensor, OfStringsOwnsThem) {
  const std::string text(100, 'x');
  Tensor view;
  {
    const Tensor x = constant(std::vector<std::string>{text, "short"});
    view = reshape(x, {2, 1});
  }
  EXPECT_EQ(view.data<std::string>()[0], text);
}

TEST(Tensor, PrintsItsSpec) { EXPECT_EQ(to_string(constant({{1.0f}}).spec()), "float32 (1, 1)"); }

TEST(Full, FillsEveryElement) {
  EXPECT_EQ(full({2, 2}, 7, int64).to_vector<std::int64_t>(), (std::vector<std::int64_t>(4, 7)));
  EXPECT_EQ(ones({2}, boolean).to_vector<bool>(), (std::vector<bool>{true, true}));
  EXPECT_EQ(zeros({1}, string).item<std::string>(), "");
  EXPECT_THROW(full({2}, 1.5, int32), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep

#include <gtest/gtest.h>

#include <lockstep/autodiff/function.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep {
namespace {

TEST(Borrow, SharesTheCallersMemory) {
  std::vector<float> memory{1, 2, 3, 4};
  const Tensor tensor = borrow<float>(memory, {2, 2});
  EXPECT_EQ(tensor.raw(), memory.data());
  EXPECT_EQ(tensor.dtype(), float32);
  EXPECT_EQ(tensor.to_vector<float>(), memory);
}

TEST(Borrow, ReleasesOnceWhenTheLastCopyDies) {
  std::vector<double> memory{1, 2};
  int released = 0;
  Tensor tensor = borrow<double>(memory, {2}, [&] { ++released; });
  Tensor copy = tensor;
  tensor = Tensor();
  EXPECT_EQ(released, 0);
  copy = Tensor();
  EXPECT_EQ(released, 1);
}

TEST(Borrow, LivesAsLongAsAViewOfIt) {
  std::vector<float> memory{1, 2, 3, 4};
  int released = 0;
  Tensor part;
  {
    const Tensor tensor = borrow<float>(memory, {4}, [&] { ++released; });
    part = reshape(Tensor::view(tensor, {2}, 2), {2, 1});
  }
  EXPECT_EQ(released, 0);
  EXPECT_EQ(part.to_vector<float>(), (std::vector<float>{3, 4}));
  part = Tensor();
  EXPECT_EQ(released, 1);
}

TEST(Borrow, LivesAsLongAsATraceThatCapturedIt) {
  std::vector<float> memory{1, 2};
  int released = 0;
  {
    auto add_captured = [&] {
      const Tensor captured = borrow<float>(memory, {2}, [&] { ++released; });
      return autodiff::function([captured](const Tensor& x) { return x + captured; });
    }();
    EXPECT_EQ(released, 0);
    EXPECT_EQ(add_captured(constant({10.f, 20.f})).to_vector<float>(), (std::vector<float>{11, 22}));
    EXPECT_EQ(released, 0);
  }
  EXPECT_EQ(released, 1);
}

TEST(Borrow, IsNeverWrittenByOpsThatWorkInPlace) {
  std::vector<float> memory{1, 2, 3, 4};
  auto chain = autodiff::function([](const Tensor& x) { return exp(square(x) + 1) * 2; });
  chain(borrow<float>(memory, {4}));
  Tensor eager = borrow<float>(memory, {4});
  eager = square(std::move(eager) + 1);
  EXPECT_EQ(memory, (std::vector<float>{1, 2, 3, 4}));
}

TEST(Borrow, LeavesTheMemoryToTheCallerWhenTheShapeDoesNotFit) {
  std::vector<float> memory{1, 2, 3};
  int released = 0;
  EXPECT_THROW(borrow<float>(memory, {2}, [&] { ++released; }), InvalidArgumentError);
  EXPECT_EQ(released, 0);
}

TEST(Borrow, SharesStringsWithoutTakingThemOver) {
  const std::vector<std::string> memory{"a rather long string that no short buffer holds", "b"};
  { EXPECT_EQ(borrow<std::string>(memory, {2}).data<std::string>().data(), memory.data()); }
  EXPECT_EQ(memory[1], "b");
}

}  // namespace
}  // namespace lockstep

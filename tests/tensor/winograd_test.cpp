// Convolutions of 3x3 in the sizes that Winograd's filtering computes, beside the float64 ones, which are plain loops.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <lockstep/lockstep.h>
#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/ops/winograd.h>

namespace lockstep {
namespace {

struct Sizes {
  std::int64_t batch, height, width, in, out;
  IntLists padding;
};
const Sizes kSizes[] = {{2, 12, 12, 16, 32, {{0, 0}, {0, 0}}}, {3, 9, 14, 32, 16, {{1, 1}, {1, 1}}}, {1, 17, 23, 48, 64, {{2, 0}, {0, 1}}}, {40, 4, 5, 16, 16, {{1, 1}, {2, 2}}}};

window::Convolution convolution_of(const Sizes& s) {
  window::Convolution c{.batch = s.batch, .in_channels = s.in, .out_channels = s.out, .in = {1, s.height, s.width}, .kernel = {1, 3, 3}};
  for (std::size_t i = 0; i < 2; ++i) {
    c.before[i + 1] = s.padding[i][0], c.after[i + 1] = s.padding[i][1];
    c.out[i + 1] = c.in[i + 1] + c.before[i + 1] + c.after[i + 1] - 2;
  }
  return c;
}

Tensor convolved(const Sizes& s, const Tensor& x, const Tensor& kernel) { return conv2d(x, kernel, {1, 1}, "explicit", {1, 1}, 1, s.padding); }

struct Operands {
  Tensor x, kernel, upstream;
};
Operands operands_of(const Sizes& s) {
  const window::Convolution c = convolution_of(s);
  return {random::normal({s.batch, s.height, s.width, s.in}, 0, 1, float32, 1), random::normal({3, 3, s.in, s.out}, 0, 1, float32, 2), random::normal({s.batch, c.out[1], c.out[2], s.out}, 0, 1, float32, 3)};
}

/// The convolution, then the gradients of its input and kernel.
Tensors all_parts(const Sizes& s, const Operands& operands, DType dtype) {
  const Tensor x = cast(operands.x, dtype), kernel = cast(operands.kernel, dtype);
  autodiff::GradientTape tape;
  tape.watch(x);
  tape.watch(kernel);
  const Tensor y = convolved(s, x, kernel);
  const auto gradients = tape.gradient(y, {x, kernel}, cast(operands.upstream, dtype));
  return {y, gradients[0].dense(), gradients[1].dense()};
}

TEST(Winograd, IsRightForTheConvolutionAndBothGradients) {
  for (const Sizes& s : kSizes) {
    ASSERT_TRUE(winograd::pays(convolution_of(s)));
    const Operands operands = operands_of(s);
    const Tensors found = all_parts(s, operands, float32), wanted = all_parts(s, operands, float64);
    for (std::size_t i = 0; i < 3; ++i) {
      const double size = std::sqrt(reduce_mean(square(wanted[i])).item<double>());
      const Tensor error = cast(found[i], float64) - wanted[i];
      EXPECT_LE(std::sqrt(reduce_mean(square(error)).item<double>()), 2e-6 * size) << s.batch << " images of " << s.height << "x" << s.width << ", part " << i;
      EXPECT_LE(reduce_max(abs(error)).item<double>(), 3e-5 * size) << s.batch << " images of " << s.height << "x" << s.width << ", part " << i;
    }
  }
}

TEST(Winograd, GivesTheSameBitsOnEveryNumberOfThreads) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer does not see how OpenMP's threads wait for each other";
#endif
  const Sizes s{8, 26, 26, 32, 64, {{0, 0}, {0, 0}}};
  ASSERT_TRUE(winograd::pays(convolution_of(s)));
  const Operands operands = operands_of(s);
  const int threads = intra_op_threads();
  set_intra_op_threads(1);
  const Tensors one = all_parts(s, operands, float32);
  for (const int count : {2, 3}) {
    set_intra_op_threads(count);
    const Tensors several = all_parts(s, operands, float32);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(reduce_all(equal(one[i], several[i])).item<bool>()) << count << " threads, part " << i;
  }
  set_intra_op_threads(threads);
}

TEST(Winograd, AddsTheBiasAndRectifiesInATracedFunctionAsItDoesEagerly) {
  const Sizes s = kSizes[1];
  const Tensor x = random::normal({s.batch, s.height, s.width, s.in}, 0, 1, float32, 1), kernel = random::normal({3, 3, s.in, s.out}, 0, 1, float32, 2), bias = random::normal({s.out}, 0, 1, float32, 3);
  const auto layer = [&](const Tensor& x, const Tensor& kernel, const Tensor& bias) { return relu(convolved(s, x, kernel) + bias); };
  const auto traced = autodiff::function(layer);
  EXPECT_EQ(traced.concrete_function(x, kernel, bias).optimized().op_names(), std::vector<std::string>{"fused_convolution"});
  EXPECT_TRUE(reduce_all(equal(traced(x, kernel, bias), layer(x, kernel, bias))).item<bool>());
}

TEST(Winograd, LetsNotANumberThrough) {
  const Sizes s = kSizes[0];
  Tensor x = ones({s.batch, s.height, s.width, s.in});
  x.mutable_data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  const Tensor y = relu(convolved(s, x, ones({3, 3, s.in, s.out})));
  EXPECT_TRUE(std::isnan((y[{0, 0, 0, 0}].item<float>())));
  EXPECT_FALSE(std::isnan((y[{1, 0, 0, 0}].item<float>())));
}

TEST(Winograd, LeavesOtherConvolutionsAlone) {
  const auto with = [](auto change) {
    window::Convolution c = convolution_of(kSizes[0]);
    change(c);
    return winograd::pays(c);
  };
  EXPECT_TRUE(with([](auto&) {}));
  EXPECT_FALSE(with([](auto& c) { c.in_channels = 24; }));
  EXPECT_FALSE(with([](auto& c) { c.out_channels = 256, c.in_channels = 256; }));
  EXPECT_FALSE(with([](auto& c) { c.groups = 2; }));
  EXPECT_FALSE(with([](auto& c) { c.stride[2] = 2; }));
  EXPECT_FALSE(with([](auto& c) { c.dilation[1] = 2; }));
  EXPECT_FALSE(with([](auto& c) { c.kernel[1] = 5; }));
  EXPECT_FALSE(with([](auto& c) { c.before[1] = 3; }));
  EXPECT_FALSE(with([](auto& c) { c.batch = 1; }));
}

}  // namespace
}  // namespace lockstep

// Max pooling by vectors of channels, beside the slow and obvious way.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

constexpr std::int64_t kBatch = 2, kSize = 5, kChannels = 11;  // a vector of channels and a rest

Tensor image() {
  Tensor x = random::uniform({kBatch, kSize, kSize, kChannels}, -1, 1, float32, 3);
  float* data = x.mutable_data<float>();
  for (std::int64_t i = 0; i < x.numel(); i += 7) data[i] = 0.25f;  // ties
  data[40] = std::numeric_limits<float>::quiet_NaN();
  data[41] = -std::numeric_limits<float>::infinity();
  return x;
}

std::int64_t at(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) { return ((n * kSize + h) * kSize + w) * kChannels + c; }

/// The first cell of a 2x2 window with the largest element; NaN is the largest.
std::int64_t first_largest(const float* x, std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
  std::int64_t best = at(n, h, w, c);
  for (const std::int64_t other : {at(n, h, w + 1, c), at(n, h + 1, w, c), at(n, h + 1, w + 1, c)})
    if (x[other] > x[best] || (std::isnan(x[other]) && !std::isnan(x[best]))) best = other;
  return best;
}

template <class F>
void for_each_window(std::int64_t stride, F f) {
  const std::int64_t count = (kSize - 2) / stride + 1;
  for (std::int64_t n = 0; n < kBatch; ++n)
    for (std::int64_t h = 0; h < count; ++h)
      for (std::int64_t w = 0; w < count; ++w)
        for (std::int64_t c = 0; c < kChannels; ++c) f(((n * count + h) * count + w) * kChannels + c, n, h * stride, w * stride, c);
}

TEST(MaxPool, TakesTheLargestOfEachWindowWhereNaNIsLargest) {
  const Tensor x = image();
  for (const std::int64_t stride : {1, 2}) {
    const Tensor y = max_pool2d(x, {2, 2}, {stride, stride});
    for_each_window(stride, [&](std::int64_t out, auto... cell) {
      const float wanted = x.data<float>()[std::size_t(first_largest(x.data<float>().data(), cell...))], got = y.data<float>()[std::size_t(out)];
      EXPECT_TRUE(wanted == got || (std::isnan(wanted) && std::isnan(got))) << wanted << " " << got;
    });
  }
}

TEST(MaxPool, SendsTheGradientToTheFirstLargestAlsoWhereWindowsOverlap) {
  const Tensor x = image();
  for (const std::int64_t stride : {1, 2}) {
    autodiff::GradientTape tape;
    tape.watch(x);
    const Tensor y = max_pool2d(x, {2, 2}, {stride, stride});
    const Tensor upstream = random::uniform(y.shape(), -1, 1, float32, 4);
    const Tensor gradient = tape.gradient(y, x, upstream).dense();
    std::vector<float> wanted(std::size_t(x.numel()), 0.0f);
    for_each_window(stride, [&](std::int64_t out, auto... cell) { wanted[std::size_t(first_largest(x.data<float>().data(), cell...))] += upstream.data<float>()[std::size_t(out)]; });
    EXPECT_EQ(gradient.to_vector<float>(), wanted);
  }
}

}  // namespace
}  // namespace lockstep

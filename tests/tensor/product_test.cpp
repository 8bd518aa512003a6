// Products of float32 matrices in the shapes that take different ways through oneDNN: long inner axes, transposed operands, few rows.

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

struct Sizes {
  std::int64_t m, k, n;
};

/// Against the product in float64, with an error that grows as the sum does.
void expect_product(const Sizes& s, bool transpose_a, bool transpose_b) {
  const Tensor a = random::normal(transpose_a ? Shape{s.k, s.m} : Shape{s.m, s.k}, 0, 1, float32, 1), b = random::normal(transpose_b ? Shape{s.n, s.k} : Shape{s.k, s.n}, 0, 1, float32, 2);
  const Tensor wanted = matmul(cast(a, float64), cast(b, float64), transpose_a, transpose_b);
  const Tensor error = abs(cast(matmul(a, b, transpose_a, transpose_b), float64) - wanted);
  EXPECT_LE(reduce_max(error).item<double>(), 2e-6 * double(s.k)) << s.m << "x" << s.k << "x" << s.n << " " << transpose_a << transpose_b;
}

TEST(Product, IsRightWhateverWayItTakes) {
  for (const Sizes& s : {Sizes{128, 320, 64}, {256, 512, 72}, {130, 300, 264}, {64, 700, 128}, {300, 64, 48}, {272, 520, 40}, {129, 515, 37}})
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true}) expect_product(s, transpose_a, transpose_b);
}

TEST(Product, AddsTheBiasAndRectifiesInATracedFunctionAsItDoesEagerly) {
  const Tensor x = random::normal({256, 400}, 0, 1, float32, 1), w = random::normal({400, 64}, 0, 1, float32, 2), b = random::normal({64}, 0, 1, float32, 3);
  const auto layer = [](const Tensor& x, const Tensor& w, const Tensor& b) { return relu(matmul(x, w) + b); };
  const auto traced = autodiff::function(layer);
  EXPECT_EQ(traced.concrete_function(x, w, b).optimized().op_names(), std::vector<std::string>{"fused_matmul"});
  EXPECT_LE(reduce_max(abs(traced(x, w, b) - layer(x, w, b))).item<float>(), 1e-3f);
}

}  // namespace
}  // namespace lockstep

// Elementary functions, float32 against the same in float64, over the whole range of floats: every 16381st bit pattern (about
// 262 000, subnormals and NaNs among them), dense grids around 0 and as far as results over- and underflow, and the edges.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

const Tensor& floats() {
  static const Tensor all = [] {
    std::vector<float> values;
    for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 16381) values.push_back(std::bit_cast<float>(std::uint32_t(bits)));
    for (int i = -40000; i <= 40000; ++i) values.push_back(float(i) * (110.0f / 40000));
    for (int i = -20000; i <= 20000; ++i) values.push_back(float(i) * (2.0f / 20000));
    for (const float edge : {0.0f, -0.0f, INFINITY, -INFINITY, NAN, FLT_MIN, -FLT_MIN, FLT_MAX, -FLT_MAX, 1.0f, -1.0f, 88.72283f, 88.72284f, -87.33654f, -87.33655f, -103.97207f, -103.97208f})
      values.push_back(edge);
    return constant(values);
  }();
  return all;
}

/// The last place of the float nearest to x.
double ulp(double x) {
  const float nearest = float(x);
  return std::isinf(nearest) ? 0x1p104 : std::max(0x1p-149, std::ldexp(1.0, std::ilogb(nearest == 0 ? 0x1p-149f : nearest) - 23));
}

/// Distance of y from the exact result in last places; where the result should overflow or be NaN, 0 if it does.
double distance(float y, double exact) {
  if (std::isnan(exact) || std::isnan(y)) return std::isnan(exact) && std::isnan(y) ? 0 : INFINITY;
  if (y == float(exact) && std::isinf(y)) return 0;
  const double bounded = std::isinf(float(exact)) ? std::copysign(0x1p128, exact) : exact;
  return std::fabs(double(y) - bounded) / ulp(exact);
}

using Bound = std::function<double(double x, double exact)>;
Bound ulps(double count) {
  return [count](double, double) { return count; };
}

/// Every element within bound(x, exact) last places.
void expect_within(const Bound& bound, const Tensor& y, double (*exact)(double)) {
  const auto x = floats().data<float>(), found = y.data<float>();
  double worst = 0;
  std::size_t failures = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double reference = exact(double(x[i])), error = distance(found[i], reference);
    worst = std::max(worst, error);
    if (error > 0 && !(error <= bound(double(x[i]), reference)) && ++failures <= 3)
      ADD_FAILURE() << "f(" << std::hexfloat << x[i] << std::defaultfloat << " = " << x[i] << ") = " << found[i] << " instead of " << reference << ": " << error << " ulp";
  }
  EXPECT_EQ(failures, 0u);
  ::testing::Test::RecordProperty("largest_error_in_ulp", std::to_string(worst));
}
double exact_sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double exact_softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

TEST(Accuracy, ExpIsWithin2Ulp) { expect_within(ulps(2), exp(floats()), [](double x) { return std::exp(x); }); }
TEST(Accuracy, LogIsWithin2Ulp) { expect_within(ulps(2), log(floats()), [](double x) { return std::log(x); }); }
TEST(Accuracy, TanhIsWithin2Ulp) { expect_within(ulps(2), tanh(floats()), [](double x) { return std::tanh(x); }); }
TEST(Accuracy, SigmoidIsWithin2Ulp) { expect_within(ulps(2), sigmoid(floats()), exact_sigmoid); }
TEST(Accuracy, Expm1IsWithin2Ulp) { expect_within(ulps(2), expm1(floats()), [](double x) { return std::expm1(x); }); }
TEST(Accuracy, SqrtIsCorrectlyRounded) { expect_within(ulps(0.5), sqrt(floats()), [](double x) { return std::sqrt(x); }); }
// Three roundings of at most half an ulp of a number up to twice as large as the result: of the root, the quotient, and their sum.
TEST(Accuracy, RsqrtIsWithin2Ulp) { expect_within(ulps(2), rsqrt(floats()), [](double x) { return 1 / std::sqrt(x); }); }
// A logarithm within 1 ulp, a quotient and a product.
TEST(Accuracy, Log1pIsWithin3Ulp) { expect_within(ulps(3), log1p(floats()), [](double x) { return std::log1p(x); }); }
// The rational function is fitted to 3 ulp close to 1, where it is cut off at 4.
TEST(Accuracy, ErfIsWithin5Ulp) { expect_within(ulps(5), erf(floats()), [](double x) { return std::erf(x); }); }
// log1p of an exponential: the errors of both.
TEST(Accuracy, SoftplusIsWithin4Ulp) { expect_within(ulps(4), softplus(floats()), exact_softplus); }

TEST(Accuracy, ErfinvInvertsErfInFloat64) {
  for (int i = -999; i <= 999; ++i) {
    const double y = i / 1000.0, x = erfinv(scalar(y, float64)).item<double>();
    EXPECT_NEAR(std::erf(x), y, 2e-16 + 4e-16 * std::fabs(y)) << y;
  }
  const double tail = erfinv(scalar(1 - 1e-10, float64)).item<double>();
  EXPECT_NEAR(std::erfc(tail) / (1 - (1 - 1e-10)), 1, 1e-13);
}

/// Below -87 the sigmoid is subnormal, with fewer digits; times x, its last place is |x| of the result's.
TEST(Accuracy, SiluIsWithin3UlpWhereTheSigmoidIsNormal) {
  expect_within([](double x, double) { return x < -87 ? 3 + std::fabs(x) : 3; }, silu(floats()), [](double x) { return x * exact_sigmoid(x); });
}

/// erfc falls as exp(-x^2 / 2): the rounding of x / sqrt(2) alone changes it by x^2 half-ulps.
TEST(Accuracy, GeluIsAsExactAsItsArgument) {
  expect_within([](double x, double exact) { return exact == 0 ? 1 : 3 + x * x; }, gelu(floats()), [](double x) { return 0.5 * x * std::erfc(-x * double(0.707106769084930419921875)); });
}

/// 1 + tanh cancels below 0: what is left is exact to the last places of x.
TEST(Accuracy, GeluByTanhIsExactToTheLastPlacesOfX) {
  expect_within([](double x, double exact) { return 3 + 1.5 * ulp(x) / ulp(exact); }, gelu(floats(), true), [](double x) {
    return 0.5 * x * (1 + std::tanh(0.7978845608028653558798921198687 * (x + 0.0447149984538555145263671875 * x * x * x)));
  });
}

}  // namespace
}  // namespace lockstep

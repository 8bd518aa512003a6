// Reductions against a plain loop, over random shapes and axes, in every dtype; their accuracy over long runs; ties and NaN.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <random>
#include <vector>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Wide = std::complex<double>;

/// 1, 2 and 3, so that every order of addition gives the same; both bools.
Tensor whole_numbers(DType dtype, const Shape& shape, std::mt19937& engine) {
  Tensor tensor = Tensor::empty(shape, dtype);
  visit_dtype(dtype, [&]<class T>(TypeTag<T>) {
    if constexpr (!std::is_same_v<T, std::string>)
      for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.mutable_data<T>()[i] = std::is_same_v<T, bool> ? static_cast<T>(float(engine() % 2)) : static_cast<T>(float(1 + engine() % 3));
  });
  return tensor;
}

std::vector<Wide> elements(const Tensor& tensor) { return cast(tensor, complex128).to_vector<Wide>(); }

struct Group {
  std::vector<Wide> members;
};

/// The elements that each place of the result comes from, in row-major order of the kept axes.
std::vector<Group> groups_of(const Tensor& x, const std::vector<bool>& reduced) {
  std::int64_t kept = 1;
  for (int i = 0; i < x.ndim(); ++i)
    if (!reduced[std::size_t(i)]) kept *= x.shape()[i];
  std::vector<Group> groups(static_cast<std::size_t>(kept));
  const std::vector<Wide> values = elements(x);
  for (std::size_t n = 0; n < values.size(); ++n) {
    std::int64_t rest = std::int64_t(n), place = 0, stride = 1;
    for (int i = x.ndim() - 1; i >= 0; --i) {
      const std::int64_t at = rest % x.shape()[i];
      rest /= x.shape()[i];
      if (!reduced[std::size_t(i)]) place += at * stride, stride *= x.shape()[i];
    }
    groups[std::size_t(place)].members.push_back(values[n]);
  }
  return groups;
}

using Fold = Wide (*)(const Group&);
Wide sum_of(const Group& group) {
  Wide sum = 0;
  for (const Wide& each : group.members) sum += each;
  return sum;
}
Wide product_of(const Group& group) {
  Wide product = 1;
  for (const Wide& each : group.members) product *= each;
  return product;
}
Wide mean_of(const Group& group) { return sum_of(group) / double(group.members.size()); }
Wide largest_of(const Group& group) {
  double largest = -INFINITY;
  for (const Wide& each : group.members) largest = std::max(largest, each.real());
  return largest;
}
Wide smallest_of(const Group& group) {
  double smallest = INFINITY;
  for (const Wide& each : group.members) smallest = std::min(smallest, each.real());
  return smallest;
}

Wide any_of(const Group& group) { return double(std::count(group.members.begin(), group.members.end(), Wide(1)) > 0); }
Wide all_of(const Group& group) { return double(std::count(group.members.begin(), group.members.end(), Wide(0)) == 0); }

/// The exact result as the dtype has it: integers wrap around or truncate, floats round.
Wide rounded(const Wide& exact, DType dtype) {
  if (is_complex(dtype)) return exact;
  return elements(cast(constant(std::vector<double>{exact.real()}), dtype))[0];
}

using Reduction = Tensor (*)(const Tensor&, const Axes&, bool);

/// Over random shapes and axes, in every dtype that the reduction takes.
void expect_like_a_loop(std::string_view op, Reduction reduce, Fold fold, DTypeSet dtypes) {
  ASSERT_EQ(find_op(op).dtypes.inputs[0].allowed.bits, dtypes.bits);
  std::mt19937 engine(7);
  for (int d = 0; d < kDTypeCount; ++d) {
    const DType dtype = DType(d);
    if (!dtypes.contains(dtype)) continue;
    for (int round = 0; round < 12; ++round) {
      Shape shape;
      Ints axes;
      std::vector<bool> reduced;
      for (unsigned i = 0, ndim = engine() % 4; i < ndim; ++i) {
        shape.push_back(1 + engine() % 3);
        reduced.push_back(engine() % 2);
        if (reduced.back()) axes.push_back(engine() % 2 ? std::int64_t(i) : std::int64_t(i) - std::int64_t(ndim));
      }
      const bool keepdims = engine() % 2;
      const Tensor x = whole_numbers(dtype, shape, engine);
      const Tensor y = reduce(x, axes, keepdims);
      ASSERT_EQ(y.dtype(), dtype);
      ASSERT_EQ(y.ndim(), keepdims ? x.ndim() : x.ndim() - int(axes.size()));
      const std::vector<Group> groups = groups_of(x, reduced);
      const std::vector<Wide> found = elements(y);
      ASSERT_EQ(found.size(), groups.size());
      for (std::size_t i = 0; i < groups.size(); ++i) {
        const Wide expected = rounded(fold(groups[i]), dtype);
        // Products and means may round at each step: in float32 for the 16-bit types, which round once more.
        const double slack = dtype == float16 ? 1e-3 : dtype == bfloat16 ? 8e-3 : is_float(dtype) || is_complex(dtype) ? 5e-7 : 0;
        EXPECT_TRUE(found[i] == expected || std::abs(found[i] - expected) <= slack * std::abs(expected))
            << found[i] << " instead of " << expected << ", " << op << " of " << to_string(x.spec()) << " over " << to_string(AttrValue(axes));
      }
    }
  }
}

TEST(Reduce, SumsLikeALoop) { expect_like_a_loop("reduce_sum", reduce_sum, sum_of, kNumeric); }
TEST(Reduce, MultipliesLikeALoop) { expect_like_a_loop("reduce_prod", reduce_prod, product_of, kNumeric); }
TEST(Reduce, AveragesLikeALoop) { expect_like_a_loop("reduce_mean", reduce_mean, mean_of, kNumeric); }
TEST(Reduce, FindsTheLargestLikeALoop) { expect_like_a_loop("reduce_max", reduce_max, largest_of, kReal); }
TEST(Reduce, FindsTheSmallestLikeALoop) { expect_like_a_loop("reduce_min", reduce_min, smallest_of, kReal); }
TEST(Reduce, TellsWhetherAnyIsTrueLikeALoop) { expect_like_a_loop("reduce_any", reduce_any, any_of, kBool); }
TEST(Reduce, TellsWhetherAllAreTrueLikeALoop) { expect_like_a_loop("reduce_all", reduce_all, all_of, kBool); }

// ---- without elements

TEST(Reduce, GivesTheNeutralElementWhereThereIsNothing) {
  const Tensor nothing = zeros({0, 2});
  EXPECT_EQ(reduce_sum(nothing, 0).to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(reduce_prod(nothing, 0).to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(reduce_max(nothing, 0).to_vector<float>(), (std::vector<float>{-INFINITY, -INFINITY}));
  EXPECT_EQ(reduce_min(nothing, 0).to_vector<float>(), (std::vector<float>{INFINITY, INFINITY}));
  EXPECT_EQ(reduce_max(zeros({0}, int32)).item<std::int32_t>(), std::numeric_limits<std::int32_t>::min());
  EXPECT_TRUE(std::isnan(reduce_mean(nothing).item<float>()));
  EXPECT_EQ(reduce_sum(nothing, 1).shape(), Shape{0});
}

TEST(Reduce, OverNoAxesIsTheTensorItself) {
  const Tensor x = constant({{1.0f, 2.0f}, {3.0f, 4.0f}});
  EXPECT_EQ(reduce_sum(x, Ints{}).to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(reduce_max(x, Ints{}).to_vector<float>(), x.to_vector<float>());
}

TEST(Reduce, RefusesAnAxisTwiceOrOutside) {
  const Tensor x = zeros({2, 3});
  EXPECT_THROW(reduce_sum(x, {0, -2}), InvalidArgumentError);
  EXPECT_THROW(reduce_sum(x, 2), InvalidArgumentError);
  EXPECT_THROW(reduce_sum(x, -3), InvalidArgumentError);
}

// ---- accuracy

TEST(Reduce, SumsMillionsOfOnesExactly) {
  EXPECT_EQ(reduce_sum(ones({1 << 24})).item<float>(), 16777216.0f);
  // A running float32 sum stops growing at 2^24.
  EXPECT_EQ(reduce_sum(ones({3 << 23})).item<float>(), 25165824.0f);
}

/// Largest relative error of sums of `count` numbers, wherever the reduced axes stand.
double sum_error(const Tensor& x, const Axes& axes) {
  const Tensor exact = reduce_sum(cast(x, float64), axes), found = cast(reduce_sum(x, axes), float64);
  return reduce_max(abs(found - exact) / abs(exact)).item<double>();
}

TEST(Reduce, SumsLongRunsAccuratelyAlongAnyAxes) {
  const Tensor x = random::uniform({1 << 20}, 0, 1, float32, 3);
  EXPECT_LT(sum_error(x, {}), 2e-6);
  EXPECT_LT(sum_error(reshape(x, {4, -1}), 1), 2e-6);
  EXPECT_LT(sum_error(reshape(x, {-1, 4}), 0), 2e-6);
  EXPECT_LT(sum_error(reshape(x, {2, -1, 4}), 1), 2e-6);
  EXPECT_LT(sum_error(reshape(x, {512, 4, -1}), {0, 2}), 2e-6);
  EXPECT_LT(sum_error(reshape(x, {2, 512, 2, -1, 4}), {1, 3}), 2e-6);
}

TEST(Reduce, AveragesHalvesInFloat32) {
  EXPECT_EQ(float(reduce_mean(full({100000}, 1.5, float16)).item<Half>()), 1.5f);  // the sum, 150 000, is no float16
  EXPECT_EQ(float(reduce_mean(full({100000}, 1.5, bfloat16)).item<BFloat16>()), 1.5f);
}

TEST(Reduce, GivesMeanAndVarianceOfLargeNumbersWithoutCancellation) {
  const Tensor x = random::normal({10000}, 1000, 0.5, float32, 5);
  const Tensor exact = cast(x, float64);
  const double mean = reduce_mean(exact).item<double>(), variance = reduce_mean(square(exact - mean)).item<double>();
  EXPECT_NEAR(double(reduce_mean(x).item<float>()), mean, 1e-3);
  EXPECT_NEAR(double(reduce_variance(x).item<float>()), variance, 1e-4);
  EXPECT_NEAR(double(reduce_std(x).item<float>()), std::sqrt(variance), 1e-4);
  const auto [m, v] = moments(x, 0);
  EXPECT_NEAR(double(m.item<float>()), mean, 1e-3);
  EXPECT_NEAR(double(v.item<float>()), variance, 1e-4);
}

TEST(Reduce, GivesTheLogOfSumsOfHugeAndTinyExponents) {
  EXPECT_FLOAT_EQ(reduce_logsumexp(constant({1000.0f, 1000.0f})).item<float>(), 1000.0f + std::log(2.0f));
  EXPECT_FLOAT_EQ(reduce_logsumexp(constant({-1000.0f, -1000.0f})).item<float>(), -1000.0f + std::log(2.0f));
  EXPECT_EQ(reduce_logsumexp(constant({-INFINITY, -INFINITY})).item<float>(), -INFINITY);
  EXPECT_EQ(reduce_logsumexp(constant({0.0f, INFINITY})).item<float>(), INFINITY);
}

TEST(Reduce, WrapsIntegersAroundAndTruncatesTheirMean) {
  EXPECT_EQ(reduce_sum(constant({100, 100}, int8)).item<std::int8_t>(), -56);
  EXPECT_EQ(reduce_prod(constant({16, 16}, uint8)).item<std::uint8_t>(), 0);
  EXPECT_EQ(reduce_mean(constant({-1, -2})).item<std::int32_t>(), -1);
  EXPECT_EQ(reduce_mean(constant({1, 2})).item<std::int32_t>(), 1);
}

// ---- NaN and ties

TEST(Reduce, CarriesNaNAlongAnyAxesAndRunLengths) {
  for (const std::int64_t n : {1, 3, 17, 1000})
    for (const std::int64_t at : {std::int64_t(0), n / 2, n - 1}) {
      Tensor x = ones({n});
      x.mutable_data<float>()[at] = NAN;
      EXPECT_TRUE(std::isnan(reduce_max(x).item<float>())) << n << " " << at;
      EXPECT_TRUE(std::isnan(reduce_min(x).item<float>())) << n << " " << at;
      EXPECT_TRUE(std::isnan(reduce_sum(x).item<float>())) << n << " " << at;
      EXPECT_TRUE(std::isnan(reduce_max(reshape(x, {-1, 1}), 0).item<float>())) << n << " " << at;
      EXPECT_EQ(argmax(x).item<std::int64_t>(), at);
      EXPECT_EQ(argmin(x).item<std::int64_t>(), at);
      const Tensor halves = cast(x, float16);
      EXPECT_TRUE(std::isnan(float(reduce_max(halves).item<Half>()))) << n << " " << at;
      EXPECT_EQ(argmax(halves).item<std::int64_t>(), at);
    }
}

TEST(ArgMax, GivesTheFirstOfSeveral) {
  const Tensor x = constant({{1.0f, 3.0f, 3.0f}, {2.0f, 2.0f, 0.0f}});
  EXPECT_EQ(argmax(x, 1).to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(argmin(x, 0).to_vector<std::int64_t>(), (std::vector<std::int64_t>{0, 1, 1}));
  EXPECT_EQ(argmin(constant({{2, 1}, {1, 1}}), -1).to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(argmax(constant({false, true, true}), 0, int32).to_vector<std::int32_t>(), std::vector<std::int32_t>{1});
}

TEST(ArgMax, GivesTheFirstNaN) {
  EXPECT_EQ(argmax(constant({1.0f, NAN, INFINITY, NAN})).item<std::int64_t>(), 1);
  EXPECT_EQ(argmin(constant({1.0f, -INFINITY, NAN, NAN})).item<std::int64_t>(), 2);
}

TEST(ArgMax, RefusesAnEmptyAxis) { EXPECT_THROW(argmax(zeros({2, 0}), 1), InvalidArgumentError); }

}  // namespace
}  // namespace lockstep

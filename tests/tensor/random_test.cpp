#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

/// The 32-bit words that Philox4x32-10 gives for a key and a counter of (position, stream), seen through integers over all of uint32.
std::vector<std::uint32_t> words(std::int64_t seed, std::int64_t stream, std::int64_t count) {
  const Tensor key = constant(std::vector<std::int64_t>{seed, stream});
  // Two words make a draw of 64 bits; its upper half times 2^32 is the second word.
  const Tensor drawn = random::uniform_from(key, {count}, std::int64_t(0), std::int64_t(1) << 32, int64);
  std::vector<std::uint32_t> result;
  for (const std::int64_t value : drawn.to_vector<std::int64_t>()) result.push_back(std::uint32_t(value));
  return result;
}

TEST(Philox, GivesTheKnownAnswersOfRandom123) {
  // kat_vectors of Random123, philox4x32 10: counter 0 and key 0 give 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
  EXPECT_EQ(words(0, 0, 2), (std::vector<std::uint32_t>{0xe169c58d, 0x9b00dbd8}));
}

TEST(Philox, GivesTheKnownAnswersInEveryBit) {
  // The same block as floats: the upper 24 bits of each of its four words.
  const Tensor key = constant(std::vector<std::int64_t>{0, 0});
  const std::vector<float> drawn = random::uniform_from(key, {4}).to_vector<float>();
  const std::uint32_t known[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(drawn[i], float(known[i] >> 8) * 0x1p-24f) << i;
}

/// Philox4x32-10 as its paper defines it, for any key and counter.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t(0xD2511F53) * counter[0], b = std::uint64_t(0xCD9E8D57) * counter[2];
    counter = {std::uint32_t(b >> 32) ^ counter[1] ^ key[0], std::uint32_t(b), std::uint32_t(a >> 32) ^ counter[3] ^ key[1], std::uint32_t(a)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

TEST(Philox, OfThisFileGivesTheKnownAnswersToo) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}), (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, CountsBlocksInTheCounterAndStreamsBehindThem) {
  const std::int64_t seed = 0x299f31d0a4093822, stream = 0x0370734413198a2e;
  const std::vector<std::uint32_t> drawn = words(seed, stream, 6);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const auto known = philox({block, 0, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0});
    EXPECT_EQ(drawn[2 * block], known[1]);
    EXPECT_EQ(drawn[2 * block + 1], known[3]);
  }
}

std::vector<float> draw(std::optional<std::int64_t> seed = {}) { return random::uniform({5}, 0, 1, float32, seed).to_vector<float>(); }

TEST(Random, RepeatsItselfAfterTheSameGlobalSeed) {
  random::set_seed(42);
  const auto first = draw(), second = draw();
  EXPECT_NE(first, second);
  random::set_seed(42);
  EXPECT_EQ(draw(), first);
  EXPECT_EQ(draw(), second);
  random::set_seed(43);
  EXPECT_NE(draw(), first);
}

TEST(Random, DrawsAnOpSeedsSequenceWhateverElseIsDrawn) {
  random::set_seed(42);
  const auto first = draw(7), second = draw(7);
  EXPECT_NE(first, second);
  random::set_seed(42);
  draw();
  draw(8);
  EXPECT_EQ(draw(7), first);
  draw();
  EXPECT_EQ(draw(7), second);
  random::set_seed(43);
  EXPECT_NE(draw(7), first) << "the global seed counts too";
}

TEST(Random, DrawsOtherNumbersForOtherOpSeeds) {
  random::set_seed(1);
  EXPECT_NE(draw(1), draw(2));
}

TEST(Generator, HandsOutKeysInOrderAndStartsOver) {
  const Generator generator(9);
  EXPECT_EQ(generator.next_key().to_vector<std::int64_t>(), (std::vector<std::int64_t>{9, 0}));
  EXPECT_EQ(generator.next_key().to_vector<std::int64_t>(), (std::vector<std::int64_t>{9, 1}));
  generator.reset(10);
  EXPECT_EQ(generator.next_key().to_vector<std::int64_t>(), (std::vector<std::int64_t>{10, 0}));
}

TEST(Random, DoesNotDependOnTheNumberDrawn) {
  const Tensor key = constant(std::vector<std::int64_t>{3, 4});
  const auto few = random::normal_from(key, {7}).to_vector<float>(), many = random::normal_from(key, {100000}).to_vector<float>();
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
}

struct Moments {
  double mean, variance, skew, kurtosis, least, most;
};
Moments moments_of(const Tensor& x) {
  const std::vector<double> values = cast(x, float64).to_vector<double>();
  const double n = double(values.size()), mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double m2 = 0, m3 = 0, m4 = 0;
  for (const double value : values) {
    const double d = value - mean;
    m2 += d * d / n, m3 += d * d * d / n, m4 += d * d * d * d / n;
  }
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {mean, m2, m3 / std::pow(m2, 1.5), m4 / (m2 * m2), *least, *most};
}

class RandomFloats : public testing::TestWithParam<DType> {
 protected:
  /// What five standard errors of 200 000 draws allow, and the rounding of the dtype.
  double tolerance() const { return 0.012 + (GetParam() == bfloat16 ? 0.004 : 0); }
  Tensor key = constant(std::vector<std::int64_t>{2024, 1});
  Shape shape{200000};
};

TEST_P(RandomFloats, AreUniform) {
  const Moments m = moments_of(random::uniform_from(key, shape, -1, 3, GetParam()));
  EXPECT_NEAR(m.mean, 1, 2 * tolerance());
  EXPECT_NEAR(m.variance, 16.0 / 12, 2 * tolerance());
  EXPECT_NEAR(m.kurtosis, 1.8, tolerance());
  EXPECT_GE(m.least, -1);
  EXPECT_LT(m.most, 3);
  EXPECT_LT(m.least, -0.99);
  EXPECT_GT(m.most, 2.95);
}

TEST_P(RandomFloats, AreNormal) {
  const Moments m = moments_of(random::normal_from(key, shape, 2, 3, GetParam()));
  EXPECT_NEAR(m.mean, 2, 3 * tolerance());
  EXPECT_NEAR(m.variance, 9, 15 * tolerance());
  EXPECT_NEAR(m.skew, 0, 3 * tolerance());
  EXPECT_NEAR(m.kurtosis, 3, 6 * tolerance());
}

TEST_P(RandomFloats, AreNormalWithinTwoDeviations) {
  const Moments m = moments_of(random::truncated_normal_from(key, shape, 1, 0.5, GetParam()));
  EXPECT_NEAR(m.mean, 1, tolerance());
  EXPECT_NEAR(m.variance, 0.25 * 0.7737413, tolerance());
  EXPECT_NEAR(m.skew, 0, 3 * tolerance());
  EXPECT_GE(m.least, 0);
  EXPECT_LE(m.most, 2);
  EXPECT_GT(m.most, 1.95);
}

INSTANTIATE_TEST_SUITE_P(DTypes, RandomFloats, testing::Values(float16, bfloat16, float32, float64), [](const auto& info) { return std::string(name(info.param)); });

TEST(Random, DrawsEveryIntegerOfARangeEquallyOften) {
  for (const DType dtype : {int8, int32, int64, uint16}) {
    const Tensor x = cast(random::integers({60000}, 3, 9, dtype, 5), int32);
    EXPECT_EQ(reduce_min(x).item<std::int32_t>(), 3);
    EXPECT_EQ(reduce_max(x).item<std::int32_t>(), 8);
    for (const std::int32_t count : bincount(x - 3).to_vector<std::int32_t>()) EXPECT_NEAR(count, 10000, 500);
  }
}

TEST(Random, ReachesTheEndsOfAnIntegerDType) {
  const Tensor x = random::integers({20000}, -128, 128, int8, 5);
  EXPECT_EQ(reduce_min(x).item<std::int8_t>(), -128);
  EXPECT_EQ(reduce_max(x).item<std::int8_t>(), 127);
  const Tensor wide = random::integers({1000}, INT64_MIN, INT64_MAX, int64, 5);
  EXPECT_LT(reduce_min(wide).item<std::int64_t>(), INT64_MIN / 2);
  EXPECT_GT(reduce_max(wide).item<std::int64_t>(), INT64_MAX / 2);
}

TEST(Random, ShufflesRowsIntoAPermutation) {
  const Tensor rows = reshape(range(0, 2000), {1000, 2});
  const auto shuffled = random::shuffle(rows, 3).to_vector<std::int32_t>();
  std::vector<std::int32_t> firsts;
  for (std::size_t i = 0; i < shuffled.size(); i += 2) {
    ASSERT_EQ(shuffled[i + 1], shuffled[i] + 1) << "rows stay whole";
    firsts.push_back(shuffled[i] / 2);
  }
  EXPECT_FALSE(std::is_sorted(firsts.begin(), firsts.end()));
  std::sort(firsts.begin(), firsts.end());
  for (std::size_t i = 0; i < firsts.size(); ++i) ASSERT_EQ(firsts[i], std::int32_t(i));
}

TEST(Random, PutsEveryElementEverywhereEquallyOften) {
  int seen[4][4] = {};
  for (std::int64_t stream = 0; stream < 4000; ++stream) {
    const auto order = random::permutation_from(constant(std::vector<std::int64_t>{1, stream}), 4).to_vector<std::int64_t>();
    for (std::size_t i = 0; i < 4; ++i) ++seen[i][order[i]];
  }
  for (const auto& row : seen)
    for (const int count : row) EXPECT_NEAR(count, 1000, 140);
}

TEST(Random, DrawsNothingForAnEmptyShape) {
  EXPECT_EQ(random::normal({0, 3}).shape(), (Shape{0, 3}));
  EXPECT_EQ(random::shuffle(zeros({0, 2})).shape(), (Shape{0, 2}));
  EXPECT_EQ(random::uniform({}).shape(), Shape());
}

TEST(Random, RefusesWhatItCannotDraw) {
  EXPECT_THROW(random::uniform({2}, 1, 1), InvalidArgumentError);
  EXPECT_THROW(random::uniform({2}, 2, 1), InvalidArgumentError);
  EXPECT_THROW(random::uniform({2}, NAN, 1.0), InvalidArgumentError);
  EXPECT_THROW(random::uniform({2}, 0, 1.5, int32), InvalidArgumentError);
  EXPECT_THROW(random::uniform({2}, 0, 1, boolean), TypeError);
  EXPECT_THROW(random::normal({2}, 0, -1), InvalidArgumentError);
  EXPECT_THROW(random::normal({2}, 0, 1, int32), TypeError);
  EXPECT_THROW(random::integers({2}, 0, 2, float32), TypeError);
  EXPECT_THROW(random::integers({2}, 0, 300, int8), InvalidArgumentError);
  EXPECT_THROW(random::integers({2}, -1, 3, uint8), InvalidArgumentError);
  EXPECT_THROW(random::shuffle(constant(1)), InvalidArgumentError);
  EXPECT_THROW(random::shuffle(Tensor()), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep

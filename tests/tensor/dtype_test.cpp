#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

/// The value of a 16-bit float by its definition: sign, exponent, fraction.
double decoded(std::uint16_t bits, int fraction_bits) {
  const int exponent_bits = 15 - fraction_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1), fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

/// Every bit pattern reads as `decoded` says and reads back as itself; what lies between two neighbours goes to the nearer, and
/// from the middle to the even one.
template <class T>
void check_every_value(int fraction_bits) {
  const int infinity = ((1 << (15 - fraction_bits)) - 1) << fraction_bits;
  for (int i = 0; i < 65536; ++i) {
    T value;
    value.bits = std::uint16_t(i);
    const double exact = decoded(value.bits, fraction_bits);
    const auto read = float(value);
    if (std::isnan(exact)) {
      ASSERT_TRUE(std::isnan(read)) << i;
      ASSERT_TRUE(std::isnan(decoded(T(read).bits, fraction_bits))) << i;
      continue;
    }
    ASSERT_EQ(double(read), exact) << i;
    ASSERT_EQ(std::signbit(read), std::signbit(exact)) << i;
    ASSERT_EQ(T(read).bits, value.bits) << i;
    if ((i & 0x7fff) >= infinity) continue;
    // The next one away from zero; behind the largest comes what would follow if there were no infinity.
    const bool largest = (i & 0x7fff) + 1 == infinity;
    const double step = largest ? exact - decoded(std::uint16_t(i - 1), fraction_bits) : decoded(std::uint16_t(i + 1), fraction_bits) - exact;
    const auto middle = float(exact + step / 2);
    if (double(middle) != exact + step / 2) continue;  // bfloat16's largest: the middle is no float
    const std::uint16_t even = std::uint16_t(i & 1 ? i + 1 : i);
    ASSERT_EQ(T(middle).bits, even) << i;
    ASSERT_EQ(T(std::nextafter(middle, 0.0f)).bits, i) << i;
    ASSERT_EQ(T(std::nextafter(middle, std::signbit(exact) ? -INFINITY : INFINITY)).bits, i + 1) << i;
  }
}

TEST(Half, ConvertsEveryValueAndRoundsToNearestEven) { check_every_value<Half>(10); }
TEST(BFloat16, ConvertsEveryValueAndRoundsToNearestEven) { check_every_value<BFloat16>(7); }

TEST(Half, OverflowsToInfinityAndUnderflowsToZero) {
  EXPECT_EQ(Half(65504.0f).bits, 0x7bff);
  EXPECT_EQ(Half(65519.99f).bits, 0x7bff);
  EXPECT_EQ(Half(65520.0f).bits, 0x7c00);
  EXPECT_EQ(Half(-1e30f).bits, 0xfc00);
  EXPECT_EQ(Half(0x1p-25f).bits, 0x0000);
  EXPECT_EQ(Half(-0x1.8p-25f).bits, 0x8001);
  EXPECT_EQ(Half(std::numeric_limits<float>::denorm_min()).bits, 0x0000);
}

TEST(BFloat16, KeepsNaNWhoseLowBitsAreDropped) {
  const float nan = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(float(BFloat16(nan))));
  EXPECT_EQ(BFloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
}

TEST(Half, ComparesAsNumbers) {
  EXPECT_EQ(Half(0.0f), Half(-0.0f));
  EXPECT_LT(Half(-1.0f), Half(0.5f));
  EXPECT_FALSE(Half(NAN) == Half(NAN));
}

TEST(DType, HasNumPysNamesAndSizes) {
  const std::pair<DType, std::pair<const char*, std::size_t>> rows[] = {
      {boolean, {"bool", 1}},   {int8, {"int8", 1}},         {int16, {"int16", 2}},     {int32, {"int32", 4}},       {int64, {"int64", 8}},
      {uint8, {"uint8", 1}},    {uint16, {"uint16", 2}},     {uint32, {"uint32", 4}},   {uint64, {"uint64", 8}},     {float16, {"float16", 2}},
      {bfloat16, {"bfloat16", 2}}, {float32, {"float32", 4}}, {float64, {"float64", 8}}, {complex64, {"complex64", 8}}, {complex128, {"complex128", 16}},
      {string, {"string", sizeof(std::string)}}};
  EXPECT_EQ(std::size(rows), std::size_t(kDTypeCount));
  for (const auto& [dtype, row] : rows) {
    EXPECT_EQ(name(dtype), row.first);
    EXPECT_EQ(itemsize(dtype), row.second);
    EXPECT_EQ(dtype_from_name(row.first), dtype);
  }
}

TEST(DType, SuggestsTheNearestName) {
  try {
    dtype_from_name("flaot32");
    FAIL() << "flaot32 is no dtype";
  } catch (const InvalidArgumentError& error) {
    EXPECT_EQ(error.hint(), "did you mean 'float32'?");
    EXPECT_NE(std::string(error.what()).find("unknown dtype 'flaot32'"), std::string::npos) << error.what();
  }
  EXPECT_THROW(dtype_from_name(""), InvalidArgumentError);
  EXPECT_THROW(dtype_from_name("completely different"), InvalidArgumentError);
}

TEST(DType, FallsIntoClasses) {
  EXPECT_TRUE(is_float(bfloat16));
  EXPECT_FALSE(is_float(complex64));
  EXPECT_TRUE(is_integer(uint8));
  EXPECT_FALSE(is_integer(boolean));
  EXPECT_TRUE(is_differentiable(complex128));
  EXPECT_FALSE(is_differentiable(int32));
  EXPECT_EQ(to_string(kIndexInts), "int32, int64");
  EXPECT_FALSE(kFixedSize.contains(string));
}

TEST(DType, IsVisitedAsItsCppType) {
  for (int i = 0; i < kDTypeCount; ++i)
    visit_dtype(DType(i), [&]<class T>(TypeTag<T>) {
      EXPECT_EQ(dtype_of<T>, DType(i));
      EXPECT_EQ(sizeof(T), itemsize(DType(i)));
    });
}

}  // namespace
}  // namespace lockstep

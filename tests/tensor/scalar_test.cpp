#include <gtest/gtest.h>

#include <complex>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

TEST(Scalar, KeepsItsKind) {
  EXPECT_EQ(Scalar(true).kind(), Scalar::Kind::boolean);
  EXPECT_EQ(Scalar(1).kind(), Scalar::Kind::integer);
  EXPECT_EQ(Scalar(std::uint8_t(1)).kind(), Scalar::Kind::integer);
  EXPECT_EQ(Scalar(1.0f).kind(), Scalar::Kind::real);
  EXPECT_EQ(Scalar(std::complex<float>(1, 2)).kind(), Scalar::Kind::complex);
}

TEST(Scalar, FitsTheDTypesOfItsKindAndWiderOnes) {
  EXPECT_TRUE(Scalar(1).fits(int32));
  EXPECT_TRUE(Scalar(1).fits(float16));
  EXPECT_TRUE(Scalar(1).fits(complex64));
  EXPECT_FALSE(Scalar(1).fits(boolean));
  EXPECT_FALSE(Scalar(1).fits(string));
  EXPECT_TRUE(Scalar(1.5).fits(bfloat16));
  EXPECT_FALSE(Scalar(1.0).fits(int32));
  EXPECT_TRUE(Scalar(true).fits(boolean));
  EXPECT_FALSE(Scalar(true).fits(int32));
  EXPECT_TRUE(Scalar(std::complex<double>(0, 1)).fits(complex128));
  EXPECT_FALSE(Scalar(std::complex<double>(0, 1)).fits(float64));
}

TEST(Scalar, DoesNotFitAnIntegerDTypeInWhichItWouldWrap) {
  EXPECT_TRUE(Scalar(127).fits(int8));
  EXPECT_FALSE(Scalar(128).fits(int8));
  EXPECT_TRUE(Scalar(-128).fits(int8));
  EXPECT_FALSE(Scalar(-129).fits(int8));
  EXPECT_TRUE(Scalar(255).fits(uint8));
  EXPECT_FALSE(Scalar(256).fits(uint8));
  EXPECT_FALSE(Scalar(-1).fits(uint32));
  EXPECT_FALSE(Scalar(-1).fits(uint64));
  EXPECT_FALSE(Scalar(std::int64_t(1) << 31).fits(int32));
  EXPECT_TRUE(Scalar(INT64_MIN).fits(int64));
  EXPECT_TRUE(Scalar(UINT64_MAX).fits(uint64));
  EXPECT_FALSE(Scalar(UINT64_MAX).fits(int64));
}

TEST(Scalar, BecomesATensorOfTheDTypeAskedFor) {
  EXPECT_EQ(scalar(3, float32).item<float>(), 3.0f);
  EXPECT_EQ(scalar(3, int64).item<std::int64_t>(), 3);
  EXPECT_EQ(scalar(UINT64_MAX, uint64).item<std::uint64_t>(), UINT64_MAX);
  EXPECT_EQ(scalar(0.5, complex64).item<std::complex<float>>(), std::complex<float>(0.5f, 0));
  EXPECT_EQ(scalar(true, boolean).item<bool>(), true);
  EXPECT_EQ(float(scalar(0.1, float16).item<Half>()), float(Half(0.1f)));
}

TEST(Scalar, RefusesADTypeItDoesNotFitNamingBoth) {
  try {
    scalar(1.5, int32);
    FAIL() << "1.5 is no int32";
  } catch (const InvalidArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("1.5 does not fit dtype int32"), std::string::npos) << error.what();
    EXPECT_FALSE(error.hint().empty());
  }
  EXPECT_THROW(scalar(300, int8), InvalidArgumentError);
  EXPECT_THROW(scalar(1, string), InvalidArgumentError);
}

TEST(Scalar, PrintsItsShortestDigits) {
  EXPECT_EQ(to_string(Scalar(true)), "true");
  EXPECT_EQ(to_string(Scalar(-7)), "-7");
  EXPECT_EQ(to_string(Scalar(UINT64_MAX)), "18446744073709551615");
  EXPECT_EQ(to_string(Scalar(0.1)), "0.1");
  EXPECT_EQ(to_string(Scalar(std::complex<double>(1, -2))), "1-2j");
  EXPECT_EQ(to_string(Scalar(std::complex<double>(0, 0.5))), "0+0.5j");
}

TEST(Scalar, IsEqualByKindAndValue) {
  EXPECT_EQ(Scalar(1), Scalar(std::int64_t(1)));
  EXPECT_FALSE(Scalar(1) == Scalar(1.0));
  EXPECT_FALSE(Scalar(1) == Scalar(2));
}

}  // namespace
}  // namespace lockstep

// Transforms and spectra: against their definitions, there and back, and with the input nobody should give.

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>
#include <thread>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Complex = std::complex<double>;

Tensor noise(const Shape& shape, DType dtype = float64, std::int64_t seed = 1) { return random::uniform_from(constant(std::vector<std::int64_t>{seed, 0}), shape, -1.0, 1.0, dtype); }
Tensor complex_noise(const Shape& shape) { return complex(noise(shape, float64, 1), noise(shape, float64, 2)); }

double distance(const Tensor& a, const Tensor& b) { return reduce_max(abs(a - b)).item<double>(); }

/// The sum that a transform is.
std::vector<Complex> slow_transform(std::span<const Complex> x, double sign) {
  std::vector<Complex> result(x.size());
  for (std::size_t k = 0; k < x.size(); ++k)
    for (std::size_t i = 0; i < x.size(); ++i) result[k] += x[i] * std::polar(1.0, sign * 2 * std::numbers::pi * double(i * k) / double(x.size()));
  return result;
}

TEST(Fft, IsTheSumOfItsDefinitionForEveryLength) {
  for (std::int64_t n = 1; n <= 40; ++n) {
    const Tensor x = complex_noise({n});
    const auto expected = slow_transform(x.data<Complex>(), -1);
    EXPECT_LT(distance(signal::fft(x), constant(expected)), 1e-12) << n;
  }
}

TEST(Fft, ComesBackInOneTwoAndThreeDimensions) {
  const Tensor x = complex_noise({2, 3, 5, 8});
  EXPECT_LT(distance(signal::ifft(signal::fft(x)), x), 1e-14);
  EXPECT_LT(distance(signal::ifft2d(signal::fft2d(x)), x), 1e-14);
  EXPECT_LT(distance(signal::ifft3d(signal::fft3d(x)), x), 1e-14);
  for (const std::int64_t last : {7, 8}) {
    const Tensor y = noise({2, 3, 5, last});
    EXPECT_LT(distance(signal::irfft(signal::rfft(y), last), y), 1e-14);
    EXPECT_LT(distance(signal::irfft2d(signal::rfft2d(y), Ints{5, last}), y), 1e-14);
    EXPECT_LT(distance(signal::irfft3d(signal::rfft3d(y), Ints{3, 5, last}), y), 1e-14);
  }
}

TEST(Fft, OfRealNumbersIsHalfOfTheComplexOne) {
  const Tensor x = noise({3, 9});
  const Tensor whole = signal::fft(complex(x, zeros_like(x)));
  EXPECT_LT(distance(signal::rfft(x), slice(whole, {0, 0}, {3, 5})), 1e-13);
}

TEST(Fft, BackToRealNumbersLooksPastImaginaryPartsThatNoRealSignalHas) {
  const Tensor spectrum = constant(std::vector<Complex>{{1, 5}, {2, 1}, {3, 7}});
  const Tensor without = constant(std::vector<Complex>{{1, 0}, {2, 1}, {3, 0}});
  EXPECT_EQ(signal::irfft(spectrum, 4).to_vector<double>(), signal::irfft(without, 4).to_vector<double>());
}

TEST(Fft, TakesEmptyBatchesAndRefusesEmptySignals) {
  EXPECT_EQ(signal::fft(Tensor::empty({0, 4}, complex64)).shape(), (Shape{0, 4}));
  EXPECT_EQ(signal::rfft(zeros({0, 4})).shape(), (Shape{0, 3}));
  EXPECT_THROW(signal::rfft(zeros({2, 0})), InvalidArgumentError);
  EXPECT_THROW(signal::irfft(complex(zeros({1}), zeros({1}))), InvalidArgumentError);  // 2 (1 - 1) = 0 samples
  EXPECT_THROW(signal::rfft(zeros({4}), -1), InvalidArgumentError);
  EXPECT_THROW(signal::rfft(zeros({4}), std::int64_t(1) << 40), InvalidArgumentError);
  EXPECT_THROW(signal::fft(zeros({4})), TypeError);
  EXPECT_THROW(signal::rfft2d(zeros({4})), InvalidArgumentError);
}

TEST(Fft, GivesTheSameBitsFromManyThreadsThatPlanAtOnce) {
  const Tensor x = noise({5, 1000}, float32);
  std::vector<std::vector<std::complex<float>>> results(8);
  std::vector<std::thread> threads;
  for (auto& result : results)
    threads.emplace_back([&result, &x] {
      for (std::int64_t n = 900; n < 940; ++n) result = signal::rfft(x, n).to_vector<std::complex<float>>();
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

TEST(Stft, ComesBackByItsInverseWindow) {
  const Tensor x = noise({2, 400});
  for (const auto& [length, step] : {std::pair(64, 16), std::pair(60, 15), std::pair(32, 10)}) {
    const Tensor window = signal::inverse_stft_window(length, step, "hann", float64);
    const Tensor back = signal::inverse_stft(signal::stft(x, length, step), length, step, {.window = window});
    // Only the first and the last frames do not overlap as the others do.
    const std::int64_t count = back.shape()[1] - 2 * length;
    EXPECT_LT(distance(slice(back, {0, length}, {2, count}), slice(x, {0, length}, {2, count})), 1e-12) << length;
  }
}

TEST(Stft, IsFramesTimesWindowTransformed) {
  const Tensor x = noise({2, 100});
  const Tensor frames = signal::frame(x, 24, 7, true) * signal::hamming_window(24, true, float64);
  EXPECT_LT(distance(signal::stft(x, 24, 7, {.fft_length = 40, .window = "hamming", .pad_end = true}), signal::rfft(frames, 40)), 1e-13);
}

TEST(Stft, RefusesWindowsOfAnotherLengthAndUnknownNames) {
  EXPECT_THROW(signal::stft(zeros({100}), 16, 8, {.window = zeros({12})}), InvalidArgumentError);
  EXPECT_THROW(signal::stft(zeros({100}), 16, 8, {.window = "han"}), InvalidArgumentError);
  EXPECT_THROW(signal::stft(zeros({100}), 0, 8), InvalidArgumentError);
  EXPECT_THROW(signal::stft(zeros({100}), 16, 0), InvalidArgumentError);
  EXPECT_EQ(signal::stft(zeros({10}), 16, 8).shape(), (Shape{0, 9}));
}

TEST(Mdct, ComesBackWhereFramesOverlap) {
  const Tensor x = noise({400});
  for (const bool ortho : {false, true}) {
    const Tensor back = signal::inverse_mdct(signal::mdct(x, 40, {.ortho = ortho}), {.ortho = ortho});
    EXPECT_LT(distance(slice(back, {20}, {360}), slice(x, {20}, {360})), 1e-13);
  }
}

TEST(Dct, ComesBackByItsInverse) {
  const Tensor x = noise({3, 11});
  for (const std::int64_t type : {2, 3, 4}) EXPECT_LT(distance(signal::idct(signal::dct(x, {.type = type, .ortho = true}), {.type = type, .ortho = true}), x), 1e-14) << type;
  EXPECT_LT(distance(signal::idct(signal::dct(x)) / 22, x), 1e-14);
  EXPECT_LT(distance(signal::idct(signal::dct(x, {.type = 1}), {.type = 1}) / 20, x), 1e-14);
  EXPECT_THROW(signal::dct(x, {.type = 5}), InvalidArgumentError);
  EXPECT_THROW(signal::dct(x, {.type = 1, .ortho = true}), InvalidArgumentError);
  EXPECT_THROW(signal::dct(x, {.n = 0}), InvalidArgumentError);
}

TEST(Frame, AndOverlapAndAddAreAdjoint) {
  const Tensor x = noise({50}), frames = noise({15, 8}, float64, 3);
  const double one = reduce_sum(signal::frame(x, 8, 3) * frames).item<double>(), other = reduce_sum(x * signal::overlap_and_add(frames, 3)).item<double>();
  EXPECT_NEAR(one, other, 1e-12);
}

TEST(Frame, TakesIntegersAndRefusesAPaddingThatDoesNotFit) {
  EXPECT_EQ(signal::frame(constant({1, 2, 3, 4, 5}), 3, 2, true, 9).to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 2, 3, 3, 4, 5, 5, 9, 9}));
  EXPECT_THROW(signal::frame(constant({1, 2, 3}), 2, 1, true, 0.5), InvalidArgumentError);
  EXPECT_THROW(signal::frame(constant({1, 2, 3}, uint8), 2, 1, true, 256), InvalidArgumentError);
  EXPECT_THROW(signal::frame(constant({1, 2, 3}), 2, 1, true, 1e30), InvalidArgumentError);
  EXPECT_THROW(signal::frame(zeros({4}), 2, 1, false, 0, 1), InvalidArgumentError);
}

TEST(Window, IsFiniteForAnyBeta) {
  for (const double beta : {0.0, 30.0, 600.0, 5000.0})
    for (const float value : signal::kaiser_window(9, beta).to_vector<float>()) EXPECT_TRUE(value >= 0 && value <= 1) << beta;
}

TEST(Mel, RefusesEdgesThatAreNoBand) {
  EXPECT_THROW(signal::linear_to_mel_weight_matrix({.upper_edge_hertz = 5000}), InvalidArgumentError);
  EXPECT_THROW(signal::linear_to_mel_weight_matrix({.lower_edge_hertz = 3800}), InvalidArgumentError);
  EXPECT_THROW(signal::linear_to_mel_weight_matrix({.sample_rate = 0}), InvalidArgumentError);
  EXPECT_THROW(signal::linear_to_mel_weight_matrix({.dtype = int32}), TypeError);
}

TEST(Complex, HasPartsAndAModulus) {
  const Tensor z = constant(std::vector<Complex>{{3, 4}, {0, 0}, {-1, 0}});
  EXPECT_EQ(abs(z).to_vector<double>(), (std::vector<double>{5, 0, 1}));
  EXPECT_EQ(real(z).to_vector<double>(), (std::vector<double>{3, 0, -1}));
  EXPECT_EQ(imag(z).to_vector<double>(), (std::vector<double>{4, 0, 0}));
  EXPECT_DOUBLE_EQ(angle(z).to_vector<double>()[2], std::numbers::pi);
  EXPECT_EQ(complex(real(z), imag(z)).to_vector<Complex>(), z.to_vector<Complex>());
  EXPECT_THROW(complex(zeros({2}), zeros({2}, float64)), TypeError);
}

}  // namespace
}  // namespace lockstep

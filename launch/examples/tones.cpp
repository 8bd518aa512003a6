// Tells waveforms by their sound: tones of four kinds, at any pitch and in noise, are made, turned into mel-frequency cepstral coefficients (short-time spectra,
// on the mel scale, their logarithm's cosine transform), and classified by a small network.
#include <array>
#include <iomanip>
#include <iostream>
#include <numbers>

#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

constexpr double kRate = 8000;  // samples a second
constexpr std::int64_t kSamples = 4000, kFrame = 256, kStep = 128, kMelBins = 40, kCoefficients = 13;
constexpr std::array kKinds{"sine", "triangle", "square", "sawtooth"};

struct Tones {
  Tensor signals;  // (n, samples)
  Tensor labels;   // (n,)
};

/// n tones between 200 and 800 Hz, a quarter of each kind, with a loudness, a phase and noise of their own.
Tones make_tones(std::int64_t n) {
  const Tensor pitch = random::uniform({n, 1}, 200.0, 800.0), phase = random::uniform({n, 1}), loudness = random::uniform({n, 1}, 0.3, 1.0);
  const Tensor turns = pitch * (range(0, kSamples, 1, float32) / kRate) + phase, part = turns - floor(turns);
  const Tensor sine = sin(part * (2 * std::numbers::pi)), triangle = 1 - abs(part - 0.5) * 4, square = sign(part - 0.5), sawtooth = part * 2 - 1;
  const Tensor labels = mod(range(0, n), scalar(std::int64_t(kKinds.size()), int32)), kind = expand_dims(labels, 1);
  const auto if_kind = [&](int k, const Tensor& wave, const Tensor& other) { return where(equal(kind, scalar(k, int32)), wave, other); };
  const Tensor waves = if_kind(0, sine, if_kind(1, triangle, if_kind(2, square, sawtooth)));
  return {waves * loudness + random::normal({n, kSamples}, 0, 0.05), labels};
}

/// (n, 2 coefficients): means and deviations over time of the coefficients.
Tensor features(const Tensor& signals) {
  const Tensor power = square(abs(signal::stft(signals, kFrame, kStep)));
  const Tensor mel = signal::linear_to_mel_weight_matrix({.num_mel_bins = kMelBins, .num_spectrogram_bins = power.shape().dim(-1), .sample_rate = kRate, .lower_edge_hertz = 80, .upper_edge_hertz = 4000});
  const Tensor coefficients = signal::mfccs_from_log_mel_spectrograms(log(tensordot(power, mel, {{1}}) + 1e-6));
  const auto [mean, variance] = moments(coefficients[{all, all, slice(0, kCoefficients)}], Axes(1));
  return concat(std::array{mean, sqrt(variance)}, 1);
}

}  // namespace

int main() {
  random::set_seed(42);
  const Tones train = make_tones(2000), test = make_tones(400);
  const auto to_features = autodiff::function(features);  // traced once for each size
  const Tensor x = to_features(train.signals), x_test = to_features(test.signals);

  nn::Normalization normalization;
  normalization.adapt(x);
  nn::Sequential model({nn::InputLayer({2 * kCoefficients}), std::move(normalization), nn::Dense(32, "relu"), nn::Dense(std::int64_t(kKinds.size()), "softmax")});
  model.compile({.optimizer = optim::Adam({.learning_rate = 0.01}), .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  model.fit(x, train.labels, {.batch_size = 50, .epochs = 10, .verbose = 2, .seed = 1});

  const Tensor guesses = argmax(model.predict(x_test, {.verbose = 0}), 1, int32);
  const Tensor right = cast(equal(guesses, test.labels), float32);
  for (std::size_t k = 0; k < kKinds.size(); ++k) {
    const Tensor of_kind = cast(equal(test.labels, scalar(std::int64_t(k), int32)), float32);
    std::cout << std::setw(9) << kKinds[k] << "  " << std::fixed << std::setprecision(1) << 100 * (reduce_sum(right * of_kind) / reduce_sum(of_kind)).item<float>() << " % right\n";
  }
  std::cout << "test accuracy " << std::setprecision(1) << 100 * reduce_mean(right).item<float>() << " %\n";
  return 0;
}

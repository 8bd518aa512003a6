// Short-time spectra of a minute of sound, beside a copy of the numbers that come out.

#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>

#include <lockstep/tensor/random.h>
#include <lockstep/tensor/signal.h>

#include "bench.h"

namespace lockstep::bench {

std::vector<Case> signal_cases() {
  constexpr std::int64_t kRate = 16000, kSeconds = 60;
  const Tensor sound = random::uniform({kRate * kSeconds}, -1.0, 1.0);
  std::vector<Case> cases;
  for (const auto& [length, step, fft_length] : {std::tuple<std::int64_t, std::int64_t, std::int64_t>{1024, 256, 1024}, {400, 160, 512}}) {
    const std::string suffix = "60s_" + std::to_string(length) + "_" + std::to_string(step);
    const Tensor spectra = signal::stft(sound, length, step, {.fft_length = fft_length});
    const auto target = std::make_shared<std::vector<char>>(spectra.nbytes());
    const auto copy = [spectra, target] {
      std::memcpy(target->data(), spectra.raw(), spectra.nbytes());
      benchmark::ClobberMemory();
    };
    const auto transform = [sound, length = length, step = step, fft_length = fft_length] { benchmark::DoNotOptimize(signal::stft(sound, length, step, {.fft_length = fft_length}).raw()); };
    cases.push_back({.name = "copy_" + suffix, .body = copy, .bytes = 2.0 * double(spectra.nbytes())});
    cases.push_back({.name = "stft_" + suffix, .body = transform, .elements = double(sound.numel()), .reference = "copy_" + suffix});
  }
  return cases;
}

}  // namespace lockstep::bench

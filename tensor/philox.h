#pragma once
// Philox4x32-10, the counter-based generator behind every random number of Lockstep.

#include <array>
#include <cstdint>

namespace lockstep::random {

using PhiloxWords = std::array<std::uint32_t, 4>;

/// 128 random bits, a function of the three numbers and of nothing else.
constexpr PhiloxWords philox(std::uint64_t position, std::uint64_t stream, std::uint64_t seed) {
  PhiloxWords counter{std::uint32_t(position), std::uint32_t(position >> 32), std::uint32_t(stream), std::uint32_t(stream >> 32)};
  std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t(0xD2511F53u) * counter[0], b = std::uint64_t(0xCD9E8D57u) * counter[2];
    counter = {std::uint32_t(b >> 32) ^ counter[1] ^ k0, std::uint32_t(b), std::uint32_t(a >> 32) ^ counter[3] ^ k1, std::uint32_t(a)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

}  // namespace lockstep::random

#include <lockstep/tensor/ops/white_space.h>

#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lockstep/tensor/ops/white_space.cpp"
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lockstep {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// The 64 bytes from `text` on.
HWY_INLINE std::uint64_t MarkBlock(const std::uint8_t* text) {
  const hn::CappedTag<std::uint8_t, 64> d;
  std::uint64_t bits = 0;
  for (std::size_t k = 0; k < 64; k += hn::Lanes(d)) {
    const auto byte = hn::LoadU(d, text + k), control = hn::Sub(byte, hn::Set(d, '\t'));
    std::uint8_t mask[8] = {};
    hn::StoreMaskBits(d, hn::Or(hn::Eq(byte, hn::Set(d, ' ')), hn::Eq(hn::Min(control, hn::Set(d, '\r' - '\t')), control)), mask);
    std::uint64_t word;
    std::memcpy(&word, mask, 8);
    bits |= word << k;
  }
  return bits;
}

std::int64_t MarkWhiteSpace(const char* text, std::size_t size, bool before, std::uint64_t* bits) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text);
  std::uint64_t last = before;
  std::int64_t words = 0;
  const auto put = [&](std::size_t i, std::uint64_t block) HWY_ATTR {
    bits[i / 64] = block;
    words += std::popcount(~block & (block << 1 | last));
    last = block >> 63;
  };
  std::size_t i = 0;
  for (; i + 64 <= size; i += 64) put(i, MarkBlock(bytes + i));
  const std::size_t rest = size - i;
  if (rest == 0) return words;
  if (size >= 64) {  // the last 64 bytes again
    put(i, MarkBlock(bytes + size - 64) >> (64 - rest) | ~std::uint64_t(0) << rest);
  } else {
    std::uint8_t padded[64];
    std::memset(padded, ' ', 64);
    std::memcpy(padded, bytes, size);
    put(i, MarkBlock(padded));
  }
  return words;
}

}  // namespace HWY_NAMESPACE
}  // namespace lockstep
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lockstep {
HWY_EXPORT(MarkWhiteSpace);

std::int64_t mark_white_space(const char* text, std::size_t size, bool before, std::uint64_t* bits) { return HWY_DYNAMIC_DISPATCH(MarkWhiteSpace)(text, size, before, bits); }
}  // namespace lockstep
#endif

#pragma once
// CRC-32C (Castagnoli), by which TFRecord files protect themselves. Debian 12 has no library for it. io's own.

#include <cstddef>
#include <cstdint>

namespace lockstep::io {

/// The checksum of these bytes, by the processor's instruction where it has one.
std::uint32_t crc32c(const void* data, std::size_t nbytes);
/// As TFRecord stores it: a checksum of something that holds checksums would else be weak.
inline std::uint32_t masked_crc32c(const void* data, std::size_t nbytes) {
  const std::uint32_t crc = crc32c(data, nbytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

}  // namespace lockstep::io

#include <lockstep/io/crc32c.h>

#include <array>
#include <cstring>

namespace lockstep::io {
namespace {

/// What a byte does to the checksum, alone and with up to seven zero bytes behind it (slicing by 8).
constexpr std::array<std::array<std::uint32_t, 256>, 8> crc_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0u);
    tables[0][byte] = crc;
  }
  for (std::size_t slice = 1; slice < 8; ++slice)
    for (std::size_t byte = 0; byte < 256; ++byte) tables[slice][byte] = (tables[slice - 1][byte] >> 8) ^ tables[0][tables[slice - 1][byte] & 0xff];
  return tables;
}
constexpr auto kCrcTables = crc_tables();

std::uint32_t crc_by_tables(std::uint32_t crc, const unsigned char* data, std::size_t nbytes) {
  for (; nbytes >= 8; data += 8, nbytes -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    word ^= crc;
    crc = 0;
    for (std::size_t byte = 0; byte < 8; ++byte) crc ^= kCrcTables[7 - byte][(word >> (8 * byte)) & 0xff];
  }
  for (; nbytes > 0; ++data, --nbytes) crc = (crc >> 8) ^ kCrcTables[0][(crc ^ *data) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc_by_instruction(std::uint32_t crc, const unsigned char* data, std::size_t nbytes) {
  std::uint64_t wide = crc;
  for (; nbytes >= 8; data += 8, nbytes -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = std::uint32_t(wide);
  for (; nbytes > 0; ++data, --nbytes) crc = __builtin_ia32_crc32qi(crc, *data);
  return crc;
}
#endif

}  // namespace

std::uint32_t crc32c(const void* data, std::size_t nbytes) {
  const auto* bytes = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return ~crc_by_instruction(~0u, bytes, nbytes);
#endif
  return ~crc_by_tables(~0u, bytes, nbytes);
}

}  // namespace lockstep::io

// The bytes of a PNG. Chunks carry checksums, which a change leaves wrong: they are made right again, so that what is inside is reached.
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/image.h>

#include "fuzz.h"

using namespace lockstep;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const Tensor file = constant(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  fuzz::read([&] { image::decode_png(file, {.channels = data[0] % 5, .dtype = data[0] & 8 ? uint16 : uint8}); });
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 8 == 0) return size;  // now and then a checksum is wrong
  const auto number = [&](std::size_t at) { return std::size_t(data[at]) << 24 | std::size_t(data[at + 1]) << 16 | std::size_t(data[at + 2]) << 8 | data[at + 3]; };
  for (std::size_t at = 9; at + 12 <= size;) {  // behind the choice of channels and the signature
    const std::size_t length = number(at);
    if (length > size - at - 12) break;
    const auto sum = static_cast<std::uint32_t>(crc32(0, data + at + 4, static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) data[at + 8 + length + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    at += length + 12;
  }
  return size;
}

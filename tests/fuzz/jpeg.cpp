// The bytes of a JPEG, with all that may be asked of its decoder.
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/image.h>

#include "fuzz.h"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const Tensor file = constant(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  const std::int64_t channels[] = {0, 1, 3};
  fuzz::read([&] {
    image::decode_jpeg(file, {.channels = channels[data[0] % 3], .ratio = 1 << (data[0] >> 2 & 3), .fancy_upscaling = (data[0] & 16) != 0, .try_recover_truncated = (data[0] & 32) != 0, .acceptable_fraction = 0.5,
                              .dct_method = data[0] & 64 ? "INTEGER_ACCURATE" : ""});
  });
  fuzz::read([&] { image::extract_jpeg_shape(file); });
  return 0;
}

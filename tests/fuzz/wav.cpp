// The bytes of a WAV.
#include <lockstep/tensor/audio.h>
#include <lockstep/tensor/constant.h>

#include "fuzz.h"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Tensor file = constant(std::string(reinterpret_cast<const char*>(data), size));
  fuzz::read([&] { audio::decode_wav(file); });
  return 0;
}

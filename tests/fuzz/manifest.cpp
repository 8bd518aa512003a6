// The manifest of a checkpoint: what is accepted is written and read again as the same.
#include <lockstep/io/checkpoint.h>

#include "fuzz.h"
#include "json_changes.h"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read([&] {
    const std::string written = io::CheckpointManifest::from_json(std::string(reinterpret_cast<const char*>(data), size), "manifest").to_json();
    if (io::CheckpointManifest::from_json(written, "manifest").to_json() != written) __builtin_trap();
  });
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) { return fuzz::change_json(data, size, most, seed); }

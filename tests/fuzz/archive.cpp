// The bytes of a .keras file: the archive and what is found in it.
#include <fstream>

#include <lockstep/io/keras_files.h>

#include "fuzz.h"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // (What begins as HDF5 is HDF5's to judge.)
  if (size < 2 || data[0] != 'P' || data[1] != 'K') return 0;
  const fuzz::Name name(".keras");
  std::ofstream(name.path, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(data), std::streamsize(size));
  fuzz::read([&] { io::load_keras(name.path); });
  return 0;
}

#pragma once
// What fuzz targets have in common. Whatever a file holds, reading it ends with a model or with an Error; anything else is a finding: a crash, another exception,
// more memory or more time than libFuzzer was told to allow.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include <lockstep/tensor/base/error.h>

namespace lockstep::fuzz {

/// A name for a file of this process (in memory alone it would have none that HDF5 follows); the file goes with it.
struct Name {
  std::string path;
  explicit Name(const std::string& ending) {
    const std::filesystem::path memory = "/dev/shm";
    path = (std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) / ("lockstep_fuzz_" + std::to_string(getpid()) + ending);
  }
  Name(const Name&) = delete;
  ~Name() { ::unlink(path.c_str()); }
};

void read(const auto& body) {
  try {
    body();
  } catch (const Error&) {
  }
}

}  // namespace lockstep::fuzz

#include <lockstep/io/file.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <lockstep/tensor/base/error.h>

namespace lockstep::io {

std::int64_t require_file(const std::string& path) {
  std::error_code failed;
  const std::uintmax_t size = std::filesystem::file_size(path, failed);
  if (failed) throw NotFoundError("cannot read '" + path + "': " + failed.message());
  return std::int64_t(size);
}

std::string read_file(const std::string& path) {
  const std::int64_t size = require_file(path);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw NotFoundError("cannot open '" + path + "': " + std::strerror(errno));
  std::string bytes(std::size_t(size), '\0');
  if (!file.read(bytes.data(), std::streamsize(size))) throw DataLossError("'" + path + "' ends before the " + std::to_string(size) + " bytes it should have");
  return bytes;
}

}  // namespace lockstep::io

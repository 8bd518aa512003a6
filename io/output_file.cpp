#include <lockstep/io/output_file.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

constexpr std::size_t kGathered = std::size_t(1) << 16;

[[noreturn]] void fail(const std::string& what) {
  const int why = errno;
  throw ResourceExhaustedError(what + ": " + std::strerror(why), "checkpoint");
}

}  // namespace

OutputFile::OutputFile(std::string path) : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail("cannot make '" + path_ + "'");
}
OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::append(const void* bytes, std::size_t count) {
  if (gathered_.size() + count > kGathered) flush();
  if (count > kGathered) write(static_cast<const char*>(bytes), count);
  else gathered_.append(static_cast<const char*>(bytes), count);
}

void OutputFile::sync() {
  flush();
  if (::fsync(descriptor_) < 0) fail("cannot sync '" + path_ + "'");
}

void OutputFile::flush() {
  write(gathered_.data(), gathered_.size());
  gathered_.clear();
}

void OutputFile::write(const char* bytes, std::size_t count) {
  for (std::size_t at = 0; at < count;) {
    const ssize_t n = ::write(descriptor_, bytes + at, count - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write '" + path_ + "'");
    at += std::size_t(n);
  }
}

void sync_directory(const std::string& path) {
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int why = directory < 0 || ::fsync(directory) < 0 ? errno : 0;
  if (directory >= 0) ::close(directory);
  errno = why;
  if (why != 0) fail("cannot sync '" + path + "'");
}

}  // namespace lockstep::io

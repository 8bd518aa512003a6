// zlib's gz functions read plain files as they are, so that one path serves both.

#include <lockstep/io/input_file.h>

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <lockstep/io/file.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {

InputFile::InputFile(const std::string& path) : path_(path), file_size_(require_file(path)), file_(gzopen(path.c_str(), "rb")) {
  if (!file_) throw NotFoundError("cannot open '" + path + "': " + std::strerror(errno));
  gzbuffer(file_.get(), 256 << 10);
}

void InputFile::Close::operator()(gzFile_s* file) const { gzclose(file); }

void InputFile::damaged(const std::string& why) const { throw DataLossError("'" + path_ + "' " + why); }

bool InputFile::gzipped() const { return !gzdirect(file_.get()); }

std::int64_t InputFile::most_left() const { return (gzipped() ? file_size_ * kMostInflation : file_size_) - at_; }

void InputFile::check(std::int64_t got) const {
  int code = Z_OK;
  const char* text = gzerror(file_.get(), &code);
  if (got >= 0 && (code == Z_OK || code == Z_STREAM_END)) return;
  const std::string offset = std::to_string(at_ + std::max<std::int64_t>(got, 0));
  damaged(code == Z_BUF_ERROR ? "is a gzip file that breaks off after " + offset + " bytes of its contents"
                              : "is a damaged gzip file: " + std::string(code == Z_ERRNO ? std::strerror(errno) : text) + " (after byte " + offset + " of its contents)");
}

std::size_t InputFile::read(void* to, std::size_t nbytes) {
  std::size_t done = 0;
  while (done < nbytes) {
    const unsigned part = unsigned(std::min<std::size_t>(nbytes - done, 1u << 30));
    const int got = gzread(file_.get(), static_cast<char*>(to) + done, part);
    check(got);
    if (got == 0) break;
    done += std::size_t(got);
    at_ += got;
  }
  return done;
}

void InputFile::read_all(void* to, std::size_t nbytes, const std::string& what) {
  const std::int64_t start = at_;
  const std::size_t got = read(to, nbytes);
  if (got < nbytes) damaged("ends at byte " + std::to_string(start + std::int64_t(got)) + ", inside " + what + " (" + std::to_string(nbytes) + " bytes from byte " + std::to_string(start) + " on)");
}

bool InputFile::line(std::string& text) {
  constexpr std::size_t kLongest = std::size_t(1) << 30;
  text.clear();
  char part[4096];
  const std::int64_t start = at_;
  while (gzgets(file_.get(), part, int(sizeof part))) {
    // A line may hold zero bytes, so that its length is asked of the position.
    const std::int64_t got = gztell(file_.get()) - at_;
    at_ += got;
    text.append(part, std::size_t(got));
    if (text.ends_with('\n')) {
      text.pop_back();
      if (text.ends_with('\r')) text.pop_back();
      return true;
    }
    if (text.size() > kLongest) damaged("has a line of more than 1 GiB (from byte " + std::to_string(start) + " on)");
  }
  check(0);
  return !text.empty();
}

std::int64_t InputFile::skip(std::int64_t nbytes) {
  // In a plain file seeking beyond the end would succeed.
  const std::int64_t wanted = gzipped() ? nbytes : std::clamp<std::int64_t>(file_size_ - at_, 0, nbytes);
  const std::int64_t before = at_;
  if (!gzipped() && wanted > (256 << 10)) {
    if (gzseek(file_.get(), wanted, SEEK_CUR) < 0) check(-1);
    at_ += wanted;
  } else {
    char part[16 << 10];
    while (at_ - before < wanted)
      if (read(part, std::size_t(std::min<std::int64_t>(wanted - (at_ - before), std::ssize(part)))) == 0) break;
  }
  return at_ - before;
}

}  // namespace lockstep::io

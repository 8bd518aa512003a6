#pragma once
// A file that is read front to back, plain or gzipped. io's own.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct gzFile_s;

namespace lockstep::io {

/// An open file; what is read are its contents, inflated where it is gzipped.
class InputFile {
 public:
  /// Throws NotFoundError.
  explicit InputFile(const std::string& path);
  /// Throws DataLossError: "'path' " and why.
  [[noreturn]] void damaged(const std::string& why) const;
  /// Reads up to `nbytes`; fewer at the end. Throws DataLossError for damaged gzip.
  std::size_t read(void* to, std::size_t nbytes);
  /// Reads so many, or throws DataLossError that says where the file ends, "inside " + what.
  void read_all(void* to, std::size_t nbytes, const std::string& what);
  /// The next line without its end (\n or \r\n); false at the end of the file. Throws DataLossError for one longer than 1 GiB.
  bool line(std::string& text);
  /// Passes over up to `nbytes`, in plain files without reading them; returns how many there were.
  std::int64_t skip(std::int64_t nbytes);
  bool gzipped() const;
  /// Bytes of the contents read so far.
  std::int64_t at() const { return at_; }
  /// Of the file as it is on disk.
  std::int64_t file_size() const { return file_size_; }
  /// The most that can still come, as far as the file's size tells.
  std::int64_t most_left() const;
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(gzFile_s* file) const;
  };
  /// Throws if zlib has met an error after `got` of the bytes asked for.
  void check(std::int64_t got) const;
  std::string path_;
  std::int64_t file_size_;
  std::unique_ptr<gzFile_s, Close> file_;
  std::int64_t at_ = 0;
};

}  // namespace lockstep::io

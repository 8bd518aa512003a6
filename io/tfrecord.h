#pragma once
// TFRecord files: byte strings one after the other, each with its length and two checksums; plain or gzipped.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lockstep::io {

class InputFile;

struct TFRecordOptions {
  bool compressed = false;  // gzip
};

/// Writes a TFRecord file (tf.io.TFRecordWriter). The file has its name when close() is called; without, there is none.
class TFRecordWriter {
 public:
  /// Throws NotFoundError if the directory is not there, ResourceExhaustedError if the file cannot be made.
  explicit TFRecordWriter(const std::string& path, const TFRecordOptions& options = {});
  TFRecordWriter(TFRecordWriter&&) noexcept;
  TFRecordWriter& operator=(TFRecordWriter&&) noexcept;
  ~TFRecordWriter();
  /// Throws ResourceExhaustedError if the bytes cannot be written.
  void write(std::string_view record);
  /// Everything to the system, and the file to its name. Throws as write().
  void close();

 private:
  struct Output;
  std::unique_ptr<Output> output_;
};

/// Reads one, plain or gzipped, as its content tells.
class TFRecordReader {
 public:
  /// Throws NotFoundError.
  explicit TFRecordReader(const std::string& path);
  TFRecordReader(TFRecordReader&&) noexcept;
  TFRecordReader& operator=(TFRecordReader&&) noexcept;
  ~TFRecordReader();
  /// The next record; false at the end. Throws DataLossError, naming file, record and offset, for a checksum that does not fit and for a file that
  /// breaks off. Behind a record whose data are damaged the next call goes on; when a length is, the rest of the file is lost, and the next call ends.
  bool next(std::string& record);
  /// Passes over up to `count` records without looking at their data; returns how many there were. Throws as next(), for lengths.
  std::int64_t skip(std::int64_t count);

 private:
  /// The length of the next record; -1 at the end.
  std::int64_t length();
  [[noreturn]] void damaged(const std::string& why);
  std::unique_ptr<InputFile> file_;
  std::int64_t records_ = 0, start_ = 0;  // records before this one, and where it begins
  bool ended_ = false;
};

}  // namespace lockstep::io

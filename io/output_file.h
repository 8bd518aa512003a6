#pragma once
// Inside writers: a file that is written front to back and brought to the disk when asked to.

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep::io {

/// All functions throw ResourceExhaustedError that names the file and the system's reason.
class OutputFile {
 public:
  /// A new file, in place of one of that name.
  explicit OutputFile(std::string path);
  OutputFile(const OutputFile&) = delete;
  ~OutputFile();
  /// Small pieces are gathered.
  void append(const void* bytes, std::size_t count);
  void append(std::string_view text) { append(text.data(), text.size()); }
  /// Everything to the system.
  void flush();
  /// And from there to the disk.
  void sync();

 private:
  void write(const char* bytes, std::size_t count);

  std::string path_, gathered_;
  int descriptor_;
};

/// Brings the names in a directory to the disk. Throws as OutputFile does.
void sync_directory(const std::string& path);

}  // namespace lockstep::io

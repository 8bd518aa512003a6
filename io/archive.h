#pragma once
// Inside readers: zip archives, whose entries are taken out whole. What an entry claims is judged against the size of the file first.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct zip;

namespace lockstep::io {

/// Closes an archive without writing to it.
struct DiscardArchive {
  void operator()(zip* archive) const;
};

/// An archive to read, whose errors name it.
class ArchiveReader {
 public:
  /// `kind` (".npz") is what the file should be. Throws NotFoundError if there is none, DataLossError if it is no zip archive.
  ArchiveReader(std::string path, std::string kind);
  const std::string& path() const { return path_; }
  /// Names of the entries, in their order.
  std::vector<std::string> names() const;
  /// The bytes of an entry. Throws DataLossError if it is damaged, or claims more than the file can hold.
  std::string read(std::size_t index, const std::string& name) const;
  /// Throws a DataLossError that calls the file damaged.
  [[noreturn]] void damaged(const std::string& why) const;

 private:
  std::string path_, kind_;
  std::int64_t file_size_;
  std::unique_ptr<zip, DiscardArchive> archive_;
};

/// A file of an archive to be written: its bytes, or (if `file` is not empty) the file that has them.
struct ArchiveEntry {
  std::string name;
  std::string bytes = {};
  std::string file = {};
};
/// Writes a zip archive in place of the file of that name when it is complete; the same entries give the same bytes.
/// Throws NotFoundError if there is no such directory, ResourceExhaustedError if it cannot be written in full.
void write_archive(const std::string& path, const std::vector<ArchiveEntry>& entries, bool compressed = false);

}  // namespace lockstep::io

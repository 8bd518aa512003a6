#pragma once
// An HDF5 file in memory, of which only what HDF5 itself writes takes room: the elements of its datasets are left out, and somebody else writes them. io's own.

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace lockstep::io::hdf5 {

class Memory {
 public:
  /// HDF5's properties of access (an hid_t) under which a file that is created is this one. It must stay where it is until the file is closed.
  std::int64_t access();
  /// Of the whole file.
  std::int64_t size() const { return size_; }
  /// Zeros where nothing was written.
  std::string bytes(std::int64_t begin, std::int64_t end) const;

  // ---- what HDF5 calls

  void read(std::int64_t at, std::size_t count, char* into) const;
  void write(std::int64_t at, std::size_t count, const char* from);
  void resize(std::int64_t size) { size_ = size; }

 private:
  static constexpr std::int64_t kPage = 4096;
  std::map<std::int64_t, std::array<char, kPage>> pages_;  // by number
  std::int64_t size_ = 0;
};

}  // namespace lockstep::io::hdf5

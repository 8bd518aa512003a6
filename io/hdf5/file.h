#pragma once
// HDF5 files as the room uses them: tensors and texts by path. Handles close themselves, and HDF5's error stack becomes one sentence. io's own.

#include <set>
#include <string>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io::hdf5 {

class Memory;

/// An open file; moves. Not thread-safe: one thread at a time (Debian's serial library locks itself, but a file is one's own).
class File {
 public:
  /// A new file, in place of one of that name. Throws ResourceExhaustedError, with the system's reason, if it cannot be made.
  static File create(const std::string& path);
  /// A new file in `memory`, which outlives it; `name` is what errors call it. It does not remember in which order its groups were filled.
  static File create_in(Memory& memory, const std::string& name);
  /// Throws NotFoundError if there is none, DataLossError if it is no HDF5 file or truncated.
  static File open(const std::string& path);
  /// A file whose bytes are in memory (HDF5 keeps a copy); `name` is what errors call it.
  static File open_image(const std::string& bytes, const std::string& name);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  /// Groups on the way are made. bool and complex as h5py writes them; bfloat16 as its 16 bits with the attribute dtype = "bfloat16".
  void write(const std::string& path, const Tensor& tensor);
  /// Throws NotFoundError, DataLossError for a damaged dataset, TypeError for a type that Lockstep lacks. What a dataset claims to hold is judged
  /// against the size of the file before memory is asked for.
  Tensor read(const std::string& path) const;
  /// A dataset as write() makes it, whose elements somebody else writes: where they begin in the file, in bytes.
  std::int64_t reserve(const std::string& path, const TensorSpec& spec);
  /// Elements [begin, end) in row-major order, as a vector.
  Tensor read(const std::string& path, std::int64_t begin, std::int64_t end) const;
  /// The same into memory for them.
  void read_into(const std::string& path, std::int64_t begin, std::int64_t end, void* target) const;
  TensorSpec spec(const std::string& path) const;
  /// Where a dataset's elements begin in the file, in bytes; 0 if they are not in one piece.
  std::int64_t offset(const std::string& path) const;
  /// Throws DataLossError for a path that leads over a link to another file or to another path: a file is what it holds itself.
  bool contains(const std::string& path) const;

  /// A text (UTF-8, of fixed length) as a scalar dataset.
  void write_text(const std::string& path, const std::string& text);
  std::string read_text(const std::string& path) const;

  struct Entry {
    std::string name;
    bool group;
  };
  /// What is in a group, in the order in which it was made where the file remembers that, else by name.
  std::vector<Entry> entries(const std::string& group = "/") const;
  void make_group(const std::string& path);

  /// Attributes of a group or a dataset: texts (one that is too long for an object's header is kept in the heap, as h5py keeps all), and lists of them.
  void set_attribute(const std::string& path, const std::string& name, const std::string& text);
  void set_attribute(const std::string& path, const std::string& name, const std::vector<std::string>& texts);
  bool has_attribute(const std::string& path, const std::string& name) const;
  std::string attribute(const std::string& path, const std::string& name) const;
  std::vector<std::string> attribute_list(const std::string& path, const std::string& name) const;

  /// Everything to the system, and the end of it. Throws ResourceExhaustedError if not all could be written.
  void close();
  const std::string& path() const { return path_; }

 private:
  File(std::int64_t id, std::string path, std::int64_t bytes = 0) : id_(id), path_(std::move(path)), bytes_(bytes) {}
  std::int64_t id_ = -1;
  std::string path_;
  std::int64_t bytes_ = 0;  // of a file to read: what it can hold at most
  bool ordered_ = true;
  std::set<std::string> made_;  // groups, with the slash in front
};

}  // namespace lockstep::io::hdf5

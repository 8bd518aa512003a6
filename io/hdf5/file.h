#pragma once
// HDF5 files as the room uses them: tensors and texts by path. Handles close themselves, and HDF5's error stack becomes one sentence. io's own.

#include <string>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io::hdf5 {

/// An open file; moves. Not thread-safe: one thread at a time (Debian's serial library locks itself, but a file is one's own).
class File {
 public:
  /// A new file, in place of one of that name. Throws ResourceExhaustedError, with the system's reason, if it cannot be made.
  static File create(const std::string& path);
  /// Throws NotFoundError if there is none, DataLossError if it is no HDF5 file or truncated.
  static File open(const std::string& path);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  /// Groups on the way are made. bool and complex as h5py writes them; bfloat16 as its 16 bits with the attribute dtype = "bfloat16".
  void write(const std::string& path, const Tensor& tensor);
  /// Throws NotFoundError, DataLossError for a damaged dataset, TypeError for a type that Lockstep lacks. What a dataset claims to hold is judged
  /// against the size of the file before memory is asked for.
  Tensor read(const std::string& path) const;
  /// Elements [begin, end) in row-major order, as a vector.
  Tensor read(const std::string& path, std::int64_t begin, std::int64_t end) const;
  TensorSpec spec(const std::string& path) const;
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

  /// Attributes of a group or a dataset: texts, and lists of them.
  void set_attribute(const std::string& path, const std::string& name, const std::string& text);
  void set_attribute(const std::string& path, const std::string& name, const std::vector<std::string>& texts);
  bool has_attribute(const std::string& path, const std::string& name) const;
  std::string attribute(const std::string& path, const std::string& name) const;
  std::vector<std::string> attribute_list(const std::string& path, const std::string& name) const;

  /// Everything to the system, and the end of it. Throws ResourceExhaustedError if not all could be written.
  void close();
  const std::string& path() const { return path_; }

 private:
  File(std::int64_t id, std::string path) : id_(id), path_(std::move(path)) {}
  std::int64_t id_ = -1;
  std::string path_;
};

}  // namespace lockstep::io::hdf5

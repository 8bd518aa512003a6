#include <lockstep/io/npz.h>

#include <zip.h>

#include <algorithm>
#include <memory>
#include <set>
#include <span>

#include <lockstep/io/file.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/npy.h>

namespace lockstep::io {
namespace {

/// An archive that is given up, not written, unless close() was called.
struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
struct CloseEntry {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

std::string text_of(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

/// An archive to read, whose errors name it.
class NpzReader {
 public:
  explicit NpzReader(const std::string& path) : path_(path), file_size_(require_file(path)) {
    int code = 0;
    archive_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
    if (!archive_) throw DataLossError("'" + path + "' is not a .npz file: " + text_of(code));
  }

  /// Names of the entries, without ".npy".
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* raw = zip_get_name(archive_.get(), zip_uint64_t(i), ZIP_FL_ENC_RAW);
      std::string name = raw ? raw : "";
      if (!name.ends_with(".npy")) damaged("holds '" + name + "', which is no .npy file");
      names.push_back(name.substr(0, name.size() - 4));
    }
    return names;
  }

  Tensor read(std::size_t index, const std::string& name) const {
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(archive_.get(), index, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_SIZE)) damaged("'" + name + "': " + zip_strerror(archive_.get()));
    if (stat.size > std::uint64_t(file_size_) * std::uint64_t(kMostInflation)) damaged("'" + name + "' claims " + std::to_string(stat.size) + " bytes, more than the file can hold");
    const std::unique_ptr<zip_file_t, CloseEntry> file(zip_fopen_index(archive_.get(), index, 0));
    if (!file) damaged("'" + name + "': " + zip_strerror(archive_.get()));
    std::string bytes(stat.size, '\0');
    std::size_t done = 0;
    while (done < bytes.size()) {
      const zip_int64_t got = zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
      if (got < 0) damaged("'" + name + "', byte " + std::to_string(done) + ": " + zip_file_strerror(file.get()));
      if (got == 0) damaged("'" + name + "' ends at byte " + std::to_string(done) + " of " + std::to_string(bytes.size()));
      done += std::size_t(got);
    }
    // The checksum is compared when the end is read.
    char beyond = 0;
    if (zip_fread(file.get(), &beyond, 1) != 0) damaged("'" + name + "': " + zip_file_strerror(file.get()));
    const std::string origin = "'" + path_ + "', array '" + name + "': ";
    try {
      return from_npy(std::as_bytes(std::span<const char>(bytes)));
    } catch (const DataLossError& error) {
      throw DataLossError(origin + error.what());
    } catch (const TypeError& error) {
      throw TypeError(origin + error.what());
    }
  }

 private:
  [[noreturn]] void damaged(const std::string& why) const { throw DataLossError("'" + path_ + "' is a damaged .npz file: " + why); }

  std::string path_;
  std::int64_t file_size_;
  Archive archive_;
};

}  // namespace

NamedTensors load_npz(const std::string& path) {
  const NpzReader reader(path);
  const std::vector<std::string> names = reader.names();
  NamedTensors tensors;
  for (std::size_t i = 0; i < names.size(); ++i) tensors.emplace_back(names[i], reader.read(i, names[i]));
  return tensors;
}

Tensor load_npz(const std::string& path, const std::string& name) {
  const NpzReader reader(path);
  const std::vector<std::string> names = reader.names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return reader.read(std::size_t(found - names.begin()), name);
  const std::string nearest = nearest_name(name, names);
  throw NotFoundError("'" + path + "' has no array '" + name + "'", {}, nearest.empty() ? "" : "did you mean '" + nearest + "'?");
}

void save_npz(const std::string& path, const NamedTensors& tensors, const NpzOptions& options) {
  if (tensors.empty()) throw InvalidArgumentError("there is nothing to write to '" + path + "'", "save_npz");
  std::set<std::string> names;
  std::vector<std::string> contents;  // libzip reads them when the archive is closed
  for (const auto& [name, tensor] : tensors) {
    if (name.empty() || !names.insert(name).second) throw InvalidArgumentError("arrays need names, each its own; '" + name + "' does not do", "save_npz");
    contents.push_back(to_npy(tensor));
  }
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (!archive) throw NotFoundError("cannot open '" + path + "' for writing: " + text_of(code));
  const auto require = [&](bool done) {
    if (!done) throw ResourceExhaustedError("cannot write '" + path + "': " + zip_strerror(archive.get()));
  };
  for (std::size_t i = 0; i < contents.size(); ++i) {
    zip_source_t* source = zip_source_buffer(archive.get(), contents[i].data(), contents[i].size(), 0);
    require(source != nullptr);
    const zip_int64_t index = zip_file_add(archive.get(), (tensors[i].first + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) zip_source_free(source);
    require(index >= 0);
    require(zip_set_file_compression(archive.get(), zip_uint64_t(index), options.compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) == 0);
    // Midnight of 1 January 1980, as numpy.savez has it: no bytes that depend on the clock.
    require(zip_file_set_dostime(archive.get(), zip_uint64_t(index), 0, 1 << 5 | 1, 0) == 0);
  }
  if (zip_close(archive.get()) != 0) {
    const int why = zip_error_code_zip(zip_get_error(archive.get()));
    if (why == ZIP_ER_OPEN || why == ZIP_ER_TMPOPEN) throw NotFoundError("cannot open '" + path + "' for writing: " + zip_strerror(archive.get()));
    require(false);
  }
  archive.release();
}

}  // namespace lockstep::io

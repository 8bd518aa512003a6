#include <lockstep/io/archive.h>

#include <zip.h>

#include <lockstep/io/file.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

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

}  // namespace

void DiscardArchive::operator()(zip* archive) const { zip_discard(archive); }

ArchiveReader::ArchiveReader(std::string path, std::string kind) : path_(std::move(path)), kind_(std::move(kind)), file_size_(require_file(path_)) {
  int code = 0;
  archive_.reset(zip_open(path_.c_str(), ZIP_RDONLY, &code));
  if (!archive_) throw DataLossError("'" + path_ + "' is not a " + kind_ + " file: " + text_of(code));
}

std::vector<std::string> ArchiveReader::names() const {
  std::vector<std::string> names;
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* raw = zip_get_name(archive_.get(), zip_uint64_t(i), ZIP_FL_ENC_RAW);
    names.emplace_back(raw ? raw : "");
  }
  return names;
}

std::string ArchiveReader::read(std::size_t index, const std::string& name) const {
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
  return bytes;
}

void ArchiveReader::damaged(const std::string& why) const { throw DataLossError("'" + path_ + "' is a damaged " + kind_ + " file: " + why); }

void write_archive(const std::string& path, const std::vector<ArchiveEntry>& entries, bool compressed) {
  int code = 0;
  std::unique_ptr<zip, DiscardArchive> archive(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (!archive) throw NotFoundError("cannot open '" + path + "' for writing: " + text_of(code));
  const auto require = [&](bool done) {
    if (!done) throw ResourceExhaustedError("cannot write '" + path + "': " + zip_strerror(archive.get()));
  };
  for (const ArchiveEntry& entry : entries) {
    zip_source_t* source = entry.file.empty() ? zip_source_buffer(archive.get(), entry.bytes.data(), entry.bytes.size(), 0) : zip_source_file(archive.get(), entry.file.c_str(), 0, -1);
    require(source != nullptr);
    const zip_int64_t index = zip_file_add(archive.get(), entry.name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) zip_source_free(source);
    require(index >= 0);
    require(zip_set_file_compression(archive.get(), zip_uint64_t(index), compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) == 0);
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

// A record: length (8 bytes, little-endian), its masked CRC-32C (4), the data, their masked CRC-32C (4).

#include <lockstep/io/tfrecord.h>

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include <lockstep/io/crc32c.h>
#include <lockstep/io/input_file.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {

static_assert(std::endian::native == std::endian::little, "lengths and checksums are little-endian");

struct TFRecordWriter::Output {
  std::string path, temporary;
  gzFile file = nullptr;
  ~Output() {
    if (!file) return;
    gzclose(file);
    ::unlink(temporary.c_str());
  }
  [[noreturn]] void refuse() const {
    int code = Z_OK;
    const char* text = file ? gzerror(file, &code) : "";
    throw ResourceExhaustedError("cannot write '" + path + "': " + (code == Z_OK || code == Z_ERRNO ? std::strerror(errno) : text));
  }
  void write(const void* data, std::size_t nbytes) {
    for (std::size_t done = 0; done < nbytes;) {
      const unsigned part = unsigned(std::min<std::size_t>(nbytes - done, 1u << 30));
      const int written = gzwrite(file, static_cast<const char*>(data) + done, part);
      if (written <= 0) refuse();
      done += std::size_t(written);
    }
  }
};

TFRecordWriter::TFRecordWriter(const std::string& path, const TFRecordOptions& options) : output_(std::make_unique<Output>()) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder)) throw NotFoundError("cannot write '" + path + "': there is no directory '" + folder.string() + "'");
  output_->path = path;
  // Several processes may write files of one name at once; each its own, and the last one stays.
  static std::atomic<int> count{0};
  output_->temporary = path + "." + std::to_string(::getpid()) + "-" + std::to_string(count++) + ".tmp";
  errno = 0;
  output_->file = gzopen(output_->temporary.c_str(), options.compressed ? "wb" : "wbT");
  if (!output_->file) output_->refuse();
  gzbuffer(output_->file, 256 << 10);
}
TFRecordWriter::TFRecordWriter(TFRecordWriter&&) noexcept = default;
TFRecordWriter& TFRecordWriter::operator=(TFRecordWriter&&) noexcept = default;
TFRecordWriter::~TFRecordWriter() = default;

void TFRecordWriter::write(std::string_view record) {
  if (!output_) throw FailedPreconditionError("the file is closed", "TFRecordWriter");
  char head[12];
  const std::uint64_t length = record.size();
  std::memcpy(head, &length, 8);
  const std::uint32_t length_crc = masked_crc32c(head, 8), data_crc = masked_crc32c(record.data(), record.size());
  std::memcpy(head + 8, &length_crc, 4);
  output_->write(head, sizeof head);
  output_->write(record.data(), record.size());
  output_->write(&data_crc, 4);
}

void TFRecordWriter::close() {
  if (!output_) return;
  const std::unique_ptr<Output> output = std::move(output_);
  if (gzclose(std::exchange(output->file, nullptr)) != Z_OK || std::rename(output->temporary.c_str(), output->path.c_str()) != 0) {
    const int reason = errno;
    ::unlink(output->temporary.c_str());
    errno = reason;
    output->refuse();
  }
}

TFRecordReader::TFRecordReader(const std::string& path) : file_(std::make_unique<InputFile>(path)) {}
TFRecordReader::TFRecordReader(TFRecordReader&&) noexcept = default;
TFRecordReader& TFRecordReader::operator=(TFRecordReader&&) noexcept = default;
TFRecordReader::~TFRecordReader() = default;

void TFRecordReader::damaged(const std::string& why) { file_->damaged("is damaged at record " + std::to_string(records_) + ", byte " + std::to_string(start_) + ": " + why); }

std::int64_t TFRecordReader::length() {
  if (ended_) return -1;
  ended_ = true;  // unless all goes well
  start_ = file_->at();
  char head[12];
  const std::size_t got = file_->read(head, sizeof head);
  if (got == 0) return -1;
  if (got < sizeof head) damaged("the file breaks off inside its length");
  std::uint64_t length = 0;
  std::uint32_t crc = 0;
  std::memcpy(&length, head, 8);
  std::memcpy(&crc, head + 8, 4);
  if (crc != masked_crc32c(head, 8)) damaged("the checksum of its length does not fit");
  if (length > std::uint64_t(std::max<std::int64_t>(0, file_->most_left()))) damaged("it should have " + std::to_string(length) + " bytes, and the file breaks off before");
  ended_ = false;
  return std::int64_t(length);
}

bool TFRecordReader::next(std::string& record) {
  const std::int64_t wanted = length();
  if (wanted < 0) return false;
  ended_ = true;
  // A gzipped file may claim more than it holds: memory grows with what comes.
  constexpr std::int64_t kStep = 16 << 20;
  record.clear();
  while (std::ssize(record) < wanted) {
    const std::size_t before = record.size(), part = std::size_t(std::min(kStep, wanted - std::ssize(record)));
    record.resize(before + part);
    if (file_->read(record.data() + before, part) < part) damaged("the file breaks off inside its " + std::to_string(wanted) + " bytes");
  }
  std::uint32_t crc = 0;
  if (file_->read(&crc, 4) < 4) damaged("the file breaks off inside its checksum");
  ended_ = false;
  if (crc != masked_crc32c(record.data(), record.size())) {
    const std::int64_t number = records_++;
    file_->damaged("is damaged at record " + std::to_string(number) + ", byte " + std::to_string(start_) + ": the checksum of its data does not fit");
  }
  ++records_;
  return true;
}

std::int64_t TFRecordReader::skip(std::int64_t count) {
  std::int64_t skipped = 0;
  for (; skipped < count; ++skipped) {
    const std::int64_t wanted = length();
    if (wanted < 0) break;
    if (file_->skip(wanted + 4) < wanted + 4) {
      ended_ = true;
      damaged("the file breaks off inside its " + std::to_string(wanted) + " bytes");
    }
    ++records_;
  }
  return skipped;
}

}  // namespace lockstep::io

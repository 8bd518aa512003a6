// zlib's gz functions read plain files as they are, so that one path serves both; elements are inflated straight into the tensor.

#include <lockstep/io/idx.h>

#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>

#include <lockstep/io/file.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are turned around from big-endian");

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_size_(require_file(path)), file_(gzopen(path.c_str(), "rb")) {
    if (!file_) throw NotFoundError("cannot open '" + path + "': " + std::strerror(errno));
    gzbuffer(file_.get(), 256 << 10);
  }

  [[noreturn]] void damaged(const std::string& why) const { throw DataLossError("'" + path_ + "' " + why); }

  /// Reads up to `nbytes`; fewer at the end of the file.
  std::size_t read(void* to, std::size_t nbytes) {
    std::size_t done = 0;
    while (done < nbytes) {
      const unsigned part = unsigned(std::min<std::size_t>(nbytes - done, 1u << 30));
      const int got = gzread(file_.get(), static_cast<char*>(to) + done, part);
      int code = Z_OK;
      const char* text = gzerror(file_.get(), &code);
      if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
        const std::size_t offset = at_ + done + std::size_t(std::max(got, 0));
        damaged(code == Z_BUF_ERROR ? "is a gzip file that breaks off after " + std::to_string(offset) + " bytes of its contents"
                                    : "is a damaged gzip file: " + std::string(code == Z_ERRNO ? std::strerror(errno) : text) + " (after byte " + std::to_string(offset) + " of its contents)");
      }
      if (got == 0) break;
      done += std::size_t(got);
    }
    at_ += done;
    return done;
  }
  void read_all(void* to, std::size_t nbytes, const std::string& what) {
    const std::size_t start = at_, got = read(to, nbytes);
    if (got < nbytes) damaged("ends at byte " + std::to_string(start + got) + ", inside " + what + " (" + std::to_string(nbytes) + " bytes from byte " + std::to_string(start) + " on)");
  }

  bool gzipped() const { return !gzdirect(file_.get()); }
  std::int64_t file_size() const { return file_size_; }

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };
  std::string path_;
  std::int64_t file_size_;
  std::unique_ptr<gzFile_s, Close> file_;
  std::size_t at_ = 0;
};

DType dtype_of_code(const Reader& reader, std::uint8_t code) {
  switch (code) {
    case 0x08: return uint8;
    case 0x09: return int8;
    case 0x0B: return int16;
    case 0x0C: return int32;
    case 0x0D: return float32;
    case 0x0E: return float64;
    default: reader.damaged("is not an IDX file: no element type has the code " + std::to_string(code) + " (byte 2)");
  }
}

}  // namespace

Tensor read_idx(const std::string& path) {
  Reader reader(path);
  std::array<std::uint8_t, 4> magic{};
  const std::size_t got = reader.read(magic.data(), magic.size());
  if (got < magic.size() || magic[0] != 0 || magic[1] != 0)
    reader.damaged(reader.gzipped() ? "is gzipped, but what it holds is not an IDX file: it does not begin with two zero bytes" : "is neither a gzip nor an IDX file: it begins with neither's magic number");
  const DType dtype = dtype_of_code(reader, magic[2]);
  if (magic[3] > Shape::kMaxDims) reader.damaged("has " + std::to_string(magic[3]) + " axes (byte 3), a tensor has at most " + std::to_string(Shape::kMaxDims));

  Shape shape;
  // Judged against the file's size after each axis, so that no product overflows and no header asks for memory that is not there.
  const std::int64_t most = reader.gzipped() ? reader.file_size() * kMostInflation : reader.file_size();
  std::int64_t nbytes = std::int64_t(itemsize(dtype));
  bool empty = false;
  for (int axis = 0; axis < magic[3]; ++axis) {
    std::array<std::uint8_t, 4> bytes{};
    reader.read_all(bytes.data(), bytes.size(), "the size of axis " + std::to_string(axis));
    const std::int64_t size = std::int64_t(bytes[0]) << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
    empty = empty || size == 0;
    if (!empty && size > most / nbytes) reader.damaged("claims more elements than it can hold: axis " + std::to_string(axis) + " has size " + std::to_string(size) + " (byte " + std::to_string(4 + 4 * axis) + ")");
    if (!empty) nbytes *= size;
    shape.push_back(size);
  }

  Tensor tensor = Tensor::empty(shape, dtype);
  auto* elements = static_cast<std::byte*>(tensor.mutable_raw());
  reader.read_all(elements, tensor.nbytes(), "the elements of " + to_string(tensor.spec()));
  char beyond = 0;
  if (reader.read(&beyond, 1) != 0) reader.damaged("goes on after the elements of " + to_string(tensor.spec()));
  if (const std::size_t width = itemsize(dtype); width > 1)
    for (std::size_t i = 0; i < tensor.nbytes(); i += width) std::reverse(elements + i, elements + i + width);
  return tensor;
}

}  // namespace lockstep::io

// The header is a Python dictionary of three keys; it is read by a parser of just that, which never leaves the header's bytes.
// Sizes are judged against the bytes at hand before anything is allocated, so that a damaged shape cannot ask for memory.

#include <lockstep/tensor/npy.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include <lockstep/tensor/base/error.h>

namespace lockstep {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are written as they lie in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlign = 64;  // the elements start at a multiple of this, as NumPy writes them

/// NumPy's letter and size for each dtype; bfloat16 and string have none.
struct Description {
  DType dtype;
  std::string_view code;
};
constexpr std::array<Description, 14> kDescriptions = {{
    {boolean, "b1"}, {int8, "i1"}, {int16, "i2"}, {int32, "i4"}, {int64, "i8"}, {uint8, "u1"}, {uint16, "u2"}, {uint32, "u4"}, {uint64, "u8"},
    {float16, "f2"}, {float32, "f4"}, {float64, "f8"}, {complex64, "c8"}, {complex128, "c16"},
}};

struct Header {
  DType dtype = float32;
  bool big_endian = false;
  bool column_major = false;
  Shape shape;
};

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, the keys in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view origin) : text_(text), origin_(origin) {}

  Header parse() {
    Header header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !std::exchange(descr, true))
        read_descr(header);
      else if (key == "fortran_order" && !std::exchange(order, true))
        header.column_major = truth();
      else if (key == "shape" && !std::exchange(shape, true))
        header.shape = sizes();
      else
        damaged("has the key '" + std::string(key) + "' twice, or one that does not belong there");
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (peek() != '\0') damaged("goes on after its dictionary");
    if (!descr || !order || !shape) damaged("lacks one of 'descr', 'fortran_order' and 'shape'");
    return header;
  }

 private:
  [[noreturn]] void damaged(const std::string& why) const { throw DataLossError(std::string(origin_) + "the .npy header " + why); }

  /// The next character that is not a blank, or 0 at the end.
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) damaged("is not a dictionary of Python: expected '" + std::string(1, wanted) + "' at byte " + std::to_string(at_));
  }

  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') damaged("is not a dictionary of Python: expected a string at byte " + std::to_string(at_));
    const std::size_t start = ++at_;
    const std::size_t end = text_.find(quote, start);
    if (end == std::string_view::npos) damaged("holds a string without an end");
    at_ = end + 1;
    return text_.substr(start, end - start);
  }

  bool truth() {
    peek();
    for (const std::string_view word : {std::string_view("True"), std::string_view("False")})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return word == "True";
      }
    damaged("says neither True nor False for 'fortran_order'");
  }

  Shape sizes() {
    SmallVector<std::int64_t, Shape::kMaxDims> sizes;
    expect('(');
    while (!accept(')')) {
      peek();
      std::int64_t size = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) damaged("has a size that is no count at byte " + std::to_string(at_));
      at_ = std::size_t(end - text_.data());
      accept('L');  // Python 2 wrote long integers so
      sizes.push_back(size);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    try {
      return Shape(std::span<const std::int64_t>(sizes.data(), sizes.size()));
    } catch (const InvalidArgumentError& error) {
      throw DataLossError(std::string(origin_) + "the .npy header has a shape that no tensor has: " + error.what());
    }
  }

  void read_descr(Header& header) {
    if (peek() == '[') throw TypeError(std::string(origin_) + "a .npy file of records does not fit a tensor", {}, "save each field by itself");
    const std::string_view descr = quoted();
    const char order = descr.empty() ? '\0' : descr[0];
    if (order != '<' && order != '>' && order != '|' && order != '=') damaged("has the dtype '" + std::string(descr) + "' without a byte order");
    header.big_endian = order == '>';
    for (const Description& row : kDescriptions)
      if (row.code == descr.substr(1)) {
        header.dtype = row.dtype;
        return;
      }
    throw TypeError(std::string(origin_) + "no dtype of Lockstep is NumPy's '" + std::string(descr) + "'", {},
                    "save it as one of " + to_string(kFixedSize));
  }

  std::string_view text_;
  std::string_view origin_;
  std::size_t at_ = 0;
};

std::string header_of(const Tensor& tensor) {
  if (!tensor.defined()) throw FailedPreconditionError("an undefined Tensor has no elements", "to_npy");
  if (tensor.is_symbolic()) throw FailedPreconditionError("a tensor inside a traced function has no elements yet", "to_npy");
  const auto row = std::find_if(kDescriptions.begin(), kDescriptions.end(), [&](const Description& r) { return r.dtype == tensor.dtype(); });
  if (row == kDescriptions.end())
    throw TypeError("NumPy has no dtype for " + std::string(name(tensor.dtype())), "to_npy",
                    tensor.dtype() == bfloat16 ? "cast to float32, which holds every bfloat16" : "");
  std::string text = "{'descr': '" + std::string(itemsize(tensor.dtype()) == 1 ? "|" : "<") + std::string(row->code) +
                     "', 'fortran_order': False, 'shape': " + to_string(tensor.shape()) + ", }";
  const std::size_t before = kMagic.size() + 4;  // two bytes of version, two of length
  text.append(kAlign - 1 - (before + text.size()) % kAlign, ' ').append("\n");
  std::string bytes(kMagic);
  bytes.append({'\1', '\0', char(text.size() & 0xff), char(text.size() >> 8)});
  return bytes + text;
}

/// Turns big-endian numbers around. A complex number is two of them.
void swap_bytes(std::byte* elements, std::size_t nbytes, std::size_t width) {
  for (std::size_t i = 0; i < nbytes; i += width) std::reverse(elements + i, elements + i + width);
}

/// Column-major elements as a row-major tensor of the same shape.
Tensor to_row_major(const Tensor& columns, const Shape& shape) {
  Tensor rows = Tensor::empty(shape, columns.dtype());
  const std::size_t size = itemsize(columns.dtype());
  const auto* from = static_cast<const std::byte*>(columns.host_raw());
  auto* to = static_cast<std::byte*>(rows.mutable_raw());
  const auto strides = row_major_strides(shape);
  std::array<std::int64_t, Shape::kMaxDims> index{};
  std::int64_t at = 0;  // position of `index` in `rows`
  for (std::int64_t i = 0; i < columns.numel(); ++i) {
    std::memcpy(to + std::size_t(at) * size, from + std::size_t(i) * size, size);
    for (int axis = 0; axis < shape.ndim(); ++axis) {
      const std::size_t a = std::size_t(axis);
      at += strides[a];
      if (++index[a] < shape[axis]) break;
      at -= strides[a] * shape[axis];
      index[a] = 0;
    }
  }
  return rows;
}

/// `origin` opens every message: "weights.npy: ", or empty for bytes in memory.
Tensor parse(std::span<const std::byte> bytes, const std::string& origin) {
  const auto truncated = [&] { return DataLossError(origin + "a .npy file of " + std::to_string(bytes.size()) + " bytes ends inside its header"); };
  if (bytes.size() < kMagic.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    throw DataLossError(origin + "not a .npy file: it does not begin with \\x93NUMPY");
  const auto byte = [&](std::size_t i) {
    if (i >= bytes.size()) throw truncated();
    return std::to_integer<std::uint32_t>(bytes[i]);
  };
  const std::uint32_t major = byte(6), minor = byte(7);
  if (major < 1 || major > 3 || minor != 0)
    throw DataLossError(origin + ".npy format " + std::to_string(major) + "." + std::to_string(minor) + " is none of 1.0, 2.0, 3.0");
  const std::size_t start = major == 1 ? 10 : 12;
  std::size_t length = byte(8) | byte(9) << 8;
  if (major > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - start) throw truncated();

  const Header header = HeaderParser({reinterpret_cast<const char*>(bytes.data()) + start, length}, origin).parse();
  const std::span<const std::byte> elements = bytes.subspan(start + length);
  // A Shape has at most 2^58 elements, so this product fits.
  const std::size_t needed = std::size_t(header.shape.numel()) * itemsize(header.dtype);
  if (elements.size() != needed)
    throw DataLossError(origin + "the .npy file holds " + std::to_string(elements.size()) + " bytes of elements, " +
                        to_string(TensorSpec{header.dtype, header.shape}) + " has " + std::to_string(needed));

  Tensor tensor = Tensor::empty(header.shape, header.dtype);
  auto* to = static_cast<std::byte*>(tensor.mutable_raw());
  if (needed) std::memcpy(to, elements.data(), needed);
  if (header.big_endian) swap_bytes(to, needed, itemsize(header.dtype) / (is_complex(header.dtype) ? 2 : 1));
  if (header.dtype == boolean)  // any byte but 0 and 1 would be no bool of C++
    for (std::size_t i = 0; i < needed; ++i) to[i] = std::byte(to[i] != std::byte{0});
  return header.column_major && header.shape.ndim() > 1 ? to_row_major(tensor, header.shape) : tensor;
}

}  // namespace

std::string to_npy(const Tensor& tensor) { return header_of(tensor).append(static_cast<const char*>(tensor.host_raw()), tensor.nbytes()); }

Tensor from_npy(std::span<const std::byte> bytes) { return parse(bytes, ""); }

void save_npy(const std::string& path, const Tensor& tensor) {
  const std::string header = header_of(tensor);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) throw NotFoundError("cannot open '" + path + "' for writing: " + std::strerror(errno));
  file.write(header.data(), std::streamsize(header.size()));
  file.write(static_cast<const char*>(tensor.host_raw()), std::streamsize(tensor.nbytes()));
  file.close();
  if (!file) throw ResourceExhaustedError("cannot write the " + std::to_string(header.size() + tensor.nbytes()) + " bytes of '" + path + "': " + std::strerror(errno));
}

Tensor load_npy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw NotFoundError("cannot open '" + path + "': " + std::strerror(errno));
  std::error_code failed;
  const std::uintmax_t size = std::filesystem::file_size(path, failed);
  if (failed) throw NotFoundError("cannot read '" + path + "': " + failed.message());
  std::string bytes(std::size_t(size), '\0');
  if (!file.read(bytes.data(), std::streamsize(size))) throw DataLossError("'" + path + "' ends before the " + std::to_string(size) + " bytes it should have");
  return parse(std::as_bytes(std::span<const char>(bytes)), path + ": ");
}

}  // namespace lockstep

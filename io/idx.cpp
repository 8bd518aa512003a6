// Elements are inflated straight into the tensor.

#include <lockstep/io/idx.h>

#include <algorithm>
#include <array>
#include <bit>

#include <lockstep/io/file.h>
#include <lockstep/io/input_file.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are turned around from big-endian");

DType dtype_of_code(const InputFile& reader, std::uint8_t code) {
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
  InputFile reader(path);
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

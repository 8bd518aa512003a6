#include <lockstep/io/element_bytes.h>

#include <cstdint>
#include <cstring>

#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

void put(std::string& to, std::int64_t number) { to.append(reinterpret_cast<const char*>(&number), sizeof number); }

class ElementReader {
 public:
  explicit ElementReader(std::span<const char> bytes) : bytes_(bytes) {}
  std::span<const char> take(std::int64_t count) {
    if (count < 0 || count > std::ssize(bytes_)) throw DataLossError("an element ends before its tensors do");
    const auto taken = bytes_.first(std::size_t(count));
    bytes_ = bytes_.subspan(std::size_t(count));
    return taken;
  }
  std::int64_t number() {
    std::int64_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::int64_t left() const { return std::ssize(bytes_); }

 private:
  std::span<const char> bytes_;
};

Tensor read_tensor(ElementReader& reader) {
  const auto dtype_name = reader.take(reader.number());
  DType dtype = float32;
  try {
    dtype = dtype_from_name(std::string(dtype_name.begin(), dtype_name.end()));
  } catch (const Error&) {
    throw DataLossError("an element has a tensor of an unknown dtype");
  }
  const std::int64_t axes = reader.number();
  if (axes < 0 || axes > Shape::kMaxDims) throw DataLossError("an element has a tensor of " + std::to_string(axes) + " axes");
  // A string takes at least the eight bytes of its length.
  const std::int64_t width = dtype == string ? 8 : std::int64_t(itemsize(dtype));
  Shape shape;
  std::int64_t count = 1;
  for (std::int64_t axis = 0; axis < axes; ++axis) {
    const std::int64_t size = reader.number();
    if (size < 0 || (size > 0 && count > reader.left() / size)) throw DataLossError("an element has a tensor larger than itself");
    count *= size;
    shape.push_back(size);
  }
  if (count > reader.left() / width) throw DataLossError("an element has a tensor larger than itself");
  Tensor tensor = Tensor::empty(shape, dtype);
  if (dtype == string) {
    for (std::string& text : std::span(tensor.mutable_data<std::string>(), std::size_t(count))) {
      const auto bytes = reader.take(reader.number());
      text.assign(bytes.begin(), bytes.end());
    }
  } else if (count > 0) {
    std::memcpy(tensor.mutable_raw(), reader.take(count * width).data(), std::size_t(count * width));
  }
  return tensor;
}

}  // namespace

std::string to_bytes(const Tensors& element) {
  std::string bytes;
  put(bytes, std::ssize(element));
  for (const Tensor& tensor : element) {
    const std::string_view dtype = name(tensor.dtype());
    put(bytes, std::ssize(dtype));
    bytes.append(dtype);
    put(bytes, tensor.ndim());
    for (const std::int64_t size : tensor.shape()) put(bytes, size);
    if (tensor.dtype() == string) {
      for (const std::string& text : tensor.data<std::string>()) {
        put(bytes, std::ssize(text));
        bytes.append(text);
      }
    } else {
      bytes.append(static_cast<const char*>(tensor.host_raw()), tensor.nbytes());
    }
  }
  return bytes;
}

Tensors from_bytes(std::span<const char> bytes) {
  ElementReader reader(bytes);
  const std::int64_t count = reader.number();
  // A tensor takes two numbers at least.
  if (count < 0 || count > reader.left() / 16) throw DataLossError("an element has " + std::to_string(count) + " tensors in " + std::to_string(bytes.size()) + " bytes");
  Tensors element;
  for (std::int64_t i = 0; i < count; ++i) element.push_back(read_tensor(reader));
  if (reader.left() > 0) throw DataLossError("an element goes on behind its tensors");
  return element;
}

}  // namespace lockstep::io

#include <lockstep/tensor/tensor_array.h>

#include <new>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>

namespace lockstep {
namespace {

constexpr const char* kArray = "TensorArray";

std::vector<std::int64_t> place_list(const Tensor& indices) {
  if (!kIndexInts.contains(indices.dtype()) || indices.ndim() != 1) throw InvalidArgumentError("places must be int32 or int64 (n,), got " + to_string(indices.spec()), kArray);
  if (indices.is_symbolic()) throw UnimplementedError("which elements are meant must be known inside a traced function", kArray, "write or read them one by one");
  if (indices.dtype() == int64) return indices.to_vector<std::int64_t>();
  const auto narrow = indices.data<std::int32_t>();
  return {narrow.begin(), narrow.end()};
}

void require_place(const Tensor& index) {
  if (!kIndexInts.contains(index.dtype()) || index.ndim() != 0) throw InvalidArgumentError("a place must be a scalar int32 or int64, got " + to_string(index.spec()), kArray);
}

/// Of `count` elements behind each other.
Shape stacked_shape(std::int64_t count, const Shape& element) {
  Shape shape{count};
  for (const std::int64_t size : element) shape.push_back(size);
  return shape;
}

std::int64_t place_of(const Tensor& index) { return index.dtype() == int64 ? index.item<std::int64_t>() : std::int64_t(index.item<std::int32_t>()); }

}  // namespace

TensorArray::TensorArray(std::int64_t size, DType dtype, TensorArrayOptions options) : dtype_(dtype), options_(options) {
  if (size < 0) throw InvalidArgumentError("an array's size must not be negative, got " + std::to_string(size), kArray);
  resize(size);
}

void TensorArray::resize(std::int64_t size) {
  Shape{size};  // refuses more than a tensor may have
  try {
    elements_.resize(std::size_t(size));
    read_.resize(std::size_t(size));
  } catch (const std::bad_alloc&) {
    throw ResourceExhaustedError("out of memory for " + std::to_string(size) + " elements", kArray);
  }
}

void TensorArray::check(const Tensor& value) const {
  if (!value.defined()) throw InvalidArgumentError("an undefined Tensor cannot be written", kArray);
  if (value.dtype() != dtype_) throw TypeError("the array is of " + std::string(name(dtype_)) + ", the value is " + to_string(value.spec()), kArray, "there are no implicit casts: use cast");
  if (options_.infer_shape && element_shape_.known() && value.shape().known() && value.shape() != element_shape_)
    throw InvalidArgumentError("the array's elements have shape " + to_string(element_shape_) + ", the value has " + to_string(value.shape()), kArray);
}

TensorArray& TensorArray::write(std::int64_t index, const Tensor& value) {
  check(value);
  const bool may_grow = options_.dynamic_size && !stacked_.defined();
  if (index < 0 || (index >= size() && !may_grow))
    throw OutOfRangeError("element " + std::to_string(index) + " is outside of an array of " + std::to_string(size()) + (may_grow ? "" : " (its size is fixed)"), kArray);
  if (stacked_.defined()) return write(scalar(index, int64), value);
  if (index >= size()) {
    Shape{index};  // (and index + 1 does not overflow)
    resize(index + 1);
  }
  elements_[std::size_t(index)] = value;
  read_[std::size_t(index)] = false;
  if (options_.infer_shape) element_shape_ = value.shape();
  return *this;
}

TensorArray& TensorArray::write(const Tensor& index, const Tensor& value) {
  require_place(index);
  if (!index.is_symbolic() && !stacked_.defined()) return write(place_of(index), value);
  check(value);
  if (!element_shape_.known()) element_shape_ = value.shape();
  keep_in_one_tensor();
  stacked_ = tensor_scatter_update(stacked_, reshape(index, {1, 1}), expand_dims(value, 0));
  return *this;
}

Tensor TensorArray::read(std::int64_t index) {
  if (index < 0 || index >= size()) throw OutOfRangeError("element " + std::to_string(index) + " is outside of an array of " + std::to_string(size()), kArray);
  if (stacked_.defined()) return stacked_[index];
  const auto at = std::size_t(index);
  if (read_[at]) throw InvalidArgumentError("element " + std::to_string(index) + " was read before and is gone", kArray, "make the array with clear_after_read = false");
  const Tensor value = element_or_zeros(at);
  if (options_.clear_after_read) elements_[at] = Tensor(), read_[at] = true;
  return value;
}

Tensor TensorArray::read(const Tensor& index) {
  require_place(index);
  if (!index.is_symbolic()) return read(place_of(index));
  keep_in_one_tensor();
  return lockstep::gather(stacked_, index);
}

/// TensorFlow's eager arrays give zeros for what was never written, once they know the shape.
Tensor TensorArray::element_or_zeros(std::size_t i) const {
  if (elements_[i].defined()) return elements_[i];
  if (!element_shape_.known()) throw InvalidArgumentError("element " + std::to_string(i) + " was never written, and its shape is not known", kArray);
  return zeros(element_shape_, dtype_);
}

void TensorArray::keep_in_one_tensor() {
  if (stacked_.defined()) return;
  stacked_ = stack();
}

Tensor TensorArray::stack() const {
  if (stacked_.defined()) return stacked_;
  if (elements_.empty()) return zeros(stacked_shape(0, element_shape_.known() ? element_shape_ : Shape{}), dtype_);
  std::vector<Tensor> all_elements;
  for (std::size_t i = 0; i < elements_.size(); ++i) all_elements.push_back(element_or_zeros(i));
  return lockstep::stack(all_elements, 0);
}

Tensor TensorArray::gather(const Tensor& indices) {
  if (stacked_.defined() || (indices.is_symbolic() && size() > 0)) {
    keep_in_one_tensor();
    return lockstep::gather(stacked_, indices);
  }
  std::vector<Tensor> parts;
  for (const std::int64_t index : place_list(indices)) parts.push_back(read(index));
  if (parts.empty()) return zeros(stacked_shape(0, element_shape_.known() ? element_shape_ : Shape{}), dtype_);
  return lockstep::stack(parts, 0);
}

Tensor TensorArray::concat() const {
  if (stacked_.defined()) {
    Ints sizes(stacked_.shape().begin() + 1, stacked_.shape().end());
    if (sizes.empty()) throw InvalidArgumentError("scalars cannot be joined", kArray, "use stack");
    sizes[0] *= stacked_.shape()[0];
    return reshape(stacked_, sizes);
  }
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < elements_.size(); ++i) parts.push_back(element_or_zeros(i));
  if (parts.empty()) return zeros({0}, dtype_);
  for (const Tensor& part : parts)
    if (part.ndim() == 0) throw InvalidArgumentError("scalars cannot be joined", kArray, "use stack");
  return lockstep::concat(parts, 0);
}

TensorArray& TensorArray::unstack(const Tensor& value) {
  if (value.ndim() < 1) throw InvalidArgumentError("a scalar has no parts", kArray);
  const std::int64_t count = value.shape()[0];
  if (count > size() && !options_.dynamic_size) throw OutOfRangeError("an array of " + std::to_string(size()) + " (its size is fixed) does not take " + std::to_string(count) + " elements", kArray);
  const std::vector<Tensor> parts = lockstep::unstack(value, 0);
  for (std::size_t i = 0; i < parts.size(); ++i) write(std::int64_t(i), parts[i]);
  return *this;
}

TensorArray& TensorArray::scatter(const Tensor& indices, const Tensor& value) {
  const std::vector<std::int64_t> places = place_list(indices);
  if (value.ndim() < 1 || value.shape()[0] != std::int64_t(places.size())) throw InvalidArgumentError("there must be a row of the value for each of " + std::to_string(places.size()) + " places, got " + to_string(value.spec()), kArray);
  const std::vector<Tensor> parts = lockstep::unstack(value, 0);
  for (std::size_t i = 0; i < parts.size(); ++i) write(places[i], parts[i]);
  return *this;
}

TensorArray& TensorArray::split(const Tensor& value, const Ints& lengths) {
  if (std::int64_t(lengths.size()) > size() && !options_.dynamic_size) throw OutOfRangeError("an array of " + std::to_string(size()) + " (its size is fixed) does not take " + std::to_string(lengths.size()) + " elements", kArray);
  const std::vector<Tensor> parts = lockstep::split(value, lengths, 0);
  for (std::size_t i = 0; i < parts.size(); ++i) write(std::int64_t(i), parts[i]);
  return *this;
}

}  // namespace lockstep

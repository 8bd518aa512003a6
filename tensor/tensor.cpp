// A body and its elements share one block: [Body, padded to 64 bytes][elements]. Views and borrowed memory have only the body.

#include <lockstep/tensor/tensor.h>

#include <new>

#include <lockstep/tensor/base/allocator.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/device_plugin.h>

namespace lockstep {
namespace {

constexpr std::size_t padded(std::size_t nbytes) { return (nbytes + kAlignment - 1) / kAlignment * kAlignment; }

constexpr std::int64_t kStringGrain = 1 << 15;  // strings that are made or destroyed by one thread: tens of microseconds

/// Ids come in blocks of 2^20 per thread, so that taking one is not an atomic operation.
std::uint64_t next_id() {
  static std::atomic<std::uint64_t> blocks{0};
  constexpr std::uint64_t kBlock = 1u << 20;
  thread_local std::uint64_t next = 0, end = 0;
  if (next == end) {
    next = 1 + blocks.fetch_add(1, std::memory_order_relaxed) * kBlock;
    end = next + kBlock;
  }
  return next++;
}

}  // namespace

Tensor::Body* Tensor::new_body(std::size_t element_bytes) {
  const std::size_t nbytes = padded(sizeof(Body)) + element_bytes;
  void* block = allocate(nbytes);
  Body* body = new (block) Body;
  body->block_nbytes = nbytes;
  body->id = next_id();
  return body;
}

void Tensor::destroy(Body* body) noexcept {
  if (body->release) (*body->release)();
  const bool owns_elements = !body->base && !body->release && body->data;
  if (!body->device.is_cpu()) [[unlikely]] {
    if (Body* mirror = body->mirror.load()) destroy(mirror);
    if (owns_elements) device_plugin().deallocate(body->device.index(), body->data);
  } else if (owns_elements && body->spec.dtype == string) {
    std::string* strings = static_cast<std::string*>(body->data);
    parallel_for(body->spec.shape.numel(), kStringGrain, [&](std::int64_t begin, std::int64_t end) { std::destroy(strings + begin, strings + end); });
  }
  if (body->base) Tensor(body->base);  // adopts the reference and drops it
  const std::size_t nbytes = body->block_nbytes;
  body->~Body();
  deallocate(body, nbytes);
}

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  const std::size_t nbytes = std::size_t(shape.numel()) * itemsize(dtype);
  Tensor tensor(new_body(nbytes));
  tensor.body_->spec = {dtype, shape};
  tensor.body_->data = reinterpret_cast<std::byte*>(tensor.body_) + padded(sizeof(Body));
  if (dtype == string) {
    std::string* strings = static_cast<std::string*>(tensor.body_->data);
    parallel_for(shape.numel(), kStringGrain, [&](std::int64_t begin, std::int64_t end) { std::uninitialized_default_construct(strings + begin, strings + end); });
  }
  return tensor;
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  if (device.is_cpu()) return empty(shape, dtype);
  if (dtype == string) throw TypeError("strings live on the CPU, not on " + to_string(device));
  Tensor tensor(new_body(0));
  tensor.body_->spec = {dtype, shape};
  tensor.body_->device = device;
  tensor.body_->data = device_plugin().allocate(device.index(), tensor.nbytes(), "tensors");
  return tensor;
}

Tensor Tensor::view(const Tensor& base, const Shape& shape) {
  if (shape.numel() != base.numel())
    throw InternalError("a view of " + to_string(base.spec()) + " as " + to_string(shape) + " changes the number of elements");
  return view(base, shape, 0);
}

Tensor Tensor::view(const Tensor& base, const Shape& shape, std::int64_t offset) {
  Tensor tensor(new_body(0));
  tensor.body_->spec = {base.dtype(), shape};
  tensor.body_->device = base.device();
  tensor.body_->data = static_cast<std::byte*>(base.body_->data) + std::size_t(offset) * itemsize(base.dtype());
  Body* owner = base.body_->base ? base.body_->base : base.body_;
  owner->references.fetch_add(1, std::memory_order_relaxed);
  tensor.body_->base = owner;
  return tensor;
}

Tensor Tensor::borrow(void* data, const Shape& shape, DType dtype, std::function<void()> release, Device device) {
  auto kept = std::make_unique<std::function<void()>>(release ? std::move(release) : [] {});  // before there is a tensor that would think the data its own
  Tensor tensor(new_body(0));
  tensor.body_->spec = {dtype, shape};
  tensor.body_->device = device;
  tensor.body_->data = data;
  tensor.body_->release = std::move(kept);
  return tensor;
}

Tensor Tensor::symbolic(const TensorSpec& spec, Symbol symbol) {
  Tensor tensor(new_body(0));
  tensor.body_->spec = spec;
  tensor.body_->symbol = symbol;
  tensor.body_->device = default_device();
  return tensor;
}

void Tensor::require_data(DType wanted) const {
  if (!body_) throw FailedPreconditionError("an undefined Tensor has no elements");
  if (is_symbolic())
    throw FailedPreconditionError("a tensor inside a traced function has no elements yet (" + to_string(spec()) + ")", {},
                                  "return it from the function, or compute with ops only");
  if (wanted != dtype())
    throw TypeError("elements asked for as " + std::string(name(wanted)) + ", but the tensor is " + to_string(spec()));
}

void Tensor::require_single() const {
  if (!body_) throw FailedPreconditionError("an undefined Tensor has no elements");
  if (numel() != 1) throw InvalidArgumentError("item() needs exactly one element, the tensor is " + to_string(spec()));
}

const void* Tensor::mirror() const {
  Body* made = body_->mirror.load(std::memory_order_acquire);
  if (made) return made->data;
  Tensor copy = empty(shape(), dtype());
  copy_bytes(Device(), copy.mutable_raw(), device(), raw(), nbytes());
  Body* expected = nullptr;
  if (body_->mirror.compare_exchange_strong(expected, copy.body_, std::memory_order_acq_rel)) return std::exchange(copy.body_, nullptr)->data;
  return expected->data;  // another thread was first
}

void Tensor::forget_mirror() noexcept {
  if (Body* made = body_->mirror.exchange(nullptr)) destroy(made);
}

Tensor to(const Tensor& tensor, Device device) {
  if (!tensor.defined()) throw InvalidArgumentError("an undefined Tensor has no device", "to");
  if (tensor.device() == device) return tensor;
  if (tensor.is_symbolic())
    throw UnimplementedError("a value inside a function that runs on " + to_string(tensor.device()) + " cannot move to " + to_string(device), "to",
                             "return it from the function and copy it there");
  Tensor copy = Tensor::empty(tensor.shape(), tensor.dtype(), device);
  copy_bytes(device, copy.mutable_raw(), tensor.device(), tensor.raw(), tensor.nbytes());
  return copy;
}

Tensor placed(Tensor tensor) {
  const Device device = default_device();
  if (device == tensor.device() || tensor.dtype() == string) [[likely]] return tensor;
  return to(tensor, device);
}

std::string to_string(const TensorSpec& spec) { return std::string(name(spec.dtype)) + " " + to_string(spec.shape); }

namespace {

/// One element made on the host fills the tensor there.
Tensor full_on(Device device, const Shape& shape, const Scalar& value, DType dtype) {
  Tensor element;
  {
    const DeviceScope host{Device()};
    element = scalar(value, dtype);
  }
  Tensor tensor = Tensor::empty(shape, dtype, device);
  if (tensor.numel() > 0) device_plugin().fill(device.index(), tensor.mutable_raw(), element.raw(), itemsize(dtype), std::size_t(tensor.numel()));
  return tensor;
}

}  // namespace

Tensor full(const Shape& shape, const Scalar& value, DType dtype) {
  if (!value.fits(dtype) && !(value.kind() == Scalar::Kind::boolean && dtype == boolean))
    throw InvalidArgumentError("the literal " + to_string(value) + " does not fit dtype " + std::string(name(dtype)), {},
                               "there are no implicit casts: write a literal of that kind, or cast the tensor");
  if (const Device device = default_device(); !device.is_cpu() && dtype != string) [[unlikely]] return full_on(device, shape, value, dtype);
  Tensor tensor = Tensor::empty(shape, dtype);
  visit_dtype(dtype, [&]<class T>(TypeTag<T>) {
    T* out = static_cast<T*>(tensor.mutable_raw());
    if constexpr (std::is_same_v<T, std::string>) {
      static_cast<void>(out);
    } else {
      T element;
      if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
        element = T(typename T::value_type(value.real()), typename T::value_type(value.imaginary()));
      else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
        element = T(float(value.real()));
      else if constexpr (std::is_floating_point_v<T>)
        element = T(value.real());
      else
        element = T(value.integer());
      std::fill_n(out, tensor.numel(), element);
    }
  });
  return tensor;
}

Tensor scalar(const Scalar& value, DType dtype) { return full({}, value, dtype); }

std::string to_string(const IndexList& spec) {
  std::string text = "[";
  const auto part = [](const std::optional<std::int64_t>& value) { return value ? std::to_string(*value) : std::string(); };
  for (const Index& index : spec) {
    if (text.size() > 1) text += ", ";
    switch (index.kind) {
      case Index::Kind::integer: text += part(index.start); break;
      case Index::Kind::slice: text += part(index.start) + ":" + part(index.stop) + (index.step ? ":" + part(index.step) : ""); break;
      case Index::Kind::ellipsis: text += "..."; break;
      case Index::Kind::newaxis: text += "newaxis"; break;
    }
  }
  return text + "]";
}

}  // namespace lockstep

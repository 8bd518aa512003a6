// The C structures are those of DLPack 0.5 and later; all that is needed of them has kept its layout since.

#include <lockstep/tensor/dlpack.h>

#include <dlpack/dlpack.h>

#include <array>
#include <cstring>
#include <optional>

#include <lockstep/tensor/base/error.h>

namespace lockstep {
namespace {

constexpr std::uint8_t kCodeBool = 6;  // kDLBool, which the header knows only since DLPack 0.8

std::uint8_t code_of(DType dtype) {
  if (dtype == boolean) return kCodeBool;
  if (dtype == bfloat16) return kDLBfloat;
  if (kSigned.contains(dtype)) return kDLInt;
  if (kUnsigned.contains(dtype)) return kDLUInt;
  return is_complex(dtype) ? std::uint8_t(kDLComplex) : std::uint8_t(kDLFloat);
}

std::optional<DType> dtype_from(DLDataType type) {
  if (type.lanes != 1) return {};
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType dtype = DType(i);
    if (dtype != string && code_of(dtype) == type.code && itemsize(dtype) * 8 == type.bits) return dtype;
  }
  return {};
}

/// What an exported tensor keeps alive: itself, and the arrays that the C structure points to.
struct Export {
  DLManagedTensor managed{};
  Tensor tensor;
  Shape shape;
  std::array<std::int64_t, Shape::kMaxDims> strides{};
};

/// Are the elements one after the other in row-major order? The stride of an axis of size 1 says nothing.
bool is_row_major(const DLTensor& source, const Shape& shape) {
  if (!source.strides || shape.numel() == 0) return true;
  const auto strides = row_major_strides(shape);
  for (int axis = 0; axis < shape.ndim(); ++axis)
    if (shape[axis] != 1 && source.strides[axis] != strides[std::size_t(axis)]) return false;
  return true;
}

/// A row-major copy of elements that lie anywhere.
Tensor copy_of(const DLTensor& source, const std::byte* from, const Shape& shape, DType dtype) {
  Tensor tensor = Tensor::empty(shape, dtype);
  const std::ptrdiff_t size = std::ptrdiff_t(itemsize(dtype));
  const auto packed = row_major_strides(shape);
  const auto stride = [&](int axis) { return std::ptrdiff_t(source.strides ? source.strides[axis] : packed[std::size_t(axis)]) * size; };
  auto* to = static_cast<std::byte*>(tensor.mutable_raw());
  std::array<std::int64_t, Shape::kMaxDims> index{};
  for (std::int64_t i = 0; i < shape.numel(); ++i, to += size) {
    std::memcpy(to, from, std::size_t(size));
    for (int axis = shape.ndim() - 1; axis >= 0; --axis) {
      const std::size_t a = std::size_t(axis);
      from += stride(axis);
      if (++index[a] < shape[axis]) break;
      from -= stride(axis) * std::ptrdiff_t(shape[axis]);
      index[a] = 0;
    }
  }
  return tensor;
}

}  // namespace

void DLPackDeleter::operator()(DLManagedTensor* managed) const noexcept {
  if (managed->deleter) managed->deleter(managed);
}

DLPackHandle to_dlpack(const Tensor& tensor) {
  if (!tensor.defined()) throw FailedPreconditionError("an undefined Tensor has no elements", "to_dlpack");
  if (tensor.is_symbolic()) throw FailedPreconditionError("a tensor inside a traced function has no elements yet", "to_dlpack");
  if (tensor.dtype() == string) throw TypeError("DLPack has no strings", "to_dlpack");
  auto owner = std::make_unique<Export>();
  owner->tensor = tensor;
  owner->shape = tensor.shape();
  owner->strides = row_major_strides(owner->shape);
  DLManagedTensor& managed = owner->managed;
  synchronize(tensor.device());  // whoever takes it over knows nothing of our stream
  managed.dl_tensor.data = const_cast<void*>(owner->tensor.raw());
  managed.dl_tensor.device = {tensor.device().is_cpu() ? kDLCPU : kDLCUDA, tensor.device().index()};
  managed.dl_tensor.ndim = tensor.ndim();
  managed.dl_tensor.dtype = {code_of(tensor.dtype()), std::uint8_t(itemsize(tensor.dtype()) * 8), 1};
  managed.dl_tensor.shape = tensor.ndim() ? &owner->shape[0] : nullptr;
  managed.dl_tensor.strides = owner->strides.data();
  managed.manager_ctx = owner.get();
  managed.deleter = [](DLManagedTensor* self) { delete static_cast<Export*>(self->manager_ctx); };
  return DLPackHandle(&owner.release()->managed);
}

Tensor from_dlpack(DLPackHandle managed) {
  if (!managed) throw InvalidArgumentError("a null pointer is no tensor", "from_dlpack");
  const DLTensor& source = managed->dl_tensor;
  const DLDeviceType device = source.device.device_type;
  if (device != kDLCPU && device != kDLCUDAHost && device != kDLROCMHost && device != kDLCUDAManaged)
    throw UnimplementedError("elements on device type " + std::to_string(int(device)) + " of DLPack are out of the CPU's reach", "from_dlpack",
                             "copy them to the CPU first");
  const std::optional<DType> dtype = dtype_from(source.dtype);
  if (!dtype)
    throw TypeError("no dtype is DLPack's type code " + std::to_string(source.dtype.code) + " of " + std::to_string(source.dtype.bits) + " bits and " +
                        std::to_string(source.dtype.lanes) + " lanes",
                    "from_dlpack");
  if (source.ndim < 0 || (source.ndim > 0 && !source.shape)) throw InvalidArgumentError("a tensor without a shape", "from_dlpack");
  const Shape shape(std::span<const std::int64_t>(source.shape, std::size_t(source.ndim)));
  if (shape.numel() == 0) return Tensor::empty(shape, *dtype);
  if (!source.data) throw InvalidArgumentError("a null pointer to the elements of " + to_string(TensorSpec{*dtype, shape}), "from_dlpack");

  std::byte* data = static_cast<std::byte*>(source.data) + source.byte_offset;
  const std::size_t part = itemsize(*dtype) / (is_complex(*dtype) ? 2 : 1);  // a complex number is aligned as its real part
  if (!is_row_major(source, shape) || reinterpret_cast<std::uintptr_t>(data) % part != 0) return copy_of(source, data, shape, *dtype);
  // std::function copies what it holds, so the handle cannot go in by itself.
  return Tensor::borrow(data, shape, *dtype, [owner = std::shared_ptr<DLManagedTensor>(std::move(managed))]() mutable { owner.reset(); });
}

}  // namespace lockstep

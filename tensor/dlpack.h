#pragma once
// Tensors to and from other libraries (NumPy, PyTorch, JAX, CuPy) through DLPack: the elements are shared, not copied.
// A Tensor is immutable, so neither side may write to shared elements.

#include <memory>

#include <lockstep/tensor/tensor.h>

struct DLManagedTensor;  // of dlpack/dlpack.h, which only those need who look inside

namespace lockstep {

/// Runs the deleter that the producer put into a DLManagedTensor.
struct DLPackDeleter {
  void operator()(DLManagedTensor* managed) const noexcept;
};
/// A DLManagedTensor with its ownership. A C interface takes the pointer by release().
using DLPackHandle = std::unique_ptr<DLManagedTensor, DLPackDeleter>;

/// Shares the elements, which stay alive and unchanged until the handle's deleter runs. bool goes out under DLPack's code 6.
/// Throws TypeError for string, FailedPreconditionError for a value inside a trace.
DLPackHandle to_dlpack(const Tensor& tensor);

/// Takes over what another library exports; the deleter runs when the last tensor that shares the elements dies. Elements that are
/// not row-major or not aligned to their size are copied, and the deleter runs at once; after an error it has run as well.
/// Throws TypeError for an element type that Lockstep lacks, UnimplementedError for memory the CPU cannot read,
/// InvalidArgumentError for more axes than a Shape has or a null pointer.
Tensor from_dlpack(DLPackHandle managed);

}  // namespace lockstep

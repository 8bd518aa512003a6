#pragma once
// Strided copies on the device: transpositions, slices, joins and broadcasts come down to one.

#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/ops/permute.h>

namespace lockstep::cuda {

/// Enqueues `copy`, which is simplified(), for elements of the dtype.
void enqueue_copy(const StridedCopy& copy, DType dtype, const void* from, void* to);

/// The bound kernel of a copy from operand 0 to output 0. Throws UnimplementedError for strings.
BoundKernel bind_copy(const BindContext& context, const StridedCopy& copy);

/// Enqueues `count` times the element whose bits are at `element`.
void enqueue_fill(std::int64_t count, const void* element, std::size_t itemsize, void* to);

/// The bits of a number as an element of the dtype, by value.
struct ElementBits {
  alignas(16) std::byte at[16];
};
ElementBits element_bits(const Scalar& value, DType dtype);

}  // namespace lockstep::cuda

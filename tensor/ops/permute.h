#pragma once
// Copies of strided views: transposition, slices, broadcasts, padding all come down to one.

#include <array>
#include <cstdint>

#include <lockstep/tensor/op.h>

namespace lockstep {

/// A walk over `shape` that reads at one stride per axis and writes at another, in elements (negative and zero allowed).
struct StridedCopy {
  Shape shape;
  std::array<std::int64_t, Shape::kMaxDims> from{};
  std::array<std::int64_t, Shape::kMaxDims> to{};
  std::int64_t from_offset = 0;
  std::int64_t to_offset = 0;
};

/// Drops axes of size 1 and merges neighbours that walk as one, so that the copy below has few and long loops.
StridedCopy simplified(const StridedCopy& copy);
/// Runs it for elements of the dtype; strings are assigned, everything else is moved by size. In parallel when it pays.
void run_copy(const StridedCopy& copy, DType dtype, const void* in, void* out);

/// A walk that writes `shape` densely.
StridedCopy gather_walk(const Shape& shape);

}  // namespace lockstep

#pragma once
// How a tensor's axes fall into kept and reduced ones, for fold().

#include <lockstep/tensor/cuda/launch.h>
#include <lockstep/tensor/ops/reduce.h>

namespace lockstep::cuda {

/// Finds element k of fold o: both numbers are split over merged axes.
struct FoldWalk {
  int kept_axes = 0, reduced_axes = 0;
  Dims kept_size, kept_stride, reduced_size, reduced_stride;

  LOCKSTEP_HD static std::int64_t walk(std::int64_t i, int axes, const Dims& size, const Dims& stride) {
    std::int64_t offset = 0;
    for (int axis = axes - 1; axis > 0; --axis) {
      const std::int64_t quotient = i / size[axis];
      offset += (i - quotient * size[axis]) * stride[axis];
      i = quotient;
    }
    return axes > 0 ? offset + i * stride[0] : 0;
  }
  LOCKSTEP_HD std::int64_t operator()(std::int64_t o, std::int64_t k) const {
    return walk(o, kept_axes, kept_size, kept_stride) + walk(k, reduced_axes, reduced_size, reduced_stride);
  }
};
inline FoldWalk fold_walk(const Folding& folding) {
  FoldWalk walk{};
  std::int64_t stride = 1;
  std::array<std::int64_t, Shape::kMaxDims> strides{};
  for (std::size_t i = folding.parts.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= folding.parts[i].size;
  }
  for (std::size_t i = 0; i < folding.parts.size(); ++i) {
    const bool reduced = folding.parts[i].reduced;
    int& axis = reduced ? walk.reduced_axes : walk.kept_axes;
    (reduced ? walk.reduced_size : walk.kept_size).at[axis] = folding.parts[i].size;
    (reduced ? walk.reduced_stride : walk.kept_stride).at[axis] = strides[i];
    ++axis;
  }
  return walk;
}
inline FoldPlan fold_plan(const Folding& folding) {
  return fold_plan(folding.kept, folding.reduced, !folding.parts.empty() && !folding.parts.back().reduced);
}

}  // namespace lockstep::cuda

#pragma once
// A tensor seen along one axis: `outer` x `count` x `inner` elements, a line for each of outer and inner.

#include <lockstep/tensor/ops/rules.h>

namespace lockstep {

struct Lines {
  std::int64_t outer = 1, count = 1, inner = 1;
};
/// The lines along `axis`, which has been checked.
inline Lines lines_of(const Shape& shape, std::int64_t axis_) {
  const int axis = rules::wrap_axis(axis_, shape.ndim());
  Lines lines;
  for (int i = 0; i < axis; ++i) lines.outer *= shape[i];
  lines.count = shape[axis];
  for (int i = axis + 1; i < shape.ndim(); ++i) lines.inner *= shape[i];
  return lines;
}

}  // namespace lockstep

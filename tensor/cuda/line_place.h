#pragma once
// Where the elements of a tensor's lines along one axis lie.

#include <lockstep/tensor/cuda/element.h>
#include <lockstep/tensor/ops/lines.h>

namespace lockstep::cuda {

/// Place of element k of a line; counted from its end if `reverse`.
struct LinePlace {
  Lines l;
  bool reverse = false;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t line, std::int64_t k) const {
    const std::int64_t outer = line / l.inner;
    return (outer * l.count + (reverse ? l.count - 1 - k : k)) * l.inner + (line - outer * l.inner);
  }
  /// The line on which element i lies.
  LOCKSTEP_HD std::int64_t line_of(std::int64_t i) const { return i / (l.count * l.inner) * l.inner + i % l.inner; }
};

}  // namespace lockstep::cuda

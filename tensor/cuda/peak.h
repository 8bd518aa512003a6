#pragma once
// Sums of exponentials that do not overflow, as folds.

#include <lockstep/tensor/cuda/element.h>

namespace lockstep::cuda {

/// The largest element of a line, and the sum of exp(x - peak).
template <class C>
struct Peak {
  C peak, sum;
};
struct MergePeaks {
  template <class C>
  LOCKSTEP_HD Peak<C> operator()(Peak<C> a, Peak<C> b) const {
    if (b.sum == C(0)) return a;
    if (a.sum == C(0)) return b;
    if (a.peak == b.peak) return {a.peak, a.sum + b.sum};
    const C high = a.peak > b.peak ? a.peak : b.peak;
    return {high, a.sum * ::exp(a.peak - high) + b.sum * ::exp(b.peak - high)};
  }
};

}  // namespace lockstep::cuda

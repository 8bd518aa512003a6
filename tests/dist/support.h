#pragma once
// What the tests of ranks have in common.

#include <lockstep/tensor/ops.h>

/// Equal dtypes, shapes and elements?
inline bool same_bits(const lockstep::Tensor& a, const lockstep::Tensor& b) { return a.spec() == b.spec() && lockstep::reduce_all(lockstep::equal(a, b)).item<bool>(); }

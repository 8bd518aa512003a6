#pragma once
// What the tests of ranks have in common.

#include <algorithm>
#include <vector>

#include <lockstep/nn/model.h>
#include <lockstep/tensor/ops.h>

/// Equal dtypes, shapes and elements?
inline bool same_bits(const lockstep::Tensor& a, const lockstep::Tensor& b) { return a.spec() == b.spec() && lockstep::reduce_all(lockstep::equal(a, b)).item<bool>(); }

/// The same weights, to the bit?
inline bool same_weights(const lockstep::nn::Model& a, const lockstep::nn::Model& b) {
  const std::vector<lockstep::Tensor> x = a.get_weights(), y = b.get_weights();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), same_bits);
}

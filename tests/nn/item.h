#pragma once
// The number in a tensor of one.

#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

inline float item(const Tensor& x) { return x.item<float>(); }

}  // namespace lockstep::nn

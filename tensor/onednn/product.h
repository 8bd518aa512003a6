#pragma once
// Products of matrices by oneDNN, in the form that is fastest here.

#include <string>

#include <lockstep/tensor/onednn/primitive.h>
#include <lockstep/tensor/ops/product.h>

namespace lockstep::onednn {

/// activation(a b + bias) of float32 or bfloat16; the inputs are a, b and, if there is one, the bias.
BoundKernel bind_product(const Product& product, DType dtype, bool bias = false, const std::string& activation = "none");

}  // namespace lockstep::onednn

#pragma once
// Products of matrices by oneDNN, in the form that is fastest here.

#include <string>

#include <lockstep/tensor/onednn/primitive.h>

namespace lockstep::onednn {

/// (batch..., m, k) x (batch..., k, n), the batch axes broadcast.
struct Product {
  std::int64_t m = 0, k = 0, n = 0;
  bool transpose_a = false, transpose_b = false;
  Shape batch_a, batch_b, batch;
};

/// activation(a b + bias) of float32 or bfloat16; the inputs are a, b and, if there is one, the bias.
BoundKernel bind_product(const Product& product, DType dtype, bool bias = false, const std::string& activation = "none");

}  // namespace lockstep::onednn

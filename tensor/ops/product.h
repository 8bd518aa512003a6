#pragma once
// The sizes of a product of matrices, for the kernels of every device.

#include <cstdint>
#include <utility>

#include <lockstep/tensor/op.h>

namespace lockstep {

/// (batch..., m, k) x (batch..., k, n), the batch axes broadcast.
struct Product {
  std::int64_t m = 0, k = 0, n = 0;
  bool transpose_a = false, transpose_b = false;
  Shape batch_a, batch_b, batch;
};

/// From the shapes and the attributes transpose_a and transpose_b. Many left matrices times one right one are one tall matrix.
Product product_of(const OpCall& call, const Shape& a, const Shape& b, const Shape& out);
/// The matrices' offsets for one position of the batch.
std::pair<std::int64_t, std::int64_t> batch_offsets(const Product& p, std::int64_t position);

}  // namespace lockstep

#pragma once
// Products of small float32 matrices. For these, oneDNN's sgemm spends more on packing than on arithmetic (32 x 8 x 30 on AVX2:
// 1.5 us there, 0.6 us here), and it takes heap memory, which a traced step must not. Private to the matmul rows.

#include <cstdint>

namespace lockstep {

/// Is the product small enough to be faster here (about 32^3 multiplications)?
bool is_small_product(std::int64_t m, std::int64_t n, std::int64_t k);
/// z (m, n) = x (m, k) y (k, n), row-major; with a transpose flag the operand is stored as (k, m), (n, k). Only for what
/// is_small_product.
void small_product(bool transpose_x, bool transpose_y, std::int64_t m, std::int64_t n, std::int64_t k, const float* x, const float* y, float* z);

}  // namespace lockstep

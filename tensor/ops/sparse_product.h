#pragma once
// Products of a sparse with a dense matrix, on raw memory.

#include <cstdint>

#include <lockstep/tensor/dtype.h>

namespace lockstep::sparse_product {

/// Adds value * row for the entries of one row of the result: out[k] = sum over e of values[e] * dense[columns[e] * width + k], in the order of the entries.
using RowFn = void (*)(const void* values, const std::int64_t* columns, std::int64_t entries, const void* dense, std::int64_t width, void* out);
/// For float32 and float64: as wide as the machine's vectors. Null for other dtypes.
RowFn vector_row(DType dtype);

}  // namespace lockstep::sparse_product

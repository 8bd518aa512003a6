#pragma once
// The sizes of an attention, for the kernels of every device, and the CPU's kernels.

#include <cstdint>

#include <lockstep/tensor/op.h>

namespace lockstep::attention {

/// query (batch, rows, heads, dim), key (batch, keys, heads, dim), value (batch, keys, heads, value_dim); all batch axes as one.
struct Sizes {
  std::int64_t batch = 1, rows = 0, keys = 0, heads = 0, dim = 0, value_dim = 0;
  double scale = 1;
  bool causal = false;
};
Sizes sizes_of(const BindContext& context);
/// The dtype that it is computed in, which the log-sum-exp has: float64 for float64, else float32.
inline DType compute_dtype(DType dtype) { return dtype == float64 ? float64 : float32; }

/// query, key, value -> result, log-sum-exp
BoundKernel bind_forward(const BindContext& context);
/// query, key, value, upstream, result, log-sum-exp and, if there is one, the log-sum-exp's upstream -> gradients of query, key, value
BoundKernel bind_gradient(const BindContext& context);

}  // namespace lockstep::attention

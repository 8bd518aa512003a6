#pragma once
// The generic kernel of every pointwise row: broadcasting, strides and threads around the row's contiguous run.

#include <lockstep/tensor/op.h>

namespace lockstep {

/// Binds `op.pointwise` to the operands' shapes; set as `cpu` of every Fusion::pointwise row.
BoundKernel bind_pointwise(const BindContext& context);

/// The row's numeric attributes as the run receives them, in the order of the declaration (numbers, bools as 0 or 1).
SmallVector<double, 4> pointwise_params(const OpCall& call);

}  // namespace lockstep

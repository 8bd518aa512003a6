#pragma once
// The runs behind the pointwise rows: for an op and its dtypes, the function for one contiguous stretch of elements, for the best
// instruction set of this machine. A body is one line of kernels.inc, written over a small vocabulary of lanes.

#include <span>

#include <lockstep/tensor/op.h>

namespace lockstep::pointwise {

/// One kernel per line of kernels.inc.
enum class Kernel : int {
#define LOCKSTEP_UNARY(name, expression) name,
#define LOCKSTEP_BINARY(name, expression) name,
#include <lockstep/tensor/pointwise/kernels.inc>
#undef LOCKSTEP_UNARY
#undef LOCKSTEP_BINARY
  count
};

/// float32 and float64 kernels in Highway vectors; null for other dtypes.
PointwiseFn vector_run(Kernel kernel, DType dtype);
/// As vector_run, and float16 and bfloat16 by way of float32.
PointwiseFn float_run(Kernel kernel, DType dtype);

/// Comparisons of any fixed-size real dtype to bool: 0 equal, 1 not_equal, 2 less, 3 less_equal, 4 greater, 5 greater_equal.
PointwiseFn compare_run(int relation, DType dtype);
/// bool, T, T -> T, by the size of T.
PointwiseFn select_run(DType dtype);
/// Any real dtype or bool to any other.
PointwiseFn cast_run(DType from, DType to);
/// Integer arithmetic, by the names of the rows: 0 add, 1 subtract, 2 multiply, 3 maximum, 4 minimum, 5 squared_difference.
PointwiseFn integer_run(int operation, DType dtype);

}  // namespace lockstep::pointwise

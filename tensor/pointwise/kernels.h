#pragma once
// The runs behind the pointwise rows: for an op and its dtypes, the function for one contiguous stretch of elements, for the best
// instruction set of this machine. A body is one line of kernels.inc, written over a small vocabulary of lanes.

#include <cstdint>
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

// ---- chains: several float32 ops of which each takes the result of the one before, kept in registers

/// What a step does to the accumulator; the names with _from, _into and _of take the memory operand first.
enum class ChainOp : std::uint8_t {
  load, add, subtract, subtract_from, multiply, divide, divide_into, maximum, maximum_of, minimum, minimum_of, squared_difference, squared_difference_of,
  neg, abs, square, sqrt, rsqrt, reciprocal, relu,
};
struct ChainStep {
  ChainOp op;
  const float* operand;  // null for ops of the accumulator alone
  float* store;          // where the result is kept too, or null
};
/// Runs the steps (the first is a load) over n elements. Bit for bit what the single runs give.
void run_chain(const ChainStep* steps, int count, std::int64_t n);

}  // namespace lockstep::pointwise

#pragma once
// Set operations along the last axis (tf.sets).

#include <lockstep/tensor/sparse.h>

namespace lockstep {

/// Sets along the last axis, of integers or strings (tf.sets): each row of all other axes is one, dense (all elements count) or sparse. Results are sorted, and as wide
/// as the largest set.
namespace sets {
/// A dense or a sparse operand.
class Operand {
 public:
  Operand(const Tensor& dense);
  Operand(const SparseTensor& sparse) : sparse_(sparse) {}
  const SparseTensor& sparse() const { return sparse_; }

 private:
  SparseTensor sparse_;
};
/// Each throws TypeError for elements of another dtype, InvalidArgumentError for other rows, fewer than two axes, or (if `validate_indices`) entries out of order.
SparseTensor set_union(const Operand& a, const Operand& b, bool validate_indices = true);
SparseTensor intersection(const Operand& a, const Operand& b, bool validate_indices = true);
/// What is in a and not in b, or the other way round.
SparseTensor difference(const Operand& a, const Operand& b, bool a_minus_b = true, bool validate_indices = true);
/// int32: how many distinct elements each set has.
Tensor size(const Operand& a, bool validate_indices = true);
}  // namespace sets
}  // namespace lockstep

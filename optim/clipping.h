#pragma once
// Gradient clipping, for optimizers and custom training loops.

#include <span>
#include <vector>

#include <lockstep/tensor/op.h>

namespace lockstep::optim {

/// Scaled down to norm `clip_norm` if its Euclidean norm is larger.
Tensor clip_by_norm(const Tensor& gradient, double clip_norm);
/// The Euclidean norm of all gradients together, a float64 scalar.
Tensor global_norm(std::span<const Tensor> gradients);
/// All scaled by the same factor, so that their global norm is at most `clip_norm`; all NaN if it is not finite.
std::vector<Tensor> clip_by_global_norm(std::span<const Tensor> gradients, double clip_norm);

/// The same for gradients that may be rows, with equal indices summed (sum_slices): rows stay rows. The norm has the bits of the dense gradient's, which is
/// made for it and no more; rows without gradient stay zero also where a norm is not finite (as in TensorFlow).
Gradient clip_by_norm(const Gradient& gradient, double clip_norm);
std::vector<Gradient> clip_by_global_norm(std::span<const Gradient> gradients, double clip_norm);

}  // namespace lockstep::optim

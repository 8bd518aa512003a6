#include <lockstep/optim/clipping.h>

#include <lockstep/tensor/ops.h>

namespace lockstep::optim {

Tensor clip_by_norm(const Tensor& gradient, double clip_norm) {
  const Tensor norm = sqrt(reduce_sum(square(gradient)));
  return gradient * clip_norm / maximum(norm, scalar(clip_norm, gradient.dtype()));
}

Tensor global_norm(std::span<const Tensor> gradients) {
  Tensor total = scalar(0.0, float64);
  for (const Tensor& gradient : gradients) total = total + cast(reduce_sum(square(gradient)), float64);
  return sqrt(total);
}

std::vector<Tensor> clip_by_global_norm(std::span<const Tensor> gradients, double clip_norm) {
  const Tensor norm = global_norm(gradients);
  // The last term is 0 for a finite norm, and NaN otherwise: 0 * inf elsewhere must not pass for an update.
  const Tensor scale = clip_norm * minimum(1 / norm, scalar(1 / clip_norm, float64)) + (norm - norm);
  std::vector<Tensor> clipped;
  for (const Tensor& gradient : gradients) clipped.push_back(gradient * cast(scale, gradient.dtype()));
  return clipped;
}

}  // namespace lockstep::optim

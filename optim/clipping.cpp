#include <lockstep/optim/clipping.h>

#include <lockstep/tensor/indexed_slices.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::optim {

Tensor clip_by_norm(const Tensor& gradient, double clip_norm) { return clip_by_norm(Gradient(gradient), clip_norm).dense(); }

Gradient clip_by_norm(const Gradient& gradient, double clip_norm) {
  const Tensor norm = sqrt(reduce_sum(square(gradient.dense())));
  return map_values(gradient, [&](const Tensor& values) { return values * clip_norm / maximum(norm, scalar(clip_norm, values.dtype())); });
}

Tensor global_norm(std::span<const Tensor> gradients) {
  Tensor total = scalar(0.0, float64);
  for (const Tensor& gradient : gradients) total = total + cast(reduce_sum(square(gradient)), float64);
  return sqrt(total);
}

std::vector<Tensor> clip_by_global_norm(std::span<const Tensor> gradients, double clip_norm) {
  const std::vector<Gradient> given(gradients.begin(), gradients.end());
  std::vector<Tensor> clipped;
  for (const Gradient& gradient : clip_by_global_norm(given, clip_norm)) clipped.push_back(gradient.dense());
  return clipped;
}

std::vector<Gradient> clip_by_global_norm(std::span<const Gradient> gradients, double clip_norm) {
  std::vector<Tensor> dense;
  for (const Gradient& gradient : gradients) dense.push_back(gradient.dense());
  const Tensor norm = global_norm(dense);
  // The last term is 0 for a finite norm, and NaN otherwise: 0 * inf elsewhere must not pass for an update.
  const Tensor scale = clip_norm * minimum(1 / norm, scalar(1 / clip_norm, float64)) + (norm - norm);
  std::vector<Gradient> clipped;
  for (const Gradient& gradient : gradients) clipped.push_back(map_values(gradient, [&](const Tensor& values) { return values * cast(scale, values.dtype()); }));
  return clipped;
}

}  // namespace lockstep::optim

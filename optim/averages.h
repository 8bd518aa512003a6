#pragma once
// The two averages that Adam and its kin keep of a variable's gradients, and the scalars that correct their start from zero.

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::optim {

/// Moves the average towards `value` by the share 1 - beta; returns its new value.
inline Tensor move_average(const Variable& average, const Tensor& value, double beta) {
  average.assign_add((value - average.value()) * (1 - beta));
  return average.value();
}

/// base^t, float64.
inline Tensor power(double base, const Tensor& t) { return pow(scalar(base, float64), t); }

/// Adam's step size without the learning rate: sqrt(1 - beta_2^t) / (1 - beta_1^t).
inline Tensor adam_scale(double beta_1, double beta_2, const Tensor& t) { return sqrt(1 - power(beta_2, t)) / (1 - power(beta_1, t)); }

}  // namespace lockstep::optim

#pragma once
// Gradients compared with central differences of fourth order: the test of every rule of the op table, and of functions and layers that users write.

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include <lockstep/tensor/tensor.h>

namespace lockstep::autodiff {

struct GradientCheckOptions {
  /// Distance of the nearer two of the four values around x, relative to max(1, |x|); the others are twice as far.
  double step = 1e-4;
  /// 1: the gradient. 2: the gradient of the gradient, and so on.
  int order = 1;
  /// Of the random weights that the outputs' elements enter the scalar target with.
  std::int64_t seed = 0;
};

/// The worst of all partial derivatives, and where it was found.
struct GradientCheck {
  /// |analytic - numeric| / max(1, |numeric|); infinite if one of the two is not finite.
  double error = 0;
  /// What the tape gave and what the differences gave.
  double analytic = 0, numeric = 0;
  /// The input and its element, in row-major order; -1 if nothing was compared.
  int input = -1;
  std::int64_t element = -1;
  /// Partial derivatives compared, all inputs together.
  std::int64_t compared = 0;
};
/// "24 derivatives; the worst, by element 3 of input 1: 0.25 by the tape, 0.5 by differences (error 0.25)"
std::string to_string(const GradientCheck& check);

/// Compares the tape's gradients of `f` with central differences at `inputs`. Float64 inputs are moved, all others are kept; the
/// target is the sum of the float64 outputs times random weights. `f` must be smooth within two steps of the inputs and give the same result for
/// the same inputs. A complex128 tensor counts as two, its real and its imaginary part. Throws InvalidArgumentError for inputs or outputs of another float or complex
/// dtype, which are too coarse for differences.
GradientCheck check_gradient(const std::function<Tensors(std::span<const Tensor>)>& f, std::span<const Tensor> inputs, const GradientCheckOptions& options = {});
/// For one tensor.
GradientCheck check_gradient(const std::function<Tensor(const Tensor&)>& f, const Tensor& x, const GradientCheckOptions& options = {});

}  // namespace lockstep::autodiff

#pragma once
// Activations: Keras's functions by name, as components that layers take ("relu", a lambda, a Named function). Saved by name only.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <lockstep/tensor/base/component.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// A function of one tensor, with a name (keras.activations).
class Activation : public Component {
 public:
  static constexpr const char* kModule = "keras.activations";
  using Function = std::function<Tensor(const Tensor&)>;
  static std::shared_ptr<Activation> wrap(Named<Function> function);
  static void register_builtins();

  Activation() = default;
  explicit Activation(Named<Function> function) : function_(std::move(function)) {}
  virtual Tensor operator()(const Tensor& x) const { return function_.function(x); }
  std::string function_name() const override { return function_.name; }

 private:
  Named<Function> function_;
};

/// The activations that are no ops of their own, or that have more arguments than the op; all with Keras's defaults.
namespace activations {

/// max(x, 0), with a slope below `threshold` and a ceiling.
Tensor relu(const Tensor& x, double negative_slope = 0, std::optional<double> max_value = {}, double threshold = 0);
/// x where positive, else alpha (exp(x) - 1); its slope at 0 is alpha.
Tensor elu(const Tensor& x, double alpha = 1);
/// x where positive, else alpha (exp(x / alpha) - 1)
Tensor celu(const Tensor& x, double alpha = 1);
/// The first half of the axis times the sigmoid of the second. Throws InvalidArgumentError for an axis of odd size.
Tensor glu(const Tensor& x, std::int64_t axis = -1);
/// x clipped to [-1, 1]
Tensor hard_tanh(const Tensor& x);
/// x where |x| > threshold, else 0
Tensor hard_shrink(const Tensor& x, double threshold = 0.5);
/// x moved by `threshold` towards 0, and 0 where it would cross it
Tensor soft_shrink(const Tensor& x, double threshold = 0.5);
/// x - tanh(x)
Tensor tanh_shrink(const Tensor& x);
/// x where above `threshold`, else `default_value`
Tensor threshold(const Tensor& x, double threshold, double default_value);
/// (x + sqrt(x^2 + b)) / 2
Tensor squareplus(const Tensor& x, double b = 4);
/// 0 below -1, (x + 1)^2 / 4, and x above 1
Tensor sparse_plus(const Tensor& x);
/// 0 below -1, (x + 1) / 2, and 1 above 1
Tensor sparse_sigmoid(const Tensor& x);
/// Like softmax, with exact zeros (Martins and Astudillo, 2016), with the threshold that Keras computes.
Tensor sparsemax(const Tensor& x, std::int64_t axis = -1);

}  // namespace activations
}  // namespace lockstep::nn

// One walk of the tape against four evaluations per element. Differences are taken of each output's element before they are weighted
// and summed, so that large outputs do not drown small changes.

#include <lockstep/autodiff/gradient_check.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <vector>

#include <lockstep/autodiff/tape.h>
#include <lockstep/tensor/complex.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/random.h>

namespace lockstep::autodiff {
namespace {

using Differentiable = std::function<Tensors(std::span<const Tensor>)>;

bool moves(const Tensor& tensor, const char* what) {
  if (!is_differentiable(tensor.dtype())) return false;
  if (tensor.dtype() != float64) throw InvalidArgumentError(std::string(what) + " is " + std::string(name(tensor.dtype())) + ", but must be float64 or complex128", "check_gradient");
  return true;
}

/// Real and imaginary parts in place of complex128 tensors.
Tensors parts_of(std::span<const Tensor> tensors) {
  Tensors parts;
  for (const Tensor& each : tensors) {
    if (each.dtype() != complex128) {
      parts.push_back(each);
      continue;
    }
    parts.push_back(real(each));
    parts.push_back(imag(each));
  }
  return parts;
}

/// f of the parts of such inputs, giving the parts of its outputs.
Differentiable of_parts(const Differentiable& f, std::span<const Tensor> inputs) {
  std::vector<bool> is_pair;
  for (const Tensor& input : inputs) is_pair.push_back(input.dtype() == complex128);
  return [f, is_pair](std::span<const Tensor> parts) {
    Tensors whole;
    std::size_t next = 0;
    for (const bool pair : is_pair) {
      whole.push_back(pair ? complex(parts[next], parts[next + 1]) : parts[next]);
      next += pair ? 2 : 1;
    }
    return parts_of(f(whole));
  };
}

/// The weights of output i, in [-1, 1).
Tensor weights_of(const Tensor& output, std::size_t i, std::int64_t seed) {
  Tensor key = Tensor::empty({2}, int64);
  key.mutable_data<std::int64_t>()[0] = seed;
  key.mutable_data<std::int64_t>()[1] = std::int64_t(i);
  return random::uniform_from(key, output.shape(), -1.0, 1.0, float64);
}

/// x -> the gradients of f's weighted outputs by its float64 inputs; zeros where there is no path.
Differentiable derivative(const Differentiable& f, std::int64_t seed) {
  return [f, seed](std::span<const Tensor> inputs) {
    GradientTape tape;
    std::vector<Source> sources;
    for (const Tensor& input : inputs)
      if (moves(input, "an input")) tape.watch(input), sources.emplace_back(input);
    const Tensors outputs = f(inputs);
    std::vector<Tensor> targets, upstreams;
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (moves(outputs[i], "an output")) targets.push_back(outputs[i]), upstreams.push_back(weights_of(outputs[i], i, seed));
    Tensors result;
    const std::vector<Gradient> gradients = tape.gradient(targets, sources, upstreams);
    for (std::size_t i = 0; i < gradients.size(); ++i) result.push_back(gradients[i].exists() ? gradients[i].dense() : zeros_like(sources[i].tensor()));
    return result;
  };
}

Tensor with_element(const Tensor& x, std::int64_t element, double value) {
  Tensor copy = Tensor::empty(x.shape(), float64);
  const auto from = x.data<double>();
  std::copy(from.begin(), from.end(), copy.mutable_data<double>());
  copy.mutable_data<double>()[element] = value;
  return copy;
}

/// The weighted sum of what changed between two evaluations. Elements that stayed, infinite ones among them, count nothing.
double weighted_change(const Tensors& high, const Tensors& low, std::span<const Tensor> weights) {
  double change = 0;
  for (std::size_t i = 0; i < high.size(); ++i) {
    if (!weights[i].defined()) continue;
    const auto above = high[i].data<double>(), below = low[i].data<double>(), weight = weights[i].data<double>();
    for (std::size_t k = 0; k < weight.size(); ++k)
      if (above[k] != below[k]) change += weight[k] * (above[k] - below[k]);
  }
  return change;
}

double difference(double analytic, double numeric) {
  if (!std::isfinite(analytic) || !std::isfinite(numeric)) return std::numeric_limits<double>::infinity();
  return std::fabs(analytic - numeric) / std::max(1.0, std::fabs(numeric));
}

}  // namespace

std::string to_string(const GradientCheck& check) {
  std::ostringstream text;
  text.precision(12);
  text << check.compared << " derivatives";
  if (check.input >= 0)
    text << "; the worst, by element " << check.element << " of input " << check.input << ": " << check.analytic << " by the tape, " << check.numeric << " by differences (error " << check.error << ")";
  return text.str();
}

namespace {

/// Of real tensors.
GradientCheck check_real(const Differentiable& f, std::span<const Tensor> inputs, const GradientCheckOptions& options) {
  if (options.order > 1) {
    GradientCheckOptions next = options;
    next.order = options.order - 1;
    return check_real(derivative(f, options.seed + options.order), inputs, next);
  }
  const Tensors gradients = derivative(f, options.seed)(inputs);
  std::vector<Tensor> weights, moved(inputs.begin(), inputs.end());
  const Tensors outputs = f(inputs);
  for (std::size_t i = 0; i < outputs.size(); ++i) weights.push_back(moves(outputs[i], "an output") ? weights_of(outputs[i], i, options.seed) : Tensor());
  GradientCheck worst;
  std::size_t next = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!moves(inputs[i], "an input")) continue;
    const Tensor& gradient = gradients[next++];
    for (std::int64_t k = 0; k < inputs[i].numel(); ++k) {
      const double x = inputs[i].data<double>()[std::size_t(k)], h = options.step * std::max(1.0, std::fabs(x));
      const auto at = [&](double value) {
        moved[i] = with_element(inputs[i], k, value);
        return f(moved);
      };
      const double near = weighted_change(at(x + h), at(x - h), weights), far = weighted_change(at(x + 2 * h), at(x - 2 * h), weights);
      const double numeric = (8 * near - far) / (12 * h), analytic = gradient.data<double>()[std::size_t(k)];
      const double error = difference(analytic, numeric);
      if (worst.input < 0 || error > worst.error)
        worst = {.error = error, .analytic = analytic, .numeric = numeric, .input = int(i), .element = k, .compared = worst.compared};
      ++worst.compared;
    }
    moved[i] = inputs[i];
  }
  return worst;
}

}  // namespace

GradientCheck check_gradient(const Differentiable& f, std::span<const Tensor> inputs, const GradientCheckOptions& options) { return check_real(of_parts(f, inputs), parts_of(inputs), options); }

GradientCheck check_gradient(const std::function<Tensor(const Tensor&)>& f, const Tensor& x, const GradientCheckOptions& options) {
  const Tensor inputs[] = {x};
  return check_gradient([&f](std::span<const Tensor> operands) { return Tensors{f(operands[0])}; }, inputs, options);
}

}  // namespace lockstep::autodiff

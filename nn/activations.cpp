#include <lockstep/nn/activations.h>

#include <mutex>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

/// Name and function, as in keras.activations.
struct Row {
  const char* name;
  Tensor (*function)(const Tensor&);
};
constexpr Row kActivations[] = {
    {"linear", [](const Tensor& x) { return x; }},
    {"relu", lockstep::relu},
    {"relu6", lockstep::relu6},
    {"leaky_relu", [](const Tensor& x) { return leaky_relu(x); }},
    {"elu", [](const Tensor& x) { return elu(x); }},
    {"celu", [](const Tensor& x) { return activations::celu(x); }},
    {"selu", lockstep::selu},
    {"gelu", [](const Tensor& x) { return gelu(x); }},
    {"silu", [](const Tensor& x) { return silu(x); }},
    {"mish", lockstep::mish},
    {"softmax", [](const Tensor& x) { return softmax(x); }},
    {"log_softmax", [](const Tensor& x) { return log_softmax(x); }},
    {"sparsemax", [](const Tensor& x) { return activations::sparsemax(x); }},
    {"softplus", lockstep::softplus},
    {"softsign", lockstep::softsign},
    {"squareplus", [](const Tensor& x) { return activations::squareplus(x); }},
    {"sparse_plus", activations::sparse_plus},
    {"tanh", lockstep::tanh},
    {"hard_tanh", activations::hard_tanh},
    {"tanh_shrink", activations::tanh_shrink},
    {"hard_shrink", [](const Tensor& x) { return activations::hard_shrink(x); }},
    {"soft_shrink", [](const Tensor& x) { return activations::soft_shrink(x); }},
    {"sigmoid", lockstep::sigmoid},
    {"hard_sigmoid", lockstep::hard_sigmoid},
    {"sparse_sigmoid", activations::sparse_sigmoid},
    {"log_sigmoid", lockstep::log_sigmoid},
    {"hard_silu", lockstep::hard_silu},
    {"exponential", lockstep::exp},
    {"glu", [](const Tensor& x) { return activations::glu(x); }},
};
/// Other names of the same functions; they are saved under the first.
constexpr std::pair<const char*, const char*> kAliases[] = {{"swish", "silu"}, {"hard_swish", "hard_silu"}};

Tensor value_like(const Tensor& x, double value) { return scalar(value, x.dtype()); }

}  // namespace

std::shared_ptr<Activation> Activation::wrap(Named<Function> function) { return std::make_shared<Activation>(std::move(function)); }

void Activation::register_builtins() {
  static const bool once = [] {
    for (const Row& row : kActivations) register_function(row.name, wrap({row.name, row.function}));
    for (const auto& [alias, name] : kAliases)
      for (const Row& row : kActivations)
        if (std::string_view(row.name) == name) register_function(alias, wrap({name, row.function}));
    return true;
  }();
  static_cast<void>(once);
}

namespace activations {

Tensor relu(const Tensor& x, double negative_slope, std::optional<double> max_value, double threshold) {
  if (!max_value && threshold == 0) return negative_slope == 0 ? lockstep::relu(x) : leaky_relu(x, negative_slope);
  Tensor positive = threshold == 0 ? lockstep::relu(x) : where(x > threshold, x, zeros_like(x));
  if (max_value) positive = clip_by_value(positive, 0.0, *max_value);
  if (negative_slope == 0) return positive;
  return positive - negative_slope * lockstep::relu(threshold - x);
}

Tensor elu(const Tensor& x, double alpha) {
  const Tensor y = lockstep::elu(x);
  return alpha == 1 ? y : where(x > 0, y, alpha * y);
}

Tensor celu(const Tensor& x, double alpha) {
  const Tensor zero = value_like(x, 0);
  return maximum(x, zero) + alpha * expm1(minimum(x, zero) / alpha);
}

Tensor glu(const Tensor& x, std::int64_t axis) {
  if (x.ndim() == 0 || x.shape().dim(int(axis)) % 2 != 0) throw InvalidArgumentError("the size of axis " + std::to_string(axis) + " must be even, the operand is " + to_string(x.spec()), "glu");
  const std::vector<Tensor> halves = split(x, 2, axis);
  return halves[0] * lockstep::sigmoid(halves[1]);
}

Tensor hard_tanh(const Tensor& x) { return clip_by_value(x, -1.0, 1.0); }
Tensor hard_shrink(const Tensor& x, double threshold) { return where(abs(x) > threshold, x, zeros_like(x)); }
Tensor soft_shrink(const Tensor& x, double threshold) { return where(x > threshold, x - threshold, where(x < -threshold, x + threshold, zeros_like(x))); }
Tensor tanh_shrink(const Tensor& x) { return x - lockstep::tanh(x); }
Tensor threshold(const Tensor& x, double threshold, double default_value) { return where(x > threshold, x, value_like(x, default_value)); }
Tensor squareplus(const Tensor& x, double b) { return (x + sqrt(square(x) + b)) * 0.5; }
Tensor sparse_plus(const Tensor& x) { return where(x <= -1, zeros_like(x), where(x < 1, square(x + 1) * 0.25, x)); }
Tensor sparse_sigmoid(const Tensor& x) { return where(x <= -1, zeros_like(x), where(x < 1, (x + 1) * 0.5, ones_like(x))); }

Tensor sparsemax(const Tensor& x, std::int64_t axis) {
  // Keras's threshold adds up the running sums of the whole support, not the last one alone as the paper does: the two agree where
  // the support is a single entry, and else Keras's values sum to less than 1. Its users' models expect these.
  const std::int64_t n = x.shape().dim(int(axis));
  Ints column(std::size_t(x.ndim()), 1);
  column[std::size_t(axis < 0 ? axis + x.ndim() : axis)] = n;
  const Tensor sorted = sort(x, axis, "descending");
  const Tensor sums = cumsum(sorted, axis);
  const Tensor rank = reshape(range(1.0, double(n + 1), 1.0, x.dtype()), column);
  const Tensor in_support = sorted - (sums - 1) / rank > 0;
  const Tensor size = reduce_sum(cast(in_support, x.dtype()), axis, true);
  const Tensor tau = (reduce_sum(where(in_support, sums, zeros_like(sums)), axis, true) - 1) / size;
  return maximum(x - tau, value_like(x, 0));
}

}  // namespace activations
}  // namespace lockstep::nn

#include <lockstep/nn/layers/normalization.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <lockstep/dist/replica.h>
#include <lockstep/nn/aligned.h>
#include <lockstep/nn/loss.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

/// The axis counted from the start. Throws IndexError outside of `shape`.
int axis_of(std::int64_t axis, const Shape& shape, const char* layer) {
  const std::int64_t at = axis < 0 ? axis + shape.ndim() : axis;
  if (at < 0 || at >= shape.ndim()) throw IndexError("axis " + std::to_string(axis) + " is outside of the input's shape " + to_string(shape), layer);
  return int(at);
}

/// The sizes of these axes, in the order of the shape.
Shape sizes_at(const Ints& axes, const Shape& shape, const char* layer) {
  std::vector<int> sorted;
  for (const std::int64_t axis : axes) sorted.push_back(axis_of(axis, shape, layer));
  std::sort(sorted.begin(), sorted.end());
  Shape result;
  for (const int axis : sorted) result.push_back(shape[axis]);
  return result;
}

/// `axis` exchanged with the last one.
Tensor swap_with_last(const Tensor& x, int axis) {
  if (axis == x.ndim() - 1) return x;
  Ints order;
  for (int i = 0; i < x.ndim(); ++i) order.push_back(i);
  std::swap(order[std::size_t(axis)], order[std::size_t(x.ndim() - 1)]);
  return transpose(x, order);
}

Tensor or_value(const Weight& weight, double value, const Shape& shape, DType dtype) { return weight.defined() ? weight.value() : full(shape, value, dtype); }

}  // namespace

// ---- BatchNormalization

void BatchNormalization::fields(Fields& f) {
  Layer::fields(f);
  f.field("axis", options_.axis);
  f.field("momentum", options_.momentum);
  f.field("epsilon", options_.epsilon);
  f.field("center", options_.center);
  f.field("scale", options_.scale);
  f.field("beta_initializer", options_.beta_initializer);
  f.field("gamma_initializer", options_.gamma_initializer);
  f.field("moving_mean_initializer", options_.moving_mean_initializer);
  f.field("moving_variance_initializer", options_.moving_variance_initializer);
  f.field("beta_regularizer", options_.beta_regularizer);
  f.field("gamma_regularizer", options_.gamma_regularizer);
  f.field("beta_constraint", options_.beta_constraint);
  f.field("gamma_constraint", options_.gamma_constraint);
  f.field("synchronized", options_.synchronized);
  bool renorm = false;
  Json clipping = nullptr;
  double momentum = 0.99;
  f.field("renorm", renorm);
  f.field("renorm_clipping", clipping);
  f.field("renorm_momentum", momentum);
  if (renorm) throw UnimplementedError("batch renormalization is not there", "BatchNormalization");
}

void BatchNormalization::build(const Shape& input) {
  const Shape shape{input[axis_of(options_.axis, input, "BatchNormalization")]};
  if (options_.scale) gamma_ = add_weight("gamma", shape, {.initializer = options_.gamma_initializer, .regularizer = options_.gamma_regularizer, .constraint = options_.gamma_constraint});
  if (options_.center) beta_ = add_weight("beta", shape, {.initializer = options_.beta_initializer, .regularizer = options_.beta_regularizer, .constraint = options_.beta_constraint});
  moving_mean_ = add_weight("moving_mean", shape, {.initializer = options_.moving_mean_initializer, .trainable = false});
  moving_variance_ = add_weight("moving_variance", shape, {.initializer = options_.moving_variance_initializer, .trainable = false});
}

Tensor BatchNormalization::call(const Tensor& x, const CallOptions& options) {
  const int axis = axis_of(options_.axis, x.shape(), "BatchNormalization");
  const Shape& shape = moving_mean_.shape();
  require(x.shape()[axis] == shape[0], "the input has " + std::to_string(x.shape()[axis]) + " channels, the layer was built for " + std::to_string(shape[0]));
  const Tensor last = swap_with_last(x, axis);
  const Tensor gamma = or_value(gamma_, 1, shape, x.dtype()), beta = or_value(beta_, 0, shape, x.dtype());
  if (!options.training || !trainable()) return swap_with_last(batch_norm(last, gamma, beta, moving_mean_, moving_variance_, options_.epsilon), axis);
  // The replicas whose samples count, and this one's where the moving averages are concerned.
  const dist::Replica* const here = dist::replica();
  const dist::Replica* const others = here && here->synchronized_statistics.value_or(options_.synchronized) ? here : nullptr;
  const auto over_all = [&](const Tensor& sum) { return others ? others->sum(sum, path() + "/statistics") : sum; };
  Ints axes;
  for (int i = 0; i + 1 < x.ndim(); ++i) axes.push_back(i);
  Tensor y, mean, variance;
  if (const Tensor mask = options.mask_of(0); mask.defined()) {
    // Statistics of the valid steps alone; all steps are normalized by them.
    Ints column(mask.shape().begin(), mask.shape().end());
    while (int(column.size()) < x.ndim()) column.push_back(1);
    const Tensor weights = swap_with_last(broadcast_to(reshape(cast(mask, x.dtype()), column), Ints(x.shape().begin(), x.shape().end())), axis);
    const Tensor count = over_all(reduce_sum(weights, axes)) + 1e-7;
    mean = over_all(reduce_sum(weights * last, axes)) / count;
    variance = over_all(reduce_sum(weights * square(last - mean), axes)) / count;
    y = batch_norm(last, gamma, beta, mean, variance, options_.epsilon);
  } else if (others) {
    // In float32 at least: 16 bits are too few to add up many.
    const DType wide = x.dtype() == float64 ? float64 : float32;
    const Tensor values = as_dtype(last, wide);
    double count = double(others->global_rows);
    for (int i = 1; i + 1 < x.ndim(); ++i) count *= double(last.shape()[i]);
    mean = over_all(reduce_sum(values, axes)) / count;
    variance = over_all(reduce_sum(square(values - mean), axes)) / count;
    mean = as_dtype(mean, x.dtype()), variance = as_dtype(variance, x.dtype());
    y = batch_norm(last, gamma, beta, mean, variance, options_.epsilon);
  } else {
    std::tie(y, mean, variance) = batch_norm(last, gamma, beta, options_.epsilon, true);
  }
  const auto move = [&](const Weight& average, const Tensor& value) {
    const DType dtype = average.variable().dtype();
    Tensor seen = cast(stop_gradient(value), dtype);
    if (here && !others) seen = here->sum(here->rows == 0 ? zeros_like(seen) : seen * here->share(), path() + "/moving");
    average.assign(average.variable().value() * options_.momentum + seen * (1 - options_.momentum));
  };
  move(moving_mean_, mean);
  move(moving_variance_, variance);
  return swap_with_last(y, axis);
}

// ---- LayerNormalization

void LayerNormalization::fields(Fields& f) {
  Layer::fields(f);
  f.field("axis", options_.axis);
  f.field("epsilon", options_.epsilon);
  f.field("center", options_.center);
  f.field("scale", options_.scale);
  bool rms = false;
  f.field("rms_scaling", rms);
  if (rms) throw UnimplementedError("rms_scaling is not there: use RMSNormalization", "LayerNormalization");
  f.field("beta_initializer", options_.beta_initializer);
  f.field("gamma_initializer", options_.gamma_initializer);
  f.field("beta_regularizer", options_.beta_regularizer);
  f.field("gamma_regularizer", options_.gamma_regularizer);
  f.field("beta_constraint", options_.beta_constraint);
  f.field("gamma_constraint", options_.gamma_constraint);
}

void LayerNormalization::build(const Shape& input) {
  const Shape shape = sizes_at(options_.axis, input, "LayerNormalization");
  if (options_.scale) gamma_ = add_weight("gamma", shape, {.initializer = options_.gamma_initializer, .regularizer = options_.gamma_regularizer, .constraint = options_.gamma_constraint});
  if (options_.center) beta_ = add_weight("beta", shape, {.initializer = options_.beta_initializer, .regularizer = options_.beta_regularizer, .constraint = options_.beta_constraint});
}

Tensor LayerNormalization::call(const Tensor& x) {
  const Shape shape = sizes_at(options_.axis, x.shape(), "LayerNormalization");
  return layer_norm(x, or_value(gamma_, 1, shape, x.dtype()), or_value(beta_, 0, shape, x.dtype()), options_.axis, options_.epsilon);
}

// ---- GroupNormalization

void GroupNormalization::fields(Fields& f) {
  Layer::fields(f);
  f.field("groups", options_.groups);
  f.field("axis", options_.axis);
  f.field("epsilon", options_.epsilon);
  f.field("center", options_.center);
  f.field("scale", options_.scale);
  f.field("beta_initializer", options_.beta_initializer);
  f.field("gamma_initializer", options_.gamma_initializer);
  f.field("beta_regularizer", options_.beta_regularizer);
  f.field("gamma_regularizer", options_.gamma_regularizer);
  f.field("beta_constraint", options_.beta_constraint);
  f.field("gamma_constraint", options_.gamma_constraint);
}

void GroupNormalization::build(const Shape& input) {
  const std::int64_t channels = input[axis_of(options_.axis, input, "GroupNormalization")];
  groups_ = options_.groups == -1 ? channels : options_.groups;
  require(groups_ > 0 && channels % groups_ == 0, std::to_string(channels) + " channels cannot be cut into " + std::to_string(groups_) + " groups");
  if (options_.scale) gamma_ = add_weight("gamma", {channels}, {.initializer = options_.gamma_initializer, .regularizer = options_.gamma_regularizer, .constraint = options_.gamma_constraint});
  if (options_.center) beta_ = add_weight("beta", {channels}, {.initializer = options_.beta_initializer, .regularizer = options_.beta_regularizer, .constraint = options_.beta_constraint});
}

Tensor GroupNormalization::call(const Tensor& x) {
  const int axis = axis_of(options_.axis, x.shape(), "GroupNormalization");
  const Tensor last = swap_with_last(x, axis);
  const std::int64_t channels = last.shape().dim(-1), batch = x.shape()[0];
  const Tensor grouped = reshape(last, {batch, -1, groups_, channels / groups_});
  const auto [mean, variance] = moments(grouped, {1, 3}, true);
  Tensor y = reshape((grouped - mean) * rsqrt(variance + options_.epsilon), Ints(last.shape().begin(), last.shape().end()));
  if (gamma_.defined()) y = y * gamma_;
  if (beta_.defined()) y = y + beta_;
  return swap_with_last(y, axis);
}

// ---- RMSNormalization, UnitNormalization

void RMSNormalization::fields(Fields& f) {
  Layer::fields(f);
  f.field("axis", options_.axis);
  f.field("epsilon", options_.epsilon);
}
void RMSNormalization::build(const Shape& input) { scale_ = add_weight("scale", sizes_at(options_.axis, input, "RMSNormalization"), {.initializer = "ones"}); }
Tensor RMSNormalization::call(const Tensor& x) { return rms_norm(x, scale_, options_.axis, options_.epsilon); }

void UnitNormalization::fields(Fields& f) {
  Layer::fields(f);
  f.field("axis", axis_.value);
  if (std::holds_alternative<std::string>(axis_.value)) throw TypeError("'axis' must be a whole number or several, got \"" + std::get<std::string>(axis_.value) + "\"", class_name());
}
Tensor UnitNormalization::call(const Tensor& x) { return l2_normalize(x, axis_, 1e-12); }

// ---- SpectralNormalization

SpectralNormalization::SpectralNormalization(Ref<Layer> layer, std::int64_t power_iterations, std::string name)
    : Layer(std::move(name)), layer_(std::move(layer)), power_iterations_(power_iterations) {
  SpectralNormalization::configured();
}
void SpectralNormalization::fields(Fields& f) {
  Layer::fields(f);
  f.required({"layer"});
  f.field("layer", layer_);
  f.field("power_iterations", power_iterations_);
}
void SpectralNormalization::configured() {
  require(bool(layer_), "there is no layer");
  require(power_iterations_ > 0, "power_iterations must be positive, got " + std::to_string(power_iterations_));
}
void SpectralNormalization::build(std::span<const Shape> inputs) {
  track(layer_->name(), layer_.ptr())->build_for(inputs);
  for (const Weight& weight : layer_->own_weights())
    if (weight.name() == "kernel" || weight.name() == "embeddings") kernel_ = weight;
  require(kernel_.defined(), "the layer '" + layer_->name() + "' (" + layer_->class_name() + ") has neither a kernel nor embeddings");
  share_weight(kernel_);
  vector_u_ = add_weight("vector_u", {1, kernel_.shape().dim(-1)}, {.initializer = TruncatedNormal({.mean = 0, .stddev = 0.02}), .trainable = false, .dtype = kernel_.variable().dtype()});
}
Tensors SpectralNormalization::call(std::span<const Tensor> inputs, const CallOptions& options) {
  if (options.training) normalize();
  Tensors outputs = (*layer_)(inputs, options);
  for (Tensor& output : outputs)
    if (is_float(inputs[0].dtype()) && output.dtype() != inputs[0].dtype()) output = cast(output, inputs[0].dtype());
  return outputs;
}
/// Divides the kernel by its largest singular value, as far as the iterations have found it. A kernel of zeros stays.
void SpectralNormalization::normalize() {
  const Tensor kernel = stop_gradient(kernel_.variable().value()), before = vector_u_.variable().value();
  const Tensor rows = reshape(kernel, {-1, kernel.shape().dim(-1)});
  Tensor u = before, v;
  for (std::int64_t i = 0; i < power_iterations_; ++i) {
    v = l2_normalize(matmul(u, rows, false, true), Ints{0, 1}, kEpsilon * kEpsilon);
    u = l2_normalize(matmul(v, rows), Ints{0, 1}, kEpsilon * kEpsilon);
  }
  const Tensor sigma = matmul(matmul(v, rows), u, false, true), empty = reduce_all(equal(kernel, scalar(0, kernel.dtype())));
  vector_u_.assign(where(empty, before, u));
  kernel_.assign(where(empty, kernel, kernel / reshape(sigma, {})));
}

}  // namespace lockstep::nn

#include <lockstep/nn/layers/regularization.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include <lockstep/dist/replica.h>
#include <lockstep/nn/layers/spatial.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {

Tensor sample_key(const Generator& generator, const Shape& shape) {
  const Tensor key = generator.next_key();
  const dist::Replica* replica = dist::replica();
  if (!replica || shape.ndim() == 0 || shape[0] != replica->rows || replica->rows == 0) return key;
  return concat(std::array{key, constant(std::vector<std::int64_t>{shape.numel() / replica->rows * replica->first_row})}, 0);
}

Tensor dropout_mask(const Generator& generator, const Shape& shape, double rate, DType dtype) {
  if (rate >= 1) return zeros(shape, dtype);
  const Tensor uniform = random::uniform_from(sample_key(generator, shape), shape, 0.0, 1.0, float32);
  return cast(uniform >= rate, dtype) * (1 / (1 - rate));
}

namespace {

/// Sizes of what is drawn together; null in a configuration, -1 here: as the input.
void noise_shape_field(Fields& f, std::optional<Ints>& noise_shape, const Layer& layer) {
  Json shape = nullptr;
  if (noise_shape) {
    shape = Json::array();
    for (const std::int64_t size : *noise_shape) shape.push_back(size < 0 ? Json(nullptr) : Json(size));
  }
  const Json before = shape;
  f.field("noise_shape", shape);
  if (shape == before) return;
  noise_shape.reset();
  if (shape.is_null()) return;
  const bool whole = shape.is_array() && std::all_of(shape.begin(), shape.end(), [](const Json& size) { return size.is_null() || size.is_number_integer(); });
  if (!whole) throw InvalidArgumentError("'noise_shape' must be whole numbers or null, got " + shape.dump(), layer.class_name());
  noise_shape = Ints();
  for (const Json& size : shape) noise_shape->push_back(size.is_null() ? -1 : size.get<std::int64_t>());
}

/// That shape for inputs of shape `input`.
Shape drawn_shape(const std::optional<Ints>& noise_shape, const Shape& input, const Layer& layer) {
  if (!noise_shape) return input;
  Shape shape = input;
  if (int(noise_shape->size()) != input.ndim()) throw InvalidArgumentError("noise_shape must have as many sizes as the input, " + to_string(input), layer.class_name());
  for (int i = 0; i < input.ndim(); ++i)
    if (const std::int64_t size = (*noise_shape)[std::size_t(i)]; size >= 0) shape[i] = size;
  return shape;
}

/// Name, trainable and dtype, this by its name: as Keras has it for some layers.
void plain_fields(Fields& f, Layer& layer) {
  std::string name = layer.name();
  f.field("name", name);
  if (name != layer.name()) layer.set_name(name);
  bool trainable = layer.trainable();
  f.field("trainable", trainable);
  if (trainable != layer.trainable()) layer.set_trainable(trainable);
  std::string dtype = layer.dtype_policy().name();
  f.field("dtype", dtype);
  if (dtype != layer.dtype_policy().name()) layer.set_dtype_policy(dtype);
}

void require_rate(double rate, const Layer& layer) {
  if (!(rate >= 0 && rate <= 1)) throw InvalidArgumentError("rate must be between 0 and 1, got " + std::to_string(rate), layer.class_name());
}

}  // namespace

void Dropout::fields(Fields& f) {
  Layer::fields(f);
  f.field("rate", options_.rate);
  f.field("seed", options_.seed);
  noise_shape_field(f, options_.noise_shape, *this);
}
void Dropout::configured() { require_rate(options_.rate, *this); }
void Dropout::build(const Shape& input) {
  static_cast<void>(input);
  if (options_.rate > 0) generator_ = add_generator("seed_generator", options_.seed);
}
Tensor Dropout::call(const Tensor& x, const CallOptions& options) {
  if (!options.training || !generator_) return x;
  return x * dropout_mask(*generator_, drawn_shape(options_.noise_shape, x.shape(), *this), options_.rate, x.dtype());
}

void GaussianNoise::fields(Fields& f) {
  Layer::fields(f);
  f.field("stddev", options_.stddev);
  f.field("seed", options_.seed);
}
void GaussianNoise::configured() { require(options_.stddev >= 0 && options_.stddev <= 1, "stddev must be between 0 and 1, got " + std::to_string(options_.stddev)); }
void GaussianNoise::build(const Shape& input) {
  static_cast<void>(input);
  generator_ = add_generator("seed_generator", options_.seed);
}
Tensor GaussianNoise::call(const Tensor& x, const CallOptions& options) {
  if (!options.training || options_.stddev == 0) return x;
  return x + random::normal_from(sample_key(*generator_, x.shape()), x.shape(), 0, options_.stddev, x.dtype());
}

// ---- other noise in training

void SpatialDropout::fields(Fields& f) {
  f.field("rate", options_.rate);
  f.field("seed", options_.seed);
  plain_fields(f, *this);
  if (rank_ > 1) f.field("data_format", options_.data_format);
}
void SpatialDropout::configured() {
  require_rate(options_.rate, *this);
  spatial::require_format(options_.data_format);
}
void SpatialDropout::build(const Shape& input) {
  require(input.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(input));
  if (options_.rate > 0) generator_ = add_generator("seed_generator", options_.seed);
}
Tensor SpatialDropout::call(const Tensor& x, const CallOptions& options) {
  if (!options.training || !generator_) return x;
  Shape shape = x.shape();
  const int first = options_.data_format == "channels_first" ? 2 : 1;
  for (int i = 0; i < rank_; ++i) shape[first + i] = 1;
  return x * dropout_mask(*generator_, shape, options_.rate, x.dtype());
}

void GaussianDropout::fields(Fields& f) {
  Layer::fields(f);
  f.field("rate", options_.rate);
  f.field("seed", options_.seed);
}
void GaussianDropout::configured() { require_rate(options_.rate, *this); }
void GaussianDropout::build(const Shape& input) {
  static_cast<void>(input);
  if (options_.rate > 0) generator_ = add_generator("seed_generator", options_.seed);
}
Tensor GaussianDropout::call(const Tensor& x, const CallOptions& options) {
  if (!options.training || !generator_) return x;
  return x * random::normal_from(sample_key(*generator_, x.shape()), x.shape(), 1, std::sqrt(options_.rate / (1 - options_.rate)), x.dtype());
}

void AlphaDropout::fields(Fields& f) {
  Layer::fields(f);
  f.field("rate", options_.rate);
  f.field("seed", options_.seed);
  noise_shape_field(f, options_.noise_shape, *this);
}
void AlphaDropout::configured() { require_rate(options_.rate, *this); }
void AlphaDropout::build(const Shape& input) {
  static_cast<void>(input);
  if (options_.rate > 0) generator_ = add_generator("seed_generator", options_.seed);
}
Tensor AlphaDropout::call(const Tensor& x, const CallOptions& options) {
  if (!options.training || !generator_) return x;
  // What selu saturates at, and the affine map that gives mean and variance back.
  const double floor = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946;
  const double scale = 1 / std::sqrt((1 - options_.rate) * (1 + options_.rate * floor * floor)), offset = -scale * floor * options_.rate;
  const Shape shape = drawn_shape(options_.noise_shape, x.shape(), *this);
  const Tensor uniform = random::uniform_from(sample_key(*generator_, shape), shape, 0.0, 1.0, float32);
  const Tensor kept = cast(uniform >= options_.rate, x.dtype());
  return (x * kept + (1 - kept) * floor) * scale + offset;
}

void ActivityRegularization::fields(Fields& f) {
  Layer::fields(f);
  f.field("l1", l1_);
  f.field("l2", l2_);
}
void ActivityRegularization::configured() { set_activity_regularizer(L1L2(l1_, l2_)); }

}  // namespace lockstep::nn

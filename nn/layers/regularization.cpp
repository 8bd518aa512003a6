#include <lockstep/nn/layers/regularization.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include <lockstep/dist/replica.h>
#include <lockstep/nn/layers/plain_fields.h>
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

namespace {

/// 0 with probability `rate`, else 1.
Tensor kept_elements(const Generator& generator, const Shape& shape, double rate, DType dtype) {
  return cast(random::uniform_from(sample_key(generator, shape), shape, 0.0, 1.0, float32) >= rate, dtype);
}

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

}  // namespace

Tensor dropout_mask(const Generator& generator, const Shape& shape, double rate, DType dtype) {
  if (rate >= 1) return zeros(shape, dtype);
  return kept_elements(generator, shape, rate, dtype) * (1 / (1 - rate));
}

void RatedNoise::fields(Fields& f) {
  Layer::fields(f);
  f.required({"rate"});
  f.field("rate", rate_);
  f.field("seed", seed_);
}
void RatedNoise::configured() { require(rate_ >= 0 && rate_ <= 1, "rate must be between 0 and 1, got " + std::to_string(rate_)); }
void RatedNoise::build(const Shape& input) {
  static_cast<void>(input);
  if (rate_ > 0) generator_ = add_generator("seed_generator", seed_);
}

void Dropout::fields(Fields& f) {
  RatedNoise::fields(f);
  noise_shape_field(f, noise_shape_, *this);
}
Shape Dropout::drawn_shape(const Shape& input) const {
  if (!noise_shape_) return input;
  Shape shape = input;
  require(int(noise_shape_->size()) == input.ndim(), "noise_shape must have as many sizes as the input, " + to_string(input));
  for (int i = 0; i < input.ndim(); ++i)
    if (const std::int64_t size = (*noise_shape_)[std::size_t(i)]; size >= 0) shape[i] = size;
  return shape;
}
Tensor Dropout::noisy(const Tensor& x, const Generator& generator) const { return x * dropout_mask(generator, drawn_shape(x.shape()), rate_, x.dtype()); }

Tensor AlphaDropout::noisy(const Tensor& x, const Generator& generator) const {
  // What selu saturates at, and the affine map that gives mean and variance back.
  const double floor = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946;
  const double scale = 1 / std::sqrt((1 - rate_) * (1 + rate_ * floor * floor)), offset = -scale * floor * rate_;
  const Tensor kept = kept_elements(generator, drawn_shape(x.shape()), rate_, x.dtype());
  return (x * kept + (1 - kept) * floor) * scale + offset;
}

Tensor GaussianDropout::noisy(const Tensor& x, const Generator& generator) const {
  return x * random::normal_from(sample_key(generator, x.shape()), x.shape(), 1, std::sqrt(rate_ / (1 - rate_)), x.dtype());
}

void SpatialDropout::fields(Fields& f) {
  f.required({"rate"});
  f.field("rate", rate_);
  f.field("seed", seed_);
  detail::plain_fields(f, *this);
  if (rank_ > 1) f.field("data_format", data_format_);
}
void SpatialDropout::configured() {
  RatedNoise::configured();
  spatial::require_format(data_format_);
}
void SpatialDropout::build(const Shape& input) {
  require(input.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(input));
  RatedNoise::build(input);
}
Tensor SpatialDropout::noisy(const Tensor& x, const Generator& generator) const {
  Shape shape = x.shape();
  const int first = data_format_ == "channels_first" ? 2 : 1;
  for (int i = 0; i < rank_; ++i) shape[first + i] = 1;
  return x * dropout_mask(generator, shape, rate_, x.dtype());
}

void GaussianNoise::fields(Fields& f) {
  Layer::fields(f);
  f.required({"stddev"});
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

void ActivityRegularization::fields(Fields& f) {
  Layer::fields(f);
  f.field("l1", l1_);
  f.field("l2", l2_);
}
void ActivityRegularization::configured() { set_activity_regularizer(L1L2(l1_, l2_)); }

}  // namespace lockstep::nn

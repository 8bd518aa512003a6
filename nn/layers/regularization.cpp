#include <lockstep/nn/layers/regularization.h>

#include <array>

#include <lockstep/dist/replica.h>
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

void Dropout::fields(Fields& f) {
  Layer::fields(f);
  f.field("rate", options_.rate);
  f.field("seed", options_.seed);
  f.field("noise_shape", options_.noise_shape);
}
void Dropout::configured() { require(options_.rate >= 0 && options_.rate <= 1, "rate must be between 0 and 1, got " + std::to_string(options_.rate)); }
void Dropout::build(const Shape& input) {
  static_cast<void>(input);
  if (options_.rate > 0) generator_ = add_generator("seed_generator", options_.seed);
}
Tensor Dropout::call(const Tensor& x, const CallOptions& options) {
  if (!options.training || !generator_) return x;
  Shape shape = x.shape();
  if (options_.noise_shape) {
    require(int(options_.noise_shape->size()) == x.ndim(), "noise_shape must have as many sizes as the input, " + to_string(x.shape()));
    for (int i = 0; i < x.ndim(); ++i)
      if (const std::int64_t size = (*options_.noise_shape)[std::size_t(i)]; size >= 0) shape[i] = size;
  }
  return x * dropout_mask(*generator_, shape, options_.rate, x.dtype());
}

void GaussianNoise::fields(Fields& f) {
  Layer::fields(f);
  f.field("stddev", options_.stddev);
  f.field("seed", options_.seed);
}
void GaussianNoise::configured() { require(options_.stddev >= 0, "stddev must not be negative, got " + std::to_string(options_.stddev)); }
void GaussianNoise::build(const Shape& input) {
  static_cast<void>(input);
  generator_ = add_generator("seed_generator", options_.seed);
}
Tensor GaussianNoise::call(const Tensor& x, const CallOptions& options) {
  if (!options.training || options_.stddev == 0) return x;
  return x + random::normal_from(sample_key(*generator_, x.shape()), x.shape(), 0, options_.stddev, x.dtype());
}

}  // namespace lockstep::nn

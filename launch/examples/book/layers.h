#pragma once
// The layers that the chapter writes itself.

#include <memory>
#include <string>
#include <vector>

#include <lockstep/lockstep.h>

namespace book {

/// A simplified Dense.
class MyDense : public lockstep::nn::Layer {
 public:
  MyDense() = default;
  explicit MyDense(std::int64_t units, lockstep::Ref<lockstep::nn::Activation> activation = {}) : units_(units), activation_(std::move(activation)) {}
  void fields(lockstep::Fields& f) override {
    Layer::fields(f);
    f.field("units", units_);
    f.field("activation", activation_);
  }

 protected:
  void build(const lockstep::Shape& input) override {
    kernel_ = add_weight("kernel", {input.dim(-1), units_}, {.initializer = "he_normal"});
    bias_ = add_weight("bias", {units_}, {.initializer = "zeros"});
  }
  lockstep::Tensor call(const lockstep::Tensor& x) override {
    const lockstep::Tensor z = lockstep::matmul(x, kernel_) + bias_;
    return activation_ ? (*activation_)(z) : z;
  }

 private:
  std::int64_t units_ = 0;
  lockstep::Ref<lockstep::nn::Activation> activation_;
  lockstep::nn::Weight kernel_, bias_;
};

/// Two inputs, three outputs.
class MyMultiLayer : public lockstep::nn::Layer {
 public:
  using Layer::Layer;
  std::vector<lockstep::Shape> compute_output_shape(std::span<const lockstep::Shape> shapes) override { return {shapes[0], shapes[0], shapes[0]}; }

 protected:
  lockstep::Tensors call(std::span<const lockstep::Tensor> x, const lockstep::nn::CallOptions&) override { return {x[0] + x[1], x[0] * x[1], x[0] / x[1]}; }
};

/// Noise in training only.
class MyGaussianNoise : public lockstep::nn::Layer {
 public:
  MyGaussianNoise() = default;
  explicit MyGaussianNoise(double stddev) : stddev_(stddev) {}
  void fields(lockstep::Fields& f) override {
    Layer::fields(f);
    f.field("stddev", stddev_);
  }

 protected:
  void build(const lockstep::Shape&) override { noise_ = add_generator("noise", {}); }
  lockstep::Tensor call(const lockstep::Tensor& x, const lockstep::nn::CallOptions& options) override {
    if (!options.training) return x;
    return x + lockstep::random::normal_from(noise_->next_key(), x.shape(), 0, stddev_, x.dtype());
  }

 private:
  double stddev_ = 0;
  std::optional<lockstep::Generator> noise_;
};

/// Exercise 12: layer normalization over the last axis.
class MyLayerNormalization : public lockstep::nn::Layer {
 public:
  explicit MyLayerNormalization(double epsilon = 0.001) : epsilon_(epsilon) {}
  void fields(lockstep::Fields& f) override {
    Layer::fields(f);
    f.field("epsilon", epsilon_);
  }

 protected:
  void build(const lockstep::Shape& input) override {
    alpha_ = add_weight("alpha", {input.dim(-1)}, {.initializer = "ones"});
    beta_ = add_weight("beta", {input.dim(-1)}, {.initializer = "zeros"});
  }
  lockstep::Tensor call(const lockstep::Tensor& x) override {
    const auto [mean, variance] = lockstep::moments(x, -1, true);
    return alpha_ * (x - mean) / lockstep::sqrt(variance + epsilon_) + beta_;
  }

 private:
  double epsilon_;
  lockstep::nn::Weight alpha_, beta_;
};

}  // namespace book

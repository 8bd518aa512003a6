#pragma once
// Layers that normalize: by statistics of the batch, of the features, of groups of channels.

#include <lockstep/nn/layer.h>

namespace lockstep::nn {

/// Training: mean and variance of the batch, whose moving averages inference uses; a frozen layer (trainable = false) infers always.
class BatchNormalization : public Layer {
 public:
  struct Options {
    std::int64_t axis = -1;
    double momentum = 0.99;
    double epsilon = 1e-3;
    bool center = true;
    bool scale = true;
    Ref<Initializer> beta_initializer = "zeros";
    Ref<Initializer> gamma_initializer = "ones";
    Ref<Initializer> moving_mean_initializer = "zeros";
    Ref<Initializer> moving_variance_initializer = "ones";
    Ref<Regularizer> beta_regularizer = {};
    Ref<Regularizer> gamma_regularizer = {};
    Ref<Constraint> beta_constraint = {};
    Ref<Constraint> gamma_constraint = {};
    /// Where ranks share a batch: are its statistics those of the whole (two small reductions a call), or does each rank use its own rows'?
    /// The moving averages are the same on all ranks either way.
    bool synchronized = false;
    std::string name = {};
    DTypePolicy dtype = {};
  };
  BatchNormalization() = default;
  explicit BatchNormalization(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) {}
  void fields(Fields& f) override;

 protected:
  /// Throws IndexError for an axis that the input does not have.
  void build(const Shape& input) override;
  Tensor call(const Tensor& x, const CallOptions& options) override;

 private:
  Options options_;
  Weight gamma_, beta_, moving_mean_, moving_variance_;
};

/// Each example by the mean and variance over `axis`.
class LayerNormalization : public Layer {
 public:
  struct Options {
    Ints axis = {-1};
    double epsilon = 1e-3;
    bool center = true;
    bool scale = true;
    Ref<Initializer> beta_initializer = "zeros";
    Ref<Initializer> gamma_initializer = "ones";
    Ref<Regularizer> beta_regularizer = {};
    Ref<Regularizer> gamma_regularizer = {};
    Ref<Constraint> beta_constraint = {};
    Ref<Constraint> gamma_constraint = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  LayerNormalization() = default;
  explicit LayerNormalization(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) {}
  void fields(Fields& f) override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
  Weight gamma_, beta_;
};

/// Each example's channels in `groups` groups; -1: one channel each (instance normalization).
class GroupNormalization : public Layer {
 public:
  struct Options {
    std::int64_t groups = 32;
    std::int64_t axis = -1;
    double epsilon = 1e-3;
    bool center = true;
    bool scale = true;
    Ref<Initializer> beta_initializer = "zeros";
    Ref<Initializer> gamma_initializer = "ones";
    Ref<Regularizer> beta_regularizer = {};
    Ref<Regularizer> gamma_regularizer = {};
    Ref<Constraint> beta_constraint = {};
    Ref<Constraint> gamma_constraint = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  GroupNormalization() = default;
  explicit GroupNormalization(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) {}
  void fields(Fields& f) override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
  std::int64_t groups_ = 0;
  Weight gamma_, beta_;
};

/// x / sqrt(mean(x^2) + epsilon) * scale
class RMSNormalization : public Layer {
 public:
  struct Options {
    Ints axis = {-1};
    double epsilon = 1e-6;
    std::string name = {};
    DTypePolicy dtype = {};
  };
  RMSNormalization() = default;
  explicit RMSNormalization(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) {}
  void fields(Fields& f) override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
  Weight scale_;
};

/// x over its Euclidean norm.
class UnitNormalization : public Layer {
 public:
  explicit UnitNormalization(Axes axis = -1, std::string name = {}) : Layer(std::move(name)), axis_(std::move(axis)) {}
  void fields(Fields& f) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Axes axis_;
};

/// A layer whose kernel (or embeddings), as a matrix of (all else, the last axis), is divided by its spectral norm before every call in training: so
/// that the layer changes no distance by more than a factor of about 1. Power iterations find the norm; where they stand goes on from call to call.
class SpectralNormalization : public Layer {
 public:
  SpectralNormalization() = default;
  /// Throws InvalidArgumentError without a layer, or unless power_iterations > 0; when it is built, for a layer without a kernel.
  explicit SpectralNormalization(Ref<Layer> layer, std::int64_t power_iterations = 1, std::string name = {});
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(std::span<const Shape> inputs) override;
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  void normalize();
  Ref<Layer> layer_;
  std::int64_t power_iterations_ = 1;
  Weight kernel_, vector_u_;
};

}  // namespace lockstep::nn

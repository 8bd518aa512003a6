#pragma once
// Layers that every network has: dense products, embeddings, functions as layers.

#include <lockstep/nn/layer.h>

namespace lockstep::nn {

/// activation(x @ kernel + bias) over the last axis.
class Dense : public Layer {
 public:
  struct Options {
    std::int64_t units = 0;
    Ref<Activation> activation = {};
    bool use_bias = true;
    Ref<Initializer> kernel_initializer = "glorot_uniform";
    Ref<Initializer> bias_initializer = "zeros";
    Ref<Regularizer> kernel_regularizer = {};
    Ref<Regularizer> bias_regularizer = {};
    Ref<Regularizer> activity_regularizer = {};
    Ref<Constraint> kernel_constraint = {};
    Ref<Constraint> bias_constraint = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  Dense() = default;
  /// Throws InvalidArgumentError unless units > 0.
  explicit Dense(Options options);
  explicit Dense(std::int64_t units, Ref<Activation> activation = {}) : Dense(Options{.units = units, .activation = std::move(activation)}) {}
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
  Weight kernel_;
  Weight bias_;
};

/// activation(einsum(equation, x, kernel) + bias), as "abc,cd->abd".
class EinsumDense : public Layer {
 public:
  struct Options {
    std::string equation = {};
    /// Sizes of the output's axes but the first; -1 where the input's are taken.
    Ints output_shape = {};
    Ref<Activation> activation = {};
    /// The output axes that the bias has; empty: no bias.
    std::string bias_axes = {};
    Ref<Initializer> kernel_initializer = "glorot_uniform";
    Ref<Initializer> bias_initializer = "zeros";
    Ref<Regularizer> kernel_regularizer = {};
    Ref<Regularizer> bias_regularizer = {};
    Ref<Regularizer> activity_regularizer = {};
    Ref<Constraint> kernel_constraint = {};
    Ref<Constraint> bias_constraint = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  EinsumDense() = default;
  explicit EinsumDense(Options options);
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
  std::string full_;  // the equation without "..."
  Weight kernel_;
  Weight bias_;
};

/// Rows of a table by whole numbers.
class Embedding : public Layer {
 public:
  struct Options {
    std::int64_t input_dim = 0;
    std::int64_t output_dim = 0;
    Ref<Initializer> embeddings_initializer = "uniform";
    Ref<Regularizer> embeddings_regularizer = {};
    Ref<Regularizer> activity_regularizer = {};
    Ref<Constraint> embeddings_constraint = {};
    /// 0 is no value: masked.
    bool mask_zero = false;
    std::string name = {};
    DTypePolicy dtype = {};
  };
  Embedding() = default;
  explicit Embedding(Options options);
  void fields(Fields& f) override;
  void configured() override;
  Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options) override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
  Weight embeddings_;
};

/// A function as a layer; saved by its name.
class Lambda : public Layer {
 public:
  Lambda() = default;
  explicit Lambda(Ref<Activation> function, std::string name = {}) : Layer(std::move(name)), function_(std::move(function)) {}
  void fields(Fields& f) override;

 protected:
  Tensor call(const Tensor& x) override { return (*function_)(x); }

 private:
  Ref<Activation> function_ = "linear";
};

/// An activation as a layer (keras.layers.Activation).
class ActivationLayer : public Layer {
 public:
  ActivationLayer() = default;
  explicit ActivationLayer(Ref<Activation> activation, std::string name = {}) : Layer(std::move(name)), activation_(std::move(activation)) {}
  void fields(Fields& f) override;

 protected:
  Tensor call(const Tensor& x) override { return (*activation_)(x); }

 private:
  Ref<Activation> activation_ = "linear";
};

/// Steps whose features all equal mask_value are masked, and set to 0.
class Masking : public Layer {
 public:
  explicit Masking(double mask_value = 0, std::string name = {}) : Layer(std::move(name)), mask_value_(mask_value) {}
  void fields(Fields& f) override;
  Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  double mask_value_;
};

/// The input (Keras: Identity).
class IdentityLayer : public Layer {
 public:
  explicit IdentityLayer(std::string name = {}) : Layer(std::move(name)) {}

 protected:
  Tensor call(const Tensor& x) override { return x; }
};

/// max(x, 0) with a ceiling, a slope below the threshold.
class ReLU : public Layer {
 public:
  struct Options {
    std::optional<double> max_value = {};
    double negative_slope = 0;
    double threshold = 0;
    std::string name = {};
  };
  ReLU() = default;
  explicit ReLU(Options options);
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override { return activations::relu(x, options_.negative_slope, options_.max_value, options_.threshold); }

 private:
  Options options_;
};

class LeakyReLU : public Layer {
 public:
  explicit LeakyReLU(double negative_slope = 0.3, std::string name = {}) : Layer(std::move(name)), negative_slope_(negative_slope) { LeakyReLU::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override { return leaky_relu(x, negative_slope_); }

 private:
  double negative_slope_;
};

class ELU : public Layer {
 public:
  explicit ELU(double alpha = 1, std::string name = {}) : Layer(std::move(name)), alpha_(alpha) {}
  void fields(Fields& f) override;

 protected:
  Tensor call(const Tensor& x) override { return activations::elu(x, alpha_); }

 private:
  double alpha_;
};

/// A leaky ReLU whose slopes are learned, one per element, or shared along axes.
class PReLU : public Layer {
 public:
  struct Options {
    Ref<Initializer> alpha_initializer = "zeros";
    Ref<Regularizer> alpha_regularizer = {};
    Ref<Constraint> alpha_constraint = {};
    std::optional<Ints> shared_axes = {};
    std::string name = {};
  };
  PReLU() = default;
  explicit PReLU(Options options) : Layer(options.name), options_(std::move(options)) {}
  void fields(Fields& f) override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override { return relu(x) - alpha_ * relu(-x); }

 private:
  Options options_;
  Weight alpha_;
};

/// Over one axis or several; masked elements get 0.
class Softmax : public Layer {
 public:
  explicit Softmax(Axes axis = -1, std::string name = {}) : Layer(std::move(name)), axis_(std::move(axis)) {}
  void fields(Fields& f) override;

 protected:
  Tensor call(const Tensor& x, const CallOptions& options) override;

 private:
  Axes axis_;
};

}  // namespace lockstep::nn

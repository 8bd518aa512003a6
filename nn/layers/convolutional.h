#pragma once
// Convolutions over one, two or three spatial axes: plain, transposed, depthwise, separable.

#include <lockstep/nn/layer.h>
#include <lockstep/nn/layers/spatial.h>

namespace lockstep::nn {

/// activation(conv(x, kernel) + bias), the kernel (spatial..., channels / groups, filters).
class Conv : public Layer {
 public:
  struct Options {
    std::int64_t filters = 0;
    Sizes kernel_size = {};
    Sizes strides = 1;
    /// "valid" or "same"; Conv1D also "causal".
    std::string padding = "valid";
    std::string data_format = "channels_last";
    Sizes dilation_rate = 1;
    std::int64_t groups = 1;
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
  void fields(Fields& f) override;
  /// Throws InvalidArgumentError for sizes below 1, filters that groups do not divide, strides together with dilation.
  void configured() override;

 protected:
  explicit Conv(int rank) : rank_(rank) {}
  Conv(int rank, Options options);
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  int rank_;
  Options options_;
  Weight kernel_, bias_;
};

/// A Conv over Rank spatial axes.
template <int Rank>
class ConvNd : public Conv {
 public:
  ConvNd() : Conv(Rank) {}
  explicit ConvNd(Options options) : Conv(Rank, std::move(options)) {}
};
using Conv1D = ConvNd<1>;
using Conv2D = ConvNd<2>;
using Conv3D = ConvNd<3>;

/// The transpose of a convolution: from its output's shape to its input's. The kernel is (spatial..., filters, channels).
class ConvTranspose : public Layer {
 public:
  struct Options {
    std::int64_t filters = 0;
    Sizes kernel_size = {};
    Sizes strides = 1;
    std::string padding = "valid";
    /// More elements at the end of each axis; without, the shape follows from the padding.
    std::optional<Ints> output_padding = {};
    std::string data_format = "channels_last";
    Sizes dilation_rate = 1;
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
  void fields(Fields& f) override;
  void configured() override;

 protected:
  explicit ConvTranspose(int rank) : rank_(rank) {}
  ConvTranspose(int rank, Options options);
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  int rank_;
  Options options_;
  Weight kernel_, bias_;
};

template <int Rank>
class ConvNdTranspose : public ConvTranspose {
 public:
  ConvNdTranspose() : ConvTranspose(Rank) {}
  explicit ConvNdTranspose(Options options) : ConvTranspose(Rank, std::move(options)) {}
};
using Conv1DTranspose = ConvNdTranspose<1>;
using Conv2DTranspose = ConvNdTranspose<2>;
using Conv3DTranspose = ConvNdTranspose<3>;

/// Each channel by `depth_multiplier` kernels of its own; then, if there are filters (a separable convolution), all channels of a
/// place by a 1 x 1 kernel.
class DepthwiseConv : public Layer {
 public:
  struct Options {
    /// Separable convolutions only.
    std::int64_t filters = 0;
    Sizes kernel_size = {};
    Sizes strides = 1;
    std::string padding = "valid";
    std::int64_t depth_multiplier = 1;
    std::string data_format = "channels_last";
    Sizes dilation_rate = 1;
    Ref<Activation> activation = {};
    bool use_bias = true;
    Ref<Initializer> depthwise_initializer = "glorot_uniform";
    Ref<Initializer> pointwise_initializer = "glorot_uniform";
    Ref<Initializer> bias_initializer = "zeros";
    Ref<Regularizer> depthwise_regularizer = {};
    Ref<Regularizer> pointwise_regularizer = {};
    Ref<Regularizer> bias_regularizer = {};
    Ref<Regularizer> activity_regularizer = {};
    Ref<Constraint> depthwise_constraint = {};
    Ref<Constraint> pointwise_constraint = {};
    Ref<Constraint> bias_constraint = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  void fields(Fields& f) override;
  void configured() override;

 protected:
  DepthwiseConv(int rank, bool separable) : rank_(rank), separable_(separable) {}
  DepthwiseConv(int rank, bool separable, Options options);
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  int rank_;
  bool separable_;
  Options options_;
  Weight depthwise_, pointwise_, bias_;
};

template <int Rank, bool Separable>
class DepthwiseConvNd : public DepthwiseConv {
 public:
  DepthwiseConvNd() : DepthwiseConv(Rank, Separable) {}
  explicit DepthwiseConvNd(Options options) : DepthwiseConv(Rank, Separable, std::move(options)) {}
};
using DepthwiseConv1D = DepthwiseConvNd<1, false>;
using DepthwiseConv2D = DepthwiseConvNd<2, false>;
using SeparableConv1D = DepthwiseConvNd<1, true>;
using SeparableConv2D = DepthwiseConvNd<2, true>;

}  // namespace lockstep::nn

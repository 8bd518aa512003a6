#pragma once
// Pooling over windows, or over all of the spatial axes.

#include <lockstep/nn/layer.h>
#include <lockstep/nn/layers/spatial.h>

namespace lockstep::nn {

/// The largest elements, or the means, of windows.
class Pooling : public Layer {
 public:
  struct Options {
    Sizes pool_size = 2;
    /// Default: pool_size.
    std::optional<Sizes> strides = {};
    std::string padding = "valid";
    std::string data_format = "channels_last";
    std::string name = {};
  };
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Pooling(int rank, bool largest, Options options) : Layer(options.name), rank_(rank), largest_(largest), options_(std::move(options)) { Pooling::configured(); }
  Tensor call(const Tensor& x) override;

 private:
  int rank_;
  bool largest_;
  Options options_;
};
using MaxPooling1D = Ranked<Pooling, 1, true>;
using MaxPooling2D = Ranked<Pooling, 2, true>;
using MaxPooling3D = Ranked<Pooling, 3, true>;
using AveragePooling1D = Ranked<Pooling, 1, false>;
using AveragePooling2D = Ranked<Pooling, 2, false>;
using AveragePooling3D = Ranked<Pooling, 3, false>;

/// The largest elements, or the means, of as many windows as the output has: window i of n goes from floor(i * size / n) to ceil((i + 1) * size / n).
class AdaptivePooling : public Layer {
 public:
  struct Options {
    Sizes output_size = 1;
    std::string data_format = "channels_last";
    std::string name = {};
  };
  void fields(Fields& f) override;
  void configured() override;

 protected:
  AdaptivePooling(int rank, bool largest, Options options) : Layer(options.name), rank_(rank), largest_(largest), options_(std::move(options)) { AdaptivePooling::configured(); }
  Tensor call(const Tensor& x) override;

 private:
  int rank_;
  bool largest_;
  Options options_;
};
using AdaptiveMaxPooling1D = Ranked<AdaptivePooling, 1, true>;
using AdaptiveMaxPooling2D = Ranked<AdaptivePooling, 2, true>;
using AdaptiveMaxPooling3D = Ranked<AdaptivePooling, 3, true>;
using AdaptiveAveragePooling1D = Ranked<AdaptivePooling, 1, false>;
using AdaptiveAveragePooling2D = Ranked<AdaptivePooling, 2, false>;
using AdaptiveAveragePooling3D = Ranked<AdaptivePooling, 3, false>;

/// The largest elements, or the means, over all spatial axes; a mask leaves steps out of the means.
class GlobalPooling : public Layer {
 public:
  struct Options {
    std::string data_format = "channels_last";
    bool keepdims = false;
    std::string name = {};
  };
  void fields(Fields& f) override;
  /// None: the steps are gone.
  Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options) override;

 protected:
  GlobalPooling(int rank, bool largest, Options options) : Layer(options.name), rank_(rank), largest_(largest), options_(std::move(options)) {}
  Tensor call(const Tensor& x, const CallOptions& options) override;

 private:
  int rank_;
  bool largest_;
  Options options_;
};
using GlobalMaxPooling1D = Ranked<GlobalPooling, 1, true>;
using GlobalMaxPooling2D = Ranked<GlobalPooling, 2, true>;
using GlobalMaxPooling3D = Ranked<GlobalPooling, 3, true>;
using GlobalAveragePooling1D = Ranked<GlobalPooling, 1, false>;
using GlobalAveragePooling2D = Ranked<GlobalPooling, 2, false>;
using GlobalAveragePooling3D = Ranked<GlobalPooling, 3, false>;

}  // namespace lockstep::nn

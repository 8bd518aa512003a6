#pragma once
// Layers that move elements: flatten, reshape, permute, repeat, upsample, pad, crop.

#include <lockstep/nn/layer.h>
#include <lockstep/nn/layers/spatial.h>

namespace lockstep::nn {

/// (batch, everything); of a vector (batch, 1).
class Flatten : public Layer {
 public:
  explicit Flatten(std::string data_format = "channels_last", std::string name = {}) : Layer(std::move(name)), data_format_(std::move(data_format)) { Flatten::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  std::string data_format_;
};

/// The axes after the batch take a new shape; one -1 is allowed.
class Reshape : public Layer {
 public:
  Reshape() = default;
  explicit Reshape(Ints target_shape, std::string name = {}) : Layer(std::move(name)), target_shape_(std::move(target_shape)) {}
  void fields(Fields& f) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Ints target_shape_;
};

/// The axes after the batch in another order, counted from 1.
class Permute : public Layer {
 public:
  Permute() = default;
  /// Throws InvalidArgumentError unless the dims are 1 ... n in some order.
  explicit Permute(Ints dims, std::string name = {}) : Layer(std::move(name)), dims_(std::move(dims)) { Permute::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Ints dims_;
};

/// (batch, features) -> (batch, n, features)
class RepeatVector : public Layer {
 public:
  RepeatVector() = default;
  explicit RepeatVector(std::int64_t n, std::string name = {}) : Layer(std::move(name)), n_(n) { RepeatVector::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  std::int64_t n_ = 1;
};

/// Spatial axes grown by whole factors: elements repeated ("nearest") or, in two dimensions, interpolated ("bilinear", "bicubic", "lanczos3", "lanczos5").
class UpSampling : public Layer {
 public:
  struct Options {
    Sizes size = 2;
    std::string data_format = "channels_last";
    std::string interpolation = "nearest";
    std::string name = {};
  };
  void fields(Fields& f) override;
  void configured() override;

 protected:
  UpSampling(int rank, Options options) : Layer(options.name), rank_(rank), options_(std::move(options)) { UpSampling::configured(); }
  Tensor call(const Tensor& x) override;

 private:
  int rank_;
  Options options_;
};
using UpSampling1D = Ranked<UpSampling, 1>;
using UpSampling2D = Ranked<UpSampling, 2>;
using UpSampling3D = Ranked<UpSampling, 3>;

/// Elements before and after each spatial axis: one number for all, one per axis, or {before, after} per axis.
struct Margins {
  Margins() = default;
  template <std::integral I>
  Margins(I all) : values{Ints{std::int64_t(all)}} {}
  Margins(std::initializer_list<Ints> axes) : values(axes) {}
  IntLists values = {};
};

/// Zeros around the spatial axes, or elements cut off there.
class Framing : public Layer {
 public:
  struct Options {
    /// Keras's "padding" ("cropping").
    Margins margins = 1;
    std::string data_format = "channels_last";
    std::string name = {};
  };
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Framing(int rank, bool crops, Options options) : Layer(options.name), rank_(rank), crops_(crops), options_(std::move(options)) { Framing::configured(); }
  Tensor call(const Tensor& x) override;

 private:
  int rank_;
  bool crops_;
  Options options_;
};
using ZeroPadding1D = Ranked<Framing, 1, false>;
using ZeroPadding2D = Ranked<Framing, 2, false>;
using ZeroPadding3D = Ranked<Framing, 3, false>;
using Cropping1D = Ranked<Framing, 1, true>;
using Cropping2D = Ranked<Framing, 2, true>;
using Cropping3D = Ranked<Framing, 3, true>;

}  // namespace lockstep::nn

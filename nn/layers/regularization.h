#pragma once
// Layers that are active in training only: dropout and noise. They draw from generators of their own, whose states are variables, so
// that every step of a traced function draws anew.

#include <lockstep/nn/layer.h>
#include <lockstep/nn/layers/spatial.h>

namespace lockstep::nn {

/// Layers that in training put noise of a `rate` on their input, drawn from a generator of their own. Throws InvalidArgumentError for a rate outside of [0, 1].
class RatedNoise : public Layer {
 public:
  struct Options {
    double rate = 0.5;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  void fields(Fields& f) override;
  void configured() override;

 protected:
  explicit RatedNoise(Options options) : Layer(options.name, options.dtype), rate_(options.rate), seed_(options.seed) { RatedNoise::configured(); }
  void build(const Shape& input) override;
  Tensor call(const Tensor& x, const CallOptions& options) override { return options.training && generator_ ? noisy(x, *generator_) : x; }
  /// Called in training, for a rate over 0.
  virtual Tensor noisy(const Tensor& x, const Generator& generator) const = 0;

  double rate_;
  std::optional<std::int64_t> seed_;

 private:
  std::optional<Generator> generator_;
};

/// In training a fraction `rate` of the elements becomes 0 and the others grow by 1 / (1 - rate).
class Dropout : public RatedNoise {
 public:
  struct Options {
    double rate = 0.5;
    /// The shape of what is dropped together, broadcast to the input; -1 takes the input's size.
    std::optional<Ints> noise_shape = {};
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  Dropout() : Dropout(Options()) {}
  explicit Dropout(Options options) : RatedNoise({options.rate, options.seed, options.name, options.dtype}), noise_shape_(std::move(options.noise_shape)) {}
  explicit Dropout(double rate) : Dropout(Options{.rate = rate}) {}
  void fields(Fields& f) override;

 protected:
  Tensor noisy(const Tensor& x, const Generator& generator) const override;
  /// What is drawn for inputs of that shape.
  Shape drawn_shape(const Shape& input) const;

 private:
  std::optional<Ints> noise_shape_;
};

/// Dropout to the value at which selu saturates, scaled so that mean and variance stay.
class AlphaDropout : public Dropout {
 public:
  using Dropout::Dropout;

 protected:
  Tensor noisy(const Tensor& x, const Generator& generator) const override;
};

/// In training, elements are multiplied by normal noise of mean 1 and variance rate / (1 - rate).
class GaussianDropout : public RatedNoise {
 public:
  GaussianDropout() : GaussianDropout(Options()) {}
  explicit GaussianDropout(Options options) : RatedNoise(std::move(options)) {}

 protected:
  Tensor noisy(const Tensor& x, const Generator& generator) const override;
};

/// Dropout of whole channels: of one to three spatial axes.
class SpatialDropout : public RatedNoise {
 public:
  struct Options {
    double rate = 0.5;
    std::string data_format = "channels_last";
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  void fields(Fields& f) override;
  void configured() override;

 protected:
  SpatialDropout(int rank, Options options)
      : RatedNoise({options.rate, options.seed, options.name, options.dtype}), rank_(rank), data_format_(std::move(options.data_format)) { SpatialDropout::configured(); }
  void build(const Shape& input) override;
  Tensor noisy(const Tensor& x, const Generator& generator) const override;

 private:
  int rank_;
  std::string data_format_;
};
using SpatialDropout1D = Ranked<SpatialDropout, 1>;
using SpatialDropout2D = Ranked<SpatialDropout, 2>;
using SpatialDropout3D = Ranked<SpatialDropout, 3>;

/// In training, normal noise is added.
class GaussianNoise : public Layer {
 public:
  struct Options {
    double stddev = 0;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
  };
  GaussianNoise() = default;
  explicit GaussianNoise(Options options) : Layer(options.name), options_(std::move(options)) { GaussianNoise::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x, const CallOptions& options) override;

 private:
  Options options_;
  std::optional<Generator> generator_;
};

/// The input, whose l1 and l2 norms enter the loss.
class ActivityRegularization : public Layer {
 public:
  explicit ActivityRegularization(double l1 = 0, double l2 = 0, std::string name = {}) : Layer(std::move(name)), l1_(l1), l2_(l2) { ActivityRegularization::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override { return x; }

 private:
  double l1_, l2_;
};

/// The key with which a layer draws a tensor of `shape` in this step. Where the ranks share a batch, and `shape` has its rows, each draws its rows
/// of what one process would draw.
Tensor sample_key(const Generator& generator, const Shape& shape);

/// 0 with probability `rate`, else 1 / (1 - rate): what dropout multiplies by.
Tensor dropout_mask(const Generator& generator, const Shape& shape, double rate, DType dtype);

}  // namespace lockstep::nn

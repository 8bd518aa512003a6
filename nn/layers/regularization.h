#pragma once
// Layers that are active in training only: dropout and noise. They draw from generators of their own, whose states are variables, so
// that every step of a traced function draws anew.

#include <lockstep/nn/layer.h>

namespace lockstep::nn {

/// In training a fraction `rate` of the elements becomes 0 and the others grow by 1 / (1 - rate).
class Dropout : public Layer {
 public:
  struct Options {
    double rate = 0.5;
    /// The shape of what is dropped together, broadcast to the input; -1 takes the input's size.
    std::optional<Ints> noise_shape = {};
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  Dropout() = default;
  /// Throws InvalidArgumentError for a rate outside of [0, 1].
  explicit Dropout(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) { Dropout::configured(); }
  explicit Dropout(double rate) : Dropout(Options{.rate = rate}) {}
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x, const CallOptions& options) override;

 private:
  Options options_;
  std::optional<Generator> generator_;
};

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

/// Dropout of whole channels: of one to three spatial axes.
class SpatialDropout : public Layer {
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
  SpatialDropout(int rank, Options options) : Layer(options.name, options.dtype), rank_(rank), options_(std::move(options)) { SpatialDropout::configured(); }
  void build(const Shape& input) override;
  Tensor call(const Tensor& x, const CallOptions& options) override;

 private:
  int rank_;
  Options options_;
  std::optional<Generator> generator_;
};
template <int Rank>
class SpatialDropoutNd : public SpatialDropout {
 public:
  SpatialDropoutNd() : SpatialDropoutNd(Options()) {}
  /// Throws InvalidArgumentError for a rate outside of [0, 1].
  explicit SpatialDropoutNd(Options options) : SpatialDropout(Rank, std::move(options)) {}
};
using SpatialDropout1D = SpatialDropoutNd<1>;
using SpatialDropout2D = SpatialDropoutNd<2>;
using SpatialDropout3D = SpatialDropoutNd<3>;

/// In training, elements are multiplied by normal noise of mean 1 and variance rate / (1 - rate).
class GaussianDropout : public Layer {
 public:
  struct Options {
    double rate = 0.5;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  GaussianDropout() = default;
  /// Throws InvalidArgumentError for a rate outside of [0, 1].
  explicit GaussianDropout(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) { GaussianDropout::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x, const CallOptions& options) override;

 private:
  Options options_;
  std::optional<Generator> generator_;
};

/// Dropout to the value at which selu saturates, scaled so that mean and variance stay.
class AlphaDropout : public Layer {
 public:
  using Options = Dropout::Options;
  AlphaDropout() = default;
  /// Throws InvalidArgumentError for a rate outside of [0, 1].
  explicit AlphaDropout(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) { AlphaDropout::configured(); }
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

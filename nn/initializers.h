#pragma once
// Initializers: the first value of a weight. Random ones draw from a counter-based generator: with a seed of their own always the
// same numbers for a shape, without one new numbers at each call, which random::set_seed makes repeatable.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <lockstep/tensor/base/component.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// From a shape and a dtype to a tensor (keras.initializers). A plain function can stand for one.
class Initializer : public Component {
 public:
  static constexpr const char* kModule = "keras.initializers";
  using Function = std::function<Tensor(const Shape&, DType)>;
  static std::shared_ptr<Initializer> wrap(Named<Function> function);
  static void register_builtins();
  Initializer() { register_builtins(); }
  virtual Tensor operator()(const Shape& shape, DType dtype = float32) const = 0;
};

class Zeros : public Initializer {
 public:
  Tensor operator()(const Shape& shape, DType dtype = float32) const override;
};

class Ones : public Initializer {
 public:
  Tensor operator()(const Shape& shape, DType dtype = float32) const override;
};

class Constant : public Initializer {
 public:
  explicit Constant(double value = 0) : value_(value) {}
  Tensor operator()(const Shape& shape, DType dtype = float32) const override;
  void fields(Fields& f) override { f.field("value", value_); }

 private:
  double value_;
};

/// gain on the main diagonal of a matrix.
class Identity : public Initializer {
 public:
  explicit Identity(double gain = 1) : gain_(gain) {}
  /// Throws InvalidArgumentError unless `shape` has two axes.
  Tensor operator()(const Shape& shape, DType dtype = float32) const override;
  void fields(Fields& f) override { f.field("gain", gain_); }

 private:
  double gain_;
};

/// Base of the random ones: their seed.
class RandomInitializer : public Initializer {
 public:
  void fields(Fields& f) override { f.field("seed", seed_); }

 protected:
  explicit RandomInitializer(std::optional<std::int64_t> seed) : seed_(seed) {}
  /// The key of one call.
  Tensor key() const;

 private:
  std::optional<std::int64_t> seed_;
};

class RandomNormal : public RandomInitializer {
 public:
  struct Options {
    double mean = 0;
    double stddev = 0.05;
    std::optional<std::int64_t> seed = {};
  };
  RandomNormal() : RandomNormal(Options()) {}
  explicit RandomNormal(Options options) : RandomInitializer(options.seed), mean_(options.mean), stddev_(options.stddev) {}
  Tensor operator()(const Shape& shape, DType dtype = float32) const override;
  void fields(Fields& f) override;

 protected:
  double mean_;
  double stddev_;
};

/// As RandomNormal, values beyond two standard deviations drawn again.
class TruncatedNormal : public RandomNormal {
 public:
  TruncatedNormal() = default;
  explicit TruncatedNormal(Options options) : RandomNormal(options) {}
  Tensor operator()(const Shape& shape, DType dtype = float32) const override;
};

/// Uniform in [minval, maxval).
class RandomUniform : public RandomInitializer {
 public:
  struct Options {
    double minval = -0.05;
    double maxval = 0.05;
    std::optional<std::int64_t> seed = {};
  };
  RandomUniform() : RandomUniform(Options()) {}
  explicit RandomUniform(Options options) : RandomInitializer(options.seed), minval_(options.minval), maxval_(options.maxval) {}
  Tensor operator()(const Shape& shape, DType dtype = float32) const override;
  void fields(Fields& f) override;

 private:
  double minval_;
  double maxval_;
};

/// Numbers of the inputs and outputs that a weight of `shape` connects: the last two axes, times the sizes of the others.
struct Fans {
  double in = 1;
  double out = 1;
};
Fans compute_fans(const Shape& shape);

/// Variance scale / fan, of a "truncated_normal", "untruncated_normal" or "uniform" distribution.
class VarianceScaling : public RandomInitializer {
 public:
  struct Options {
    double scale = 1;
    /// "fan_in", "fan_out" or "fan_avg"
    std::string mode = "fan_in";
    std::string distribution = "truncated_normal";
    std::optional<std::int64_t> seed = {};
    /// Axes of the shape that count as inputs and outputs, if both are given.
    std::optional<Ints> input_axes = {};
    std::optional<Ints> output_axes = {};
  };
  VarianceScaling() : VarianceScaling(Options()) {}
  /// Throws InvalidArgumentError for a scale <= 0, an unknown mode or distribution.
  explicit VarianceScaling(Options options);
  Tensor operator()(const Shape& shape, DType dtype = float32) const override;
  void fields(Fields& f) override;
  void configured() override;

 protected:
  /// The fields of the classes below, whose scaling is fixed.
  void seed_and_axes(Fields& f);
  Options options_;
};

/// A VarianceScaling of fixed scale, mode and distribution.
template <int Scale, bool Average, bool Uniform>
class FixedScaling : public VarianceScaling {
 public:
  explicit FixedScaling(std::optional<std::int64_t> seed = {})
      : VarianceScaling({.scale = Scale, .mode = Average ? "fan_avg" : "fan_in", .distribution = Uniform ? "uniform" : "truncated_normal", .seed = seed}) {}
  void fields(Fields& f) override { seed_and_axes(f); }
};
using GlorotUniform = FixedScaling<1, true, true>;
using GlorotNormal = FixedScaling<1, true, false>;
using LecunUniform = FixedScaling<1, false, true>;
using LecunNormal = FixedScaling<1, false, false>;
using HeUniform = FixedScaling<2, false, true>;
using HeNormal = FixedScaling<2, false, false>;

/// gain times an orthogonal matrix of (all axes but the last, the last).
class Orthogonal : public RandomInitializer {
 public:
  struct Options {
    double gain = 1;
    std::optional<std::int64_t> seed = {};
  };
  Orthogonal() : Orthogonal(Options()) {}
  explicit Orthogonal(Options options) : RandomInitializer(options.seed), gain_(options.gain) {}
  /// Throws InvalidArgumentError for fewer than two axes.
  Tensor operator()(const Shape& shape, DType dtype = float32) const override;
  void fields(Fields& f) override;

 private:
  double gain_;
};

}  // namespace lockstep::nn

#pragma once
// Layers that prepare data: scaling, binning, encoding categories. Those that learn from data do so in adapt(), not in training.

#include <vector>

#include <lockstep/nn/adapt.h>
#include <lockstep/nn/layer.h>
#include <lockstep/nn/number_list.h>

namespace lockstep::nn {

/// x * scale + offset, in the layer's dtype; each one number, or one for each of the last axis.
class Rescaling : public Layer {
 public:
  explicit Rescaling(NumberList scale = 1, NumberList offset = 0, std::string name = {}) : Layer(std::move(name)), scale_(std::move(scale)), offset_(std::move(offset)) { Rescaling::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  NumberList scale_;
  NumberList offset_;
};

/// (x - mean) / sqrt(variance) per index of `axis`: given, or found by adapt.
class Normalization : public Layer {
 public:
  struct Options {
    /// Without axes one mean and variance for all.
    std::optional<Ints> axis = Ints{-1};
    std::optional<std::vector<double>> mean = {};
    std::optional<std::vector<double>> variance = {};
    /// The way back: x * sqrt(variance) + mean.
    bool invert = false;
    std::string name = {};
    DTypePolicy dtype = {};
  };
  Normalization() = default;
  /// Throws InvalidArgumentError if only one of mean and variance is given.
  explicit Normalization(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) { Normalization::configured(); }
  /// Mean and variance of the data, in float64.
  void adapt(const Tensor& data, const AdaptOptions& options = {});
  void adapt(BatchSource& source, const AdaptOptions& options = {});
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x) override;

 private:
  Ints reduced_axes(const Shape& input) const;
  std::vector<double> summary_of(const Tensor& data) const;
  void finish(const std::vector<double>& summary, const AdaptOptions& options);
  Options options_;
  std::optional<Shape> mean_shape_, variance_shape_;  // as lists in a configuration; without: flat
  Weight mean_, variance_, count_;
};

/// The number of boundaries at or below each element.
class Discretization : public Layer {
 public:
  struct Options {
    std::optional<std::vector<double>> bin_boundaries = {};
    /// For adapt: that many bins of about equal counts.
    std::optional<std::int64_t> num_bins = {};
    double epsilon = 0.01;
    /// "int", "one_hot", "multi_hot" or "count"
    std::string output_mode = "int";
    std::string name = {};
  };
  Discretization() = default;
  /// Throws InvalidArgumentError unless it is given one of bin_boundaries and num_bins.
  explicit Discretization(Options options);
  /// Boundaries at the quantiles of the data, to about epsilon.
  void adapt(const Tensor& data, const AdaptOptions& options = {});
  void adapt(BatchSource& source, const AdaptOptions& options = {});
  const std::optional<std::vector<double>>& bin_boundaries() const { return options_.bin_boundaries; }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  void finish(const std::vector<double>& numbers, const AdaptOptions& options);
  Options options_;
};

/// Whole numbers below num_tokens as rows; with "count" a second input holds weights.
class CategoryEncoding : public Layer {
 public:
  struct Options {
    std::int64_t num_tokens = 0;
    std::string output_mode = "multi_hot";
    std::string name = {};
  };
  CategoryEncoding() = default;
  explicit CategoryEncoding(Options options) : Layer(options.name), options_(std::move(options)) { CategoryEncoding::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  /// Throws InvalidArgumentError, outside of a trace, for a number that is not in [0, num_tokens).
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  Options options_;
};

}  // namespace lockstep::nn

#pragma once
// Constraints: what a weight is replaced by after each update.

#include <functional>
#include <memory>

#include <lockstep/tensor/base/component.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {

/// From a weight to one that is allowed (keras.constraints). A plain function can stand for one.
class Constraint : public Component {
 public:
  static constexpr const char* kModule = "keras.constraints";
  using Function = std::function<Tensor(const Tensor&)>;
  static std::shared_ptr<Constraint> wrap(Named<Function> function);
  static void register_builtins();
  Constraint() { register_builtins(); }
  virtual Tensor operator()(const Tensor& w) const = 0;
};

/// Norms over `axis` are brought down to max_value.
class MaxNorm : public Constraint {
 public:
  struct Options {
    double max_value = 2;
    Axes axis = 0;
  };
  MaxNorm() : MaxNorm(Options()) {}
  explicit MaxNorm(Options options) : options_(std::move(options)) {}
  Tensor operator()(const Tensor& w) const override;
  void fields(Fields& f) override;

 private:
  Options options_;
};

/// Negative elements become 0.
class NonNeg : public Constraint {
 public:
  Tensor operator()(const Tensor& w) const override;
};

/// Norms over `axis` become 1.
class UnitNorm : public Constraint {
 public:
  explicit UnitNorm(Axes axis = 0) : axis_(std::move(axis)) {}
  Tensor operator()(const Tensor& w) const override;
  void fields(Fields& f) override { f.field("axis", axis_.value); }

 private:
  Axes axis_;
};

/// Norms over `axis` move towards [min_value, max_value]: the whole way with rate 1.
class MinMaxNorm : public Constraint {
 public:
  struct Options {
    double min_value = 0;
    double max_value = 1;
    double rate = 1;
    Axes axis = 0;
  };
  MinMaxNorm() : MinMaxNorm(Options()) {}
  explicit MinMaxNorm(Options options) : options_(std::move(options)) {}
  Tensor operator()(const Tensor& w) const override;
  void fields(Fields& f) override;

 private:
  Options options_;
};

}  // namespace lockstep::nn

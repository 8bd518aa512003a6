#pragma once
// Regularizers: a penalty on a weight, added to the loss once per step.

#include <functional>
#include <memory>
#include <string>

#include <lockstep/tensor/base/component.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// From a tensor to a scalar penalty (keras.regularizers). A plain function can stand for one.
class Regularizer : public Component {
 public:
  static constexpr const char* kModule = "keras.regularizers";
  using Function = std::function<Tensor(const Tensor&)>;
  static std::shared_ptr<Regularizer> wrap(Named<Function> function);
  static void register_builtins();
  Regularizer() { register_builtins(); }
  virtual Tensor operator()(const Tensor& w) const = 0;
};

/// l1 sum |w|. Throws InvalidArgumentError for a negative or non-finite factor, as the others do.
class L1 : public Regularizer {
 public:
  explicit L1(double l1 = 0.01);
  Tensor operator()(const Tensor& w) const override;
  void fields(Fields& f) override { f.field("l1", l1_); }
  void configured() override;

 private:
  double l1_;
};

/// l2 sum w^2
class L2 : public Regularizer {
 public:
  explicit L2(double l2 = 0.01);
  Tensor operator()(const Tensor& w) const override;
  void fields(Fields& f) override { f.field("l2", l2_); }
  void configured() override;

 private:
  double l2_;
};

/// l1 sum |w| + l2 sum w^2
class L1L2 : public Regularizer {
 public:
  explicit L1L2(double l1 = 0, double l2 = 0);
  Tensor operator()(const Tensor& w) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  double l1_;
  double l2_;
};

/// factor times the mean |cosine| of the pairs of rows (or columns) of a matrix.
class OrthogonalRegularizer : public Regularizer {
 public:
  explicit OrthogonalRegularizer(double factor = 0.01, std::string mode = "rows");
  /// Throws InvalidArgumentError unless `w` is a matrix.
  Tensor operator()(const Tensor& w) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  double factor_;
  std::string mode_;
};

}  // namespace lockstep::nn

#pragma once
// Loss: how far predictions are from the truth, one value per sample and their reduction to the number that training minimizes. The
// losses themselves are in losses.h.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <lockstep/tensor/base/component.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {

/// Base of all losses (keras.losses.Loss). A loss of one's own overrides call(), and fields() if it has any.
class Loss : public Component {
 public:
  static constexpr const char* kModule = "keras.losses";
  /// What can stand for a loss: one value per sample, of tensors of one float dtype.
  using Function = std::function<Tensor(const Tensor& y_true, const Tensor& y_pred)>;
  struct Options {
    /// "sum_over_batch_size" (the mean over all values; "mean" and "auto" are the same), "sum", "mean_with_sample_weight" (weighted
    /// sum over the sum of the weights), "none".
    std::string reduction = "sum_over_batch_size";
    /// Empty: the class's name in snake_case.
    std::string name = {};
    /// In which it computes; none: that of y_pred if it is float32 or float64, else float32.
    std::optional<DType> dtype = {};
  };
  /// Throws InvalidArgumentError for an unknown reduction.
  Loss();
  explicit Loss(Options options);

  /// A loss of a function. Its name is under what it is saved.
  static std::shared_ptr<Loss> wrap(Named<Function> function);
  static void register_builtins();

  /// One value per sample (or per element, for a function that gives those), before weights.
  virtual Tensor call(const Tensor& y_true, const Tensor& y_pred) const = 0;
  /// Which of the values count; undefined: all of them.
  virtual Tensor valid(const Tensor& y_true, const Tensor& y_pred, const Tensor& values) const;

  /// Are the last axes of the values classes? Weights of fewer axes than the values are then meant for them; else they are refused.
  virtual bool values_end_in_classes() const { return false; }

  /// The reduced loss. Casts to dtype(), aligns (n,) with (n, 1), weighs, reduces. `sample_weight`: a scalar, one weight per sample, or
  /// one per value; `mask`: false where a value does not count; the mean is then over the others.
  /// Throws InvalidArgumentError for shapes that do not fit: nothing is silently broadcast to a matrix.
  Tensor operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}, const Tensor& mask = {}) const;

  std::string name() const;
  void set_name(std::string name) { name_ = std::move(name); }
  const std::string& reduction() const { return reduction_; }
  std::optional<DType> dtype() const { return dtype_; }
  void fields(Fields& f) override;
  void configured() override;

 private:
  std::string reduction_;
  bool reduction_is_null_ = false;  // Keras's other word for "none", kept as it was given
  std::string name_;
  std::optional<DType> dtype_;
};

/// A loss of a function.
class LossFunctionWrapper : public Loss {
 public:
  explicit LossFunctionWrapper(Named<Function> function, Options options = {});
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override { return function_.function(y_true, y_pred); }
  std::string function_name() const override { return function_.name; }

 private:
  Named<Function> function_;
};

/// The loss that a string means in compile(): "crossentropy" and "ce" by the shapes of the target and the output (binary for a last
/// axis of 1, sparse for labels with an axis less, else categorical), everything else by its name. The loss is named as it was asked for.
Ref<Loss> loss_for(const std::string& identifier, const Shape& y_true, const Shape& y_pred);

/// The kind of target that two shapes mean.
enum class TargetKind { binary, sparse_categorical, categorical };
TargetKind target_kind(const Shape& y_true, const Shape& y_pred);

/// `x` as `dtype`; itself if it is that already.
Tensor as_dtype(const Tensor& x, DType dtype);

/// Both with as many axes: where one has a last axis of size 1 more than the other, a vector gets such an axis (or, without
/// `expand_vectors`, always) the other loses it.
std::pair<Tensor, Tensor> align_ranks(const Tensor& x, const Tensor& y, bool expand_vectors = true);

/// Sample weights (or none: undefined) in which what the mask takes out weighs 0. For the reduction "sum_over_batch_size" the others
/// are scaled by total / valid, so that the mean is one over them.
Tensor apply_mask(const Tensor& sample_weight, const Tensor& mask, DType dtype, const std::string& reduction = "sum");

}  // namespace lockstep::nn

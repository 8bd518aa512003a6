#pragma once
// Layers of several inputs and one output.

#include <lockstep/nn/layer.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {

/// An elementwise combination of all inputs, broadcast; an input with fewer axes gets them after the batch.
class Merge : public Layer {
 public:
  bool takes_list() const override { return true; }
  /// Valid where all inputs are.
  Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options) override;

 protected:
  using Layer::Layer;
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;
  virtual Tensor merge(std::span<const Tensor> inputs) const = 0;
};

/// A Merge by one op of two operands.
template <Tensor (*Op)(const Tensor&, const Tensor&)>
class PairwiseMerge : public Merge {
 public:
  explicit PairwiseMerge(std::string name = {}) : Merge(std::move(name)) {}

 protected:
  Tensor merge(std::span<const Tensor> inputs) const override {
    Tensor result = inputs[0];
    for (std::size_t i = 1; i < inputs.size(); ++i) result = Op(result, inputs[i]);
    return result;
  }
};
using Add = PairwiseMerge<add>;
using Multiply = PairwiseMerge<multiply>;
using Maximum = PairwiseMerge<maximum>;
using Minimum = PairwiseMerge<minimum>;

/// The first input minus the second.
class Subtract : public PairwiseMerge<subtract> {
 public:
  using PairwiseMerge::PairwiseMerge;

 protected:
  Tensor merge(std::span<const Tensor> inputs) const override;
};

class Average : public Add {
 public:
  using Add::Add;

 protected:
  Tensor merge(std::span<const Tensor> inputs) const override { return Add::merge(inputs) / double(inputs.size()); }
};

class Concatenate : public Layer {
 public:
  bool takes_list() const override { return true; }
  explicit Concatenate(std::int64_t axis = -1, std::string name = {}) : Layer(std::move(name)), axis_(axis) {}
  void fields(Fields& f) override;
  Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options) override;

 protected:
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  std::int64_t axis_;
};

/// The products of two inputs, per example, summed over an axis of each: `axes` is one number for both, or a pair.
class Dot : public Layer {
 public:
  bool takes_list() const override { return true; }
  explicit Dot(Axes axes = -1, bool normalize = false, std::string name = {}) : Layer(std::move(name)), axes_(std::move(axes)), normalize_(normalize) {}
  void fields(Fields& f) override;
  Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options) override;

 protected:
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  Axes axes_;
  bool normalize_;
};

}  // namespace lockstep::nn

#pragma once
// Sequential: layers one after the other, as a model (keras.Sequential).
//   nn::Sequential model({nn::Dense(30, "relu"), nn::Dense(1)});

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <lockstep/nn/model.h>
#include <lockstep/nn/symbol.h>

namespace lockstep::nn {

/// A stack of layers of one input and one output. An InputLayer in front makes the weights at once; without it the first call does. A layer
/// may stand more than once: its weights are shared.
class Sequential : public Model {
 public:
  Sequential() : Sequential(std::initializer_list<Ref<Layer>>{}) {}
  Sequential(std::initializer_list<Ref<Layer>> layers, std::string name = {}, DTypePolicy policy = {});
  explicit Sequential(const std::vector<Ref<Layer>>& layers, std::string name = {}, DTypePolicy policy = {});

  /// Layers without a name get their class's, numbered within the model. Layers of the default policy get the model's.
  /// Throws AlreadyExistsError for the name of another layer, FailedPreconditionError for an InputLayer behind others.
  void add(Ref<Layer> layer);
  /// Takes the last layer away. Throws FailedPreconditionError if there is none.
  void pop();

  std::vector<std::string> input_names() const override;
  std::vector<std::string> output_names() const override;
  std::vector<std::shared_ptr<Layer>> layers() const override;
  std::vector<autodiff::InputSpec> input_specs() const override;
  std::string output_shape_of(const Layer& layer) const override;
  void fields(Fields& f) override;

 protected:
  void build(std::span<const Shape> inputs) override;
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  void infer();

  std::shared_ptr<InputLayer> input_;
  std::vector<std::shared_ptr<Layer>> stack_;
  autodiff::InputSpec first_;                 // without an InputLayer: of the first call
  std::vector<autodiff::InputSpec> outputs_;  // of the layers of stack_, as far as known
};

}  // namespace lockstep::nn

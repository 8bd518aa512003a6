#pragma once
// Functional: a graph of layers, as a model with several inputs and outputs (keras.Model(inputs, outputs)). See symbol.h for how to write one down.

#include <memory>
#include <string>
#include <vector>

#include <lockstep/nn/model.h>
#include <lockstep/nn/symbol.h>

namespace lockstep::nn {

/// The calls between inputs and outputs, run in an order in which each comes after those it needs.
class Functional : public Model {
 public:
  Functional() = default;
  /// Layers without a name get their class's, numbered within the model. Throws InvalidArgumentError if an output needs an input that is not
  /// given, AlreadyExistsError for two layers of one name.
  Functional(Symbols inputs, Symbols outputs, std::string name = {});

  const Symbols& inputs() const { return inputs_; }
  const Symbols& outputs() const { return outputs_; }
  std::vector<std::string> input_names() const override;
  std::vector<std::string> output_names() const override;
  std::vector<std::shared_ptr<Layer>> layers() const override { return layers_; }
  std::vector<autodiff::InputSpec> input_specs() const override;
  std::string output_shape_of(const Layer& layer) const override;
  std::vector<std::string> connections_of(const Layer& layer) const override;
  /// False for a mere chain of layers.
  bool has_connections() const override;
  void fields(Fields& f) override;

 protected:
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  using CallPtr = std::shared_ptr<const SymbolCall>;
  void sort();
  /// Which of the calls of its layer within this model.
  std::size_t number_of(const CallPtr& call) const;
  Json described(const Symbol& symbol) const;
  Json layers_config() const;
  void read(const Json& layers, const Json& inputs, const Json& outputs);

  Symbols inputs_, outputs_;
  std::vector<CallPtr> calls_;  // in the order of running, inputs included
  std::vector<std::shared_ptr<Layer>> layers_;  // as Keras orders them: by depth, the deepest (inputs) first
};

}  // namespace lockstep::nn

#pragma once
// Symbol: a tensor of a functional model that is being written down. Layers are put behind one another by `>>`:
//   nn::Symbol wide = nn::input({5}, {.name = "wide"}), deep = nn::input({6}, {.name = "deep"});
//   nn::Symbol hidden = deep >> nn::Dense(30, "relu") >> nn::Dense(30, "relu");
//   nn::Symbol out = nn::Symbols{wide, hidden} >> nn::Concatenate() >> nn::Dense(1);
//   nn::Functional model({wide, deep}, {out});

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <lockstep/autodiff/function.h>
#include <lockstep/nn/layer.h>

namespace lockstep::nn {

class Symbol;
/// Several symbols, for layers of several inputs or outputs.
struct Symbols : std::vector<Symbol> {
  using std::vector<Symbol>::vector;
};

/// What a layer of a functional model is told at each call.
struct SymbolCallOptions {
  Training training = {};
  bool use_causal_mask = false;
};

/// One call of a layer on symbols.
struct SymbolCall {
  std::shared_ptr<Layer> layer;
  Symbols inputs;  // none: an InputLayer
  SymbolCallOptions options;
  std::vector<autodiff::InputSpec> outputs;
};

/// Output number `output()` of a call. A handle; copies are the same symbol.
class Symbol {
 public:
  Symbol() = default;
  Symbol(std::shared_ptr<const SymbolCall> call, std::size_t output) : call_(std::move(call)), output_(output) {}

  DType dtype() const { return spec().dtype; }
  /// Sizes; -1 where they are free (the batch).
  const Ints& shape() const { return spec().shape; }
  const autodiff::InputSpec& spec() const { return call_->outputs[output_]; }
  const std::shared_ptr<const SymbolCall>& call() const { return call_; }
  std::size_t output() const { return output_; }
  friend bool operator==(const Symbol& a, const Symbol& b) { return a.call_ == b.call_ && a.output_ == b.output_; }

 private:
  std::shared_ptr<const SymbolCall> call_;
  std::size_t output_ = 0;
};

/// The start of a model: says what an input looks like (keras.layers.InputLayer). In a Sequential it may stand first.
class InputLayer : public Layer {
 public:
  struct Options {
    /// Without the batch; -1 for axes of any size.
    Ints shape = {};
    DType dtype = float32;
    std::optional<std::int64_t> batch_size = {};
    std::string name = {};
  };
  InputLayer() = default;
  /// Throws InvalidArgumentError for sizes below -1.
  explicit InputLayer(Options options);
  explicit InputLayer(Ints shape) : InputLayer(Options{.shape = std::move(shape)}) {}
  const autodiff::InputSpec& spec() const { return spec_; }
  void fields(Fields& f) override;

 protected:
  Tensor call(const Tensor& x) override { return x; }

 private:
  autodiff::InputSpec spec_;
};

struct InputOptions {
  DType dtype = float32;
  std::string name = {};
  std::optional<std::int64_t> batch_size = {};
};
/// An input of `shape` (without the batch; -1 for axes of any size), as keras.Input.
Symbol input(Ints shape, const InputOptions& options = {});
Symbol input(std::shared_ptr<InputLayer> layer);

/// The outputs of `layer` for these inputs. Builds the layer. The same layer may be called more than once: its weights are shared.
/// Throws what the layer throws for shapes that do not fit.
Symbols call(const std::shared_ptr<Layer>& layer, const Symbols& inputs, const SymbolCallOptions& options = {});
/// Dtypes and shapes of the outputs for inputs of these, found by tracing; builds the layer. Free sizes stay free where outputs follow them.
std::vector<autodiff::InputSpec> infer_outputs(Layer& layer, std::span<const autodiff::InputSpec> inputs, const SymbolCallOptions& options = {});

/// The one output of `layer`. Throws InvalidArgumentError if it has several: use call().
Symbol operator>>(const Symbols& inputs, const std::shared_ptr<Layer>& layer);
template <std::derived_from<Layer> T>
Symbol operator>>(const Symbols& inputs, T layer) {
  return inputs >> std::static_pointer_cast<Layer>(std::make_shared<T>(std::move(layer)));
}
template <std::derived_from<Layer> T>
Symbol operator>>(const Symbol& input, T layer) {
  return Symbols{input} >> std::move(layer);
}
template <std::derived_from<Layer> T>
Symbol operator>>(const Symbol& input, const std::shared_ptr<T>& layer) {
  return Symbols{input} >> std::static_pointer_cast<Layer>(layer);
}

/// "(None, 30)"
std::string to_string(const autodiff::InputSpec& spec);

}  // namespace lockstep::nn

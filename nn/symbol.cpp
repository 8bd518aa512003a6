#include <lockstep/nn/symbol.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <lockstep/autodiff/trace.h>

namespace lockstep::nn {
namespace {

using autodiff::InputSpec;

// Stand-ins for free sizes while a layer is traced: where an output's size differs between the two, it follows an input's. The batch is small
// and unlike other sizes; other axes are long enough for the windows that slide along them.
constexpr std::int64_t kProbes[2][2] = {{11, 64}, {13, 96}};

Shape probe_shape(const InputSpec& spec, int probe) {
  Shape shape;
  for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) shape.push_back(spec.shape[axis] >= 0 ? spec.shape[axis] : kProbes[probe][axis > 0]);
  return shape;
}

std::vector<TensorSpec> trace_outputs(Layer& layer, std::span<const InputSpec> inputs, const SymbolCallOptions& options, int probe) {
  autodiff::Trace trace;
  Tensors arguments;
  for (const InputSpec& spec : inputs) arguments.push_back(trace.argument({spec.dtype, probe_shape(spec, probe)}));
  std::vector<TensorSpec> result;
  for (const Tensor& output : layer(std::span<const Tensor>(arguments), {.training = options.training, .use_causal_mask = options.use_causal_mask})) result.push_back(output.spec());
  return result;
}

Json sizes(const Ints& shape) {
  Json result = Json::array();
  for (const std::int64_t size : shape) result.push_back(size < 0 ? Json(nullptr) : Json(size));
  return result;
}

}  // namespace

InputLayer::InputLayer(Options options) : Layer(std::move(options.name), DTypePolicy(is_float(options.dtype) ? options.dtype : float32)) {
  autocast_ = false;
  for (const std::int64_t size : options.shape) require(size >= -1, "sizes must not be negative (-1: any), got " + std::to_string(size));
  spec_.dtype = options.dtype;
  spec_.shape.push_back(options.batch_size.value_or(-1));
  for (const std::int64_t size : options.shape) spec_.shape.push_back(size);
}

void InputLayer::fields(Fields& f) {
  const Json written = sizes(spec_.shape);
  Json shape = written;
  f.field("batch_shape", shape);
  if (shape != written) {
    require(shape.is_array() && !shape.empty(), "'batch_shape' must be a list of sizes or null, got " + shape.dump());
    spec_.shape.clear();
    for (const Json& size : shape) {
      require(size.is_null() || size.is_number_integer(), "'batch_shape' must be a list of sizes or null, got " + shape.dump());
      spec_.shape.push_back(size.is_null() ? -1 : size.get<std::int64_t>());
    }
  }
  f.field("dtype", spec_.dtype);
  autocast_ = false;
  bool sparse = false, ragged = false, optional = false;
  f.field("sparse", sparse);
  f.field("ragged", ragged);
  require(!sparse && !ragged, "inputs that are sparse or ragged are not supported");
  std::string shown = name();
  f.field("name", shown);
  if (shown != name()) set_name(shown);
  f.field("optional", optional);
  require(!optional, "optional inputs are not supported");
}

Symbol input(Ints shape, const InputOptions& options) {
  return input(std::make_shared<InputLayer>(InputLayer::Options{.shape = std::move(shape), .dtype = options.dtype, .batch_size = options.batch_size, .name = options.name}));
}
Symbol input(std::shared_ptr<InputLayer> layer) {
  const InputSpec spec = layer->spec();
  return Symbol(std::make_shared<const SymbolCall>(SymbolCall{std::move(layer), {}, {}, {spec}}), 0);
}

std::vector<InputSpec> infer_outputs(Layer& layer, std::span<const InputSpec> inputs, const SymbolCallOptions& options) {
  const std::vector<TensorSpec> first = trace_outputs(layer, inputs, options, 0), second = trace_outputs(layer, inputs, options, 1);
  std::vector<InputSpec> result;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (!first[i].shape.known())
      throw UnimplementedError("the shape of what the layer '" + layer.name() + "' gives depends on data, which a model cannot be built on", layer.class_name(), "give it a length (output_sequence_length), or call it before the model");
    InputSpec spec{first[i].dtype, {}};
    for (int axis = 0; axis < first[i].shape.ndim(); ++axis) spec.shape.push_back(first[i].shape[axis] == second[i].shape[axis] ? first[i].shape[axis] : -1);
    result.push_back(std::move(spec));
  }
  return result;
}

Symbols call(const std::shared_ptr<Layer>& layer, const Symbols& inputs, const SymbolCallOptions& options) {
  std::vector<InputSpec> specs;
  for (const Symbol& each : inputs) specs.push_back(each.spec());
  const auto made = std::make_shared<const SymbolCall>(SymbolCall{layer, inputs, options, infer_outputs(*layer, specs, options)});
  Symbols result;
  for (std::size_t i = 0; i < made->outputs.size(); ++i) result.emplace_back(made, i);
  return result;
}

Symbol operator>>(const Symbols& inputs, const std::shared_ptr<Layer>& layer) {
  Symbols outputs = call(layer, inputs);
  if (outputs.size() != 1) throw InvalidArgumentError("the layer '" + layer->name() + "' has " + std::to_string(outputs.size()) + " outputs", layer->class_name(), "nn::call gives them all");
  return outputs.front();
}

std::string to_string(const autodiff::InputSpec& spec) {
  std::string text = "(";
  for (std::size_t i = 0; i < spec.shape.size(); ++i) text += (i ? ", " : "") + (spec.shape[i] < 0 ? std::string("None") : std::to_string(spec.shape[i]));
  return text + (spec.shape.size() == 1 ? ",)" : ")");
}

}  // namespace lockstep::nn

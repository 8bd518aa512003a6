#include <lockstep/nn/functional.h>

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include <nlohmann/json.hpp>

namespace lockstep::nn {
namespace {

using CallPtr = std::shared_ptr<const SymbolCall>;

template <class T>
bool add_once(std::vector<T>& list, const T& value) {
  if (std::find(list.begin(), list.end(), value) != list.end()) return false;
  list.push_back(value);
  return true;
}

/// Names of arguments, in the order in which a layer takes the tensors that are given by name.
constexpr const char* kTensorArguments[] = {"inputs", "sequences", "query", "value", "key", "initial_state"};

}  // namespace

Functional::Functional(Symbols inputs, Symbols outputs, std::string name) : Model(std::move(name)), inputs_(std::move(inputs)), outputs_(std::move(outputs)) { sort(); }

/// Finds the calls, their order, the layers and their names.
void Functional::sort() {
  calls_.clear();
  layers_.clear();
  require(!inputs_.empty() && !outputs_.empty(), "a model needs at least one input and one output");
  std::vector<CallPtr> found;  // each after those it needs
  std::vector<Layer*> met;     // in the order in which the walk from the outputs first meets them
  std::unordered_set<const SymbolCall*> given;
  for (const Symbol& input : inputs_) {
    require(input.call()->inputs.empty(), "'" + input.call()->layer->name() + "' is given as an input, but is the output of a layer");
    given.insert(input.call().get());
  }
  const std::function<void(const CallPtr&)> visit = [&](const CallPtr& call) {
    if (std::find(found.begin(), found.end(), call) != found.end()) return;
    add_once(met, call->layer.get());
    require(!call->inputs.empty() || given.contains(call.get()), "the outputs need the input '" + call->layer->name() + "', which is not among the model's inputs");
    for (const Symbol& input : call->inputs) visit(input.call());
    found.push_back(call);
  };
  for (const Symbol& output : outputs_) visit(output.call());
  for (const Symbol& input : inputs_) {  // also those that no output needs
    add_once(met, input.call()->layer.get());
    if (std::find(found.begin(), found.end(), input.call()) == found.end()) found.insert(found.begin(), input.call());
  }

  // Keras's order of layers, which is that of the weights: by the longest way to an output.
  std::unordered_map<const SymbolCall*, int> call_depth;
  std::unordered_map<const Layer*, int> layer_depth;
  for (auto call = found.rbegin(); call != found.rend(); ++call) {
    int& of_layer = layer_depth[(*call)->layer.get()];
    const int depth = of_layer = std::max(call_depth[call->get()], of_layer);
    call_depth[call->get()] = depth;
    for (const Symbol& input : (*call)->inputs) call_depth[input.call().get()] = std::max(depth + 1, call_depth[input.call().get()]);
  }
  std::vector<std::shared_ptr<Layer>> layers;
  for (Layer* layer : met)
    for (const CallPtr& call : found)
      if (call->layer.get() == layer && add_once(layers, call->layer)) break;
  std::stable_sort(layers.begin(), layers.end(), [&](const auto& a, const auto& b) { return layer_depth[a.get()] > layer_depth[b.get()]; });
  name_layers(layers);
  layers_ = std::move(layers);
  calls_ = std::move(found);
  for (const auto& layer : layers_) track(layer->name(), layer);
  Layer::build_for(std::span<const Shape>());
}

std::vector<std::string> Functional::input_names() const {
  std::vector<std::string> result;
  for (const Symbol& input : inputs_) result.push_back(input.call()->layer->name());
  return result;
}
std::vector<std::string> Functional::output_names() const {
  std::vector<std::string> result;
  for (const Symbol& output : outputs_) {
    std::string name = output.call()->layer->name();
    const auto same = std::count_if(outputs_.begin(), outputs_.end(), [&](const Symbol& other) { return other.call()->layer == output.call()->layer; });
    if (same > 1) name += "_" + std::to_string(&output - outputs_.data());  // several outputs of one layer
    result.push_back(std::move(name));
  }
  return result;
}
std::vector<autodiff::InputSpec> Functional::input_specs() const {
  std::vector<autodiff::InputSpec> result;
  for (const Symbol& input : inputs_) result.push_back(input.spec());
  return result;
}

std::size_t Functional::number_of(const CallPtr& call) const {
  std::size_t number = 0;
  for (const CallPtr& other : calls_) {
    if (other == call) return number;
    if (other->layer == call->layer) ++number;
  }
  return number;
}

std::string Functional::output_shape_of(const Layer& layer) const {
  for (const CallPtr& call : calls_)
    if (call->layer.get() == &layer) {
      if (call->outputs.size() == 1) return nn::to_string(call->outputs[0]);
      std::string text = "[";
      for (const auto& spec : call->outputs) text += (text.size() > 1 ? ", " : "") + nn::to_string(spec);
      return text + "]";
    }
  return "?";
}
std::vector<std::string> Functional::connections_of(const Layer& layer) const {
  std::vector<std::string> result;
  for (const CallPtr& call : calls_)
    if (call->layer.get() == &layer)
      for (const Symbol& input : call->inputs) result.push_back(input.call()->layer->name() + "[" + std::to_string(number_of(input.call())) + "][" + std::to_string(input.output()) + "]");
  return result;
}
bool Functional::has_connections() const {
  if (layers_.size() != calls_.size()) return true;
  std::vector<Symbol> used;
  for (const CallPtr& call : calls_) {
    if (call->inputs.size() > 1) return true;
    for (const Symbol& input : call->inputs)
      if (!add_once(used, input)) return true;
  }
  return false;
}

// ---- running

Tensors Functional::call(std::span<const Tensor> inputs, const CallOptions& options) {
  require(inputs.size() == inputs_.size(), "the model takes " + std::to_string(inputs_.size()) + " inputs, got " + std::to_string(inputs.size()));
  struct Values {
    Tensors outputs;
    Tensor mask;  // of the first output
  };
  std::unordered_map<const SymbolCall*, Values> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Ints& wanted = inputs_[i].shape();
    bool fits = inputs[i].ndim() == int(wanted.size());
    for (int axis = 0; fits && axis < inputs[i].ndim(); ++axis) fits = wanted[std::size_t(axis)] < 0 || wanted[std::size_t(axis)] == inputs[i].shape()[axis];
    require(fits, "the input '" + inputs_[i].call()->layer->name() + "' must have shape " + nn::to_string(inputs_[i].spec()) + ", got " + lockstep::to_string(inputs[i].shape()));
    values[inputs_[i].call().get()] = {{inputs[i]}, options.mask_of(i)};
  }
  for (const CallPtr& call : calls_) {
    if (call->inputs.empty()) continue;
    Tensors operands;
    CallOptions passed{.training = call->options.training, .use_causal_mask = call->options.use_causal_mask};
    bool masked = false;
    for (const Symbol& input : call->inputs) {
      const Values& from = values.at(input.call().get());
      operands.push_back(from.outputs[input.output()]);
      passed.mask.push_back(input.output() == 0 ? from.mask : Tensor());
      masked = masked || passed.mask.back().defined();
    }
    if (!masked) passed.mask.clear();
    Values made;
    made.outputs = (*call->layer)(std::span<const Tensor>(operands), passed);
    made.mask = fitting_mask(call->layer->compute_mask(std::span<const Tensor>(operands), passed), made.outputs[0]);
    values[call.get()] = std::move(made);
  }
  Tensors results, masks;
  for (const Symbol& output : outputs_) {
    const Values& from = values.at(output.call().get());
    results.push_back(from.outputs[output.output()]);
    masks.push_back(output.output() == 0 ? from.mask : Tensor());
  }
  set_output_masks(std::move(masks));
  return results;
}

// ---- configuration

Json Functional::described(const Symbol& symbol) const { return {symbol.call()->layer->name(), number_of(symbol.call()), symbol.output()}; }

namespace {

/// [layer, call, output]
bool is_history(const Json& json) {
  const auto counts = [](const Json& number) { return number.is_number_integer() && number >= 0; };
  return json.is_array() && json.size() == 3 && json[0].is_string() && counts(json[1]) && counts(json[2]);
}

/// Where a model says what its inputs and outputs are, Keras counts the making of a Functional as its first call.
int calls_before(const Layer& layer) { return dynamic_cast<const Functional*>(&layer) ? 1 : 0; }

}  // namespace

Json Functional::layers_config() const {
  Json result = Json::array();
  for (const auto& layer : layers_) {
    Json entry = serialize(*layer);
    entry["name"] = layer->name();
    Json nodes = Json::array();
    for (const CallPtr& call : calls_) {
      if (call->layer != layer || call->inputs.empty()) continue;
      Json tensors = Json::array();
      for (const Symbol& input : call->inputs) {
        Json shape = Json::array();
        for (const std::int64_t size : input.shape()) shape.push_back(size < 0 ? Json(nullptr) : Json(size));
        tensors.push_back({{"class_name", "__keras_tensor__"}, {"config", {{"shape", shape}, {"dtype", lockstep::name(input.dtype())}, {"keras_history", described(input)}}}});
      }
      Json kwargs = Json::object();
      if (call->options.training.given()) kwargs["training"] = bool(call->options.training);
      if (call->options.use_causal_mask) kwargs["use_causal_mask"] = true;
      nodes.push_back({{"args", layer->takes_list() ? Json::array({tensors}) : tensors}, {"kwargs", kwargs}});
    }
    entry["inbound_nodes"] = nodes;
    result.push_back(std::move(entry));
  }
  return result;
}

void Functional::fields(Fields& f) {
  std::string shown = name();
  f.field("name", shown);
  if (shown != name()) set_name(shown);
  bool trains = trainable();
  f.field("trainable", trains);
  const Json written = layers_config();
  Json layers = written, inputs = Json::array(), outputs = Json::array();
  const auto end = [&](const Symbol& symbol) {
    Json json = described(symbol);
    json[1] = json[1].get<int>() + calls_before(*symbol.call()->layer);
    return json;
  };
  for (const Symbol& input : inputs_) inputs.push_back(end(input));
  for (const Symbol& output : outputs_) outputs.push_back(end(output));
  if (inputs.size() == 1) inputs = Json(inputs[0]);
  if (outputs.size() == 1) outputs = Json(outputs[0]);
  f.field("layers", layers);
  f.field("input_layers", inputs);
  f.field("output_layers", outputs);
  if (layers != written) read(layers, inputs, outputs);
  if (trains != trainable()) set_trainable(trains);
}

void Functional::read(const Json& layers, const Json& inputs, const Json& outputs) {
  require(layers.is_array(), "'layers' must be a list, got " + layers.dump());
  struct Made {
    std::shared_ptr<Layer> layer;
    std::vector<Symbols> calls;
  };
  std::map<std::string, Made> made;
  const auto find = [&](const Json& history) -> const Symbol* {
    require(is_history(history), "expected [layer, call, output], got " + history.dump());
    const auto of = made.find(history[0].get<std::string>());
    require(of != made.end(), "the model has no layer '" + history[0].get<std::string>() + "'");
    const std::size_t call = history[1].get<std::size_t>(), output = history[2].get<std::size_t>();
    if (call >= of->second.calls.size()) return nullptr;  // not yet
    require(output < of->second.calls[call].size(), "there is no output " + history.dump());
    return &of->second.calls[call][output];
  };
  /// The tensors in `json`, in order; false if one is not made yet.
  const std::function<bool(const Json&, Symbols&)> gather = [&](const Json& json, Symbols& into) {
    if (json.is_object() && json.value("class_name", "") == "__keras_tensor__") {
      const Symbol* symbol = find(json.at("config").at("keras_history"));
      if (symbol) into.push_back(*symbol);
      return symbol != nullptr;
    }
    if (json.is_null()) return true;
    require(json.is_array(), "a layer's call has an argument that is no tensor: " + json.dump());
    return std::all_of(json.begin(), json.end(), [&](const Json& each) { return gather(each, into); });
  };

  std::vector<std::pair<std::string, Json>> waiting;
  for (const Json& entry : layers) {
    require(entry.is_object(), "'layers' has " + entry.dump() + " where a layer should be");
    const Ref<Layer> layer = deserialize<Layer>(entry);
    const std::string name = entry.contains("name") ? entry.at("name").get<std::string>() : layer->name();
    layer->set_name(name);
    require(made.emplace(name, Made{layer.ptr(), {}}).second, "two layers are called '" + name + "'");
    if (auto input_layer = std::dynamic_pointer_cast<InputLayer>(layer.ptr())) made[name].calls.push_back({input(input_layer)});
    else if (entry.contains("inbound_nodes"))
      for (const Json& node : entry.at("inbound_nodes")) waiting.emplace_back(name, node);
  }
  while (!waiting.empty()) {
    std::vector<std::pair<std::string, Json>> still;
    std::unordered_set<std::string> blocked;  // the calls of a layer stay in order
    for (auto& [name, node] : waiting) {
      Symbols operands;
      SymbolCallOptions options;
      bool ready = !blocked.contains(name) && gather(node.at("args"), operands);
      const Json kwargs = node.value("kwargs", Json::object());
      for (const char* argument : kTensorArguments)
        if (ready && kwargs.contains(argument)) ready = gather(kwargs.at(argument), operands);
      if (!ready) {
        blocked.insert(name);
        still.emplace_back(name, std::move(node));
        continue;
      }
      for (const auto& [key, value] : kwargs.items()) {
        if (value.is_null() || std::find_if(std::begin(kTensorArguments), std::end(kTensorArguments), [&, k = key](const char* each) { return k == each; }) != std::end(kTensorArguments)) continue;
        if (key == "training" && value.is_boolean()) options.training = value.get<bool>();
        else if (key == "use_causal_mask" && value.is_boolean()) options.use_causal_mask = value.get<bool>();
        else if (!(value.is_boolean() && !value.get<bool>())) refuse("layer '" + name + "' is called with '" + key + "' = " + value.dump() + ", which is not supported");
      }
      Made& of = made.at(name);
      of.calls.push_back(nn::call(of.layer, operands, options));
    }
    require(still.size() < waiting.size(), "the layers' calls need one another");
    waiting = std::move(still);
  }

  const auto list = [&](const Json& json) {
    Symbols result;
    const auto one = [&](Json history) {
      if (is_history(history))
        if (const auto of = made.find(history[0].get<std::string>()); of != made.end()) history[1] = std::max(0, history[1].get<int>() - calls_before(*of->second.layer));
      const Symbol* symbol = find(history);
      require(symbol != nullptr, "there is no call " + history.dump());
      result.push_back(*symbol);
    };
    if (json.is_array() && !json.empty() && json[0].is_string()) one(json);
    else
      for (const auto& [key, value] : json.items()) one(value);
    return result;
  };
  for (const auto& layer : layers_) untrack(layer->name());
  inputs_ = list(inputs);
  outputs_ = list(outputs);
  sort();
}

}  // namespace lockstep::nn

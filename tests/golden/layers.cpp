// layers.h5: every layer from its configuration, with given weights: outputs, training, gradients, eager and traced.

#include "case.h"

namespace golden {

using namespace lockstep;
using namespace lockstep::nn;

namespace {

/// The data sets NAME0, NAME1, ...
Tensors numbered(const Case& c, const std::string& name) {
  Tensors result;
  for (int i = 0; c.has(name + std::to_string(i)); ++i) result.push_back(c.at(name + std::to_string(i)));
  return result;
}

Tensor bools(const Json& nested) {
  Shape shape;
  for (const Json* level = &nested; level->is_array(); level = &level->at(0)) shape.push_back(std::int64_t(level->size()));
  Tensor tensor = Tensor::empty(shape, boolean);
  bool* next = tensor.mutable_data<bool>();
  const std::function<void(const Json&)> fill = [&](const Json& part) {
    if (part.is_array()) for (const Json& each : part) fill(each);
    else *next++ = part.is_boolean() ? part.get<bool>() : part.get<int>() != 0;
  };
  fill(nested);
  return placed(std::move(tensor));
}

CallOptions call_options(const Case& c) {
  const auto mask = [&](const char* key) { return c.spec.contains(key) ? bools(c.spec.at(key)) : Tensor(); };
  CallOptions options;
  if (c.spec.contains("mask")) options.mask = {mask("mask")};
  else if (c.spec.contains("query_mask") || c.spec.contains("value_mask") || c.spec.contains("key_mask")) options.mask = {mask("query_mask"), mask("value_mask"), mask("key_mask")};
  options.attention_mask = mask("attention_mask");
  options.use_causal_mask = c.spec.value("use_causal_mask", false);
  options.return_attention_scores = c.spec.value("note", "").find("attention scores") != std::string::npos;
  return options;
}

/// A new layer of the case, built for its inputs and with its weights.
std::shared_ptr<Layer> make_layer(const Case& c, std::span<const Tensor> inputs) {
  const auto layer = deserialize<Layer>(Json{{"class_name", c.spec.at("class")}, {"config", c.spec.at("config")}}).ptr();
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  layer->build_for(shapes);
  const Tensors weights = numbered(c, "weight");
  if (c.spec.at("kind") == "layer") layer->set_weights(std::span<const Tensor>(weights));
  return layer;
}

void require_same_weights(const Case& c, const Layer& layer) {
  const Json& names = c.spec.at("weights");
  const std::vector<Weight> weights = layer.weights();
  const std::vector<Weight> trainable = layer.trainable_weights();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::string expected = names.at(i);
    if (weights[i].name() != expected.substr(expected.rfind('/') + 1)) throw Mismatch("weight " + std::to_string(i) + " is " + weights[i].variable().path() + ", expected " + expected);
    const bool is_trainable = std::find(trainable.begin(), trainable.end(), weights[i]) != trainable.end();
    if (c.spec.contains("trainable") && is_trainable != c.spec.at("trainable").at(i).get<bool>()) throw Mismatch("weight " + expected + " is " + (is_trainable ? "" : "not ") + "trainable");
  }
}

void check_one_layer(const Case& c) {
  const Tensors inputs = numbered(c, "in"), outputs = numbered(c, "out"), gradients = numbered(c, "din");
  const double rtol = c.spec.at("rtol"), atol = c.spec.at("atol");
  const bool has_training = c.has("out_training");
  const CallOptions options = call_options(c);
  CallOptions in_training = options;
  in_training.training = has_training;

  const auto layer = make_layer(c, std::span<const Tensor>(inputs));
  require_config(layer->config(), without_build_config(c.spec.at("config")));
  require_config(without_build_config(deserialize<Layer>(serialize(*layer))->config()), layer->config());
  require_same_weights(c, *layer);
  if (c.spec.contains("compute_output_shape")) {
    const Shape shape = layer->compute_output_shape(inputs[0].shape());
    if (shape != Shape(c.spec.at("compute_output_shape").get<std::vector<std::int64_t>>())) throw Mismatch("compute_output_shape gives " + to_string(shape));
  }
  for (const bool traced : {false, true}) {
    const std::string how = traced ? "traced, " : "eager, ";
    const auto infer = [&](std::span<const Tensor> in) { return (*layer)(in, options); };
    const Tensors found = traced ? autodiff::function(infer)(std::span<const Tensor>(inputs)) : infer(std::span<const Tensor>(inputs));
    if (found.size() != outputs.size()) throw Mismatch(how + std::to_string(found.size()) + " outputs, expected " + std::to_string(outputs.size()));
    for (std::size_t i = 0; i < found.size(); ++i) require_close(how + "out" + std::to_string(i), found[i], outputs[i], rtol, atol);
    if (!c.has("g0")) continue;

    const auto trained = make_layer(c, std::span<const Tensor>(inputs));
    const std::vector<Weight> weights = trained->weights();
    std::vector<std::size_t> with_gradient;
    for (std::size_t i = 0; i < weights.size(); ++i)
      if (c.has("dweight" + std::to_string(i))) with_gradient.push_back(i);
    const auto differentiate = [&](std::span<const Tensor> in) -> Tensors {
      autodiff::GradientTape tape;
      std::vector<autodiff::Source> sources;
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        tape.watch(in[i]);
        sources.push_back(in[i]);
      }
      for (const std::size_t i : with_gradient) {
        tape.watch(weights[i].variable());
        sources.push_back(weights[i].variable());
      }
      Tensors result = {(*trained)(in, in_training)[0]};
      const auto found_gradients = tape.gradient(result[0], sources, c.at("g0"));
      for (std::size_t i = 0; i < found_gradients.size(); ++i) {
        const Tensor like = sources[i].is_variable() ? sources[i].variable().value() : sources[i].tensor();
        result.push_back(found_gradients[i].exists() ? found_gradients[i].dense() : zeros_like(like));
      }
      return result;
    };
    const Tensors all = traced ? autodiff::function(differentiate)(std::span<const Tensor>(inputs)) : differentiate(std::span<const Tensor>(inputs));
    if (has_training) require_close(how + "out_training", all[0], c.at("out_training"), rtol, atol);
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      const std::string name = i < gradients.size() ? "din" + std::to_string(i) : "dweight" + std::to_string(with_gradient[i - gradients.size()]);
      require_close(how + name, all[i + 1], c.at(name), c.spec.at("grad_rtol"), c.spec.at("grad_atol"));
    }
    for (std::size_t i = 0; i < weights.size(); ++i)
      if (const std::string name = "weight_after" + std::to_string(i); c.has(name)) require_close(how + name, weights[i].variable().value(), c.at(name), rtol, atol);
  }
}

void check_adapt(const Case& c) {
  const Tensors inputs = numbered(c, "in");
  const auto layer = deserialize<Layer>(Json{{"class_name", c.spec.at("class")}, {"config", c.spec.at("config")}}).ptr();
  if (auto* normalization = dynamic_cast<Normalization*>(layer.get())) normalization->adapt(c.at("data"));
  else if (auto* discretization = dynamic_cast<Discretization*>(layer.get())) discretization->adapt(c.at("data"));
  else throw Mismatch("the layer has no adapt");
  const auto call = [&](const Tensor& x) { return (*layer)(x); };
  require_close("eager, out0", call(inputs[0]), c.at("out0"), c.spec.at("rtol"), c.spec.at("atol"));
  require_close("traced, out0", autodiff::function(call)(inputs[0]), c.at("out0"), c.spec.at("rtol"), c.spec.at("atol"));
  // (Keras never counts, but has the weight.)
  const std::vector<Tensor> weights = layer->get_weights();
  for (std::size_t i = 0; i < weights.size(); ++i) require_close("weight" + std::to_string(i), weights[i], c.at("weight" + std::to_string(i)), c.spec.at("rtol"), c.spec.at("atol"));
}

void check_layer_refusal(const Case& c) {
  const std::string name = c.spec.at("name");
  require_refusal(c.spec.at("error"), [&] {
    const auto layer = deserialize<Layer>(Json{{"class_name", c.spec.at("class")}, {"config", c.spec.at("config")}}).ptr();
    if (name.find("Concatenate_shapes") != std::string::npos) return void((*layer)({zeros({2, 3, 4}), zeros({2, 2, 4})}));
    if (name.find("Add_shapes") != std::string::npos) return void((*layer)({zeros({2, 3}), zeros({2, 4})}));
    if (name.find("other_width") != std::string::npos) return (*layer)(zeros({2, 3})), void((*layer)(zeros({2, 5})));
    if (name.find("set_weights_count") != std::string::npos) return layer->build_for(Shape{2, 3}), layer->set_weights({zeros({3, 3})});
    if (name.find("set_weights") != std::string::npos) return layer->build_for(Shape{2, 3}), layer->set_weights({zeros({2, 3}), zeros({3})});
    const Tensors inputs = numbered(c, "in");
    (*layer)(std::span<const Tensor>(inputs));
  });
}

}  // namespace

void check_layer(const Case& c) {
  const std::string kind = c.spec.at("kind");
  if (kind == "layer") return check_one_layer(c);
  if (kind == "adapt") return check_adapt(c);
  if (kind == "refusal") return check_layer_refusal(c);
  throw Mismatch("the kind of layer case \"" + kind + "\" is unknown");
}

}  // namespace golden

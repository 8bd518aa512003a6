#include <lockstep/nn/sequential.h>

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

namespace lockstep::nn {

Sequential::Sequential(std::initializer_list<Ref<Layer>> layers, std::string name, DTypePolicy policy)
    : Sequential(std::vector<Ref<Layer>>(layers), std::move(name), std::move(policy)) {}
Sequential::Sequential(const std::vector<Ref<Layer>>& layers, std::string name, DTypePolicy policy) : Model(std::move(name), std::move(policy)) {
  for (const Ref<Layer>& layer : layers) add(layer);
  if (input_) build_for(std::span<const Shape>());
}

void Sequential::add(Ref<Layer> given) {
  require(bool(given), "a layer is missing");
  const std::shared_ptr<Layer> layer = given.ptr();
  if (auto input = std::dynamic_pointer_cast<InputLayer>(layer)) {
    if (input_ || !stack_.empty()) throw FailedPreconditionError("an InputLayer must come before all other layers", class_name());
    input_ = std::move(input);
    return;
  }
  const bool again = std::find(stack_.begin(), stack_.end(), layer) != stack_.end();
  stack_.push_back(layer);
  if (!again) {
    try {
      name_layers(stack_);
    } catch (...) {
      stack_.pop_back();
      throw;
    }
    if (!layer->built() && layer->dtype_policy().name() == "float32") layer->set_dtype_policy(dtype_policy());
    track(layer->name(), layer);
  }
  if (!built()) return;
  try {  // its shapes are known
    infer();
  } catch (...) {
    pop();
    throw;
  }
  if (!again) layer->set_path(path() + "/" + layer->name());
}

void Sequential::pop() {
  if (stack_.empty()) throw FailedPreconditionError("there is no layer to take away", class_name());
  const std::shared_ptr<Layer> last = stack_.back();
  stack_.pop_back();
  outputs_.resize(std::min(outputs_.size(), stack_.size()));
  if (std::find(stack_.begin(), stack_.end(), last) == stack_.end()) untrack(last->name());
}

std::vector<std::string> Sequential::input_names() const { return {input_ ? input_->name() : "input"}; }
std::vector<std::string> Sequential::output_names() const { return {stack_.empty() ? "output" : stack_.back()->name()}; }
std::vector<std::shared_ptr<Layer>> Sequential::layers() const {
  std::vector<std::shared_ptr<Layer>> result;  // each once
  for (const auto& layer : stack_)
    if (std::find(result.begin(), result.end(), layer) == result.end()) result.push_back(layer);
  return result;
}
std::vector<autodiff::InputSpec> Sequential::input_specs() const {
  if (!input_) return {};
  return {input_->spec()};
}
std::string Sequential::output_shape_of(const Layer& layer) const {
  for (std::size_t i = outputs_.size(); i-- > 0;)
    if (stack_[i].get() == &layer) return to_string(outputs_[i]);
  return "?";
}

void Sequential::fields(Fields& f) {
  Model::fields(f);
  const auto described = [&] {
    Json layers = Json::array();
    if (input_) layers.push_back(serialize(*input_));
    for (const auto& layer : stack_) layers.push_back(serialize(*layer));
    return layers;
  };
  const Json written = described();
  Json layers = written;
  f.field("layers", layers);
  const auto sizes = [&]() -> Json {
    if (!input_) return nullptr;
    return input_->config()["batch_shape"];
  };
  Json build_shape = sizes();
  if (layers != written) {
    require(layers.is_array(), "'layers' must be a list, got " + layers.dump());
    while (!stack_.empty()) pop();
    input_ = nullptr;
    std::map<std::string, std::shared_ptr<Layer>> named;  // one that stands twice is one layer
    for (const Json& layer : layers) {
      std::shared_ptr<Layer>& known = named[layer.dump()];
      const bool has_name = layer.is_object() && layer.contains("config") && layer["config"].contains("name");
      if (!known || !has_name) known = deserialize<Layer>(layer).ptr();
      add(Ref<Layer>(known));
    }
    build_shape = sizes();
  }
  f.field("build_input_shape", build_shape);
  if (layers == written) return;
  if (!input_ && build_shape.is_array() && !build_shape.empty()) {  // an input of any dtype: the one that the layers compute in
    input_ = std::make_shared<InputLayer>();
    configure(*input_, Json{{"batch_shape", build_shape}, {"dtype", lockstep::name(compute_dtype())}, {"name", "input_layer"}});
  }
  if (input_) build_for(std::span<const Shape>());
}

/// Finds the output shapes of all layers, which builds them.
void Sequential::infer() {
  std::vector<autodiff::InputSpec> specs = {input_ ? input_->spec() : first_};
  outputs_.resize(std::min(outputs_.size(), stack_.size()));
  for (const autodiff::InputSpec& known : outputs_) specs.push_back(known);
  for (std::size_t i = outputs_.size(); i < stack_.size(); ++i) {
    const std::vector<autodiff::InputSpec> found = infer_outputs(*stack_[i], {&specs.back(), 1});
    require(found.size() == 1, "the layer '" + stack_[i]->name() + "' has " + std::to_string(found.size()) + " outputs; a Sequential passes on one");
    outputs_.push_back(found.front());
    specs.push_back(found.front());
  }
}

void Sequential::build(std::span<const Shape> inputs) {
  if (!input_) {
    require(inputs.size() == 1, "the model takes one input, got " + std::to_string(inputs.size()));
    first_ = {build_dtypes().empty() ? compute_dtype() : build_dtypes()[0], Ints(inputs[0].begin(), inputs[0].end())};
    if (!first_.shape.empty()) first_.shape[0] = -1;
  }
  outputs_.clear();
  infer();
}

Tensors Sequential::call(std::span<const Tensor> inputs, const CallOptions& options) {
  require(inputs.size() == 1, "the model takes one input, got " + std::to_string(inputs.size()));
  Tensor x = inputs[0], mask = options.mask_of(0);
  for (const auto& layer : stack_) {
    CallOptions passed;
    if (mask.defined()) passed.mask = {mask};
    const Tensor y = (*layer)(x, passed);
    mask = fitting_mask(layer->compute_mask({&x, 1}, passed), y);
    x = y;
  }
  set_output_masks({mask});
  return {x};
}

}  // namespace lockstep::nn

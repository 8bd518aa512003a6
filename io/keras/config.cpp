#include <lockstep/io/keras/config.h>

#include <algorithm>
#include <new>
#include <set>
#include <stdexcept>

#include <lockstep/tensor/base/snake_case.h>

namespace lockstep::io::keras {
namespace {

constexpr int kMostDepth = 256;             // of nested values; a model in a model costs 4
constexpr std::size_t kMostWord = 65536;    // characters of a text
constexpr std::size_t kMostMessage = 4000;  // characters of an error

template <class E>
[[noreturn]] void rethrow(const std::string& where, const E& error) {
  std::string text = error.what();
  if (text.size() > kMostMessage) text = text.substr(0, kMostMessage) + " ...";
  throw E(where + ": " + text);
}

template <class E>
void rethrow_if(const std::string& where, const Error& error) {
  if (const auto* kind = dynamic_cast<const E*>(&error)) rethrow(where, *kind);
}

void refuse_code(const Json& json) {
  if (json.is_object()) {
    const auto is = [&](const char* key, const char* value) { return json.contains(key) && json[key] == value; };
    if (is("class_name", "__lambda__") || is("function_type", "lambda"))
      throw InvalidArgumentError("it holds a Python lambda as code, and code of a file is never run", "Lambda", "give the function a name, and pass it as a custom object");
  }
  if (json.is_structured())
    for (const Json& each : json) refuse_code(each);
}

/// What Keras wraps a tuple in.
const Json& unwrapped(const Json& json) { return json.is_object() && json.value("class_name", Json()) == "__tuple__" && json.contains("items") ? json["items"] : json; }

/// One loss or metric: a name, a function, or an object.
template <class Base>
nn::Choice<Base> choice(const Json& json) {
  if (json.is_null()) return {};
  if (json == "accuracy" || json == "acc" || json == "crossentropy" || json == "ce") return json.get<std::string>();  // by the shapes
  const Ref<Base> object = deserialize<Base>(json);
  // A name is kept as a name, for that is what it is shown by; one of the user's is known only while the file is read.
  const bool custom = !object->function_name().empty() || serialize(*object)["module"].is_null();
  return json.is_string() && !custom ? nn::Choice<Base>(json.get<std::string>()) : nn::Choice<Base>(object);
}

bool is_component(const Json& json) { return json.is_object() && json.contains("class_name"); }

nn::PerOutput<nn::LossChoice> losses(const Json& given) {
  const Json& json = unwrapped(given);
  if (json.is_null()) return {};
  if (json.is_array()) {
    std::vector<nn::LossChoice> list;
    for (const Json& each : json) list.push_back(choice<nn::Loss>(each));
    return list;
  }
  if (json.is_object() && !is_component(json)) {
    std::map<std::string, nn::LossChoice> named;
    for (const auto& [name, each] : json.items()) named[name] = choice<nn::Loss>(each);
    return named;
  }
  return choice<nn::Loss>(json);
}

nn::PerOutput<double> weights(const Json& given) {
  const Json& json = unwrapped(given);
  if (json.is_null()) return {};
  const auto number = [](const Json& each) { return each.is_null() ? 1.0 : each.get<double>(); };
  if (json.is_array()) {
    std::vector<double> list;
    for (const Json& each : json) list.push_back(number(each));
    return list;
  }
  if (json.is_object()) {
    std::map<std::string, double> named;
    for (const auto& [name, each] : json.items()) named[name] = number(each);
    return named;
  }
  return number(json);
}

nn::MetricList metric_list(const Json& given) {
  const Json& json = unwrapped(given);
  nn::MetricList list;
  if (json.is_null()) return list;
  if (!json.is_array()) return {choice<nn::Metric>(json)};
  for (const Json& each : json) list.push_back(choice<nn::Metric>(each));
  return list;
}

nn::MetricChoices metrics(const Json& given, const std::vector<std::string>& outputs) {
  const Json& json = unwrapped(given);
  if (json.is_null()) return {};
  if (json.is_object() && !is_component(json)) {
    std::map<std::string, nn::MetricList> named;
    for (const auto& [name, each] : json.items()) named[name] = metric_list(each);
    return nn::MetricChoices(nn::PerOutput<nn::MetricList>(named).resolve(outputs, "metrics"));
  }
  const auto per_output = [](const Json& each) { return unwrapped(each).is_array() || each.is_null(); };
  if (json.is_array() && std::any_of(json.begin(), json.end(), per_output)) {
    std::vector<nn::MetricList> lists;
    for (const Json& each : json) lists.push_back(metric_list(each));
    return nn::MetricChoices(std::move(lists));
  }
  std::vector<nn::MetricChoice> flat;
  for (nn::MetricChoice& each : metric_list(json)) flat.push_back(std::move(each));
  return nn::MetricChoices(std::move(flat));
}

/// A component, with a function of the user's as Keras writes one.
Json described(const Component& component) {
  Json json = serialize(component);
  if (json.is_string()) return {{"module", "builtins"}, {"class_name", "function"}, {"config", json}, {"registered_name", "function"}};
  return json;
}

/// "mse" -> "mean_squared_error": Keras's reader of legacy files takes a loss's alias for a metric's and fails.
std::string full_name(const std::string& identifier) {
  nn::Loss::register_builtins();
  for (const ComponentClass& entry : registered_classes())
    if (entry.module == nn::Loss::kModule && std::find(entry.aliases.begin(), entry.aliases.end(), identifier) != entry.aliases.end()) return snake_case(entry.name);
  return identifier;
}

template <class Base>
Json described(const nn::Choice<Base>& choice) {
  if (!choice.given()) return nullptr;
  return choice.identifier().empty() ? described(*choice.object()) : Json(choice.identifier());
}

Json described(const nn::MetricChoices& choices, const std::vector<std::string>& outputs, const char* what) {
  if (choices.empty()) return nullptr;
  Json lists = Json::array();
  for (const nn::MetricList& list : choices.resolve(outputs, what)) {
    Json one = Json::array();
    for (const nn::MetricChoice& each : list) one.push_back(described(each));
    lists.push_back(std::move(one));
  }
  return outputs.size() == 1 ? Json(lists[0]) : lists;
}

Json free_batch(const Shape& shape) {
  Json json = Json::array();
  for (int axis = 0; axis < shape.ndim(); ++axis) json.push_back(axis == 0 ? Json(nullptr) : Json(shape[axis]));
  return json;
}

/// Keras serializes a class by the name under which it exports it, which for one of them is not its own.
void use_exported_names(Json& json) {
  if (json.is_object() && json.value("class_name", Json()) == "GroupedQueryAttention" && json.value("module", Json()) == nn::Layer::kModule) json["class_name"] = "GroupQueryAttention";
  if (json.is_structured())
    for (Json& each : json) use_exported_names(each);
}

}  // namespace

void in_place(const std::string& where, const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    rethrow_if<TypeError>(where, error);
    rethrow_if<InvalidArgumentError>(where, error);
    rethrow_if<NotFoundError>(where, error);
    rethrow_if<AlreadyExistsError>(where, error);
    rethrow_if<FailedPreconditionError>(where, error);
    rethrow_if<UnimplementedError>(where, error);
    rethrow_if<ResourceExhaustedError>(where, error);
    rethrow_if<DataLossError>(where, error);
    throw;
  } catch (const nlohmann::json::exception& error) {  // a value of another type than it should have
    rethrow(where, DataLossError(error.what()));
  } catch (const std::bad_alloc&) {
    throw ResourceExhaustedError(where + ": there is not enough memory for the model it describes");
  } catch (const std::length_error&) {
    throw ResourceExhaustedError(where + ": there is not enough memory for the model it describes");
  }
}

namespace {

Json parse_safely(const std::string& text) {
  const auto watch = [](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMostDepth) throw DataLossError("its values are nested more than " + std::to_string(kMostDepth) + " deep");
    if ((event == Json::parse_event_t::key || event == Json::parse_event_t::value) && value.is_string() && value.get_ref<const std::string&>().size() > kMostWord)
      throw DataLossError("it has a text of " + std::to_string(value.get_ref<const std::string&>().size()) + " characters; no configuration has more than " + std::to_string(kMostWord));
    return true;
  };
  Json json;
  try {
    json = Json::parse(text, watch);
  } catch (const nlohmann::json::exception& error) {
    throw DataLossError(std::string("it is no JSON: ") + error.what());
  }
  if (!json.is_object()) throw DataLossError("it is no JSON object");
  refuse_code(json);
  return json;
}

}  // namespace

Json parse_training_config(const std::string& text) { return parse_safely(text); }

Json parse_config(const std::string& text) {
  Json json = parse_safely(text);
  if (!json.contains("class_name") || !json["class_name"].is_string() || !json.contains("config")) throw DataLossError("it describes no model: \"class_name\" and \"config\" are missing");
  return json;
}

nn::CompileOptions compile_options(const Json& config, const std::vector<std::string>& outputs) {
  const auto get = [&](const char* key) { return config.contains(key) ? config.at(key) : Json(); };
  nn::CompileOptions options;
  const Json optimizer = config.contains("optimizer_config") ? get("optimizer_config") : get("optimizer");
  if (!optimizer.is_null()) options.optimizer = deserialize<optim::Optimizer>(optimizer);
  options.loss = losses(get("loss"));
  options.loss_weights = weights(get("loss_weights"));
  options.metrics = metrics(get("metrics"), outputs);
  options.weighted_metrics = metrics(get("weighted_metrics"), outputs);
  options.run_eagerly = get("run_eagerly") == true;
  return options;
}

Json compile_config(const nn::Model& model, bool legacy) {
  const nn::CompileOptions& options = model.compile_options();
  const std::vector<std::string> outputs = model.output_names();
  Json loss, loss_weights;
  if (!options.loss.empty()) {
    loss = Json::array();
    for (const nn::LossChoice& each : options.loss.resolve(outputs, "loss", true)) loss.push_back(legacy && !each.identifier().empty() ? Json(full_name(each.identifier())) : described(each));
    if (outputs.size() == 1) loss = Json(loss[0]);
  }
  if (!options.loss_weights.empty()) {
    loss_weights = Json::array();
    for (const double each : options.loss_weights.resolve(outputs, "loss_weights")) loss_weights.push_back(each);
  }
  Json config;
  if (!legacy) config["optimizer"] = serialize(*options.optimizer);
  config["loss"] = loss;
  config["loss_weights"] = loss_weights;
  config["metrics"] = described(options.metrics, outputs, "metrics");
  config["weighted_metrics"] = described(options.weighted_metrics, outputs, "weighted_metrics");
  config["run_eagerly"] = options.run_eagerly;
  config["steps_per_execution"] = 1;
  config["jit_compile"] = false;
  if (legacy) config["optimizer_config"] = serialize(*options.optimizer);
  return config;
}

Json model_config(const nn::Model& model) {
  Json json = serialize(model);
  use_exported_names(json);
  Json shape;
  if (model.build_shapes().size() == 1) shape = free_batch(model.build_shapes()[0]);
  // A model whose first call told it its input: without the shape Keras would have no weights to fill.
  Json& config = json["config"];
  if (config.contains("build_input_shape") && config["build_input_shape"].is_null()) config["build_input_shape"] = shape;
  if (config.contains("build_input_shape") && shape.is_null()) shape = config["build_input_shape"];
  json["build_config"] = {{"input_shape", shape}};
  return json;
}

void require_expressible(const Json& config) {
  if (!config.is_structured()) return;
  if (config.is_object() && config.value("class_name", Json()) == "Sequential" && config["config"].contains("layers")) {
    std::set<std::string> names;
    for (const Json& layer : config["config"]["layers"])
      if (const std::string name = layer["config"].value("name", ""); !names.insert(name).second)
        throw InvalidArgumentError("the layer '" + name + "' stands twice in the Sequential '" + config["config"].value("name", "") + "', which Keras's files cannot say", "save_keras", "write the model down as a Functional, or save the weights alone");
  }
  for (const Json& each : config) require_expressible(each);
}

Json legacy_form(Json json) {
  if (json.is_array())
    for (Json& each : json) each = legacy_form(each);
  if (!json.is_object()) return json;
  if (!is_component(json)) {
    for (auto& [key, each] : json.items()) each = legacy_form(each);
    return json;
  }
  if (json["class_name"] == "function") return json["config"];
  if (json["class_name"] == "GroupQueryAttention") json["class_name"] = "GroupedQueryAttention";  // by the class's own name
  const Json registered = json.value("registered_name", Json());
  if (registered.is_string() && registered != "Functional") json["class_name"] = registered;
  for (const char* key : {"module", "registered_name", "build_config"}) json.erase(key);
  if (json["config"].is_object() && json["config"].contains("layers"))
    for (Json& layer : json["config"]["layers"]) layer = legacy_form(layer);
  return json;
}

std::shared_ptr<nn::Model> build_model(const Json& config, const std::string& where) {
  std::shared_ptr<nn::Model> model;
  in_place(where, [&] {
    const Ref<nn::Layer> layer = deserialize<nn::Layer>(config);
    model = std::dynamic_pointer_cast<nn::Model>(layer.ptr());
    if (!model) throw InvalidArgumentError("a " + layer->class_name() + " is no model");
    if (model->built()) return;
    const Json shape = config.value("build_config", Json::object()).value("input_shape", Json());
    if (!shape.is_array() || shape.empty()) throw InvalidArgumentError("the file does not say for what input the model's weights are made");
    std::vector<Shape> shapes;
    for (const Json& each : shape[0].is_array() ? shape : Json::array({shape})) {
      Shape sizes;
      for (const Json& size : each) {
        if (!size.is_null() && !size.is_number_integer()) throw InvalidArgumentError("an input's sizes are whole numbers or null, got " + shape.dump());
        sizes.push_back(size.is_null() ? 1 : size.get<std::int64_t>());
      }
      shapes.push_back(sizes);
    }
    model->build_for(std::span<const Shape>(shapes));
  });
  return model;
}

}  // namespace lockstep::io::keras

#include <lockstep/io/keras/weights.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include <lockstep/dist/collectives.h>
#include <lockstep/dist/world.h>
#include <lockstep/nn/functional.h>
#include <lockstep/nn/layers/attention.h>
#include <lockstep/nn/layers/normalization.h>
#include <lockstep/nn/layers/recurrent.h>
#include <lockstep/nn/sequential.h>
#include <lockstep/optim/wrappers.h>
#include <lockstep/tensor/base/snake_case.h>
#include <lockstep/tensor/base/warning.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io::keras {
namespace {

using LayerPtr = std::shared_ptr<nn::Layer>;

/// A layer's weights without those that only its sublayers have.
std::vector<Variable> own_variables(const nn::Layer& layer) {
  std::vector<Variable> own;
  for (const nn::Weight& weight : layer.own_weights()) own.push_back(weight.variable());
  return own;
}

/// Names of the layers, or optimizers, in a list: the class's, numbered from the second of a class on.
class ClassNames {
 public:
  std::string next(const Component& one) {
    const std::string stem = snake_case(one.class_name());
    const int number = count_[stem]++;
    return number == 0 ? stem : stem + "_" + std::to_string(number);
  }

 private:
  std::map<std::string, int> count_;
};

/// Walks a model as Keras's saving does: over its list of layers, or over the attributes of an object by name, each layer once.
class Walk {
 public:
  /// With the file that is to be read, if there is one: it tells whether "block_0" is a layer in the list "block" or an attribute of that name.
  explicit Walk(const hdf5::File* file = nullptr) : file_(file) {}

  std::vector<Group> groups;

  void visit(const LayerPtr& layer, const std::string& path) {
    if (visited_.insert(layer.get()).second) enter(*layer, path);
  }
  void enter(const nn::Layer& layer, const std::string& path) {
    groups.push_back({path, layer.name(), own_variables(layer)});
    const std::string prefix = path.empty() ? "" : path + "/";
    if (const auto* sequential = dynamic_cast<const nn::Sequential*>(&layer)) return list(stack(*sequential), prefix + "layers");
    if (const auto* functional = dynamic_cast<const nn::Functional*>(&layer)) return list(functional->layers(), prefix + "layers");
    if (dynamic_cast<const nn::StackedRNNCells*>(&layer)) return list(children(layer), prefix + "cells");
    // A subclassed model has an attribute `layers` too: what comes behind it by name is found there first.
    const auto* model = dynamic_cast<const nn::Model*>(&layer);
    bool listed = model == nullptr;
    const auto list_once = [&] {
      if (!listed) list(model->layers(), prefix + "layers");
      listed = true;
    };
    for (const auto& [key, attribute] : attributes(layer, prefix)) {
      if (key > "layers") list_once();
      if (attribute.is_list) list(attribute.layers, prefix + attribute.name);
      else visit(attribute.layers[0], prefix + attribute.name);
    }
    list_once();
  }

 private:
  static std::vector<LayerPtr> children(const nn::Layer& layer) {
    std::vector<LayerPtr> result;
    for (const auto& child : layer.sublayers()) result.push_back(child.layer);
    return result;
  }
  /// With those that stand twice: they count twice.
  static std::vector<LayerPtr> stack(const nn::Sequential& model) {
    const std::vector<LayerPtr> known = model.layers();
    std::vector<LayerPtr> result;
    const Json config = model.config();
    for (const Json& entry : config["layers"])
      for (const LayerPtr& layer : known)
        if (layer->name() == entry["config"].value("name", "")) result.push_back(layer);
    return result.size() < known.size() ? known : result;
  }
  struct Attribute {
    std::string name;
    bool is_list;
    std::vector<LayerPtr> layers;
  };
  /// By the key by which Keras sorts them: private ones ("_gate") come last.
  std::map<std::string, Attribute> attributes(const nn::Layer& layer, const std::string& prefix) const {
    std::map<std::string, LayerPtr> single;
    for (std::size_t i = 0; i < layer.sublayers().size(); ++i) single.emplace(called(layer, i), layer.sublayers()[i].layer);
    const auto key = [](const std::string& name) { return name.starts_with("_") ? "~" + name : name; };
    std::map<std::string, Attribute> result;
    for (const auto& [name, child] : single) {
      // "hidden_0", "hidden_1", ... are what a Python class has as the list "hidden".
      const std::size_t end = name.rfind("_0");
      const std::string stem = end != std::string::npos && end > 0 && end + 2 == name.size() ? name.substr(0, end) : "";
      if (stem.empty() || single.contains(stem) || (file_ && file_->contains(prefix + name))) continue;
      Attribute& list = result[key(stem)] = {stem, true, {}};
      for (auto next = single.find(name); next != single.end(); next = single.find(stem + "_" + std::to_string(list.layers.size()))) list.layers.push_back(next->second);
    }
    for (const auto& [name, child] : single)
      if (std::none_of(result.begin(), result.end(), [&, &child = child](const auto& each) { return each.second.is_list && std::find(each.second.layers.begin(), each.second.layers.end(), child) != each.second.layers.end(); }))
        result.emplace(key(name), Attribute{name, false, {child}});
    return result;
  }
  /// What Keras's class calls a sublayer.
  static std::string called(const nn::Layer& layer, std::size_t i) {
    const std::string& name = layer.sublayers()[i].name;
    if (dynamic_cast<const nn::Bidirectional*>(&layer)) return i == 0 ? "forward_layer" : "backward_layer";
    if (dynamic_cast<const nn::TimeDistributed*>(&layer) || dynamic_cast<const nn::SpectralNormalization*>(&layer)) return "layer";
    if (dynamic_cast<const nn::RNN*>(&layer)) return "cell";
    if (dynamic_cast<const nn::HeadedAttention*>(&layer)) {
      const std::string kind = name == "attention_output" ? "output_dense" : name + "_dense";
      return dynamic_cast<const nn::MultiHeadAttention*>(&layer) && kind != "gate_dense" ? kind : "_" + kind;
    }
    return name;
  }
  void list(const std::vector<LayerPtr>& layers, const std::string& path) {
    ClassNames names;
    for (const LayerPtr& layer : layers) {
      const std::string name = names.next(*layer);
      visit(layer, path + "/" + name);
    }
  }

  const hdf5::File* file_;
  std::unordered_set<const nn::Layer*> visited_;
};

std::string joined(const std::string& path, const std::string& name) { return path.empty() ? name : path + "/" + name; }

/// The optimizer's state, if it has any yet.
std::vector<Group> optimizer_groups(const nn::Model& model) {
  if (!model.compiled()) return {};
  optim::Optimizer& optimizer = model.optimizer();
  if (!optimizer.built()) return {};
  std::vector<Group> groups = {{"optimizer", optimizer.name(), optimizer.variables()}};
  // Keras has the state of an optimizer within it twice.
  if (const auto* scaled = dynamic_cast<const optim::LossScaleOptimizer*>(&optimizer)) groups.push_back({"optimizer/inner_optimizer", scaled->inner_optimizer()->name(), scaled->inner_optimizer()->variables()});
  if (const auto* several = dynamic_cast<const optim::MultiOptimizer*>(&optimizer)) {
    ClassNames names;
    for (const Ref<optim::Optimizer>& each : several->optimizers()) groups.push_back({"optimizer/optimizers/" + names.next(*each), each->name(), each->variables()});
  }
  return groups;
}

/// Makes its state, as the first batch would.
void build_optimizer(const nn::Model& model) {
  if (model.compile_options().shard_optimizer_state && !model.optimizer().built()) model.optimizer().shard_state();
  model.optimizer().build(model.trainable_variables());
}

WholeShapes whole_shapes(const optim::Optimizer& optimizer) {
  WholeShapes shapes;
  for (const auto& [variable, whole] : optimizer.sharded_variables()) shapes.emplace(variable.key(), whole);
  return shapes;
}

/// Keras keeps the learning rate as float32, and so every float that is no weight.
Tensor as_keras_has_it(const Variable& variable, const WholeState& whole) {
  if (const auto found = whole.find(variable.key()); found != whole.end()) return found->second;
  const Tensor value = variable.value();
  return variable.shape().ndim() == 0 && value.dtype() == float64 ? cast(value, float32) : value;
}

void write_groups(hdf5::File& file, const std::vector<Group>& groups, const WholeState& whole = {}) {
  for (const Group& group : groups) {
    const std::string vars = joined(group.path, "vars");
    file.make_group(vars);
    file.set_attribute(vars, "name", group.name);
    for (std::size_t i = 0; i < group.variables.size(); ++i)
      file.write(vars + "/" + std::to_string(i), group.path.starts_with("optimizer") ? as_keras_has_it(group.variables[i], whole) : group.variables[i].value());
  }
}

std::size_t datasets_in(const hdf5::File& file, const std::string& group) {
  if (!file.contains(group)) return 0;
  const auto entries = file.entries(group);
  return std::size_t(std::count_if(entries.begin(), entries.end(), [](const auto& entry) { return !entry.group; }));
}

void add_groups(Assignments& into, const hdf5::File& file, const std::vector<Group>& groups) {
  for (const Group& group : groups) {
    const std::string vars = joined(group.path, "vars");
    const std::size_t found = datasets_in(file, vars);
    for (std::size_t i = 0; i < std::max(found, group.variables.size()); ++i) {
      const std::string path = vars + "/" + std::to_string(i);
      if (i < group.variables.size()) into.add(group.variables[i], path, group.variables[i].path());
      else into.differ("'" + path + "' is in the file, but '" + group.name + "' has " + std::to_string(group.variables.size()) + " weights");
    }
  }
}

/// Groups of the file that no layer of the model asks for.
void add_unasked(Assignments& into, const hdf5::File& file, const std::string& path, const std::set<std::string>& asked, int depth = 0) {
  constexpr int kMostDepth = 64;
  if (depth > kMostDepth) throw DataLossError("its groups are nested more than " + std::to_string(kMostDepth) + " deep");
  for (const auto& entry : file.entries(path.empty() ? "/" : path)) {
    const std::string inner = joined(path, entry.name);
    if (inner == "optimizer" || inner == "metrics" || !entry.group) continue;  // (before version 3 Keras kept the metrics' states)
    if (entry.name == "vars" && !asked.contains(inner) && datasets_in(file, inner) > 0) into.differ("'" + inner + "' is in the file, but the model has no such layer");
    if (entry.name != "vars") add_unasked(into, file, inner, asked, depth + 1);
  }
}

}  // namespace

std::vector<Group> weight_groups(const nn::Model& model, const hdf5::File* file) {
  Walk walk(file);
  walk.enter(model, "");
  return walk.groups;
}

// ---- Assignments

const Shape& Assignments::shape_of(const Variable& variable) const {
  const auto whole = wholes_.find(variable.key());
  return whole == wholes_.end() ? variable.shape() : whole->second;
}

void Assignments::add(const Variable& variable, const std::string& path, const std::string& known_as) {
  if (!file_.contains(path)) return differ("'" + path + "' (" + known_as + ") is missing");
  const TensorSpec spec = file_.spec(path);
  if (spec.shape != shape_of(variable)) return differ("'" + path + "' has shape " + to_string(spec.shape) + ", " + known_as + " has " + to_string(shape_of(variable)));
  if (spec.dtype == string || spec.dtype == complex64 || spec.dtype == complex128) return differ("'" + path + "' has elements of " + std::string(name(spec.dtype)) + ", " + known_as + " of " + std::string(name(variable.dtype())));
  values_.push_back({variable, path});
}

namespace {

Tensor as_dtype(const Tensor& tensor, DType dtype) { return tensor.dtype() == dtype ? tensor : cast(tensor, dtype); }

/// A learning rate that the configuration says in float64 stays as it is where the file has it in float32.
bool is_as_exact(const Variable& variable, DType in_file, const Tensor& value) {
  return variable.shape().ndim() == 0 && variable.dtype() == float64 && in_file == float32 && cast(variable.value(), float32).item<float>() == float(value.item<double>());
}

}  // namespace

void Assignments::apply() {
  if (!differences_.empty()) {
    constexpr std::size_t kShown = 10;
    std::string text = "the weights are another model's:";
    for (std::size_t i = 0; i < std::min(kShown, differences_.size()); ++i) text += "\n  " + differences_[i];
    if (differences_.size() > kShown) text += "\n  and " + std::to_string(differences_.size() - kShown) + " more";
    throw InvalidArgumentError(text);
  }
  std::vector<Tensor> found;
  for (const Value& value : values_) found.push_back(read(value));
  for (std::size_t i = 0; i < found.size(); ++i)
    if (!is_as_exact(values_[i].variable, file_.spec(values_[i].path).dtype, found[i])) values_[i].variable.assign(found[i]);
}

Tensor Assignments::read(const Value& value) const {
  const DeviceScope host{Device()};
  const Variable& variable = value.variable;
  if (variable.kind() != StateKind::sharded) return as_dtype(file_.read(value.path), variable.dtype());
  // The ranks have as many elements each, the last ones zeros at the end.
  const std::int64_t each = variable.shape().numel(), all = shape_of(variable).numel();
  const std::int64_t begin = std::min(all, each * dist::rank()), end = std::min(all, begin + each);
  const Tensor part = as_dtype(file_.read(value.path, begin, end), variable.dtype());
  return end - begin == each ? part : concat(std::array{part, zeros({each - (end - begin)}, variable.dtype())}, 0);
}

std::int64_t count_weights(const hdf5::File& file) {
  constexpr int kMostDepth = 64;
  const std::function<std::int64_t(const std::string&, int)> count = [&](const std::string& group, int depth) {
    if (depth > kMostDepth) throw DataLossError("its groups are nested more than " + std::to_string(kMostDepth) + " deep");
    std::int64_t total = 0;
    for (const auto& entry : file.entries(group)) {
      const std::string path = (group == "/" ? "" : group) + "/" + entry.name;
      total += entry.group ? count(path, depth + 1) : file.spec(path).shape.numel();
    }
    return total;
  };
  return count("/", 0);
}

// ---- .weights.h5

WholeState gather_state(const nn::Model& model) {
  WholeState state;
  if (!model.compiled() || !model.optimizer().built()) return state;
  for (const auto& [variable, whole] : model.optimizer().sharded_variables()) {
    const Tensor all = dist::all_gather(variable.value());
    if (dist::is_chief()) state.emplace(variable.key(), Tensor::view(all, whole, 0));
  }
  return state;
}

void write_weights(hdf5::File& file, const nn::Model& model, const WholeState& whole) {
  write_groups(file, weight_groups(model));
  write_groups(file, optimizer_groups(model), whole);
}

namespace {

/// Keras 2.12 to 2.15 called the list of a model's layers otherwise.
void find_older_names(std::vector<Group>& groups, const hdf5::File& file) {
  const std::string now = "layers", then = "_layer_checkpoint_dependencies";
  if (!file.contains(then)) return;
  for (Group& group : groups) {
    std::string older = group.path;
    for (std::size_t at = 0; (at = older.find(now, at)) != std::string::npos; at += then.size()) older.replace(at, now.size(), then);
    if (!file.contains(joined(group.path, "vars")) && file.contains(joined(older, "vars"))) group.path = older;
  }
}

}  // namespace

void read_weights(const hdf5::File& file, const nn::Model& model) {
  std::vector<Group> groups = weight_groups(model, &file);
  find_older_names(groups, file);
  Assignments weights(file);
  add_groups(weights, file, groups);
  std::set<std::string> asked;
  for (const Group& group : groups) asked.insert(joined(group.path, "vars"));
  add_unasked(weights, file, "", asked);
  weights.apply();
  if (!model.compiled() || !file.contains("optimizer")) return;
  build_optimizer(model);
  const std::vector<Group> optimizer = optimizer_groups(model);
  Assignments state(file, whole_shapes(model.optimizer()));
  add_groups(state, file, optimizer);
  if (!state.differences().empty()) return warn("load_keras", "the optimizer's state is not the one of '" + model.optimizer().name() + "' and begins anew: " + state.differences()[0]);
  state.apply();
}

// ---- legacy .h5

namespace {

constexpr std::size_t kMostAttributeBytes = 64512;  // Keras's limit too

/// A list that is too long for one attribute becomes several: NAME0, NAME1, ...
void write_names(hdf5::File& file, const std::string& group, const std::string& name, const std::vector<std::string>& texts) {
  std::size_t longest = 1;
  for (const std::string& text : texts) longest = std::max(longest, text.size());
  const std::size_t most = std::max<std::size_t>(1, kMostAttributeBytes / longest);
  if (texts.size() <= most) return file.set_attribute(group, name, texts);
  for (std::size_t begin = 0, part = 0; begin < texts.size(); begin += most, ++part)
    file.set_attribute(group, name + std::to_string(part), std::vector<std::string>(texts.begin() + std::ptrdiff_t(begin), texts.begin() + std::ptrdiff_t(std::min(begin + most, texts.size()))));
}
std::vector<std::string> read_names(const hdf5::File& file, const std::string& group, const std::string& name) {
  if (file.has_attribute(group, name)) return file.attribute_list(group, name);
  std::vector<std::string> texts;
  for (int part = 0; file.has_attribute(group, name + std::to_string(part)); ++part)
    for (std::string& text : file.attribute_list(group, name + std::to_string(part))) texts.push_back(std::move(text));
  return texts;
}

/// In the order of the legacy format: first all that are trained, of the sublayers too.
std::vector<Variable> legacy_variables(const nn::Layer& layer) {
  std::vector<Variable> result;
  for (const auto& weights : {layer.trainable_weights(), layer.non_trainable_weights()})
    for (const nn::Weight& weight : weights) result.push_back(weight.variable());
  return result;
}

}  // namespace

void write_legacy_weights(hdf5::File& file, const nn::Model& model, const WholeState& whole) {
  const std::string group = "model_weights";
  file.make_group(group);
  std::vector<std::string> names;
  for (const LayerPtr& layer : model.layers()) {
    const std::string inner = group + "/" + layer->name();
    file.make_group(inner);
    std::vector<std::string> paths;
    for (const Variable& variable : legacy_variables(*layer)) {
      paths.push_back(variable.path());
      file.write(inner + "/" + variable.path(), variable.value());
    }
    write_names(file, inner, "weight_names", paths);
    names.push_back(layer->name());
  }
  write_names(file, group, "layer_names", names);
  file.set_attribute(group, "backend", std::string("tensorflow"));
  file.set_attribute(group, "keras_version", std::string("3.15.1"));
  file.make_group(group + "/top_level_model_weights");
  write_names(file, group + "/top_level_model_weights", "weight_names", {});

  const std::vector<Group> optimizer = optimizer_groups(model);
  if (optimizer.empty()) return;
  std::vector<std::string> paths;
  file.make_group("optimizer_weights");
  for (const Variable& variable : optimizer[0].variables) {
    paths.push_back(variable.path());
    file.write("optimizer_weights/" + paths.back(), as_keras_has_it(variable, whole));
  }
  write_names(file, "optimizer_weights", "weight_names", paths);
}

void read_legacy_weights(const hdf5::File& file, const nn::Model& model, const std::string& group) {
  std::vector<LayerPtr> layers = model.layers();
  std::erase_if(layers, [](const LayerPtr& layer) { return layer->weights().empty(); });
  struct Saved {
    std::string group;
    std::vector<std::string> weights;
  };
  std::vector<Saved> saved;
  const std::string prefix = group == "/" ? "" : group + "/";
  for (const std::string& name : read_names(file, group, "layer_names"))
    if (std::vector<std::string> weights = read_names(file, prefix + name, "weight_names"); !weights.empty()) saved.push_back({prefix + name, std::move(weights)});
  Assignments values(file);
  for (std::size_t i = 0; i < std::max(layers.size(), saved.size()); ++i) {
    if (i >= saved.size()) values.differ("layer '" + layers[i]->name() + "' is missing");
    else if (i >= layers.size()) values.differ("'" + saved[i].group + "' is in the file, but the model has " + std::to_string(layers.size()) + " layers with weights");
    else {
      const std::vector<Variable> variables = legacy_variables(*layers[i]);
      if (variables.size() != saved[i].weights.size())
        values.differ("'" + saved[i].group + "' has " + std::to_string(saved[i].weights.size()) + " weights, layer '" + layers[i]->name() + "' has " + std::to_string(variables.size()));
      else
        for (std::size_t k = 0; k < variables.size(); ++k) values.add(variables[k], saved[i].group + "/" + saved[i].weights[k], variables[k].path());
    }
  }
  values.apply();
}

void read_legacy_optimizer(const hdf5::File& file, const nn::Model& model) {
  if (!file.contains("optimizer_weights")) return;
  build_optimizer(model);
  const std::vector<Variable> variables = optimizer_groups(model)[0].variables;
  const std::vector<std::string> names = read_names(file, "optimizer_weights", "weight_names");
  Assignments state(file, whole_shapes(model.optimizer()));
  if (names.size() != variables.size()) state.differ("the file has " + std::to_string(names.size()) + " variables of it, '" + model.optimizer().name() + "' has " + std::to_string(variables.size()));
  for (std::size_t i = 0; i < std::min(names.size(), variables.size()); ++i) state.add(variables[i], "optimizer_weights/" + names[i], variables[i].path());
  // Before Keras 3 the slots stood in another order.
  const bool keras3 = file.has_attribute("model_weights", "keras_version") && file.attribute("model_weights", "keras_version").starts_with("3");
  if (!keras3) state.differ("the file was written before Keras 3, which has the variables in another order");
  if (!state.differences().empty()) return warn("load_keras", "the optimizer's state in '" + file.path() + "' cannot be restored and begins anew, as in Keras: " + state.differences()[0]);
  state.apply();
}

}  // namespace lockstep::io::keras

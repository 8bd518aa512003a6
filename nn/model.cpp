#include <lockstep/nn/model.h>

#include <algorithm>
#include <map>

#include <lockstep/autodiff/tape.h>
#include <lockstep/autodiff/trace.h>
#include <lockstep/nn/replicas.h>
#include <lockstep/nn/summary.h>
#include <lockstep/nn/trainer.h>
#include <lockstep/optim/wrappers.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/random.h>
#include <lockstep/tensor/base/snake_case.h>

namespace lockstep::nn {

Model::Model(std::string name, DTypePolicy policy) : Layer(std::move(name), std::move(policy)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

// ---- structure

std::vector<std::string> Model::input_names() const { return {"input"}; }
std::vector<std::string> Model::output_names() const { return {"output"}; }

std::vector<std::shared_ptr<Layer>> Model::layers() const {
  std::vector<std::shared_ptr<Layer>> result;
  for (const Child& child : sublayers()) result.push_back(child.layer);
  return result;
}

std::shared_ptr<Layer> Model::layer(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& each : layers()) {
    if (each->name() == name) return each;
    names.push_back(each->name());
  }
  for (const Child& child : sublayers()) {
    if (child.name == name) return child.layer;
    names.push_back(child.name);
  }
  const std::string near = nearest_name(name, names);
  throw NotFoundError("the model '" + this->name() + "' has no layer '" + name + "'", class_name(), near.empty() ? "" : "did you mean '" + near + "'?");
}

void Model::name_layers(std::span<const std::shared_ptr<Layer>> layers) const {
  std::map<std::string, const Layer*> taken;
  for (const auto& layer : layers)
    if (layer->has_name()) {
      const auto [place, fresh] = taken.emplace(layer->name(), layer.get());
      if (!fresh && place->second != layer.get()) throw AlreadyExistsError("two layers of the model '" + name() + "' are called '" + layer->name() + "'", class_name());
    }
  std::map<std::string, int> next;
  for (const auto& layer : layers) {
    if (layer->has_name()) continue;
    const std::string stem = dynamic_cast<const InputLayer*>(layer.get()) ? "input_layer" : snake_case(layer->class_name());
    std::string name;
    do {
      const int number = next[stem]++;
      name = number == 0 ? stem : stem + "_" + std::to_string(number);
    } while (taken.contains(name));
    taken.emplace(name, layer.get());
    layer->set_name(name);
  }
}

std::string Model::output_shape_of(const Layer& layer) const {
  if (!layer.built() || layer.build_shapes().empty()) return "?";
  try {
    std::string text;
    for (const Shape& shape : const_cast<Layer&>(layer).compute_output_shape(layer.build_shapes())) text += (text.empty() ? "" : ", ") + lockstep::to_string(shape);
    return text;
  } catch (const Error&) {  // a layer that needs more than shapes to be called
    return "?";
  }
}
std::vector<std::string> Model::connections_of(const Layer& layer) const {
  static_cast<void>(layer);
  return {};
}

std::string Model::summary(int width, bool show_trainable) const {
  std::vector<SummaryRow> rows;
  for (const auto& layer : layers()) {
    const bool known = layer->built() || dynamic_cast<const InputLayer*>(layer.get());
    rows.push_back({.name = layer->name(), .class_name = layer->class_name(), .output_shape = output_shape_of(*layer), .connected_to = connections_of(*layer)});
    if (known) rows.back().params = layer->count_params();
    if (!layer->weights().empty()) rows.back().trainable = layer->trainable();
  }
  SummaryTotals totals;
  const auto add = [](ParamCount& count, const Variable& variable) {
    count.params += variable.shape().numel();
    count.bytes += variable.shape().numel() * std::int64_t(itemsize(variable.dtype()));
  };
  for (const Weight& weight : trainable_weights()) add(totals.trainable, weight.variable());
  for (const Weight& weight : non_trainable_weights()) add(totals.non_trainable, weight.variable());
  if (trainer_ && trainer_->options().optimizer->built()) {
    totals.optimizer.emplace();
    for (const Variable& variable : trainer_->options().optimizer->variables()) add(*totals.optimizer, variable);
  }
  return render_summary(name(), rows, totals, {.width = width, .show_trainable = show_trainable, .show_connections = has_connections()});
}

// ---- calling

Tensor Model::fitting_mask(const Tensor& mask, const Tensor& output) {
  if (!mask.defined() || mask.ndim() > output.ndim()) return {};
  for (int axis = 0; axis < mask.ndim(); ++axis)
    if (mask.shape()[axis] != output.shape()[axis]) return {};
  return mask;
}

Tensor Model::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(inputs), static_cast<void>(options);
  return output_masks_.empty() ? Tensor() : output_masks_[0];
}

void Model::build_for(std::span<const Shape> shapes) {
  if (built()) return;
  const std::vector<autodiff::InputSpec> specs = input_specs();
  {
    autodiff::Trace trace;
    Tensors inputs;
    for (std::size_t i = 0; i < std::max(shapes.size(), specs.size()); ++i) {
      Shape shape;
      if (i < shapes.size()) shape = shapes[i];
      else
        for (const std::int64_t size : specs[i].shape) shape.push_back(size < 0 ? 2 : size);
      inputs.push_back(trace.argument({i < specs.size() ? specs[i].dtype : compute_dtype(), shape}));
    }
    (*this)(std::span<const Tensor>(inputs));
  }
  clear_losses();
  output_masks_.clear();
}

// ---- compiling

void Model::compile(CompileOptions options) {
  if (!options.optimizer) throw InvalidArgumentError("an optimizer is needed", class_name());
  if (options.auto_scale_loss && dtype_policy().compute_dtype() == float16 && !dynamic_cast<const optim::LossScaleOptimizer*>(&*options.optimizer))
    options.optimizer = optim::LossScaleOptimizer({.inner_optimizer = options.optimizer});
  if (options.gradient_wire && !is_float(*options.gradient_wire)) throw InvalidArgumentError("gradients travel as floats, not as " + std::string(lockstep::name(*options.gradient_wire)), class_name());
  trainer_ = std::make_unique<Trainer>(std::move(options));
}
bool Model::compiled() const { return trainer_ != nullptr; }
Trainer& Model::trainer() const {
  if (!trainer_) throw FailedPreconditionError("the model is not compiled", class_name(), "call compile({.optimizer = ..., .loss = ...}) first");
  return *trainer_;
}
Trainer& Model::predictor() {
  if (trainer_) return *trainer_;
  if (!predictor_) predictor_ = std::make_unique<Trainer>(CompileOptions{});
  return *predictor_;
}
optim::Optimizer& Model::optimizer() const { return *trainer().options().optimizer; }
const CompileOptions& Model::compile_options() const { return trainer().options(); }

std::vector<std::shared_ptr<Metric>> Model::metrics() const {
  if (!trainer_) return tracked_metrics();
  std::vector<std::shared_ptr<Metric>> result;
  for (const auto& [name, metric] : trainer_->shown_metrics(*this)) result.push_back(metric);
  return result;
}
void Model::reset_metrics() { trainer().reset(*this); }

std::string Model::metric_direction(const std::string& name) const {
  const std::string plain = name.starts_with("val_") ? name.substr(4) : name;
  if (plain == "loss" || plain.ends_with("_loss")) return "down";
  for (const auto& [shown, metric] : trainer().shown_metrics(*this))
    if (shown == plain) return metric->direction();
  return {};
}

// ---- state

std::vector<StateEntry> Model::training_state() {
  std::vector<Variable> all = variables();
  std::map<const void*, Shape> wholes;
  if (trainer_) {
    optim::Optimizer& optimizer = *trainer_->options().optimizer;
    if (optimizer.built()) {
      const std::vector<Variable> state = optimizer.variables();
      all.insert(all.end(), state.begin(), state.end());
      for (const auto& [variable, whole] : optimizer.sharded_variables()) wholes.emplace(variable.key(), whole);
    }
    for (const auto& [name, metric] : trainer_->shown_metrics(*this))
      for (const Variable& variable : metric->variables()) all.push_back(variable);
  }
  all.push_back(random::global_generator().state());
  std::map<std::string, const void*> paths;
  std::vector<StateEntry> entries;
  for (const Variable& variable : all) {
    const auto [place, fresh] = paths.emplace(variable.path(), variable.key());
    if (!fresh && place->second != variable.key()) throw AlreadyExistsError("two variables of the model '" + name() + "' are at '" + variable.path() + "'", class_name());
    if (!fresh) continue;
    const auto whole = wholes.find(variable.key());
    entries.push_back({variable, whole == wholes.end() ? variable.shape() : whole->second});
  }
  return entries;
}
void Model::gather_metric_states() { trainer().gather_metric_states(*this); }

// ---- steps

Tensor Model::compute_loss(const Batch& batch, std::span<const Tensor> y_pred) {
  Tensor total = trainer().loss(*this, batch, y_pred, output_masks_);
  for (const Tensor& loss : losses()) {
    const Tensor scalar = loss.ndim() == 0 ? loss : reduce_sum(loss);
    total = total.defined() ? total + as_dtype(scalar, total.dtype()) : scalar;
  }
  if (!total.defined()) throw InvalidArgumentError("there is nothing to minimize: compile() was given no loss, and no layer adds one", class_name());
  return total;
}

Tensor Model::train_step(const Batch& batch) {
  autodiff::GradientTape tape;
  const Tensors y_pred = (*this)(std::span<const Tensor>(batch.x), {.training = true});
  const Tensor loss = compute_loss(batch, y_pred);
  const Tensor scaled = optimizer().scale_loss(loss);
  const std::vector<Variable> variables = trainable_variables();
  const std::vector<autodiff::Source> sources(variables.begin(), variables.end());
  const std::vector<Gradient> gradients = tape.gradient(scaled, sources);
  optimizer().apply(gradients, variables);
  update_metrics(batch, y_pred, loss);
  return loss;
}

Tensor Model::test_step(const Batch& batch) {
  const Tensors y_pred = (*this)(std::span<const Tensor>(batch.x), {.training = false});
  const Tensor loss = compute_loss(batch, y_pred);
  update_metrics(batch, y_pred, loss);
  return loss;
}

void Model::update_metrics(const Batch& batch, std::span<const Tensor> y_pred, const Tensor& loss) { trainer().update(batch, y_pred, loss, output_masks_); }

Tensors Model::predict_on_batch(const Arrays& x) {
  const Tensors inputs = arrays_in_order(x, input_names(), "x");
  return predictor().predict(*this, inputs);
}

Logs Model::train_on_batch(const Arrays& x, const Arrays& y, const Arrays& sample_weight, const std::map<std::int64_t, double>& class_weight) {
  const FlatBatch batch = flatten(*this, x, y, sample_weight, !class_weight.empty());
  trainer().set_class_weight(class_weight);
  const BatchPart part = Replicas().cut(batch.tensors);
  trainer().train(*this, batch.layout, part.tensors, part.replica);
  return trainer().logs(*this, true);
}

Logs Model::test_on_batch(const Arrays& x, const Arrays& y, const Arrays& sample_weight) {
  const FlatBatch batch = flatten(*this, x, y, sample_weight, false);
  const BatchPart part = Replicas().cut(batch.tensors);
  trainer().test(*this, batch.layout, part.tensors, part.replica);
  return trainer().logs(*this, true);
}

}  // namespace lockstep::nn

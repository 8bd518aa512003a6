#include <lockstep/nn/layer.h>

#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>

#include <lockstep/autodiff/trace.h>
#include <lockstep/nn/metrics.h>
#include <lockstep/nn/weight_limit.h>
#include <lockstep/tensor/base/snake_case.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

/// A layer that is being called or built on this thread, and the one around it.
struct Frame {
  const Layer* layer;
  bool training;
  DType compute;
  Frame* outer;
};
thread_local Frame* current = nullptr;
thread_local const CallWatch::Watcher* watcher = nullptr;

class Entered {
 public:
  Entered(const Layer* layer, bool training, DType compute) : frame_{layer, training, compute, current} { current = &frame_; }
  ~Entered() { current = frame_.outer; }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;

 private:
  Frame frame_;
};

std::vector<Shape> shapes_of(std::span<const Tensor> tensors) {
  std::vector<Shape> shapes;
  for (const Tensor& tensor : tensors) shapes.push_back(tensor.shape());
  return shapes;
}

bool contains(const std::vector<Weight>& weights, const Weight& weight) { return std::find(weights.begin(), weights.end(), weight) != weights.end(); }

}  // namespace

// ---- policies, weights, scopes

DTypePolicy::DTypePolicy(std::string name) : name_(std::move(name)) {
  if (name_.starts_with("mixed_")) {
    compute_ = dtype_from_name(name_.substr(6));
    return;
  }
  compute_ = variable_ = dtype_from_name(name_);
}

Weight::Weight(std::string name, Variable variable, Ref<Regularizer> regularizer, Ref<Constraint> constraint)
    : body_(std::make_shared<Body>(Body{std::move(name), std::move(variable), std::move(regularizer), std::move(constraint)})) {}

Tensor Weight::value() const {
  const Tensor value = body_->variable.value();
  if (!current || value.dtype() == current->compute || !is_float(value.dtype())) return value;
  return cast(value, current->compute);
}

InitScope::InitScope() : saved_(std::move(listeners())) { listeners() = ThreadListeners{}; }
InitScope::~InitScope() { listeners() = std::move(saved_); }

CallWatch::CallWatch(Watcher function) : watcher_(std::move(function)), outer_(watcher) { watcher = &watcher_; }
CallWatch::~CallWatch() { watcher = outer_; }

// ---- configuration

std::string Layer::name() const { return name_.empty() ? snake_case(class_name()) : name_; }

void Layer::fields(Fields& f) {
  std::string shown = name();
  f.field("name", shown);
  if (shown != name()) name_ = shown;
  f.field("trainable", trainable_);
  const Json written{{"module", "keras"}, {"class_name", "DTypePolicy"}, {"config", {{"name", policy_.name()}}}, {"registered_name", nullptr}};
  Json dtype = written;
  f.field("dtype", dtype);
  if (dtype == written || dtype.is_null()) return;
  const Json& name = dtype.is_object() ? dtype.at("config").at("name") : dtype;
  if (!name.is_string()) refuse("'dtype' must be a policy or its name, got " + dtype.dump());
  policy_ = DTypePolicy(name.get<std::string>());
}

void Layer::refuse(const std::string& message) const { throw InvalidArgumentError(message + " (layer '" + (path_.empty() ? name() : path_) + "')", class_name()); }

// ---- building

void Layer::build_for(std::span<const Shape> shapes) {
  if (!built_) build_now(shapes);
}

void Layer::build_now(std::span<const Shape> shapes) {
  const InitScope scope;
  const std::string segment = segment_.empty() ? name() : segment_;
  path_ = current && !current->layer->path_.empty() ? current->layer->path_ + "/" + segment : segment;
  for (const Child& child : children_)  // those that were built before they came here
    if (!child.layer->path_.empty() && !child.layer->path_.starts_with(path_ + "/")) child.layer->set_path(path_ + "/" + child.name);
  const Entered entered(this, false, policy_.variable_dtype());
  const std::size_t children = children_.size();
  building_ = true;
  build_shapes_.assign(shapes.begin(), shapes.end());
  try {
    build(shapes);
  } catch (...) {  // as if it had never been tried
    building_ = false;
    weights_.clear();
    states_.clear();
    children_.resize(children);
    throw;
  }
  building_ = false;
  built_ = true;
}

void Layer::set_path(const std::string& path) {
  segment_ = path.substr(path.rfind('/') + 1);
  if (!path_.empty() && path_ != path) {
    const auto move = [&](const Variable& variable) {
      if (variable.path().starts_with(path_ + "/")) variable.rename(path + variable.path().substr(path_.size()));
    };
    for (const Weight& weight : weights_) move(weight.variable());
    for (const Variable& state : states_) move(state);
    for (const Child& child : children_)
      if (child.layer->path_.starts_with(path_ + "/")) child.layer->set_path(path + child.layer->path_.substr(path_.size()));
  }
  if (!path_.empty()) path_ = path;
}

Weight Layer::add_weight(const std::string& name, const Shape& shape, const WeightOptions& options) {
  if (!building_) throw FailedPreconditionError("weight '" + name + "' is added outside of build()", class_name());
  for (const Weight& weight : weights_)
    if (weight.name() == name) throw AlreadyExistsError("the layer has a weight '" + name + "' already", class_name());
  WeightLimit::check(path_ + "/" + name, shape);
  const DType dtype = options.dtype.value_or(policy_.variable_dtype());
  const Ref<Initializer> initializer = options.initializer ? options.initializer : is_float(dtype) ? Ref<Initializer>("glorot_uniform") : Ref<Initializer>("zeros");
  const Tensor initial = (*initializer)(shape, dtype);
  if (initial.shape() != shape || initial.dtype() != dtype)
    refuse("the initializer of '" + name + "' gave " + to_string(initial.spec()) + ", wanted " + to_string(TensorSpec{dtype, shape}));
  Weight weight(name, Variable(initial, {.path = path_ + "/" + name, .trainable = options.trainable}), options.regularizer, options.constraint);
  weights_.push_back(weight);
  return weight;
}

Generator Layer::add_generator(const std::string& name, std::optional<std::int64_t> seed) {
  const InitScope scope;
  const std::int64_t start = seed ? *seed : random::integers({}, 0, std::int64_t(1) << 62, int64).item<std::int64_t>();
  Generator generator(start, path_ + "/" + name);
  states_.push_back(generator.state());
  return generator;
}

Variable Layer::add_state(const std::string& name, const Tensor& initial) {
  Variable variable(initial, {.path = path_ + "/" + name, .trainable = false});
  states_.push_back(variable);
  return variable;
}

void Layer::add_child(const std::string& name, std::shared_ptr<Layer> layer) {
  if (!layer) refuse("the sublayer '" + name + "' is null");
  for (const Child& child : children_)
    if (child.name == name) throw AlreadyExistsError("the layer has a sublayer '" + name + "' already", class_name());
  if (layer->segment_.empty()) layer->segment_ = name;
  children_.push_back({name, std::move(layer)});
}

void Layer::untrack(const std::string& name) {
  std::erase_if(children_, [&](const Child& child) { return child.name == name; });
}

// ---- calling

Tensor Layer::call(const Tensor& x) {
  static_cast<void>(x);
  throw UnimplementedError("the layer has no call()", class_name(), "override one of the three forms");
}
Tensor Layer::call(const Tensor& x, const CallOptions& options) {
  static_cast<void>(options);
  return call(x);
}
Tensors Layer::call(std::span<const Tensor> inputs, const CallOptions& options) {
  require(inputs.size() == 1, "the layer takes one input, got " + std::to_string(inputs.size()));
  return {call(inputs[0], options)};
}

Tensors Layer::enter(std::span<const Tensor> inputs, const CallOptions& options) {
  if (!current) clear_losses();
  Tensors operands;
  for (const Tensor& input : inputs)
    operands.push_back(autocast_ && is_float(input.dtype()) && input.dtype() != policy_.compute_dtype() ? cast(input, policy_.compute_dtype()) : input);
  if (!built_) {
    build_dtypes_.clear();
    for (const Tensor& operand : operands) build_dtypes_.push_back(operand.dtype());
    build_now(shapes_of(operands));
  }
  CallOptions resolved = options;
  if (!options.training.given()) resolved.training = current && current->training;
  const Entered entered(this, bool(resolved.training), policy_.compute_dtype());
  Tensors outputs = call(std::span<const Tensor>(operands), resolved);
  if (activity_regularizer_)
    for (const Tensor& output : outputs) add_loss((*activity_regularizer_)(output) / double(std::max<std::int64_t>(1, output.ndim() ? output.shape()[0] : 1)));
  if (watcher) (*watcher)(*this, outputs);
  return outputs;
}

Tensors Layer::operator()(std::span<const Tensor> inputs, const CallOptions& options) { return enter(inputs, options); }
Tensor Layer::operator()(const Tensor& x, const CallOptions& options) {
  Tensors outputs = enter(std::span<const Tensor>(&x, 1), options);
  require(outputs.size() == 1, "the layer gives " + std::to_string(outputs.size()) + " outputs: call it with a list of inputs to get them all");
  return std::move(outputs[0]);
}

std::vector<Shape> Layer::compute_output_shape(std::span<const Shape> shapes) {
  build_for(shapes);
  std::vector<Shape> result;
  {
    autodiff::Trace trace;
    Tensors inputs;
    for (const Shape& shape : shapes) inputs.push_back(trace.argument({policy_.compute_dtype(), shape}));
    result = shapes_of(enter(std::span<const Tensor>(inputs), {}));
  }
  clear_losses();
  return result;
}

Tensor Layer::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(inputs);
  return options.mask_of(0);
}

// ---- weights and losses

void Layer::set_trainable(bool trainable) {
  trainable_ = trainable;
  for (const Child& child : children_) child.layer->set_trainable(trainable);
}

void Layer::collect_own(std::vector<Weight>& into, bool trainable_only) const {
  for (const bool trainable : {true, false})
    for (const Weight& weight : weights_)
      if (weight.trainable() == trainable && (trainable || !trainable_only) && !contains(into, weight)) into.push_back(weight);
}
void Layer::collect(std::vector<Weight>& into, bool trainable_only) const {
  if (trainable_only && !trainable_) return;
  collect_own(into, trainable_only);
  for (const Child& child : children_) child.layer->collect(into, trainable_only);
}

std::vector<Weight> Layer::weights() const {
  std::vector<Weight> result;
  collect(result, false);
  return result;
}
std::vector<Weight> Layer::own_weights() const {
  std::vector<Weight> result;
  collect_own(result, false);
  return result;
}
std::vector<Weight> Layer::trainable_weights() const {
  std::vector<Weight> result;
  collect(result, true);
  return result;
}
std::vector<Weight> Layer::non_trainable_weights() const {
  const std::vector<Weight> trainable = trainable_weights();
  std::vector<Weight> result;
  for (const Weight& weight : weights())
    if (!contains(trainable, weight)) result.push_back(weight);
  return result;
}
std::vector<Variable> Layer::trainable_variables() const {
  std::vector<Variable> result;
  for (const Weight& weight : trainable_weights()) result.push_back(weight.variable());
  return result;
}

void Layer::collect_states(std::vector<Variable>& into) const {
  for (const Variable& state : states_)
    if (std::find(into.begin(), into.end(), state) == into.end()) into.push_back(state);
  for (const Child& child : children_) child.layer->collect_states(into);
}
std::vector<Variable> Layer::variables() const {
  std::vector<Variable> result;
  for (const Weight& weight : weights()) result.push_back(weight.variable());
  collect_states(result);
  return result;
}

std::vector<Tensor> Layer::get_weights() const {
  std::vector<Tensor> result;
  for (const Weight& weight : weights()) result.push_back(weight.variable().value());
  return result;
}

void Layer::set_weights(std::span<const Tensor> values) {
  const std::vector<Weight> targets = weights();
  require(values.size() == targets.size(), "set_weights got " + std::to_string(values.size()) + " tensors, the layer has " + std::to_string(targets.size()) + " weights");
  for (std::size_t i = 0; i < values.size(); ++i)
    require(values[i].shape() == targets[i].shape(),
            "weight '" + targets[i].variable().path() + "' has shape " + to_string(targets[i].shape()) + ", the value has " + to_string(values[i].shape()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const DType dtype = targets[i].variable().dtype();
    targets[i].assign(values[i].dtype() == dtype ? values[i] : cast(values[i], dtype));
  }
}

std::int64_t Layer::count_params() const {
  std::int64_t count = 0;
  for (const Weight& weight : weights()) count += weight.shape().numel();
  return count;
}

void Layer::clear_losses() {
  call_losses_.clear();
  for (const Child& child : children_) child.layer->clear_losses();
}
std::vector<Tensor> Layer::take_losses() {
  std::vector<Tensor> taken;
  collect_losses(taken);
  clear_losses();
  return taken;
}
void Layer::collect_losses(std::vector<Tensor>& into) const {
  into.insert(into.end(), call_losses_.begin(), call_losses_.end());
  for (const Child& child : children_) child.layer->collect_losses(into);
}
void Layer::add_metric(const Tensor& value, const std::string& name) {
  std::shared_ptr<metrics::Mean> mean;
  for (const auto& metric : metrics_)
    if (metric->name() == name) mean = std::dynamic_pointer_cast<metrics::Mean>(metric);
  if (!mean) {
    const InitScope scope;
    mean = track_metric(metrics::Mean({.name = name, .dtype = value.dtype() == float64 ? float64 : float32}));
  }
  mean->update_state(value.dtype() == mean->dtype() ? value : cast(value, mean->dtype()));
}

void Layer::collect_metrics(std::vector<std::shared_ptr<Metric>>& into) const {
  for (const auto& metric : metrics_)
    if (std::find(into.begin(), into.end(), metric) == into.end()) into.push_back(metric);
  for (const Child& child : children_) child.layer->collect_metrics(into);
}
std::vector<std::shared_ptr<Metric>> Layer::tracked_metrics() const {
  std::vector<std::shared_ptr<Metric>> result;
  collect_metrics(result);
  return result;
}

std::vector<Tensor> Layer::losses() const {
  std::vector<Tensor> result;
  collect_losses(result);
  for (const Weight& weight : trainable_weights())
    if (weight.regularizer()) result.push_back((*weight.regularizer())(weight.variable().value()));
  return result;
}

}  // namespace lockstep::nn

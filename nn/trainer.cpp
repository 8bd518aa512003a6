#include <lockstep/nn/trainer.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include <lockstep/autodiff/trace.h>
#include <lockstep/dist/gradients.h>
#include <lockstep/dist/world.h>
#include <lockstep/nn/unread.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/device_plugin.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {

void append(Tensors& into, std::span<const Tensor> more) {
  for (const Tensor& each : more) into.push_back(each);
}

std::vector<std::string> names_for(const std::vector<std::string>& names, std::size_t count) {
  if (names.size() == count || names.size() != 1 || (names[0] != "input" && names[0] != "output")) return names;
  std::vector<std::string> numbered;
  for (std::size_t i = 0; i < count; ++i) numbered.push_back(names[0] + "_" + std::to_string(i));
  return numbered;
}

Tensors arrays_in_order(const Arrays& arrays, const std::vector<std::string>& names, const std::string& what) {
  if (arrays.empty()) return {};
  const std::vector<std::string> wanted = arrays.is_named() ? names : names_for(names, arrays.size());
  Tensors result;
  for (const Tensor& each : arrays.resolve(wanted, what)) {
    if (!each.defined()) throw InvalidArgumentError(what + " lacks '" + wanted[result.size()] + "'");
    result.push_back(each);
  }
  return result;
}

Tensors weights_in_order(const Arrays& weights, const std::vector<std::string>& outputs) {
  if (weights.empty()) return {};
  if (weights.size() == 1 && !weights.is_named()) return arrays_in_order(weights, {"output"}, "sample_weight");
  std::vector<Tensor> list = weights.resolve(names_for(outputs, weights.size()), "sample_weight");
  const auto given = std::find_if(list.begin(), list.end(), [](const Tensor& each) { return each.defined(); });
  for (Tensor& each : list)
    if (!each.defined()) each = ones({given->shape().dim(0)}, given->dtype());
  Tensors result;
  append(result, list);
  return result;
}

FlatBatch flatten(const Model& model, const Arrays& x, const Arrays& y, const Arrays& sample_weight, bool class_weights) {
  FlatBatch flat;
  flat.tensors = arrays_in_order(x, model.input_names(), "x");
  if (flat.tensors.empty()) throw InvalidArgumentError("there is no input", "fit");
  const Tensors targets = arrays_in_order(y, model.output_names(), "y"), weights = weights_in_order(sample_weight, model.output_names());
  if (class_weights && !weights.empty()) throw InvalidArgumentError("class_weight and sample_weight exclude each other", "fit");
  if (class_weights && targets.size() != 1) throw InvalidArgumentError("class_weight is for models of one output, there are " + std::to_string(targets.size()) + " targets", "fit");
  flat.layout = {flat.tensors.size(), targets.size(), weights.size(), class_weights};
  append(flat.tensors, targets);
  append(flat.tensors, weights);
  return flat;
}

// ---- what depends on the first batch

void Trainer::prepare(Model& model, const Batch& batch) {
  if (prepared_) return;
  std::vector<TensorSpec> y_pred;
  {
    autodiff::Trace trace;
    Tensors inputs;
    for (const Tensor& x : batch.x) inputs.push_back(trace.argument(x.spec()));
    for (const Tensor& output : model(std::span<const Tensor>(inputs), {.training = false})) y_pred.push_back(output.spec());
  }
  model.clear_losses();
  const std::vector<std::string> names = names_for(model.output_names(), y_pred.size());
  if (!options_.loss.empty() && batch.y.size() != y_pred.size())
    throw InvalidArgumentError("the model has " + std::to_string(y_pred.size()) + " outputs, there are " + std::to_string(batch.y.size()) + " targets", model.class_name());
  make_losses(model, batch, y_pred);
  make_metrics(model, batch, y_pred);
  const DType dtype = !y_pred.empty() && y_pred[0].dtype == float64 ? float64 : float32;
  total_ = std::make_shared<metrics::Mean>(Metric::Options{.name = "loss", .dtype = dtype});
  if (y_pred.size() > 1)
    for (std::size_t i = 0; i < losses_.size(); ++i)
      if (losses_[i]) output_losses_.emplace_back(names[i] + "_loss", std::make_shared<metrics::Mean>(Metric::Options{.name = names[i] + "_loss", .dtype = dtype}));
  prepared_ = true;
}

void Trainer::make_losses(Model& model, const Batch& batch, std::span<const TensorSpec> y_pred) {
  if (options_.loss.empty()) return;
  const std::vector<std::string> names = names_for(model.output_names(), y_pred.size());
  const std::vector<LossChoice> choices = options_.loss.resolve(names, "loss", true);
  losses_.clear();
  for (std::size_t i = 0; i < choices.size(); ++i)
    losses_.push_back(choices[i].identifier().empty() ? choices[i].object() : loss_for(choices[i].identifier(), batch.y[i].shape(), y_pred[i].shape));
  loss_weights_ = options_.loss_weights.empty() ? std::vector<double>(names.size(), 1.0) : options_.loss_weights.resolve(names, "loss_weights");
  if (options_.loss_weights.is_named())
    for (std::size_t i = 0; i < names.size(); ++i)
      if (!options_.loss_weights.names(names[i])) loss_weights_[i] = 1.0;
}

void Trainer::make_metrics(Model& model, const Batch& batch, std::span<const TensorSpec> y_pred) {
  const std::vector<std::string> names = names_for(model.output_names(), y_pred.size());
  metrics_.clear();
  std::map<std::string, int> taken;
  for (const bool weighted : {false, true}) {
    const std::vector<MetricList> lists = (weighted ? options_.weighted_metrics : options_.metrics).resolve(names, weighted ? "weighted_metrics" : "metrics");
    for (std::size_t i = 0; i < lists.size(); ++i)
      for (const MetricChoice& choice : lists[i]) {
        if (!choice.given()) continue;
        if (i >= batch.y.size()) throw InvalidArgumentError("there is no target for the metrics of '" + names[i] + "'", model.class_name());
        Ref<Metric> metric = choice.object();
        if (!metric) {
          metric = metric_for(choice.identifier(), batch.y[i].shape(), y_pred[i].shape);
          if (y_pred[i].dtype == float64) configure(*metric, Json{{"dtype", "float64"}});
        }
        const std::string prefix = names.size() > 1 ? names[i] + "_" : "";
        std::string shown = prefix + metric->name();
        if (weighted && taken.contains(shown)) shown = prefix + "weighted_" + metric->name();
        if (const int count = taken[shown]++; count > 0) shown += "_" + std::to_string(count);
        metric->set_path("metrics/" + shown);
        metrics_.push_back({i, shown, metric.ptr(), weighted});
      }
  }
}

void Trainer::set_class_weight(const std::map<std::int64_t, double>& weights) {
  if (weights.empty() || weights == class_weight_) return;
  if (weights.begin()->first < 0) throw InvalidArgumentError("class_weight names the class " + std::to_string(weights.begin()->first), "fit", "classes count from 0");
  std::vector<double> table(std::size_t(weights.rbegin()->first) + 2, 1.0);
  for (const auto& [index, weight] : weights) table[std::size_t(index)] = weight;
  class_weight_ = weights;
  class_weights_ = constant(table);
  const auto weighs = [](const auto& entry) { return std::get<BatchLayout>(entry.first).class_weights; };
  std::erase_if(steps_, weighs), std::erase_if(member_steps_, weighs);  // these hold the old ones
}

namespace {

/// The weight of each sample, by its class: whole numbers (B,) or (B, 1), or the largest of (B, classes).
Tensor weights_by_class(const Tensor& y, const Tensor& table) {
  const std::int64_t others = table.shape()[0] - 1;
  const bool one_hot = y.ndim() > 1 && y.shape().dim(-1) > 1;
  Tensor labels = one_hot ? argmax(y, -1) : is_float(y.dtype()) ? round(y) : y;
  labels = cast(labels, int64);
  if (!one_hot && labels.ndim() > 1 && labels.shape().dim(-1) == 1) labels = squeeze(labels, {-1});
  const Tensor known = logical_and(greater_equal(labels, scalar(0, int64)), less(labels, scalar(others, int64)));
  return gather(table, where(known, labels, scalar(others, int64)));
}

}  // namespace

// ---- parts of a step

Batch Trainer::take_apart(const BatchLayout& layout, std::span<const Tensor> tensors) const {
  Batch batch;
  const auto inputs = tensors.first(layout.inputs), targets = tensors.subspan(layout.inputs, layout.targets), weights = tensors.subspan(layout.inputs + layout.targets, layout.weights);
  append(batch.x, inputs);
  append(batch.y, targets);
  append(batch.sample_weight, weights);
  if (layout.class_weights) batch.sample_weight = {weights_by_class(batch.y[0], class_weights_)};
  return batch;
}

Tensor Trainer::loss(Model& model, const Batch& batch, std::span<const Tensor> y_pred, std::span<const Tensor> masks) {
  output_values_.clear();
  Tensor total;
  for (std::size_t i = 0; i < losses_.size(); ++i) {
    if (!losses_[i]) continue;
    const Tensor weight = batch.sample_weight.empty() ? Tensor() : batch.sample_weight.size() == 1 ? batch.sample_weight[0] : batch.sample_weight[i];
    const Tensor mask = i < masks.size() ? masks[i] : Tensor();
    Tensor value;
    try {
      value = (*losses_[i])(batch.y[i], y_pred[i], weight, mask);
    } catch (const InvalidArgumentError& error) {
      if (y_pred.size() == 1) throw;
      throw InvalidArgumentError(std::string(error.what()) + " (output '" + names_for(model.output_names(), y_pred.size())[i] + "')");
    }
    if (value.ndim() > 0) value = reduce_mean(value);  // reduction "none"
    output_values_.push_back(value);
    const Tensor weighted = loss_weights_[i] == 1.0 ? value : value * loss_weights_[i];
    total = total.defined() ? total + as_dtype(weighted, total.dtype()) : weighted;
  }
  return total;
}

namespace {

/// Weights in which what the mask takes out weighs 0; one per sample goes for all of its values.
Tensor masked_weight(Tensor weight, const Tensor& mask, DType dtype) {
  if (!mask.defined()) return weight;
  while (weight.defined() && weight.ndim() > 0 && weight.ndim() < mask.ndim()) weight = expand_dims(weight, -1);
  return apply_mask(weight, mask, dtype);
}

}  // namespace

void Trainer::update(const Batch& batch, std::span<const Tensor> y_pred, const Tensor& loss, std::span<const Tensor> masks) {
  const Tensor& first = batch.x[0];
  const Tensor rows = scalar(first.ndim() ? first.shape()[0] : 1, total_->dtype());
  total_->update_state(as_dtype(loss, total_->dtype()), rows);
  for (std::size_t i = 0; i < output_losses_.size(); ++i) output_losses_[i].second->update_state(as_dtype(output_values_[i], total_->dtype()), rows);
  output_values_.clear();
  for (const OutputMetric& each : metrics_) {
    const Tensor weight = !each.weighted || batch.sample_weight.empty() ? Tensor() : batch.sample_weight.size() == 1 ? batch.sample_weight[0] : batch.sample_weight[each.output];
    const Tensor mask = each.metric->heeds_masks() && each.output < masks.size() ? masks[each.output] : Tensor();
    each.metric->update_state(batch.y[each.output], y_pred[each.output], masked_weight(weight, mask, each.metric->dtype()));
  }
}

// ---- running

namespace {

/// A batch where the model is: a data set gives it on the host.
Tensors all_placed(std::span<const Tensor> batch) {
  Tensors here;
  for (const Tensor& tensor : batch) here.push_back(placed(tensor));
  return here;
}

}  // namespace

Trainer::Step Trainer::step(const char* name, std::function<Tensors(std::span<const Tensor>)> body) const { return autodiff::function(std::move(body), {.name = name}); }

void Trainer::belong_to(const Model& model) {
  if (owner_ == &model) return;
  owner_ = &model;
  steps_.clear();
  member_steps_.clear();
  predict_.reset();
}

/// The ranks begin with rank 0's weights and state, after they have found that they have the same ones.
void Trainer::join(Model& model) {
  if (dist::world_size() == 1 || (weights_joined_ && (optimizer_joined_ || !optimizer_ready_))) return;
  std::vector<Variable> all = weights_joined_ ? std::vector<Variable>() : model.variables();
  if (optimizer_ready_) {
    const std::vector<Variable> state = options_.optimizer->variables();
    all.insert(all.end(), state.begin(), state.end());
  }
  std::erase_if(all, [](const Variable& variable) { return variable.kind() == StateKind::sharded; });  // each rank's is another
  std::string text;
  for (const Variable& variable : all) text += variable.path() + " " + to_string(TensorSpec{variable.dtype(), variable.shape()}) + "\n";
  dist::require_same(dist::communicator(), text, "the variables of model '" + model.name() + "'");
  std::vector<Tensor> values;
  std::vector<dist::Part> parts;
  std::int64_t bytes = 0;
  for (const Variable& variable : all) {
    values.push_back(Tensor::empty(variable.shape(), variable.dtype()));
    const Tensor present = variable.peek();
    copy_bytes(Device(), values.back().mutable_raw(), present.device(), present.raw(), present.nbytes());
    parts.push_back({values.back().mutable_raw(), std::int64_t(present.nbytes())});
    bytes += std::int64_t(present.nbytes());
  }
  dist::communicator().run({.kind = dist::Collective::broadcast, .dtype = uint8, .count = bytes, .parts = parts, .label = "the variables of " + model.name()});
  for (std::size_t i = 0; i < all.size(); ++i) all[i].poke(values[i]);
  weights_joined_ = true;
  optimizer_joined_ = optimizer_ready_;
}

void Trainer::make_ready(Model& model, const BatchLayout& layout, std::span<const Tensor> tensors, bool training, bool shared) {
  belong_to(model);
  if (!prepared_) prepare(model, take_apart(layout, tensors));
  if (shared) join(model);  // the optimizer's state may begin with the weights
  if (training && !optimizer_ready_) {
    optim::Optimizer& optimizer = *options_.optimizer;
    const std::vector<Variable> variables = model.trainable_variables();
    if (variables.empty()) throw InvalidArgumentError("the model has no trainable weights", model.class_name());
    if (options_.shard_optimizer_state && !optimizer.built()) optimizer.shard_state();
    optimizer.build(variables);
    for (const Weight& weight : model.trainable_weights())
      if (weight.constraint()) optimizer.constrain(weight.variable(), [constraint = weight.constraint()](const Tensor& value) { return (*constraint)(value); });
    optimizer_ready_ = true;
    if (shared) join(model);
  }
}

Tensor Trainer::run(Model& model, const BatchLayout& layout, std::span<const Tensor> given, const std::optional<dist::Replica>& replica, bool training) {
  const Tensors tensors = all_placed(given);
  make_ready(model, layout, tensors, training, replica.has_value());
  const auto body = [this, &model, layout, training, replica](std::span<const Tensor> all) -> Tensors {
    std::optional<dist::Replica> present = replica;
    if (present) present->synchronized_statistics = options_.synchronized_batch_norm, present->wire = options_.gradient_wire;
    const dist::ReplicaScope scope(present ? &*present : nullptr);
    const Batch batch = take_apart(layout, all);
    return {training ? model.train_step(batch) : model.test_step(batch)};
  };
  Tensor loss;
  if (options_.run_eagerly || check_numerics_) {
    loss = body(tensors)[0];
  } else {
    const std::tuple key{layout, training, replica ? replica->global_rows : 0, replica ? replica->division : 0};
    auto found = steps_.find(key);
    if (found == steps_.end()) found = steps_.emplace(key, step(training ? "train_step" : "test_step", body)).first;
    loss = found->second(tensors)[0];
    model.clear_losses();  // symbols of the trace, if it was made now
  }
  return loss;
}

Tensor Trainer::train(Model& model, const BatchLayout& layout, std::span<const Tensor> tensors, const std::optional<dist::Replica>& replica) {
  if (!check_numerics_) return run(model, layout, tensors, replica, true);
  const auto require_finite = [](const std::string& what, const Tensor& value) {
    if (is_float(value.dtype()) && !reduce_all(is_finite(value)).item<bool>()) throw InvalidArgumentError(what + " has an element that is NaN or infinite", "check_numerics");
  };
  for (std::size_t i = 0; i < tensors.size(); ++i) require_finite(i < layout.inputs ? "input " + std::to_string(i) : "target or weight " + std::to_string(i - layout.inputs), tensors[i]);
  const CallWatch watch([&](const Layer& layer, std::span<const Tensor> outputs) {
    for (const Tensor& output : outputs)
      if (!output.is_symbolic()) require_finite("the output of layer '" + (layer.path().empty() ? layer.name() : layer.path()) + "'", output);
  });
  return run(model, layout, tensors, replica, true);
}
void Trainer::make_variables(Model& model, const BatchLayout& layout, const BatchPart& part) { make_ready(model, layout, all_placed(part.tensors), true, part.replica.has_value()); }

void Trainer::gather_metric_states(Model& model) {
  fold_member_states();
  if (dist::world_size() == 1) return;
  for (const auto& [name, metric] : shown_metrics(model))
    for (const Variable& variable : metric->variables()) {
      const Tensor sum = dist::all_reduce(variable.value(), dist::ReduceOp::sum, {.label = variable.path()});
      variable.assign(dist::is_chief() ? sum : zeros(sum.shape(), sum.dtype()));
    }
}

// ---- members

autodiff::Members Trainer::trace_members(Model& model, const BatchLayout& layout, const std::vector<BatchPart>& parts) {
  std::vector<autodiff::Graph> graphs;
  for (const BatchPart& part : parts) {
    dist::Replica replica = *part.replica;
    replica.synchronized_statistics = options_.synchronized_batch_norm, replica.wire = options_.gradient_wire;
    const dist::ReplicaScope scope(&replica);
    autodiff::Trace trace;
    std::vector<Tensor> symbols;
    for (const Tensor& tensor : part.tensors) symbols.push_back(trace.argument(tensor.spec()));
    const Tensors results{model.train_step(take_apart(layout, symbols))};
    graphs.push_back(trace.finish(results));
    if (!trace.created().empty()) throw FailedPreconditionError("train_step creates variable '" + trace.created()[0].path() + "'", model.name(), "create it before the training");
  }
  model.clear_losses();  // symbols of the traces
  const auto own = [](const Variable& variable) { return variable.kind() == StateKind::summed; };
  return autodiff::Members(std::move(graphs), own, [this](std::size_t member, const Variable& variable) {
    auto [place, fresh] = member_states_.try_emplace({member, variable.key()});
    if (fresh) place->second = {variable, Variable(zeros(variable.shape(), variable.dtype()), {.path = variable.path() + "/member_" + std::to_string(member), .trainable = false, .kind = StateKind::summed})};
    return place->second.second;
  });
}

double Trainer::train_members(Model& model, const BatchLayout& layout, const std::vector<BatchPart>& parts) {
  make_ready(model, layout, all_placed(parts[0].tensors), true, true);
  const std::tuple key{layout, parts[0].replica->global_rows, parts[0].replica->count};
  auto found = member_steps_.find(key);
  if (found == member_steps_.end()) found = member_steps_.emplace(key, trace_members(model, layout, parts)).first;
  std::vector<Tensors> arguments;
  for (const BatchPart& part : parts) arguments.push_back(part.tensors);
  const std::vector<Tensors> losses = found->second.run(arguments, [&](const autodiff::Graph& graph, const autodiff::Node& node, std::span<const Inputs> inputs, std::span<const Outputs> outputs) {
    std::vector<TensorSpec> specs;
    for (const autodiff::ValueId input : node.inputs) specs.push_back(graph.spec(input));
    dist::joint_collective(*node.op, node.attrs, specs, inputs, outputs, parts[0].replica->count, default_device());
  });
  double sum = 0;
  for (std::size_t m = 0; m < parts.size(); ++m) sum += Replicas::contribution(number_of(losses[m][0]), parts[m].replica);
  return sum;
}

/// What the members have counted goes to the metrics themselves.
void Trainer::fold_member_states() {
  for (const auto& [key, pair] : member_states_) {
    const auto& [variable, member] = pair;
    variable.assign_add(member.value());
    member.assign(zeros(member.shape(), member.dtype()));
  }
}

Tensor Trainer::test(Model& model, const BatchLayout& layout, std::span<const Tensor> tensors, const std::optional<dist::Replica>& replica) { return run(model, layout, tensors, replica, false); }

Tensors Trainer::predict(Model& model, std::span<const Tensor> given) {
  const Tensors inputs = all_placed(given);
  belong_to(model);
  if (options_.run_eagerly) return model(inputs, {.training = false});
  if (!model.built()) model(inputs, {.training = false});
  if (!predict_) predict_ = step("predict_step", [&model](std::span<const Tensor> x) { return model(x, {.training = false}); });
  Tensors outputs = (*predict_)(inputs);
  model.clear_losses();
  return outputs;
}

// ---- what is shown

std::vector<std::pair<std::string, std::shared_ptr<Metric>>> Trainer::shown_metrics(const Model& model) const {
  std::vector<std::pair<std::string, std::shared_ptr<Metric>>> result;
  if (total_) result.emplace_back("loss", total_);
  for (const auto& each : output_losses_) result.push_back(each);
  for (const OutputMetric& each : metrics_) result.emplace_back(each.name, each.metric);
  for (const auto& metric : model.tracked_metrics()) result.emplace_back(metric->name(), metric);
  return result;
}

Logs Trainer::logs(Model& model, bool of_all_ranks) {
  fold_member_states();
  const auto all = shown_metrics(model);
  const bool reduce = of_all_ranks && dist::world_size() > 1;
  ShownResults& shown_results = reduce ? reduced_results_ : own_results_;
  if (!shown_results.step || shown_results.metrics != all.size()) {
    shown_results.metrics = all.size();
    shown_results.names.clear();
    const auto gathered = [all, reduce](std::vector<std::string>* names) {
      Tensors parts;
      for (const auto& [shown, metric] : all) {
        const Metric::Results results = reduce ? metric->reduced_results() : metric->results();
        for (const auto& [name, value] : results) {
          // One value goes by the name that is shown; of several, each by its own, behind the output's.
          const std::string base = results.size() == 1 ? shown : shown.substr(0, shown.size() - std::min(shown.size(), metric->name().size())) + name;
          const std::int64_t count = value.shape().numel();
          for (std::int64_t i = 0; names && i < count; ++i) names->push_back(value.ndim() == 0 || count == 1 ? base : base + "_" + std::to_string(i));
          parts.push_back(reshape(cast(value, float64), {-1}));
        }
      }
      return Tensors{concat(parts, 0)};
    };
    gathered(&shown_results.names);
    shown_results.step = step("results", [gathered](std::span<const Tensor>) { return gathered(nullptr); });
  }
  const Tensor values = (*shown_results.step)(std::span<const Tensor>())[0];
  Logs logs;
  for (std::size_t i = 0; i < shown_results.names.size(); ++i) logs.set(shown_results.names[i], values.data<double>()[i]);
  return logs;
}

void Trainer::reset(Model& model) {
  fold_member_states();
  for (const auto& [name, metric] : shown_metrics(model)) metric->reset_state();
}

}  // namespace lockstep::nn

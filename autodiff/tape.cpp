// A step is kept only if one of its inputs descends from something watched and one of its outputs is float or complex, so a tape
// holds no memory for the rest of the program.

#include <lockstep/autodiff/tape.h>

#include <algorithm>
#include <cstring>

#include <lockstep/autodiff/trace.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::autodiff {
namespace {

/// Sum of two gradients; rows stay rows as long as both are.
Gradient add_gradients(const Gradient& a, const Gradient& b) {
  if (!a.exists()) return b;
  if (!b.exists()) return a;
  if (a.is_slices() && b.is_slices()) {
    const bool alike = a.slices().indices.dtype() == b.slices().indices.dtype();
    const auto own = [&](const Tensor& x) { return alike || x.dtype() == int64 ? x : cast(x, int64); };
    const Tensor indices[] = {own(a.slices().indices), own(b.slices().indices)};
    const Tensor values[] = {a.slices().values, b.slices().values};
    return IndexedSlices{concat(indices, 0), concat(values, 0), a.slices().dense_shape};
  }
  return a.dense() + b.dense();
}

Tensor flat_one_hot(const Tensor& like, std::int64_t position) {
  const DeviceScope host{Device()};
  Tensor seed = full({like.numel()}, 0, like.dtype());
  std::memcpy(static_cast<std::byte*>(seed.mutable_raw()) + std::size_t(position) * itemsize(like.dtype()),
              scalar(1, like.dtype()).raw(), itemsize(like.dtype()));
  return to(Tensor::view(seed, like.shape()), like.device());
}

Ints concatenated(std::span<const std::int64_t> a, std::span<const std::int64_t> b) {
  Ints all(a);
  all.append(b.begin(), b.end());
  return all;
}

}  // namespace

GradientTape::GradientTape(TapeOptions options) : options_(options) { listeners().observers.push_back(this); }

GradientTape::~GradientTape() {
  auto& observers = listeners().observers;
  const auto self = std::find(observers.begin(), observers.end(), this);
  if (self != observers.end()) observers.erase(self);
}

void GradientTape::watch(const Tensor& tensor) {
  if (!is_differentiable(tensor.dtype()))
    throw InvalidArgumentError("a tape watches float or complex tensors, got " + to_string(tensor.spec()), "watch");
  tracked_.insert(tensor.id());
}

void GradientTape::watch(const Variable& variable) {
  const Tensor value = variable.value();
  watch(value);
  std::vector<std::uint64_t>& ids = readings_[variable.key()];
  if (std::find(ids.begin(), ids.end(), value.id()) == ids.end()) ids.push_back(value.id());
}

void GradientTape::reset() {
  steps_.clear();
  tracked_.clear();
  readings_.clear();
  spent_ = false;
}

bool GradientTape::tracks(std::span<const Tensor> tensors) const {
  return recording() && std::any_of(tensors.begin(), tensors.end(), [&](const Tensor& tensor) { return tracked_.contains(tensor.id()); });
}

void GradientTape::on_apply(const OpDef& op, const AttrList& attrs, std::span<const Tensor> inputs, std::span<const Tensor> outputs) {
  if (!tracks(inputs)) return;
  bool useful = false;
  for (const Tensor& output : outputs)
    if (is_differentiable(output.dtype())) {
      tracked_.insert(output.id());
      useful = true;
    }
  if (useful) steps_.push_back({&op, attrs, Tensors(inputs.begin(), inputs.end()), Tensors(outputs.begin(), outputs.end()), {}});
}

void GradientTape::on_read(const Variable& variable, const Tensor& value) {
  if (!recording() || !is_differentiable(value.dtype())) return;
  const bool watched = readings_.contains(variable.key());
  if (!watched && !(options_.watch_accessed_variables && variable.trainable())) return;
  std::vector<std::uint64_t>& ids = readings_[variable.key()];
  if (tracked_.insert(value.id()).second || std::find(ids.begin(), ids.end(), value.id()) == ids.end()) ids.push_back(value.id());
}

void GradientTape::record(std::span<const Tensor> inputs, std::span<const Tensor> outputs, Rule rule) {
  if (!tracks(inputs)) return;
  for (const Tensor& output : outputs) tracked_.insert(output.id());
  steps_.push_back({nullptr, {}, Tensors(inputs.begin(), inputs.end()), Tensors(outputs.begin(), outputs.end()), std::move(rule)});
}

void GradientTape::spend() {
  if (spent_)
    throw FailedPreconditionError("this tape has given its gradient already", "gradient", "make it persistent to ask more than once: GradientTape tape({.persistent = true})");
  if (!options_.persistent) spent_ = true;
}

Gradients GradientTape::step_gradients(const Step& step, std::span<const Tensor> upstream) {
  if (!step.op) return step.rule(upstream);
  if (!step.op->gradient.rule) return Gradients(step.inputs.size());
  Gradients gradients = step.op->gradient.rule(GradContext(*step.op, step.attrs, step.inputs, step.outputs, upstream));
  if (gradients.size() != step.inputs.size())
    throw InternalError("the gradient rule gave " + std::to_string(gradients.size()) + " gradients for " + std::to_string(step.inputs.size()) + " operands", step.op->name);
  return gradients;
}

GradientTape::Accumulated GradientTape::walk(std::span<const Tensor> targets, std::span<const Tensor> upstreams) {
  const Pause pause = stop_recording();
  const DeviceScope scope(targets.empty() ? default_device() : targets[0].device());
  Accumulated gradients;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Tensor given = i < upstreams.size() ? upstreams[i] : Tensor();
    if (given.defined() && given.shape().known() && targets[i].shape().known() && !(given.spec() == targets[i].spec()))
      throw InvalidArgumentError("the upstream gradient is " + to_string(given.spec()) + ", but the target is " + to_string(targets[i].spec()), "gradient");
    Gradient& seed = gradients[targets[i].id()];
    seed = add_gradients(seed, given.defined() ? given : ones_like(targets[i]));
  }
  for (std::size_t s = steps_.size(); s-- > 0;) {
    const Step& step = steps_[s];
    Tensors upstream(step.outputs.size());
    bool reached = false;
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      const auto found = gradients.find(step.outputs[i].id());
      if (found == gradients.end() || !found->second.exists()) continue;
      upstream[i] = found->second.dense();
      reached = true;
    }
    if (!reached) continue;
    const Gradients back = step_gradients(step, upstream);
    for (std::size_t i = 0; i < back.size(); ++i) {
      if (!back[i].exists() || !tracked_.contains(step.inputs[i].id())) continue;
      Gradient& total = gradients[step.inputs[i].id()];
      total = add_gradients(total, back[i]);
    }
  }
  return gradients;
}

Gradient GradientTape::collect(const Accumulated& gradients, const Source& source) const {
  const auto of = [&](std::uint64_t id) {
    const auto found = gradients.find(id);
    return found == gradients.end() || !tracked_.contains(id) ? Gradient() : found->second;
  };
  if (!source.is_variable()) return of(source.tensor().id());
  Gradient total;
  const auto readings = readings_.find(source.variable().key());
  if (readings == readings_.end()) return total;
  for (const std::uint64_t id : readings->second) total = add_gradients(total, of(id));
  return total;
}

Gradient GradientTape::gradient(const Tensor& target, const Source& source, const Tensor& upstream) {
  return gradient(target, std::span<const Source>(&source, 1), upstream).front();
}

std::vector<Gradient> GradientTape::gradient(const Tensor& target, std::span<const Source> sources, const Tensor& upstream) {
  return gradient(std::span<const Tensor>(&target, 1), sources, std::span<const Tensor>(&upstream, 1));
}

std::vector<Gradient> GradientTape::gradient(std::span<const Tensor> targets, std::span<const Source> sources, std::span<const Tensor> upstreams) {
  if (!upstreams.empty() && upstreams.size() != targets.size())
    throw InvalidArgumentError(std::to_string(targets.size()) + " targets, but " + std::to_string(upstreams.size()) + " upstream gradients", "gradient");
  spend();
  const Accumulated gradients = walk(targets, upstreams);
  std::vector<Gradient> results;
  for (const Source& source : sources) results.push_back(collect(gradients, source));
  if (!options_.persistent) steps_.clear();
  return results;
}

Tensor GradientTape::jacobian(const Tensor& target, const Source& source) {
  spend();
  const Shape shape = source.is_variable() ? source.variable().shape() : source.tensor().shape();
  const DType dtype = source.is_variable() ? source.variable().dtype() : source.tensor().dtype();
  const Ints result_shape = concatenated(target.shape().dims(), shape.dims());
  std::vector<Tensor> rows;
  for (std::int64_t i = 0; i < target.numel(); ++i) {
    const Tensor seed = flat_one_hot(target, i);
    const Tensor row = collect(walk({&target, 1}, {&seed, 1}), source).dense();
    rows.push_back(row.defined() ? row : full(shape, 0, dtype));
  }
  if (!options_.persistent) steps_.clear();
  if (rows.empty()) return full(Shape(std::span<const std::int64_t>(result_shape)), 0, dtype);
  return reshape(stack(rows, 0), result_shape);
}

Tensor GradientTape::batch_jacobian(const Tensor& target, const Source& source) {
  const Shape shape = source.is_variable() ? source.variable().shape() : source.tensor().shape();
  if (target.ndim() < 1 || shape.ndim() < 1 || target.shape()[0] != shape[0])
    throw InvalidArgumentError("target " + to_string(target.shape()) + " and source " + to_string(shape) + " must share their first axis", "batch_jacobian");
  spend();
  const std::int64_t batch = shape[0];
  const std::int64_t per_example = batch == 0 ? 0 : target.numel() / batch;
  std::vector<Tensor> columns;
  for (std::int64_t j = 0; j < per_example; ++j) {
    const Tensor one = flat_one_hot(Tensor::empty({per_example}, target.dtype(), target.device()), j);
    const Tensor seed = reshape(broadcast_to(one, {batch, per_example}), Ints(target.shape().dims()));
    const Tensor column = collect(walk({&target, 1}, {&seed, 1}), source).dense();
    columns.push_back(column.defined() ? column : full(shape, 0, target.dtype()));
  }
  if (!options_.persistent) steps_.clear();
  const Ints tail = concatenated(target.shape().dims(), shape.dims().subspan(1));
  if (columns.empty()) return full(Shape(std::span<const std::int64_t>(tail)), 0, target.dtype());
  return reshape(stack(columns, 1), tail);
}

namespace {

Gradients checked(std::size_t count, std::size_t arguments) {
  if (count != arguments)
    throw InvalidArgumentError("the custom gradient returned " + std::to_string(count) + " gradients for " + std::to_string(arguments) + " arguments", "custom_gradient");
  return Gradients(count);
}

/// A traced rule: a graph from the upstream gradient and captures to the gradients that exist.
struct CustomRule : AttrObject {
  Graph graph;
  std::size_t first_capture = 0;           // operand number; the captures are the last operands
  std::vector<std::size_t> given_for;      // argument number of each of the graph's results
  std::string describe() const override { return "{gradient: " + std::to_string(graph.op_count()) + " ops}"; }
};

Gradients custom_rule_gradient(const GradContext& context) {
  const auto rule = std::static_pointer_cast<const CustomRule>(std::get<std::shared_ptr<const AttrObject>>(context.attr("rule")));
  std::vector<Tensor> arguments{context.upstream()};
  arguments.insert(arguments.end(), context.inputs().begin() + std::ptrdiff_t(rule->first_capture), context.inputs().end());
  const Tensors made = replay(rule->graph, arguments);
  Gradients gradients(context.input_count());
  for (std::size_t i = 0; i < made.size(); ++i) gradients[1 + rule->given_for[i]] = made[i];
  return gradients;
}

/// The first operand (the result of the custom function), whose gradient goes to the next ones (its arguments) by the traced rule.
const OpDef& custom_gradient_op() {
  static const OpDef op{.name = "custom_gradient",
                        .doc = "the first operand; its gradient goes to the others, by a traced rule",
                        .family = "control flow",
                        .max_inputs = -1,
                        .attrs = {{.name = "rule", .type = AttrType::object, .required = true}},
                        .infer = [](InferContext& context) { context.output(context.dtype_of(0), context.shape(0)); },
                        .gradient = custom_rule_gradient,
                        .fusion = Fusion::view,
                        .onnx = onnx("Identity")};
  return op;
}

Tensor trace_custom_gradient(Trace& outer, std::span<const Tensor> inputs, const CustomGradient& result) {
  auto rule = std::make_shared<CustomRule>();
  std::vector<Tensor> operands{result.output};
  operands.insert(operands.end(), inputs.begin(), inputs.end());
  rule->first_capture = operands.size();
  outer.import(result.output);
  {
    Trace trace(true);
    const Tensors made = result.gradient(trace.argument(result.output.spec()));
    checked(made.size(), inputs.size());
    Tensors given;
    for (std::size_t i = 0; i < made.size(); ++i)
      if (made[i].defined()) {
        given.push_back(made[i]);
        rule->given_for.push_back(i);
      }
    rule->graph = trace.finish(given);
    operands.insert(operands.end(), trace.captures().begin(), trace.captures().end());
  }
  return apply(custom_gradient_op(), operands, {{"rule", std::shared_ptr<const AttrObject>(rule)}});
}

}  // namespace

Tensor call_with_custom_gradient(std::span<const Tensor> inputs, const std::function<CustomGradient(std::span<const Tensor>)>& f) {
  std::vector<GradientTape*> tapes;
  for (Observer* observer : listeners().observers)
    if (auto* tape = dynamic_cast<GradientTape*>(observer); tape && tape->tracks(inputs)) tapes.push_back(tape);
  const CustomGradient result = f(inputs);
  if (auto* outer = dynamic_cast<Trace*>(listeners().tracer)) return trace_custom_gradient(*outer, inputs, result);
  if (tapes.empty()) return result.output;
  Tensor output;
  {
    std::vector<GradientTape::Pause> pauses;
    pauses.reserve(tapes.size());
    for (GradientTape* tape : tapes) pauses.push_back(tape->stop_recording());
    output = identity(result.output);
  }
  const std::size_t count = inputs.size();
  for (GradientTape* tape : tapes)
    tape->record(inputs, {&output, 1}, [rule = result.gradient, count](std::span<const Tensor> upstream) {
      const Tensors tensors = rule(upstream[0]);
      Gradients gradients = checked(tensors.size(), count);
      for (std::size_t i = 0; i < count; ++i) gradients[i] = Gradient(tensors[i]);
      return gradients;
    });
  return output;
}

std::vector<std::vector<Gradient>> hessian(const std::function<Tensor(std::span<const Tensor>)>& f, std::span<const Tensor> x) {
  GradientTape outer({.persistent = true});
  for (const Tensor& each : x) outer.watch(each);
  const std::vector<Source> sources(x.begin(), x.end());
  std::vector<Gradient> first;
  {
    GradientTape inner;
    for (const Tensor& each : x) inner.watch(each);
    first = inner.gradient(f(x), sources);
  }
  std::vector<std::vector<Gradient>> rows;
  for (const Gradient& gradient : first) {
    std::vector<Gradient> row(x.size());
    for (std::size_t j = 0; j < x.size() && gradient.exists(); ++j)
      if (outer.gradient(gradient.dense(), Source(x[j])).exists()) row[j] = outer.jacobian(gradient.dense(), Source(x[j]));
    rows.push_back(std::move(row));
  }
  return rows;
}

Tensor hessian(const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
  const auto rows = hessian([&](std::span<const Tensor> arguments) { return f(arguments[0]); }, {&x, 1});
  if (rows[0][0].exists()) return rows[0][0].dense();
  return full(Shape(std::span<const std::int64_t>(concatenated(x.shape().dims(), x.shape().dims()))), 0, x.dtype());
}

}  // namespace lockstep::autodiff

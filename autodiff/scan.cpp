// scan: a body that is traced once, over the slices of sequences. Its kernel walks with pointers: the body reads each slice where it lies and writes what a
// step gives where it belongs; the state goes to and fro between two places.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>

#include <lockstep/autodiff/control_flow.h>
#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/autodiff/scan_object.h>
#include <lockstep/autodiff/sub_graph.h>
#include <lockstep/autodiff/trace.h>
#include <lockstep/tensor/base/allocator.h>
#include <lockstep/tensor/device_plugin.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::autodiff {

std::string ScanObject::describe() const {
  return "{" + std::to_string(state_count) + " states, " + std::to_string(sequence_count) + " sequences" + (reverse ? ", in reverse" : "") + ", body: " +
         std::to_string(body.op_count()) + " ops}";
}

bool ScanObject::has_effects() const {
  return std::any_of(body.nodes.begin(), body.nodes.end(), [](const Node& node) { return node.effect != Effect::none; });
}

const Executable& ScanObject::executable() const {
  std::call_once(once_, [&] {
    const std::set<std::string> disabled = passes_disabled_by_environment();
    executable_ = std::make_unique<const Executable>(optimize(body, disabled), plan_options(disabled, "the body of a scan"));
  });
  return *executable_;
}

std::shared_ptr<const ScanDerivative> ScanObject::derivative(const std::vector<bool>& has_upstream, std::int64_t steps,
                                                             const std::function<std::shared_ptr<const ScanDerivative>()>& make) const {
  const std::lock_guard lock(mutex_);
  for (const Derived& each : derivatives_)
    if (each.has_upstream == has_upstream && each.steps == steps) return each.derivative;
  return derivatives_.emplace_back(Derived{has_upstream, steps, make()}).derivative;
}

Tensors call_scan(const std::shared_ptr<const ScanObject>& object, std::span<const Tensor> operands) {
  return apply_all(scan_op(), operands, {{"graphs", std::shared_ptr<const AttrObject>(object)}});
}

std::shared_ptr<const ScanObject> silent(const std::shared_ptr<const ScanObject>& scan) {
  if (!scan->has_effects()) return scan;
  auto quiet = std::make_shared<ScanObject>();
  quiet->body = silent(scan->body);
  quiet->state_count = scan->state_count;
  quiet->sequence_count = scan->sequence_count;
  quiet->length = scan->length;
  quiet->reverse = scan->reverse;
  return quiet;
}

Hoisted hoist(const Graph& body, std::size_t varying) {
  std::vector<bool> fixed(body.values.size(), false), leaves(body.values.size(), false);
  for (std::size_t i = varying; i < body.arguments.size(); ++i) fixed[std::size_t(body.arguments[i])] = true;
  const auto is_fixed = [&](ValueId value) { return bool(fixed[std::size_t(value)]); };
  for (const Node& node : body.nodes) {
    if (node.kind != Node::Kind::op || node.effect != Effect::none || std::none_of(node.inputs.begin(), node.inputs.end(), is_fixed)) continue;
    if (!std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId value) { return is_fixed(value) || body.is_constant(value); })) continue;
    const auto size = [&](ValueId value) { return body.spec(value).shape.known() ? body.spec(value).shape.numel() : -1; };
    std::int64_t most = 0, sum = 0;
    bool known = true;
    for (const ValueId input : node.inputs) most = std::max(most, size(input)), known &= size(input) >= 0;
    for (const ValueId output : node.outputs) sum += size(output), known &= size(output) >= 0;
    if (!known || sum > most) continue;
    for (const ValueId output : node.outputs) fixed[std::size_t(output)] = true;
  }
  const auto use = [&](ValueId value) { leaves[std::size_t(value)] = leaves[std::size_t(value)] || is_fixed(value); };
  for (const Node& node : body.nodes)
    if (node.kind == Node::Kind::op && (node.outputs.empty() || !is_fixed(node.outputs[0])))
      for (const ValueId input : node.inputs) use(input);
  for (const ValueId result : body.results) use(result);

  GraphRewriter before(body), rest(body);
  for (std::size_t i = 0; i < body.arguments.size(); ++i) (i < varying ? rest : before).copy(body.producer(body.arguments[i]));
  std::vector<ValueId> leaving;
  for (std::size_t v = 0; v < body.values.size(); ++v)
    if (leaves[v]) leaving.push_back(ValueId(v));
  for (const ValueId value : leaving) rest.map(value, rest.graph().add_source(Node::Kind::argument, body.spec(value)));
  for (const Node& node : body.nodes) {
    if (node.kind == Node::Kind::argument) continue;
    if (node.kind == Node::Kind::constant) before.copy(node);
    if (node.kind == Node::Kind::constant || node.outputs.empty() || !is_fixed(node.outputs[0])) rest.copy(node);
    else before.copy(node);
  }
  Hoisted parts{std::move(before.graph()), std::move(rest.graph())};
  for (std::size_t i = 0; i < varying; ++i) parts.body.arguments.push_back(rest[body.arguments[i]]);
  for (std::size_t i = varying; i < body.arguments.size(); ++i) parts.before.arguments.push_back(before[body.arguments[i]]);
  for (const ValueId value : leaving) {
    parts.before.results.push_back(before[value]);
    parts.body.arguments.push_back(rest[value]);
  }
  for (const ValueId result : body.results) parts.body.results.push_back(rest[result]);
  parts.before = prune(parts.before);
  return parts;
}

// ---- running

namespace {

std::size_t nbytes(const TensorSpec& spec) { return std::size_t(spec.shape.numel()) * itemsize(spec.dtype); }

/// Does the body take and give what lies in memory of known sizes?
bool has_known_sizes(const ScanObject& scan) {
  const auto plain = [&](ValueId value) { return scan.body.spec(value).shape.known() && scan.body.spec(value).dtype != string; };
  return std::all_of(scan.body.arguments.begin(), scan.body.arguments.end(), plain) && std::all_of(scan.body.results.begin(), scan.body.results.end(), plain);
}

/// All steps, from and to plain memory. Asks for one block of memory, whatever the length.
void run_steps(const ScanObject& scan, std::int64_t length, Inputs in, Outputs out) {
  const Executable& body = scan.executable();
  const std::size_t states = scan.state_count, arguments = scan.body.arguments.size(), results = scan.body.results.size();
  const auto result_bytes = [&](std::size_t r) { return nbytes(scan.body.spec(scan.body.results[r])); };
  if (length == 0) {
    for (std::size_t i = 0; i < states; ++i) copy_bytes({}, out[i], {}, in[i], result_bytes(i));
    return;
  }
  const auto padded = [](std::size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; };
  const std::size_t table = padded((arguments + results) * sizeof(void*));
  std::size_t bytes = table;
  for (std::size_t i = 0; i < states && length > 1; ++i) bytes += padded(result_bytes(i));
  Tensor block = Tensor::empty({std::int64_t(bytes)}, uint8, Device());
  auto* const base = static_cast<std::byte*>(block.mutable_raw());
  auto** const from = reinterpret_cast<const void**>(base);
  auto** const to = reinterpret_cast<void**>(base) + arguments;
  std::copy_n(in, arguments, from);
  for (std::int64_t k = 0; k < length; ++k) {
    const auto t = std::size_t(scan.reverse ? length - 1 - k : k);
    std::byte* spare = base + table;
    for (std::size_t i = 0; i < states; ++i) {
      if (k > 0) from[i] = to[i];
      to[i] = (length - 1 - k) % 2 == 0 ? out[i] : spare;  // the last step ends in the result
      if (length > 1) spare += padded(result_bytes(i));
    }
    for (std::size_t j = states; j < states + scan.sequence_count; ++j)
      from[j] = static_cast<const std::byte*>(in[j]) + t * nbytes(scan.body.spec(scan.body.arguments[j]));
    for (std::size_t r = states; r < results; ++r) to[r] = static_cast<std::byte*>(out[r]) + t * result_bytes(r);
    body.run_raw(from, to);
  }
}

/// The number of steps, -1 if only the run will tell; `length` is what was said, -1 if nothing was.
std::int64_t length_of(std::span<const Tensor> sequences, std::int64_t length) {
  const std::string others = length >= 0 ? "the length is " : "the sequences before have length ";
  for (std::size_t j = 0; j < sequences.size(); ++j) {
    const TensorSpec spec = sequences[j].spec();
    if (!spec.shape.known()) continue;
    if (spec.shape.ndim() == 0) throw InvalidArgumentError("sequence " + std::to_string(j) + " is a scalar: it has no first axis to go along", "scan");
    if (length >= 0 && spec.shape[0] != length)
      throw InvalidArgumentError("sequence " + std::to_string(j) + " is " + to_string(spec) + ", but " + others + std::to_string(length), "scan");
    length = spec.shape[0];
  }
  return length;
}

/// `spec` with a first axis of `length`.
TensorSpec stacked(const TensorSpec& spec, std::int64_t length) {
  Shape shape{length};
  for (int i = 0; i < spec.shape.ndim(); ++i) shape.push_back(spec.shape[i]);
  return {spec.dtype, shape};
}

Tensor slice_at(const Tensor& sequence, std::int64_t t) {
  Shape shape;
  for (int i = 1; i < sequence.ndim(); ++i) shape.push_back(sequence.shape()[i]);
  return Tensor::view(sequence, shape, t * shape.numel());
}

/// As far as the shapes are known.
bool may_be_same(const TensorSpec& a, const TensorSpec& b) { return a.dtype == b.dtype && (!a.shape.known() || !b.shape.known() || a.shape == b.shape); }
std::string changed(const TensorSpec& before, const TensorSpec& after) { return " is " + to_string(before) + " before a step and " + to_string(after) + " after it"; }

/// What is wrong with a step, whether traced or run. What is unknown while tracing is looked at again when the step runs.
void check_step(std::span<const TensorSpec> state, std::span<const TensorSpec> next) {
  if (next.size() != state.size())
    throw InvalidArgumentError("a step gives " + std::to_string(next.size()) + " tensors for a state of " + std::to_string(state.size()), "scan");
  for (std::size_t i = 0; i < state.size(); ++i)
    if (!may_be_same(next[i], state[i])) throw InvalidArgumentError("state " + std::to_string(i) + changed(state[i], next[i]), "scan");
}

std::vector<TensorSpec> specs_of(std::span<const Tensor> tensors) {
  std::vector<TensorSpec> specs;
  for (const Tensor& tensor : tensors) specs.push_back(tensor.spec());
  return specs;
}

/// What the steps give, one after another: in one buffer where they have a known size, which each step's is copied to, else stacked at the end.
class GivenTensors {
 public:
  GivenTensors(const TensorSpec& spec, std::int64_t length, Device device) : spec_(spec), length_(length) {
    if (spec.shape.known() && spec.dtype != string) buffer_ = Tensor::empty(stacked(spec, length).shape, spec.dtype, device);
    else each_.resize(std::size_t(length));
  }
  void put(std::int64_t t, const Tensor& given) {
    const std::size_t bytes = buffer_.defined() ? nbytes(spec_) : 0;
    if (!buffer_.defined()) each_[std::size_t(t)] = given;
    else copy_bytes(buffer_.device(), static_cast<std::byte*>(buffer_.mutable_raw()) + std::size_t(t) * bytes, given.device(), given.raw(), bytes);
  }
  Tensor all() const {
    static const OpDef& stack = find_op("stack");
    if (buffer_.defined()) return buffer_;
    if (length_ > 0) return compute(stack, each_, canonical_attrs(stack, {{"axis", std::int64_t(0)}}))[0];
    return Tensor::empty(stacked(spec_.shape.known() ? spec_ : TensorSpec{spec_.dtype, {}}, 0).shape, spec_.dtype);
  }

 private:
  TensorSpec spec_;
  std::int64_t length_;
  Tensor buffer_;
  std::vector<Tensor> each_;
};

/// Step by step on tensors: strings, sizes that the data decide, and memory of another device.
Tensors run_on_tensors(const ScanObject& scan, std::int64_t length, std::span<const Tensor> inputs) {
  const std::size_t states = scan.state_count;
  const Executable& body = scan.executable();
  std::vector<Tensor> operands(inputs.begin(), inputs.end());
  std::vector<GivenTensors> given;
  for (std::size_t r = states; r < scan.body.results.size(); ++r)
    given.emplace_back(scan.body.spec(scan.body.results[r]), length, body.device());
  for (std::int64_t k = 0; k < length; ++k) {
    const std::int64_t t = scan.reverse ? length - 1 - k : k;
    for (std::size_t j = states; j < states + scan.sequence_count; ++j) operands[j] = slice_at(inputs[j], t);
    Tensors next = body.run(operands);
    check_step(specs_of(std::span<const Tensor>(operands).first(states)), specs_of(std::span<const Tensor>(next).first(states)));
    for (std::size_t o = 0; o < given.size(); ++o) given[o].put(t, next[states + o]);
    std::move(next.begin(), next.begin() + std::ptrdiff_t(states), operands.begin());
  }
  Tensors results = as_results(std::span<const Tensor>(operands).first(states));
  for (const GivenTensors& each : given) results.push_back(each.all());
  return results;
}

Tensors run_scan(const OpCall& call, std::span<const Tensor> inputs) {
  const auto scan = object_of<ScanObject>(call);
  const std::int64_t length = length_of(inputs.subspan(scan->state_count, scan->sequence_count), scan->length);
  const bool here = std::all_of(inputs.begin(), inputs.end(), [](const Tensor& input) { return input.device().is_cpu(); });
  if (!here || !has_known_sizes(*scan)) return run_on_tensors(*scan, length, inputs);
  Tensors results;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const Tensor& input : inputs) in.push_back(input.raw());
  for (std::size_t r = 0; r < scan->body.results.size(); ++r) {
    const TensorSpec& spec = scan->body.spec(scan->body.results[r]);
    results.push_back(Tensor::empty(r < scan->state_count ? spec.shape : stacked(spec, length).shape, spec.dtype));
    out.push_back(results.back().mutable_raw());
  }
  run_steps(*scan, length, in.data(), out.data());
  return results;
}

BoundKernel bind_scan(const BindContext& context) {
  const auto scan = object_of<ScanObject>(context);
  if (!context.device().is_cpu() || !has_known_sizes(*scan)) return bind_by_tensors(context);
  scan->executable();
  const std::int64_t length = scan->sequence_count > 0 ? context.shape(scan->state_count)[0] : scan->length;
  return [scan, length](Inputs in, Outputs out) { run_steps(*scan, length, in, out); };
}

void infer_scan(InferContext& context) {
  const auto scan = object_of<ScanObject>(context);
  std::int64_t length = scan->length;
  for (std::size_t j = 0; j < scan->sequence_count; ++j)
    if (context.shape(scan->state_count + j).ndim() > 0) length = context.shape(scan->state_count + j)[0];
  for (std::size_t r = 0; r < scan->body.results.size(); ++r) {
    const TensorSpec& spec = scan->body.spec(scan->body.results[r]);
    if (r < scan->state_count) context.output(context.dtype_of(r), context.shape(r));
    else context.output(spec.dtype, spec.shape.known() ? stacked(spec, length).shape : Shape::unknown());
  }
}

}  // namespace

const OpDef& scan_op() {
  static const OpDef op{.name = "scan",
                        .doc = "a traced body over the slices of sequences, with a state",
                        .family = "control flow",
                        .min_inputs = 0,
                        .max_inputs = -1,
                        .attrs = {{.name = "graphs", .type = AttrType::object, .required = true}},
                        .infer = infer_scan,
                        .gradient = scan_gradient,
                        .onnx = onnx("Scan"),
                        .cpu = bind_scan,
                        .cpu_dynamic = run_scan,
                        .any_device = true};
  return op;
}

// ---- tracing

namespace {

struct TracedStep {
  Graph graph;
  std::vector<Tensor> captures;
  std::vector<Variable> assigned;
};

TensorSpec slice_spec(const TensorSpec& sequence) {
  if (!sequence.shape.known()) return sequence;
  Shape shape;
  for (int i = 1; i < sequence.shape.ndim(); ++i) shape.push_back(sequence.shape[i]);
  return {sequence.dtype, shape};
}

/// Results: the new state, then the new values of `variables`, then what the step gives. A state whose shape the body makes unknown is taken as such.
TracedStep trace_step(const ScanBody& body, std::span<const TensorSpec> initial, std::span<const Tensor> sequences, const std::vector<Variable>& variables) {
  std::optional<Trace> tracing(std::in_place, true);
  Trace& trace = *tracing;
  std::vector<Tensor> state, slices;
  for (const TensorSpec& each : initial) state.push_back(trace.argument(each));
  for (const Tensor& each : sequences) slices.push_back(trace.argument(slice_spec(each.spec())));
  const Scanned step = body(state, slices);
  check_step(initial, specs_of(step.state));
  std::vector<TensorSpec> looser(initial.begin(), initial.end());
  for (std::size_t i = 0; i < looser.size(); ++i)
    if (!step.state[i].shape().known()) looser[i].shape = Shape::unknown();
  if (!std::equal(looser.begin(), looser.end(), initial.begin())) {
    tracing.reset();
    return trace_step(body, looser, sequences, variables);
  }
  TracedStep traced;
  for (const Trace::Assigned& each : trace.assigned()) traced.assigned.push_back(each.variable);
  Tensors results = step.state;
  for (const Variable& variable : variables) results.push_back(trace.read(variable));
  results.append(step.outputs.begin(), step.outputs.end());
  traced.graph = trace.finish(results);
  traced.captures = trace.captures();
  return traced;
}

/// The body with the arguments that ScanObject wants: variables that it assigns are captures no more, but states behind the given ones.
Graph with_states(const TracedStep& step, std::size_t states, std::size_t sequences, std::span<const Tensor> variables, std::vector<Tensor>& captures) {
  GraphRewriter rewriter(step.graph);
  Graph& graph = rewriter.graph();
  const auto argument = [&](std::size_t i) {
    const ValueId value = step.graph.arguments[i];
    rewriter.map(value, graph.add_argument(step.graph.spec(value)));
  };
  for (std::size_t i = 0; i < states; ++i) argument(i);
  const auto captured_at = [&](const Tensor& tensor) {
    return std::find_if(step.captures.begin(), step.captures.end(), [&](const Tensor& each) { return each.id() == tensor.id(); });
  };
  for (const Tensor& variable : variables) {
    const auto found = captured_at(variable);
    if (found != step.captures.end()) argument(states + sequences + std::size_t(found - step.captures.begin()));
    else graph.add_argument(variable.spec());
  }
  for (std::size_t j = 0; j < sequences; ++j) argument(states + j);
  for (std::size_t c = 0; c < step.captures.size(); ++c) {
    if (std::any_of(variables.begin(), variables.end(), [&](const Tensor& each) { return each.id() == step.captures[c].id(); })) continue;
    argument(states + sequences + c);
    captures.push_back(step.captures[c]);
  }
  for (const Node& node : step.graph.nodes)
    if (node.kind != Node::Kind::argument) rewriter.copy(node);
  for (const ValueId result : step.graph.results) graph.results.push_back(rewriter[result]);
  return std::move(graph);
}

/// Without a trace, or step by step into it: op by op, for tapes to see.
Scanned loop_through(const ScanBody& body, const Tensors& initial, const Tensors& sequences, std::int64_t length, bool reverse) {
  if (length == 0) {  // a trace tells what the steps would have given
    const TracedStep step = trace_step(body, specs_of(initial), sequences, {});
    Scanned done{initial, {}};
    for (std::size_t r = initial.size(); r < step.graph.results.size(); ++r) {
      const TensorSpec& spec = step.graph.spec(step.graph.results[r]);
      done.outputs.push_back(Tensor::empty(stacked(spec.shape.known() ? spec : TensorSpec{spec.dtype, {}}, 0).shape, spec.dtype));
    }
    return done;
  }
  std::vector<std::vector<Tensor>> slices, given;
  for (const Tensor& sequence : sequences) slices.push_back(unstack(sequence, 0));
  Tensors state = initial;
  for (std::int64_t k = 0; k < length; ++k) {
    const auto t = std::size_t(reverse ? length - 1 - k : k);
    Tensors now;
    for (const std::vector<Tensor>& each : slices) now.push_back(each[t]);
    Scanned step = body(state, now);
    check_step(specs_of(state), specs_of(step.state));
    if (k == 0) given.assign(step.outputs.size(), std::vector<Tensor>(std::size_t(length)));
    if (step.outputs.size() != given.size())
      throw InvalidArgumentError("step " + std::to_string(t) + " gives " + std::to_string(step.outputs.size()) + " tensors beside the state, those before " + std::to_string(given.size()), "scan");
    for (std::size_t o = 0; o < given.size(); ++o) given[o][t] = std::move(step.outputs[o]);
    state = std::move(step.state);
  }
  Scanned done{std::move(state), {}};
  for (const std::vector<Tensor>& each : given) done.outputs.push_back(stack(each, 0));
  return done;
}

Scanned trace_scan(Trace& outer, const ScanBody& body, const Tensors& initial, const Tensors& sequences, std::int64_t length, const ScanOptions& options) {
  TracedStep step = trace_step(body, specs_of(initial), sequences, {});
  const bool meets = std::any_of(step.graph.nodes.begin(), step.graph.nodes.end(), [](const Node& node) { return node.effect == Effect::collective; });
  if (meets && length >= 0) return loop_through(body, initial, sequences, length, options.reverse);
  const std::vector<Variable> variables = step.assigned;
  if (!variables.empty()) step = trace_step(body, specs_of(initial), sequences, variables);
  std::vector<Tensor> operands(initial.begin(), initial.end()), states, captures;
  for (const Variable& variable : variables) states.push_back(outer.read(variable));
  operands.insert(operands.end(), states.begin(), states.end());
  operands.insert(operands.end(), sequences.begin(), sequences.end());
  auto object = std::make_shared<ScanObject>();
  object->state_count = initial.size() + states.size();
  object->sequence_count = sequences.size();
  object->length = options.length.value_or(-1);
  object->reverse = options.reverse;
  object->body = prune(with_states(step, initial.size(), sequences.size(), states, captures));
  for (std::size_t i = 0; i < states.size(); ++i)
    if (const TensorSpec& after = object->body.spec(object->body.results[initial.size() + i]); !may_be_same(after, states[i].spec()))
      throw InvalidArgumentError("variable '" + variables[i].path() + "'" + changed(states[i].spec(), after), "scan");
  if (length > 1) {
    Hoisted parts = hoist(object->body, object->state_count + object->sequence_count);
    object->body = std::move(parts.body);
    const Tensors hoisted = replay(parts.before, captures);
    captures.assign(hoisted.begin(), hoisted.end());
  }
  operands.insert(operands.end(), captures.begin(), captures.end());
  const Tensors results = call_scan(object, operands);
  if (!results.empty() && object->has_effects())
    outer.graph().nodes[std::size_t(outer.graph().values[std::size_t(results[0].symbol().value)].node)].effect = Effect::control_flow;
  for (std::size_t i = 0; i < variables.size(); ++i) outer.assign(variables[i], results[initial.size() + i]);
  const auto after = results.begin() + std::ptrdiff_t(initial.size());
  return {{results.begin(), after}, {after + std::ptrdiff_t(variables.size()), results.end()}};
}

}  // namespace

Scanned scan(const ScanBody& body, Tensors initial, Tensors sequences, const ScanOptions& options) {
  if (options.length && *options.length < 0) throw InvalidArgumentError("the length is " + std::to_string(*options.length), "scan");
  if (sequences.empty() && !options.length) throw InvalidArgumentError("there is no sequence: how many steps are there?", "scan", "give ScanOptions::length");
  const std::int64_t length = length_of(sequences, options.length.value_or(-1));
  if (options.unroll && length < 0) throw InvalidArgumentError("steps that only the run can count cannot be unrolled", "scan");
  if (auto* outer = dynamic_cast<Trace*>(listeners().tracer); outer && !options.unroll) return trace_scan(*outer, body, initial, sequences, length, options);
  return loop_through(body, initial, sequences, length, options.reverse);
}

}  // namespace lockstep::autodiff

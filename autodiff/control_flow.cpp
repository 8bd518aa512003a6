// Branches and bodies are traced into graphs of their own, without variables: what they read of the enclosing trace (tensors and
// variables alike) comes in as captured operands, and the variables they assign leave as further results.

#include <lockstep/autodiff/control_flow.h>

#include <algorithm>
#include <iostream>

#include <lockstep/autodiff/sub_graph.h>
#include <lockstep/autodiff/tape.h>
#include <lockstep/autodiff/trace.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/print.h>

namespace lockstep::autodiff {
namespace {

Trace* current_trace() { return dynamic_cast<Trace*>(listeners().tracer); }

/// Index of `tensor` in `operands`, appended if new.
int operand_index(std::vector<Tensor>& operands, const Tensor& tensor) {
  for (std::size_t i = 0; i < operands.size(); ++i)
    if (operands[i].id() == tensor.id()) return int(i);
  operands.push_back(tensor);
  return int(operands.size()) - 1;
}

bool taken(const Tensor& predicate) {
  if (predicate.dtype() != boolean) throw TypeError("the predicate must be bool, got " + to_string(predicate.spec()), "cond");
  if (predicate.shape().known() && predicate.numel() != 1) throw InvalidArgumentError("the predicate must be a scalar, got " + to_string(predicate.spec()), "cond");
  return predicate.is_symbolic() || *static_cast<const bool*>(predicate.host_raw());
}

// ---- cond

struct TracedBranch {
  SubGraph sub;
  std::vector<Trace::Assigned> assigned;
  std::vector<TensorSpec> results;
};

/// Traces a branch so that its results are its own followed by the new values of `variables` (all that either branch assigns).
TracedBranch trace_branch(const Branch& branch, std::vector<Tensor>& operands, const std::vector<Variable>& variables) {
  TracedBranch traced;
  Trace trace(true);
  Tensors results = branch();
  for (const Tensor& result : results) traced.results.push_back(result.spec());
  traced.assigned = trace.assigned();
  for (const Variable& variable : variables) results.push_back(trace.read(variable));
  for (const Tensor& result : results) trace.import(result);
  traced.sub.graph = trace.finish(results);
  for (const Tensor& capture : trace.captures()) traced.sub.operands.push_back(operand_index(operands, capture));
  return traced;
}

void infer_cond(InferContext& context) {
  const auto object = object_of<CondObject>(context);
  const Graph& yes = object->branches[1].graph;
  const Graph& no = object->branches[0].graph;
  for (std::size_t r = 0; r < yes.results.size(); ++r) {
    const TensorSpec& a = yes.spec(yes.results[r]);
    const bool same = a.shape == no.spec(no.results[r]).shape;
    context.output(a.dtype, same ? a.shape : Shape::unknown());
  }
}

Tensors run_cond(const OpCall& call, std::span<const Tensor> inputs) {
  return as_results(object_of<CondObject>(call)->branches[taken(inputs[0]) ? 1 : 0].call(inputs));
}

/// Both branches replayed under a tape of their own; what one of them does not depend on gets zeros there.
Gradients cond_gradient(const GradContext& context) {
  const auto object = object_of<CondObject>(context);
  const Graph branches[2] = {silent(object->branches[0].graph), silent(object->branches[1].graph)};
  std::vector<int> wanted;
  for (std::size_t i = 1; i < context.input_count(); ++i)
    if (is_differentiable(context.input(i).dtype())) wanted.push_back(int(i));
  std::vector<Tensor> upstream;
  std::vector<int> float_results;
  for (std::size_t r = 0; r < object->branches[1].graph.results.size(); ++r)
    if (is_differentiable(context.output(r).dtype())) {
      float_results.push_back(int(r));
      upstream.push_back(context.upstream(r));
    }
  const auto back = [&](int which) {
    return [&, which]() -> Tensors {
      GradientTape tape;
      std::vector<Tensor> operands(context.inputs().begin(), context.inputs().end());
      std::vector<Source> sources;
      for (const int i : wanted) {
        Tensor& operand = operands[std::size_t(i)];
        operand = identity(operand);  // a tensor that comes as two operands is two sources
        tape.watch(operand);
        sources.emplace_back(operand);
      }
      const Tensors results = replay(branches[which], object->branches[which].pick(operands));
      std::vector<Tensor> targets;
      for (const int r : float_results) targets.push_back(results[std::size_t(r)]);
      const std::vector<Gradient> gradients = tape.gradient(targets, sources, upstream);
      Tensors dense;
      for (std::size_t k = 0; k < wanted.size(); ++k)
        dense.push_back(gradients[k].exists() ? gradients[k].dense() : zeros_like(context.input(std::size_t(wanted[k]))));
      return dense;
    };
  };
  Gradients gradients(context.input_count());
  if (wanted.empty()) return gradients;
  const Tensors dense = cond(context.input(0), Branch(back(1)), Branch(back(0)));
  for (std::size_t k = 0; k < wanted.size(); ++k) gradients[std::size_t(wanted[k])] = dense[k];
  return gradients;
}

const OpDef& cond_op() {
  static const OpDef op{.name = "cond",
                        .doc = "the results of one of two traced branches",
                        .family = "control flow",
                        .max_inputs = -1,
                        .attrs = {{.name = "graphs", .type = AttrType::object, .required = true}},
                        .infer = infer_cond,
                        .gradient = cond_gradient,
                        .onnx = onnx("If"),
                        .cpu = bind_by_tensors,
                        .cpu_dynamic = run_cond,
                        .any_device = true};
  return op;
}

void keep_effects(Trace& trace, const Tensor& output, bool effects) {
  if (effects) trace.graph().nodes[std::size_t(trace.graph().values[std::size_t(output.symbol().value)].node)].effect = Effect::control_flow;
}

}  // namespace

Tensors cond(const Tensor& predicate, const Branch& if_true, const Branch& if_false) {
  Trace* outer = current_trace();
  if (!outer || !predicate.is_symbolic()) return taken(predicate) ? if_true() : if_false();
  taken(predicate);
  auto object = std::make_shared<CondObject>();
  std::vector<Tensor> operands{predicate};
  std::vector<Variable> variables;
  {
    std::vector<Tensor> unused;
    for (const Branch* branch : {&if_true, &if_false})
      for (const Trace::Assigned& each : trace_branch(*branch, unused, {}).assigned)
        if (std::find(variables.begin(), variables.end(), each.variable) == variables.end()) variables.push_back(each.variable);
  }
  TracedBranch yes = trace_branch(if_true, operands, variables);
  TracedBranch no = trace_branch(if_false, operands, variables);
  if (yes.results.size() != no.results.size())
    throw InvalidArgumentError("the branches give " + std::to_string(yes.results.size()) + " and " + std::to_string(no.results.size()) + " results", "cond");
  for (std::size_t i = 0; i < yes.results.size(); ++i)
    if (yes.results[i].dtype != no.results[i].dtype)
      throw TypeError("result " + std::to_string(i) + " is " + to_string(yes.results[i]) + " in one branch and " + to_string(no.results[i]) + " in the other", "cond");
    else if (yes.results[i].shape.known() && no.results[i].shape.known() && !(yes.results[i].shape == no.results[i].shape))
      throw InvalidArgumentError("result " + std::to_string(i) + " is " + to_string(yes.results[i]) + " in one branch and " + to_string(no.results[i]) + " in the other", "cond");
  const std::size_t count = yes.results.size();
  object->branches[1] = std::move(yes.sub);
  object->branches[0] = std::move(no.sub);
  const bool effects = object->branches[0].has_effects() || object->branches[1].has_effects();
  for (SubGraph& branch : object->branches) branch.compile();
  Tensors outputs = apply_all(cond_op(), operands, {{"graphs", std::shared_ptr<const AttrObject>(object)}});
  if (!outputs.empty()) keep_effects(*outer, outputs[0], effects);
  for (std::size_t v = 0; v < variables.size(); ++v) outer->assign(variables[v], outputs[count + v]);
  return {outputs.begin(), outputs.begin() + std::ptrdiff_t(count)};
}

Tensor cond(const Tensor& predicate, const std::function<Tensor()>& if_true, const std::function<Tensor()>& if_false) {
  return cond(predicate, Branch([&]() -> Tensors { return {if_true()}; }), Branch([&]() -> Tensors { return {if_false()}; }))[0];
}

// ---- while_loop

namespace {

void infer_loop(InferContext& context) {
  const auto object = object_of<LoopObject>(context);
  for (std::size_t i = 0; i < object->state_count; ++i) context.output(context.dtype_of(i), context.shape(i));
}

Tensors run_loop(const OpCall& call, std::span<const Tensor> inputs) {
  const auto loop = object_of<LoopObject>(call);
  std::vector<Tensor> operands(inputs.begin(), inputs.end());
  while (loop->goes_on(operands)) {
    Tensors next = loop->body.call(operands);
    std::move(next.begin(), next.end(), operands.begin());
  }
  return as_results(std::span<const Tensor>(operands).first(loop->state_count));
}

const OpDef& loop_op() {
  static const OpDef op{.name = "while_loop",
                        .doc = "repeats a traced body while a traced condition is true",
                        .family = "control flow",
                        .min_inputs = 0,
                        .max_inputs = -1,
                        .attrs = {{.name = "graphs", .type = AttrType::object, .required = true}},
                        .infer = infer_loop,
                        .gradient = loop_gradient,
                        .onnx = onnx("Loop"),
                        .cpu = bind_by_tensors,
                        .cpu_dynamic = run_loop,
                        .any_device = true};
  return op;
}

struct TracedPart {
  Graph graph;
  std::vector<Tensor> captures;
  std::vector<Trace::Assigned> assigned;
};

/// `variables` are read at the end as further results.
TracedPart trace_part(std::span<const Tensor> state, const LoopBody& body, const std::vector<Variable>& variables) {
  Trace trace(true);
  std::vector<Tensor> symbols;
  for (const Tensor& each : state) symbols.push_back(trace.argument(each.spec()));
  Tensors results = body(symbols);
  TracedPart part;
  part.assigned = trace.assigned();
  for (const Variable& variable : variables) results.push_back(trace.read(variable));
  part.graph = trace.finish(results);
  part.captures = trace.captures();
  return part;
}

void check_state(std::span<const Tensor> state, const Graph& body) {
  if (body.results.size() < state.size())
    throw InvalidArgumentError("the body gives " + std::to_string(body.results.size()) + " tensors for a state of " + std::to_string(state.size()), "while_loop");
  for (std::size_t i = 0; i < state.size(); ++i) {
    const TensorSpec& after = body.spec(body.results[i]);
    if (!(after == state[i].spec()))
      throw InvalidArgumentError("state " + std::to_string(i) + " is " + to_string(state[i].spec()) + " before a round and " + to_string(after) + " after it", "while_loop");
  }
}

}  // namespace

Tensors while_loop(const LoopCondition& condition, const LoopBody& body, Tensors initial) {
  Trace* outer = current_trace();
  if (!outer) {
    Tensors state = std::move(initial);
    while (taken(condition(state))) {
      Tensors next = body(state);
      if (next.size() != state.size())
        throw InvalidArgumentError("the body gives " + std::to_string(next.size()) + " tensors for a state of " + std::to_string(state.size()), "while_loop");
      state = std::move(next);
    }
    return state;
  }
  const std::size_t count = initial.size();
  std::vector<Variable> variables;
  for (const Trace::Assigned& each : trace_part(initial, body, {}).assigned) variables.push_back(each.variable);
  auto object = std::make_shared<LoopObject>();
  TracedPart traced_body = trace_part(initial, body, variables);
  TracedPart traced_condition = trace_part(initial, [&](std::span<const Tensor> state) -> Tensors { return {condition(state)}; }, {});
  const Graph& test = traced_condition.graph;
  if (test.spec(test.results[0]).dtype != boolean || test.spec(test.results[0]).shape.ndim() != 0)
    throw InvalidArgumentError("the condition must give a bool scalar, got " + to_string(test.spec(test.results[0])), "while_loop");
  // The state: the given tensors, then the variables that the body assigns; then what is captured and stays the same.
  std::vector<Tensor> operands(initial.begin(), initial.end());
  for (const Variable& variable : variables) operands.push_back(outer->read(variable));
  object->state_count = operands.size();
  check_state(operands, traced_body.graph);
  const auto connect = [&](SubGraph& sub, TracedPart& part) {
    for (std::size_t i = 0; i < count; ++i) sub.operands.push_back(int(i));
    for (const Tensor& capture : part.captures) {
      int found = -1;
      for (std::size_t i = count; i < operands.size() && found < 0; ++i)
        if (operands[i].id() == capture.id()) found = int(i);
      if (found < 0) {
        found = int(operands.size());
        operands.push_back(capture);
      }
      sub.operands.push_back(found);
    }
    sub.graph = std::move(part.graph);
    sub.compile();
  };
  connect(object->body, traced_body);
  connect(object->condition, traced_condition);
  const bool effects = object->body.has_effects() || object->condition.has_effects();
  Tensors outputs = apply_all(loop_op(), operands, {{"graphs", std::shared_ptr<const AttrObject>(object)}});
  if (!outputs.empty()) keep_effects(*outer, outputs[0], effects);
  for (std::size_t v = 0; v < variables.size(); ++v) outer->assign(variables[v], outputs[count + v]);
  return {outputs.begin(), outputs.begin() + std::ptrdiff_t(count)};
}

Tensors for_range(const Tensor& start, const Tensor& limit, const std::function<Tensors(const Tensor&, std::span<const Tensor>)>& body, Tensors initial) {
  Tensors state{start};
  state.append(initial.begin(), initial.end());
  Tensors done = while_loop([&](std::span<const Tensor> each) { return less(each[0], limit); },
                            [&](std::span<const Tensor> each) {
                              Tensors next{each[0] + 1};
                              const Tensors after = body(each[0], each.subspan(1));
                              next.append(after.begin(), after.end());
                              return next;
                            },
                            std::move(state));
  return {done.begin() + 1, done.end()};
}

// ---- print

namespace {

Tensors run_print(const OpCall& call, std::span<const Tensor> inputs) {
  std::string text = call.text("message");
  for (const Tensor& input : inputs) text.append(text.empty() ? "" : " ").append(array_to_string(input));
  std::cout << text + "\n" << std::flush;
  return {full({}, 0, int32)};
}

const OpDef& print_op() {
  static const OpDef op{.name = "print",
                        .doc = "writes a message and tensors to standard output when it runs; gives an int32 scalar",
                        .family = "control flow",
                        .min_inputs = 0,
                        .max_inputs = -1,
                        .attrs = {{.name = "message", .type = AttrType::string, .fallback = std::string()}},
                        .infer = [](InferContext& context) { context.output(int32, {}); },
                        .gradient = not_differentiable("has no value"),
                        .effect = Effect::print,
                        .onnx = no_onnx("has an effect, no value"),
                        .cpu = bind_by_tensors,
                        .cpu_dynamic = run_print};
  return op;
}

}  // namespace

void print(const std::string& message, std::span<const Tensor> tensors) { apply_all(print_op(), tensors, {{"message", message}}); }

}  // namespace lockstep::autodiff

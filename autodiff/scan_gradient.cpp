// The gradient of scan: another scan in the other direction. One trace has a step and its gradient; it is cut in two where the gradient begins. What the
// second half needs of the first leaves the forward scan as further stacked outputs (the `wide` scan, which a pass puts in the place of the narrow one), so
// nothing is computed twice. Gradients of what the body captured are sums over the steps: where they are products or sums over a batch, their operands are
// stacked instead and one product over all steps is made behind the scan; the others are added up in the state. All is made of ops with gradients.

#include <algorithm>
#include <optional>
#include <set>

#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/autodiff/scan_object.h>
#include <lockstep/autodiff/sub_graph.h>
#include <lockstep/autodiff/tape.h>
#include <lockstep/autodiff/trace.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::autodiff {

struct ScanDerivative {
  /// Where the stack of all steps' values of something is found: an operand, an upstream gradient, or an output of the (wide) scan or of the gradient's.
  struct Stack {
    enum class Of : std::uint8_t { sequence, upstream, wide, back };
    Of of;
    std::size_t number;
  };

  /// A gradient that is made behind the scan: op(a, b) over the batches of all steps at once.
  struct Deferred {
    std::size_t operand;
    const OpDef* op;
    AttrList attrs;
    Shape shape;
    std::vector<Stack> stacks;
  };

  std::shared_ptr<const ScanObject> wide;  // null if the scan itself gives all that is needed
  std::shared_ptr<const ScanObject> back;
  Graph before;                                                         // from the captures to those of `back`
  std::vector<std::size_t> states;                                      // operands whose gradients are the first of back's state
  std::vector<std::size_t> sums;                                        // and those that are summed behind them
  std::vector<Stack> sequences;                                         // of `back`
  std::vector<std::pair<std::size_t, std::size_t>> sequence_gradients;  // operand, output of `back`
  std::vector<Deferred> deferred;
};

namespace {

using Stack = ScanDerivative::Stack;
using Deferred = ScanDerivative::Deferred;

/// A step and its gradient in one graph: arguments are the scan's, then the upstream gradients of float results.
struct StepGradient {
  Graph graph;
  int boundary = 0;                // nodes before it belong to the step
  std::vector<ValueId> results;    // of the step
  std::vector<ValueId> upstream;   // by result; -1 where there is none
  std::vector<ValueId> gradients;  // by operand; -1 where there is none
};

StepGradient trace_gradient(const ScanObject& scan, const std::vector<bool>& has_upstream) {
  StepGradient step;
  Trace trace;
  std::vector<Tensor> operands;
  for (const ValueId argument : scan.body.arguments) operands.push_back(trace.argument(scan.body.spec(argument)));
  GradientTape tape;
  std::vector<Source> sources;
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (!is_differentiable(operands[i].dtype())) continue;
    tape.watch(operands[i]);
    sources.emplace_back(operands[i]);
    numbers.push_back(i);
  }
  const Tensors results = replay(scan.body, operands);
  std::vector<Tensor> targets, upstream;
  step.upstream.assign(results.size(), -1);
  for (std::size_t r = 0; r < results.size(); ++r) {
    step.results.push_back(trace.import(results[r]));
    if (!is_differentiable(results[r].dtype()) || (r >= scan.state_count && !has_upstream[r])) continue;
    targets.push_back(results[r]);
    upstream.push_back(trace.argument(results[r].spec()));
    step.upstream[r] = upstream.back().symbol().value;
  }
  step.boundary = int(trace.graph().nodes.size());
  const std::vector<Gradient> made = tape.gradient(targets, sources, upstream);
  step.gradients.assign(operands.size(), -1);
  std::vector<Tensor> dense;
  for (std::size_t k = 0; k < made.size(); ++k)
    if (made[k].exists()) {
      dense.push_back(made[k].dense());
      step.gradients[numbers[k]] = trace.import(dense.back());
    }
  step.graph = trace.finish(dense);
  return step;
}

/// Cuts the graph and makes the two scans.
class GradientMaker {
 public:
  GradientMaker(const std::shared_ptr<const ScanObject>& scan, const std::vector<bool>& has_upstream, std::int64_t length)
      : quiet_(silent(scan)), scan_(*quiet_), owner_(scan), length_(length), step_(trace_gradient(scan_, has_upstream)), graph_(step_.graph) {}

  std::shared_ptr<const ScanDerivative> make() {
    classify();
    choose_sums();
    for (const ValueId value : outputs_) need(value);
    for (const ValueId value : state_results_) need(value);
    build_back();
    build_wide();
    return made_;
  }

 private:
  std::size_t state_count() const { return scan_.state_count; }
  std::size_t first_capture() const { return scan_.state_count + scan_.sequence_count; }
  int node_of(ValueId value) const { return graph_.values[std::size_t(value)].node; }
  std::optional<std::size_t> index_in(std::span<const ValueId> list, ValueId value) const {
    const auto found = std::find(list.begin(), list.end(), value);
    return found == list.end() ? std::nullopt : std::optional(std::size_t(found - list.begin()));
  }

  /// What is there again in the gradient without being kept: captures, constants, what follows from these alone, and views of what is kept.
  void classify() {
    again_.assign(graph_.nodes.size(), false);
    fixed_.assign(graph_.values.size(), false);
    for (std::size_t i = first_capture(); i < scan_.body.arguments.size(); ++i) fixed_[std::size_t(graph_.arguments[i])] = true;
    for (int n = 0; n < int(graph_.nodes.size()); ++n) {
      const Node& node = graph_.nodes[std::size_t(n)];
      if (node.kind == Node::Kind::argument) continue;
      const bool fixed = node.effect == Effect::none && std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId value) { return !varies(value); });
      for (const ValueId output : node.outputs) fixed_[std::size_t(output)] = fixed;
      again_[std::size_t(n)] = n >= step_.boundary || fixed || node.op->fusion == Fusion::view;
    }
  }

  /// Is it another at each step?
  bool varies(ValueId value) const { return !fixed_[std::size_t(value)]; }

  /// The terms whose sum is `value`; reshapes around them do not matter, the sum has the gradient's shape.
  bool defer(std::size_t operand, ValueId value, std::vector<std::pair<Deferred, std::vector<ValueId>>>& terms) const {
    const Node& node = graph_.producer(value);
    if (node.kind != Node::Kind::op || node_of(value) < step_.boundary) return false;
    const std::string_view op = node.op->name;
    if (op == "identity" || op == "reshape") return defer(operand, node.inputs[0], terms);
    if (op == "add" && graph_.spec(node.inputs[0]) == graph_.spec(node.inputs[1]))
      return defer(operand, node.inputs[0], terms) && defer(operand, node.inputs[1], terms);
    const OpCall call(*node.op, node.attrs);
    const auto ndim = [&](std::size_t i) { return graph_.spec(node.inputs[i]).shape.ndim(); };
    const bool product = op == "matmul" && ndim(0) == 2 && ndim(1) == 2 && call.boolean("transpose_a") && !call.boolean("transpose_b");
    const bool sum = op == "reduce_sum" && !call.boolean("keepdims");
    if (!product && !sum && op != "convolution_kernel_gradient") return false;
    if (!std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId each) { return varies(each); })) return false;
    Deferred term{operand, node.op, node.attrs, graph_.spec(step_.gradients[operand]).shape, {}};
    if (sum && !call.is_none("axis")) {
      Ints axes{0};
      for (const std::int64_t axis : call.ints("axis")) axes.push_back(axis < 0 ? axis + ndim(0) + 1 : axis + 1);
      term.attrs = canonical_attrs(*node.op, {{"axis", axes}});
    }
    terms.emplace_back(std::move(term), std::vector<ValueId>(node.inputs.begin(), node.inputs.end()));
    return true;
  }

  /// Which results the gradient's step has: gradients of the state, sums of captures' gradients, gradients of slices, operands of what is deferred.
  void choose_sums() {
    for (std::size_t i = 0; i < state_count(); ++i)
      if (step_.upstream[i] >= 0) {
        made_->states.push_back(i);
        if (step_.gradients[i] >= 0) state_results_.push_back(step_.gradients[i]);
      }
    for (std::size_t i = first_capture(); i < scan_.body.arguments.size(); ++i) {
      if (step_.gradients[i] < 0) continue;
      std::vector<std::pair<Deferred, std::vector<ValueId>>> terms;
      if (length_ < 2 || !graph_.static_shapes() || !defer(i, step_.gradients[i], terms)) {
        made_->sums.push_back(i);
        state_results_.push_back(step_.gradients[i]);
        continue;
      }
      for (auto& [term, values] : terms) {
        for (const ValueId value : values)
          if (!kept_by_forward(value)) add_output(value);
        made_->deferred.push_back(std::move(term));
        deferred_values_.push_back(std::move(values));
      }
    }
    for (std::size_t j = state_count(); j < first_capture(); ++j)
      if (step_.gradients[j] >= 0) made_->sequence_gradients.emplace_back(j, add_output(step_.gradients[j]));
  }
  std::size_t add_output(ValueId value) {
    if (const auto found = index_in(outputs_, value)) return *found;
    outputs_.push_back(value);
    return outputs_.size() - 1;
  }
  /// Is its stack an operand or an output of the forward scan, or an upstream gradient?
  bool kept_by_forward(ValueId value) const {
    if (graph_.producer(value).kind == Node::Kind::argument) return !index_in(std::span(step_.upstream).first(state_count()), value);
    return node_of(value) < step_.boundary;
  }

  /// Marks what the gradient's step consists of; what comes from outside becomes one of its sequences.
  void need(ValueId value) {
    std::vector<ValueId> open{value};
    while (!open.empty()) {
      const ValueId next = open.back();
      open.pop_back();
      const Node& node = graph_.producer(next);
      if (node.kind == Node::Kind::constant || (node.kind == Node::Kind::op && again_[std::size_t(node_of(next))])) {
        if (needed_.contains(node_of(next))) continue;
        needed_.insert(node_of(next));
        open.insert(open.end(), node.inputs.begin(), node.inputs.end());
        continue;
      }
      const bool state_gradient = bool(index_in(std::span(step_.upstream).first(state_count()), next));
      if (!state_gradient && varies(next) && !index_in(slices_, next)) slices_.push_back(next);
    }
  }

  void build_back() {
    GraphRewriter rewriter(graph_);
    Graph& back = rewriter.graph();
    const auto argument = [&](ValueId value) { rewriter.map(value, back.add_argument(graph_.spec(value))); };
    for (const std::size_t i : made_->states) argument(step_.upstream[i]);
    std::vector<ValueId> totals;
    for (const std::size_t i : made_->sums) totals.push_back(back.add_argument(graph_.spec(step_.gradients[i])));
    for (const ValueId value : slices_) argument(value);
    for (std::size_t i = first_capture(); i < scan_.body.arguments.size(); ++i) argument(graph_.arguments[i]);
    for (int n = 0; n < int(graph_.nodes.size()); ++n)
      if (needed_.contains(n)) rewriter.copy(graph_.nodes[std::size_t(n)]);
    for (const std::size_t i : made_->states) {
      const TensorSpec& spec = scan_.body.spec(scan_.body.arguments[i]);
      if (step_.gradients[i] >= 0) back.results.push_back(rewriter[step_.gradients[i]]);
      else back.results.push_back(zero(back, spec, rewriter[step_.upstream[i]]));
    }
    static const OpDef& add = find_op("add");
    for (std::size_t k = 0; k < totals.size(); ++k) {
      const ValueId gradient = step_.gradients[made_->sums[k]], pair[] = {totals[k], rewriter[gradient]};
      const int node = back.add_call(add, {}, pair, std::span(&graph_.spec(gradient), 1));
      back.results.push_back(back.nodes[std::size_t(node)].outputs[0]);
    }
    for (const ValueId value : outputs_) back.results.push_back(rewriter[value]);
    finish_back(prune(settle_shapes(back)), made_->states.size() + totals.size());
  }

  /// Zeros like `like`, as a constant where the shape is known.
  static ValueId zero(Graph& graph, const TensorSpec& spec, ValueId like) {
    static const OpDef& zeros = find_op("zeros_like");
    const int node = graph.add_call(zeros, canonical_attrs(zeros, {}), std::span(&like, 1), std::span(&spec, 1));
    return graph.nodes[std::size_t(node)].outputs[0];
  }

  /// Leaves out sequences that only told shapes.
  void finish_back(const Graph& back, std::size_t states) {
    const auto consumers = back.consumers();
    const std::vector<bool> escapes = back.escaping();
    GraphRewriter rewriter(back);
    std::vector<ValueId> kept, arguments;
    for (std::size_t i = 0; i < back.arguments.size(); ++i) {
      const auto value = std::size_t(back.arguments[i]);
      const bool slice = i >= states && i < states + slices_.size();
      if (slice && consumers[value].empty() && !escapes[value]) continue;
      if (slice) kept.push_back(slices_[i - states]);
      arguments.push_back(back.arguments[i]);
    }
    for (const Node& node : back.nodes)
      if (node.kind != Node::Kind::argument || index_in(arguments, node.outputs[0])) rewriter.copy(node);
    Graph body = std::move(rewriter.graph());
    for (const ValueId value : arguments) body.arguments.push_back(rewriter[value]);
    for (const ValueId value : back.results) body.results.push_back(rewriter[value]);
    slices_ = std::move(kept);
    Hoisted parts = length_ > 1 ? hoist(body, states + slices_.size()) : Hoisted{captures_only(body, states + slices_.size()), body};
    auto object = std::make_shared<ScanObject>();
    object->body = std::move(parts.body);
    object->state_count = states;
    object->sequence_count = slices_.size();
    object->length = length_;
    object->reverse = !scan_.reverse;
    made_->before = std::move(parts.before);
    made_->back = object;
  }
  static Graph captures_only(const Graph& body, std::size_t varying) {
    Graph graph;
    for (std::size_t i = varying; i < body.arguments.size(); ++i) graph.results.push_back(graph.add_argument(body.spec(body.arguments[i])));
    return graph;
  }

  /// The forward scan with the values that the gradient takes as slices behind its own outputs.
  void build_wide() {
    std::vector<ValueId> results = step_.results;
    const auto stack_of = [&](ValueId value) -> Stack {
      if (!kept_by_forward(value)) return {Stack::Of::back, *index_in(outputs_, value)};
      const std::span<const ValueId> operands = std::span(graph_.arguments).first(scan_.body.arguments.size());
      if (const auto operand = index_in(operands, value); operand && *operand >= state_count()) return {Stack::Of::sequence, *operand};
      if (const auto result = index_in(step_.upstream, value)) return {Stack::Of::upstream, *result};
      const std::span<const ValueId> given = std::span(results).subspan(state_count());
      if (const auto output = index_in(given, value)) return {Stack::Of::wide, state_count() + *output};
      results.push_back(value);
      return {Stack::Of::wide, results.size() - 1};
    };
    for (const ValueId value : slices_) made_->sequences.push_back(stack_of(value));
    for (std::size_t k = 0; k < made_->deferred.size(); ++k)
      for (const ValueId value : deferred_values_[k]) made_->deferred[k].stacks.push_back(stack_of(value));
    if (results.size() == step_.results.size()) return;
    GraphRewriter rewriter(graph_);
    for (int n = 0; n < int(graph_.nodes.size()); ++n) {
      const Node& node = graph_.nodes[std::size_t(n)];
      const bool own = node.kind != Node::Kind::argument || index_in(std::span(graph_.arguments).first(scan_.body.arguments.size()), node.outputs[0]);
      if (n < step_.boundary && own) rewriter.copy(node);
    }
    Graph body = std::move(rewriter.graph());
    for (std::size_t i = 0; i < scan_.body.arguments.size(); ++i) body.arguments.push_back(rewriter[graph_.arguments[i]]);
    for (const ValueId result : results) body.results.push_back(rewriter[result]);
    auto object = std::make_shared<ScanObject>();
    object->body = prune(body);
    object->state_count = state_count();
    object->sequence_count = scan_.sequence_count;
    object->length = scan_.length;
    object->reverse = scan_.reverse;
    object->narrow = owner_;
    made_->wide = object;
  }

  const std::shared_ptr<const ScanObject> quiet_;
  const ScanObject& scan_;
  const std::shared_ptr<const ScanObject>& owner_;
  std::int64_t length_;
  StepGradient step_;
  const Graph& graph_;
  std::vector<bool> again_;  // by node
  std::vector<bool> fixed_;  // by value: the same at every step
  std::set<int> needed_;
  std::vector<ValueId> slices_, outputs_, state_results_;
  std::vector<std::vector<ValueId>> deferred_values_;
  std::shared_ptr<ScanDerivative> made_ = std::make_shared<ScanDerivative>();
};

/// (steps, batch, ...) as (steps * batch, ...).
Tensor all_steps(const Tensor& stack) {
  Ints shape{stack.shape()[0] * stack.shape()[1]};
  for (int i = 2; i < stack.ndim(); ++i) shape.push_back(stack.shape()[i]);
  return reshape(stack, shape);
}

Tensor make_deferred(const Deferred& term, std::span<const Tensor> stacks) {
  Tensor made;
  if (term.op->name == "reduce_sum") made = apply(*term.op, {stacks[0]}, term.attrs);
  else made = apply(*term.op, {all_steps(stacks[0]), all_steps(stacks[1])}, term.attrs);
  return made.shape() == term.shape ? made : reshape(made, Ints(term.shape.begin(), term.shape.end()));
}

}  // namespace

Gradients scan_gradient(const GradContext& context) {
  const auto scan = object_of<ScanObject>(context);
  const std::size_t states = scan->state_count;
  std::int64_t length = scan->length;
  for (std::size_t j = 0; j < scan->sequence_count; ++j)
    if (const Shape& shape = context.input(states + j).shape(); shape.known()) length = shape[0];
  std::vector<bool> key;
  for (std::size_t r = 0; r < context.output_count(); ++r) key.push_back(r < states || context.has_upstream(r));
  const auto plan = scan->derivative(key, length, [&] { return GradientMaker(scan, key, length).make(); });

  Tensors wide;
  if (plan->wide) wide = call_scan(plan->wide, context.inputs());
  Tensors back;
  const auto stack_of = [&](const Stack& stack) -> Tensor {
    switch (stack.of) {
      case Stack::Of::sequence: return context.input(stack.number);
      case Stack::Of::upstream: return context.upstream(stack.number);
      case Stack::Of::wide: return plan->wide ? wide[stack.number] : context.output(stack.number);
      case Stack::Of::back: return back[plan->back->state_count + stack.number];
    }
    return {};
  };
  std::vector<Tensor> operands;
  for (const std::size_t i : plan->states) operands.push_back(context.upstream(i));
  for (const std::size_t i : plan->sums) operands.push_back(zeros_like(context.input(i)));
  for (const Stack& stack : plan->sequences) operands.push_back(stack_of(stack));
  const Tensors captures = replay(plan->before, context.inputs().subspan(states + scan->sequence_count));
  operands.insert(operands.end(), captures.begin(), captures.end());
  Gradients gradients(context.input_count());
  if (plan->back->body.results.empty()) return gradients;
  back = call_scan(plan->back, operands);
  for (std::size_t k = 0; k < plan->states.size(); ++k) gradients[plan->states[k]] = back[k];
  for (std::size_t k = 0; k < plan->sums.size(); ++k) gradients[plan->sums[k]] = back[plan->states.size() + k];
  for (const auto& [operand, output] : plan->sequence_gradients) gradients[operand] = back[plan->back->state_count + output];
  for (const Deferred& term : plan->deferred) {
    std::vector<Tensor> stacks;
    for (const Stack& stack : term.stacks) stacks.push_back(stack_of(stack));
    const Tensor made = make_deferred(term, stacks);
    gradients[term.operand] = gradients[term.operand].exists() ? gradients[term.operand].dense() + made : made;
  }
  return gradients;
}

}  // namespace lockstep::autodiff

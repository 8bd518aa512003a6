// The gradient of while_loop: one op that runs the loop again, keeps every state and walks back through the body's gradient, a graph
// made once. Its own gradient, and all higher ones, unroll the loop under tapes whenever they run.

#include <algorithm>

#include <lockstep/autodiff/sub_graph.h>
#include <lockstep/autodiff/tape.h>
#include <lockstep/autodiff/trace.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::autodiff {
namespace {

/// The loop's gradient: `back` maps (state, captures, gradients of the body's float results) to the gradients of both.
struct LoopGradObject : AttrObject {
  std::shared_ptr<const LoopObject> loop;
  SubGraph back;
  std::vector<int> float_states;
  std::vector<int> float_captures;  // operand numbers
  std::string describe() const override { return "{gradient of " + loop->describe() + "}"; }
};

void infer_loop_gradient(InferContext& context) {
  const auto object = object_of<LoopGradObject>(context);
  for (const int i : object->float_states) context.output(context.dtype_of(std::size_t(i)), context.shape(std::size_t(i)));
  for (const int i : object->float_captures) context.output(context.dtype_of(std::size_t(i)), context.shape(std::size_t(i)));
}

Tensors run_loop_gradient(const OpCall& call, std::span<const Tensor> inputs) {
  const auto object = object_of<LoopGradObject>(call);
  const LoopObject& loop = *object->loop;
  const std::size_t upstream_count = object->float_states.size();
  const std::span<const Tensor> upstream = inputs.last(upstream_count);
  std::vector<Tensor> operands(inputs.begin(), inputs.end() - std::ptrdiff_t(upstream_count));
  std::vector<std::vector<Tensor>> history;
  while (loop.goes_on(operands)) {
    history.emplace_back(operands.begin(), operands.begin() + std::ptrdiff_t(loop.state_count));
    Tensors next = loop.body.call(operands);
    std::move(next.begin(), next.end(), operands.begin());
  }
  Tensors gradients(upstream.begin(), upstream.end());
  for (const int i : object->float_captures) gradients.push_back(full(inputs[std::size_t(i)].shape(), 0, inputs[std::size_t(i)].dtype()));
  static const OpDef& add = find_op("add");
  for (std::size_t round = history.size(); round-- > 0;) {
    std::copy(history[round].begin(), history[round].end(), operands.begin());
    std::vector<Tensor> all(operands);
    all.insert(all.end(), gradients.begin(), gradients.begin() + std::ptrdiff_t(upstream_count));
    const Tensors back = object->back.call(all);
    for (std::size_t k = 0; k < back.size(); ++k) {
      const Tensor pair[] = {gradients[k], back[k]};
      gradients[k] = k < upstream_count ? back[k] : compute(add, pair, {})[0];
    }
  }
  return as_results(gradients);
}

/// A computation that is run op by op at every call.
using Computation = std::function<Tensors(std::span<const Tensor>)>;
struct ComputationObject : AttrObject {
  Computation run;
  std::vector<TensorSpec> results;
  std::string describe() const override { return "{" + std::to_string(results.size()) + " results}"; }
};

/// Gradients that may not exist, as tensors.
Tensors dense(const std::vector<Gradient>& gradients, const std::vector<Source>& sources) {
  Tensors all;
  for (std::size_t k = 0; k < gradients.size(); ++k) all.push_back(gradients[k].exists() ? gradients[k].dense() : zeros_like(sources[k].tensor()));
  return all;
}

/// The sum of `f`'s results, weighted by the upstream gradients that follow f's operands, differentiated by the float operands.
Tensors run_derivative(const Computation& f, std::size_t operand_count, std::span<const Tensor> inputs) {
  const std::span<const Tensor> upstream = inputs.subspan(operand_count);
  GradientTape tape;
  std::vector<Tensor> operands;
  std::vector<Source> sources;
  for (const Tensor& input : inputs.first(operand_count)) {
    operands.push_back(identity(input));  // a tensor that comes as two operands is two sources
    if (!is_differentiable(input.dtype())) continue;
    tape.watch(operands.back());
    sources.emplace_back(operands.back());
  }
  return dense(tape.gradient(f(operands), sources, upstream), sources);
}

/// The float results of the unrolled loop: every op of every round is made anew, for tapes to see.
Tensors unroll(const LoopGradObject& object, std::span<const Tensor> inputs) {
  const LoopObject& loop = *object.loop;
  std::vector<Tensor> operands(inputs.begin(), inputs.end());
  while (loop.goes_on(operands)) {
    Tensors next = replay(loop.body.graph, loop.body.pick(operands));
    std::move(next.begin(), next.end(), operands.begin());
  }
  Tensors results;
  for (const int i : object.float_states) results.push_back(operands[std::size_t(i)]);
  return results;
}

/// The gradient of `f`, called with the context's inputs, as one op that runs f under a tape, and is differentiable like f itself.
Gradients derivative(const GradContext& context, Computation f);

const OpDef& computation_op() {
  static const OpDef op{.name = "loop_derivative",
                        .doc = "a higher derivative of while_loop: unrolls it under tapes",
                        .family = "control flow",
                        .min_inputs = 0,
                        .max_inputs = -1,
                        .attrs = {{.name = "graphs", .type = AttrType::object, .required = true}},
                        .infer = [](InferContext& context) {
                          for (const TensorSpec& spec : object_of<ComputationObject>(context)->results) context.output(spec.dtype, spec.shape);
                        },
                        .gradient = [](const GradContext& context) { return derivative(context, object_of<ComputationObject>(context)->run); },
                        .onnx = no_onnx("part of training only"),
                        .cpu = bind_by_tensors,
                        .cpu_dynamic = [](const OpCall& call, std::span<const Tensor> inputs) {
                          const Unheard unheard;
                          return as_results(object_of<ComputationObject>(call)->run(inputs));
                        }};
  return op;
}

Gradients derivative(const GradContext& context, Computation f) {
  auto object = std::make_shared<ComputationObject>();
  std::vector<std::size_t> wanted;
  std::vector<Tensor> inputs(context.inputs().begin(), context.inputs().end());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (is_differentiable(inputs[i].dtype())) {
      wanted.push_back(i);
      object->results.push_back(inputs[i].spec());
    }
  for (std::size_t i = 0; i < context.output_count(); ++i) inputs.push_back(context.upstream(i));
  object->run = [f = std::move(f), count = context.input_count()](std::span<const Tensor> all) { return run_derivative(f, count, all); };
  const Tensors made = apply_all(computation_op(), inputs, {{"graphs", std::shared_ptr<const AttrObject>(object)}});
  Gradients gradients(context.input_count());
  for (std::size_t k = 0; k < wanted.size(); ++k) gradients[wanted[k]] = made[k];
  return gradients;
}

/// The first derivative, written as the gradient of the unrolled loop, is differentiated again.
Gradients loop_gradient_gradient(const GradContext& context) {
  const auto object = object_of<LoopGradObject>(context);
  return derivative(context, [object](std::span<const Tensor> inputs) {
    return run_derivative([&](std::span<const Tensor> operands) { return unroll(*object, operands); }, inputs.size() - object->float_states.size(), inputs);
  });
}

const OpDef& loop_gradient_op() {
  static const OpDef op{.name = "while_loop_gradient",
                        .doc = "the gradient of while_loop: runs it again, keeping every state, then backwards",
                        .family = "control flow",
                        .min_inputs = 0,
                        .max_inputs = -1,
                        .attrs = {{.name = "graphs", .type = AttrType::object, .required = true}},
                        .infer = infer_loop_gradient,
                        .gradient = loop_gradient_gradient,
                        .onnx = no_onnx("part of training only"),
                        .cpu = bind_by_tensors,
                        .cpu_dynamic = run_loop_gradient};
  return op;
}

}  // namespace

Gradients loop_gradient(const GradContext& context) {
  auto object = std::make_shared<LoopGradObject>();
  object->loop = silent(object_of<LoopObject>(context));
  const LoopObject& loop = *object->loop;
  for (std::size_t i = 0; i < context.input_count(); ++i)
    if (is_differentiable(context.input(i).dtype())) (i < loop.state_count ? object->float_states : object->float_captures).push_back(int(i));
  {
    Trace trace;
    std::vector<Tensor> operands, upstream;
    for (const Tensor& input : context.inputs()) operands.push_back(trace.argument(input.spec()));
    for (const int i : object->float_states) upstream.push_back(trace.argument(context.input(std::size_t(i)).spec()));
    GradientTape tape;
    std::vector<Source> sources;
    for (const auto* list : {&object->float_states, &object->float_captures})
      for (const int i : *list) {
        tape.watch(operands[std::size_t(i)]);
        sources.emplace_back(operands[std::size_t(i)]);
      }
    const Tensors results = replay(loop.body.graph, loop.body.pick(operands));
    std::vector<Tensor> targets;
    for (const int i : object->float_states) targets.push_back(results[std::size_t(i)]);
    object->back.graph = trace.finish(dense(tape.gradient(targets, sources, upstream), sources));
    for (std::size_t i = 0; i < operands.size() + upstream.size(); ++i) object->back.operands.push_back(int(i));
  }
  object->back.compile();
  std::vector<Tensor> inputs(context.inputs().begin(), context.inputs().end());
  for (const int i : object->float_states) inputs.push_back(context.upstream(std::size_t(i)));
  const std::vector<int> states = object->float_states, captures = object->float_captures;
  Gradients gradients(context.input_count());
  if (states.empty()) return gradients;
  const Tensors made = apply_all(loop_gradient_op(), inputs, {{"graphs", std::shared_ptr<const AttrObject>(object)}});
  for (std::size_t k = 0; k < states.size(); ++k) gradients[std::size_t(states[k])] = made[k];
  for (std::size_t k = 0; k < captures.size(); ++k) gradients[std::size_t(captures[k])] = made[states.size() + k];
  return gradients;
}

}  // namespace lockstep::autodiff

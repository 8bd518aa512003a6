// Constant folding and the identities that gradients produce in numbers: factors of one, sums with zero, transposes of transposes,
// broadcasts that a pointwise op does by itself.

#include <algorithm>

#include <lockstep/autodiff/passes/passes.h>

namespace lockstep::autodiff {
namespace {

constexpr std::int64_t kLargestFolded = 1 << 16;  // elements; larger results (zeros of a weight's shape) are cheaper to make than to keep

bool foldable(const Graph& graph, const Node& node) {
  if (node.kind != Node::Kind::op || node.effect != Effect::none || node.op->family == "random") return false;
  const auto small = [&](ValueId value) { return graph.spec(value).shape.known() && graph.spec(value).shape.numel() <= kLargestFolded; };
  return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId value) { return graph.is_constant(value); }) &&
         std::all_of(node.outputs.begin(), node.outputs.end(), small);
}

/// The only value of a constant whose elements are all equal, if it is a float tensor.
std::optional<double> uniform(const Graph& graph, ValueId value) {
  if (!graph.is_constant(value)) return std::nullopt;
  const Tensor& tensor = graph.producer(value).constant;
  const auto of = [&]<class T>(std::span<const T> elements) -> std::optional<double> {
    if (elements.empty() || !std::all_of(elements.begin(), elements.end(), [&](T each) { return each == elements[0]; })) return std::nullopt;
    return double(elements[0]);
  };
  if (tensor.numel() > kLargestFolded) return std::nullopt;
  if (tensor.dtype() == float32) return of(tensor.data<float>());
  if (tensor.dtype() == float64) return of(tensor.data<double>());
  return std::nullopt;
}

/// The operand that the node equals, or -1. Only rewrites that keep every bit for every float (so not x + 0, which turns -0 into 0).
ValueId same_as_operand(const Graph& graph, const Node& node) {
  const std::string_view op = node.op->name;
  const TensorSpec& out = graph.spec(node.outputs[0]);
  const auto keeps_shape = [&](ValueId value) { return graph.spec(value) == out; };
  if ((op == "multiply" || op == "divide") && keeps_shape(node.inputs[0]) && uniform(graph, node.inputs[1]) == 1.0) return node.inputs[0];
  if (op == "multiply" && keeps_shape(node.inputs[1]) && uniform(graph, node.inputs[0]) == 1.0) return node.inputs[1];
  if (op == "subtract" && keeps_shape(node.inputs[0]) && uniform(graph, node.inputs[1]) == 0.0) return node.inputs[0];
  if (op == "identity" || op == "stop_gradient" || op == "custom_gradient") return node.inputs[0];
  if (op == "cast" && keeps_shape(node.inputs[0])) return node.inputs[0];
  if ((op == "reshape" || op == "expand_dims" || op == "squeeze" || op == "broadcast_to") && keeps_shape(node.inputs[0]) && out.shape.known()) return node.inputs[0];
  if (op == "transpose") {
    const Node& inner = graph.producer(node.inputs[0]);
    if (inner.kind == Node::Kind::op && inner.op == node.op && graph.spec(node.inputs[0]).shape.known()) {
      const auto perm = [&](const Node& each) {
        const int ndim = graph.spec(each.outputs[0]).shape.ndim();
        Ints order;
        if (const Ints* given = std::get_if<Ints>(&each.attrs[0].value))
          for (const std::int64_t axis : *given) order.push_back(axis < 0 ? axis + ndim : axis);
        else
          for (int i = ndim - 1; i >= 0; --i) order.push_back(i);
        return order;
      };
      const Ints outer_perm = perm(node), inner_perm = perm(inner);
      bool restores = outer_perm.size() == inner_perm.size();
      for (std::size_t i = 0; restores && i < outer_perm.size(); ++i) restores = inner_perm[std::size_t(outer_perm[i])] == std::int64_t(i);
      if (restores) return inner.inputs[0];
    }
  }
  return -1;
}

bool is_broadcast(const Node& node) { return node.kind == Node::Kind::op && (node.op->name == "broadcast_to" || node.op->name == "broadcast_like"); }

/// Do the operands give the same results by the row's own rules?
bool infers_same(const Graph& graph, const Node& node, std::span<const ValueId> inputs) {
  SmallVector<const TensorSpec*, 8> specs;
  for (const ValueId input : inputs) specs.push_back(&graph.spec(input));
  InferContext context(*node.op, node.attrs, specs);
  try {
    node.op->infer(context);
  } catch (const Error&) {
    return false;
  }
  return context.outputs.size() == 1 && context.outputs[0] == graph.spec(node.outputs[0]);
}

/// A pointwise op reads what was broadcast for it in its first shape, if another operand still says how large the result is: nothing is
/// spread out in memory, and no operand is kept for its shape alone.
void read_before_broadcast(Graph& graph, Node& node) {
  if (node.op->fusion != Fusion::pointwise || !graph.spec(node.outputs[0]).shape.known()) return;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    ValueId inner = node.inputs[i];
    while (is_broadcast(graph.producer(inner))) inner = graph.producer(inner).inputs[0];
    if (inner == node.inputs[i] || !graph.spec(inner).shape.known()) continue;
    SmallVector<ValueId, 4> inputs = node.inputs;
    inputs[i] = inner;
    if (infers_same(graph, node, std::span<const ValueId>(inputs.data(), inputs.size()))) node.inputs = inputs;
  }
}

/// The value that takes the place of an op which reads its operand's shape only, once that is known; -1 if it is none.
ValueId without_shape_operand(Graph& graph, const Node& node) {
  const TensorSpec out = graph.spec(node.outputs[0]);
  if (!out.shape.known()) return -1;
  const std::string_view op = node.op->name;
  if ((op == "zeros_like" || op == "ones_like") && out.shape.numel() <= kLargestFolded && out.dtype != string)
    return graph.add_constant(compute(*node.op, Tensors{Tensor::empty(out.shape, out.dtype, default_device())}, node.attrs)[0]);
  const std::string_view fixed_name = op == "broadcast_like" ? "broadcast_to" : op == "restore_axes" || op == "reshape_like" ? "reshape" : "";
  if (fixed_name.empty()) return -1;
  const OpDef& fixed = find_op(fixed_name);
  const ValueId inputs[] = {node.inputs[0]};
  const int index = graph.add_call(fixed, canonical_attrs(fixed, {{"shape", Ints(out.shape.begin(), out.shape.end())}}), inputs, std::span(&out, 1));
  return graph.nodes[std::size_t(index)].outputs[0];
}

void fold_node(GraphRewriter& rewriter, const Node& node) {
  Tensors inputs;
  for (const ValueId input : node.inputs) inputs.push_back(rewriter.graph().producer(rewriter[input]).constant);
  const Tensors outputs = compute(*node.op, inputs, node.attrs);
  for (std::size_t i = 0; i < outputs.size(); ++i) rewriter.map(node.outputs[i], rewriter.graph().add_constant(outputs[i]));
}

}  // namespace

Graph settle_shapes(const Graph& graph) {
  GraphRewriter rewriter(graph);
  for (const Node& node : graph.nodes) {
    const int index = rewriter.copy(node);
    if (node.kind != Node::Kind::op || node.outputs.size() != 1) continue;
    const Node copied = rewriter.graph().nodes[std::size_t(index)];
    if (const ValueId fixed = without_shape_operand(rewriter.graph(), copied); fixed >= 0) rewriter.map(node.outputs[0], fixed);
  }
  return rewriter.finish();
}

Graph fold(const Graph& graph) {
  GraphRewriter rewriter(graph);
  for (const Node& node : graph.nodes) {
    if (node.kind != Node::Kind::op) {
      rewriter.copy(node);
      continue;
    }
    // Judged on the new graph, where operands have been folded already.
    const int index = rewriter.copy(node);
    Node& copied = rewriter.graph().nodes[std::size_t(index)];
    if (foldable(rewriter.graph(), copied)) {
      try {
        fold_node(rewriter, node);
      } catch (const Error&) {
        // An error belongs to the run, not to the trace: the branch may never be taken.
        for (std::size_t i = 0; i < node.outputs.size(); ++i) rewriter.map(node.outputs[i], rewriter.graph().nodes[std::size_t(index)].outputs[i]);
      }
      continue;
    }
    if (copied.effect != Effect::none || copied.outputs.size() != 1) continue;
    read_before_broadcast(rewriter.graph(), copied);
    if (const ValueId fixed = without_shape_operand(rewriter.graph(), Node(copied)); fixed >= 0) {
      rewriter.map(node.outputs[0], fixed);
      continue;
    }
    const ValueId same = same_as_operand(rewriter.graph(), rewriter.graph().nodes[std::size_t(index)]);
    if (same >= 0) rewriter.map(node.outputs[0], same);
  }
  return rewriter.finish();
}

}  // namespace lockstep::autodiff

#include <lockstep/autodiff/cost.h>

#include <algorithm>

#include <lockstep/autodiff/scan_object.h>
#include <lockstep/autodiff/sub_graph.h>

namespace lockstep::autodiff {
namespace {

double numel(const Graph& graph, ValueId value) { return double(graph.spec(value).shape.numel()); }
double nbytes(const Graph& graph, ValueId value) { return numel(graph, value) * double(itemsize(graph.spec(value).dtype)); }

/// Multiplications of a kernel per cell and output channel: (spatial..., in, out) without the last axis.
double taps(const Graph& graph, ValueId kernel) {
  const Shape& shape = graph.spec(kernel).shape;
  return numel(graph, kernel) / double(std::max<std::int64_t>(1, shape.dim(-1)));
}

/// Products of what each row looks at: two, five for the gradient.
double attention_flops(const Graph& graph, const Node& node, bool gradient) {
  const Shape &query = graph.spec(node.inputs[0]).shape, &key = graph.spec(node.inputs[1]).shape, &value = graph.spec(node.inputs[2]).shape;
  const double rows = double(query.dim(-3)), keys = double(key.dim(-3)), all = numel(graph, node.inputs[0]) / std::max(1.0, rows * double(query.dim(-1)));
  const double below = std::min(rows, keys), seen = OpCall(*node.op, node.attrs).boolean("is_causal") ? below * (below + 1) / 2 + (rows - below) * keys : rows * keys;
  return 2 * all * seen * (gradient ? 3 * double(query.dim(-1)) + 2 * double(value.dim(-1)) : double(query.dim(-1) + value.dim(-1)));
}

double flops_of(const Graph& graph, const Node& node) {
  const std::string_view op = node.op->name;
  if (op == "matmul" || op == "fused_matmul") {
    const int inner = OpCall(*node.op, node.attrs).boolean("transpose_a") ? -2 : -1;
    return 2 * numel(graph, node.outputs[0]) * double(graph.spec(node.inputs[0]).shape.dim(inner));
  }
  if (node.op == &scan_op()) {
    const auto scan = object_of<ScanObject>(OpCall(*node.op, node.attrs));
    const std::int64_t steps = scan->sequence_count > 0 ? graph.spec(node.inputs[scan->state_count]).shape[0] : scan->length;
    double flops = 0;
    for (const Node& each : scan->body.nodes)
      if (each.kind == Node::Kind::op && scan->body.static_shapes()) flops += flops_of(scan->body, each);
    return flops * double(steps);
  }
  if (op == "dot_product_attention" || op == "dot_product_attention_gradient") return attention_flops(graph, node, op != "dot_product_attention");
  if (op == "convolution" || op == "fused_convolution") return 2 * numel(graph, node.outputs[0]) * taps(graph, node.inputs[1]);
  if (op == "convolution_input_gradient") return 2 * numel(graph, node.inputs[0]) * taps(graph, node.inputs[1]);
  if (op == "convolution_kernel_gradient") return 2 * numel(graph, node.inputs[1]) * taps(graph, node.outputs[0]);
  return 0;
}

}  // namespace

Cost cost_of(const Graph& graph, const Node& node) {
  Cost cost;
  if (node.kind != Node::Kind::op) return cost;
  for (const ValueId value : node.inputs) cost.bytes += nbytes(graph, value);
  for (const ValueId value : node.outputs) cost.bytes += nbytes(graph, value);
  cost.flops = flops_of(graph, node);
  return cost;
}

}  // namespace lockstep::autodiff

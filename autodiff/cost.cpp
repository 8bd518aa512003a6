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

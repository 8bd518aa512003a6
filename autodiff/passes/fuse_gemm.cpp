// GEMM and convolution epilogues: product + bias row, then an activation, become one call of fused_matmul or fused_convolution, if
// nobody else needs what lies between.

#include <algorithm>
#include <array>

#include <lockstep/autodiff/passes/passes.h>

namespace lockstep::autodiff {
namespace {

constexpr std::array<std::string_view, 4> kActivations = {"relu", "tanh", "sigmoid", "gelu"};

class Matcher {
 public:
  explicit Matcher(const Graph& graph) : graph_(graph), consumers_(graph.consumers()), escaping_(graph.escaping()) {}

  /// The only consumer of the node's output, or -1.
  int only_consumer(int n) const {
    const ValueId value = graph_.nodes[std::size_t(n)].outputs[0];
    const auto& uses = consumers_[std::size_t(value)];
    return uses.size() == 1 && !escaping_[std::size_t(value)] ? uses[0] : -1;
  }

  /// If `n` adds a vector of the product's last axis to `product`, that vector.
  ValueId bias_of(int n, ValueId product) const {
    const Node& node = graph_.nodes[std::size_t(n)];
    if (node.kind != Node::Kind::op || (node.op->name != "add" && node.op->name != "bias_add")) return -1;
    const ValueId other = node.inputs[0] == product ? node.inputs[1] : node.inputs[0];
    const Shape& out = graph_.spec(product).shape;
    const Shape& shape = graph_.spec(other).shape;
    const bool vector = shape.ndim() == 1 && out.ndim() >= 2 && shape[0] == out[out.ndim() - 1] && shape[0] > 1;
    return vector && other != product && graph_.spec(node.outputs[0]).shape == out ? other : -1;
  }

  std::string_view activation_of(int n) const {
    const Node& node = graph_.nodes[std::size_t(n)];
    if (node.kind != Node::Kind::op || node.inputs.size() != 1) return {};
    const auto found = std::find(kActivations.begin(), kActivations.end(), node.op->name);
    if (found == kActivations.end()) return {};
    // The tanh form of gelu is another function than the kernel's.
    if (*found == "gelu" && OpCall(*node.op, node.attrs).boolean("approximate")) return {};
    return *found;
  }

 private:
  const Graph& graph_;
  std::vector<std::vector<int>> consumers_;
  std::vector<bool> escaping_;
};

struct Epilogue {
  int last = -1;  // node whose output the fused call makes
  ValueId bias = -1;
  std::string_view activation = "none";
};

/// Small products are bound by the cost of a call, where the fused pointwise chain (which also makes the backward pass's mask) wins.
constexpr std::int64_t kSmallestFused = 64 * 64;

bool fusable(const Graph& graph, const Node& node) {
  if (node.kind != Node::Kind::op || (node.op->name != "matmul" && node.op->name != "convolution")) return false;
  for (const ValueId input : node.inputs)
    if (!graph.spec(input).shape.known() || graph.spec(input).shape.numel() == 0) return false;
  const TensorSpec& out = graph.spec(node.outputs[0]);
  if (out.dtype != float32 || !out.shape.known() || out.shape.numel() < kSmallestFused) return false;
  if (node.op->name == "convolution") return true;
  return out.shape.ndim() == 2;
}

}  // namespace

Graph fuse_gemm(const Graph& graph) {
  const Matcher matcher(graph);
  std::vector<Epilogue> epilogues(graph.nodes.size());
  std::vector<int> made_by(graph.nodes.size(), -1);  // last node of a chain -> its product
  std::vector<bool> absorbed(graph.nodes.size(), false);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (!fusable(graph, node)) continue;
    Epilogue epilogue;
    int next = matcher.only_consumer(int(n));
    if (next < 0) continue;
    epilogue.bias = matcher.bias_of(next, node.outputs[0]);
    if (epilogue.bias >= 0) {
      epilogue.last = next;
      next = matcher.only_consumer(next);
    }
    if (next >= 0 && !matcher.activation_of(next).empty()) {
      epilogue.activation = matcher.activation_of(next);
      epilogue.last = next;
    }
    if (epilogue.last < 0) continue;
    epilogues[n] = epilogue;
    made_by[std::size_t(epilogue.last)] = int(n);
    absorbed[n] = true;
    for (int k = matcher.only_consumer(int(n)); k != epilogue.last; k = matcher.only_consumer(k)) absorbed[std::size_t(k)] = true;
  }
  GraphRewriter rewriter(graph);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (absorbed[n]) continue;
    if (made_by[n] < 0) {
      rewriter.copy(graph.nodes[n]);
      continue;
    }
    const Node& product = graph.nodes[std::size_t(made_by[n])];
    const Epilogue& epilogue = epilogues[std::size_t(made_by[n])];
    const OpDef& fused = find_op(product.op->name == "matmul" ? "fused_matmul" : "fused_convolution");
    std::vector<ValueId> inputs;
    for (const ValueId input : product.inputs) inputs.push_back(rewriter[input]);
    if (epilogue.bias >= 0) inputs.push_back(rewriter[epilogue.bias]);
    AttrList attrs = product.attrs;
    attrs.push_back({"activation", std::string(epilogue.activation)});
    const std::array specs = {graph.spec(graph.nodes[n].outputs[0])};
    const int index = rewriter.graph().add_call(fused, canonical_attrs(fused, std::move(attrs)), inputs, specs);
    rewriter.map(graph.nodes[n].outputs[0], rewriter.graph().nodes[std::size_t(index)].outputs[0]);
  }
  return rewriter.finish();
}

}  // namespace lockstep::autodiff

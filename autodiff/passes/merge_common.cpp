// Common subexpressions. Nodes are met in order, so operands have been merged before their consumers are compared.

#include <algorithm>
#include <cstring>
#include <map>

#include <lockstep/autodiff/passes/passes.h>

namespace lockstep::autodiff {
namespace {

constexpr std::size_t kComparedBytes = 256;  // larger constants are equal only if they are the same tensor

bool equal_constants(const Tensor& a, const Tensor& b) {
  if (a.id() == b.id()) return true;
  if (!(a.spec() == b.spec()) || a.dtype() == string || a.nbytes() > kComparedBytes) return false;
  return std::memcmp(a.host_raw(), b.host_raw(), a.nbytes()) == 0;
}

/// Can two calls of this node be one? Every output known, no effect.
bool mergeable(const Node& node) { return node.kind == Node::Kind::op && node.effect == Effect::none; }

}  // namespace

Graph merge_common(const Graph& graph) {
  GraphRewriter rewriter(graph);
  std::map<std::pair<const OpDef*, ValueId>, std::vector<int>> seen;  // (op, first operand) -> new nodes
  std::vector<int> constants;
  for (const Node& node : graph.nodes) {
    if (node.kind == Node::Kind::constant) {
      const auto same = std::find_if(constants.begin(), constants.end(), [&](int n) {
        return equal_constants(rewriter.graph().nodes[std::size_t(n)].constant, node.constant);
      });
      if (same == constants.end()) constants.push_back(rewriter.copy(node));
      else rewriter.map(node.outputs[0], rewriter.graph().nodes[std::size_t(*same)].outputs[0]);
      continue;
    }
    if (!mergeable(node)) {
      rewriter.copy(node);
      continue;
    }
    SmallVector<ValueId, 4> inputs;
    for (const ValueId input : node.inputs) inputs.push_back(rewriter[input]);
    if (node.op->commutative && inputs.size() == 2 && inputs[0] > inputs[1]) std::swap(inputs[0], inputs[1]);
    std::vector<int>& candidates = seen[{node.op, inputs.empty() ? -1 : inputs[0]}];
    const auto same = std::find_if(candidates.begin(), candidates.end(), [&](int n) {
      const Node& other = rewriter.graph().nodes[std::size_t(n)];
      SmallVector<ValueId, 4> theirs = other.inputs;
      if (node.op->commutative && theirs.size() == 2 && theirs[0] > theirs[1]) std::swap(theirs[0], theirs[1]);
      return theirs == inputs && other.attrs == node.attrs;
    });
    if (same == candidates.end()) {
      candidates.push_back(rewriter.copy(node));
      continue;
    }
    const Node& other = rewriter.graph().nodes[std::size_t(*same)];
    for (std::size_t i = 0; i < node.outputs.size(); ++i) rewriter.map(node.outputs[i], other.outputs[i]);
  }
  return rewriter.finish();
}

}  // namespace lockstep::autodiff

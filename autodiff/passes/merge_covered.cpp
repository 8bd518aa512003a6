// A call that another one does besides, for the same operands: a loss, and its gradient with it. The wider call stands later, behind what its further operands are
// made from; with these it moves up to where the narrow one stood, if none of them needs what that one gave.

#include <algorithm>

#include <lockstep/autodiff/passes/passes.h>

namespace lockstep::autodiff {
namespace {

bool covers(const Node& wide, const Node& narrow) {
  return wide.kind == Node::Kind::op && narrow.kind == Node::Kind::op && wide.op->covers == narrow.op->name && wide.attrs == narrow.attrs &&
         std::equal(narrow.inputs.begin(), narrow.inputs.end(), wide.inputs.begin());
}

/// The nodes from `n` on that node `wide` needs, itself included, in order. Empty if it needs `n`, or one of them has an effect (those keep their order).
std::vector<int> way_to(const Graph& graph, int n, int wide) {
  std::vector<bool> needed(graph.nodes.size(), false);
  needed[std::size_t(wide)] = true;
  std::vector<int> way;
  for (int k = wide; k >= n; --k) {
    const Node& node = graph.nodes[std::size_t(k)];
    if (!needed[std::size_t(k)]) continue;
    if (k == n || node.effect != Effect::none) return {};
    way.push_back(k);
    for (const ValueId input : node.inputs) needed[std::size_t(graph.values[std::size_t(input)].node)] = true;
  }
  std::reverse(way.begin(), way.end());
  return way;
}

}  // namespace

Graph merge_covered(const Graph& graph) {
  std::vector<int> wide_nodes;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    if (graph.nodes[n].kind == Node::Kind::op && !graph.nodes[n].op->covers.empty()) wide_nodes.push_back(int(n));
  if (wide_nodes.empty()) return graph;
  GraphRewriter rewriter(graph);
  std::vector<bool> placed(graph.nodes.size(), false);
  const auto place = [&](int n) {
    if (!placed[std::size_t(n)]) rewriter.copy(graph.nodes[std::size_t(n)]);
    placed[std::size_t(n)] = true;
  };
  for (int n = 0; n < int(graph.nodes.size()); ++n) {
    const Node& node = graph.nodes[std::size_t(n)];
    for (const int wide : wide_nodes) {
      if (wide < n || !covers(graph.nodes[std::size_t(wide)], node)) continue;
      const std::vector<int> way = way_to(graph, n, wide);
      for (const int k : way) place(k);
      if (way.empty()) continue;
      for (std::size_t i = 0; i < node.outputs.size(); ++i) rewriter.map(node.outputs[i], rewriter[graph.nodes[std::size_t(wide)].outputs[i]]);
      placed[std::size_t(n)] = true;
      break;
    }
    place(n);
  }
  return rewriter.finish();
}

}  // namespace lockstep::autodiff

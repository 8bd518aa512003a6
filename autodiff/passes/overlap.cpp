// The order for overlap. What begins to travel between ranks begins as soon as its operands exist; everything that does not need the result then
// runs meanwhile. Nodes with effects stay in the program's order among themselves: it is the order that the ranks agree on.

#include <algorithm>
#include <numeric>

#include <lockstep/autodiff/passes/passes.h>

namespace lockstep::autodiff {

Graph overlap(const Graph& graph) {
  // A place is the index of the node behind which a node stands; nodes that are not moved stand behind themselves.
  std::vector<int> place(graph.nodes.size());
  std::iota(place.begin(), place.end(), 0);
  int last_effect = -1;
  bool moved = false;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (node.kind != Node::Kind::op || node.effect == Effect::none) continue;
    if (node.op->settle) {
      int earliest = last_effect;
      for (const ValueId input : node.inputs) earliest = std::max(earliest, place[std::size_t(graph.values[std::size_t(input)].node)]);
      moved = moved || earliest < int(n);
      place[n] = earliest;
    }
    last_effect = std::max(last_effect, place[n]);
  }
  if (!moved) return graph;
  std::vector<int> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return place[std::size_t(a)] < place[std::size_t(b)]; });
  GraphRewriter rewriter(graph);
  for (const int n : order) rewriter.copy(graph.nodes[std::size_t(n)]);
  return rewriter.finish();
}

}  // namespace lockstep::autodiff

#include <lockstep/autodiff/passes/passes.h>

namespace lockstep::autodiff {

Graph prune(const Graph& graph) {
  std::vector<bool> needed(graph.nodes.size(), false);
  const auto need = [&](ValueId value) { needed[std::size_t(graph.values[std::size_t(value)].node)] = true; };
  for (const ValueId result : graph.results) need(result);
  for (const Update& update : graph.updates) need(update.value);
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    if (node.effect != Effect::none) needed[n] = true;
    if (needed[n])
      for (const ValueId input : node.inputs) need(input);
  }
  GraphRewriter rewriter(graph);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    if (needed[n] || graph.nodes[n].kind == Node::Kind::argument) rewriter.copy(graph.nodes[n]);
  return rewriter.finish();
}

}  // namespace lockstep::autodiff

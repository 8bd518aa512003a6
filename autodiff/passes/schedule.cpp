// The parallel schedule. The order is the program's; a stage collects nodes that are ready together. Threads inside an op are
// usually the better use of the cores, so only stages of several middle-sized nodes run side by side.

#include <algorithm>

#include <lockstep/autodiff/cost.h>
#include <lockstep/autodiff/passes/plan.h>

namespace lockstep::autodiff {
namespace {

/// Estimated nanoseconds on one core: 100 GFLOP/s for products, 4 bytes a nanosecond for the rest. Only the order of magnitude
/// matters: it decides whether a node is worth a thread of its own.
double estimate(const Graph& graph, const Node& node) {
  const Cost cost = cost_of(graph, node);
  return cost.bytes / 4 + cost.flops / 100;
}

constexpr double kWorthAThread = 8e3;   // a hand-over to another thread costs a few microseconds
constexpr double kSplitsItself = 3e5;   // above, the threads inside the op have enough to do

/// Op nodes in the program's order, but those that only make new values of variables come last: every reader of the old values has
/// run by then, and an error in a kernel has been thrown before any variable changes.
std::vector<int> program_order(const Graph& graph) {
  const std::vector<std::vector<int>> consumers = graph.consumers();
  std::vector<bool> is_result(graph.values.size(), false);
  for (const ValueId result : graph.results) is_result[std::size_t(result)] = true;
  std::vector<int> order, last;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (node.kind != Node::Kind::op) continue;
    const bool only_updates = node.effect == Effect::none && std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId value) {
      return consumers[std::size_t(value)].empty() && !is_result[std::size_t(value)];
    });
    (only_updates ? last : order).push_back(int(n));
  }
  // Nothing depends on these. Those that may refuse an element (a scatter) go before those that write in place.
  std::stable_partition(last.begin(), last.end(), [&](int n) { return may_fail(graph.nodes[std::size_t(n)]); });
  order.insert(order.end(), last.begin(), last.end());
  return order;
}

}  // namespace

Schedule schedule(const Graph& graph, int threads) {
  Schedule result;
  const std::vector<int> pending = program_order(graph);
  if (threads <= 1 || !graph.static_shapes()) {
    for (const int node : pending) {
      result.stages.push_back({int(result.order.size()), int(result.order.size()) + 1, false});
      result.order.push_back(node);
    }
    return result;
  }
  std::vector<bool> placed(graph.nodes.size(), false);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) placed[n] = graph.nodes[n].kind != Node::Kind::op;
  const auto ready = [&](int n) {
    const auto& inputs = graph.nodes[std::size_t(n)].inputs;
    return std::all_of(inputs.begin(), inputs.end(), [&](ValueId value) { return placed[std::size_t(graph.values[std::size_t(value)].node)]; });
  };
  const auto middle_sized = [&](int n) {
    const Node& node = graph.nodes[std::size_t(n)];
    const double ns = node.effect == Effect::none ? estimate(graph, node) : 0;
    return ns >= kWorthAThread && ns <= kSplitsItself;
  };
  std::size_t next = 0;
  while (next < pending.size()) {
    if (placed[std::size_t(pending[next])]) {
      ++next;
      continue;
    }
    // The first node left is always ready. Look a little ahead for others like it that do not depend on it.
    std::vector<int> group{pending[next]};
    if (middle_sized(pending[next]))
      for (std::size_t ahead = next + 1; ahead < std::min(pending.size(), next + 24) && int(group.size()) < 2 * threads; ++ahead)
        if (!placed[std::size_t(pending[ahead])] && middle_sized(pending[ahead]) && ready(pending[ahead])) group.push_back(pending[ahead]);
    const int begin = int(result.order.size());
    for (const int node : group) {
      result.order.push_back(node);
      placed[std::size_t(node)] = true;
    }
    result.stages.push_back({begin, begin + int(group.size()), group.size() > 1});
  }
  return result;
}

}  // namespace lockstep::autodiff

// Scans give what is needed and no more. First a scan whose gradient made a wider one of it goes: that one, which stands behind it and has the same operands,
// takes its place. Then, from the end of the graph, results that nobody uses leave the bodies, and with them the operands that only these needed.

#include <algorithm>

#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/autodiff/scan_object.h>
#include <lockstep/autodiff/sub_graph.h>

namespace lockstep::autodiff {
namespace {

bool is_scan(const Node& node) { return node.kind == Node::Kind::op && node.op == &scan_op() && node.effect == Effect::none; }
std::shared_ptr<const ScanObject> scan_of(const Node& node) { return object_of<ScanObject>(OpCall(*node.op, node.attrs)); }

bool is_needed(const Node& node, const std::vector<bool>& needed) {
  return std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId value) { return bool(needed[std::size_t(value)]); });
}

/// The node that does all of node `n` and most besides, or -1.
int widest_of(const Graph& graph, int n) {
  int widest = -1;
  std::shared_ptr<const ScanObject> object = scan_of(graph.nodes[std::size_t(n)]);
  for (int k = n + 1; k < int(graph.nodes.size()); ++k) {
    const Node& node = graph.nodes[std::size_t(k)];
    if (!is_scan(node) || !(node.inputs == graph.nodes[std::size_t(n)].inputs)) continue;
    if (const auto other = scan_of(node); other->narrow.lock() == object) {
      widest = k;
      object = other;
    }
  }
  return widest;
}

Graph put_wide_first(const Graph& graph) {
  GraphRewriter rewriter(graph);
  std::vector<int> stands_for(graph.nodes.size(), -1);  // a wide node that has been placed already
  for (int n = 0; n < int(graph.nodes.size()); ++n) {
    const Node& node = graph.nodes[std::size_t(n)];
    const int wide = is_scan(node) ? widest_of(graph, n) : -1;
    if (stands_for[std::size_t(n)] >= 0) continue;
    if (wide < 0) {
      rewriter.copy(node);
      continue;
    }
    const Node& placed = graph.nodes[std::size_t(wide)];
    rewriter.copy(placed);
    // All on the way from the narrow to the widest.
    std::shared_ptr<const ScanObject> object = scan_of(node);
    for (int k = n; k <= wide; ++k) {
      const Node& each = graph.nodes[std::size_t(k)];
      if (!is_scan(each) || !(each.inputs == node.inputs)) continue;
      if (k != n) {
        const auto other = scan_of(each);
        if (other->narrow.lock() != object) continue;
        object = other;
      }
      stands_for[std::size_t(k)] = wide;
      for (std::size_t i = 0; i < each.outputs.size(); ++i) rewriter.map(each.outputs[i], rewriter[placed.outputs[i]]);
    }
  }
  return rewriter.finish();
}

/// A scan's body without what its results do not need.
struct Narrowed {
  std::shared_ptr<const ScanObject> object;
  std::vector<std::size_t> inputs, outputs;  // of the node, that stay
};

/// Values that these results are made from, themselves included.
std::vector<bool> needed_by(const Graph& body, const std::vector<bool>& results) {
  std::vector<bool> needed(body.values.size(), false);
  for (std::size_t r = 0; r < results.size(); ++r)
    if (results[r]) needed[std::size_t(body.results[r])] = true;
  for (std::size_t n = body.nodes.size(); n-- > 0;)
    if (is_needed(body.nodes[n], needed))
      for (const ValueId input : body.nodes[n].inputs) needed[std::size_t(input)] = true;
  return needed;
}

Narrowed narrowed(const ScanObject& scan, const Graph& body, std::int64_t length, std::vector<bool> results) {
  std::vector<bool> needed;
  const auto is_operand = [&](std::size_t i) { return i < scan.state_count ? bool(results[i]) : bool(needed[std::size_t(body.arguments[i])]); };
  for (bool grown = true; grown;) {  // a state is needed, too, if a later step's result needs it
    needed = needed_by(body, results);
    grown = false;
    for (std::size_t i = 0; i < scan.state_count; ++i)
      if (needed[std::size_t(body.arguments[i])] && !results[i]) grown = results[i] = true;
  }
  auto object = std::make_shared<ScanObject>();
  Narrowed narrow;
  GraphRewriter rewriter(body);
  for (std::size_t i = 0; i < body.arguments.size(); ++i) {
    if (!is_operand(i)) continue;
    narrow.inputs.push_back(i);
    object->state_count += i < scan.state_count;
    object->sequence_count += i >= scan.state_count && i < scan.state_count + scan.sequence_count;
    rewriter.map(body.arguments[i], rewriter.graph().add_argument(body.spec(body.arguments[i])));
  }
  for (const Node& node : body.nodes)
    if (node.kind != Node::Kind::argument && is_needed(node, needed)) rewriter.copy(node);
  object->body = std::move(rewriter.graph());
  for (std::size_t r = 0; r < results.size(); ++r) {
    if (!results[r]) continue;
    narrow.outputs.push_back(r);
    object->body.results.push_back(rewriter[body.results[r]]);
  }
  object->length = length;
  object->reverse = scan.reverse;
  narrow.object = object;
  return narrow;
}

Graph drop_unused(const Graph& graph) {
  std::vector<bool> needed = graph.escaping();
  std::vector<Narrowed> fresh(graph.nodes.size());
  std::vector<bool> live(graph.nodes.size(), true);
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    live[n] = node.effect != Effect::none || is_needed(node, needed);
    if (!live[n]) continue;
    if (!is_scan(node)) {
      for (const ValueId input : node.inputs) needed[std::size_t(input)] = true;
      continue;
    }
    const auto scan = scan_of(node);
    std::int64_t length = scan->length;
    for (std::size_t j = 0; j < scan->sequence_count; ++j)
      if (const Shape& shape = graph.spec(node.inputs[scan->state_count + j]).shape; shape.known() && shape.ndim() > 0) length = shape[0];
    std::vector<bool> results;
    for (const ValueId output : node.outputs) results.push_back(needed[std::size_t(output)]);
    // Folded first: what fold finds superfluous needs no operands.
    if (length >= 0) fresh[n] = narrowed(*scan, prune(fold(scan->body)), length, std::move(results));
    if (!fresh[n].object)
      for (const ValueId input : node.inputs) needed[std::size_t(input)] = true;
    for (const std::size_t i : fresh[n].inputs) needed[std::size_t(node.inputs[i])] = true;
  }
  GraphRewriter rewriter(graph);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const Narrowed& narrow = fresh[n];
    if (!narrow.object) {
      if (live[n]) rewriter.copy(node);
      continue;
    }
    std::vector<ValueId> inputs;
    std::vector<TensorSpec> specs;
    for (const std::size_t i : narrow.inputs) inputs.push_back(rewriter[node.inputs[i]]);
    for (const std::size_t r : narrow.outputs) specs.push_back(graph.spec(node.outputs[r]));
    const int index = rewriter.graph().add_call(*node.op, {{"graphs", std::shared_ptr<const AttrObject>(narrow.object)}}, inputs, specs);
    const Node& call = rewriter.graph().nodes[std::size_t(index)];
    for (std::size_t k = 0; k < narrow.outputs.size(); ++k) rewriter.map(node.outputs[narrow.outputs[k]], call.outputs[k]);
  }
  return rewriter.finish();
}

}  // namespace

Graph narrow_scans(const Graph& graph) {
  if (std::none_of(graph.nodes.begin(), graph.nodes.end(), is_scan)) return graph;
  return drop_unused(prune(put_wide_first(graph)));
}

}  // namespace lockstep::autodiff

#include <lockstep/autodiff/staged.h>

#include <algorithm>
#include <unordered_map>

#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::autodiff {
namespace {

bool is_loose(const TensorSpec& spec) { return spec.dtype == string || !spec.shape.known(); }

/// Nodes that cannot be bound, and all that leads to them. Loose results belong there, even if they are mere sources.
std::vector<bool> head_nodes(const Graph& graph) {
  std::vector<bool> in_head(graph.nodes.size(), false);
  const auto loose = [&](ValueId value) { return is_loose(graph.spec(value)); };
  for (const ValueId result : graph.results)
    if (loose(result)) in_head[std::size_t(graph.values[std::size_t(result)].node)] = true;
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    if (node.kind == Node::Kind::op && (std::any_of(node.inputs.begin(), node.inputs.end(), loose) || std::any_of(node.outputs.begin(), node.outputs.end(), loose) || (!node.op->cpu && node.op->cpu_dynamic)))
      in_head[n] = true;
    if (in_head[n])
      for (const ValueId input : node.inputs) in_head[std::size_t(graph.values[std::size_t(input)].node)] = true;
  }
  return in_head;
}

/// May the head run before everything else, and without the locks of the whole?
bool can_go_first(const Graph& graph, const std::vector<bool>& in_head) {
  bool work_left = false;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    work_left |= node.kind == Node::Kind::op && !in_head[n];
    if (!in_head[n]) continue;
    if (node.effect != Effect::none) return false;
    if (node.kind == Node::Kind::variable && std::any_of(graph.updates.begin(), graph.updates.end(), [&](const Update& update) { return update.variable == node.variable; })) return false;
  }
  return work_left && std::none_of(graph.updates.begin(), graph.updates.end(), [&](const Update& update) { return is_loose(graph.spec(update.value)); });
}

}  // namespace

std::optional<StagedGraph> cut_in_stages(const Graph& graph) {
  const std::vector<bool> in_head = head_nodes(graph);
  if (!can_go_first(graph, in_head)) return {};
  StagedGraph cut;
  std::vector<ValueId> handed;
  std::unordered_map<ValueId, int> place;  // among the head's results
  const auto made_in_head = [&](ValueId value) { return graph.producer(value).kind == Node::Kind::op && in_head[std::size_t(graph.values[std::size_t(value)].node)]; };
  const auto hand_over = [&](ValueId value) {
    if (made_in_head(value) && place.emplace(value, int(handed.size())).second) handed.push_back(value);
  };
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    if (!in_head[n])
      for (const ValueId input : graph.nodes[n].inputs) hand_over(input);
  for (const Update& update : graph.updates) hand_over(update.value);
  cut.handed_over = handed.size();

  GraphRewriter head(graph), body(graph);
  for (std::size_t i = 0; i < graph.arguments.size(); ++i) {
    const ValueId argument = graph.arguments[i];
    head.copy(graph.producer(argument));
    head.graph().arguments.push_back(head[argument]);
    if (is_loose(graph.spec(argument))) continue;
    cut.arguments.push_back(int(i));
    body.copy(graph.producer(argument));
    body.graph().arguments.push_back(body[argument]);
  }
  for (const ValueId value : handed) body.map(value, body.graph().add_argument(graph.spec(value)));
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (node.kind == Node::Kind::argument) continue;
    if (in_head[n]) head.copy(node);
    if (node.kind == Node::Kind::op ? !in_head[n] : !is_loose(graph.spec(node.outputs[0]))) body.copy(node);
  }
  for (const ValueId result : graph.results) {
    const bool from_head = made_in_head(result) || is_loose(graph.spec(result));
    if (from_head && place.emplace(result, int(handed.size())).second) handed.push_back(result);
    cut.results.push_back(from_head ? place.at(result) : -1);
    if (!from_head) body.graph().results.push_back(body[result]);
  }
  for (const ValueId value : handed) head.graph().results.push_back(head[value]);
  for (const Update& update : graph.updates) body.graph().updates.push_back({update.variable, body[update.value]});
  cut.head = prune(head.graph());
  cut.body = prune(body.graph());
  return cut;
}

StagedExecutable::StagedExecutable(Graph graph, const PlanOptions& options)
    : cut_(graph.can_be_bound() ? std::nullopt : cut_in_stages(graph)),
      head_(cut_ ? std::make_unique<Executable>(std::move(cut_->head), PlanOptions{.device = Device(), .name = options.name + ", its head"}) : nullptr),
      body_(cut_ ? std::move(cut_->body) : std::move(graph), options) {}

StagedExecutable::Call StagedExecutable::call_head(std::span<const Tensor> arguments) const {
  if (!cut_) return {{arguments.begin(), arguments.end()}, {}};
  const DeviceScope host{Device()};  // where strings are
  Call call;
  for (const int i : cut_->arguments) call.arguments.push_back(arguments[std::size_t(i)]);
  call.from_head = head_->run(arguments);
  for (std::size_t k = 0; k < cut_->handed_over; ++k) {
    const TensorSpec& expected = body_.graph().spec(body_.graph().arguments[cut_->arguments.size() + k]);
    if (!(call.from_head[k].spec() == expected)) throw InternalError("a value inside a traced function is " + to_string(call.from_head[k].spec()) + ", but was to be " + to_string(expected));
    call.arguments.push_back(call.from_head[k]);
  }
  return call;
}

Tensors StagedExecutable::results(const Call& call, Tensors from_body) const {
  if (!cut_) return from_body;
  Tensors results;
  std::size_t next = 0;
  for (const int place : cut_->results) results.push_back(place >= 0 ? call.from_head[std::size_t(place)] : std::move(from_body[next++]));
  return results;
}

Tensors StagedExecutable::run(std::span<const Tensor> arguments) const {
  if (!cut_) return body_.run(arguments);
  const Call call = call_head(arguments);
  return results(call, body_.run(call.arguments));
}

}  // namespace lockstep::autodiff

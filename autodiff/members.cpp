#include <lockstep/autodiff/members.h>

#include <algorithm>
#include <map>

#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::autodiff {
namespace {

bool is_source(const Node& node) { return node.kind != Node::Kind::op; }

/// Do the replicas mean the same call, with operands of the same dtypes and shapes? (Null: the end.)
bool same_call(const Graph& graph, const Node* node, const Graph& other_graph, const Node* other) {
  if (!node || !other) return node == other;
  return node->op == other->op && node->attrs == other->attrs && std::equal(node->inputs.begin(), node->inputs.end(), other->inputs.begin(), other->inputs.end(), [&](ValueId a, ValueId b) { return graph.spec(a) == other_graph.spec(b); });
}

std::string described(const Graph& graph, const Node* node) {
  if (!node) return "the end";
  std::string text(node->op->name);
  for (const Attr& each : node->attrs) text.append(" ").append(each.name).append("=").append(to_string(each.value));
  for (const ValueId input : node->inputs) text += " of " + to_string(graph.spec(input));
  return text;
}

}  // namespace

MemberGraphs split_members(const Graph& graph, const std::function<bool(const Variable&)>& own) {
  std::vector<bool> in_member(graph.nodes.size(), false);
  const auto need = [&](ValueId value) { in_member[std::size_t(graph.values[std::size_t(value)].node)] = true; };
  for (const ValueId result : graph.results) need(result);
  for (const Update& update : graph.updates)
    if (own(update.variable)) need(update.value);
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    if (node.effect != Effect::none) in_member[n] = true;
    if (in_member[n])
      for (const ValueId input : node.inputs) need(input);
  }

  // What the shared part takes from the members': values that they compute, not sources, which it has itself.
  std::vector<ValueId> handed_over;
  const auto hand_over = [&](ValueId value) {
    const Node& maker = graph.producer(value);
    if (is_source(maker) || !in_member[std::size_t(graph.values[std::size_t(value)].node)]) return;
    if (std::find(handed_over.begin(), handed_over.end(), value) == handed_over.end()) handed_over.push_back(value);
  };
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    if (!is_source(graph.nodes[n]) && !in_member[n])
      for (const ValueId input : graph.nodes[n].inputs) hand_over(input);
  for (const Update& update : graph.updates)
    if (!own(update.variable)) hand_over(update.value);

  Graph with_results = graph;
  for (const ValueId value : handed_over) with_results.results.push_back(value);
  std::erase_if(with_results.updates, [&](const Update& update) { return !own(update.variable); });

  GraphRewriter rewriter(graph);
  for (const ValueId argument : graph.arguments) {
    rewriter.copy(graph.producer(argument));
    rewriter.graph().arguments.push_back(rewriter[argument]);
  }
  for (const ValueId value : handed_over) rewriter.map(value, rewriter.graph().add_argument(graph.spec(value)));
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (node.kind == Node::Kind::argument) continue;
    if (is_source(node) || !in_member[n]) rewriter.copy(node);
  }
  Graph shared = std::move(rewriter.graph());
  for (const Update& update : graph.updates)
    if (!own(update.variable)) shared.updates.push_back({update.variable, rewriter[update.value]});
  return {prune(with_results), prune(shared)};
}

Graph with_variables(Graph graph, const std::function<Variable(const Variable&)>& replacement) {
  for (Node& node : graph.nodes)
    if (node.kind == Node::Kind::variable) node.variable = replacement(node.variable);
  for (Update& update : graph.updates) update.variable = replacement(update.variable);
  return graph;
}

Members::Members(std::vector<Graph> traces, const std::function<bool(const Variable&)>& own, const std::function<Variable(std::size_t, const Variable&)>& own_variable) {
  const std::set<std::string> disabled = passes_disabled_by_environment();
  results_ = traces[0].results.size();
  for (std::size_t m = 0; m < traces.size(); ++m) {
    MemberGraphs graphs = split_members(traces[m], own);
    if (m > 0) graphs.member = with_variables(std::move(graphs.member), [&](const Variable& variable) { return own(variable) ? own_variable(m, variable) : variable; });
    members_.push_back(std::make_unique<StagedExecutable>(optimize(std::move(graphs.member), disabled), plan_options(disabled)));
    if (m == 0) shared_ = std::make_unique<StagedExecutable>(optimize(std::move(graphs.shared), disabled), plan_options(disabled));
  }
}

std::vector<Tensors> Members::run(std::span<const Tensors> arguments, const Joint& joint) const {
  std::vector<StagedExecutable::Call> calls;
  std::vector<Executable::Run> runs;
  for (std::size_t m = 0; m < members_.size(); ++m) {
    calls.push_back(members_[m]->call_head(arguments[m]));
    runs.emplace_back(members_[m]->body(), calls.back().arguments);
  }
  std::vector<Inputs> inputs(runs.size());
  std::vector<Outputs> outputs(runs.size());
  for (;;) {
    const Node* first = nullptr;
    for (std::size_t m = 0; m < runs.size(); ++m) {
      const Node* node = runs[m].advance();
      if (m == 0) first = node;
      else if (!same_call(members_[0]->body().graph(), first, members_[m]->body().graph(), node))
        throw FailedPreconditionError("the replicas of a step come to different collectives: replica 0 to " + described(members_[0]->body().graph(), first) + ", replica " + std::to_string(m) + " to " +
                                          described(members_[m]->body().graph(), node),
                                      {}, "what a step does must not depend on the replica");
      if (node) inputs[m] = runs[m].inputs(), outputs[m] = runs[m].outputs();
    }
    if (!first) break;
    joint(members_[0]->body().graph(), *first, inputs, outputs);
  }
  std::vector<Tensors> results;
  for (std::size_t m = 0; m < runs.size(); ++m) results.push_back(members_[m]->results(calls[m], runs[m].finish()));
  Tensors shared_arguments(arguments[0].begin(), arguments[0].end());
  shared_arguments.append(results[0].begin() + std::ptrdiff_t(results_), results[0].end());
  shared_->run(shared_arguments);
  for (Tensors& each : results) each = Tensors(each.begin(), each.begin() + std::ptrdiff_t(results_));
  return results;
}

}  // namespace lockstep::autodiff

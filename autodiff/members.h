#pragma once
// Members: several copies of one step that run in lockstep in one process, each on a part of the batch. They meet at every collective; what
// follows from the collectives alone (the update of the weights) is the same for all of them, and is done once.
//
// Every member runs a graph that depends on its part only, never on how many members this process has: that is what makes the bits of a training
// independent of the number of processes.

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <lockstep/autodiff/graph.h>
#include <lockstep/autodiff/staged.h>

namespace lockstep::autodiff {

/// A graph cut in two. `member`: all that collectives, results and the members' own states need; its results are those of the whole, then what it
/// hands over. `shared`: the rest; its arguments are those of the whole, then what is handed over; it has no results.
struct MemberGraphs {
  Graph member, shared;
};
/// `own` says which updated variables a member has for itself.
MemberGraphs split_members(const Graph& graph, const std::function<bool(const Variable&)>& own);

/// The graph with other variables in the place of some.
Graph with_variables(Graph graph, const std::function<Variable(const Variable&)>& replacement);

class Members {
 public:
  /// Does one collective for all members: `inputs[m]` and `outputs[m]` are member m's operands.
  using Joint = std::function<void(const Graph& graph, const Node& node, std::span<const Inputs> inputs, std::span<const Outputs> outputs)>;

  /// One trace per member, of the same step. A variable for which `own_variable` gives another one is replaced by that in the graph of member m;
  /// member 0 keeps the originals.
  Members(std::vector<Graph> traces, const std::function<bool(const Variable&)>& own, const std::function<Variable(std::size_t member, const Variable&)>& own_variable);

  std::size_t count() const { return members_.size(); }
  /// The results of each member. Throws InternalError if the members do not come to the same collectives.
  std::vector<Tensors> run(std::span<const Tensors> arguments, const Joint& joint) const;

 private:
  std::vector<std::unique_ptr<StagedExecutable>> members_;
  std::unique_ptr<StagedExecutable> shared_;
  std::size_t results_ = 0;  // of the whole
};

}  // namespace lockstep::autodiff

#pragma once
// Graphs of which a part must be interpreted: strings, and shapes that depend on data. Most often that part prepares what the rest computes with (words to numbers in
// front of a model), so the graph is cut in two: the head is interpreted op by op, and the body is bound and planned like any graph.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <lockstep/autodiff/executable.h>

namespace lockstep::autodiff {

struct StagedGraph {
  /// All arguments of the whole. Its results are values for the body, then results of the whole.
  Graph head;
  /// Some arguments of the whole, then the values from the head.
  Graph body;
  std::vector<int> arguments;  // which the body takes
  std::size_t handed_over = 0;
  std::vector<int> results;  // of the whole: which of the head's it is; -1: the next of the body's
};

/// Cuts a graph behind the last node that cannot be bound. None if little would be left (the body has no ops), if the head has effects, or reads a variable that the
/// graph updates: then the whole must be interpreted.
std::optional<StagedGraph> cut_in_stages(const Graph& graph);

/// An executable with the head that it needs, if it needs one.
class StagedExecutable {
 public:
  StagedExecutable(Graph graph, const PlanOptions& options);

  Tensors run(std::span<const Tensor> arguments) const;

  /// A call in pieces (Executable::Run): what the body is called with, and later the results of the whole.
  struct Call {
    Tensors arguments;
    Tensors from_head;
  };
  Call call_head(std::span<const Tensor> arguments) const;
  Tensors results(const Call& call, Tensors from_body) const;

  /// Null if nothing had to be cut off.
  const Executable* head() const { return head_.get(); }
  const Executable& body() const { return body_; }

 private:
  std::optional<StagedGraph> cut_;
  std::unique_ptr<Executable> head_;
  Executable body_;
};

}  // namespace lockstep::autodiff

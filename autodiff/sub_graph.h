#pragma once
// What the ops of control flow share. Private to autodiff: branches and bodies as graphs of their own, the objects that carry them as
// attributes, and the kernels' common ways.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <lockstep/autodiff/executable.h>
#include <lockstep/autodiff/graph.h>
#include <lockstep/tensor/op.h>

namespace lockstep::autodiff {

/// A traced branch or body, and which of the node's operands its arguments are.
struct SubGraph {
  Graph graph;
  std::vector<int> operands;
  std::shared_ptr<const Executable> executable;

  void compile();
  std::vector<Tensor> pick(std::span<const Tensor> from) const;
  Tensors call(std::span<const Tensor> from) const { return executable->run(pick(from)); }
  bool has_effects() const;
};

/// Attribute of `cond`.
struct CondObject : AttrObject {
  SubGraph branches[2];  // false, true
  std::string describe() const override;
};

/// Attribute of `while_loop`.
struct LoopObject : AttrObject {
  SubGraph condition, body;
  std::size_t state_count = 0;  // the first operands
  std::string describe() const override;
  /// One more round?
  bool goes_on(std::span<const Tensor> operands) const;
};

/// The object that a call of one of these ops carries.
template <class Object>
std::shared_ptr<const Object> object_of(const OpCall& call) {
  return std::static_pointer_cast<const Object>(std::get<std::shared_ptr<const AttrObject>>(call.attr("graphs")));
}

/// The same without prints, nested ones included: gradients run a branch or a body again, which must not be heard.
Graph silent(const Graph& graph);
std::shared_ptr<const LoopObject> silent(const std::shared_ptr<const LoopObject>& loop);

/// The same elements as tensors of their own: what leaves an op is never also its operand, nor another of its results (a branch may
/// return what it captured), or a tape would count it twice.
Tensors as_results(std::span<const Tensor> tensors);

/// A kernel for static graphs out of the one that takes tensors: memory is wrapped, results are copied out.
BoundKernel bind_by_tensors(const BindContext& context);

/// The gradient rule of `while_loop`.
Gradients loop_gradient(const GradContext& context);

}  // namespace lockstep::autodiff

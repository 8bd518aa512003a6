#pragma once
// Collectives on tensors: rows of the op table, so that tapes differentiate them and traced functions contain them. All ranks of the group must
// call them in the same order; inside a traced function that follows from tracing the same function.

#include <span>
#include <string>

#include <lockstep/dist/communicator.h>
#include <lockstep/tensor/op.h>

namespace lockstep::dist {

/// Ranks that call collectives together. A small value; 0 is the world.
class Group {
 public:
  Group() = default;
  /// The ranks of the world that name the same `color`. All ranks of the world call it. Lives as long as the process.
  static Group split(int color, const std::string& name);
  Communicator& communicator() const;
  int id() const { return id_; }
  int rank() const { return communicator().rank(); }
  int size() const { return communicator().size(); }

 private:
  friend Group group_of(std::int64_t id);
  explicit Group(int id) : id_(id) {}
  int id_ = 0;
};

struct CollectiveOptions {
  Group group = {};
  /// What it is for: shown in errors and in the flight recorder.
  std::string label = {};
};

/// The reduction of `x` over the ranks, on every rank. Gradient: the sum (mean) of the upstream gradients; of a maximum, divided among the
/// ranks that have it. 16-bit floats are added as float32.
Tensor all_reduce(const Tensor& x, ReduceOp op = ReduceOp::sum, const CollectiveOptions& options = {});
/// Rank `root`'s `x`. Gradient: the sum goes to the root.
Tensor broadcast(const Tensor& x, int root = 0, const CollectiveOptions& options = {});
/// (n, ...) on each rank to (size * n, ...), in the order of the ranks. Gradient: reduce_scatter.
Tensor all_gather(const Tensor& x, const CollectiveOptions& options = {});
/// all_gather for the `replicas` of a step, of which a process may hold several (joint_collective): (n, ...) of each to (replicas * n, ...), in their order.
/// Called outside of such a step it throws FailedPreconditionError unless there are as many replicas as ranks.
Tensor gather_replicas(const Tensor& x, int replicas, const CollectiveOptions& options = {});
/// (size * n, ...) to the part (n, ...) of the reduction that is this rank's. Gradient of sum and mean: all_gather.
/// Throws InvalidArgumentError if the first axis does not divide by the number of ranks.
Tensor reduce_scatter(const Tensor& x, ReduceOp op = ReduceOp::sum, const CollectiveOptions& options = {});
/// (size * n, ...) to (size * n, ...): part k goes to rank k. Gradient: all_to_all.
Tensor all_to_all(const Tensor& x, const CollectiveOptions& options = {});

/// Begins to reduce several tensors of one dtype as one message; what comes out may only be given to all_reduce_wait. Inside a traced function
/// everything that does not need the results runs meanwhile.
Tensors all_reduce_start(std::span<const Tensor> tensors, ReduceOp op = ReduceOp::sum, const CollectiveOptions& options = {});
/// The reduced tensors.
Tensors all_reduce_wait(std::span<const Tensor> started, const CollectiveOptions& options = {});

/// One all_reduce, all_reduce_start, all_reduce_wait, gather_replicas, or all_gather of what they have in common, for the `inputs.size()` members of this
/// process, of `members` in all ranks together: in place
/// of the row's kernel, the same reduction in the order of a tree over all members, whoever holds them. `inputs[m]` and `outputs[m]` are member m's
/// operands. Throws UnimplementedError for another collective.
void joint_collective(const OpDef& op, const AttrList& attrs, std::span<const TensorSpec> specs, std::span<const void* const* const> inputs, std::span<void* const* const> outputs, int members, Device device = {});

/// Puts the family into the op table, if it is not there; the functions above do so themselves.
void register_collectives();

}  // namespace lockstep::dist

#pragma once
// An executable graph: a flat list of bound kernel calls over planned memory. run() does no shape work, no lookup and, in steady
// state, no heap allocation. Thread-safe: every call uses a context of its own.

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <lockstep/autodiff/graph.h>
#include <lockstep/autodiff/passes/plan.h>

namespace lockstep::autodiff {

class Executable {
 public:
  /// Binds every node's kernel. Throws UnimplementedError if one has none. A graph with shapes known only at run time (or with
  /// strings) is interpreted op by op instead.
  Executable(Graph graph, const PlanOptions& options);
  ~Executable();

  /// Computes the results; variables are updated when all of it succeeded. `arguments` match the graph's in dtype and shape.
  Tensors run(std::span<const Tensor> arguments) const;

  const Graph& graph() const { return graph_; }
  const MemoryPlan& plan() const { return plan_; }
  bool interpreted() const { return interpreted_; }
  /// Kernel calls of one run.
  std::size_t step_count() const { return steps_.size(); }

  /// Runs on raw memory: for the kernels of control flow, which hold executables of their branches. Needs a graph without variables.
  void run_raw(Inputs arguments, Outputs results) const;

 private:
  struct Step {
    mutable BoundKernel kernel;
    int first_input;
    int first_output;
  };
  /// Places in the pointer table that hold one storage's address.
  struct Patch {
    int position;
    std::int64_t offset;
  };
  struct Context;
  struct Borrowed;

  void build();
  void bind_node(const Node& node);
  Borrowed acquire() const;
  Tensors interpret(std::span<const Tensor> arguments) const;
  void run_steps(Context& context) const;
  void run_stage(Context& context, const Stage& stage) const;
  void point(Context& context, int storage, void* memory) const;

  Graph graph_;
  MemoryPlan plan_;
  bool interpreted_ = false;
  std::vector<Step> steps_;
  std::vector<int> table_storage_;             // storage of each pointer-table entry
  std::vector<std::vector<int>> positions_;    // storage -> entries
  std::vector<int> update_of_;                 // storage of a variable -> its update, -1 if it is only read
  std::vector<int> lock_order_;                // updates sorted by variable, so that two executables never wait for each other
  std::vector<int> last_use_;                  // interpreted: node after which a value may go
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Context>> idle_;
};

}  // namespace lockstep::autodiff

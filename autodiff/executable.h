#pragma once
// An executable graph: a flat list of bound kernel calls over planned memory. run() does no shape work, no lookup and, in steady
// state, no heap allocation. Thread-safe: every call uses a context of its own.

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
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

  /// Computes the results; variables are updated when all of it succeeded. `arguments` match the graph's in dtype and shape. On a GPU all of it is
  /// enqueued and nothing waits, unless an op needs the host; arguments on the host are copied, and variables that live elsewhere move there.
  Tensors run(std::span<const Tensor> arguments) const;

  class Run;

  const Graph& graph() const { return graph_; }
  const MemoryPlan& plan() const { return plan_; }
  Device device() const { return device_; }
  bool interpreted() const { return interpreted_; }
  /// Kernel calls of one run.
  std::size_t step_count() const { return steps_.size(); }

  /// Time that one kernel call took, over all runs while profiling was on.
  struct StepTime {
    int node;  // of graph()
    double seconds;
  };
  /// Switches the measuring of each kernel call on (from zero) or off. Off, it costs nothing but a look at a flag in each run.
  void set_profiling(bool on) const;
  /// In the order in which the steps run; empty if profiling was never on. On a GPU each step is waited for, and nothing is captured.
  std::vector<StepTime> step_times() const;

  /// Runs on raw memory: for the kernels of control flow, which hold executables of their branches. Needs a graph without variables.
  void run_raw(Inputs arguments, Outputs results) const;

 private:
  struct Step {
    mutable BoundKernel kernel;
    int first_input;
    int first_output;
    int node;
  };
  /// Places in the pointer table that hold one storage's address.
  struct Patch {
    int position;
    std::int64_t offset;
  };
  struct Context;
  struct Begun;
  struct Borrowed;
  struct There;
  /// Steps [begin, end) that run as one CUDA graph, or call by call because they need the host.
  struct Stretch {
    int begin, end;
    bool captured;
  };

  void build();
  void bind_node(const Node& node);
  BoundKernel bind_kernel(const Node& node, std::span<const TensorSpec* const> inputs, std::span<const TensorSpec> outputs) const;
  void cut_stretches();
  Borrowed acquire() const;
  bool computes(const OpDef& op) const;
  Tensors interpret(std::span<const Tensor> arguments) const;
  void run_steps(Context& context) const;
  void run_stretches(Context& context) const;
  void place_argument(Context& context, int storage, const Tensor& argument) const;
  Tensor fresh_result(Context& context, int storage, ValueId value) const;
  void collect_results(Context& context, Tensors& results) const;
  Tensor moved_here(const Variable& variable) const;
  void place_sources(Context& context, std::span<const Tensor> arguments, Tensors& results) const;
  void replace_variables(Context& context, std::span<const Tensor> arguments, Tensors& results) const;
  const Variable::Lock& lock_of(const Context& context, int update) const;
  void run_stage(Context& context, const Stage& stage, bool timed) const;
  void run_step(Context& context, std::size_t step, bool timed) const;
  void point(Context& context, int storage, void* memory) const;

  Graph graph_;
  MemoryPlan plan_;
  Device device_;
  std::string name_;
  bool capture_ = false;
  std::vector<Stretch> stretches_;             // on a GPU
  bool interpreted_ = false;
  std::vector<Step> steps_;
  std::vector<int> table_storage_;             // storage of each pointer-table entry
  std::vector<std::vector<int>> positions_;    // storage -> entries
  std::vector<int> update_of_;                 // storage of a variable -> its update, -1 if it is only read
  std::vector<int> lock_order_;                // updates sorted by variable, so that two executables never wait for each other
  std::vector<int> lock_place_;                // update -> its place in that order
  std::vector<void (*)()> settles_;            // of the ops that begin what others wait for
  std::vector<int> last_use_;                  // interpreted: node after which a value may go
  mutable std::atomic<bool> profiling_ = false;
  mutable std::unique_ptr<std::atomic<std::int64_t>[]> nanoseconds_;  // by step
  mutable std::mutex mutex_;
  mutable std::recursive_mutex enqueuing_;  // on a GPU: held while a step or a stretch is enqueued, for all calls share the kernels' workspace
  mutable std::vector<std::unique_ptr<Context>> idle_;
};

/// One call in pieces, which end where a collective stands: the caller does it, for all that run in lockstep, and goes on. Variables change when
/// the call is finished, and not at all if it is not.
class Executable::Run {
 public:
  /// Throws UnimplementedError for an executable that is interpreted.
  Run(const Executable& executable, std::span<const Tensor> arguments);
  ~Run();
  Run(Run&&) noexcept;
  Run& operator=(Run&&) = delete;

  /// Runs up to the next collective; its node, or null at the end.
  const Node* advance();
  /// Of the collective that advance() came to.
  Inputs inputs() const;
  Outputs outputs() const;
  /// After advance() has come to the end.
  Tensors finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep::autodiff

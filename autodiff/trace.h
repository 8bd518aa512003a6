#pragma once
// Tracing: while a Trace is current on a thread, op calls add nodes to its graph instead of computing.

#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include <lockstep/autodiff/graph.h>

namespace lockstep::autodiff {

/// Builds one graph. Tensors of an enclosing trace and tensors with data may be used inside: the first become captures (extra
/// arguments, see captures()), the second constants.
class Trace : public Tracer {
 public:
  /// Becomes the thread's tracer until destroyed. Tapes outside do not see what happens inside.
  /// `nested`: values of the thread's present trace may be used inside, as captures (branches and loop bodies).
  explicit Trace(bool nested = false);
  ~Trace() override;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  Tensor argument(const TensorSpec& spec);
  /// Closes the graph with these results. Tensors with data may be returned: they become constants.
  Graph finish(std::span<const Tensor> results);
  /// Tensors of the enclosing trace that were used, in the order of the arguments they became (after the declared ones).
  const std::vector<Tensor>& captures() const { return captures_; }
  /// A variable that was assigned inside a nested trace.
  struct Assigned {
    Variable variable;
    Tensor before;  // in the enclosing trace
    Tensor after;   // in this one
  };
  std::vector<Assigned> assigned() const;
  /// Variables that were created inside, nested traces included.
  const std::vector<Variable>& created() const { return created_; }

  /// An op of this trace and its operands, as they were given: tapes know them by their ids.
  struct Call {
    const OpDef* op;
    Tensors inputs;
  };
  /// The call that gave `result`; null if none of this trace did.
  const Call* producer(const Tensor& result) const;

  Tensors trace(const OpDef& op, const AttrList& attrs, std::span<const Tensor> inputs) override;
  Tensor read(const Variable& variable) override;
  void assign(const Variable& variable, const Tensor& value) override;
  void on_create(const Variable& variable) override;

  /// Brings a tensor into this trace: a symbol of its own, a capture, or a constant.
  ValueId import(const Tensor& tensor);
  /// The symbolic tensor of a value.
  Tensor symbol(ValueId value);
  Graph& graph() { return graph_; }

 private:
  bool is_ancestor(std::uint64_t number) const;

  Graph graph_;
  std::uint64_t number_;  // not the address: symbols that leaked from an earlier trace must not pass for ours
  ThreadListeners saved_;
  Trace* parent_ = nullptr;
  std::unordered_map<std::uint64_t, ValueId> imported_;    // tensor id -> value
  std::vector<Tensor> kept_;                               // imported tensors stay alive, so that ids stay unique
  std::vector<Tensor> captures_;
  std::unordered_map<std::uint64_t, Call> calls_;  // tensor id -> what gave it
  struct State {
    Variable variable;
    ValueId entry;
    Tensor current;
    Tensor outer;  // nested: the value in the enclosing trace
    bool assigned = false;
  };
  std::vector<State> states_;
  std::vector<Variable> created_;
  State& state(const Variable& variable);
};

/// Output specs of a call whose operands may have unknown shapes: then the outputs' shapes are unknown too.
SmallVector<TensorSpec, 3> infer_symbolic(const OpDef& op, const AttrList& attrs, std::span<const TensorSpec* const> inputs);

/// Calls every op of `graph` again by apply(), with `arguments` for its arguments; variables are read and assigned. Used to put a
/// function into another trace, and to let tapes see inside a function.
Tensors replay(const Graph& graph, std::span<const Tensor> arguments);

}  // namespace lockstep::autodiff

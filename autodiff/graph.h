#pragma once
// The graph of a traced function: nodes in an order in which they can run, and the values between them. Variables enter as sources
// and leave as updates, so a graph has no hidden state. Passes map a Graph to a Graph.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::autodiff {

/// Index of a value in Graph::values.
using ValueId = int;

struct Value {
  TensorSpec spec;
  int node = -1;
};

/// One step: a source (argument, variable, constant) or the call of an op.
struct Node {
  enum class Kind : std::uint8_t { argument, variable, constant, op };

  Kind kind = Kind::op;
  const OpDef* op = nullptr;
  AttrList attrs;
  SmallVector<ValueId, 4> inputs;
  SmallVector<ValueId, 2> outputs;
  Tensor constant;    // Kind::constant
  Variable variable;  // Kind::variable: its value when the function is entered
  /// Must run, and in program order among its kind: prints, collectives, control flow that contains them.
  Effect effect = Effect::none;
};

/// The variable holds this value when the function is left.
struct Update {
  Variable variable;
  ValueId value;
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<Value> values;
  std::vector<ValueId> arguments;
  std::vector<ValueId> results;
  std::vector<Update> updates;

  ValueId add_source(Node::Kind kind, const TensorSpec& spec);
  ValueId add_argument(const TensorSpec& spec);
  ValueId add_constant(const Tensor& tensor);
  ValueId add_variable(const Variable& variable);
  /// Appends a call; returns its node's index.
  int add_call(const OpDef& op, const AttrList& attrs, std::span<const ValueId> inputs, std::span<const TensorSpec> outputs);

  const TensorSpec& spec(ValueId value) const { return values[std::size_t(value)].spec; }
  const Node& producer(ValueId value) const { return nodes[std::size_t(values[std::size_t(value)].node)]; }
  bool is_constant(ValueId value) const { return producer(value).kind == Node::Kind::constant; }
  /// Consumers of each value (node indices, one entry per use), results and updates not included.
  std::vector<std::vector<int>> consumers() const;
  /// Is each value a result or an update?
  std::vector<bool> escaping() const;
  /// Does every value have a known shape?
  bool static_shapes() const;
  /// Can all kernels be bound before the graph runs? Not where a shape or a string is known only then, or a row may always have such results.
  bool can_be_bound() const;
  /// Number of op nodes.
  int op_count() const;
  /// Names of the op nodes' ops, in order: what tests compare.
  std::vector<std::string> op_names() const;
};

/// Holds all variables that a graph updates, locked in one order by everybody, so that two calls never wait for each other.
class UpdateLocks {
 public:
  explicit UpdateLocks(const Graph& graph);
  /// The lock of update `u`.
  const Variable::Lock& of(std::size_t u) const { return locks_[place_[u]]; }
  /// Null if the graph only reads the variable.
  const Variable::Lock* find(const Variable& variable) const;

 private:
  const Graph& graph_;
  std::vector<Variable::Lock> locks_;
  std::vector<std::size_t> place_;  // update -> lock
};

/// Rebuilds a graph node by node: the tool that passes are written with. Values of the old graph are mapped to the new one.
class GraphRewriter {
 public:
  explicit GraphRewriter(const Graph& old);
  const Graph& old() const { return old_; }
  Graph& graph() { return graph_; }
  /// The new value for an old one; throws InternalError if it has none yet.
  ValueId operator[](ValueId old_value) const;
  void map(ValueId old_value, ValueId new_value) { map_[std::size_t(old_value)] = new_value; }
  /// Copies a node with its inputs mapped.
  int copy(const Node& node);
  /// Arguments are kept even when unused. Finishes results and updates.
  Graph finish();

 private:
  const Graph& old_;
  Graph graph_;
  std::vector<ValueId> map_;
};

/// A readable listing: `%5 = add(%3, %4)  float32 (2, 3)`, one node a line.
std::string to_string(const Graph& graph);
/// The graph in Graphviz's language.
std::string to_dot(const Graph& graph, const std::string& title = "graph");

}  // namespace lockstep::autodiff

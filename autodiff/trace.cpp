#include <lockstep/autodiff/trace.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>

#include <lockstep/tensor/base/error.h>

namespace lockstep::autodiff {

namespace {

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

Trace::Trace(bool nested) : number_(next_number()) {
  ThreadListeners& thread = listeners();
  if (nested) parent_ = dynamic_cast<Trace*>(thread.tracer);
  saved_ = std::move(thread);
  thread = ThreadListeners{};
  thread.tracer = this;
}

Trace::~Trace() { listeners() = std::move(saved_); }

Tensor Trace::argument(const TensorSpec& spec) { return symbol(graph_.add_argument(spec)); }

Tensor Trace::symbol(ValueId value) { return Tensor::symbolic(graph_.spec(value), {number_, value}); }

bool Trace::is_ancestor(std::uint64_t number) const {
  for (const Trace* each = parent_; each; each = each->parent_)
    if (each->number_ == number) return true;
  return false;
}

ValueId Trace::import(const Tensor& tensor) {
  if (!tensor.defined()) throw InvalidArgumentError("an undefined Tensor is used inside a traced function");
  const Symbol symbol = tensor.symbol();
  if (symbol.trace == number_) return symbol.value;
  const auto found = imported_.find(tensor.id());
  if (found != imported_.end()) return found->second;
  ValueId value;
  if (!tensor.is_symbolic()) {
    value = graph_.add_constant(tensor);
  } else if (is_ancestor(symbol.trace)) {
    value = graph_.add_argument(tensor.spec());
    captures_.push_back(tensor);
  } else {
    throw FailedPreconditionError("a tensor of another traced function is used inside this one (" + to_string(tensor.spec()) + ")", {},
                                  "return it from that function and pass it as an argument");
  }
  imported_.emplace(tensor.id(), value);
  kept_.push_back(tensor);
  return value;
}

Tensors Trace::trace(const OpDef& op, const AttrList& attrs, std::span<const Tensor> inputs) {
  SmallVector<ValueId, 8> operands;
  for (const Tensor& input : inputs) operands.push_back(import(input));
  SmallVector<const TensorSpec*, 8> specs;
  for (const Tensor& input : inputs) specs.push_back(&input.spec());
  const SmallVector<TensorSpec, 3> outputs = infer_symbolic(op, attrs, specs);
  const int node = graph_.add_call(op, attrs, operands, outputs);
  Tensors results;
  for (const ValueId output : graph_.nodes[std::size_t(node)].outputs) results.push_back(symbol(output));
  for (const Tensor& result : results) calls_.emplace(result.id(), Call{&op, Tensors(inputs.begin(), inputs.end())});
  return results;
}

const Trace::Call* Trace::producer(const Tensor& result) const {
  const auto found = calls_.find(result.id());
  return found == calls_.end() ? nullptr : &found->second;
}

Trace::State& Trace::state(const Variable& variable) {
  const auto found = std::find_if(states_.begin(), states_.end(), [&](const State& each) { return each.variable == variable; });
  if (found != states_.end()) return *found;
  // Inside a branch or a loop body the state belongs to the enclosing trace: it is captured like any value.
  const Tensor outer = parent_ ? parent_->read(variable) : Tensor();
  const ValueId entry = parent_ ? import(outer) : graph_.add_variable(variable);
  states_.push_back({variable, entry, symbol(entry), outer, false});
  return states_.back();
}

Tensor Trace::read(const Variable& variable) {
  const State& found = state(variable);
  // Tapes of the enclosing trace see the branch or the loop as one op on what it captured: for them, this is a reading too.
  if (parent_ && !found.assigned)
    for (Observer* observer : saved_.observers) observer->on_read(variable, found.outer);
  return found.current;
}

void Trace::assign(const Variable& variable, const Tensor& value) {
  const ValueId imported = import(value);
  State& target = state(variable);
  target.current = symbol(imported);
  target.assigned = true;
}

void Trace::on_create(const Variable& variable) {
  created_.push_back(variable);
  if (parent_) parent_->on_create(variable);
}

std::vector<Trace::Assigned> Trace::assigned() const {
  std::vector<Assigned> list;
  for (const State& each : states_)
    if (each.assigned) list.push_back({each.variable, parent_ ? const_cast<Trace*>(parent_)->read(each.variable) : Tensor(), each.current});
  return list;
}

Graph Trace::finish(std::span<const Tensor> results) {
  for (const Tensor& result : results) graph_.results.push_back(import(result));
  for (const State& each : states_)
    if (each.assigned && !parent_) graph_.updates.push_back({each.variable, each.current.symbol().value});
  return std::move(graph_);
}

namespace {

/// The shape that a row without unknown sizes has by its attribute `shape`, whatever its operand's is (reshape); unknown for all others.
Shape named_shape(const OpDef& op, const AttrList& attrs) {
  if (op.fusion != Fusion::view) return Shape::unknown();
  for (const Attr& attr : attrs)
    if (const auto* sizes = std::get_if<Ints>(&attr.value); sizes && attr.name == "shape" && std::all_of(sizes->begin(), sizes->end(), [](std::int64_t size) { return size >= 0; })) return Shape(*sizes);
  return Shape::unknown();
}

}  // namespace

SmallVector<TensorSpec, 3> infer_symbolic(const OpDef& op, const AttrList& attrs, std::span<const TensorSpec* const> inputs) {
  const bool known = std::all_of(inputs.begin(), inputs.end(), [](const TensorSpec* spec) { return spec->shape.known(); });
  if (known) return infer(op, attrs, inputs);
  if (const Shape shape = named_shape(op, attrs); shape.known()) return {TensorSpec{inputs[0]->dtype, shape}};
  // The dtypes of outputs never depend on shapes: ask the rule with shapes that stand in for the unknown ones.
  const std::array<Shape, 6> candidates = {Shape{2}, Shape{2, 2}, Shape{}, Shape{2, 2, 2}, Shape{2, 2, 2, 2}, Shape{1}};
  std::vector<Shape> tried(candidates.begin(), candidates.end());
  for (const TensorSpec* spec : inputs)
    if (spec->shape.known()) tried.insert(tried.begin(), spec->shape);
  for (const Shape& stand_in : tried) {
    std::vector<TensorSpec> specs;
    for (const TensorSpec* spec : inputs) specs.push_back({spec->dtype, spec->shape.known() ? spec->shape : stand_in});
    SmallVector<const TensorSpec*, 8> pointers;
    for (const TensorSpec& spec : specs) pointers.push_back(&spec);
    try {
      SmallVector<TensorSpec, 3> outputs = infer(op, attrs, pointers);
      for (TensorSpec& output : outputs) output.shape = Shape::unknown();
      return outputs;
    } catch (const TypeError&) {
      throw;
    } catch (const InvalidArgumentError&) {
    }
  }
  SmallVector<TensorSpec, 3> outputs;
  outputs.push_back({inputs.empty() ? float32 : inputs[0]->dtype, Shape::unknown()});
  return outputs;
}

Tensors replay(const Graph& graph, std::span<const Tensor> arguments) {
  // Outside of a trace it is one call like any other: no thread comes between its readings and its updates.
  std::optional<UpdateLocks> locks;
  if (!listeners().tracer && !graph.updates.empty()) locks.emplace(graph);
  const auto read = [&](const Variable& variable) {
    const Variable::Lock* lock = locks ? locks->find(variable) : nullptr;
    if (!lock) return variable.value();
    for (Observer* observer : listeners().observers) observer->on_read(variable, lock->value());
    return lock->value();
  };
  std::vector<Tensor> values(graph.values.size());
  for (std::size_t i = 0; i < graph.arguments.size(); ++i) values[std::size_t(graph.arguments[i])] = arguments[i];
  for (const Node& node : graph.nodes) {
    if (node.kind == Node::Kind::constant) values[std::size_t(node.outputs[0])] = node.constant;
    if (node.kind == Node::Kind::variable) values[std::size_t(node.outputs[0])] = read(node.variable);
    if (node.kind != Node::Kind::op) continue;
    Tensors inputs;
    for (const ValueId input : node.inputs) inputs.push_back(values[std::size_t(input)]);
    Tensors outputs = apply_all(*node.op, inputs, node.attrs);
    for (std::size_t i = 0; i < outputs.size(); ++i) values[std::size_t(node.outputs[i])] = std::move(outputs[i]);
  }
  for (std::size_t u = 0; u < graph.updates.size(); ++u) {
    const Variable& variable = graph.updates[u].variable;
    const Tensor& value = values[std::size_t(graph.updates[u].value)];
    if (!locks) variable.assign(value);
    else locks->of(u).value() = Tensor::view(value, variable.shape());
  }
  Tensors results;
  for (const ValueId result : graph.results) results.push_back(values[std::size_t(result)]);
  return results;
}

}  // namespace lockstep::autodiff

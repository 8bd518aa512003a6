#include <lockstep/autodiff/graph.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include <lockstep/tensor/base/error.h>

namespace lockstep::autodiff {

ValueId Graph::add_source(Node::Kind kind, const TensorSpec& spec) {
  Node node;
  node.kind = kind;
  const ValueId value = ValueId(values.size());
  node.outputs.push_back(value);
  values.push_back({spec, int(nodes.size())});
  nodes.push_back(std::move(node));
  return value;
}

ValueId Graph::add_argument(const TensorSpec& spec) {
  arguments.push_back(add_source(Node::Kind::argument, spec));
  return arguments.back();
}

ValueId Graph::add_constant(const Tensor& tensor) {
  const ValueId value = add_source(Node::Kind::constant, tensor.spec());
  nodes.back().constant = tensor;
  return value;
}

ValueId Graph::add_variable(const Variable& variable) {
  const ValueId value = add_source(Node::Kind::variable, {variable.dtype(), variable.shape()});
  nodes.back().variable = variable;
  return value;
}

int Graph::add_call(const OpDef& op, const AttrList& attrs, std::span<const ValueId> inputs, std::span<const TensorSpec> outputs) {
  Node node;
  node.op = &op;
  node.attrs = attrs;
  node.effect = op.effect;
  node.inputs.append(inputs.begin(), inputs.end());
  for (const TensorSpec& spec : outputs) {
    node.outputs.push_back(ValueId(values.size()));
    values.push_back({spec, int(nodes.size())});
  }
  nodes.push_back(std::move(node));
  return int(nodes.size()) - 1;
}

std::vector<std::vector<int>> Graph::consumers() const {
  std::vector<std::vector<int>> uses(values.size());
  for (std::size_t n = 0; n < nodes.size(); ++n)
    for (const ValueId input : nodes[n].inputs) uses[std::size_t(input)].push_back(int(n));
  return uses;
}

std::vector<bool> Graph::escaping() const {
  std::vector<bool> escapes(values.size(), false);
  for (const ValueId value : results) escapes[std::size_t(value)] = true;
  for (const Update& update : updates) escapes[std::size_t(update.value)] = true;
  return escapes;
}

bool Graph::static_shapes() const {
  return std::all_of(values.begin(), values.end(), [](const Value& value) { return value.spec.shape.known(); });
}

bool Graph::can_be_bound() const {
  return static_shapes() && std::none_of(values.begin(), values.end(), [](const Value& value) { return value.spec.dtype == string; }) &&
         std::none_of(nodes.begin(), nodes.end(), [](const Node& node) { return node.kind == Node::Kind::op && !node.op->cpu && node.op->cpu_dynamic; });
}

int Graph::op_count() const {
  return int(std::count_if(nodes.begin(), nodes.end(), [](const Node& node) { return node.kind == Node::Kind::op; }));
}

std::vector<std::string> Graph::op_names() const {
  std::vector<std::string> names;
  for (const Node& node : nodes)
    if (node.kind == Node::Kind::op) names.emplace_back(node.op->name);
  return names;
}

UpdateLocks::UpdateLocks(const Graph& graph) : graph_(graph), place_(graph.updates.size()) {
  std::vector<std::size_t> order(graph.updates.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return std::less<>()(graph.updates[a].variable.key(), graph.updates[b].variable.key()); });
  locks_.reserve(order.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    locks_.emplace_back(graph.updates[order[k]].variable);
    place_[order[k]] = k;
  }
}

const Variable::Lock* UpdateLocks::find(const Variable& variable) const {
  for (std::size_t u = 0; u < graph_.updates.size(); ++u)
    if (graph_.updates[u].variable == variable) return &of(u);
  return nullptr;
}

GraphRewriter::GraphRewriter(const Graph& old) : old_(old), map_(old.values.size(), -1) {}

ValueId GraphRewriter::operator[](ValueId old_value) const {
  const ValueId mapped = map_[std::size_t(old_value)];
  if (mapped < 0) throw InternalError("a pass used value %" + std::to_string(old_value) + " before it was made");
  return mapped;
}

int GraphRewriter::copy(const Node& node) {
  Node copied = node;
  copied.outputs.clear();
  for (ValueId& input : copied.inputs) input = (*this)[input];
  const int index = int(graph_.nodes.size());
  for (const ValueId output : node.outputs) {
    const ValueId fresh = ValueId(graph_.values.size());
    graph_.values.push_back({old_.spec(output), index});
    copied.outputs.push_back(fresh);
    map(output, fresh);
  }
  graph_.nodes.push_back(std::move(copied));
  return index;
}

Graph GraphRewriter::finish() {
  for (const ValueId argument : old_.arguments) {
    if (map_[std::size_t(argument)] < 0) copy(old_.producer(argument));
    graph_.arguments.push_back((*this)[argument]);
  }
  for (const ValueId result : old_.results) graph_.results.push_back((*this)[result]);
  for (const Update& update : old_.updates) graph_.updates.push_back({update.variable, (*this)[update.value]});
  return std::move(graph_);
}

namespace {

std::string value_name(ValueId value) { return "%" + std::to_string(value); }

std::string call_text(const Node& node) {
  std::string text = std::string(node.op->name) + "(";
  for (std::size_t i = 0; i < node.inputs.size(); ++i) text.append(i ? ", " : "").append(value_name(node.inputs[i]));
  for (const Attr& attr : node.attrs)
    text.append(text.back() == '(' ? "" : ", ").append(attr.name).append("=").append(to_string(attr.value));
  return text + ")";
}

std::string source_text(const Node& node) {
  switch (node.kind) {
    case Node::Kind::argument: return "argument";
    case Node::Kind::variable: return "variable " + node.variable.path();
    case Node::Kind::constant: return "constant";
    case Node::Kind::op: break;
  }
  return call_text(node);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string to_string(const Graph& graph) {
  std::string text;
  for (const Node& node : graph.nodes) {
    std::string left;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) left.append(i ? ", " : "").append(value_name(node.outputs[i]));
    text.append(left).append(left.empty() ? "" : " = ").append(source_text(node));
    for (const ValueId output : node.outputs) text.append("  ").append(to_string(graph.spec(output)));
    text += "\n";
  }
  text += "return";
  for (const ValueId result : graph.results) text.append(" ").append(value_name(result));
  text += "\n";
  for (const Update& update : graph.updates) text.append(update.variable.path()).append(" := ").append(value_name(update.value)).append("\n");
  return text;
}

std::string to_dot(const Graph& graph, const std::string& title) {
  std::string text = "digraph \"" + escaped(title) + "\" {\n  node [shape=box, fontname=\"sans\"];\n";
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const std::string label = node.kind == Node::Kind::op ? std::string(node.op->name) : source_text(node);
    const std::string spec = node.outputs.empty() ? "" : "\\n" + to_string(graph.spec(node.outputs[0]));
    const char* style = node.kind == Node::Kind::op ? "" : ", style=filled, fillcolor=\"#e8eef7\"";
    text.append("  n").append(std::to_string(n)).append(" [label=\"").append(escaped(label)).append(spec).append("\"").append(style).append("];\n");
    for (const ValueId input : node.inputs)
      text.append("  n").append(std::to_string(graph.values[std::size_t(input)].node)).append(" -> n").append(std::to_string(n)).append(";\n");
  }
  const auto leave = [&](const std::string& name, const std::string& label, ValueId value) {
    text.append("  ").append(name).append(" [label=\"").append(escaped(label)).append("\", shape=ellipse];\n");
    text.append("  n").append(std::to_string(graph.values[std::size_t(value)].node)).append(" -> ").append(name).append(";\n");
  };
  for (std::size_t i = 0; i < graph.results.size(); ++i) leave("r" + std::to_string(i), "result " + std::to_string(i), graph.results[i]);
  for (std::size_t i = 0; i < graph.updates.size(); ++i)
    leave("u" + std::to_string(i), graph.updates[i].variable.path() + " :=", graph.updates[i].value);
  return text + "}\n";
}

}  // namespace lockstep::autodiff

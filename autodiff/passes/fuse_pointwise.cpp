// Pointwise fusion. Groups grow in program order: a node joins the group of one of its producers if their shapes agree and no path
// leaves the group and comes back. Sums over everything, over rows or over columns may end a group. Each group becomes one node.

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include <lockstep/autodiff/fused.h>
#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/pointwise/bind.h>

namespace lockstep::autodiff {
namespace {

constexpr std::size_t kMostInstructions = 64;
constexpr std::int64_t kMostReducedColumns = 8192;  // accumulators of a column sum stay in cache

/// The domain of a group seen as rows x columns; columns 0 means that nothing has fixed them yet.
struct Domain {
  Shape shape;
  std::int64_t columns = 0;
};

/// How an operand of shape `operand` lies over `domain`; fixes domain.columns where it must. Null if it does not fit.
std::optional<Layout> layout_over(const Shape& operand, Domain& domain) {
  if (operand == domain.shape) return Layout::full;
  if (operand.numel() == 1) return Layout::scalar;
  // Leading axes of size 1 are broadcast: what remains must be the trailing axes (row) or the leading ones with 1s behind (column).
  const int lead = domain.shape.ndim() - operand.ndim();
  const auto size_at = [&](int axis) { return axis < lead ? std::int64_t(1) : operand[axis - lead]; };
  int first = 0;
  while (first < domain.shape.ndim() && size_at(first) == 1) ++first;
  bool row = true;
  for (int axis = first; axis < domain.shape.ndim(); ++axis) row = row && size_at(axis) == domain.shape[axis];
  if (row && operand.numel() > 0) {
    if (domain.columns != 0 && domain.columns != operand.numel()) return std::nullopt;
    domain.columns = operand.numel();
    return Layout::row;
  }
  int last = domain.shape.ndim();
  while (last > 0 && size_at(last - 1) == 1) --last;
  for (int axis = 0; axis < last; ++axis)
    if (size_at(axis) != domain.shape[axis]) return std::nullopt;
  if (operand.numel() == 0) return std::nullopt;
  const std::int64_t columns = domain.shape.numel() / operand.numel();
  if (domain.columns != 0 && domain.columns != columns) return std::nullopt;
  domain.columns = columns;
  return Layout::column;
}

/// Is the node a sum or mean of float32 whose reduced axes are all, the leading, or the trailing ones of `domain`?
std::optional<Layout> reduction_layout(const Graph& graph, const Node& node, Domain& domain) {
  if (node.op->name != "reduce_sum" && node.op->name != "reduce_mean") return std::nullopt;
  const TensorSpec& operand = graph.spec(node.inputs[0]);
  if (operand.dtype != float32 || !(operand.shape == domain.shape) || operand.shape.numel() == 0) return std::nullopt;
  const auto axes = rules::wrap_axes(OpCall(*node.op, node.attrs).attr("axis"), operand.shape.ndim());
  const int ndim = operand.shape.ndim(), count = int(axes.size());
  if (count == 0) return std::nullopt;
  if (count == ndim) return Layout::scalar;
  bool leading = true, trailing = true;
  for (int i = 0; i < count; ++i) {
    leading = leading && axes[std::size_t(i)] == i;
    trailing = trailing && axes[std::size_t(i)] == ndim - count + i;
  }
  const std::int64_t kept = graph.spec(node.outputs[0]).shape.numel();
  if (kept == 0 || (!leading && !trailing)) return std::nullopt;
  const std::int64_t columns = leading ? kept : operand.shape.numel() / kept;
  if (domain.columns != 0 && domain.columns != columns) return std::nullopt;
  if (leading && columns > kMostReducedColumns) return std::nullopt;
  domain.columns = columns;
  return leading ? Layout::row : Layout::column;
}

PointwiseFn run_of(const Graph& graph, const Node& node) {
  if (node.kind != Node::Kind::op || node.op->fusion != Fusion::pointwise || !node.op->pointwise || node.effect != Effect::none) return nullptr;
  SmallVector<DType, 4> dtypes;
  for (const ValueId input : node.inputs) dtypes.push_back(graph.spec(input).dtype);
  return node.op->pointwise(dtypes, graph.spec(node.outputs[0]).dtype);
}

class Grouping {
 public:
  explicit Grouping(const Graph& graph) : graph_(graph), group_of_(graph.nodes.size(), -1), escaping_(graph.escaping()), consumers_(graph.consumers()) {
    words_ = (graph.nodes.size() + 63) / 64;
    ancestors_.assign(graph.nodes.size() * words_, 0);
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) visit(int(n));
  }

  struct Group {
    Domain domain;
    std::vector<int> nodes;       // pointwise, in order
    std::vector<int> reductions;  // nodes that end it
    std::set<int> copies = {};    // nodes of other groups that are computed here once more
  };
  const std::vector<Group>& groups() const { return groups_; }
  std::vector<Group>& groups() { return groups_; }
  int group_of(int node) const { return group_of_[std::size_t(node)]; }

 private:
  std::uint64_t* ancestors(int node) { return &ancestors_[std::size_t(node) * words_]; }
  bool descends(int node, int from) { return (ancestors(node)[from / 64] >> (from % 64)) & 1u; }

  void visit(int n) {
    visited_ = n;
    const Node& node = graph_.nodes[std::size_t(n)];
    for (const ValueId input : node.inputs) add_ancestor(n, graph_.values[std::size_t(input)].node);
    if (node.kind != Node::Kind::op) return;
    if (run_of(graph_, node)) join_or_open(n);
    else if (node.op->fusion == Fusion::reduction) end_group(n);
  }

  void add_ancestor(int n, int producer) {
    std::uint64_t* mine = ancestors(n);
    const std::uint64_t* theirs = ancestors(producer);
    for (std::size_t w = 0; w < words_; ++w) mine[w] |= theirs[w];
    mine[producer / 64] |= std::uint64_t(1) << (producer % 64);
  }

  /// Would joining make a cycle: does an operand from outside the group descend from a member?
  bool closes_cycle(int n, int g) {
    const Group& group = groups_[std::size_t(g)];
    for (const ValueId input : graph_.nodes[std::size_t(n)].inputs) {
      const int producer = graph_.values[std::size_t(input)].node;
      if (group_of_[std::size_t(producer)] == g && !is_reduction(group, producer)) continue;
      if (is_reduction(group, producer)) return true;
      for (const int member : group.nodes)
        if (descends(producer, member)) return true;
      for (const int member : group.reductions)
        if (descends(producer, member)) return true;
    }
    return false;
  }
  static bool is_reduction(const Group& group, int node) {
    return std::find(group.reductions.begin(), group.reductions.end(), node) != group.reductions.end();
  }

  /// The domain of the group with `n` in it, if all operands of n lie over it.
  std::optional<Domain> domain_with(int n, int g) const {
    const Node& node = graph_.nodes[std::size_t(n)];
    Domain domain = groups_[std::size_t(g)].domain;
    if (!(graph_.spec(node.outputs[0]).shape == domain.shape)) return std::nullopt;
    for (const ValueId input : node.inputs)
      if (!layout_over(graph_.spec(input).shape, domain)) return std::nullopt;
    return domain;
  }

  /// A group will be one node: each member descends from what any member descends from, and whatever descends from one member
  /// descends from all of them.
  void unite(int g) {
    const Group& group = groups_[std::size_t(g)];
    std::vector<int> members = group.nodes;
    members.insert(members.end(), group.reductions.begin(), group.reductions.end());
    std::vector<std::uint64_t> bits(words_, 0), united(words_, 0);
    for (const int member : members) {
      bits[std::size_t(member) / 64] |= std::uint64_t(1) << (member % 64);
      for (std::size_t w = 0; w < words_; ++w) united[w] |= ancestors(member)[w];
    }
    for (std::size_t w = 0; w < words_; ++w) united[w] |= bits[w];
    for (int m = 0; m <= visited_; ++m) {
      std::uint64_t* theirs = ancestors(m);
      bool touched = (bits[std::size_t(m) / 64] >> (m % 64)) & 1u;
      for (std::size_t w = 0; w < words_ && !touched; ++w) touched = (theirs[w] & bits[w]) != 0;
      for (std::size_t w = 0; w < words_ && touched; ++w) theirs[w] |= united[w];
    }
  }

  void join_or_open(int n) {
    const Node& node = graph_.nodes[std::size_t(n)];
    std::vector<int> candidates;
    for (const ValueId input : node.inputs) {
      const int g = group_of_[std::size_t(graph_.values[std::size_t(input)].node)];
      if (g >= 0 && std::find(candidates.begin(), candidates.end(), g) == candidates.end()) candidates.push_back(g);
    }
    // Siblings: nodes that read the same full operand walk the same memory.
    for (const ValueId input : node.inputs) {
      if (!(graph_.spec(input).shape == graph_.spec(node.outputs[0]).shape)) continue;
      for (const int consumer : consumers_[std::size_t(input)]) {
        const int g = consumer < n ? group_of_[std::size_t(consumer)] : -1;
        if (g >= 0 && std::find(candidates.begin(), candidates.end(), g) == candidates.end()) candidates.push_back(g);
      }
    }
    std::sort(candidates.rbegin(), candidates.rend());
    for (const int g : candidates) {
      if (groups_[std::size_t(g)].nodes.size() >= kMostInstructions) continue;
      const std::optional<Domain> domain = domain_with(n, g);
      if (!domain || closes_cycle(n, g)) continue;
      groups_[std::size_t(g)].domain = *domain;
      groups_[std::size_t(g)].nodes.push_back(n);
      group_of_[std::size_t(n)] = g;
      unite(g);
      merge_candidates(g, candidates);
      return;
    }
    Domain domain{graph_.spec(node.outputs[0]).shape, 0};
    for (const ValueId input : node.inputs)
      if (!layout_over(graph_.spec(input).shape, domain)) return;
    group_of_[std::size_t(n)] = int(groups_.size());
    groups_.push_back({domain, {n}, {}});
  }

  /// After a node has joined group `g`, other groups that feed it may become part of it too.
  void merge_candidates(int g, const std::vector<int>& candidates) {
    for (const int other : candidates)
      if (other != g && can_merge(other, g)) merge(other, g);
  }

  bool can_merge(int from, int into) {
    const Group& a = groups_[std::size_t(from)];
    const Group& b = groups_[std::size_t(into)];
    if (a.nodes.empty() || !(a.domain.shape == b.domain.shape) || a.nodes.size() + b.nodes.size() > kMostInstructions) return false;
    if (a.domain.columns != 0 && b.domain.columns != 0 && a.domain.columns != b.domain.columns) return false;
    // A path out of one and back into either, through a node outside of both, would become a cycle.
    const auto inside = [&](int node) {
      const int g = group_of_[std::size_t(node)];
      return (g == from || g == into) && !is_reduction(a, node) && !is_reduction(b, node);
    };
    const auto reached_from_members = [&](int producer) {
      for (const Group* group : {&a, &b}) {
        for (const int member : group->nodes)
          if (producer == member || descends(producer, member)) return true;
        for (const int member : group->reductions)
          if (producer == member || descends(producer, member)) return true;
      }
      return false;
    };
    for (const Group* group : {&a, &b})
      for (const int member : group->nodes)
        for (const ValueId input : graph_.nodes[std::size_t(member)].inputs) {
          const int producer = graph_.values[std::size_t(input)].node;
          if (!inside(producer) && reached_from_members(producer)) return false;
        }
    return true;
  }

  void merge(int from, int into) {
    Group& a = groups_[std::size_t(from)];
    Group& b = groups_[std::size_t(into)];
    if (b.domain.columns == 0) b.domain.columns = a.domain.columns;
    for (const int node : a.nodes) group_of_[std::size_t(node)] = into;
    for (const int node : a.reductions) group_of_[std::size_t(node)] = into;
    b.nodes.insert(b.nodes.end(), a.nodes.begin(), a.nodes.end());
    b.reductions.insert(b.reductions.end(), a.reductions.begin(), a.reductions.end());
    std::sort(b.nodes.begin(), b.nodes.end());
    std::sort(b.reductions.begin(), b.reductions.end());
    a.nodes.clear();
    a.reductions.clear();
    unite(into);
  }

  void end_group(int n) {
    const Node& node = graph_.nodes[std::size_t(n)];
    const int g = group_of_[std::size_t(graph_.values[std::size_t(node.inputs[0])].node)];
    if (g < 0) return;
    Group& group = groups_[std::size_t(g)];
    if (is_reduction(group, graph_.values[std::size_t(node.inputs[0])].node)) return;
    Domain domain = group.domain;
    if (!reduction_layout(graph_, node, domain)) return;
    group.domain = domain;
    group.reductions.push_back(n);
    group_of_[std::size_t(n)] = g;
    unite(g);
  }

  const Graph& graph_;
  std::vector<int> group_of_;
  std::vector<bool> escaping_;
  std::vector<std::vector<int>> consumers_;
  int visited_ = 0;
  std::size_t words_ = 0;
  std::vector<std::uint64_t> ancestors_;
  std::vector<Group> groups_;
};

/// Is the value needed in memory: is it a result, or used outside of the group that makes it by one that does not compute it itself?
class Written {
 public:
  Written(const Graph& graph, const Grouping& grouping) : graph_(graph), grouping_(grouping), consumers_(graph.consumers()), escaping_(graph.escaping()) {}

  const std::vector<int>& uses(ValueId value) const { return consumers_[std::size_t(value)]; }
  bool escapes(ValueId value) const { return escaping_[std::size_t(value)]; }
  bool used_from_memory(ValueId value, int consumer) const {
    const int maker = graph_.values[std::size_t(value)].node, g = grouping_.group_of(consumer);
    return g < 0 || (g != grouping_.group_of(maker) && !grouping_.groups()[std::size_t(g)].copies.contains(maker));
  }
  bool operator()(ValueId value) const {
    const std::vector<int>& all = uses(value);
    return escapes(value) || all.empty() || std::any_of(all.begin(), all.end(), [&](int n) { return used_from_memory(value, n); });
  }

 private:
  const Graph& graph_;
  const Grouping& grouping_;
  std::vector<std::vector<int>> consumers_;
  std::vector<bool> escaping_;
};

/// Decides which values are cheaper to compute once more than to write and read: x - mean in the backward pass, where x is in memory
/// anyway. A value is either recomputed by all groups that use it, or by none.
class Recompute {
 public:
  Recompute(const Graph& graph, Grouping& grouping) : graph_(graph), grouping_(grouping), written_(graph, grouping) {
    for (std::size_t n = 0; n < graph.nodes.size(); ++n)
      if (cheap(int(n))) consider(int(n));
  }

 private:
  static constexpr std::int64_t kSmallest = 4096;  // elements
  static constexpr std::size_t kMostNodes = 4;

  bool cheap(int n) const {
    static constexpr std::string_view kCheap[] = {"add", "subtract", "multiply", "square", "neg", "where", "relu", "maximum", "minimum", "greater", "less", "cast"};
    const Node& node = graph_.nodes[std::size_t(n)];
    return grouping_.group_of(n) >= 0 && run_of(graph_, node) && std::find(std::begin(kCheap), std::end(kCheap), node.op->name) != std::end(kCheap);
  }
  std::int64_t numel(ValueId value) const { return graph_.spec(value).shape.numel(); }
  double nbytes(ValueId value) const { return double(numel(value)) * double(itemsize(graph_.spec(value).dtype)); }

  /// Adds to `nodes` what must be computed to have the value, down to what is in memory. False if that is too much.
  bool close(int n, std::set<int>& nodes, std::set<ValueId>& leaves) const {
    nodes.insert(n);
    if (nodes.size() > kMostNodes) return false;
    for (const ValueId input : graph_.nodes[std::size_t(n)].inputs) {
      const int maker = graph_.values[std::size_t(input)].node;
      const bool in_memory = grouping_.group_of(maker) < 0 || !run_of(graph_, graph_.nodes[std::size_t(maker)]) || written_(input);
      if (in_memory) leaves.insert(input);
      else if (!cheap(maker) || !close(maker, nodes, leaves)) return false;
    }
    return true;
  }

  bool reads(const Grouping::Group& group, ValueId value) const {
    const auto takes = [&](int n) {
      const auto& inputs = graph_.nodes[std::size_t(n)].inputs;
      return std::find(inputs.begin(), inputs.end(), value) != inputs.end();
    };
    return std::any_of(group.nodes.begin(), group.nodes.end(), takes) || std::any_of(group.copies.begin(), group.copies.end(), takes);
  }

  /// The group's domain with the nodes in it, if they fit.
  std::optional<Domain> domain_with(const Grouping::Group& group, const std::set<int>& nodes) const {
    Domain domain = group.domain;
    for (const int n : nodes) {
      if (!(graph_.spec(graph_.nodes[std::size_t(n)].outputs[0]).shape == domain.shape)) return std::nullopt;
      for (const ValueId input : graph_.nodes[std::size_t(n)].inputs)
        if (!layout_over(graph_.spec(input).shape, domain)) return std::nullopt;
    }
    return domain;
  }

  void consider(int n) {
    const ValueId value = graph_.nodes[std::size_t(n)].outputs[0];
    if (numel(value) < kSmallest || written_.escapes(value) || !written_(value)) return;
    std::set<int> users, nodes;
    for (const int consumer : written_.uses(value)) {
      if (!written_.used_from_memory(value, consumer)) continue;
      if (grouping_.group_of(consumer) < 0) return;
      users.insert(grouping_.group_of(consumer));
    }
    std::set<ValueId> leaves;
    if (users.empty() || !close(n, nodes, leaves)) return;
    // Nearly as little may be read instead as before; what is saved is the writing.
    double more = 0;
    for (const int g : users) {
      const Grouping::Group& group = grouping_.groups()[std::size_t(g)];
      if (group.nodes.size() + group.copies.size() + nodes.size() > kMostInstructions || !domain_with(group, nodes)) return;
      more -= nbytes(value);
      for (const ValueId leaf : leaves)
        if (numel(leaf) == numel(value) && !reads(group, leaf)) more += nbytes(leaf);
    }
    if (more > 0.25 * nbytes(value) * double(users.size())) return;
    for (const int g : users) {
      Grouping::Group& group = grouping_.groups()[std::size_t(g)];
      group.domain = *domain_with(group, nodes);
      group.copies.insert(nodes.begin(), nodes.end());
    }
  }

  const Graph& graph_;
  Grouping& grouping_;
  Written written_;
};

/// Writes the program of a group and adds its node.
class Emitter {
 public:
  Emitter(const Graph& graph, const Grouping& grouping, GraphRewriter& rewriter)
      : graph_(graph), grouping_(grouping), rewriter_(rewriter), written_(graph, grouping) {}

  void emit(int g) {
    const Grouping::Group& group = grouping_.groups()[std::size_t(g)];
    const std::vector<int> nodes = needed_nodes(group);
    if (nodes.empty()) return;
    program_ = std::make_shared<FusedProgram>();
    slot_of_.clear();
    inputs_.clear();
    program_->shape = group.domain.shape;
    program_->columns = group.domain.columns == 0 ? std::max<std::int64_t>(1, group.domain.shape.numel()) : group.domain.columns;
    Domain domain = group.domain;
    const auto member = [&](ValueId value) { return std::binary_search(nodes.begin(), nodes.end(), graph_.values[std::size_t(value)].node); };
    for (const int n : nodes)
      for (const ValueId input : graph_.nodes[std::size_t(n)].inputs)
        if (!member(input)) add_operand(input, domain);
    for (const int n : nodes) add_instruction(graph_.nodes[std::size_t(n)]);
    std::vector<ValueId> produced;
    std::vector<TensorSpec> specs;
    for (const int n : group.nodes) {
      const ValueId value = graph_.nodes[std::size_t(n)].outputs[0];
      if (!written_(value)) continue;
      program_->outputs.push_back({slot_of_.at(value), false, FusedProgram::Fold::sum, Layout::full});
      produced.push_back(value);
      specs.push_back(graph_.spec(value));
    }
    for (const int n : group.reductions) {
      const Node& node = graph_.nodes[std::size_t(n)];
      const Layout layout = *reduction_layout(graph_, node, domain);
      const auto fold = node.op->name == "reduce_mean" ? FusedProgram::Fold::mean : FusedProgram::Fold::sum;
      program_->outputs.push_back({slot_of_.at(node.inputs[0]), true, fold, layout});
      produced.push_back(node.outputs[0]);
      specs.push_back(graph_.spec(node.outputs[0]));
    }
    const int index = rewriter_.graph().add_call(fused_op(), {{"program", std::shared_ptr<const AttrObject>(program_)}}, inputs_, specs);
    for (std::size_t i = 0; i < produced.size(); ++i) rewriter_.map(produced[i], rewriter_.graph().nodes[std::size_t(index)].outputs[i]);
  }

 private:
  void add_operand(ValueId value, Domain& domain) {
    if (slot_of_.contains(value)) return;
    FusedProgram::Operand operand;
    operand.dtype = graph_.spec(value).dtype;
    operand.layout = *layout_over(graph_.spec(value).shape, domain);
    if (operand.layout == Layout::scalar && graph_.is_constant(value)) operand.constant = to(graph_.producer(value).constant, Device());
    else inputs_.push_back(rewriter_[value]);
    slot_of_[value] = int(program_->operands.size());
    program_->operands.push_back(operand);
  }

  void add_instruction(const Node& node) {
    FusedProgram::Instruction instruction;
    instruction.op = node.op;
    instruction.run = run_of(graph_, node);
    instruction.params = pointwise_params(OpCall(*node.op, node.attrs));
    instruction.dtype = graph_.spec(node.outputs[0]).dtype;
    for (const ValueId input : node.inputs) instruction.operands.push_back(slot_of_.at(input));
    slot_of_[node.outputs[0]] = int(program_->operands.size() + program_->code.size());
    program_->code.push_back(std::move(instruction));
  }

  /// The nodes whose values are written, reduced, or used by others of these, with the copies among them; in order.
  std::vector<int> needed_nodes(const Grouping::Group& group) const {
    std::set<int> all(group.nodes.begin(), group.nodes.end()), needed;
    all.insert(group.copies.begin(), group.copies.end());
    for (const int n : group.nodes)
      if (written_(graph_.nodes[std::size_t(n)].outputs[0])) needed.insert(n);
    for (const int n : group.reductions) needed.insert(graph_.values[std::size_t(graph_.nodes[std::size_t(n)].inputs[0])].node);
    for (auto n = all.rbegin(); n != all.rend(); ++n)
      if (needed.contains(*n))
        for (const ValueId input : graph_.nodes[std::size_t(*n)].inputs)
          if (const int maker = graph_.values[std::size_t(input)].node; all.contains(maker)) needed.insert(maker);
    return {needed.begin(), needed.end()};
  }

  const Graph& graph_;
  const Grouping& grouping_;
  GraphRewriter& rewriter_;
  Written written_;
  std::shared_ptr<FusedProgram> program_;
  std::map<ValueId, int> slot_of_;
  std::vector<ValueId> inputs_;
};

}  // namespace

Graph fuse_pointwise(const Graph& graph) {
  if (!graph.can_be_bound()) return graph;
  Grouping grouping(graph);
  const Recompute recompute(graph, grouping);
  GraphRewriter rewriter(graph);
  Emitter emitter(graph, grouping, rewriter);
  // Units: a fused group, or a single node. Emitted depth first, so that the order stays topological and near the program's.
  std::vector<char> state(graph.nodes.size(), 0);
  const auto fused = [&](int n) {
    const int g = grouping.group_of(n);
    if (g < 0) return false;
    const Grouping::Group& group = grouping.groups()[std::size_t(g)];
    return group.nodes.size() + group.reductions.size() + group.copies.size() > 1;
  };
  std::function<void(int)> emit = [&](int n) {
    if (state[std::size_t(n)]) return;
    const bool grouped = fused(n);
    std::vector<int> members{n};
    if (grouped) {
      const Grouping::Group& group = grouping.groups()[std::size_t(grouping.group_of(n))];
      members = group.nodes;
      members.insert(members.end(), group.reductions.begin(), group.reductions.end());
    }
    for (const int member : members) state[std::size_t(member)] = 1;
    for (const int member : members)
      for (const ValueId input : graph.nodes[std::size_t(member)].inputs) emit(graph.values[std::size_t(input)].node);
    if (grouped) emitter.emit(grouping.group_of(n));
    else rewriter.copy(graph.nodes[std::size_t(n)]);
  };
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    // A group waits for its last member, so that its operands (a product further down) need not be pulled forward.
    const int g = grouping.group_of(int(n));
    if (fused(int(n))) {
      const Grouping::Group& group = grouping.groups()[std::size_t(g)];
      const int last = std::max(group.nodes.back(), group.reductions.empty() ? -1 : group.reductions.back());
      if (int(n) != last) continue;
    }
    emit(int(n));
  }
  return rewriter.finish();
}

}  // namespace lockstep::autodiff

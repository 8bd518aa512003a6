// The memory plan. Views share their input's storage; pointwise results take over an input that dies with them; an update is
// written straight into its variable when nobody needs the old value afterwards. What remains is packed into one arena by lifetime.

#include <algorithm>
#include <numeric>

#include <lockstep/autodiff/fused.h>
#include <lockstep/autodiff/passes/plan.h>
#include <lockstep/tensor/base/allocator.h>
#include <lockstep/tensor/pointwise/bind.h>

namespace lockstep::autodiff {
namespace {

std::int64_t nbytes(const TensorSpec& spec) { return spec.shape.numel() * std::int64_t(itemsize(spec.dtype)); }

/// May output `o` of `node` be computed over its input `i`?
bool aliasable(const Graph& graph, const Node& node, std::size_t o, std::size_t i) {
  const TensorSpec& in = graph.spec(node.inputs[i]);
  const TensorSpec& out = graph.spec(node.outputs[o]);
  if (nbytes(in) != nbytes(out) || in.shape.numel() != out.shape.numel()) return false;
  if (node.op == &fused_op()) {
    const auto& object = std::get<std::shared_ptr<const AttrObject>>(node.attrs[0].value);
    return static_cast<const FusedProgram&>(*object).may_alias(o, i);
  }
  if (node.op->over_inputs && o == i) return in.dtype == out.dtype;
  if (node.op->fusion != Fusion::pointwise) return false;
  // The same value in a second place with another layout would be overwritten while it is read.
  for (std::size_t j = 0; j < node.inputs.size(); ++j)
    if (j != i && node.inputs[j] == node.inputs[i] && !(graph.spec(node.inputs[j]).shape == out.shape)) return false;
  return in.shape == out.shape;
}

class Planner {
 public:
  Planner(const Graph& graph, Schedule schedule, const PlanOptions& options) : graph_(graph), options_(options) {
    plan_.schedule = std::move(schedule);
    plan_.storage_of.assign(graph.values.size(), -1);
  }

  MemoryPlan run() {
    number_stages();
    place_sources();
    place_nodes();
    place_leaving();
    if (options_.in_place) reuse_inputs();
    compact();
    pack();
    return std::move(plan_);
  }

 private:
  static constexpr int kNever = 1 << 30;

  int stage_of(int node) const { return stage_of_node_[std::size_t(node)]; }
  Storage& storage(ValueId value) { return plan_.storages[std::size_t(plan_.storage_of[std::size_t(value)])]; }
  int add(Storage storage) {
    plan_.storages.push_back(storage);
    return int(plan_.storages.size()) - 1;
  }

  void number_stages() {
    stage_of_node_.assign(graph_.nodes.size(), -1);
    for (std::size_t s = 0; s < plan_.schedule.stages.size(); ++s)
      for (int k = plan_.schedule.stages[s].begin; k < plan_.schedule.stages[s].end; ++k)
        stage_of_node_[std::size_t(plan_.schedule.order[std::size_t(k)])] = int(s);
  }

  void place_sources() {
    for (std::size_t i = 0; i < graph_.arguments.size(); ++i) {
      const ValueId value = graph_.arguments[i];
      plan_.storage_of[std::size_t(value)] = add({Storage::Kind::argument, int(i), nbytes(graph_.spec(value)), 0, -1, kNever});
    }
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (node.kind != Node::Kind::variable && node.kind != Node::Kind::constant) continue;
      const auto kind = node.kind == Node::Kind::variable ? Storage::Kind::variable : Storage::Kind::constant;
      plan_.storage_of[std::size_t(node.outputs[0])] = add({kind, int(n), nbytes(graph_.spec(node.outputs[0])), 0, -1, kNever});
    }
  }

  /// Every output gets a storage of its own; a view its input's.
  void place_nodes() {
    for (const int n : plan_.schedule.order) {
      const Node& node = graph_.nodes[std::size_t(n)];
      const int now = stage_of(n);
      for (const ValueId input : node.inputs) storage(input).dies = std::max(storage(input).dies, now);
      if (node.op->fusion == Fusion::view) {
        plan_.storage_of[std::size_t(node.outputs[0])] = plan_.storage_of[std::size_t(node.inputs[0])];
        continue;
      }
      for (const ValueId output : node.outputs)
        plan_.storage_of[std::size_t(output)] = add({Storage::Kind::arena, 0, nbytes(graph_.spec(output)), 0, now, now});
    }
  }

  /// Results are computed in the memory of the tensors that are returned.
  void place_leaving() {
    for (std::size_t r = 0; r < graph_.results.size(); ++r) {
      Storage& leaving = storage(graph_.results[r]);
      if (leaving.kind == Storage::Kind::arena) {
        leaving.kind = Storage::Kind::result;
        leaving.index = int(r);
      }
      leaving.dies = kNever;
    }
    plan_.update_in_place.assign(graph_.updates.size(), false);
    for (std::size_t u = 0; u < graph_.updates.size(); ++u) {
      Storage& leaving = storage(graph_.updates[u].value);
      leaving.dies = kNever;
      if (options_.in_place && leaving.kind == Storage::Kind::arena) {
        // Out of the arena already: whether the variable's old value may be overwritten is decided by its last reader.
        const int entry = entry_storage(graph_.updates[u].variable);
        const int maker = producer_of_storage(plan_.storage_of[std::size_t(graph_.updates[u].value)]);
        if ((entry < 0 || can_overwrite(entry, graph_.updates[u].value)) && nothing_fails_after(maker)) {
          leaving.kind = Storage::Kind::update;
          leaving.index = int(u);
          plan_.update_in_place[u] = true;
          ++plan_.in_place;
        }
      }
    }
  }

  int entry_storage(const Variable& variable) const {
    for (const Storage& each : plan_.storages)
      if (each.kind == Storage::Kind::variable && graph_.nodes[std::size_t(each.index)].variable == variable)
        return int(&each - plan_.storages.data());
    return -1;
  }

  /// Is the old value read only before `value` is made, or by its maker in an aliasable way, and does it not leave itself?
  bool can_overwrite(int entry, ValueId value) const {
    const int maker = producer_of_storage(plan_.storage_of[std::size_t(value)]);
    const int made = stage_of(maker);
    for (std::size_t v = 0; v < graph_.values.size(); ++v) {
      if (plan_.storage_of[v] != entry) continue;
      for (const ValueId result : graph_.results)
        if (result == ValueId(v)) return false;
      for (const Update& update : graph_.updates)
        if (update.value == ValueId(v)) return false;
      for (const int n : plan_.schedule.order) {
        const Node& node = graph_.nodes[std::size_t(n)];
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
          if (node.inputs[i] != ValueId(v) || node.op->fusion == Fusion::view) continue;
          if (n == maker) {
            if (!aliasable(graph_, node, output_index(node, plan_.storage_of[std::size_t(value)]), i)) return false;
          } else if (stage_of(n) >= made) {
            return false;
          }
        }
      }
    }
    return true;
  }

  /// A variable changes only if the whole call succeeds: it may be written in place once nothing is left that could throw.
  bool nothing_fails_after(int maker) const {
    return std::all_of(plan_.schedule.order.begin(), plan_.schedule.order.end(), [&](int n) {
      return n == maker || stage_of(n) < stage_of(maker) || !may_fail(graph_.nodes[std::size_t(n)]);
    });
  }

  int producer_of_storage(int wanted) const {
    for (const int n : plan_.schedule.order)
      for (const ValueId output : graph_.nodes[std::size_t(n)].outputs)
        if (plan_.storage_of[std::size_t(output)] == wanted && graph_.nodes[std::size_t(n)].op->fusion != Fusion::view) return n;
    return -1;
  }
  std::size_t output_index(const Node& node, int wanted) const {
    for (std::size_t o = 0; o < node.outputs.size(); ++o)
      if (plan_.storage_of[std::size_t(node.outputs[o])] == wanted) return o;
    return 0;
  }

  /// A pointwise output takes over an arena input that dies in its own stage (if it runs alone there).
  void reuse_inputs() {
    for (const Stage& stage : plan_.schedule.stages) {
      if (stage.end - stage.begin != 1) continue;
      const int n = plan_.schedule.order[std::size_t(stage.begin)];
      const Node& node = graph_.nodes[std::size_t(n)];
      for (std::size_t o = 0; o < node.outputs.size(); ++o) {
        const int out = plan_.storage_of[std::size_t(node.outputs[o])];
        if (plan_.storages[std::size_t(out)].kind != Storage::Kind::arena || node.op->fusion == Fusion::view) continue;
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
          const int in = plan_.storage_of[std::size_t(node.inputs[i])];
          Storage& source = plan_.storages[std::size_t(in)];
          if (in == out || source.kind != Storage::Kind::arena || source.dies != stage_of(n) || !aliasable(graph_, node, o, i)) continue;
          if (used_twice(node, in)) continue;
          source.dies = std::max(source.dies, plan_.storages[std::size_t(out)].dies);
          for (int& each : plan_.storage_of)
            if (each == out) each = in;
          ++plan_.in_place;
          break;
        }
      }
    }
  }
  bool used_twice(const Node& node, int wanted) const {
    int uses = 0;
    for (const ValueId input : node.inputs) uses += plan_.storage_of[std::size_t(input)] == wanted;
    for (const ValueId output : node.outputs) uses += plan_.storage_of[std::size_t(output)] == wanted;  // taken by another output
    return uses > 1;
  }

  void compact() {
    std::vector<int> fresh(plan_.storages.size(), -1);
    std::vector<Storage> kept;
    for (int& each : plan_.storage_of) {
      if (each < 0) continue;
      if (fresh[std::size_t(each)] < 0) {
        fresh[std::size_t(each)] = int(kept.size());
        kept.push_back(plan_.storages[std::size_t(each)]);
      }
      each = fresh[std::size_t(each)];
    }
    plan_.storages = std::move(kept);
  }

  /// Largest first, each at the lowest offset that is free during its whole life.
  void pack() {
    const auto padded = [](std::int64_t n) { return (n + std::int64_t(kAlignment) - 1) / std::int64_t(kAlignment) * std::int64_t(kAlignment); };
    std::vector<int> arena;
    for (std::size_t s = 0; s < plan_.storages.size(); ++s)
      if (plan_.storages[s].kind == Storage::Kind::arena) arena.push_back(int(s));
    std::stable_sort(arena.begin(), arena.end(), [&](int a, int b) { return plan_.storages[std::size_t(a)].nbytes > plan_.storages[std::size_t(b)].nbytes; });
    std::vector<int> done;
    for (const int s : arena) {
      Storage& each = plan_.storages[std::size_t(s)];
      const std::int64_t size = padded(std::max<std::int64_t>(each.nbytes, 1));
      plan_.unshared_bytes += size;
      std::vector<std::pair<std::int64_t, std::int64_t>> taken;
      for (const int other : done) {
        const Storage& theirs = plan_.storages[std::size_t(other)];
        const bool overlap = !options_.memory_plan || (theirs.born <= each.dies && each.born <= theirs.dies);
        if (overlap) taken.emplace_back(theirs.offset, theirs.offset + padded(std::max<std::int64_t>(theirs.nbytes, 1)));
      }
      std::sort(taken.begin(), taken.end());
      std::int64_t at = 0;
      for (const auto& [from, to] : taken) {
        if (at + size <= from) break;
        at = std::max(at, to);
      }
      each.offset = at;
      plan_.arena_bytes = std::max(plan_.arena_bytes, at + size);
      done.push_back(s);
    }
  }

  const Graph& graph_;
  const PlanOptions& options_;
  MemoryPlan plan_;
  std::vector<int> stage_of_node_;
};

}  // namespace

bool may_fail(const Node& node) {
  if (node.op == &fused_op() || node.op == &copy_op()) return false;
  if (node.op->fusion == Fusion::pointwise) return node.op->cpu != bind_pointwise;
  return node.op->fusion == Fusion::opaque && !node.op->never_fails;
}

MemoryPlan plan_memory(const Graph& graph, Schedule schedule, const PlanOptions& options) {
  return Planner(graph, std::move(schedule), options).run();
}

std::string to_string(const MemoryPlan& plan) {
  return "arena " + std::to_string(plan.arena_bytes) + " bytes (" + std::to_string(plan.unshared_bytes) + " unshared), " +
         std::to_string(plan.in_place) + " values in place, " + std::to_string(plan.schedule.stages.size()) + " stages";
}

}  // namespace lockstep::autodiff

#pragma once
// What the last two passes decide: in which order and beside which other nodes a node runs (the schedule), and where every value
// lies (the memory plan).

#include <cstdint>
#include <string>
#include <vector>

#include <lockstep/autodiff/graph.h>

namespace lockstep::autodiff {

struct PlanOptions {
  bool in_place = true;     // outputs over inputs that are no longer needed, updates over their variables
  bool memory_plan = true;  // storages share the arena by lifetime; off: each has its own part
  bool parallel = true;     // independent branches beside each other
  bool capture = true;      // on a GPU: a call is a CUDA graph
  Device device = {};       // that runs it
  std::string name = "a function";
};

/// Nodes [begin, end) of the order; `parallel`: independent of each other and worth threads of their own.
struct Stage {
  int begin = 0;
  int end = 0;
  bool parallel = false;
};

struct Schedule {
  std::vector<int> order;  // indices of op nodes
  std::vector<Stage> stages;
};

/// Can the node's kernel throw for what the elements are (an index out of range, an integer division by zero)?
bool may_fail(const Node& node);

/// Topological order with branches of similar cost side by side. `threads` = 1 gives one node per stage.
Schedule schedule(const Graph& graph, int threads);

/// A piece of memory that one or more values use.
struct Storage {
  enum class Kind : std::uint8_t { argument, variable, constant, result, update, arena };
  Kind kind = Kind::arena;
  int index = 0;              // argument, variable/constant node, result or update number
  std::int64_t nbytes = 0;
  std::int64_t offset = 0;    // arena
  int born = 0, dies = 0;     // stage numbers
};

struct MemoryPlan {
  Schedule schedule;
  std::vector<int> storage_of;  // by value
  std::vector<Storage> storages;
  std::int64_t arena_bytes = 0;
  /// Sum of all arena storages: what it would be without sharing.
  std::int64_t unshared_bytes = 0;
  int in_place = 0;  // values that took over an input's (or variable's) memory
  /// Per update: true when the value is written straight into the variable's memory, false when it is copied at the end.
  std::vector<bool> update_in_place;
};

MemoryPlan plan_memory(const Graph& graph, Schedule schedule, const PlanOptions& options);
/// "arena 4096 bytes (12288 unshared), 3 values in place, 14 stages"
std::string to_string(const MemoryPlan& plan);

}  // namespace lockstep::autodiff

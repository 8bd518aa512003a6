#pragma once
// The passes of a traced function, each a file with one function Graph -> Graph. Any can be switched off by name, to find out
// which one a difference comes from: FunctionOptions::disabled_passes, or the environment variable LOCKSTEP_DISABLE_PASSES=cse,fuse.

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <lockstep/autodiff/executable.h>
#include <lockstep/autodiff/graph.h>

namespace lockstep::autodiff {

/// Drops nodes that neither a result, an update nor an effect needs. Arguments stay.
Graph prune(const Graph& graph);
/// Computes nodes whose operands are all constants, and simplifies x*1, x+0, x-0, x/1, transposes of transposes, reshapes of reshapes.
Graph fold(const Graph& graph);
/// Of fold's rewrites only this one, which no gradient notices: ops that read an operand's shape alone get it as numbers, where it is known.
Graph settle_shapes(const Graph& graph);
/// Merges nodes that compute the same (op, attributes, operands; either order for commutative ops), and equal small constants.
Graph merge_common(const Graph& graph);
/// A scan and the one that its gradient made of it, with more outputs, become one; states, outputs, sequences and captures that nobody needs leave a scan.
Graph narrow_scans(const Graph& graph);
/// A loss and its gradient, where that does not need the loss, become one call (OpDef::covers).
Graph merge_covered(const Graph& graph);
/// Products and convolutions followed by a bias and an activation become one call.
Graph fuse_gemm(const Graph& graph);
/// Chains of pointwise ops, and the sums that end them, become one pass over memory.
Graph fuse_pointwise(const Graph& graph);
/// Moves rows that begin something (`settle`) up to where their operands exist.
Graph overlap(const Graph& graph);

/// A row of the pass list: its name, and its function (null for the three that decide the memory plan and the schedule).
struct Pass {
  std::string_view name;
  Graph (*run)(const Graph&);
  std::string_view doc;
};
/// In the order in which they run.
std::span<const Pass> passes();

/// Applies all passes that are not disabled. Throws NotFoundError (nearest name suggested) for a name that is none.
Graph optimize(Graph graph, const std::set<std::string>& disabled = {});
/// The plan's options under these disabled passes, for the default device.
PlanOptions plan_options(const std::set<std::string>& disabled, std::string_view name = "a function");
/// Names in LOCKSTEP_DISABLE_PASSES.
std::set<std::string> passes_disabled_by_environment();

}  // namespace lockstep::autodiff

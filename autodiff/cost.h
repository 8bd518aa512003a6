#pragma once
// What a node has to do at least: its arithmetic and its memory traffic. The schedule weighs nodes by it; the profiler says by it how
// far a call is from the machine's limit.

#include <lockstep/autodiff/graph.h>

namespace lockstep::autodiff {

struct Cost {
  double flops = 0;  // of products and convolutions, 2 per multiplication and addition; nothing else is counted
  double bytes = 0;  // operands and results, each once
};

/// Needs known shapes.
Cost cost_of(const Graph& graph, const Node& node);

}  // namespace lockstep::autodiff

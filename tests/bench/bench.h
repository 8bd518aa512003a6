#pragma once
// Benchmarks behind `lockstep bench`. A case is timed by Google Benchmark, interleaved with the others of its suite so that a ratio
// holds while the machine's speed drifts, and printed as one JSON line with its ratio to a reference of the same run.

#include <functional>
#include <string>
#include <vector>

namespace lockstep::bench {

struct Case {
  std::string name;
  std::function<void()> body;
  double bytes = 0;         // moved per call; gives "GBps"
  double flops = 0;         // gives "GFLOPs"
  double elements = 0;      // gives "elements_per_ns"
  std::string reference = {};    // name of a case of the same suite; gives "ratio" = its time / this time (1: as fast)
};

/// Times the cases whose name contains `filter` (and what they refer to) and prints them: a table, or JSON lines. `seconds` is the
/// time per case. Throws NotFoundError if no case is left.
void run(std::vector<Case> cases, const std::string& filter, bool json, double seconds);

/// The suites: `lockstep bench eager|ops|graph|pipeline`.
std::vector<Case> eager_cases();
std::vector<Case> op_cases();
std::vector<Case> graph_cases();
std::vector<Case> pipeline_cases();

struct StepOptions {
  std::string workload;  // of workloads.h; empty: each of them in turn
  int threads = 1;
  double seconds = 1;    // of timed steps, and as long for the profile
  bool json = false;
  bool profile = false;  // where the time goes, op by op
  bool fit = false;      // Model::fit itself, its shuffling, loops and metrics included (book_mlp, mlp)
};
/// `lockstep bench steps`: times whole training steps and prints them beside the machine's limit. Each workload has a process of its own.
void run_steps(const StepOptions& options);

}  // namespace lockstep::bench

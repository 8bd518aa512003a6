#pragma once
// What the parts of `lockstep bench scaling` pass to one another: one rank count's figures, who measures them, and who draws them.

#include <span>
#include <string>

#include <lockstep/dist/communicator.h>

#include "bench.h"

namespace lockstep::bench {

/// What one number of ranks gives. Times are in milliseconds, medians over the repetitions of what the slowest rank took.
struct ScalingPoint {
  std::string workload, mode;
  int ranks = 1;
  std::int64_t rows = 0;       // of all ranks, in one step
  double forward_ms = 0, backward_ms = 0;  // of an emulated device
  double alone_ms = 0;         // the step without reductions, while all ranks compute
  double step_ms = 0;          // the data-parallel step
  double communication_ms = 0;  // its reductions alone
  std::int64_t calls = 0, bytes = 0;  // of its reductions
  double first_step_s = 0;     // from the start of mpirun to the end of the first step; 0: not measured
  double scaling = 0;          // throughput a rank, to that of the fewest ranks

  double efficiency() const { return alone_ms / step_ms; }
  double exposed_ms() const { return step_ms > alone_ms ? step_ms - alone_ms : 0; }
  /// Part of the communication that was hidden behind computing.
  double overlap() const { return communication_ms > 0 ? 1 - exposed_ms() / communication_ms : 1; }
  double samples_per_s() const { return 1e3 * double(rows) / step_ms; }
};

/// Measures on this rank, together with the others.
ScalingPoint measure_workload(const ScalingOptions& options);
ScalingPoint measure_emulated(const ScalingOptions& options);
/// Measures and prints what more shards than ranks cost.
void measure_shards(const ScalingOptions& options);

/// Milliseconds of each of `ways` (so many steps in a row), in turns for `seconds`, as ScalingPoint has them.
std::vector<double> step_times(const std::vector<std::function<void(int steps)>>& ways, double seconds);

/// Throughput and efficiency over the number of ranks, as SVG.
std::string drawn(std::span<const ScalingPoint> points);

}  // namespace lockstep::bench

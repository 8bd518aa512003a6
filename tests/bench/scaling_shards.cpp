// What the promise of equal bits costs: fit's step with more shards than ranks, beside the same step with as many. The two take turns.

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include <lockstep/dist/world.h>
#include <lockstep/lockstep.h>

#include "scaling.h"
#include "timing.h"
#include "workloads.h"

namespace lockstep::bench {
namespace {

constexpr std::int64_t kSteps = 10;  // of an epoch

/// A model that trains on `shards` parts of each batch (none: on one a rank). Milliseconds a step of one epoch, the slowest rank's.
class Trained {
 public:
  Trained(const std::string& workload, std::optional<int> shards) : parts_(workload_parts(workload)), shards_(shards) {
    model_.add(parts_.model);
    model_.compile({.optimizer = parts_.optimizer, .loss = parts_.loss});
  }
  double epoch(const Tensor& x, const Tensor& y) {
    dist::communicator().barrier("start");
    const auto start = Clock::now();
    model_.fit(x, y, {.batch_size = x.shape()[0] / kSteps, .epochs = 1, .verbose = 0, .shuffle = false, .shards = shards_});
    double ms = 1e3 * seconds_since(start) / kSteps;
    dist::communicator().all_reduce(&ms, 1, float64, dist::ReduceOp::max, "time");
    return ms;
  }

 private:
  WorkloadParts parts_;
  std::optional<int> shards_;
  nn::Sequential model_;
};

}  // namespace

void measure_shards(const ScalingOptions& options) {
  const int ranks = dist::world_size();
  if (options.shards % ranks != 0) throw InvalidArgumentError(std::to_string(options.shards) + " shards cannot be divided among " + std::to_string(ranks) + " ranks", "bench scaling");
  const WorkloadParts parts = workload_parts(options.workload);
  const std::int64_t rows = parts.rows * options.shards * kSteps;
  const Tensor x = parts.inputs(rows), y = parts.targets(rows);
  Trained shards(options.workload, options.shards), whole(options.workload, std::nullopt);
  std::vector<double> with, without;
  shards.epoch(x, y), whole.epoch(x, y);  // traces
  std::int64_t turns = std::clamp<std::int64_t>(std::int64_t(1e3 * options.seconds / (double(kSteps) * (shards.epoch(x, y) + whole.epoch(x, y)))), 3, 100);
  dist::communicator().broadcast(&turns, 1, int64, 0, "turns");
  for (std::int64_t k = 0; k < turns; ++k) with.push_back(shards.epoch(x, y)), without.push_back(whole.epoch(x, y));
  if (!dist::is_chief()) return;
  const double ms = median(with), whole_ms = median(without);
  if (options.json)
    std::printf("%s\n", nlohmann::ordered_json{{"bench", "shards"}, {"workload", options.workload}, {"ranks", ranks}, {"shards", options.shards}, {"rows", rows / kSteps}, {"step_ms", ms}, {"world_step_ms", whole_ms}, {"cost", ms / whole_ms}}.dump().c_str());
  else
    std::printf("%s, %d ranks: %d shards %.3f ms a step, as many as ranks %.3f ms: %.3f times as long\n", options.workload.c_str(), ranks, options.shards, ms, whole_ms, ms / whole_ms);
}

}  // namespace lockstep::bench

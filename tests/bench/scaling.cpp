// `lockstep bench scaling`: the same measurement on each number of ranks, started one after the other, and what they have in common.

#include "scaling.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include <lockstep/dist/world.h>
#include <lockstep/tensor/base/error.h>

#include "ranks.h"

namespace lockstep::bench {
namespace {

nlohmann::ordered_json to_json(const ScalingPoint& point) {
  nlohmann::ordered_json json{{"bench", "scaling"}, {"workload", point.workload}, {"mode", point.mode}, {"ranks", point.ranks}, {"threads", 1}, {"rows", point.rows},
                              {"alone_ms", point.alone_ms}, {"step_ms", point.step_ms}, {"efficiency", point.efficiency()},
                              {"communication_ms", point.communication_ms}, {"exposed_ms", point.exposed_ms()}, {"overlap", point.overlap()},
                              {"calls", point.calls}, {"bytes", point.bytes}, {"samples_per_s", point.samples_per_s()}};
  if (point.backward_ms > 0) json.update({{"forward_ms", point.forward_ms}, {"backward_ms", point.backward_ms}, {"communication_to_backward", point.communication_ms / point.backward_ms}});
  if (point.first_step_s > 0) json["first_step_s"] = point.first_step_s;
  if (point.scaling > 0) json["scaling_efficiency"] = point.scaling;
  return json;
}

ScalingPoint from_json(const nlohmann::ordered_json& json) {
  ScalingPoint point{.workload = json.at("workload"), .mode = json.at("mode"), .ranks = json.at("ranks"), .rows = json.at("rows")};
  point.forward_ms = json.value("forward_ms", 0.0);
  point.backward_ms = json.value("backward_ms", 0.0);
  point.alone_ms = json.at("alone_ms");
  point.step_ms = json.at("step_ms");
  point.communication_ms = json.at("communication_ms");
  point.calls = json.at("calls");
  point.bytes = json.at("bytes");
  point.first_step_s = json.value("first_step_s", 0.0);
  return point;
}

void print(const ScalingPoint& point) {
  std::printf("%-9s %-6s %5d %10.3f %10.3f %10.3f %10.3f %10.3f %8.3f %12.1f %8.3f %10.2f\n", point.workload.c_str(), point.mode.c_str(), point.ranks, point.alone_ms, point.step_ms, point.efficiency(),
              point.communication_ms, point.exposed_ms(), point.overlap(), point.samples_per_s(), point.scaling, point.first_step_s);
  std::fflush(stdout);
}

/// What a job of `ranks` ranks printed as JSON.
ScalingPoint measured_by_job(int ranks, const ScalingOptions& options) {
  std::string printed;
  std::vector<std::string> settings;
  // The device computes: the cores are there for the communication.
  if (!options.emulate_ms.empty()) settings.push_back("LOCKSTEP_COMM_THREAD=1");
  run_as_ranks(ranks, settings, &printed);
  std::istringstream lines(printed);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("{")) return from_json(nlohmann::ordered_json::parse(line));
  throw InternalError("the job of " + std::to_string(ranks) + " ranks printed no result", "bench scaling");
}

}  // namespace

void run_scaling(const ScalingOptions& options) {
  if (options.emulate_ms.empty() && options.workload == "resnet50") throw InvalidArgumentError("resnet50 is measured on an emulated device only", "bench scaling", "--emulate-step-ms F,B");
  if (options.shards > 0) {
    if (is_rank()) return measure_shards(options);
    for (const int ranks : options.ranks) run_as_ranks(ranks, {});
    return;
  }
  if (is_rank()) {
    const ScalingPoint point = options.emulate_ms.empty() ? measure_workload(options) : measure_emulated(options);
    if (dist::is_chief()) std::printf("%s\n", to_json(point).dump().c_str());
    return;
  }
  if (!options.json)
    std::printf("%-9s %-6s %5s %10s %10s %10s %10s %10s %8s %12s %8s %10s\n", "workload", "mode", "ranks", "alone ms", "step ms", "efficiency", "comm. ms", "exposed ms", "overlap", "samples/s", "scaling", "1st step s");
  std::vector<ScalingPoint> points;
  for (const int ranks : options.ranks) {
    points.push_back(measured_by_job(ranks, options));
    ScalingPoint& point = points.back();
    point.scaling = point.samples_per_s() / point.ranks / (points[0].samples_per_s() / points[0].ranks);
    if (options.json) std::printf("%s\n", to_json(point).dump().c_str()), std::fflush(stdout);
    else print(point);
  }
  if (options.plot.empty()) return;
  std::ofstream file(options.plot);
  file << drawn(points);
  if (!file.flush()) throw UnavailableError("cannot write " + options.plot, "bench scaling");
}

}  // namespace lockstep::bench

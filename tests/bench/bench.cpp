#include "bench.h"

#include <benchmark/benchmark.h>
#include <omp.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include <lockstep/tensor/base/error.h>

namespace lockstep::bench {
namespace {

/// Keeps the median of the repetitions of each case, in nanoseconds of real time.
class Medians : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs)
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name == "median") ns[run.run_name.function_name] = run.GetAdjustedRealTime();
  }
  std::map<std::string, double> ns;
};

}  // namespace

void run(std::vector<Case> cases, const std::string& filter, bool json, double seconds) {
  std::set<std::string> wanted;
  for (const Case& each : cases)
    if (each.name.find(filter) != std::string::npos) wanted.insert({each.name, each.reference});
  std::erase_if(cases, [&](const Case& each) { return !wanted.contains(each.name); });
  if (cases.empty()) throw NotFoundError("no benchmark's name contains '" + filter + "'");
  constexpr int kRepetitions = 7;
  for (const Case& each : cases)
    benchmark::RegisterBenchmark(each.name.c_str(), [body = each.body](benchmark::State& state) {
      for (auto _ : state) body();
    })->UseRealTime()->Repetitions(kRepetitions)->MinTime(seconds / kRepetitions)->ReportAggregatesOnly(true);
  std::string arguments[] = {"lockstep bench", "--benchmark_enable_random_interleaving=true"};
  char* argv[] = {arguments[0].data(), arguments[1].data(), nullptr};
  int argc = 2;
  benchmark::Initialize(&argc, argv);
  Medians medians;
  benchmark::RunSpecifiedBenchmarks(&medians);
  if (!json) std::printf("%-44s %14s %10s %10s %10s %8s\n", "case", "ns", "GB/s", "GFLOP/s", "elem/ns", "ratio");
  for (const Case& each : cases) {
    const double ns = medians.ns.at(each.name);
    const double ratio = each.reference.empty() ? 0 : medians.ns.at(each.reference) / ns;
    if (!json) {
      std::printf("%-44s %14.1f %10.2f %10.2f %10.3f %8.3f\n", each.name.c_str(), ns, each.bytes / ns, each.flops / ns, each.elements / ns, ratio);
      continue;
    }
    nlohmann::ordered_json line{{"case", each.name}, {"ns", ns}, {"threads", omp_get_max_threads()}};
    if (each.bytes > 0) line["GBps"] = each.bytes / ns;
    if (each.flops > 0) line["GFLOPs"] = each.flops / ns;
    if (each.elements > 0) line["elements_per_ns"] = each.elements / ns;
    if (ratio > 0) line["reference"] = each.reference, line["ratio"] = ratio;
    std::printf("%s\n", line.dump().c_str());
  }
  std::fflush(stdout);
}

}  // namespace lockstep::bench

#include <lockstep/autodiff/passes/passes.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>

#include <lockstep/autodiff/fused.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/device_plugin.h>

namespace lockstep::autodiff {

std::span<const Pass> passes() {
  static constexpr std::array<Pass, 12> list = {{
      {"prune", prune, "drop what nobody needs"},
      {"fold", fold, "compute constants once, simplify"},
      {"cse", merge_common, "compute equal things once"},
      {"scan", narrow_scans, "scans give what is needed, a gradient's in one with the forward one"},
      {"cover", merge_covered, "a loss and its gradient in one call"},
      {"fuse_gemm", fuse_gemm, "bias and activation inside products"},
      {"fuse", fuse_pointwise, "pointwise chains in one pass over memory"},
      {"overlap", overlap, "begin to reduce over ranks as soon as the operands exist"},
      {"in_place", nullptr, "results over operands that are no longer needed"},
      {"memory_plan", nullptr, "one arena, shared by lifetime"},
      {"parallel", nullptr, "independent branches side by side"},
      {"capture", nullptr, "a call on a GPU as one CUDA graph"},
  }};
  return list;
}

namespace {

void check_names(const std::set<std::string>& disabled) {
  std::vector<std::string_view> names;
  for (const Pass& pass : passes()) names.push_back(pass.name);
  for (const std::string& name : disabled) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string near = nearest_name(name, names);
    throw NotFoundError("there is no pass named '" + name + "'", {}, near.empty() ? "" : "did you mean '" + near + "'?");
  }
}

/// What cannot run fused on the default device stays apart.
bool makes_sense(const Pass& pass) {
  const Device device = default_device();
  return device.is_cpu() || pass.run != fuse_pointwise || device_plugin().kernel(fused_op()).bind;
}

}  // namespace

Graph optimize(Graph graph, const std::set<std::string>& disabled) {
  check_names(disabled);
  for (const Pass& pass : passes()) {
    if (!pass.run || disabled.contains(std::string(pass.name)) || !makes_sense(pass)) continue;
    graph = pass.run(graph);
    // What a pass left without consumers goes at once, so that the next one does not carry it.
    if (!disabled.contains("prune")) graph = prune(graph);
  }
  return graph;
}

PlanOptions plan_options(const std::set<std::string>& disabled, std::string_view name) {
  return {.in_place = !disabled.contains("in_place"), .memory_plan = !disabled.contains("memory_plan"), .parallel = !disabled.contains("parallel"), .capture = !disabled.contains("capture"),
          .device = default_device(), .name = std::string(name)};
}

std::set<std::string> passes_disabled_by_environment() {
  std::set<std::string> names;
  if (const char* list = std::getenv("LOCKSTEP_DISABLE_PASSES")) {
    std::istringstream stream(list);
    for (std::string name; std::getline(stream, name, ',');)
      if (!name.empty()) names.insert(name);
  }
  return names;
}

}  // namespace lockstep::autodiff

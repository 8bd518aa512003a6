#include <lockstep/autodiff/captured.h>

#include <algorithm>
#include <string>
#include <utility>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/warning.h>
#include <lockstep/tensor/device_plugin.h>

namespace lockstep::autodiff {

CapturedCalls::~CapturedCalls() {
  for (const Stretch& stretch : stretches_)
    for (const Graph& each : stretch.graphs)
      if (each.graph) device_plugin().destroy_graph(each.graph);
}

void CapturedCalls::run(Device device, std::size_t number, std::span<void* const> addresses, const std::function<void()>& enqueue) {
  const DevicePlugin& plugin = device_plugin();
  if (stretches_.size() <= number) stretches_.resize(number + 1);
  Stretch& stretch = stretches_[number];
  if (!stretch.warm || stretch.refused) {
    enqueue();
    stretch.warm = true;
    return;
  }
  const auto found = std::find_if(stretch.graphs.begin(), stretch.graphs.end(), [&](const Graph& each) { return each.graph && std::ranges::equal(each.addresses, addresses); });
  if (found != stretch.graphs.end()) return plugin.launch_graph(device.index(), found->graph);
  void* const graph = capture(device, enqueue);
  if (!graph) {
    stretch.refused = true;
    return enqueue();
  }
  Graph& place = stretch.graphs[stretch.oldest];
  if (place.graph) plugin.destroy_graph(std::exchange(place.graph, nullptr));
  place.graph = graph;
  place.addresses.assign(addresses.begin(), addresses.end());
  stretch.oldest = (stretch.oldest + 1) % stretch.graphs.size();
  ++captures_;
  plugin.launch_graph(device.index(), place.graph);
}

void* CapturedCalls::capture(Device device, const std::function<void()>& enqueue) {
  const DevicePlugin& plugin = device_plugin();
  try {
    plugin.begin_capture(device.index());
    enqueue();
    return plugin.end_capture(device.index());
  } catch (const Error& error) {
    plugin.cancel_capture(device.index());
    warn("function", "calls that cannot be captured as a CUDA graph are made one by one: " + std::string(error.what()));
    return nullptr;
  } catch (...) {
    plugin.cancel_capture(device.index());
    throw;
  }
}

}  // namespace lockstep::autodiff

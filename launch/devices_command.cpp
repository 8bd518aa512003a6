// `lockstep devices`: what can compute here, or why not.

#include <cstdio>
#include <iostream>
#include <thread>

#include <lockstep/tensor/device.h>

#include "commands.h"

namespace lockstep::launch {
namespace {

std::string gibibytes(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", double(bytes) / double(std::size_t(1) << 30));
  return text;
}

void show(const Device device) {
  const DeviceInfo info = device_info(device);
  const DeviceMemoryStats memory = memory_stats(device);
  std::cout << to_string(device) << "  " << info.name << ", " << gibibytes(info.memory) << " (" << gibibytes(memory.free) << " free)";
  if (info.compute_capability > 0) std::cout << ", compute capability " << info.compute_capability / 10 << "." << info.compute_capability % 10;
  if (info.multiprocessors > 0) std::cout << ", " << info.multiprocessors << " multiprocessors";
  std::cout << ", at " << info.pci << "\n";
  for (std::size_t other = 0; other < info.links.size(); ++other)
    if (info.links[other] != "self") std::cout << "        to cuda:" << other << ": " << (info.links[other] == "peer" ? "directly" : "through the host") << "\n";
}

}  // namespace

void list_devices() {
  std::cout << "cpu:0   " << std::thread::hardware_concurrency() << " threads\n";
  const int count = cuda_device_count();
  for (int index = 0; index < count; ++index) show(Device("cuda:" + std::to_string(index)));
  if (count == 0) std::cout << "no CUDA device: " << why_no_cuda() << "\n";
  std::string versions;
  for (const std::string& version : cuda_versions()) versions.append(versions.empty() ? "plug-in: " : ", ").append(version);
  if (!versions.empty()) std::cout << versions << "\n";
}

}  // namespace lockstep::launch

#include "device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <lockstep/lockstep.h>
#include <lockstep/tensor/device_plugin.h>

#include "timing.h"

namespace lockstep::bench {

bool is_emulated(Device device) { return device_info(device).compute_capability == 0; }

double seconds_of_calls(Device device, int calls, const std::function<void()>& call) {
  synchronize(device);
  const auto start = Clock::now();
  for (int k = 0; k < calls; ++k) call();
  synchronize(device);
  return seconds_since(start) / calls;
}

int calls_within(Device device, double seconds, const std::function<void()>& call) {
  for (int k = 0; k < 3; ++k) call();  // bound, captured, replayed
  return std::clamp(int(seconds / seconds_of_calls(device, 3, call)), 1, 1000);
}

double copy_bandwidth(Device device) {
  const std::int64_t bytes = std::int64_t(1) << (is_emulated(device) ? 20 : 30);
  const DeviceScope scope(device);
  const Tensor from = ones({bytes}, uint8);
  Tensor to = Tensor::empty({bytes}, uint8, device);
  void* target = to.mutable_raw();
  double best = 0;
  for (int k = 0; k < 5; ++k) {
    const double seconds = seconds_of_calls(device, 4, [&] { device_plugin().copy_on_device(device.index(), target, from.raw(), std::size_t(bytes)); });
    best = std::max(best, 2e-9 * double(bytes) / seconds);
  }
  return best;
}

std::optional<double> product_gflops(Device device, DType dtype) {
  if (is_emulated(device)) return {};
  constexpr std::int64_t n = 8192;
  const DeviceScope scope(device);
  const Tensor a = cast(random::uniform({n, n}), dtype), b = cast(random::uniform({n, n}), dtype);
  Tensor c = Tensor::empty({n, n}, dtype, device);
  const double seconds = device_plugin().fastest_product(device.index(), dtype, n, n, n, a.raw(), b.raw(), c.mutable_raw());
  if (seconds <= 0) return {};
  return 2e-9 * double(n) * double(n) * double(n) / seconds;
}

double nominal_gflops(const std::string& gpu, DType dtype) {
  const char* chosen = std::getenv("LOCKSTEP_TF32");
  const bool tf32 = chosen && std::strcmp(chosen, "1") == 0;
  struct Sheet {
    const char* name;  // a part of what the driver says; the first that fits counts
    double half, tf32, single, twice;  // TFLOP/s: float16 and bfloat16, TF32, float32, float64
  };
  constexpr Sheet kSheets[] = {{"H100 PCIe", 756, 378, 51, 51},   {"H100 NVL", 835, 417, 60, 60},    {"H100", 989.4, 494.7, 66.9, 66.9},
                               {"H200 NVL", 835, 417, 60, 60},    {"H200", 989.4, 494.7, 66.9, 66.9}, {"GH200", 989.4, 494.7, 66.9, 66.9},
                               {"A100", 312, 156, 19.5, 19.5}};
  for (const Sheet& each : kSheets)
    if (gpu.find(each.name) != std::string::npos)
      return 1e3 * (dtype == float16 || dtype == bfloat16 ? each.half : dtype == float64 ? each.twice : tf32 ? each.tf32 : each.single);
  return 0;
}

}  // namespace lockstep::bench

// Single ops on a GPU: products beside the fastest that cuBLASLt has for them, the rest beside a copy on the device.

#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include <lockstep/lockstep.h>
#include <lockstep/tensor/device_plugin.h>

#include "bench.h"
#include "device.h"
#include "timing.h"

namespace lockstep::bench {
namespace {

struct DeviceCase {
  std::string name;
  std::function<void()> call;  // enqueues
  double bytes = 0;            // moved; compared with the copy's bandwidth
  double flops = 0;
  DType dtype = float32;
  std::function<double()> best = {};  // seconds that a product is compared with; 0 if nothing is known
};

Tensor noise_on(const Shape& shape, DType dtype) { return cast(random::uniform(shape, -1, 1), dtype); }

DeviceCase matmul_case(Device device, DType dtype, std::int64_t m, std::int64_t k, std::int64_t n) {
  // Operands come into being when they are needed: all of them together are large.
  auto operands = std::make_shared<std::optional<std::array<Tensor, 2>>>();
  const auto ready = [=]() -> const std::array<Tensor, 2>& {
    if (!*operands) *operands = std::array{noise_on({m, k}, dtype), noise_on({k, n}, dtype)};
    return **operands;
  };
  auto product = autodiff::function([](const Tensor& a, const Tensor& b) { return matmul(a, b); });
  const std::string sizes = std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n);
  return {.name = "matmul_" + std::string(name(dtype)) + "_" + sizes,
          .call = [=] { product(ready()[0], ready()[1]); },
          .flops = 2.0 * double(m) * double(k) * double(n),
          .dtype = dtype,
          .best = [=] {
            Tensor result = Tensor::empty({m, n}, dtype, device);
            return device_plugin().fastest_product(device.index(), dtype, m, k, n, ready()[0].raw(), ready()[1].raw(), result.mutable_raw());
          }};
}

std::vector<DeviceCase> matmul_cases(Device device) {
  std::vector<DeviceCase> cases;
  if (is_emulated(device)) {
    cases.push_back(matmul_case(device, float32, 64, 32, 48));
    return cases;
  }
  // Large squares, and the products of gpt2: 16 x 1024 tokens through attention, the wide layer and the vocabulary.
  for (const DType dtype : {bfloat16, float16, float32}) cases.push_back(matmul_case(device, dtype, 4096, 4096, 4096));
  cases.push_back(matmul_case(device, bfloat16, 8192, 8192, 8192));
  for (const auto& [k, n] : {std::array<std::int64_t, 2>{768, 768}, {768, 3072}, {3072, 768}, {768, 50257}}) cases.push_back(matmul_case(device, bfloat16, 16 * 1024, k, n));
  return cases;
}

std::vector<DeviceCase> memory_cases(Device device) {
  const bool small = is_emulated(device);
  const std::int64_t n = std::int64_t(1) << (small ? 12 : 26);
  const std::string size = small ? "4K" : "64M";
  const double elements = double(n);
  const Tensor x = noise_on({n}, float32), y = noise_on({n}, float32), low_x = cast(x, bfloat16), low_y = cast(y, bfloat16);
  const std::int64_t columns = small ? 64 : 4096;
  const Tensor rows = Tensor::view(x, {n / columns, columns});
  Tensor to = Tensor::empty({n}, float32, device);
  const auto chain = autodiff::function([](const Tensor& a, const Tensor& b) { return chain_of_ten(a, b); });
  const auto smooth = autodiff::function([](const Tensor& a) { return gelu(a, true); });
  return {{.name = "copy_" + size, .call = [=, target = to.mutable_raw(), keep = to] { device_plugin().copy_on_device(device.index(), target, x.raw(), x.nbytes()); }, .bytes = 8 * elements},
          {.name = "add_" + size, .call = [=] { x + y; }, .bytes = 12 * elements},
          {.name = "add_bfloat16_" + size, .call = [=] { low_x + low_y; }, .bytes = 6 * elements, .dtype = bfloat16},
          {.name = "exp_" + size, .call = [=] { exp(x); }, .bytes = 8 * elements},
          {.name = "chain_of_ten_" + size, .call = [=] { chain(x, y); }, .bytes = 12 * elements},
          {.name = "gelu_bfloat16_" + size, .call = [=] { smooth(low_x); }, .bytes = 4 * elements, .dtype = bfloat16},
          {.name = "cast_bfloat16_" + size, .call = [=] { cast(x, bfloat16); }, .bytes = 6 * elements},
          {.name = "reduce_sum_" + size, .call = [=] { reduce_sum(x); }, .bytes = 4 * elements},
          {.name = "reduce_sum_rows_" + size, .call = [=] { reduce_sum(rows, 1); }, .bytes = 4 * elements},
          {.name = "reduce_sum_columns_" + size, .call = [=] { reduce_sum(rows, 0); }, .bytes = 4 * elements},
          {.name = "softmax_rows_" + size, .call = [=] { softmax(rows); }, .bytes = 8 * elements}};
}

struct Measured {
  double seconds = 0;
  double best = 0;  // of cuBLASLt, in seconds
};

void print_case(const DeviceCase& each, const Measured& measured, double copy_GBps, const std::string& gpu, bool json) {
  const double ns = 1e9 * measured.seconds, GBps = each.bytes / ns, GFLOPs = each.flops / ns;
  const double peak = each.flops > 0 ? nominal_gflops(gpu, each.dtype) : 0;
  const double ratio = each.best ? measured.best / measured.seconds : GBps / copy_GBps;
  if (!json) return void(std::printf("%-36s %14.1f %10.1f %12.1f %8.3f %8.3f\n", each.name.c_str(), ns, GBps, GFLOPs, ratio, peak > 0 ? GFLOPs / peak : 0.0));
  nlohmann::ordered_json line{{"case", each.name}, {"device", gpu}, {"ns", ns}};
  if (each.bytes > 0) line["GBps"] = GBps;
  if (each.flops > 0) line["GFLOPs"] = GFLOPs;
  if (ratio > 0) line["reference"] = each.best ? "the fastest of cuBLASLt" : "copy", line["ratio"] = ratio;
  if (peak > 0) line["peak_GFLOPs"] = peak, line["share_of_peak"] = GFLOPs / peak;
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace

void run_device_ops(Device device, const std::string& filter, bool json, double seconds) {
  const DeviceScope scope(device);
  std::vector<DeviceCase> cases = memory_cases(device);
  for (DeviceCase& each : matmul_cases(device)) cases.push_back(std::move(each));
  // (The copy is what the others are compared with.)
  std::erase_if(cases, [&](const DeviceCase& each) { return each.name.find(filter) == std::string::npos && !each.name.starts_with("copy_"); });
  if (cases.size() == 1 && cases[0].name.find(filter) == std::string::npos) throw NotFoundError("no benchmark's name contains '" + filter + "'");
  constexpr int kRounds = 5;
  std::vector<int> calls;
  std::vector<Measured> measured(cases.size());
  for (const DeviceCase& each : cases) calls.push_back(calls_within(device, seconds / kRounds, each.call));
  for (std::size_t k = 0; k < cases.size(); ++k)
    if (cases[k].best) measured[k].best = cases[k].best();
  std::vector<std::vector<double>> times(cases.size());
  for (int round = 0; round < kRounds; ++round)
    for (std::size_t k = 0; k < cases.size(); ++k) times[k].push_back(seconds_of_calls(device, calls[k], cases[k].call));
  for (std::size_t k = 0; k < cases.size(); ++k) measured[k].seconds = median(times[k]);
  if (!json) std::printf("%-36s %14s %10s %12s %8s %8s\n", "case", "ns", "GB/s", "GFLOP/s", "ratio", "of peak");
  const std::string gpu = device_info(device).name;
  for (std::size_t k = 0; k < cases.size(); ++k) print_case(cases[k], measured[k], cases[0].bytes / measured[0].seconds * 1e-9, gpu, json);
  std::fflush(stdout);
}

}  // namespace lockstep::bench

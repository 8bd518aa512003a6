// The plug-in's table, and the functions of kernel.h that stand on the rest.

#include <cstdlib>
#include <string_view>
#include <unordered_map>

#include <lockstep/tensor/cuda/blas.h>
#include <lockstep/tensor/cuda/copy.h>
#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/cuda/memory.h>
#include <lockstep/tensor/cuda/nccl.h>
#include <lockstep/tensor/cuda/pinned.h>
#include <lockstep/tensor/cuda/stream.h>
#include <lockstep/tensor/device_plugin.h>

namespace lockstep::cuda {

int compute_capability() { return runtime::compute_capability(); }
bool deterministic() { return op_determinism(); }
bool use_tf32() {
  static const bool chosen = [] {
    const char* text = std::getenv("LOCKSTEP_TF32");
    return text && std::string_view(text) == "1";
  }();
  return chosen;
}

void copy_on_device(void* to, const void* from, std::size_t nbytes) {
  if (nbytes > 0) runtime::copy(to, from, nbytes, runtime::Copy::on_device, current_stream());
}
void fill_bytes(void* to, int byte, std::size_t nbytes) {
  if (nbytes > 0) runtime::set_bytes(to, byte, nbytes, current_stream());
}
void copy_to_host(void* to, const void* from, std::size_t nbytes) { copy_to_host(current_device(), to, from, nbytes); }
void copy_to_device(void* to, const void* from, std::size_t nbytes) { copy_to_device(current_device(), to, from, nbytes); }

Constants::Constants(const void* data, std::size_t nbytes) {
  if (nbytes == 0) return;
  const int device = current_device();
  void* memory = allocate(device, nbytes, "constants of kernels");
  block_ = std::shared_ptr<const void>(memory, [device](const void* each) { deallocate(device, const_cast<void*>(each)); });
  copy_to_device(device, memory, data, nbytes);
}

namespace {

struct Devices {
  int count = 0;
  std::string why_none;
};
const Devices& devices() {
  static const Devices found = [] {
    Devices each;
    each.count = runtime::device_count(each.why_none);
    return each;
  }();
  return found;
}

DeviceKernel kernel_of(const OpDef& op) {
  static const auto* kernels = [] {
    auto* all = new std::unordered_map<std::string_view, DeviceKernel>;
    for (const std::span<const Kernel> family : kernel_families())
      for (const Kernel& kernel : family) all->emplace(kernel.op, DeviceKernel{kernel.bind, kernel.dynamic});
    return all;
  }();
  const auto found = kernels->find(op.name);
  return found == kernels->end() ? DeviceKernel{} : found->second;
}

void copy_between(int to_device, void* to, int from_device, const void* from, std::size_t nbytes) {
  // The reader waits for the writer, and the writer's memory is not reused before the reader is done.
  const runtime::Stream target = compute_stream(to_device), source = compute_stream(from_device);
  order(to_device, target, from_device, source);
  {
    const Current current(to_device);
    runtime::copy_between(to_device, to, from_device, from, nbytes, target);
  }
  order(from_device, source, to_device, target);
}

const DevicePlugin& table() {
  static const DevicePlugin plugin{
      .version = kDevicePluginVersion,
      .device_count = [] { return devices().count; },
      .why_none = [] { return devices().why_none.c_str(); },
      .info = runtime::info,
      .versions =
          [] {
            std::vector<std::string> all = runtime::versions();
            all.push_back(nccl_version());
            return all;
          },
      .allocate = allocate,
      .deallocate = deallocate,
      .memory_stats = memory_stats,
      .copy_to_device = copy_to_device,
      .copy_to_host = copy_to_host,
      .copy_on_device =
          [](int device, void* to, const void* from, std::size_t nbytes) {
            const Current current(device);
            copy_on_device(to, from, nbytes);
          },
      .copy_between = copy_between,
      .fill =
          [](int device, void* to, const void* element, std::size_t itemsize, std::size_t count) {
            const Current current(device);
            enqueue_fill(std::int64_t(count), element, itemsize, to);
          },
      .synchronize =
          [](int device) {
            const Current current(device);
            runtime::wait(compute_stream(device));
          },
      .allocate_pinned = allocate_pinned,
      .deallocate_pinned = deallocate_pinned,
      .mark = [](int device) -> void* {
        const Current current(device);
        return runtime::record(compute_stream(device));
      },
      .wait =
          [](void* mark) {
            const runtime::OwnedEvent event(static_cast<runtime::Event*>(mark));
            runtime::wait(event.get());
          },
      .forget = [](void* mark) noexcept { runtime::destroy(static_cast<runtime::Event*>(mark)); },
      .set_current = set_current_device,
      .kernel = kernel_of,
      .share_workspaces = share_workspaces,
      .workspaces_shared = workspaces_shared,
      .begin_capture = begin_capture,
      .end_capture = end_capture,
      .cancel_capture = cancel_capture,
      .launch_graph = launch_graph,
      .destroy_graph =
          [](void* graph) noexcept {
            try {
              choose_some_device();
            } catch (const std::exception&) {
              return;  // A lost device has no graphs.
            }
            runtime::destroy(static_cast<runtime::Graph*>(graph));
          },
      .nccl = &nccl_table(),
      .graph_launches = graph_launches,
      .fastest_product =
          [](int device, DType dtype, std::int64_t m, std::int64_t k, std::int64_t n, const void* a, const void* b, void* c) {
            const Current current(device);
            return is_gemm_dtype(dtype) ? BoundGemm({.dtype = dtype, .m = m, .n = n, .k = k}, "matmul").fastest(a, b, c) : 0;
          },
  };
  return plugin;
}

}  // namespace
}  // namespace lockstep::cuda

extern "C" const lockstep::DevicePlugin* lockstep_device_plugin() { return &lockstep::cuda::table(); }

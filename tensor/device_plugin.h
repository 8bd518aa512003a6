#pragma once
// What the CUDA plug-in (liblockstep_cuda.so) offers to the engine: a table of functions behind one C entry point, `lockstep_device_plugin`. The
// plug-in finds the engine's own functions (tensors, errors, rows) in the program that loads it, so there is one op table and one kind of error.

#include <cstddef>
#include <cstdint>

#include <lockstep/tensor/device.h>
#include <lockstep/tensor/op.h>

namespace lockstep {

/// A row's kernel on the device: one of the two, or neither.
struct DeviceKernel {
  BoundKernel (*bind)(const BindContext&) = nullptr;
  Tensors (*dynamic)(const OpCall&, std::span<const Tensor>) = nullptr;
};

struct NcclTable;  // dist/cuda/nccl_table.h

/// All functions take the number of a device; they enqueue on its compute stream, on which everything the engine asks for runs in order, unless they
/// say that they wait. They throw Lockstep's errors: ResourceExhaustedError says who holds how much of the memory.
struct DevicePlugin {
  /// Must equal kDevicePluginVersion, or the plug-in is refused.
  int version;
  /// Number of usable devices; when 0, `why_none()` says what is missing.
  int (*device_count)();
  const char* (*why_none)();
  DeviceInfo (*info)(int device);
  std::vector<std::string> (*versions)();

  /// From the stream-ordered pool: memory may be given back while kernels that use it still wait to run. `holder` is what statistics file it under.
  void* (*allocate)(int device, std::size_t nbytes, const char* holder);
  void (*deallocate)(int device, void* memory) noexcept;
  DeviceMemoryStats (*memory_stats)(int device);

  /// The host's memory may change as soon as this returns, unless it is pinned: then not before `synchronize` or the wait for a later mark.
  void (*copy_to_device)(int device, void* to, const void* from, std::size_t nbytes);
  /// Waits.
  void (*copy_to_host)(int device, void* to, const void* from, std::size_t nbytes);
  void (*copy_on_device)(int device, void* to, const void* from, std::size_t nbytes);
  void (*copy_between)(int to_device, void* to, int from_device, const void* from, std::size_t nbytes);
  /// Sets every element of `itemsize` bytes (1, 2, 4, 8 or 16) to the one at `element`.
  void (*fill)(int device, void* to, const void* element, std::size_t itemsize, std::size_t count);
  /// Waits for the compute stream.
  void (*synchronize)(int device);

  /// Host memory that the device reads and writes by itself, from a pool.
  void* (*allocate_pinned)(std::size_t nbytes);
  void (*deallocate_pinned)(void* memory) noexcept;
  /// A mark behind what has been enqueued so far, to be waited for once.
  void* (*mark)(int device);
  void (*wait)(void* mark);
  /// Gives a mark back that nobody will wait for.
  void (*forget)(void* mark) noexcept;

  /// Makes the device the thread's current one; returns what was current.
  int (*set_current)(int device);
  /// Both null if the row has no kernel.
  DeviceKernel (*kernel)(const OpDef& op);
  /// Between the two, workspaces of kernels bound on this thread are one block, as large as the largest needs. It is made by workspaces_shared, unless the
  /// kernels were given up (not `keep`, which throws nothing). Pairs nest.
  void (*share_workspaces)(int device, const char* holder);
  void (*workspaces_shared)(bool keep);

  /// Between begin_capture and end_capture this thread's work is recorded instead of run. end_capture gives the graph, cancel_capture forgets it.
  void (*begin_capture)(int device);
  void* (*end_capture)(int device);
  void (*cancel_capture)(int device) noexcept;
  void (*launch_graph)(int device, void* graph);
  void (*destroy_graph)(void* graph) noexcept;

  /// Null in a plug-in without NCCL.
  const NcclTable* nccl;

  /// For benchmarks: how many graphs have been launched so far, on all devices.
  std::uint64_t (*graph_launches)();
  /// For benchmarks: seconds that the fastest of cuBLASLt's algorithms takes for c = a b, an (m, k) times a (k, n) matrix; all that it names are tried.
  /// 0 where cuBLASLt does not multiply (the emulated device, integers). Waits.
  double (*fastest_product)(int device, DType dtype, std::int64_t m, std::int64_t k, std::int64_t n, const void* a, const void* b, void* c);
};
inline constexpr int kDevicePluginVersion = 4;

/// Makes `device` current on this thread for the plug-in, while it lives.
class OnDevice {
 public:
  explicit OnDevice(Device device) : previous_(device_plugin().set_current(device.index())) {}
  ~OnDevice() { device_plugin().set_current(previous_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int previous_;
};

/// Copies between any two places, host or device. To the host it waits, from the host the source may change on return.
void copy_bytes(Device to_device, void* to, Device from_device, const void* from, std::size_t nbytes);

}  // namespace lockstep

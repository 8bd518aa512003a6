#pragma once
// Where a tensor lives and which kernels compute it. The CPU is built in; CUDA is a plug-in that is loaded when first asked for.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep {

enum class DeviceKind : std::uint8_t { cpu, cuda };

/// A device as a two-byte value: kind and index.
class Device {
 public:
  /// The CPU.
  constexpr Device() = default;
  /// Parses "cpu", "cpu:0", "cuda" or "cuda:1". Throws InvalidArgumentError for another form, UnavailableError (saying what
  /// is missing: the plug-in, the driver or that GPU) for a CUDA device that cannot be used.
  Device(std::string_view text);
  Device(const char* text) : Device(std::string_view(text)) {}

  DeviceKind kind() const { return kind_; }
  int index() const { return index_; }
  bool is_cpu() const { return kind_ == DeviceKind::cpu; }
  friend bool operator==(Device a, Device b) { return a.kind_ == b.kind_ && a.index_ == b.index_; }

 private:
  DeviceKind kind_ = DeviceKind::cpu;
  std::uint8_t index_ = 0;
};

/// "cpu:0", "cuda:1".
std::string to_string(Device device);

/// Where what has no operands (constants, zeros, new variables) comes into being on this thread, and where traced functions run: the innermost
/// DeviceScope's device, else the process's (set_default_device, else LOCKSTEP_DEVICE=cpu|cuda|cuda:N, else the CPU). Strings always live on the CPU.
/// Throws as Device does, at the first use, for a LOCKSTEP_DEVICE that cannot be used.
Device default_device();
/// For all threads without a DeviceScope. (LOCKSTEP_DEVICE=cuda has chosen a GPU of its own for each rank of a host already, by the launcher's number for it.)
void set_default_device(Device device);

/// Makes `device` the thread's default while it lives (tf.device).
class DeviceScope {
 public:
  explicit DeviceScope(Device device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  std::optional<Device> saved_;
};

/// Number of CUDA devices that can be used; 0 where there is no plug-in, no driver or no GPU. Loads the plug-in.
int cuda_device_count();
/// Why cuda_device_count() is 0, empty if it is not.
std::string why_no_cuda();

/// Must ops give the same bits in every run on a GPU too (tf.config.experimental.enable_op_determinism)? Kernels that add in the order of arrival take a
/// slower way then. On from the start if LOCKSTEP_DETERMINISTIC=1. The CPU's kernels always give the same bits.
bool op_determinism();
void set_op_determinism(bool on);

/// Device memory that Lockstep holds.
struct DeviceMemoryStats {
  std::size_t in_use = 0;
  std::size_t peak = 0;
  /// Free and total memory of the device, as its driver counts.
  std::size_t free = 0;
  std::size_t total = 0;
  /// What it is held for ("tensors", "arena of train_step", "workspaces"), largest first.
  std::vector<std::pair<std::string, std::size_t>> holders;
};
/// Of a CUDA device. Throws InvalidArgumentError for the CPU (see memory_stats in base/allocator.h).
DeviceMemoryStats memory_stats(Device device);

/// What `lockstep devices` shows of a GPU.
struct DeviceInfo {
  std::string name;
  std::string pci;
  int compute_capability = 0;  // 90 for 9.0
  int multiprocessors = 0;
  std::size_t memory = 0;
  /// By device: "self", "peer" (it reads the other's memory directly), "host" (copies pass through the host).
  std::vector<std::string> links;
};
DeviceInfo device_info(Device device);
/// Versions of what the plug-in stands on, for people: "driver for CUDA 13.0", "CUDA runtime 13.0", "cuBLASLt 13.1", "cuDNN 9.14", "NCCL 2.28.3".
std::vector<std::string> cuda_versions();

/// Waits until everything that was enqueued on the device is done, and throws what went wrong there. Nothing to do for the CPU.
void synchronize(Device device);

struct DevicePlugin;
/// The loaded plug-in, for the engine. Throws UnavailableError if there is none (see device_plugin.h).
const DevicePlugin& device_plugin();

}  // namespace lockstep

#pragma once
// Where a tensor lives and which kernels compute it. The CPU is built in; CUDA is a plug-in that is loaded when first asked for.

#include <cstdint>
#include <string>
#include <string_view>

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

/// What the CUDA plug-in (liblockstep_cuda.so) offers to the engine: one C entry point, `lockstep_device_plugin`, returns it.
struct DevicePlugin {
  /// Must equal kDevicePluginVersion, or the plug-in is refused.
  int version;
  /// Number of usable devices; when 0, `why_none()` says what is missing.
  int (*device_count)();
  const char* (*why_none)();
};
inline constexpr int kDevicePluginVersion = 1;

}  // namespace lockstep

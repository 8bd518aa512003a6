// The plug-in is looked up by the dynamic loader's rules (beside liblockstep, LD_LIBRARY_PATH), or at $LOCKSTEP_CUDA_PLUGIN.

#include <lockstep/tensor/device.h>

#include <dlfcn.h>

#include <charconv>
#include <cstdlib>

#include <lockstep/tensor/base/error.h>

namespace lockstep {
namespace {

struct LoadedPlugin {
  const DevicePlugin* plugin = nullptr;
  std::string why_not;
};

LoadedPlugin load_cuda_plugin() {
  const char* chosen = std::getenv("LOCKSTEP_CUDA_PLUGIN");
  const char* path = chosen ? chosen : "liblockstep_cuda.so";
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* reason = dlerror();
    return {nullptr, std::string("the CUDA plug-in ") + path + " cannot be loaded: " + (reason ? reason : "no reason given")};
  }
  using Entry = const DevicePlugin* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "lockstep_device_plugin"));
  if (!entry) return {nullptr, std::string(path) + " is not a Lockstep device plug-in: it lacks lockstep_device_plugin"};
  const DevicePlugin* plugin = entry();
  if (!plugin || plugin->version != kDevicePluginVersion)
    return {nullptr, std::string(path) + " was built for another version of Lockstep"};
  return {plugin, {}};
}

void require_cuda(std::string_view text, int index) {
  static const LoadedPlugin loaded = load_cuda_plugin();
  const std::string device = "device '" + std::string(text) + "' is not available: ";
  const std::string hint = "use Device(\"cpu\"), or build with the preset 'cuda' on a machine with a driver";
  if (!loaded.plugin) throw UnavailableError(device + loaded.why_not, {}, hint);
  const int count = loaded.plugin->device_count();
  if (count == 0) throw UnavailableError(device + loaded.plugin->why_none(), {}, hint);
  if (index >= count) throw UnavailableError(device + "there are " + std::to_string(count) + " CUDA devices, numbered from 0");
}

}  // namespace

Device::Device(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  int index = 0;
  bool valid = kind == "cpu" || kind == "cuda";
  if (colon != std::string_view::npos) {
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    valid = valid && error == std::errc() && end == digits.data() + digits.size() && index >= 0 && index < 256;
  }
  if (!valid)
    throw InvalidArgumentError("'" + std::string(text) + "' is not a device", {}, "a device is \"cpu\", \"cuda\" or \"cuda:N\"");
  if (kind == "cpu") {
    if (index != 0) throw InvalidArgumentError("'" + std::string(text) + "': there is one CPU device, \"cpu:0\"");
    return;
  }
  require_cuda(text, index);
  kind_ = DeviceKind::cuda;
  index_ = std::uint8_t(index);
}

std::string to_string(Device device) { return (device.is_cpu() ? "cpu:" : "cuda:") + std::to_string(device.index()); }

}  // namespace lockstep

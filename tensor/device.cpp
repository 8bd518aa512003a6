// The plug-in is looked up by the dynamic loader's rules (beside liblockstep, LD_LIBRARY_PATH), or at $LOCKSTEP_CUDA_PLUGIN.

#include <lockstep/tensor/device.h>

#include <dlfcn.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/device_plugin.h>

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

const LoadedPlugin& cuda_plugin() {
  static const LoadedPlugin loaded = load_cuda_plugin();
  return loaded;
}

void require_cuda(std::string_view text, int index) {
  const LoadedPlugin& loaded = cuda_plugin();
  const std::string device = "device '" + std::string(text) + "' is not available: ";
  const std::string hint = "use Device(\"cpu\"), or build with the preset 'cuda' on a machine with a driver";
  if (!loaded.plugin) throw UnavailableError(device + loaded.why_not, {}, hint);
  const int count = loaded.plugin->device_count();
  if (count == 0) throw UnavailableError(device + loaded.plugin->why_none(), {}, hint);
  if (index >= count) throw UnavailableError(device + "there are " + std::to_string(count) + " CUDA devices, numbered from 0");
}

const DevicePlugin& plugin_of(Device device, const char* what) {
  if (device.is_cpu()) throw InvalidArgumentError("cpu:0 is not a CUDA device", what);
  return device_plugin();
}

/// The number of this process among those that a launcher started on this host; 0 if nobody did.
int local_number() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"})
    if (const char* text = std::getenv(name)) return std::atoi(text);
  return 0;
}

/// "cuda" means a GPU of its own for each process of a job.
Device device_for_process(std::string_view chosen) {
  if (chosen != "cuda") return Device(chosen);
  const int own = local_number();
  const Device first("cuda:0");  // or the reason why there is none
  const int count = cuda_device_count();
  const char* share = std::getenv("LOCKSTEP_SHARE_GPU");
  const bool shared = share && std::string_view(share) == "1";
  if (own >= count && !shared)
    throw UnavailableError("LOCKSTEP_DEVICE=cuda: this is process " + std::to_string(own) + " of its host, which has " + std::to_string(count) + (count == 1 ? " GPU" : " GPUs"), {},
                           "start one process a GPU; LOCKSTEP_SHARE_GPU=1 lets several share one, for tests");
  return own % count == 0 ? first : Device("cuda:" + std::to_string(own % count));
}

/// Its two bytes change at once, without libatomic's help.
struct alignas(std::uint16_t) AlignedDevice {
  Device device;
};
/// What the environment chooses, or set_default_device later.
std::atomic<AlignedDevice>& process_device() {
  static std::atomic<AlignedDevice> instance = [] {
    const char* chosen = std::getenv("LOCKSTEP_DEVICE");
    return AlignedDevice{chosen && *chosen ? device_for_process(chosen) : Device()};
  }();
  return instance;
}

std::optional<Device>& thread_device() {
  thread_local std::optional<Device> instance;
  return instance;
}

std::atomic<bool>& determinism() {
  static std::atomic<bool> instance = [] {
    const char* chosen = std::getenv("LOCKSTEP_DETERMINISTIC");
    return chosen && std::string_view(chosen) == "1";
  }();
  return instance;
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

Device default_device() {
  const std::optional<Device>& scoped = thread_device();
  return scoped ? *scoped : process_device().load(std::memory_order_relaxed).device;
}

void set_default_device(Device device) { process_device() = AlignedDevice{device}; }

DeviceScope::DeviceScope(Device device) : saved_(thread_device()) { thread_device() = device; }
DeviceScope::~DeviceScope() { thread_device() = saved_; }

int cuda_device_count() { return cuda_plugin().plugin ? cuda_plugin().plugin->device_count() : 0; }

std::string why_no_cuda() {
  const LoadedPlugin& loaded = cuda_plugin();
  if (!loaded.plugin) return loaded.why_not;
  return loaded.plugin->device_count() == 0 ? loaded.plugin->why_none() : "";
}

bool op_determinism() { return determinism().load(std::memory_order_relaxed); }
void set_op_determinism(bool on) { determinism() = on; }

DeviceMemoryStats memory_stats(Device device) { return plugin_of(device, "memory_stats").memory_stats(device.index()); }
DeviceInfo device_info(Device device) { return plugin_of(device, "device_info").info(device.index()); }
std::vector<std::string> cuda_versions() { return cuda_plugin().plugin ? cuda_plugin().plugin->versions() : std::vector<std::string>(); }

void synchronize(Device device) {
  if (!device.is_cpu()) device_plugin().synchronize(device.index());
}

const DevicePlugin& device_plugin() {
  const LoadedPlugin& loaded = cuda_plugin();
  if (!loaded.plugin) throw UnavailableError(loaded.why_not);
  return *loaded.plugin;
}

void copy_bytes(Device to_device, void* to, Device from_device, const void* from, std::size_t nbytes) {
  if (nbytes == 0) return;
  if (to_device.is_cpu() && from_device.is_cpu()) std::memcpy(to, from, nbytes);
  else if (to_device.is_cpu()) device_plugin().copy_to_host(from_device.index(), to, from, nbytes);
  else if (from_device.is_cpu()) device_plugin().copy_to_device(to_device.index(), to, from, nbytes);
  else if (to_device == from_device) device_plugin().copy_on_device(to_device.index(), to, from, nbytes);
  else device_plugin().copy_between(to_device.index(), to, from_device.index(), from, nbytes);
}

}  // namespace lockstep

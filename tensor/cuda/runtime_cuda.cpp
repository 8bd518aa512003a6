// The device functions on the CUDA runtime. cudart is linked statically and finds the driver by itself, so the plug-in loads on a machine without one.

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <nvrtc.h>

#include <cstring>
#include <vector>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/cuda/runtime.h>
#include <lockstep/tensor/cuda/stream.h>

namespace lockstep::cuda {

void check(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // or the next call would report it again
  const std::string text = std::string(what) + " failed: " + cudaGetErrorString(code) + " (" + cudaGetErrorName(code) + ") on cuda:" + std::to_string(current_device());
  switch (code) {
    case cudaErrorMemoryAllocation: throw ResourceExhaustedError(text);
    case cudaErrorInvalidValue:
    case cudaErrorInvalidConfiguration: throw InternalError(text);
    default: throw UnavailableError(text, {}, "what is enqueued fails later than it is called: CUDA_LAUNCH_BLOCKING=1 finds the op, compute-sanitizer the access");
  }
}

namespace runtime {

/// With its device: a call on an event from a thread without a device would make a context on GPU 0.
struct Event {
  cudaEvent_t event = nullptr;
  int device = 0;
};
struct Graph {
  cudaGraphExec_t executable;
};

int device_count(std::string& why) {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    why = "there is no NVIDIA driver on this machine (libcuda.so.1)";
    return 0;
  }
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaErrorInsufficientDriver)
    why = "the NVIDIA driver is for CUDA " + std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10) + ", the plug-in needs " + std::to_string(CUDART_VERSION / 1000) + ".0 or newer";
  else if (code != cudaSuccess) why = std::string("the NVIDIA driver shows no GPU: ") + cudaGetErrorString(code);
  else if (count == 0) why = "the NVIDIA driver shows no GPU (is CUDA_VISIBLE_DEVICES empty?)";
  return code == cudaSuccess ? count : 0;
}

DeviceInfo info(int device) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  char pci[32];
  check(cudaDeviceGetPCIBusId(pci, sizeof pci, device), "cudaDeviceGetPCIBusId");
  DeviceInfo result;
  result.name = properties.name;
  result.pci = pci;
  result.compute_capability = properties.major * 10 + properties.minor;
  result.multiprocessors = properties.multiProcessorCount;
  result.memory = properties.totalGlobalMem;
  int count = 0;
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  for (int other = 0; other < count; ++other) {
    int peer = 0;
    if (other != device) check(cudaDeviceCanAccessPeer(&peer, device, other), "cudaDeviceCanAccessPeer");
    result.links.push_back(other == device ? "self" : peer ? "peer" : "host");
  }
  return result;
}

namespace {
std::string dotted(const char* what, int version, int major_unit, int minor_unit) {
  return std::string(what) + " " + std::to_string(version / major_unit) + "." + std::to_string(version % major_unit / minor_unit);
}
}  // namespace

std::vector<std::string> versions() {
  std::vector<std::string> list;
  int driver = 0, runtime = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess) list.push_back(driver == 0 ? "no driver" : dotted("driver for CUDA", driver, 1000, 10));
  if (cudaRuntimeGetVersion(&runtime) == cudaSuccess) list.push_back(dotted("CUDA runtime", runtime, 1000, 10));
  list.push_back(dotted("cuBLASLt", int(cublasLtGetVersion()), 10000, 100));
  list.push_back(dotted("cuDNN", int(cudnnGetVersion()), 10000, 100));
  int major = 0, minor = 0;
  if (nvrtcVersion(&major, &minor) == NVRTC_SUCCESS) list.push_back("NVRTC " + std::to_string(major) + "." + std::to_string(minor));
  return list;
}

void set_device(int device) { check(cudaSetDevice(device), "cudaSetDevice"); }

Stream create_stream() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  cudaMemPool_t pool;
  check(cudaDeviceGetDefaultMemPool(&pool, device), "cudaDeviceGetDefaultMemPool");
  std::uint64_t keep = UINT64_MAX;  // what is freed stays in the pool until trim()
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "cudaMemPoolSetAttribute");
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

void* allocate(std::size_t nbytes, Stream stream) {
  void* memory = nullptr;
  const cudaError_t code = cudaMallocAsync(&memory, nbytes, stream);
  if (code == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  check(code, "cudaMallocAsync");
  return memory;
}

void free(void* memory, Stream stream) noexcept {
  if (cudaFreeAsync(memory, stream) != cudaSuccess) static_cast<void>(cudaGetLastError());
}

void trim(int device) {
  cudaMemPool_t pool;
  check(cudaDeviceGetDefaultMemPool(&pool, device), "cudaDeviceGetDefaultMemPool");
  check(cudaMemPoolTrimTo(pool, 0), "cudaMemPoolTrimTo");
}

void memory(std::size_t& free, std::size_t& total) { check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo"); }

void* allocate_pinned(std::size_t nbytes) {
  void* memory = nullptr;
  if (cudaHostAlloc(&memory, nbytes, cudaHostAllocPortable) == cudaSuccess) return memory;
  static_cast<void>(cudaGetLastError());
  return nullptr;
}

void free_pinned(void* memory) noexcept { static_cast<void>(cudaFreeHost(memory)); }

void copy(void* to, const void* from, std::size_t nbytes, Copy kind, Stream stream) {
  constexpr cudaMemcpyKind kinds[] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice};
  check(cudaMemcpyAsync(to, from, nbytes, kinds[int(kind)], stream), "cudaMemcpyAsync");
}
/// (A plain copy needs access between the pools of the two devices, which a pool does not give by itself.)
void copy_between(int to_device, void* to, int from_device, const void* from, std::size_t nbytes, Stream stream) {
  check(cudaMemcpyPeerAsync(to, to_device, from, from_device, nbytes, stream), "cudaMemcpyPeerAsync");
}

void set_bytes(void* to, int byte, std::size_t nbytes, Stream stream) { check(cudaMemsetAsync(to, byte, nbytes, stream), "cudaMemsetAsync"); }

void wait(Stream stream) { check(cudaStreamSynchronize(stream), "cudaStreamSynchronize"); }

Event* record(Stream stream) {
  auto event = std::make_unique<Event>();
  event->device = current_device();
  check(cudaEventCreateWithFlags(&event->event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  if (const cudaError_t code = cudaEventRecord(event->event, stream); code != cudaSuccess) {
    static_cast<void>(cudaEventDestroy(event->event));
    check(code, "cudaEventRecord");
  }
  return event.release();
}
void wait(Event* event) {
  const Current current(event->device);
  check(cudaEventSynchronize(event->event), "cudaEventSynchronize");
}
bool done(Event* event) {
  const Current current(event->device);
  const cudaError_t code = cudaEventQuery(event->event);
  if (code == cudaErrorNotReady) {
    static_cast<void>(cudaGetLastError());  // or the check behind the next launch would find it
    return false;
  }
  check(code, "cudaEventQuery");
  return true;
}
void destroy(Event* event) noexcept {
  if (!event) return;
  try {
    const Current current(event->device);
    static_cast<void>(cudaEventDestroy(event->event));
  } catch (const std::exception&) {
    // A lost device has no events.
  }
  delete event;
}
void order_after(Stream stream, Event* event) { check(cudaStreamWaitEvent(stream, event->event, 0), "cudaStreamWaitEvent"); }

void begin_capture(Stream stream) { check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture"); }

Graph* end_capture(Stream stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t code = cudaGraphInstantiate(&executable, graph, 0);
  static_cast<void>(cudaGraphDestroy(graph));
  check(code, "cudaGraphInstantiate");
  return new Graph{executable};
}
void launch(Graph* graph, Stream stream) { check(cudaGraphLaunch(graph->executable, stream), "cudaGraphLaunch"); }
void destroy(Graph* graph) noexcept {
  if (graph) static_cast<void>(cudaGraphExecDestroy(graph->executable));
  delete graph;
}

int compute_capability() {
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, current_device()), "cudaDeviceGetAttribute");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, current_device()), "cudaDeviceGetAttribute");
  return major * 10 + minor;
}

}  // namespace runtime
}  // namespace lockstep::cuda

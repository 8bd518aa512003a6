#include <lockstep/tensor/cuda/stream.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/cuda/kernel.h>

namespace lockstep::cuda {
namespace {

constexpr int kMostDevices = 64;

struct ThreadState {
  int device = kNoDevice;
  int told = kNoDevice;                                     // what the runtime holds for this thread's
  std::array<runtime::Stream, kMostDevices> capture{};      // by device: what graphs are captured from, once there was one
  runtime::Stream capturing = nullptr;                      // one of them
  int captured = 0;                                         // its device
};
ThreadState& thread_state() {
  thread_local ThreadState instance;
  return instance;
}

struct Streams {
  std::atomic<int> first = kNoDevice;  // that any thread chose
  std::mutex mutex;
  std::array<std::atomic<runtime::Stream>, kMostDevices> compute{};
};
Streams& streams() {
  static auto* instance = new Streams;  // devices may outlive static objects
  return *instance;
}

std::atomic<std::uint64_t> launched{0};

}  // namespace

int set_current_device(int device) {
  ThreadState& state = thread_state();
  const int previous = std::exchange(state.device, device);
  if (device == kNoDevice || state.told == device) return previous;
  try {
    runtime::set_device(device);
  } catch (...) {
    state.device = previous;
    throw;
  }
  state.told = device;
  int none = kNoDevice;
  streams().first.compare_exchange_strong(none, device);
  return previous;
}

void choose_some_device() {
  const ThreadState& state = thread_state();
  if (state.told != kNoDevice) return;
  const Device chosen = default_device();
  const int first = streams().first.load();
  set_current_device(set_current_device(!chosen.is_cpu() ? chosen.index() : first != kNoDevice ? first : 0));
}

runtime::Stream compute_stream(int device) {
  if (device < 0 || device >= kMostDevices) throw InternalError("device " + std::to_string(device) + " is out of range");
  std::atomic<runtime::Stream>& stream = streams().compute[std::size_t(device)];
  if (runtime::Stream made = stream.load(std::memory_order_acquire)) return made;
  const std::lock_guard lock(streams().mutex);
  if (!stream.load()) {
    const Current current(device);
    stream = runtime::create_stream();
  }
  return stream.load();
}

Stream current_stream() {
  const ThreadState& state = thread_state();
  return state.capturing && state.captured == state.device ? state.capturing : compute_stream(current_device());
}
int current_device() { return std::max(0, thread_state().device); }
bool capturing() { return thread_state().capturing != nullptr; }

void order(int device, runtime::Stream later, int earlier_device, runtime::Stream earlier) {
  runtime::OwnedEvent event;
  {
    const Current current(earlier_device);
    event.reset(runtime::record(earlier));
  }
  const Current current(device);
  runtime::order_after(later, event.get());
}

void begin_capture(int device) {
  set_current_device(device);
  ThreadState& state = thread_state();
  if (state.capturing) throw InternalError("a graph is being captured already");
  runtime::Stream& stream = state.capture.at(std::size_t(device));
  if (!stream) stream = runtime::create_stream();
  runtime::begin_capture(stream);
  state.capturing = stream;
  state.captured = device;
}

void* end_capture(int device) {
  set_current_device(device);
  return runtime::end_capture(std::exchange(thread_state().capturing, nullptr));
}

void cancel_capture(int device) noexcept {
  if (!capturing()) return;
  try {
    runtime::destroy(static_cast<runtime::Graph*>(end_capture(device)));
  } catch (const std::exception&) {
    // What broke the capture is on its way already.
  }
}

void launch_graph(int device, void* graph) {
  const Current current(device);
  runtime::launch(static_cast<runtime::Graph*>(graph), compute_stream(device));
  launched.fetch_add(1, std::memory_order_relaxed);
}
std::uint64_t graph_launches() { return launched.load(std::memory_order_relaxed); }

}  // namespace lockstep::cuda

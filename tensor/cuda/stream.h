#pragma once
// The device and the streams that a thread works with. A device has one compute stream, on which all threads' work runs in order, so memory that one
// thread frees may be used by another at once; a thread that captures a graph has another stream while it does.

#include <cstdint>

#include <lockstep/tensor/cuda/runtime.h>

namespace lockstep::cuda {

/// What a thread has that never chose a device.
inline constexpr int kNoDevice = -1;
/// Makes the device the thread's; returns the one before, or kNoDevice. kNoDevice only forgets the choice: to choose a device makes a context on it, and a
/// thread that works for one GPU must not leave one on another.
int set_current_device(int device);
/// For calls that name no device, from any thread: makes the device that this process works with the thread's, unless it has one.
void choose_some_device();
/// The stream of a device on which everything runs.
runtime::Stream compute_stream(int device);

void begin_capture(int device);
void* end_capture(int device);
void cancel_capture(int device) noexcept;
void launch_graph(int device, void* graph);
/// So far, on all devices.
std::uint64_t graph_launches();
bool capturing();

/// What comes later in stream `later` of one device waits for what `earlier`, of another or of the same, has so far.
void order(int device, runtime::Stream later, int earlier_device, runtime::Stream earlier);
inline void order(int device, runtime::Stream later, runtime::Stream earlier) { order(device, later, device, earlier); }

/// The device is current while this lives.
class Current {
 public:
  explicit Current(int device) : previous_(set_current_device(device)) {}
  ~Current() { set_current_device(previous_); }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  int previous_;
};

}  // namespace lockstep::cuda

#pragma once
// The few things that the plug-in needs of a device, as functions of plain types. runtime_cuda.cpp makes them of the CUDA runtime; runtime_emulated.cpp
// makes them of this process's own memory: streams are queues of closures that run when somebody waits, and device memory cannot be touched otherwise.
// Everything above (pool, pinned memory, workspaces, the engine's table) is the same in both.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <lockstep/tensor/device.h>

struct CUstream_st;

namespace lockstep::cuda::runtime {

using Stream = CUstream_st*;
/// A position in a stream; a graph. Both opaque.
struct Event;
struct Graph;

/// Number of devices that can be used; none: `why` says what is missing (driver, its version, a device that is visible).
int device_count(std::string& why);
DeviceInfo info(int device);
std::vector<std::string> versions();
void set_device(int device);

Stream create_stream();
/// Stream-ordered memory of the current device; null if there is not enough.
void* allocate(std::size_t nbytes, Stream stream);
void free(void* memory, Stream stream) noexcept;
/// Gives what the pool holds unused back to the driver.
void trim(int device);
/// Free and total bytes of the current device.
void memory(std::size_t& free, std::size_t& total);

void* allocate_pinned(std::size_t nbytes);
void free_pinned(void* memory) noexcept;

/// `from` of host_to_device, and `to` of device_to_host, are pinned: the copy happens when the stream comes to it.
enum class Copy { host_to_device, device_to_host, on_device };
void copy(void* to, const void* from, std::size_t nbytes, Copy kind, Stream stream);
void copy_between(int to_device, void* to, int from_device, const void* from, std::size_t nbytes, Stream stream);
void set_bytes(void* to, int byte, std::size_t nbytes, Stream stream);

/// Throws what went wrong in anything that was enqueued.
void wait(Stream stream);
/// On the stream's device, which is current. The other calls on an event are for any thread.
Event* record(Stream stream);
void wait(Event* event);
bool done(Event* event);
void destroy(Event* event) noexcept;
struct DestroyEvent {
  void operator()(Event* event) const noexcept { destroy(event); }
};
using OwnedEvent = std::unique_ptr<Event, DestroyEvent>;
/// What comes later in the stream waits for the event.
void order_after(Stream stream, Event* event);

#ifdef LOCKSTEP_CUDA_EMULATED
void enqueue(Stream stream, std::function<void()> work);
#endif

void begin_capture(Stream stream);
Graph* end_capture(Stream stream);
void launch(Graph* graph, Stream stream);
void destroy(Graph* graph) noexcept;

/// Of the current device.
int compute_capability();

}  // namespace lockstep::cuda::runtime

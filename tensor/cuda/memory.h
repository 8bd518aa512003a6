#pragma once
// Device memory: a stream-ordered pool that knows what each block is held for, and the workspaces of bound kernels.

#include <cstddef>

#include <lockstep/tensor/device.h>

namespace lockstep::cuda {

/// Throws ResourceExhaustedError, saying who holds how much, after what was cached has been given back and did not help.
void* allocate(int device, std::size_t nbytes, const char* holder);
/// Memory may still be in use by what was enqueued. Any thread.
void deallocate(int device, void* memory) noexcept;
DeviceMemoryStats memory_stats(int device);

/// Between the two, the Workspaces that this thread makes are one block, which is made at the end if they are kept. Pairs nest.
void share_workspaces(int device, const char* holder);
void workspaces_shared(bool keep);

}  // namespace lockstep::cuda

#pragma once
// Host memory that devices read and write by themselves: a pool of blocks, which are handed out again when the copies that used them are done; and copies
// between the device and any host memory, which pass through such blocks.

#include <cstddef>

namespace lockstep::cuda {

/// Throws ResourceExhaustedError.
void* allocate_pinned(std::size_t nbytes);
/// Copies that still read or write the block may be under way.
void deallocate_pinned(void* memory) noexcept;
/// Does the address lie in a block of the pool?
bool is_pinned(const void* memory);

/// Enqueues; `from` may change on return unless it is pinned.
void copy_to_device(int device, void* to, const void* from, std::size_t nbytes);
/// Waits.
void copy_to_host(int device, void* to, const void* from, std::size_t nbytes);

}  // namespace lockstep::cuda

#pragma once
// The CPU allocator of tensors: 64-byte aligned blocks in size classes, kept for reuse by the thread that freed them (small) or
// by the process (large), so that a training step in steady state asks the system for nothing. Under a sanitizer every block
// goes straight to malloc, so that errors are found.

#include <cstddef>

namespace lockstep {

inline constexpr std::size_t kAlignment = 64;

/// A block of at least `nbytes`, aligned to kAlignment. Throws ResourceExhaustedError naming the size. Thread-safe.
void* allocate(std::size_t nbytes);
/// Returns a block; `nbytes` is what was asked for. Thread-safe; any thread may free any block.
void deallocate(void* block, std::size_t nbytes) noexcept;

/// Tensor memory over all threads; blocks over 256 KiB only (counting smaller ones would cost more than using them).
struct MemoryStats {
  std::size_t in_use = 0;
  std::size_t peak = 0;
  std::size_t cached = 0;
  /// Blocks taken from the system so far: a step that leaves it unchanged allocated nothing.
  std::size_t system_allocations = 0;
};
MemoryStats memory_stats();
/// Gives cached blocks of this thread and of the process back to the system.
void release_cached_memory();

}  // namespace lockstep

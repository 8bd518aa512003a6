// Size classes: four per power of two (at most 25 % waste). Blocks up to kSmallLimit are cached per thread without a lock; larger
// ones in one process-wide cache under a mutex, bounded by kLargeCacheLimit, since fresh pages cost more than a lock. From kHugePage on
// they ask for huge pages, which spare products and passes over large tensors most misses of the TLB.

#include <lockstep/tensor/base/allocator.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include <lockstep/tensor/base/error.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKSTEP_ALLOCATOR_CACHES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define LOCKSTEP_ALLOCATOR_CACHES 0
#else
#define LOCKSTEP_ALLOCATOR_CACHES 1
#endif
#else
#define LOCKSTEP_ALLOCATOR_CACHES 1
#endif

namespace lockstep {
namespace {

constexpr std::size_t kSmallLimit = std::size_t(256) << 10;
constexpr std::size_t kLargeCacheLimit = std::size_t(2) << 30;
constexpr std::size_t kHugePage = std::size_t(2) << 20;
constexpr std::size_t kPerThreadLimit = std::size_t(8) << 20;
constexpr int kClasses = 4 * 64;

struct SizeClass {
  int index;
  std::size_t nbytes;
};

[[maybe_unused]] SizeClass size_class(std::size_t nbytes) {
  if (nbytes <= 256) {
    const std::size_t steps = nbytes == 0 ? 1 : (nbytes + 63) / 64;
    return {int(steps) - 1, steps * 64};
  }
  const int log = 63 - std::countl_zero(nbytes - 1);  // 2^log < nbytes <= 2^(log+1)
  const std::size_t quarter = std::size_t(1) << (log - 2);
  const std::size_t steps = (nbytes - (std::size_t(1) << log) + quarter - 1) / quarter;
  return {4 * (log - 7) + int(steps) - 1, (std::size_t(1) << log) + steps * quarter};
}

/// More than any process can map. AddressSanitizer ends the process on requests over its own limit, which is lower.
constexpr std::size_t kMostBytes = LOCKSTEP_ALLOCATOR_CACHES ? std::size_t(1) << 57 : std::size_t(1) << 39;

std::atomic<std::int64_t> system_allocations{0};
std::atomic<std::int64_t> cached_bytes{0};
std::atomic<std::int64_t> large_in_use{0};
std::atomic<std::int64_t> peak{0};

void* from_system(std::size_t nbytes) {
  const bool huge = nbytes >= kHugePage;
  void* block = nullptr;
  if (nbytes > kMostBytes || posix_memalign(&block, huge ? kHugePage : kAlignment, std::max(nbytes, kAlignment)) != 0)
    throw ResourceExhaustedError("out of memory: cannot allocate " + std::to_string(nbytes) + " bytes on the CPU");
  if (huge) madvise(block, nbytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // advice: where it is not taken, pages stay small
  system_allocations.fetch_add(1, std::memory_order_relaxed);
  return block;
}

/// Use is counted for blocks over kSmallLimit only: an atomic per small tensor would cost more than the tensor.
void count_large(std::int64_t delta) {
  const std::int64_t now = large_in_use.fetch_add(delta, std::memory_order_relaxed) + delta;
  std::int64_t seen = peak.load(std::memory_order_relaxed);
  while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
  }
}

#if LOCKSTEP_ALLOCATOR_CACHES

struct FreeBlock {
  FreeBlock* next;
};

struct ThreadCache {
  std::array<FreeBlock*, kClasses> heads{};
  std::size_t held = 0;
  ThreadCache() = default;
  ThreadCache(const ThreadCache&) = delete;
  ThreadCache& operator=(const ThreadCache&) = delete;
  ~ThreadCache() { release(); }
  void release() {
    for (FreeBlock*& head : heads)
      while (head) std::free(std::exchange(head, head->next));
    held = 0;
  }
};

/// Null before the first and after the last use on a thread: tensors in other thread-local or static objects may die later.
thread_local ThreadCache* this_cache = nullptr;
thread_local bool cache_gone = false;

ThreadCache* thread_cache() {
  if (this_cache || cache_gone) return this_cache;
  struct Owner {
    ThreadCache cache;
    Owner() { this_cache = &cache; }
    ~Owner() {
      this_cache = nullptr;
      cache_gone = true;
    }
  };
  thread_local Owner owner;
  return this_cache;
}

struct LargeCache {
  std::mutex mutex;
  std::array<std::vector<void*>, kClasses> blocks;
  std::size_t held = 0;
};
LargeCache& large_cache() {
  static LargeCache* cache = new LargeCache;  // never destroyed: tensors may outlive every static object
  return *cache;
}

void* allocate_large(SizeClass size) {
  LargeCache& cache = large_cache();
  {
    const std::lock_guard lock(cache.mutex);
    std::vector<void*>& blocks = cache.blocks[std::size_t(size.index)];
    if (!blocks.empty()) {
      void* block = blocks.back();
      blocks.pop_back();
      cache.held -= size.nbytes;
      cached_bytes.fetch_sub(std::int64_t(size.nbytes), std::memory_order_relaxed);
      return block;
    }
  }
  return from_system(size.nbytes);
}

bool keep_large(void* block, SizeClass size) noexcept {
  LargeCache& cache = large_cache();
  const std::lock_guard lock(cache.mutex);
  if (cache.held + size.nbytes > kLargeCacheLimit) return false;
  try {
    cache.blocks[std::size_t(size.index)].push_back(block);
  } catch (...) {
    return false;
  }
  cache.held += size.nbytes;
  cached_bytes.fetch_add(std::int64_t(size.nbytes), std::memory_order_relaxed);
  return true;
}

#endif

}  // namespace

void* allocate(std::size_t nbytes) {
  if (nbytes > kMostBytes) throw ResourceExhaustedError("out of memory: cannot allocate " + std::to_string(nbytes) + " bytes on the CPU");
#if LOCKSTEP_ALLOCATOR_CACHES
  const SizeClass size = size_class(nbytes);
  if (size.nbytes > kSmallLimit) {
    void* block = allocate_large(size);
    count_large(std::int64_t(size.nbytes));
    return block;
  }
  if (ThreadCache* cache = thread_cache()) {
    FreeBlock*& head = cache->heads[std::size_t(size.index)];
    if (head) {
      cache->held -= size.nbytes;
      return std::exchange(head, head->next);
    }
  }
  return from_system(size.nbytes);
#else
  void* block = from_system(nbytes);
  count_large(std::int64_t(nbytes));
  return block;
#endif
}

void deallocate(void* block, std::size_t nbytes) noexcept {
  if (!block) return;
#if LOCKSTEP_ALLOCATOR_CACHES
  const SizeClass size = size_class(nbytes);
  if (size.nbytes > kSmallLimit) {
    count_large(-std::int64_t(size.nbytes));
    if (keep_large(block, size)) return;
  } else if (ThreadCache* cache = thread_cache(); cache && cache->held + size.nbytes <= kPerThreadLimit) {
    FreeBlock*& head = cache->heads[std::size_t(size.index)];
    head = new (block) FreeBlock{head};
    cache->held += size.nbytes;
    return;
  }
#else
  count_large(-std::int64_t(nbytes));
#endif
  std::free(block);
}

MemoryStats memory_stats() {
  return {std::size_t(large_in_use.load()), std::size_t(peak.load()), std::size_t(std::max<std::int64_t>(0, cached_bytes.load())),
          std::size_t(system_allocations.load())};
}

void release_cached_memory() {
#if LOCKSTEP_ALLOCATOR_CACHES
  if (ThreadCache* cache = thread_cache()) cache->release();
  LargeCache& cache = large_cache();
  const std::lock_guard lock(cache.mutex);
  for (std::vector<void*>& blocks : cache.blocks) {
    for (void* block : blocks) std::free(block);
    blocks.clear();
  }
  cached_bytes.fetch_sub(std::int64_t(cache.held), std::memory_order_relaxed);
  cache.held = 0;
#endif
}

}  // namespace lockstep

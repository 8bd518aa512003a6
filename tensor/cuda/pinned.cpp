#include <lockstep/tensor/cuda/pinned.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/cuda/stream.h>

namespace lockstep::cuda {
namespace {

constexpr std::size_t kChunk = std::size_t(4) << 20;  // large copies go through blocks of this size, one filled while another travels
constexpr std::size_t kMostSent = 8;                  // of one copy to the device

struct Pinned {
  struct Block {
    std::size_t nbytes;
    bool used = false;                      // by a copy since it was handed out
    int device = 0;                         // of that copy
    runtime::Event* until = nullptr;        // given back: when its copies are done
  };
  std::mutex mutex;
  std::map<std::uintptr_t, Block> blocks;                    // by address
  std::multimap<std::size_t, std::uintptr_t> free;           // by size

  /// The block that holds the address.
  Block* find(const void* memory) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    auto after = blocks.upper_bound(address);
    if (after == blocks.begin()) return nullptr;
    --after;
    return address < after->first + after->second.nbytes ? &after->second : nullptr;
  }
};
Pinned& pinned() {
  static auto* instance = new Pinned;
  return *instance;
}

}  // namespace

void* allocate_pinned(std::size_t nbytes) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(nbytes, 512));
  Pinned& all = pinned();
  {
    const std::lock_guard lock(all.mutex);
    const auto [first, last] = all.free.equal_range(size);
    for (auto each = first; each != last; ++each) {
      Pinned::Block& block = all.blocks.at(each->second);
      if (block.until && !runtime::done(block.until)) continue;
      if (block.until) runtime::destroy(block.until);
      block.until = nullptr;
      block.used = false;
      void* memory = reinterpret_cast<void*>(each->second);
      all.free.erase(each);
      return memory;
    }
  }
  choose_some_device();
  void* memory = runtime::allocate_pinned(size);
  if (!memory) throw ResourceExhaustedError("out of memory: cannot pin " + std::to_string(size) + " bytes of host memory");
  const std::lock_guard lock(all.mutex);
  all.blocks.emplace(reinterpret_cast<std::uintptr_t>(memory), Pinned::Block{size});
  return memory;
}

void deallocate_pinned(void* memory) noexcept {
  Pinned& all = pinned();
  const std::lock_guard lock(all.mutex);
  const auto found = all.blocks.find(reinterpret_cast<std::uintptr_t>(memory));
  if (found == all.blocks.end()) return;
  try {
    if (found->second.used) {
      const Current current(found->second.device);
      found->second.until = runtime::record(compute_stream(found->second.device));
    }
    all.free.emplace(found->second.nbytes, found->first);
  } catch (const std::exception&) {
    // The device is lost; the block stays away.
  }
}

bool is_pinned(const void* memory) {
  Pinned& all = pinned();
  const std::lock_guard lock(all.mutex);
  return all.find(memory) != nullptr;
}

void copy_to_device(int device, void* to, const void* from, std::size_t nbytes) {
  if (nbytes == 0) return;
  const Current current(device);
  if (capturing()) throw InternalError("a kernel copied from the host while its call was captured");
  const runtime::Stream stream = compute_stream(device);
  {
    Pinned& all = pinned();
    const std::lock_guard lock(all.mutex);
    if (Pinned::Block* block = all.find(from)) {
      block->used = true;
      block->device = device;
      return runtime::copy(to, from, nbytes, runtime::Copy::host_to_device, stream);
    }
  }
  // However long the stream's queue is, a copy takes a few blocks: then it waits for its own first ones.
  struct Sent {
    void* memory = nullptr;
    runtime::OwnedEvent arrived;
    ~Sent() {
      if (memory) deallocate_pinned(memory);
    }
  } sent[kMostSent];
  std::size_t next = 0;
  for (std::size_t done = 0; done < nbytes; next = (next + 1) % kMostSent) {
    const std::size_t part = std::min(kChunk, nbytes - done);
    Sent& each = sent[next];
    if (each.arrived) runtime::wait(each.arrived.get());
    if (!each.memory) each.memory = allocate_pinned(part);
    std::memcpy(each.memory, static_cast<const std::byte*>(from) + done, part);
    copy_to_device(device, static_cast<std::byte*>(to) + done, each.memory, part);
    if (nbytes > kMostSent * kChunk) each.arrived.reset(runtime::record(stream));
    done += part;
  }
}

void copy_to_host(int device, void* to, const void* from, std::size_t nbytes) {
  if (nbytes == 0) return;
  const Current current(device);
  if (capturing()) throw InternalError("a kernel waited for the host while its call was captured");
  const runtime::Stream stream = compute_stream(device);
  if (is_pinned(to)) {
    runtime::copy(to, from, nbytes, runtime::Copy::device_to_host, stream);
    return runtime::wait(stream);
  }
  struct Staging {
    void* memory;
    runtime::OwnedEvent arrived;
    explicit Staging(std::size_t size) : memory(allocate_pinned(size)) {}
    ~Staging() { deallocate_pinned(memory); }
  };
  if (nbytes <= kChunk) {
    const Staging staging(nbytes);
    runtime::copy(staging.memory, from, nbytes, runtime::Copy::device_to_host, stream);
    runtime::wait(stream);
    std::memcpy(to, staging.memory, nbytes);
    return;
  }
  Staging staging[] = {Staging(kChunk), Staging(kChunk)};
  const std::size_t parts = (nbytes + kChunk - 1) / kChunk;
  const auto size_of = [&](std::size_t part) { return std::min(kChunk, nbytes - part * kChunk); };
  for (std::size_t part = 0; part <= parts; ++part) {
    if (part < parts) {
      Staging& next = staging[part % 2];
      runtime::copy(next.memory, static_cast<const std::byte*>(from) + part * kChunk, size_of(part), runtime::Copy::device_to_host, stream);
      next.arrived.reset(runtime::record(stream));
    }
    if (part == 0) continue;
    Staging& last = staging[(part - 1) % 2];
    runtime::wait(last.arrived.get());
    std::memcpy(static_cast<std::byte*>(to) + (part - 1) * kChunk, last.memory, size_of(part - 1));
  }
}

}  // namespace lockstep::cuda

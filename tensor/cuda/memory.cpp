#include <lockstep/tensor/cuda/memory.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/cuda/stream.h>

namespace lockstep::cuda {
namespace {

struct Holder {
  std::string name;
  std::size_t nbytes = 0;
};

struct Pool {
  struct Block {
    std::size_t nbytes;
    Holder* holder;
  };
  std::mutex mutex;
  std::unordered_map<void*, Block> blocks;
  std::map<std::string, Holder, std::less<>> holders;
  std::size_t in_use = 0;
  std::size_t peak = 0;
};

Pool& pool_of(int device) {
  struct Pools {
    std::mutex mutex;
    std::map<int, Pool> pools;
  };
  static auto* all = new Pools;
  const std::lock_guard lock(all->mutex);
  return all->pools[device];
}

std::string bytes(std::size_t n) {
  const char* units[] = {" bytes", " KiB", " MiB", " GiB"};
  int unit = 0;
  auto value = double(n);
  for (; value >= 1024 && unit < 3; ++unit) value /= 1024;
  std::string text = std::to_string(value);
  return text.substr(0, unit == 0 ? text.find('.') : text.find('.') + 3) + units[unit];
}

[[noreturn]] void refuse(int device, std::size_t nbytes, const char* holder) {
  const DeviceMemoryStats stats = memory_stats(device);
  std::string text = "out of memory: cannot allocate " + bytes(nbytes) + " for " + holder + " on cuda:" + std::to_string(device) + ", which has " + bytes(stats.free) + " of " + bytes(stats.total) +
                     " free; Lockstep holds " + bytes(stats.in_use);
  for (std::size_t i = 0; i < std::min<std::size_t>(stats.holders.size(), 5); ++i) text += (i ? ", " : ": ") + bytes(stats.holders[i].second) + " for " + stats.holders[i].first;
  throw ResourceExhaustedError(text, {}, "a smaller batch needs less");
}

}  // namespace

void* allocate(int device, std::size_t nbytes, const char* holder) {
  const Current current(device);
  if (capturing()) throw InternalError("a kernel allocated device memory while its call was captured");
  const runtime::Stream stream = compute_stream(device);
  const std::size_t wanted = std::max<std::size_t>(nbytes, 1);
  void* memory = runtime::allocate(wanted, stream);
  if (!memory) {
    runtime::wait(stream);
    runtime::trim(device);
    memory = runtime::allocate(wanted, stream);
  }
  if (!memory) refuse(device, nbytes, holder);
  Pool& pool = pool_of(device);
  const std::lock_guard lock(pool.mutex);
  auto found = pool.holders.find(std::string_view(holder));
  if (found == pool.holders.end()) found = pool.holders.emplace(holder, Holder{holder, 0}).first;
  found->second.nbytes += wanted;
  pool.blocks.emplace(memory, Pool::Block{wanted, &found->second});
  pool.in_use += wanted;
  pool.peak = std::max(pool.peak, pool.in_use);
  return memory;
}

void deallocate(int device, void* memory) noexcept {
  if (!memory) return;
  Pool& pool = pool_of(device);
  {
    const std::lock_guard lock(pool.mutex);
    const auto found = pool.blocks.find(memory);
    if (found == pool.blocks.end()) return;
    found->second.holder->nbytes -= found->second.nbytes;
    pool.in_use -= found->second.nbytes;
    pool.blocks.erase(found);
  }
  try {
    const Current current(device);
    runtime::free(memory, compute_stream(device));
  } catch (const std::exception&) {
    // A lost device has no memory to give back.
  }
}

DeviceMemoryStats memory_stats(int device) {
  DeviceMemoryStats stats;
  {
    const Current current(device);
    runtime::memory(stats.free, stats.total);
  }
  Pool& pool = pool_of(device);
  const std::lock_guard lock(pool.mutex);
  stats.in_use = pool.in_use;
  stats.peak = pool.peak;
  for (const auto& [name, holder] : pool.holders)
    if (holder.nbytes > 0) stats.holders.emplace_back(name, holder.nbytes);
  std::stable_sort(stats.holders.begin(), stats.holders.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return stats;
}

// ---- workspaces

struct Workspace::Block {
  int device = 0;
  std::size_t nbytes = 0;
  void* memory = nullptr;
  ~Block() { deallocate(device, memory); }
};

namespace {

struct Sharing {
  std::shared_ptr<Workspace::Block> block;
  std::string holder;
  Sharing* outer;
};
Sharing*& sharing() {
  thread_local Sharing* instance = nullptr;
  return instance;
}

}  // namespace

void share_workspaces(int device, const char* holder) {
  auto begun = std::make_unique<Sharing>(Sharing{std::make_shared<Workspace::Block>(), holder, sharing()});
  begun->block->device = device;
  sharing() = begun.release();
}

void workspaces_shared(bool keep) {
  const std::unique_ptr<Sharing> done(sharing());
  if (!done) return;
  sharing() = done->outer;
  if (keep && done->block.use_count() > 1 && done->block->nbytes > 0) done->block->memory = allocate(done->block->device, done->block->nbytes, done->holder.c_str());
}

Workspace::Workspace(std::size_t nbytes) {
  if (nbytes == 0) return;
  if (const Sharing* shared = sharing()) {
    block_ = shared->block;
    block_->nbytes = std::max(block_->nbytes, nbytes);
    return;
  }
  block_ = std::make_shared<Block>();
  block_->device = current_device();
  block_->nbytes = nbytes;
  block_->memory = allocate(block_->device, nbytes, "workspaces");
}

void* Workspace::data() const { return block_ ? block_->memory : nullptr; }

}  // namespace lockstep::cuda

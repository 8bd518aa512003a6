// A device made of this process's memory, for tests on machines without a GPU. It is as asynchronous as a device can be: nothing that is enqueued runs
// before somebody waits. Its memory is a mapping that can be touched only while enqueued work runs, filled with NaN (0xff) when it is handed out and
// when it is given back, with guard bytes behind each block. A kernel on the host that reads device memory is a segmentation fault. What CUDA refuses while
// a thread captures a graph is refused, and the devices on which the runtime would make a context are remembered.

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/cuda/runtime.h>
#include <lockstep/tensor/cuda/stream.h>

#if defined(__SANITIZE_ADDRESS__)
#define LOCKSTEP_EMULATED_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOCKSTEP_EMULATED_ASAN 1
#endif
#endif
#ifdef LOCKSTEP_EMULATED_ASAN
#include <sanitizer/asan_interface.h>
#endif

struct CUstream_st {
  int device = 0;
  std::deque<std::function<void()>> queue;
  std::uint64_t enqueued = 0, finished = 0;
  std::shared_ptr<std::vector<std::function<void()>>> recording;
  std::exception_ptr failure;  // of what ran since somebody waited
};

namespace lockstep::cuda::runtime {

struct Event {
  Stream stream;
  std::uint64_t position;
  int device;
};
struct Graph {
  std::shared_ptr<std::vector<std::function<void()>>> work;
};

namespace {

constexpr std::size_t kReserved = std::size_t(16) << 30;
constexpr std::size_t kAligned = 256;  // blocks, and the guard behind each
constexpr std::size_t kLongestQueue = 20000;
constexpr int kFreed = 0xff, kGuard = 0xa5;

std::size_t from_environment(const char* name, std::size_t fallback) {
  const char* text = std::getenv(name);
  return text ? std::size_t(std::strtoull(text, nullptr, 10)) : fallback;
}

struct Arena {
  std::byte* base = nullptr;
  std::size_t top = 0;                              // nothing beyond was ever handed out
  std::map<std::size_t, std::size_t> free;          // offset -> size
  std::map<std::size_t, std::size_t> used;          // offset -> size with guard
  std::size_t in_use = 0;
};

struct Emulation {
  std::recursive_mutex mutex;
  std::map<int, Arena> arenas;
  int depth = 0;  // of enqueued work that runs
  std::uint64_t waits = 0;  // for all that a stream had
  std::uint64_t contexts = 0;  // a bit for each device that was current in a call that needs a context
};
Emulation& emulation() {
  static auto* instance = new Emulation;
  return *instance;
}
using Hold = std::lock_guard<std::recursive_mutex>;

int& current() {
  thread_local int device = 0;
  return device;
}

/// Any call but the few that only ask: on a GPU it makes a context on the thread's current device, which is 0 in a thread that chose none.
void use_context() {
  const Hold hold(emulation().mutex);
  emulation().contexts |= std::uint64_t(1) << current();
}

bool& captures() {
  thread_local bool now = false;
  return now;
}
/// A call that makes the capture of this thread invalid.
void not_while_capturing(const char* what) {
  use_context();
  if (captures()) throw InternalError(std::string(what) + " was called while a graph was captured");
}

Arena& arena_of(int device) {
  Arena& arena = emulation().arenas[device];
  if (!arena.base) {
    void* memory = mmap(nullptr, kReserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw ResourceExhaustedError("the emulated device cannot reserve its memory");
    arena.base = static_cast<std::byte*>(memory);
  }
  return arena;
}

void protect(int rights) {
  for (const auto& [device, arena] : emulation().arenas)
    if (arena.top > 0 && mprotect(arena.base, arena.top, rights) != 0) throw InternalError("mprotect failed on the emulated device's memory");
}

/// Device memory can be touched while it lives.
class Unlocked {
 public:
  Unlocked() {
    if (emulation().depth++ == 0) protect(PROT_READ | PROT_WRITE);
  }
  ~Unlocked() {
    if (--emulation().depth == 0) protect(PROT_NONE);
  }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
};

void run_until(Stream stream, std::uint64_t position) {
  Emulation& all = emulation();
  const Hold hold(all.mutex);
  if (stream->finished >= position) return;
  const Unlocked unlocked;
  while (stream->finished < position && !stream->queue.empty()) {
    const std::function<void()> work = std::move(stream->queue.front());
    stream->queue.pop_front();
    try {
      work();
    } catch (...) {
      if (!stream->failure) stream->failure = std::current_exception();
    }
    ++stream->finished;
  }
}

void push(Stream stream, std::function<void()> work) {
  const Hold hold(emulation().mutex);
  if (stream->recording) return stream->recording->push_back(std::move(work));
  stream->queue.push_back(std::move(work));
  ++stream->enqueued;
  if (stream->queue.size() > kLongestQueue && emulation().depth == 0) run_until(stream, stream->enqueued);
}

void forbid([[maybe_unused]] std::byte* at, [[maybe_unused]] std::size_t nbytes) {
#ifdef LOCKSTEP_EMULATED_ASAN
  ASAN_POISON_MEMORY_REGION(at, nbytes);
#endif
}
void permit([[maybe_unused]] std::byte* at, [[maybe_unused]] std::size_t nbytes) {
#ifdef LOCKSTEP_EMULATED_ASAN
  ASAN_UNPOISON_MEMORY_REGION(at, nbytes);
#endif
}

void prepare_block(std::byte* at, std::size_t nbytes, std::size_t size) {
  permit(at, size);
  std::memset(at, kFreed, nbytes);
  std::memset(at + nbytes, kGuard, size - nbytes);
  forbid(at + nbytes, size - nbytes);
}

void bury_block(std::byte* at, std::size_t nbytes, std::size_t size) {
  permit(at, size);
  for (std::size_t i = nbytes; i < size; ++i)
    if (at[i] != std::byte(kGuard)) {
      std::fprintf(stderr, "emulated device: a kernel wrote behind a block of %zu bytes, at byte %zu\n", nbytes, i);
      std::abort();
    }
  std::memset(at, kFreed, size);
  forbid(at, size);
}

std::map<std::byte*, std::size_t>& asked_sizes() {
  static auto* instance = new std::map<std::byte*, std::size_t>;
  return *instance;
}

}  // namespace

int device_count(std::string& why) {
  const auto count = int(from_environment("LOCKSTEP_CUDA_EMULATED_DEVICES", 2));
  if (count == 0) why = "LOCKSTEP_CUDA_EMULATED_DEVICES is 0";
  return count;
}

DeviceInfo info(int device) {
  DeviceInfo result;
  result.name = "emulated device";
  result.pci = "none";
  result.memory = from_environment("LOCKSTEP_CUDA_EMULATED_MEMORY", kReserved);
  std::string why;
  for (int other = 0; other < device_count(why); ++other) result.links.push_back(other == device ? "self" : "host");
  return result;
}

std::vector<std::string> versions() { return {"no driver: an emulation in the host's memory, for tests"}; }
void set_device(int device) { current() = device; }
int compute_capability() { return 0; }

Stream create_stream() {
  use_context();
  auto* stream = new CUstream_st;
  stream->device = current();
  return stream;
}

void* allocate(std::size_t nbytes, Stream stream) {
  not_while_capturing("allocate");
  const Hold hold(emulation().mutex);
  Arena& arena = arena_of(stream->device);
  const std::size_t size = (nbytes + kAligned - 1) / kAligned * kAligned + kAligned;
  if (nbytes > kReserved || arena.in_use + size > from_environment("LOCKSTEP_CUDA_EMULATED_MEMORY", kReserved)) return nullptr;
  auto place = std::find_if(arena.free.begin(), arena.free.end(), [&](const auto& each) { return each.second >= size; });
  std::size_t offset = arena.top;
  if (place != arena.free.end()) {
    offset = place->first;
    if (place->second > size) arena.free.emplace(offset + size, place->second - size);
    arena.free.erase(place);
  } else {
    if (arena.top + size > kReserved) return nullptr;
    arena.top += size;
    const std::size_t page = 4096, end = (arena.top + page - 1) / page * page;
    if (emulation().depth > 0) mprotect(arena.base, end, PROT_READ | PROT_WRITE);
  }
  arena.used.emplace(offset, size);
  arena.in_use += size;
  std::byte* at = arena.base + offset;
  asked_sizes()[at] = nbytes;
  push(stream, [at, nbytes, size] { prepare_block(at, nbytes, size); });
  return at;
}

void free(void* memory, Stream stream) noexcept {
  use_context();
  const Hold hold(emulation().mutex);
  Arena& arena = arena_of(stream->device);
  auto* at = static_cast<std::byte*>(memory);
  const auto found = arena.used.find(std::size_t(at - arena.base));
  if (found == arena.used.end()) {
    std::fprintf(stderr, "emulated device: memory was freed that it never gave\n");
    std::abort();
  }
  const auto [offset, size] = *found;
  push(stream, [at, nbytes = asked_sizes()[at], size = size] { bury_block(at, nbytes, size); });
  arena.used.erase(found);
  arena.in_use -= size;
  const auto place = arena.free.emplace(offset, size).first;
  if (const auto next = std::next(place); next != arena.free.end() && place->first + place->second == next->first) {
    place->second += next->second;
    arena.free.erase(next);
  }
  if (place != arena.free.begin()) {
    const auto before = std::prev(place);
    if (before->first + before->second == place->first) {
      before->second += place->second;
      arena.free.erase(place);
    }
  }
}

void enqueue(Stream stream, std::function<void()> work) { push(stream, std::move(work)); }

void trim(int) {}

void memory(std::size_t& free, std::size_t& total) {
  const Hold hold(emulation().mutex);
  total = from_environment("LOCKSTEP_CUDA_EMULATED_MEMORY", kReserved);
  free = total - std::min(total, arena_of(current()).in_use);
}

void* allocate_pinned(std::size_t nbytes) {
  not_while_capturing("allocate_pinned");
  return std::aligned_alloc(kAligned, (nbytes + kAligned - 1) / kAligned * kAligned);
}
void free_pinned(void* memory) noexcept { std::free(memory); }

void copy(void* to, const void* from, std::size_t nbytes, Copy, Stream stream) {
  use_context();
  push(stream, [=] { std::memmove(to, from, nbytes); });
}
void copy_between(int, void* to, int, const void* from, std::size_t nbytes, Stream stream) { copy(to, from, nbytes, Copy::on_device, stream); }
void set_bytes(void* to, int byte, std::size_t nbytes, Stream stream) {
  push(stream, [=] { std::memset(to, byte, nbytes); });
}

namespace {
void throw_failure(Stream stream) {
  if (stream->failure) std::rethrow_exception(std::exchange(stream->failure, nullptr));
}
}  // namespace

void wait(Stream stream) {
  not_while_capturing("wait for a stream");
  const Hold hold(emulation().mutex);
  ++emulation().waits;
  run_until(stream, stream->enqueued);
  throw_failure(stream);
}
Event* record(Stream stream) {
  use_context();
  const Hold hold(emulation().mutex);
  return new Event{stream, stream->enqueued, current()};
}
void wait(Event* event) {
  const Current device(event->device);
  not_while_capturing("wait for an event");
  const Hold hold(emulation().mutex);
  run_until(event->stream, event->position);
  throw_failure(event->stream);
}
bool done(Event* event) {
  const Current device(event->device);
  not_while_capturing("done");
  const Hold hold(emulation().mutex);
  return event->stream->finished >= event->position;
}
void destroy(Event* event) noexcept {
  if (!event) return;
  const Current device(event->device);
  use_context();
  delete event;
}
void order_after(Stream stream, Event* event) {
  push(stream, [other = event->stream, position = event->position] { run_until(other, position); });
}

void begin_capture(Stream stream) {
  use_context();
  const Hold hold(emulation().mutex);
  stream->recording = std::make_shared<std::vector<std::function<void()>>>();
  captures() = true;
}
Graph* end_capture(Stream stream) {
  const Hold hold(emulation().mutex);
  captures() = false;
  return new Graph{std::exchange(stream->recording, nullptr)};
}
void launch(Graph* graph, Stream stream) {
  use_context();
  push(stream, [work = graph->work] {
    for (const auto& each : *work) each();
  });
}
void destroy(Graph* graph) noexcept {
  use_context();
  delete graph;
}

}  // namespace lockstep::cuda::runtime

namespace lockstep::cuda {
void enqueue(std::function<void()> work) { runtime::push(current_stream(), std::move(work)); }
}  // namespace lockstep::cuda

/// How often somebody has waited until nothing was left to do: for tests, which find it in the plug-in by name.
extern "C" std::uint64_t lockstep_emulated_waits() {
  using lockstep::cuda::runtime::emulation;
  const std::lock_guard lock(emulation().mutex);
  return emulation().waits;
}
/// A bit for each device on which a context would have been made since this was asked last: for tests as well.
extern "C" std::uint64_t lockstep_emulated_contexts() {
  using lockstep::cuda::runtime::emulation;
  const std::lock_guard lock(emulation().mutex);
  return std::exchange(emulation().contexts, 0);
}

#include <lockstep/dist/mpi/local_group.h>

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <climits>
#include <cstring>
#include <memory>
#include <thread>

#include <lockstep/dist/mpi/check.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::dist {

// ---- headers

CallHeader::CallHeader(const Call& call, std::int64_t sequence_) : sequence(sequence_), count(call.count), root(call.root), kind(call.kind), op(call.op), dtype(call.dtype) {
  // Of a long label the end tells more.
  const std::size_t skipped = call.label.size() < kLabel ? 0 : call.label.size() - kLabel + 1;
  std::memcpy(label, call.label.data() + skipped, call.label.size() - skipped);
}

bool CallHeader::agrees(const CallHeader& other) const {
  return kind == other.kind && op == other.op && dtype == other.dtype && root == other.root && count == other.count && std::strncmp(label, other.label, kLabel) == 0;
}

std::string to_string(const CallHeader& header) {
  Call call{.kind = header.kind, .op = header.op, .dtype = header.dtype, .root = header.root, .count = header.count};
  call.label = header.label;
  return "call " + std::to_string(header.sequence) + ", " + to_string(call);
}

// ---- waiting

void Patience::pause() {
  if (++count_ < 300) {
    sched_yield();
  } else {
    const timespec nap{0, 20000};
    nanosleep(&nap, nullptr);
  }
}

namespace {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// The half of a counter that changes with it, as the kernel wants it.
std::uint32_t* word_of(std::atomic<std::uint64_t>& counter) {
  static_assert(sizeof(counter) == 8 && std::endian::native == std::endian::little);
  return reinterpret_cast<std::uint32_t*>(&counter);
}

}  // namespace

// ---- LocalGroup

LocalGroup::LocalGroup(MPI_Comm comm, std::function<int(int)> rank_of, double timeout, std::function<void()> while_waiting)
    : rank_of_(std::move(rank_of)), timeout_(timeout), while_waiting_(std::move(while_waiting)) {
  const std::lock_guard lock(mpi_mutex());
  check_mpi(MPI_Comm_rank(comm, &index_));
  check_mpi(MPI_Comm_size(comm, &size_));
  crowded_ = unsigned(size_) > std::max(1u, std::thread::hardware_concurrency());
  void* own = nullptr;
  check_mpi(MPI_Win_allocate_shared(MPI_Aint(alignof(Slot) + slot_bytes() + 2 * kBuffer), 1, MPI_INFO_NULL, comm, &own, &window_));
  for (int peer = 0; peer < size_; ++peer) {
    MPI_Aint bytes = 0;
    int unit = 0;
    void* base = nullptr;
    check_mpi(MPI_Win_shared_query(window_, peer, &bytes, &unit, &base));
    // MPI aligns for its own types. (Processes have the window at other pages, so that this is the same place in all of them.)
    std::size_t room = alignof(Slot) + sizeof(Slot);
    segments_.push_back(static_cast<std::byte*>(std::align(alignof(Slot), sizeof(Slot), base, room)));
  }
  new (segments_[std::size_t(index_)]) Slot{};
  check_mpi(MPI_Barrier(comm));
}

LocalGroup::~LocalGroup() {
  const std::lock_guard lock(mpi_mutex());
  int over = 0;
  MPI_Finalized(&over);
  if (!over && window_ != MPI_WIN_NULL) MPI_Win_free(&window_);
}

void LocalGroup::throw_failures() {
  for (int peer = 0; peer < size_; ++peer) {
    const int failed = slot(peer).failed.load(std::memory_order_acquire);
    if (peer == index_ || failed < 2) continue;
    if (failed == 3) throw DeadlineExceededError(slot(peer).failure);
    throw AbortedError(slot(peer).failure);
  }
}

void LocalGroup::check(const CallHeader& call, std::chrono::steady_clock::time_point since, const std::function<std::string()>& missing) {
  throw_failures();
  if (std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count() < timeout_) return;
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%g", timeout_);
  const std::string text = "after " + std::string(seconds) + " s in " + to_string(call) + ": still waiting for " + missing();
  report(text, true);
  throw DeadlineExceededError(text);
}

void LocalGroup::await(int peer, const CallHeader& call) {
  const std::uint64_t wanted = round_;
  Slot& theirs = slot(peer);
  if (theirs.round.load(std::memory_order_acquire) >= wanted) return;
  // Spinning is fastest, but where cores are scarce it keeps from working whom it waits for.
  const int spins = crowded_ ? 0 : 10000, yields = crowded_ ? 300 : 0;
  for (int k = 0; k < spins + yields; ++k) {
    if (k < spins) relax();
    else sched_yield();
    if (theirs.round.load(std::memory_order_acquire) >= wanted) return;
  }
  const auto since = std::chrono::steady_clock::now();
  for (;;) {
    if (while_waiting_) while_waiting_();
    sleep_before(theirs, wanted);
    if (theirs.round.load(std::memory_order_acquire) >= wanted) return;
    if (theirs.left.load(std::memory_order_acquire) && theirs.round.load(std::memory_order_acquire) < wanted) {
      const std::string text = "rank " + std::to_string(rank_of_(peer)) + " has left the job, but rank " + std::to_string(rank_of_(index_)) + " waits for it in " + to_string(call);
      report(text, false);
      throw AbortedError(text);
    }
    check(call, since, [&] {
      std::string text;
      for (int p = 0; p < size_; ++p) {
        const std::uint64_t round = slot(p).round.load(std::memory_order_acquire);
        if (round >= wanted) continue;
        text += (text.empty() ? "rank " : ", rank ") + std::to_string(rank_of_(p));
        text += round == 0 ? " (which has called nothing so far)" : " (last seen in " + to_string(slot(p).headers[round % 2]) + ")";
      }
      return text;
    });
  }
}

/// Sleeps until a peer has published, or for a moment.
void LocalGroup::sleep_before(Slot& theirs, std::uint64_t wanted) const {
  const timespec moment{0, while_waiting_ ? 50'000 : 10'000'000};
  theirs.sleepers.fetch_add(1);
  // The kernel compares once more: whoever publishes after this sees a sleeper.
  const std::uint64_t present = theirs.round.load();
  if (present < wanted) syscall(SYS_futex, word_of(theirs.round), FUTEX_WAIT, std::uint32_t(present), &moment, nullptr, 0);
  theirs.sleepers.fetch_sub(1);
}

void LocalGroup::publish(const CallHeader& call) {
  Slot& own = slot(index_);
  own.headers[(round_ + 1) % 2] = call;
  ++round_;
  own.round.store(round_);
  if (own.sleepers.load() > 0) syscall(SYS_futex, word_of(own.round), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  for (int peer = 0; peer < size_; ++peer)
    if (peer != index_) await(peer, call);
}

void LocalGroup::report(const std::string& text, bool deadline) {
  Slot& own = slot(index_);
  int none = 0;
  if (!own.failed.compare_exchange_strong(none, 1)) return;
  std::snprintf(own.failure, sizeof own.failure, "%s", text.c_str());
  own.failed.store(deadline ? 3 : 2, std::memory_order_release);
}

void LocalGroup::leave() { slot(index_).left.store(1, std::memory_order_release); }

void LocalGroup::await_leaving(std::chrono::milliseconds longest) {
  const auto end = std::chrono::steady_clock::now() + longest;
  for (int peer = 0; peer < size_; ++peer)
    while (!slot(peer).left.load(std::memory_order_acquire) && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace lockstep::dist

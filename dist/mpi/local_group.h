#pragma once
// LocalGroup: the ranks of one host, and how they exchange bytes: in rounds, through shared memory. In a round every rank fills its own buffer
// and publishes it; publish() returns when all have, and everybody may read everybody's buffer until the next publish().
//
// Each rank has two buffers, used in turn. A rank that comes back from round k knows that all have published round k, and so have done with
// reading round k - 1: it may fill its other buffer. One wait a round is all the synchronization there is.

#include <mpi.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <lockstep/dist/communicator.h>

namespace lockstep::dist {

/// What a rank says of the collective that it begins: compared by all before anything is done.
struct CallHeader {
  static constexpr std::size_t kLabel = 96;
  std::int64_t sequence = 0;
  std::int64_t count = 0;
  std::int32_t root = 0;
  Collective kind = Collective::barrier;
  ReduceOp op = ReduceOp::sum;
  DType dtype = uint8;
  char label[kLabel] = {};

  CallHeader() = default;
  CallHeader(const Call& call, std::int64_t sequence);
  /// Do both mean the same call?
  bool agrees(const CallHeader& other) const;
};
/// "call 17, all_reduce sum of float32 x 1000 'gradients/0'"
std::string to_string(const CallHeader& header);

class LocalGroup {
 public:
  /// Bytes of a buffer: what a round moves stays in the second cache.
  static constexpr std::size_t kBuffer = std::size_t(256) << 10;

  /// `comm` holds the ranks of one host; `rank_of` numbers them in messages; `while_waiting`, if there is one, is called again and again by who
  /// waits. All ranks call it.
  LocalGroup(MPI_Comm comm, std::function<int(int)> rank_of, double timeout, std::function<void()> while_waiting);
  ~LocalGroup();
  LocalGroup(const LocalGroup&) = delete;
  LocalGroup& operator=(const LocalGroup&) = delete;

  int index() const { return index_; }
  int size() const { return size_; }
  /// What this rank publishes next.
  std::byte* buffer() { return buffer_of(index_, round_ + 1); }
  CallHeader& header() { return slot(index_).headers[(round_ + 1) % 2]; }
  /// Ends a round: returns when all ranks have published theirs. Throws DeadlineExceededError naming those who did not, and AbortedError
  /// when one of them has left or reported a failure.
  void publish(const CallHeader& call);
  /// What `peer` published in the round that ended last.
  const std::byte* buffer(int peer) const { return const_cast<LocalGroup*>(this)->buffer_of(peer, round_); }
  const CallHeader& header(int peer) const { return const_cast<LocalGroup*>(this)->slot(peer).headers[round_ % 2]; }

  /// Throws when a peer has left, reported a failure, or `since` is longer ago than the timeout. For waits elsewhere.
  void check(const CallHeader& call, std::chrono::steady_clock::time_point since, const std::function<std::string()>& missing);
  /// Tells the others of this host why this rank gives up.
  void report(const std::string& text, bool deadline);
  /// This rank will call nothing any more.
  void leave();
  /// Waits until the others have left as well, at most so long.
  void await_leaving(std::chrono::milliseconds longest);

 private:
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> round;
    std::atomic<int> sleepers;  // peers that ask to be woken when `round` changes
    alignas(64) std::atomic<int> left;
    std::atomic<int> failed;  // 0 no, 1 being written, 2 aborted, 3 past the deadline
    char failure[2048];
    CallHeader headers[2];
  };
  static std::size_t slot_bytes() { return (sizeof(Slot) + 4095) / 4096 * 4096; }
  Slot& slot(int peer) { return *reinterpret_cast<Slot*>(segments_[std::size_t(peer)]); }
  std::byte* buffer_of(int peer, std::uint64_t round) { return segments_[std::size_t(peer)] + slot_bytes() + (round % 2) * kBuffer; }
  void throw_failures();
  void await(int peer, const CallHeader& call);
  void sleep_before(Slot& theirs, std::uint64_t wanted) const;

  std::function<int(int)> rank_of_;
  double timeout_;
  std::function<void()> while_waiting_;
  int index_ = 0, size_ = 1;
  bool crowded_ = false;  // fewer cores than ranks: spinning would only keep the others from working
  std::uint64_t round_ = 0;
  MPI_Win window_ = MPI_WIN_NULL;
  std::vector<std::byte*> segments_;
};

/// A wait for what nobody announces: it yields, then sleeps.
class Patience {
 public:
  void pause();
  /// Worth looking at the clock and at others' failures?
  bool worth_a_look() const { return count_ % 64 == 0; }

 private:
  int count_ = 0;
};

}  // namespace lockstep::dist

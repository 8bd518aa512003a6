#pragma once
// Communicator: a group of ranks that call the same collectives in the same order. What is common to all of them stands here: the queue, who
// runs it, the guard's description of each call, the flight recorder. How data moves is a backend's business: `single` (one rank, nothing
// moves), `mpi` (shared memory inside a host, MPI between hosts).

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <lockstep/dist/reduction.h>
#include <lockstep/dist/topology.h>

namespace lockstep::dist {

enum class Collective : std::uint8_t { all_reduce, broadcast, all_gather, reduce_scatter, all_to_all, barrier };
std::string_view name(Collective kind);

/// A piece of memory that takes part in a collective.
struct Part {
  void* data = nullptr;
  std::int64_t nbytes = 0;
};

/// What a rank asks for. Buffers stay the caller's and must live until the call is done.
/// - all_reduce: `parts`, together `count` elements, are reduced in place;
/// - broadcast: `parts` become those of rank `root`;
/// - all_gather: `input` of `count` elements; `output` takes the ranks' inputs, one behind the other;
/// - reduce_scatter: `input` has `count` elements for each rank; `output` takes the reduction of those for this rank;
/// - all_to_all: `input` has `count` elements for each rank; `output` takes what each rank has for this one.
struct Call {
  Collective kind = Collective::barrier;
  ReduceOp op = ReduceOp::sum;
  DType dtype = uint8;
  int root = 0;
  std::int64_t count = 0;
  std::vector<Part> parts = {};
  const void* input = nullptr;
  void* output = nullptr;
  /// What it is for ("gradients/0"): shown in errors and by the flight recorder, and compared between the ranks.
  std::string label = {};

  std::int64_t nbytes() const { return count * std::int64_t(itemsize(dtype)); }
};
/// "all_reduce sum of float32 x 1000 'gradients/0'"
std::string to_string(const Call& call);

/// How often, how long and in what company collectives run.
struct CommunicatorOptions {
  /// Seconds that a rank waits for the others before it gives up with a DeadlineExceededError.
  double timeout = 300;
  /// Does a thread of its own run what start() queues? Otherwise wait() does: better where all cores compute.
  bool thread = false;
};

/// Not copied, not moved: threads and requests refer to it. All calls are thread-safe, but the ranks must make them in one order.
class Communicator {
 public:
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return topology_.rank; }
  int size() const { return topology_.world_size; }
  const Topology& topology() const { return topology_; }
  const std::string& name() const { return name_; }
  double timeout() const { return options_.timeout; }

  /// A call under way; hand it to wait().
  using Ticket = std::uint64_t;
  /// Queues the call. Throws InvalidArgumentError for a reduction that its dtype has not.
  Ticket start(Call call);
  /// Returns when the call is done; runs it, and those before it, if nobody else does. A ticket is waited for once.
  /// Throws what went wrong: DeadlineExceededError, AbortedError (ranks disagree, or one is gone). After that all calls of this
  /// communicator throw the same: the ranks are no longer in step.
  void wait(Ticket ticket);
  /// start and wait.
  void run(Call call) { wait(start(std::move(call))); }

  /// Reduces `data` in place over all ranks.
  void all_reduce(void* data, std::int64_t count, DType dtype, ReduceOp op = ReduceOp::sum, std::string label = {});
  /// `data` becomes what rank `root` has there.
  void broadcast(void* data, std::int64_t count, DType dtype, int root = 0, std::string label = {});
  void all_gather(const void* input, void* output, std::int64_t count, DType dtype, std::string label = {});
  void reduce_scatter(const void* input, void* output, std::int64_t count, DType dtype, ReduceOp op = ReduceOp::sum, std::string label = {});
  void all_to_all(const void* input, void* output, std::int64_t count, DType dtype, std::string label = {});
  void barrier(std::string label = {});
  /// The texts of all ranks, by rank.
  std::vector<std::string> gather_texts(const std::string& text, std::string label = {});
  /// The text of rank `root`.
  std::string broadcast_text(const std::string& text, int root = 0, std::string label = {});

  /// The ranks that name the same `color`, in the order of this communicator's, as a group of their own. All ranks call it.
  virtual std::unique_ptr<Communicator> split(int color, const std::string& name) = 0;
  /// Did a call fail for good?
  bool broken() const;

 protected:
  Communicator(std::string name, Topology topology, CommunicatorOptions options);
  /// Runs one call to its end; called by one thread at a time, in the order of the queue.
  virtual void perform(const Call& call, std::int64_t sequence) = 0;
  const CommunicatorOptions& options() const { return options_; }
  /// Ends the thread; destructors of backends call it first.
  void stop();

 private:
  struct Entry {
    Call call;
    Ticket ticket = 0;
    std::uint64_t record = 0;
  };
  void run_front(std::unique_lock<std::mutex>& lock);
  void serve();

  const std::string name_;
  const Topology topology_;
  const CommunicatorOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable work_, progress_;
  std::deque<Entry> queue_;
  Ticket next_ = 1;
  Ticket done_ = 0;  // all tickets up to here are
  bool running_ = false;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

/// One rank, alone.
std::unique_ptr<Communicator> single_communicator(std::string name = "world", CommunicatorOptions options = {});

}  // namespace lockstep::dist

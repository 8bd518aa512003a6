#pragma once
// The way from GPU to GPU: NCCL over the ranks of a communicator, on a stream of its own, so that sums travel while kernels compute. A thread watches
// what is under way: when it fails or does not end, it writes the flight recorder, aborts NCCL and ends the process with kExitLostPeers, for nothing else
// wakes a stream that waits for a rank that is gone.
//
// LOCKSTEP_NCCL=0 sends everything through the host instead. LOCKSTEP_NCCL=host keeps NCCL inside each host and crosses between hosts by MPI:
// reduce-scatter by NCCL, the sum over hosts through pinned memory in chunks, all-gather by NCCL.

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>

#include <lockstep/dist/communicator.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep {
struct NcclTable;  // cuda/nccl_table.h
}

namespace lockstep::dist {

class DeviceChannel {
 public:
  /// The communicator's channel for this device, opened by the first call, which all ranks make; null where collectives go through the host.
  static DeviceChannel* of(Communicator& communicator, Device device);
  /// Closes all channels, before the process ends in order.
  static void close_all();
  ~DeviceChannel();

  /// Does the channel make this call? Sums and means of NCCL's dtypes, and copies; not where op_determinism() asks more than two ranks for the tree's order.
  bool takes(Collective kind, ReduceOp op, DType dtype) const;

  /// Enqueue on the channel's stream, behind what has been computed so far. Of a mean only the sum is made (see divide).
  void all_reduce(std::span<const void* const> in, std::span<void* const> out, std::span<const std::int64_t> counts, DType dtype, const std::string& label);
  void reduce_scatter(const void* in, void* out, std::int64_t count, DType dtype, const std::string& label);
  void all_gather(const void* in, void* out, std::int64_t nbytes, const std::string& label);
  void broadcast(void* data, std::int64_t nbytes, int root, const std::string& label);
  /// What is computed from now on comes after what was enqueued here.
  void lead();
  /// Divides by the number of ranks, on the compute stream.
  void divide(void* data, std::int64_t count, DType dtype);

 private:
  DeviceChannel(Communicator& communicator, Device device, bool inside_hosts);
  void begin(Collective kind, DType dtype, std::int64_t count, const std::string& label);
  void end();
  void cross(const void* in, void* out, std::int64_t count, DType dtype, const std::string& label);
  void add_over_hosts(std::byte* shard, std::int64_t count, DType dtype, const std::string& label);
  void watch();
  [[noreturn]] void give_up(const std::string& why);

  struct Watched {
    void* mark = nullptr;
    double deadline = 0;
    std::uint64_t record = 0;
    std::string what;
  };

  Communicator& communicator_;
  const Device device_;
  const NcclTable& table_;
  void* nccl_ = nullptr;
  std::unique_ptr<Communicator> inside_, across_;  // LOCKSTEP_NCCL=host: the ranks of this host, and those with this number on all hosts
  Tensor buffer_, shard_;                          // of crossings
  Watched now_;
  std::int64_t sequence_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Watched> watched_;
  bool stopping_ = false;
  std::thread watcher_;
};

}  // namespace lockstep::dist

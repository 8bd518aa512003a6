#pragma once
// What the CUDA plug-in knows of NCCL, as a table of functions: `dist` uses it without NCCL's header, and an emulated device can offer the same.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <lockstep/tensor/dtype.h>

namespace lockstep {

/// Calls enqueue on a stream of the communicator's own; `follow` makes it wait for what the compute stream has so far, `lead` the compute stream for it.
/// Failed calls throw UnavailableError; what fails later is told by `trouble`.
struct NcclTable {
  /// Every rank gives `nbytes` and gets those of all, in their order.
  using Gather = std::function<void(const void* mine, void* all, std::size_t nbytes)>;
  struct Options {
    int device = 0;
    int rank = 0;
    int size = 1;
    double timeout = 300;      // seconds to meet the others
    bool share_gpu = false;    // several ranks on one GPU: each looks like a host of its own
    Gather gather;             // kept as long as the communicator
  };
  void* (*open)(const Options& options);
  void (*close)(void* comm) noexcept;
  /// Ends what is under way on the device, on this rank alone.
  void (*abort)(void* comm) noexcept;
  /// What went wrong since; empty if nothing did.
  std::string (*trouble)(void* comm);
  bool (*adds)(DType dtype);

  void (*follow)(void* comm);
  void (*lead)(void* comm);
  /// Calls between the two become one.
  void (*group)(void* comm, bool begin);
  void (*all_reduce)(void* comm, const void* in, void* out, std::int64_t count, DType dtype);
  /// `count` elements a rank.
  void (*reduce_scatter)(void* comm, const void* in, void* out, std::int64_t count, DType dtype);
  void (*all_gather)(void* comm, const void* in, void* out, std::size_t nbytes);
  void (*broadcast)(void* comm, void* data, std::size_t nbytes, int root);
  void (*copy_on_device)(void* comm, void* to, const void* from, std::size_t nbytes);
  /// The host's memory is pinned.
  void (*copy_to_host)(void* comm, void* to, const void* from, std::size_t nbytes);
  void (*copy_to_device)(void* comm, void* to, const void* from, std::size_t nbytes);

  /// A place behind everything enqueued so far. Forgotten when nobody asks for it any more.
  void* (*mark)(void* comm);
  bool (*done)(void* mark);
  void (*wait)(void* mark);
  void (*forget)(void* mark) noexcept;
};

}  // namespace lockstep

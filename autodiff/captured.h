#pragma once
// Stretches of kernel calls on a GPU as CUDA graphs. A stretch runs plainly the first time (libraries settle what they do then), is captured the second
// time, and replayed from then on. A graph holds addresses, so it is good for one set of them: a stretch keeps a few graphs. A stretch that cannot be captured
// (a library does what a capture forbids) runs call by call, and a warning says so.

#include <array>
#include <functional>
#include <span>
#include <vector>

#include <lockstep/tensor/device.h>

namespace lockstep::autodiff {

class CapturedCalls {
 public:
  CapturedCalls() = default;
  ~CapturedCalls();
  CapturedCalls(const CapturedCalls&) = delete;
  CapturedCalls& operator=(const CapturedCalls&) = delete;

  /// Runs stretch `number`, which works on the memory that `addresses` name: `enqueue` makes its calls.
  void run(Device device, std::size_t number, std::span<void* const> addresses, const std::function<void()>& enqueue);
  /// Graphs that were captured so far.
  int captures() const { return captures_; }

 private:
  /// Null if it cannot be captured.
  void* capture(Device device, const std::function<void()>& enqueue);

  struct Graph {
    std::vector<void*> addresses;
    void* graph = nullptr;
  };
  struct Stretch {
    bool warm = false, refused = false;
    std::array<Graph, 4> graphs;  // variables that others hold move between two addresses
    std::size_t oldest = 0;
  };
  std::vector<Stretch> stretches_;
  int captures_ = 0;
};

}  // namespace lockstep::autodiff

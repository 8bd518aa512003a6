#pragma once
// Losses that stay on a device. A loop that read each would wait for each step, and the device for the loop; so the loop goes on, a few steps ahead of the
// device, and looks at the losses later, many at once. Model's own; programs use model.h.

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// Keeps a loop no more than a few steps ahead of the device that computes them: what it has sent ahead (batches in pinned memory) takes space.
class StepsAhead {
 public:
  StepsAhead() = default;
  ~StepsAhead();
  StepsAhead(const StepsAhead&) = delete;
  StepsAhead& operator=(const StepsAhead&) = delete;

  /// A step has been enqueued that gives `result`. Waits for the one before the last few, and throws what went wrong until then. Nothing on the CPU.
  void add(const Tensor& result);

 private:
  std::deque<void*> marks_;
};

/// Finds the first loss that is not finite, once.
class LossWatch {
 public:
  /// `warn` is told the loss, its epoch and its batch.
  explicit LossWatch(std::function<void(double loss, std::int64_t epoch, std::int64_t batch)> warn) : warn_(std::move(warn)) {}

  /// A loss that the host has. (One after others on a device looks at those first.)
  void see(double loss, std::int64_t epoch, std::int64_t batch);
  /// One on a device: a copy is looked at when look() is called, or when there are many.
  void see(const Tensor& loss, std::int64_t epoch, std::int64_t batch);
  /// Looks at what has been kept; waits, if there is anything.
  void look();

 private:
  struct Place {
    std::int64_t epoch, batch;
  };
  std::function<void(double, std::int64_t, std::int64_t)> warn_;
  bool warned_ = false;
  Tensor kept_;  // float64, where the losses are; the first places_.size() count
  std::vector<Place> places_;
};

/// A loss as a number; of one on a device the step is waited for.
double number_of(const Tensor& loss);

}  // namespace lockstep::nn

#pragma once
// Queues between threads (tf.queue): tuples of tensors are put in and taken out, whoever has to wait waits in line and not for ever. Copies are the same queue. Not for
// traced functions, which run as one graph.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep {

struct QueueOptions {
  /// A shape for each component of an element; -1 in a PaddingFIFOQueue only. None: any shape, and then no dequeue_many.
  std::vector<Ints> shapes = {};
  /// A call that waits longer than this throws DeadlineExceededError.
  double timeout_seconds = 300;
};

/// What all queues do. Calls that have to wait are served in the order they came.
class Queue {
 public:
  struct State;

  /// Puts one element in: a tensor for each component. Waits while the queue is full. Throws InvalidArgumentError (TypeError) for other components than the queue's, CancelledError if
  /// the queue is closed, or is closed meanwhile with its pending elements cancelled.
  void enqueue(std::initializer_list<Tensor> element) const { enqueue(Tensors(element)); }
  void enqueue(const Tensor& element) const { enqueue(Tensors{element}); }
  void enqueue(const Tensors& element) const;
  /// Puts every element along the first axis of the components in, one after the other as there is room.
  void enqueue_many(std::initializer_list<Tensor> elements) const { enqueue_many(Tensors(elements)); }
  void enqueue_many(const Tensor& elements) const { enqueue_many(Tensors{elements}); }
  void enqueue_many(const Tensors& elements) const;

  /// Takes one element. Waits while there is none. Throws OutOfRangeError if the queue is closed and empty.
  Tensors dequeue() const;
  /// Takes n elements, stacked on a new first axis. Throws OutOfRangeError, and takes nothing, if the queue is closed and has fewer.
  Tensors dequeue_many(std::int64_t n) const;
  /// As dequeue_many, but takes what is left of a closed queue, if that is anything.
  Tensors dequeue_up_to(std::int64_t n) const;

  std::int64_t size() const;
  /// No more elements are accepted. Calls that wait to put theirs in go on waiting, unless they are to be cancelled.
  void close(bool cancel_pending_enqueues = false) const;
  bool is_closed() const;

 protected:
  explicit Queue(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

/// First in, first out. A negative capacity: no limit.
class FIFOQueue : public Queue {
 public:
  FIFOQueue(std::int64_t capacity, std::vector<DType> dtypes, QueueOptions options = {});
};

/// The smallest priority first, of equal ones the oldest. The priority, an int64 scalar, is component 0, before those named here.
class PriorityQueue : public Queue {
 public:
  PriorityQueue(std::int64_t capacity, std::vector<DType> dtypes, QueueOptions options = {});
};

/// Elements in random order. While the queue is open `min_after_dequeue` stay in it, so that there is something to choose from. The same seed and calls give the same order.
class RandomShuffleQueue : public Queue {
 public:
  RandomShuffleQueue(std::int64_t capacity, std::int64_t min_after_dequeue, std::vector<DType> dtypes, QueueOptions options = {}, std::optional<std::uint64_t> seed = {});
};

/// First in, first out; sizes given as -1 differ among elements, and those taken together are padded with zeros to the largest.
class PaddingFIFOQueue : public Queue {
 public:
  PaddingFIFOQueue(std::int64_t capacity, std::vector<DType> dtypes, QueueOptions options);
};

}  // namespace lockstep

// Reading ahead. Threads take turns at the upstream, each element getting its number there, work on their elements at once, and put
// them into a ring of places by number; the consumer empties the places in order. So the threads decide when, never what.

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/parallel.h>

namespace lockstep::io {
namespace {

class BackgroundStream final : public Stream<Tensors> {
 public:
  BackgroundStream(StreamPtr<Tensors> upstream, const ElementFunction& f, int threads, std::int64_t capacity)
      : upstream_(std::move(upstream)), f_(f), thread_count_(threads), places_(std::size_t(capacity)) {}

  ~BackgroundStream() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  bool next(Tensors& element) override {
    start();
    std::unique_lock lock(mutex_);
    Place& place = places_[std::size_t(taken_) % places_.size()];
    filled_.wait(lock, [&] { return place.full || (ended_ && taken_ >= pulled_); });
    if (!place.full) return false;
    place.full = false;
    ++taken_;
    element = std::move(place.element);
    const std::exception_ptr error = std::exchange(place.error, nullptr);
    lock.unlock();
    room_.notify_one();
    if (error) std::rethrow_exception(error);
    return true;
  }

  std::int64_t skip(std::int64_t count) override { return threads_.empty() ? upstream_->skip(count) : Stream::skip(count); }

 private:
  struct Place {
    bool full = false;
    Tensors element;
    std::exception_ptr error;
  };

  /// Not before the first element is asked for: until then skip() costs nothing.
  void start() {
    while (std::ssize(threads_) < thread_count_) threads_.emplace_back([this] { work(); });
  }

  void work() {
    set_intra_op_threads(1);  // the cores belong to the training step
    const DeviceScope host{Device()};
    std::unique_lock lock(mutex_);
    while (true) {
      room_.wait(lock, [&] { return stopped_ || ended_ || (!pulling_ && pulled_ < taken_ + std::ssize(places_)); });
      if (stopped_ || ended_) return;
      const std::int64_t number = pulled_;
      pulling_ = true;
      lock.unlock();

      Tensors element;
      std::exception_ptr error;
      bool more = true;
      try {
        more = upstream_->next(element);
      } catch (...) {
        error = std::current_exception();
      }

      lock.lock();
      pulling_ = false;
      if (more) ++pulled_;
      if (!more || error) ended_ = true;  // after an error the upstream is not asked again
      room_.notify_all();
      if (!more) {
        filled_.notify_one();
        return;
      }
      if (f_ && !error) {
        lock.unlock();
        try {
          element = f_(element);
        } catch (...) {
          error = std::current_exception();
        }
        lock.lock();
      }
      Place& place = places_[std::size_t(number) % places_.size()];
      place.element = std::move(element);
      place.error = std::move(error);
      place.full = true;
      filled_.notify_one();
    }
  }

  StreamPtr<Tensors> upstream_;
  const ElementFunction& f_;  // empty: only read ahead
  int thread_count_;

  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::vector<Place> places_;
  std::int64_t pulled_ = 0, taken_ = 0;  // elements asked of the upstream and given to the consumer
  bool pulling_ = false;                 // a thread is inside the upstream
  bool ended_ = false, stopped_ = false;
  std::vector<std::thread> threads_;
};

class BackgroundNode final : public Node {
 public:
  BackgroundNode(NodePtr upstream, ElementFunction f, int threads, std::int64_t capacity) : upstream_(std::move(upstream)), f_(std::move(f)), threads_(threads), capacity_(capacity) {}
  std::int64_t cardinality() const override { return upstream_->cardinality(); }
  StreamPtr<Tensors> open(std::int64_t epoch) const override { return std::make_unique<BackgroundStream>(upstream_->open(epoch), f_, threads_, capacity_); }

 private:
  NodePtr upstream_;
  ElementFunction f_;
  int threads_;
  std::int64_t capacity_;
};

}  // namespace

NodePtr make_background(NodePtr upstream, ElementFunction f, int threads, std::int64_t capacity) {
  return std::make_shared<BackgroundNode>(std::move(upstream), std::move(f), threads, capacity);
}

}  // namespace lockstep::io

// Reading ahead. Threads take turns at the upstream, each element getting its number there, work on their elements at once, and put
// them into a ring of places by number; the consumer empties the places in order. So the threads decide when, never what.

#include <algorithm>
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
  BackgroundStream(StreamPtr<Tensors> upstream, const ElementFunction* f, BackgroundOptions options)
      : upstream_(std::move(upstream)), f_(f), options_(options), held_(options.gauge), places_(std::size_t(options.capacity)),
        limit_(options.automatic ? std::min<std::int64_t>(2, options.capacity) : options.capacity) {}

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
    // It waits for a producer that had no room to read further ahead: it shall have more.
    if (!place.full && !ended_ && options_.automatic && was_full_) {
      limit_ = std::min(2 * limit_, std::ssize(places_));
      was_full_ = false;
      room_.notify_all();
    }
    filled_.wait(lock, [&] { return place.full || (ended_ && taken_ >= pulled_); });
    if (!place.full) return false;
    place.full = false;
    ++taken_;
    element = std::move(place.element);
    held_.add(-1, -place.bytes);
    const std::exception_ptr error = std::exchange(place.error, nullptr);
    lock.unlock();
    room_.notify_one();
    if (error) std::rethrow_exception(error);
    return true;
  }

  std::int64_t skip(std::int64_t count) override { return threads_.empty() ? upstream_->skip(count) : Stream::skip(count); }

  /// Not before the first element is asked for: until then skip() costs nothing.
  void start() {
    while (std::ssize(threads_) < options_.threads) threads_.emplace_back([this] { work(); });
  }

 private:
  struct Place {
    bool full = false;
    std::int64_t bytes = 0;
    Tensors element;
    std::exception_ptr error;
  };

  bool has_room() const { return pulled_ < taken_ + limit_ && (options_.most_bytes == 0 || held_.bytes() < options_.most_bytes || pulled_ == taken_); }

  void work() {
    set_intra_op_threads(1);  // the cores belong to the training step
    const DeviceScope host{Device()};
    std::unique_lock lock(mutex_);
    while (true) {
      if (pulled_ >= taken_ + limit_) was_full_ = true;
      room_.wait(lock, [&] { return stopped_ || ended_ || (!pulling_ && has_room()); });
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
      // (After an error the upstream goes on behind what failed, for those who leave errors out.)
      if (!more) ended_ = true;
      room_.notify_all();
      if (!more) {
        filled_.notify_one();
        return;
      }
      if (f_ && *f_ && !error) {
        lock.unlock();
        try {
          element = (*f_)(element);
        } catch (...) {
          error = std::current_exception();
        }
        lock.lock();
      }
      Place& place = places_[std::size_t(number) % places_.size()];
      place.bytes = error ? 0 : nbytes_of(element);
      held_.add(1, place.bytes);
      place.element = std::move(element);
      place.error = std::move(error);
      place.full = true;
      filled_.notify_one();
    }
  }

  StreamPtr<Tensors> upstream_;
  const ElementFunction* f_;  // null or empty: only read ahead
  BackgroundOptions options_;

  std::mutex mutex_;
  std::condition_variable room_, filled_;
  Held held_;
  std::vector<Place> places_;
  std::int64_t limit_;     // of elements that are read ahead
  bool was_full_ = false;  // a thread has waited for room since the limit was last raised
  std::int64_t pulled_ = 0, taken_ = 0;  // elements asked of the upstream and given to the consumer
  bool pulling_ = false;                 // a thread is inside the upstream
  bool ended_ = false, stopped_ = false;
  std::vector<std::thread> threads_;
};

class BackgroundNode final : public Node {
 public:
  BackgroundNode(NodePtr upstream, ElementFunction f, BackgroundOptions options) : upstream_(std::move(upstream)), f_(std::move(f)), options_(std::move(options)) {}
  std::int64_t cardinality() const override { return upstream_->cardinality(); }
  NodePtr of_files(std::int64_t rank, std::int64_t world) const override {
    NodePtr part = upstream_->of_files(rank, world);
    return part ? make_background(std::move(part), f_, options_) : nullptr;
  }
  std::optional<Computed> computed() const override { return Computed{upstream_, f_, f_ ? options_.threads : 0}; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override { return std::make_unique<BackgroundStream>(upstream_->open(epoch), &f_, options_); }

 private:
  NodePtr upstream_;
  ElementFunction f_;
  BackgroundOptions options_;
};

}  // namespace

NodePtr make_background(NodePtr upstream, ElementFunction f, BackgroundOptions options) { return std::make_shared<BackgroundNode>(std::move(upstream), std::move(f), std::move(options)); }

StreamPtr<Tensors> background_stream(StreamPtr<Tensors> upstream, BackgroundOptions options, bool begin) {
  auto stream = std::make_unique<BackgroundStream>(std::move(upstream), nullptr, std::move(options));
  if (begin) stream->start();
  return stream;
}

}  // namespace lockstep::io

// One queue for all kinds: they differ in the order in which elements come out (a Store), and in how many must stay. Whoever waits stands in one of two lines, and
// only the first of a line moves: so calls are served in order, and one that takes many elements cannot be starved by others that take one.

#include <lockstep/tensor/queue.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <random>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/permute.h>

namespace lockstep {
namespace queues {

using Element = Tensors;

/// Where elements wait, in the order they will come out.
struct Store {
  virtual ~Store() = default;
  virtual void put(Element element) = 0;
  virtual Element take() = 0;
  /// Puts elements back that were the last to be taken, in that order.
  virtual void restore(std::vector<Element> elements) = 0;
  virtual std::size_t size() const = 0;
};

struct InOrder : Store {
  std::deque<Element> elements;
  void put(Element element) override { elements.push_back(std::move(element)); }
  Element take() override {
    Element first = std::move(elements.front());
    elements.pop_front();
    return first;
  }
  void restore(std::vector<Element> taken) override {
    for (; !taken.empty(); taken.pop_back()) elements.push_front(std::move(taken.back()));
  }
  std::size_t size() const override { return elements.size(); }
};

struct ByPriority : Store {
  std::multimap<std::int64_t, Element> elements;
  void put(Element element) override {
    const auto priority = element[0].item<std::int64_t>();
    elements.emplace(priority, std::move(element));  // behind its equals
  }
  Element take() override { return std::move(elements.extract(elements.begin()).mapped()); }
  void restore(std::vector<Element> taken) override {
    for (; !taken.empty(); taken.pop_back()) {
      const auto priority = taken.back()[0].item<std::int64_t>();
      elements.emplace_hint(elements.lower_bound(priority), priority, std::move(taken.back()));  // before its equals
    }
  }
  std::size_t size() const override { return elements.size(); }
};

struct Shuffled : Store {
  std::vector<Element> elements;
  std::mt19937_64 random;
  explicit Shuffled(std::uint64_t seed) : random(seed) {}
  void put(Element element) override { elements.push_back(std::move(element)); }
  Element take() override {
    std::swap(elements[random() % elements.size()], elements.back());  // (the remainder favours nobody noticeably: there are 2^64 numbers)
    Element last = std::move(elements.back());
    elements.pop_back();
    return last;
  }
  void restore(std::vector<Element> taken) override {
    for (Element& element : taken) elements.push_back(std::move(element));
  }
  std::size_t size() const override { return elements.size(); }
};

struct Waiter {
  std::condition_variable turn;
  bool cancelled = false;
};
using Line = std::list<Waiter*>;

}  // namespace queues

using queues::Element;

struct Queue::State {
  std::string kind;
  std::int64_t capacity;
  std::vector<DType> dtypes;
  QueueOptions options;
  std::int64_t kept = 0;  // while the queue is open
  std::unique_ptr<queues::Store> store;

  mutable std::mutex mutex;
  queues::Line putters, takers;
  bool closing = false;

  /// Closed counts once those have put in what they had when it was closed.
  bool closed() const { return closing && putters.empty(); }
  bool has_room() const { return capacity < 0 || std::int64_t(store->size()) < capacity; }
  bool has_element() const { return std::int64_t(store->size()) > (closed() ? 0 : kept); }

  void put(std::vector<Element> elements);
  std::vector<Element> take(std::int64_t n, bool fewer);
};

namespace {

using queues::Line;
using queues::Waiter;

void wake_first(const Line& line) {
  if (!line.empty()) line.front()->turn.notify_one();
}

/// In a line for as long as it lives; the next in line is told when it leaves.
class Place {
 public:
  Place(Line& line, Line& other) : line_(line), other_(other), at_(line.insert(line.end(), &waiter)) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    line_.erase(at_);
    wake_first(line_);
    wake_first(other_);  // the queue may be closed now
  }
  bool is_first() const { return line_.front() == &waiter; }
  Waiter waiter;

 private:
  Line &line_, &other_;
  Line::iterator at_;
};

std::chrono::steady_clock::time_point deadline_of(const QueueOptions& options) {
  return std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(std::min(options.timeout_seconds, 1e9)));
}

[[noreturn]] void refuse_waiting(const Queue::State& state, const char* what) {
  throw DeadlineExceededError("waited " + std::to_string(state.options.timeout_seconds) + " s " + what, state.kind, "is the other side alive? QueueOptions::timeout_seconds allows for more");
}

void require_eager(const Queue::State& state) {
  if (listeners().tracer) throw UnimplementedError("queues are between threads and cannot be part of a traced function", state.kind);
}

bool fits(const Ints& wanted, const Shape& shape) {
  if (int(wanted.size()) != shape.ndim()) return false;
  for (int k = 0; k < shape.ndim(); ++k)
    if (wanted[std::size_t(k)] >= 0 && wanted[std::size_t(k)] != shape[k]) return false;
  return true;
}

/// Throws unless the components are the queue's; `many`: along a first axis.
void require_components(const Queue::State& state, const Tensors& components, bool many) {
  require_eager(state);
  if (components.size() != state.dtypes.size()) throw InvalidArgumentError("an element has " + std::to_string(state.dtypes.size()) + " components, got " + std::to_string(components.size()), state.kind);
  for (std::size_t i = 0; i < components.size(); ++i) {
    const Tensor& each = components[i];
    const std::string where = "component " + std::to_string(i);
    if (!each.defined() || each.is_symbolic()) throw InvalidArgumentError(where + " has no elements", state.kind);
    if (each.dtype() != state.dtypes[i]) throw TypeError(where + " must be " + std::string(name(state.dtypes[i])) + ", got " + to_string(each.spec()), state.kind, "there are no implicit casts: use cast");
    if (many && (each.ndim() < 1 || each.shape()[0] != components[0].shape()[0])) throw InvalidArgumentError(where + " must have as many elements along its first axis as the others, got " + to_string(each.spec()), state.kind);
    const Shape own = many ? Shape(each.shape().dims().subspan(1)) : each.shape();
    if (!state.options.shapes.empty() && !fits(state.options.shapes[i], own)) throw InvalidArgumentError(where + " must have shape " + to_string(AttrValue(state.options.shapes[i])) + ", got " + to_string(own), state.kind);
  }
}

/// Zeros (empty strings) behind the elements of each axis, up to the sizes of `whole`.
Tensor padded(const Tensor& part, const Shape& whole) {
  if (part.shape() == whole) return part;
  if (part.dtype() == string) {
    Tensor result = Tensor::empty(whole, string);
    run_copy({.shape = part.shape(), .from = row_major_strides(part.shape()), .to = row_major_strides(whole)}, string, part.raw(), result.mutable_raw());
    return result;
  }
  IntLists paddings;
  for (int k = 0; k < whole.ndim(); ++k) paddings.push_back({0, whole[k] - part.shape()[k]});
  return pad(part, paddings);
}

/// One component of several elements on a new first axis, padded with zeros to the largest.
Tensor stacked(const std::vector<Element>& elements, std::size_t component, DType dtype, const Ints& shape) {
  Shape whole;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    std::int64_t size = std::max<std::int64_t>(shape[k], 0);
    for (const Element& element : elements) size = std::max(size, element[component].shape()[int(k)]);
    whole.push_back(size);
  }
  if (elements.empty()) {
    Shape none{0};
    for (const std::int64_t size : whole) none.push_back(size);
    return zeros(none, dtype);
  }
  const Unheard unheard;
  std::vector<Tensor> parts;
  for (const Element& element : elements) parts.push_back(padded(element[component], whole));
  return stack(parts, 0);
}

/// Takes n elements together (or, of a closed queue, fewer).
Tensors take_many(Queue::State& state, std::int64_t n, bool fewer) {
  require_eager(state);
  if (n < 0) throw InvalidArgumentError("cannot take " + std::to_string(n) + " elements", state.kind);
  if (state.options.shapes.empty()) throw InvalidArgumentError("elements of any shape cannot be taken together", state.kind, "give the queue shapes, or use dequeue");
  const std::vector<Element> elements = state.take(n, fewer);
  Tensors result;
  for (std::size_t i = 0; i < state.dtypes.size(); ++i) result.push_back(stacked(elements, i, state.dtypes[i], state.options.shapes[i]));
  return result;
}

std::shared_ptr<Queue::State> new_state(const char* kind, std::int64_t capacity, std::vector<DType> dtypes, QueueOptions options, std::unique_ptr<queues::Store> store, bool pads) {
  if (capacity == 0) throw InvalidArgumentError("the capacity must be positive, or negative for no limit", kind);
  if (dtypes.empty()) throw InvalidArgumentError("an element needs at least one component", kind);
  if (!options.shapes.empty() && options.shapes.size() != dtypes.size()) throw InvalidArgumentError("there must be a shape for each of " + std::to_string(dtypes.size()) + " components, got " + std::to_string(options.shapes.size()), kind);
  if (pads && options.shapes.empty()) throw InvalidArgumentError("what is to be padded needs shapes", kind);
  for (const Ints& shape : options.shapes)
    for (const std::int64_t size : shape)
      if (size < (pads ? -1 : 0)) throw InvalidArgumentError("size " + std::to_string(size) + " in shape " + to_string(AttrValue(shape)) + (pads ? "" : ": only a PaddingFIFOQueue takes elements of several shapes together"), kind);
  if (!(options.timeout_seconds >= 0)) throw InvalidArgumentError("timeout_seconds must not be negative", kind);
  auto state = std::make_shared<Queue::State>();
  state->kind = kind;
  state->capacity = capacity;
  state->dtypes = std::move(dtypes);
  state->options = std::move(options);
  state->store = std::move(store);
  return state;
}

}  // namespace

void Queue::State::put(std::vector<Element> elements) {
  std::unique_lock lock(mutex);
  if (closing) throw CancelledError("the queue is closed", kind);
  const auto deadline = deadline_of(options);
  Place place(putters, takers);
  for (std::size_t next = 0;;) {
    if (place.waiter.cancelled) throw CancelledError("the queue was closed, and what waited to be put in is cancelled", kind);
    if (place.is_first()) {
      const std::size_t before = next;
      while (next < elements.size() && has_room()) store->put(std::move(elements[next++]));
      if (next != before) wake_first(takers);
      if (next == elements.size()) return;
    }
    if (place.waiter.turn.wait_until(lock, deadline) == std::cv_status::timeout && std::chrono::steady_clock::now() >= deadline) refuse_waiting(*this, "for room in the queue");
  }
}

std::vector<Element> Queue::State::take(std::int64_t n, bool fewer) {
  if (n == 0) return {};
  std::unique_lock lock(mutex);
  const auto deadline = deadline_of(options);
  Place place(takers, putters);
  std::vector<Element> taken;
  for (;;) {
    if (place.is_first()) {
      const std::size_t before = taken.size();
      while (std::int64_t(taken.size()) < n && has_element()) taken.push_back(store->take());
      if (taken.size() != before) wake_first(putters);
      if (std::int64_t(taken.size()) == n || (closed() && fewer && !taken.empty())) return taken;
      if (closed()) {
        const std::string count = std::to_string(taken.size());
        store->restore(std::move(taken));
        throw OutOfRangeError("the queue is closed and has " + count + " elements, fewer than the " + std::to_string(n) + " asked for", kind);
      }
    }
    if (place.waiter.turn.wait_until(lock, deadline) == std::cv_status::timeout && std::chrono::steady_clock::now() >= deadline) {
      store->restore(std::move(taken));
      refuse_waiting(*this, "for elements in the queue");
    }
  }
}

void Queue::enqueue(const Tensors& element) const {
  require_components(*state_, element, false);
  state_->put({element});
}

void Queue::enqueue_many(const Tensors& elements) const {
  require_components(*state_, elements, true);
  std::vector<Element> list(std::size_t(elements[0].shape()[0]));
  for (const Tensor& component : elements) {
    const Shape own(component.shape().dims().subspan(1));
    for (std::size_t i = 0; i < list.size(); ++i) list[i].push_back(Tensor::view(component, own, std::int64_t(i) * own.numel()));
  }
  state_->put(std::move(list));
}

Tensors Queue::dequeue() const {
  require_eager(*state_);
  return std::move(state_->take(1, false)[0]);
}
Tensors Queue::dequeue_many(std::int64_t n) const { return take_many(*state_, n, false); }
Tensors Queue::dequeue_up_to(std::int64_t n) const { return take_many(*state_, n, true); }

std::int64_t Queue::size() const {
  const std::scoped_lock lock(state_->mutex);
  return std::int64_t(state_->store->size());
}

void Queue::close(bool cancel_pending_enqueues) const {
  const std::scoped_lock lock(state_->mutex);
  state_->closing = true;
  if (cancel_pending_enqueues)
    for (Waiter* waiter : state_->putters) waiter->cancelled = true, waiter->turn.notify_one();
  wake_first(state_->takers);
}

bool Queue::is_closed() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->closing;
}

FIFOQueue::FIFOQueue(std::int64_t capacity, std::vector<DType> dtypes, QueueOptions options)
    : Queue(new_state("FIFOQueue", capacity, std::move(dtypes), std::move(options), std::make_unique<queues::InOrder>(), false)) {}

PriorityQueue::PriorityQueue(std::int64_t capacity, std::vector<DType> dtypes, QueueOptions options) : Queue(nullptr) {
  dtypes.insert(dtypes.begin(), int64);
  if (!options.shapes.empty() || dtypes.size() == 1) options.shapes.insert(options.shapes.begin(), Ints{});
  state_ = new_state("PriorityQueue", capacity, std::move(dtypes), std::move(options), std::make_unique<queues::ByPriority>(), false);
}

RandomShuffleQueue::RandomShuffleQueue(std::int64_t capacity, std::int64_t min_after_dequeue, std::vector<DType> dtypes, QueueOptions options, std::optional<std::uint64_t> seed)
    : Queue(new_state("RandomShuffleQueue", capacity, std::move(dtypes), std::move(options), std::make_unique<queues::Shuffled>(seed ? *seed : std::random_device{}()), false)) {
  if (min_after_dequeue < 0 || (capacity >= 0 && min_after_dequeue >= capacity))
    throw InvalidArgumentError("min_after_dequeue must not be negative and be less than the capacity, got " + std::to_string(min_after_dequeue), state_->kind);
  state_->kept = min_after_dequeue;
}

PaddingFIFOQueue::PaddingFIFOQueue(std::int64_t capacity, std::vector<DType> dtypes, QueueOptions options)
    : Queue(new_state("PaddingFIFOQueue", capacity, std::move(dtypes), std::move(options), std::make_unique<queues::InOrder>(), true)) {}

}  // namespace lockstep

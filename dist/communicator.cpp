#include <lockstep/dist/communicator.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <lockstep/dist/recorder.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/warning.h>

namespace lockstep::dist {
std::string_view name(Collective kind) {
  switch (kind) {
    case Collective::all_reduce: return "all_reduce";
    case Collective::broadcast: return "broadcast";
    case Collective::all_gather: return "all_gather";
    case Collective::reduce_scatter: return "reduce_scatter";
    case Collective::all_to_all: return "all_to_all";
    case Collective::barrier: break;
  }
  return "barrier";
}

std::string to_string(const Call& call) {
  std::string text(name(call.kind));
  if (call.kind == Collective::all_reduce || call.kind == Collective::reduce_scatter) text.append(" ").append(name(call.op));
  if (call.kind != Collective::barrier) text.append(" of ").append(lockstep::name(call.dtype)).append(" x ").append(std::to_string(call.count));
  if (call.kind == Collective::broadcast) text += " from rank " + std::to_string(call.root);
  if (!call.label.empty()) text += " '" + call.label + "'";
  return text;
}

Communicator::Communicator(std::string name, Topology topology, CommunicatorOptions options)
    : name_(std::move(name)), topology_(std::move(topology)), options_(options) {
  if (options_.thread) thread_ = std::thread([this] { serve(); });
}

Communicator::~Communicator() { stop(); }

void Communicator::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Communicator::broken() const {
  const std::lock_guard lock(mutex_);
  return failure_ != nullptr;
}

Communicator::Ticket Communicator::start(Call call) {
  if (call.kind == Collective::all_reduce || call.kind == Collective::reduce_scatter) check_reduction(call.op, call.dtype);
  if (call.count < 0) throw InvalidArgumentError("a collective of " + std::to_string(call.count) + " elements", name_);
  if (call.root < 0 || call.root >= size()) throw InvalidArgumentError("there is no rank " + std::to_string(call.root) + " among " + std::to_string(size()), name_);
  Entry entry;
  entry.call = std::move(call);
  Ticket ticket;
  {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    ticket = entry.ticket = next_++;
    entry.record = flight_recorder().add(std::int64_t(ticket), name_, entry.call);
    queue_.push_back(std::move(entry));
  }
  if (options_.thread) work_.notify_one();
  return ticket;
}

void Communicator::run_front(std::unique_lock<std::mutex>& lock) {
  running_ = true;
  const Entry entry = std::move(queue_.front());
  queue_.pop_front();
  lock.unlock();
  flight_recorder().started(entry.record);
  std::exception_ptr failure;
  try {
    perform(entry.call, std::int64_t(entry.ticket));
  } catch (...) {
    failure = std::current_exception();
  }
  flight_recorder().ended(entry.record, failure != nullptr);
  if (failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      write_recorder(topology_.rank, error.what());
    }
  }
  lock.lock();
  running_ = false;
  if (failure) failure_ = failure, queue_.clear();
  done_ = entry.ticket;
  progress_.notify_all();
  if (!queue_.empty()) work_.notify_one();  // who waited may have run this one, and the thread found nothing to do meanwhile
}

void Communicator::wait(Ticket ticket) {
  std::unique_lock lock(mutex_);
  while (done_ < ticket) {
    if (failure_) std::rethrow_exception(failure_);
    if (!running_ && !queue_.empty()) run_front(lock);
    else progress_.wait(lock);
  }
  if (failure_) std::rethrow_exception(failure_);
}

void Communicator::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return stopping_ || (!queue_.empty() && !running_); });
    if (stopping_) return;
    run_front(lock);
  }
}

void Communicator::all_reduce(void* data, std::int64_t count, DType dtype, ReduceOp op, std::string label) {
  run({.kind = Collective::all_reduce, .op = op, .dtype = dtype, .count = count, .parts = {{data, count * std::int64_t(itemsize(dtype))}}, .label = std::move(label)});
}
void Communicator::broadcast(void* data, std::int64_t count, DType dtype, int root, std::string label) {
  run({.kind = Collective::broadcast, .dtype = dtype, .root = root, .count = count, .parts = {{data, count * std::int64_t(itemsize(dtype))}}, .label = std::move(label)});
}
void Communicator::all_gather(const void* input, void* output, std::int64_t count, DType dtype, std::string label) {
  run({.kind = Collective::all_gather, .dtype = dtype, .count = count, .input = input, .output = output, .label = std::move(label)});
}
void Communicator::reduce_scatter(const void* input, void* output, std::int64_t count, DType dtype, ReduceOp op, std::string label) {
  run({.kind = Collective::reduce_scatter, .op = op, .dtype = dtype, .count = count, .input = input, .output = output, .label = std::move(label)});
}
void Communicator::all_to_all(const void* input, void* output, std::int64_t count, DType dtype, std::string label) {
  run({.kind = Collective::all_to_all, .dtype = dtype, .count = count, .input = input, .output = output, .label = std::move(label)});
}
void Communicator::barrier(std::string label) { run({.kind = Collective::barrier, .label = std::move(label)}); }

std::vector<std::string> Communicator::gather_texts(const std::string& text, std::string label) {
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(size()));
  const auto length = std::int64_t(text.size());
  all_gather(&length, lengths.data(), 1, int64, label + "/length");
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  std::string padded = text, all(std::size_t(longest) * lengths.size(), '\0');
  padded.resize(std::size_t(longest));
  all_gather(padded.data(), all.data(), longest, uint8, std::move(label));
  std::vector<std::string> texts;
  for (std::size_t r = 0; r < lengths.size(); ++r) texts.push_back(all.substr(r * std::size_t(longest), std::size_t(lengths[r])));
  return texts;
}

std::string Communicator::broadcast_text(const std::string& text, int root, std::string label) {
  auto length = std::int64_t(text.size());
  broadcast(&length, 1, int64, root, label + "/length");
  std::string result = text;
  result.resize(std::size_t(length));
  broadcast(result.data(), length, uint8, root, std::move(label));
  return result;
}

// ---- one rank

namespace {

class Single : public Communicator {
 public:
  Single(std::string name, CommunicatorOptions options) : Communicator(std::move(name), Topology{}, options) {}
  ~Single() override { stop(); }
  std::unique_ptr<Communicator> split(int, const std::string& name) override { return single_communicator(name, options()); }

 protected:
  void perform(const Call& call, std::int64_t) override {
    if (call.output && call.output != call.input) std::memmove(call.output, call.input, std::size_t(call.nbytes()));
  }
};

}  // namespace

std::unique_ptr<Communicator> single_communicator(std::string name, CommunicatorOptions options) { return std::make_unique<Single>(std::move(name), options); }

}  // namespace lockstep::dist

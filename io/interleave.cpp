// Datasets made of elements, and datasets that take turns.

#include <algorithm>
#include <cmath>
#include <deque>
#include <semaphore>
#include <utility>
#include <vector>

#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/philox.h>

namespace lockstep::io {
namespace {

class FlatMapNode final : public Node {
 public:
  FlatMapNode(NodePtr upstream, ElementDataset f) : upstream_(std::move(upstream)), f_(std::move(f)) {}
  std::int64_t cardinality() const override { return upstream_->cardinality() == 0 ? 0 : kUnknown; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    return one_after_the_other([this, upstream = upstream_->open(epoch), epoch]() -> Opened {
      Tensors input;
      return upstream->next(input) ? opened(f_(input).node(), epoch) : Opened();
    });
  }

 private:
  NodePtr upstream_;
  ElementDataset f_;
};

/// Lets only so many streams read at once.
class Limited final : public Stream<Tensors> {
 public:
  Limited(Opened inner, std::shared_ptr<std::counting_semaphore<>> permits) : inner_(std::move(inner)), permits_(std::move(permits)) {}
  bool next(Tensors& element) override {
    const Permit permit(*permits_);
    return inner_.stream->next(element);
  }
  std::int64_t skip(std::int64_t count) override { return inner_.stream->skip(count); }

 private:
  struct Permit {
    explicit Permit(std::counting_semaphore<>& permits) : permits(permits) { permits.acquire(); }
    ~Permit() { permits.release(); }
    Permit(const Permit&) = delete;
    Permit& operator=(const Permit&) = delete;
    std::counting_semaphore<>& permits;
  };
  Opened inner_;
  std::shared_ptr<std::counting_semaphore<>> permits_;
};

/// In tf.data's order: places in a cycle, each with a dataset; one that has ended leaves its place empty, which the next dataset takes when its turn comes.
class InterleaveStream final : public Stream<Tensors> {
 public:
  InterleaveStream(StreamPtr<Tensors> upstream, const ElementDataset& f, const InterleaveOptions& options, std::int64_t epoch)
      : upstream_(std::move(upstream)), f_(f), options_(options), epoch_(epoch), places_(std::size_t(options.cycle_length)) {
    if (options.threads > 0) permits_ = std::make_shared<std::counting_semaphore<>>(options.threads);
  }

  bool next(Tensors& element) override {
    while (find()) {
      if (places_[at_].stream->next(element)) {
        given(1);
        return true;
      }
      leave();
    }
    return false;
  }

  std::int64_t skip(std::int64_t count) override {
    std::int64_t skipped = 0;
    while (skipped < count && find(false)) {
      const std::int64_t wanted = std::min(count - skipped, options_.block_length - in_block_);
      const std::int64_t here = places_[at_].stream->skip(wanted);
      skipped += here;
      if (here > 0) given(here);
      if (here < wanted) leave();
    }
    return skipped;
  }

 private:
  /// Goes on to a place with a dataset; false if there is none left.
  bool find(bool ahead = true) {
    if (ahead && permits_) read_ahead();
    while (true) {
      if (places_[at_].stream) return true;
      if (ended_ && waiting_.empty()) {
        if (open_ == 0) return false;
        advance();
        continue;
      }
      if (waiting_.empty() && !open_next(false)) continue;
      places_[at_] = std::move(waiting_.front());
      waiting_.pop_front();
      ++open_;
      if (ahead && permits_) read_ahead();
    }
  }
  /// Opens the dataset of the next input, to wait for a place.
  bool open_next(bool begin) {
    Tensors input;
    if (!upstream_->next(input)) {
      ended_ = true;
      return false;
    }
    Opened next = opened(f_(input).node(), epoch_);
    if (permits_) {
      const std::int64_t room = std::max<std::int64_t>(2, 2 * options_.block_length);
      StreamPtr<Tensors> limited = std::make_unique<Limited>(std::move(next), permits_);
      next = {nullptr, background_stream(std::move(limited), {.capacity = room}, begin)};
    }
    waiting_.push_back(std::move(next));
    return true;
  }
  /// Datasets for the empty places and one more are opened, and read, before their turn comes.
  void read_ahead() {
    while (!ended_ && std::ssize(waiting_) + open_ < std::ssize(places_) + 1) open_next(true);
  }
  void given(std::int64_t count) {
    in_block_ += count;
    if (in_block_ == options_.block_length) advance();
  }
  void leave() {
    places_[at_].stream.reset();  // before its node
    places_[at_].node.reset();
    --open_;
    advance();
  }
  void advance() {
    in_block_ = 0;
    at_ = (at_ + 1) % places_.size();
  }

  StreamPtr<Tensors> upstream_;
  const ElementDataset& f_;
  InterleaveOptions options_;
  std::int64_t epoch_;
  std::shared_ptr<std::counting_semaphore<>> permits_;
  std::deque<Opened> waiting_;
  std::vector<Opened> places_;
  std::size_t at_ = 0;
  std::int64_t in_block_ = 0, open_ = 0;
  bool ended_ = false;
};

class InterleaveNode final : public Node {
 public:
  InterleaveNode(NodePtr upstream, ElementDataset f, const InterleaveOptions& options) : upstream_(std::move(upstream)), f_(std::move(f)), options_(options) {}
  std::int64_t cardinality() const override { return upstream_->cardinality() == 0 ? 0 : kUnknown; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override { return std::make_unique<InterleaveStream>(upstream_->open(epoch), f_, options_, epoch); }

 private:
  NodePtr upstream_;
  ElementDataset f_;
  InterleaveOptions options_;
};

class ChooseNode final : public Node {
 public:
  ChooseNode(std::vector<NodePtr> upstreams, NodePtr choice, bool stop_on_empty) : upstreams_(std::move(upstreams)), choice_(std::move(choice)), stop_on_empty_(stop_on_empty) {}
  std::int64_t cardinality() const override { return choice_->cardinality() == 0 ? 0 : kUnknown; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    auto chosen = std::make_unique<Chosen>();
    chosen->choice = choice_->open(epoch);
    chosen->stop_on_empty = stop_on_empty_;
    for (const NodePtr& upstream : upstreams_) chosen->streams.push_back(upstream->open(epoch));
    chosen->left = chosen->streams.size();
    return chosen;
  }

 private:
  struct Chosen final : Stream<Tensors> {
    bool next(Tensors& element) override {
      return advance([&](Stream<Tensors>& stream) { return stream.next(element); });
    }
    std::int64_t skip(std::int64_t count) override {
      std::int64_t skipped = 0;
      while (skipped < count && advance([](Stream<Tensors>& stream) { return stream.skip(1) == 1; })) ++skipped;
      return skipped;
    }
    bool advance(const auto& step) {
      Tensors choose;
      while (left > 0 && choice->next(choose)) {
        const std::int64_t number = choose.size() == 1 ? detail::as_number(choose[0]) : -1;
        if (number < 0 || number >= std::ssize(streams)) throw InvalidArgumentError("there is no dataset " + std::to_string(number) + ", there are " + std::to_string(streams.size()), "Dataset.choose_from_datasets");
        StreamPtr<Tensors>& stream = streams[std::size_t(number)];
        if (!stream) continue;
        if (step(*stream)) return true;
        stream.reset();
        left = stop_on_empty ? 0 : left - 1;
      }
      return false;
    }
    StreamPtr<Tensors> choice;
    std::vector<StreamPtr<Tensors>> streams;
    std::size_t left = 0;  // streams that have not ended
    bool stop_on_empty = false;
  };
  std::vector<NodePtr> upstreams_;
  NodePtr choice_;
  bool stop_on_empty_;
};

class DrawsNode final : public Node {
 public:
  DrawsNode(std::vector<double> weights, std::int64_t seed) : seed_(seed) {
    double total = 0;
    for (const double weight : weights) {
      if (!(weight >= 0) || !std::isfinite(weight)) throw InvalidArgumentError("a weight must not be negative, got " + std::to_string(weight), "Dataset.sample_from_datasets");
      sums_.push_back(total += weight);
    }
    if (!(total > 0)) throw InvalidArgumentError("no weight is above 0", "Dataset.sample_from_datasets");
  }
  std::int64_t cardinality() const override { return kInfinite; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Drawn final : Stream<Tensors> {
      Drawn(const std::vector<double>& sums, std::int64_t seed, std::int64_t epoch) : sums(sums), seed(std::uint64_t(seed)), epoch(std::uint64_t(epoch)) {}
      bool next(Tensors& element) override {
        const double at = double(random::philox(draws++, epoch, seed)[0]) * 0x1p-32 * sums.back();
        element = {scalar(std::int64_t(std::upper_bound(sums.begin(), sums.end() - 1, at) - sums.begin()), int64)};
        return true;
      }
      std::int64_t skip(std::int64_t count) override {
        draws += std::uint64_t(count);
        return count;
      }
      const std::vector<double>& sums;
      std::uint64_t seed, epoch, draws = 0;
    };
    return std::make_unique<Drawn>(sums_, seed_, epoch);
  }

 private:
  std::vector<double> sums_;
  std::int64_t seed_;
};

}  // namespace

NodePtr make_flat_map(NodePtr upstream, ElementDataset f) { return std::make_shared<FlatMapNode>(std::move(upstream), std::move(f)); }
NodePtr make_interleave(NodePtr upstream, ElementDataset f, const InterleaveOptions& options) { return std::make_shared<InterleaveNode>(std::move(upstream), std::move(f), options); }
NodePtr make_choose(std::vector<NodePtr> upstreams, NodePtr choice, bool stop_on_empty) { return std::make_shared<ChooseNode>(std::move(upstreams), std::move(choice), stop_on_empty); }
NodePtr make_draws(std::vector<double> weights, std::int64_t seed) { return std::make_shared<DrawsNode>(std::move(weights), seed); }

}  // namespace lockstep::io

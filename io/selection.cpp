// Steps that select and reorder. Each is written once, over whatever a stream carries: elements, or the row numbers of a table.

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <lockstep/io/stream.h>
#include <lockstep/tensor/philox.h>

namespace lockstep::io {
namespace {

/// Opens Derived::stream<Element>(epoch) on rows where the upstream has them.
template <class Derived>
class Selection : public Node {
 public:
  StreamPtr<Tensors> open(std::int64_t epoch) const final {
    if (const Tensors* rows = table()) return rows_as_elements(*rows, open_rows(epoch));
    return derived().template stream<Tensors>(epoch);
  }
  const Tensors* table() const final { return upstream_->table(); }
  StreamPtr<RowNumber> open_rows(std::int64_t epoch) const final { return derived().template stream<RowNumber>(epoch); }

 protected:
  explicit Selection(NodePtr upstream) : upstream_(std::move(upstream)) {}
  const Node& upstream() const { return *upstream_; }

 private:
  const Derived& derived() const { return static_cast<const Derived&>(*this); }
  NodePtr upstream_;
};

template <class Element>
class TakeStream final : public Stream<Element> {
 public:
  TakeStream(StreamPtr<Element> upstream, std::int64_t count) : upstream_(std::move(upstream)), left_(count) {}
  bool next(Element& element) override {
    if (left_ == 0 || !upstream_->next(element)) return false;
    --left_;
    return true;
  }
  std::int64_t skip(std::int64_t count) override {
    const std::int64_t skipped = upstream_->skip(std::min(count, left_));
    left_ -= skipped;
    return skipped;
  }

 private:
  StreamPtr<Element> upstream_;
  std::int64_t left_;
};

class TakeNode final : public Selection<TakeNode> {
 public:
  TakeNode(NodePtr upstream, std::int64_t count) : Selection(std::move(upstream)), count_(count) {}
  std::int64_t cardinality() const override {
    const std::int64_t n = upstream().cardinality();
    return n == kInfinite || count_ == 0 ? count_ : n == kUnknown ? kUnknown : std::min(n, count_);
  }
  template <class Element>
  StreamPtr<Element> stream(std::int64_t epoch) const {
    return std::make_unique<TakeStream<Element>>(open_as<Element>(upstream(), epoch), count_);
  }

 private:
  std::int64_t count_;
};

class SkipNode final : public Selection<SkipNode> {
 public:
  SkipNode(NodePtr upstream, std::int64_t count) : Selection(std::move(upstream)), count_(count) {}
  std::int64_t cardinality() const override {
    const std::int64_t n = upstream().cardinality();
    return n < 0 ? n : std::max<std::int64_t>(0, n - count_);
  }
  template <class Element>
  StreamPtr<Element> stream(std::int64_t epoch) const {
    auto rest = open_as<Element>(upstream(), epoch);
    rest->skip(count_);
    return rest;
  }

 private:
  std::int64_t count_;
};

template <class Element>
class ShardStream final : public Stream<Element> {
 public:
  ShardStream(StreamPtr<Element> upstream, std::int64_t rank, std::int64_t world) : upstream_(std::move(upstream)), before_(rank), world_(world) {}
  bool next(Element& element) override { return find() && upstream_->next(element); }
  std::int64_t skip(std::int64_t count) override {
    std::int64_t skipped = 0;
    while (skipped < count && find() && upstream_->skip(1) == 1) ++skipped;
    return skipped;
  }

 private:
  /// Goes to the next element of this rank. One that fails, here or on its way, has a number as others have: the ranks count alike.
  bool find() {
    while (before_ > 0) {
      --before_;
      if (upstream_->skip(1) == 0) return false;
    }
    before_ = world_ - 1;
    return true;
  }
  StreamPtr<Element> upstream_;
  std::int64_t before_;  // elements of other ranks before the next one of this
  std::int64_t world_;
};

class ShardNode final : public Selection<ShardNode> {
 public:
  ShardNode(NodePtr upstream, std::int64_t rank, std::int64_t world) : Selection(std::move(upstream)), rank_(rank), world_(world) {}
  std::int64_t cardinality() const override {
    const std::int64_t n = upstream().cardinality();
    return n < 0 ? n : n / world_ + (rank_ < n % world_ ? 1 : 0);
  }
  template <class Element>
  StreamPtr<Element> stream(std::int64_t epoch) const {
    return std::make_unique<ShardStream<Element>>(open_as<Element>(upstream(), epoch), rank_, world_);
  }

 private:
  std::int64_t rank_, world_;
};

template <class Element>
class RepeatStream final : public Stream<Element> {
 public:
  /// Repetitions are passes `first`, `first + 1`, ... of `upstream`, `count` of them or without end.
  RepeatStream(const Node& upstream, std::int64_t first, std::int64_t count) : upstream_(upstream), pass_(first), left_(count) {}
  bool next(Element& element) override {
    while (left_ != 0) {
      open();
      if (stream_->next(element)) {
        empty_ = false;
        return true;
      }
      close();
    }
    return false;
  }
  std::int64_t skip(std::int64_t count) override {
    const std::int64_t length = upstream_.cardinality();
    std::int64_t skipped = 0;
    while (skipped < count && left_ != 0) {
      if (!stream_ && length > 0 && length <= count - skipped) {  // a whole pass, which need not be opened
        skipped += length;
        advance();
        continue;
      }
      open();
      const std::int64_t here = stream_->skip(count - skipped);
      if (here > 0) empty_ = false;
      skipped += here;
      if (skipped < count) close();
    }
    return skipped;
  }

 private:
  void open() {
    if (stream_) return;
    stream_ = open_as<Element>(upstream_, pass_);
    empty_ = true;
  }
  void close() {
    stream_.reset();
    advance();
    // Repeating nothing without end would never return.
    if (empty_ && left_ == kInfinite) left_ = 0;
  }
  void advance() {
    ++pass_;
    if (left_ > 0) --left_;
  }

  const Node& upstream_;
  std::int64_t pass_, left_;
  StreamPtr<Element> stream_;  // of pass `pass_`; null before its first element is asked for
  bool empty_ = true;          // stream_ has given nothing yet
};

class RepeatNode final : public Selection<RepeatNode> {
 public:
  RepeatNode(NodePtr upstream, std::int64_t count) : Selection(std::move(upstream)), count_(count) {}
  std::int64_t cardinality() const override {
    const std::int64_t n = upstream().cardinality();
    if (count_ == 0 || n == 0) return 0;
    if (n == kInfinite || count_ == kInfinite) return kInfinite;
    if (n == kUnknown) return kUnknown;
    return n <= std::numeric_limits<std::int64_t>::max() / count_ ? n * count_ : kInfinite;
  }
  template <class Element>
  StreamPtr<Element> stream(std::int64_t epoch) const {
    // Repetitions of an endless pass must not meet those of the next one.
    const std::uint64_t passes = count_ == kInfinite ? std::uint64_t(1) << 32 : std::uint64_t(count_);
    return std::make_unique<RepeatStream<Element>>(upstream(), std::int64_t(std::uint64_t(epoch) * passes), count_);
  }

 private:
  std::int64_t count_;
};

/// Draws each element from a buffer of the next ones. Draw i of a pass is a function of (seed, pass, i).
template <class Element>
class ShuffleStream final : public Stream<Element> {
 public:
  ShuffleStream(StreamPtr<Element> upstream, std::int64_t buffer, std::int64_t seed, std::int64_t pass, std::int64_t most_bytes, detail::GaugePtr gauge)
      : upstream_(std::move(upstream)), capacity_(std::size_t(buffer)), seed_(std::uint64_t(seed)), pass_(std::uint64_t(pass)), most_bytes_(most_bytes), held_(std::move(gauge)) {}
  bool next(Element& element) override {
    Element incoming{};
    while (!ended_ && buffer_.size() < capacity_ && (most_bytes_ == 0 || buffer_.empty() || held_.bytes() < most_bytes_)) {
      if (upstream_->next(incoming)) {
        held_.count(1, nbytes_of(incoming));
        buffer_.push_back(std::move(incoming));
      } else {
        ended_ = true;
      }
    }
    held_.tell();
    if (buffer_.empty()) return false;
    Element& drawn = buffer_[draw(buffer_.size())];
    element = std::move(drawn);
    held_.count(-1, -nbytes_of(element));  // told together with what comes in its place, as a rule the same
    if (&drawn != &buffer_.back()) drawn = std::move(buffer_.back());
    buffer_.pop_back();
    return true;
  }

 private:
  /// A number below `size`. One call of the generator is good for two.
  std::size_t draw(std::size_t size) {
    const std::size_t half = draws_ % 2 * 2;
    if (half == 0) words_ = random::philox(draws_ / 2, pass_, seed_);
    ++draws_;
    __extension__ using Wide = unsigned __int128;
    const std::uint64_t bits = (std::uint64_t(words_[half + 1]) << 32) | words_[half];
    return std::size_t((Wide(bits) * size) >> 64);
  }

  StreamPtr<Element> upstream_;
  std::size_t capacity_;
  std::uint64_t seed_, pass_;
  std::int64_t most_bytes_;
  Held held_;
  std::vector<Element> buffer_;
  bool ended_ = false;
  std::uint64_t draws_ = 0;
  random::PhiloxWords words_{};
};

class ShuffleNode final : public Selection<ShuffleNode> {
 public:
  ShuffleNode(NodePtr upstream, std::int64_t buffer, std::int64_t seed, bool reshuffle, std::int64_t most_bytes, detail::GaugePtr gauge)
      : Selection(std::move(upstream)), buffer_(buffer), seed_(seed), most_bytes_(most_bytes), reshuffle_(reshuffle), gauge_(std::move(gauge)) {}
  std::int64_t cardinality() const override { return upstream().cardinality(); }
  NodePtr of_files(std::int64_t rank, std::int64_t world) const override {
    NodePtr part = upstream().of_files(rank, world);
    return part ? make_shuffle(std::move(part), buffer_, seed_, reshuffle_, most_bytes_, gauge_) : nullptr;
  }
  template <class Element>
  StreamPtr<Element> stream(std::int64_t epoch) const {
    return std::make_unique<ShuffleStream<Element>>(open_as<Element>(upstream(), epoch), buffer_, seed_, reshuffle_ ? epoch : 0, most_bytes_, gauge_);
  }

 private:
  std::int64_t buffer_, seed_, most_bytes_;
  bool reshuffle_;
  detail::GaugePtr gauge_;
};

}  // namespace

NodePtr make_take(NodePtr upstream, std::int64_t count) { return std::make_shared<TakeNode>(std::move(upstream), count); }
NodePtr make_skip(NodePtr upstream, std::int64_t count) { return std::make_shared<SkipNode>(std::move(upstream), count); }
NodePtr make_shard(NodePtr upstream, std::int64_t rank, std::int64_t world) {
  if (NodePtr files = upstream->of_files(rank, world)) return files;
  return std::make_shared<ShardNode>(std::move(upstream), rank, world);
}
NodePtr make_repeat(NodePtr upstream, std::int64_t count) { return std::make_shared<RepeatNode>(std::move(upstream), count); }
NodePtr make_shuffle(NodePtr upstream, std::int64_t buffer, std::int64_t seed, bool reshuffle, std::int64_t most_bytes, detail::GaugePtr gauge) {
  return std::make_shared<ShuffleNode>(std::move(upstream), buffer, seed, reshuffle, most_bytes, std::move(gauge));
}

}  // namespace lockstep::io

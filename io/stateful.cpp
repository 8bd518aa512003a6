// Steps that remember something of the elements before: what they skip, they must see all the same.

#include <algorithm>
#include <cmath>
#include <unordered_set>
#include <utility>
#include <vector>

#include <lockstep/io/element_bytes.h>
#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/philox.h>

namespace lockstep::io {
namespace {

class ScanNode final : public Node {
 public:
  ScanNode(NodePtr upstream, Tensors state, StateFunction f) : upstream_(std::move(upstream)), state_(std::move(state)), f_(std::move(f)) {}
  std::int64_t cardinality() const override { return upstream_->cardinality(); }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Scanned final : Stream<Tensors> {
      Scanned(StreamPtr<Tensors> upstream, Tensors state, const StateFunction& f) : upstream(std::move(upstream)), state(std::move(state)), f(f) {}
      bool next(Tensors& element) override {
        Tensors input;
        if (!upstream->next(input)) return false;
        auto [after, out] = f(state, input);
        state = std::move(after);
        element = std::move(out);
        return true;
      }
      StreamPtr<Tensors> upstream;
      Tensors state;
      const StateFunction& f;
    };
    return std::make_unique<Scanned>(upstream_->open(epoch), state_, f_);
  }

 private:
  NodePtr upstream_;
  Tensors state_;
  StateFunction f_;
};

class TakeWhileNode final : public Node {
 public:
  TakeWhileNode(NodePtr upstream, ElementPredicate predicate) : upstream_(std::move(upstream)), predicate_(std::move(predicate)) {}
  std::int64_t cardinality() const override { return upstream_->cardinality() == 0 ? 0 : kUnknown; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Taken final : Stream<Tensors> {
      Taken(StreamPtr<Tensors> upstream, const ElementPredicate& predicate) : upstream(std::move(upstream)), predicate(predicate) {}
      bool next(Tensors& element) override {
        Tensors candidate;
        if (ended || !upstream->next(candidate)) return false;
        if (!predicate(candidate)) return ended = true, false;
        element = std::move(candidate);
        return true;
      }
      StreamPtr<Tensors> upstream;
      const ElementPredicate& predicate;
      bool ended = false;
    };
    return std::make_unique<Taken>(upstream_->open(epoch), predicate_);
  }

 private:
  NodePtr upstream_;
  ElementPredicate predicate_;
};

class UniqueNode final : public Node {
 public:
  explicit UniqueNode(NodePtr upstream) : upstream_(std::move(upstream)) {}
  std::int64_t cardinality() const override { return upstream_->cardinality() == 0 ? 0 : kUnknown; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct First final : Stream<Tensors> {
      explicit First(StreamPtr<Tensors> upstream) : upstream(std::move(upstream)) {}
      bool next(Tensors& element) override {
        while (upstream->next(element))
          if (seen.insert(to_bytes(element)).second) return true;
        return false;
      }
      StreamPtr<Tensors> upstream;
      std::unordered_set<std::string> seen;
    };
    return std::make_unique<First>(upstream_->open(epoch));
  }

 private:
  NodePtr upstream_;
};

class IgnoreErrorsNode final : public Node {
 public:
  IgnoreErrorsNode(NodePtr upstream, std::shared_ptr<SkipCount> count) : upstream_(std::move(upstream)), count_(std::move(count)) {}
  std::int64_t cardinality() const override { return upstream_->cardinality() == 0 ? 0 : kUnknown; }
  NodePtr of_files(std::int64_t rank, std::int64_t world) const override {
    NodePtr part = upstream_->of_files(rank, world);
    return part ? make_ignore_errors(std::move(part), count_) : nullptr;
  }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Sound final : Stream<Tensors> {
      Sound(StreamPtr<Tensors> upstream, SkipCount* count) : upstream(std::move(upstream)), count(count) {}
      // A stream that has thrown stands behind what failed, so that this comes to an end.
      bool next(Tensors& element) override {
        while (true) {
          try {
            return upstream->next(element);
          } catch (const Error& error) {
            if (count) count->add(error.what());
          }
        }
      }
      StreamPtr<Tensors> upstream;
      SkipCount* count;
    };
    return std::make_unique<Sound>(upstream_->open(epoch), count_.get());
  }

 private:
  NodePtr upstream_;
  std::shared_ptr<SkipCount> count_;
};

/// Element i of a pass is kept if draw i, a function of (seed, pass, i), lies below what its class is accepted with.
class ResampleNode final : public Node {
 public:
  ResampleNode(NodePtr upstream, ElementNumber class_of, std::vector<double> target, std::vector<double> initial, std::int64_t seed)
      : upstream_(std::move(upstream)), class_of_(std::move(class_of)), target_(std::move(target)), initial_(std::move(initial)), seed_(seed) {}
  std::int64_t cardinality() const override { return upstream_->cardinality() == 0 ? 0 : kUnknown; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override { return std::make_unique<Resampled>(*this, upstream_->open(epoch), epoch); }

 private:
  class Resampled final : public Stream<Tensors> {
   public:
    Resampled(const ResampleNode& node, StreamPtr<Tensors> upstream, std::int64_t epoch) : node_(node), upstream_(std::move(upstream)), epoch_(std::uint64_t(epoch)), shares_(node.initial_) {
      // Without known shares each class is taken to have come ten times already, so that the first elements do not decide.
      constexpr double kSmoothing = 10;
      if (shares_.empty()) counted_ = true, shares_.assign(node.target_.size(), kSmoothing);
    }
    bool next(Tensors& element) override {
      while (upstream_->next(element)) {
        const std::int64_t number = node_.class_of_(element);
        if (number < 0 || number >= std::ssize(node_.target_))
          throw InvalidArgumentError("class " + std::to_string(number) + " is not one of " + std::to_string(node_.target_.size()), "Dataset.rejection_resample");
        if (counted_) ++shares_[std::size_t(number)];
        if (draw() < acceptance(std::size_t(number))) return true;
      }
      return false;
    }

   private:
    double acceptance(std::size_t number) const {
      const double whole = sum(shares_);
      double most = 0;
      const auto ratio = [&](std::size_t i) { return shares_[i] > 0 ? node_.target_[i] / (shares_[i] / whole) : 0.0; };
      for (std::size_t i = 0; i < shares_.size(); ++i) most = std::max(most, ratio(i));
      return most > 0 ? ratio(number) / most : 0;
    }
    static double sum(const std::vector<double>& values) {
      double total = 0;
      for (const double value : values) total += value;
      return total;
    }
    double draw() { return double(random::philox(draws_++, epoch_, std::uint64_t(node_.seed_))[0]) * 0x1p-32; }

    const ResampleNode& node_;
    StreamPtr<Tensors> upstream_;
    std::uint64_t epoch_, draws_ = 0;
    std::vector<double> shares_;
    bool counted_ = false;
  };

  NodePtr upstream_;
  ElementNumber class_of_;
  std::vector<double> target_, initial_;
  std::int64_t seed_;
};

}  // namespace

NodePtr make_scan(NodePtr upstream, Tensors state, StateFunction f) { return std::make_shared<ScanNode>(std::move(upstream), std::move(state), std::move(f)); }
NodePtr make_take_while(NodePtr upstream, ElementPredicate predicate) { return std::make_shared<TakeWhileNode>(std::move(upstream), std::move(predicate)); }
NodePtr make_unique(NodePtr upstream) { return std::make_shared<UniqueNode>(std::move(upstream)); }
NodePtr make_ignore_errors(NodePtr upstream, std::shared_ptr<SkipCount> count) { return std::make_shared<IgnoreErrorsNode>(std::move(upstream), std::move(count)); }

NodePtr make_resample(NodePtr upstream, ElementNumber class_of, std::vector<double> target, std::vector<double> initial, std::int64_t seed) {
  if (target.empty()) throw InvalidArgumentError("target names no class", "Dataset.rejection_resample");
  for (const std::vector<double>* shares : {&target, &initial})
    if (std::any_of(shares->begin(), shares->end(), [](double share) { return !(share >= 0) || !std::isfinite(share); })) throw InvalidArgumentError("the shares of classes must not be negative", "Dataset.rejection_resample");
  return std::make_shared<ResampleNode>(std::move(upstream), std::move(class_of), std::move(target), std::move(initial), seed);
}

}  // namespace lockstep::io

// Steps that compute elements, and those that join streams.

#include <algorithm>
#include <exception>
#include <utility>

#include <lockstep/io/stream.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::io {
namespace {

class MapNode final : public Node {
 public:
  MapNode(NodePtr upstream, ElementFunction f) : upstream_(std::move(upstream)), f_(std::move(f)) {}
  std::int64_t cardinality() const override { return upstream_->cardinality(); }
  NodePtr of_files(std::int64_t rank, std::int64_t world) const override {
    NodePtr part = upstream_->of_files(rank, world);
    return part ? make_map(std::move(part), f_) : nullptr;
  }
  std::optional<Computed> computed() const override { return Computed{upstream_, f_, 0}; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Mapped final : Stream<Tensors> {
      Mapped(StreamPtr<Tensors> upstream, const ElementFunction& f) : upstream(std::move(upstream)), f(f) {}
      bool next(Tensors& element) override {
        Tensors input;
        if (!upstream->next(input)) return false;
        element = f(input);
        return true;
      }
      std::int64_t skip(std::int64_t count) override { return upstream->skip(count); }
      StreamPtr<Tensors> upstream;
      const ElementFunction& f;
    };
    return std::make_unique<Mapped>(upstream_->open(epoch), f_);
  }

 private:
  NodePtr upstream_;
  ElementFunction f_;
};

class FilterNode final : public Node {
 public:
  FilterNode(NodePtr upstream, ElementPredicate predicate) : upstream_(std::move(upstream)), predicate_(std::move(predicate)) {}
  std::int64_t cardinality() const override {
    const std::int64_t n = upstream_->cardinality();
    return n == 0 ? 0 : kUnknown;
  }
  NodePtr of_files(std::int64_t rank, std::int64_t world) const override {
    NodePtr part = upstream_->of_files(rank, world);
    return part ? make_filter(std::move(part), predicate_) : nullptr;
  }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Filtered final : Stream<Tensors> {
      Filtered(StreamPtr<Tensors> upstream, const ElementPredicate& predicate) : upstream(std::move(upstream)), predicate(predicate) {}
      bool next(Tensors& element) override {
        while (upstream->next(element))
          if (predicate(element)) return true;
        return false;
      }
      StreamPtr<Tensors> upstream;
      const ElementPredicate& predicate;
    };
    return std::make_unique<Filtered>(upstream_->open(epoch), predicate_);
  }

 private:
  NodePtr upstream_;
  ElementPredicate predicate_;
};

class ConcatenateNode final : public Node {
 public:
  ConcatenateNode(NodePtr first, NodePtr second) : first_(std::move(first)), second_(std::move(second)) {}
  std::int64_t cardinality() const override {
    const std::int64_t a = first_->cardinality(), b = second_->cardinality();
    if (a == kInfinite || b == kInfinite) return kInfinite;
    return a == kUnknown || b == kUnknown ? kUnknown : a + b;
  }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Joined final : Stream<Tensors> {
      Joined(StreamPtr<Tensors> first, StreamPtr<Tensors> second) : first(std::move(first)), second(std::move(second)) {}
      bool next(Tensors& element) override {
        if (first && first->next(element)) return true;
        first.reset();
        return second->next(element);
      }
      std::int64_t skip(std::int64_t count) override {
        const std::int64_t skipped = first ? first->skip(count) : 0;
        return skipped == count ? count : skipped + second->skip(count - skipped);
      }
      StreamPtr<Tensors> first, second;
    };
    return std::make_unique<Joined>(first_->open(epoch), second_->open(epoch));
  }

 private:
  NodePtr first_, second_;
};

class ZipNode final : public Node {
 public:
  explicit ZipNode(std::vector<NodePtr> upstreams) : upstreams_(std::move(upstreams)) {}
  std::int64_t cardinality() const override {
    std::int64_t least = kInfinite;
    for (const NodePtr& upstream : upstreams_) {
      const std::int64_t n = upstream->cardinality();
      if (n == 0) return 0;
      if (n == kUnknown || least == kUnknown)
        least = kUnknown;
      else if (n != kInfinite)
        least = least == kInfinite ? n : std::min(least, n);
    }
    return least;
  }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Zipped final : Stream<Tensors> {
      bool next(Tensors& element) override {
        Tensors all, part;
        std::exception_ptr error;
        for (const auto& stream : streams) {
          // After one has thrown the others go on by an element, too, so that all of them stand behind what failed.
          try {
            if (!stream->next(part)) return false;
          } catch (...) {
            if (!error) error = std::current_exception();
            continue;
          }
          for (Tensor& tensor : part) all.push_back(std::move(tensor));
        }
        if (error) std::rethrow_exception(error);
        element = std::move(all);
        return true;
      }
      std::int64_t skip(std::int64_t count) override {
        for (const auto& stream : streams) count = std::min(count, stream->skip(count));
        return count;
      }
      std::vector<StreamPtr<Tensors>> streams;
    };
    auto zipped = std::make_unique<Zipped>();
    for (const NodePtr& upstream : upstreams_) zipped->streams.push_back(upstream->open(epoch));
    return zipped;
  }

 private:
  std::vector<NodePtr> upstreams_;
};

class EnumerateNode final : public Node {
 public:
  EnumerateNode(NodePtr upstream, std::int64_t start) : upstream_(std::move(upstream)), start_(start) {}
  std::int64_t cardinality() const override { return upstream_->cardinality(); }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Numbered final : Stream<Tensors> {
      Numbered(StreamPtr<Tensors> upstream, std::int64_t number) : upstream(std::move(upstream)), number(number) {}
      bool next(Tensors& element) override {
        Tensors values;
        const std::int64_t here = number++;  // one that fails has its number, too
        if (!upstream->next(values)) return false;
        element = {scalar(here, int64)};
        for (Tensor& tensor : values) element.push_back(std::move(tensor));
        return true;
      }
      std::int64_t skip(std::int64_t count) override {
        const std::int64_t skipped = upstream->skip(count);
        number += skipped;
        return skipped;
      }
      StreamPtr<Tensors> upstream;
      std::int64_t number;
    };
    return std::make_unique<Numbered>(upstream_->open(epoch), start_);
  }

 private:
  NodePtr upstream_;
  std::int64_t start_;
};

}  // namespace

NodePtr make_map(NodePtr upstream, ElementFunction f) { return std::make_shared<MapNode>(std::move(upstream), std::move(f)); }
NodePtr make_filter(NodePtr upstream, ElementPredicate predicate) { return std::make_shared<FilterNode>(std::move(upstream), std::move(predicate)); }
NodePtr make_concatenate(NodePtr first, NodePtr second) { return std::make_shared<ConcatenateNode>(std::move(first), std::move(second)); }
NodePtr make_zip(std::vector<NodePtr> upstreams) { return std::make_shared<ZipNode>(std::move(upstreams)); }
NodePtr make_enumerate(NodePtr upstream, std::int64_t start) { return std::make_shared<EnumerateNode>(std::move(upstream), start); }

}  // namespace lockstep::io

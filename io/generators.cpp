// Sources that are computed: numbers, lists, functions.

#include <algorithm>
#include <utility>
#include <vector>

#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

class RangeNode final : public Node {
 public:
  RangeNode(std::int64_t start, std::int64_t stop, std::int64_t step) : start_(start), step_(step), count_(count_of(start, stop, step)) {}
  std::int64_t cardinality() const override { return count_; }
  StreamPtr<Tensors> open(std::int64_t) const override {
    struct Range final : Stream<Tensors> {
      Range(std::int64_t start, std::int64_t step, std::int64_t count) : start(start), step(step), count(count) {}
      bool next(Tensors& element) override {
        if (at == count) return false;
        // Unsigned: the step's multiple may be too long where the number is not.
        element = {scalar(std::int64_t(std::uint64_t(start) + std::uint64_t(step) * std::uint64_t(at++)), int64)};
        return true;
      }
      std::int64_t skip(std::int64_t wanted) override {
        const std::int64_t skipped = std::min(wanted, count - at);
        at += skipped;
        return skipped;
      }
      std::int64_t start, step, count, at = 0;
    };
    return std::make_unique<Range>(start_, step_, count_);
  }

 private:
  static std::int64_t count_of(std::int64_t start, std::int64_t stop, std::int64_t step) {
    if (step > 0 ? start >= stop : start <= stop) return 0;
    // Unsigned: the way from start to stop may be longer than the largest number.
    const std::uint64_t way = step > 0 ? std::uint64_t(stop) - std::uint64_t(start) : std::uint64_t(start) - std::uint64_t(stop);
    const std::uint64_t stride = step > 0 ? std::uint64_t(step) : std::uint64_t(0) - std::uint64_t(step);
    const std::uint64_t count = (way - 1) / stride + 1;
    if (count > std::uint64_t(INT64_MAX)) throw InvalidArgumentError("there are too many numbers from " + std::to_string(start) + " to " + std::to_string(stop), "Dataset.range");
    return std::int64_t(count);
  }
  std::int64_t start_, step_, count_;
};

class GeneratorNode final : public Node {
 public:
  explicit GeneratorNode(std::function<ElementSource(std::int64_t)> open) : open_(std::move(open)) {}
  std::int64_t cardinality() const override { return kUnknown; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Generated final : Stream<Tensors> {
      explicit Generated(ElementSource source) : source(std::move(source)) {}
      bool next(Tensors& element) override {
        if (!source) return false;
        // A source that has thrown has ended: nobody knows what it would do.
        ElementSource trusted = std::exchange(source, nullptr);
        if (!trusted(element)) return false;
        require_elements(element, "Dataset.from_generator");
        source = std::move(trusted);
        return true;
      }
      ElementSource source;
    };
    return std::make_unique<Generated>(open_(epoch));
  }

 private:
  std::function<ElementSource(std::int64_t)> open_;
};

class ListNode final : public Node {
 public:
  explicit ListNode(std::vector<Tensors> elements) : elements_(std::move(elements)) {}
  std::int64_t cardinality() const override { return std::ssize(elements_); }
  StreamPtr<Tensors> open(std::int64_t) const override {
    struct Listed final : Stream<Tensors> {
      explicit Listed(const std::vector<Tensors>& elements) : elements(elements) {}
      bool next(Tensors& element) override {
        if (at == std::ssize(elements)) return false;
        element = elements[std::size_t(at++)];
        return true;
      }
      std::int64_t skip(std::int64_t count) override {
        const std::int64_t skipped = std::min(count, std::ssize(elements) - at);
        at += skipped;
        return skipped;
      }
      const std::vector<Tensors>& elements;
      std::int64_t at = 0;
    };
    return std::make_unique<Listed>(elements_);
  }

 private:
  std::vector<Tensors> elements_;
};

}  // namespace

NodePtr make_range(std::int64_t start, std::int64_t stop, std::int64_t step) { return std::make_shared<RangeNode>(start, stop, step); }
NodePtr make_generator(std::function<ElementSource(std::int64_t)> open) { return std::make_shared<GeneratorNode>(std::move(open)); }
NodePtr make_list(std::vector<Tensors> elements) { return std::make_shared<ListNode>(std::move(elements)); }

}  // namespace lockstep::io

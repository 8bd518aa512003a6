// Elements in groups: windows that follow one another, and groups of one key. A group is a dataset of its own, of elements in memory.

#include <algorithm>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

struct Group {
  std::int64_t key = 0;
  std::vector<Tensors> elements;
};

/// Window i has the elements i * shift, i * shift + stride, ...
class WindowStream final : public Stream<Group> {
 public:
  WindowStream(StreamPtr<Tensors> upstream, std::int64_t size, const WindowOptions& options)
      : upstream_(std::move(upstream)), size_(size), shift_(options.shift == 0 ? size : options.shift), stride_(options.stride), drop_remainder_(options.drop_remainder) {}
  bool next(Group& group) override {
    // What lies between two windows that do not overlap is passed over.
    if (to_skip_ > 0 && upstream_->skip(std::exchange(to_skip_, 0)) == 0) ended_ = true;
    const std::int64_t span = (size_ - 1) * stride_ + 1;
    Tensors element;
    while (!ended_ && std::ssize(held_) < span) {
      if (upstream_->next(element)) held_.push_back(std::move(element));
      else ended_ = true;
    }
    if (held_.empty() || (drop_remainder_ && std::ssize(held_) < span)) return false;
    group.key = 0;
    group.elements.clear();
    for (std::int64_t i = 0; i < size_ && i * stride_ < std::ssize(held_); ++i) group.elements.push_back(held_[std::size_t(i * stride_)]);
    const std::int64_t gone = std::min(shift_, std::ssize(held_));
    held_.erase(held_.begin(), held_.begin() + gone);
    to_skip_ = shift_ - gone;
    return true;
  }

 private:
  StreamPtr<Tensors> upstream_;
  std::int64_t size_, shift_, stride_;
  bool drop_remainder_, ended_ = false;
  std::int64_t to_skip_ = 0;
  std::deque<Tensors> held_;
};

class KeyStream final : public Stream<Group> {
 public:
  KeyStream(StreamPtr<Tensors> upstream, const ElementNumber& key, const std::function<std::int64_t(std::int64_t)>& size) : upstream_(std::move(upstream)), key_(key), size_(size) {}
  bool next(Group& group) override {
    Tensors element;
    while (upstream_->next(element)) {
      const std::int64_t key = key_(element);
      auto found = groups_.find(key);
      if (found == groups_.end()) {
        const std::int64_t size = size_(key);
        if (size < 1) throw InvalidArgumentError("the window of key " + std::to_string(key) + " must have at least 1 element, got " + std::to_string(size), "Dataset.group_by_window");
        found = groups_.emplace(key, Waiting{size, {}}).first;
      }
      Waiting& waiting = found->second;
      waiting.elements.push_back(std::move(element));
      if (std::ssize(waiting.elements) == waiting.size) return give(found, group);
    }
    return !groups_.empty() && give(groups_.begin(), group);
  }

 private:
  struct Waiting {
    std::int64_t size = 0;
    std::vector<Tensors> elements;
  };
  bool give(std::map<std::int64_t, Waiting>::iterator found, Group& group) {
    group = {found->first, std::move(found->second.elements)};
    groups_.erase(found);
    return true;
  }
  StreamPtr<Tensors> upstream_;
  const ElementNumber& key_;
  const std::function<std::int64_t(std::int64_t)>& size_;
  std::map<std::int64_t, Waiting> groups_;
};

using GroupOpener = std::function<StreamPtr<Group>(std::int64_t epoch)>;

/// The elements of a dataset made of each group.
class GroupedNode final : public Node {
 public:
  GroupedNode(std::int64_t cardinality, GroupOpener open, detail::StructurePtr structure, WindowDataset reduce)
      : cardinality_(cardinality), open_(std::move(open)), structure_(std::move(structure)), reduce_(std::move(reduce)) {}
  std::int64_t cardinality() const override { return cardinality_; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    return one_after_the_other([this, groups = open_(epoch), epoch]() -> Opened {
      Group group;
      if (!groups->next(group)) return {};
      return opened(reduce_(group.key, Dataset(make_list(std::move(group.elements)), structure_)).node(), epoch);
    });
  }

 private:
  std::int64_t cardinality_;
  GroupOpener open_;
  detail::StructurePtr structure_;
  WindowDataset reduce_;
};

/// One element of each group.
class GroupMapNode final : public Node {
 public:
  GroupMapNode(std::int64_t cardinality, GroupOpener open, detail::StructurePtr structure, std::function<Tensors(const Dataset&)> f)
      : cardinality_(cardinality), open_(std::move(open)), structure_(std::move(structure)), f_(std::move(f)) {}
  std::int64_t cardinality() const override { return cardinality_; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Mapped final : Stream<Tensors> {
      Mapped(const GroupMapNode& node, StreamPtr<Group> groups) : node(node), groups(std::move(groups)) {}
      bool next(Tensors& element) override {
        Group group;
        if (!groups->next(group)) return false;
        element = node.f_(Dataset(make_list(std::move(group.elements)), node.structure_));
        return true;
      }
      std::int64_t skip(std::int64_t count) override { return groups->skip(count); }
      const GroupMapNode& node;
      StreamPtr<Group> groups;
    };
    return std::make_unique<Mapped>(*this, open_(epoch));
  }

 private:
  std::int64_t cardinality_;
  GroupOpener open_;
  detail::StructurePtr structure_;
  std::function<Tensors(const Dataset&)> f_;
};

std::int64_t window_count(std::int64_t elements, std::int64_t size, const WindowOptions& options) {
  if (elements < 0) return elements;
  const std::int64_t shift = options.shift == 0 ? size : options.shift, span = (size - 1) * options.stride + 1;
  if (options.drop_remainder) return elements < span ? 0 : (elements - span) / shift + 1;
  return elements / shift + (elements % shift ? 1 : 0);
}

GroupOpener window_opener(NodePtr upstream, std::int64_t size, const WindowOptions& options) {
  return [upstream = std::move(upstream), size, options](std::int64_t epoch) -> StreamPtr<Group> { return std::make_unique<WindowStream>(upstream->open(epoch), size, options); };
}

}  // namespace

NodePtr make_windows(NodePtr upstream, detail::StructurePtr structure, std::int64_t size, const WindowOptions& options, WindowDataset reduce) {
  const std::int64_t windows = window_count(upstream->cardinality(), size, options);
  return std::make_shared<GroupedNode>(windows == 0 ? 0 : kUnknown, window_opener(std::move(upstream), size, options), std::move(structure), std::move(reduce));
}

NodePtr make_window_map(NodePtr upstream, detail::StructurePtr structure, std::int64_t size, const WindowOptions& options, std::function<Tensors(const Dataset&)> f) {
  const std::int64_t windows = window_count(upstream->cardinality(), size, options);
  return std::make_shared<GroupMapNode>(windows, window_opener(std::move(upstream), size, options), std::move(structure), std::move(f));
}

NodePtr make_groups(NodePtr upstream, detail::StructurePtr structure, ElementNumber key, WindowDataset reduce, std::function<std::int64_t(std::int64_t)> size) {
  const std::int64_t cardinality = upstream->cardinality() == 0 ? 0 : kUnknown;
  GroupOpener open = [upstream = std::move(upstream), key = std::move(key), size = std::move(size)](std::int64_t epoch) -> StreamPtr<Group> {
    return std::make_unique<KeyStream>(upstream->open(epoch), key, size);
  };
  return std::make_shared<GroupedNode>(cardinality, std::move(open), std::move(structure), std::move(reduce));
}

}  // namespace lockstep::io

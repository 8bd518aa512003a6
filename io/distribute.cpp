// Three steps: the elements of each global batch are counted off and the own ones let through, each with a mark that says how many follow together and
// how many the batch has; the maps that stood at the dataset's end compute them; and what belongs together is stacked.

#include <lockstep/io/distribute.h>

#include <utility>
#include <vector>

#include <lockstep/dist/replica.h>
#include <lockstep/dist/world.h>
#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io {
namespace {

struct Part {
  Batching batching;  // of all ranks together
  int rank, world;
};

/// own rows, global rows
Tensor mark_of(std::int64_t own, std::int64_t global) { return constant(std::vector<std::int64_t>{own, global}); }

/// Own rows of a table: the fast path, without maps in between.
class OwnRows final : public Stream<Tensors> {
 public:
  OwnRows(const Tensors& table, StreamPtr<RowNumber> upstream, const Part& part) : table_(table), upstream_(std::move(upstream)), part_(part) {}
  bool next(Tensors& batch) override {
    std::vector<RowNumber> rows;
    if (!part_.batching.next(*upstream_, rows)) return false;
    const dist::RowRange own = dist::rows_of_part(std::ssize(rows), part_.rank, part_.world);
    const std::vector<RowNumber> mine(rows.begin() + own.begin, rows.begin() + own.end);
    batch = gather_rows(table_, mine.empty() ? std::vector<RowNumber>{rows[0]} : mine);
    if (mine.empty())
      for (Tensor& tensor : batch) tensor = tensor[slice(0, 0)];
    batch.push_back(mark_of(std::ssize(mine), std::ssize(rows)));
    return true;
  }
  std::int64_t skip(std::int64_t count) override { return part_.batching.skip(*upstream_, count); }

 private:
  const Tensors& table_;
  StreamPtr<RowNumber> upstream_;
  Part part_;
};

/// Own elements, marked. A rank without any in a batch gets the first one, so that it knows what they look like.
class OwnElements final : public Stream<Tensors> {
 public:
  OwnElements(StreamPtr<Tensors> upstream, const Part& part) : upstream_(std::move(upstream)), part_(part) {}
  bool next(Tensors& element) override {
    if (at_ == std::ssize(own_) && !read()) return false;
    element = std::move(own_[std::size_t(at_++)]);
    element.push_back(mark_);
    return true;
  }
  /// In batches: nothing is skipped inside of one.
  std::int64_t skip(std::int64_t count) override { return part_.batching.skip(*upstream_, count); }

 private:
  bool read() {
    std::vector<Tensors> all;
    if (!part_.batching.next(*upstream_, all)) return false;
    const dist::RowRange own = dist::rows_of_part(std::ssize(all), part_.rank, part_.world);
    mark_ = mark_of(own.end - own.begin, std::ssize(all));
    own_.assign(all.begin() + own.begin, all.begin() + own.end);
    if (own_.empty()) own_.push_back(all[0]);
    at_ = 0;
    return true;
  }
  StreamPtr<Tensors> upstream_;
  Part part_;
  std::vector<Tensors> own_;
  Tensor mark_;
  std::int64_t at_ = 0;
};

class OwnNode final : public Node {
 public:
  OwnNode(NodePtr upstream, const Part& part, bool elements) : upstream_(std::move(upstream)), part_(part), elements_(elements) {}
  std::int64_t cardinality() const override { return part_.batching.count(upstream_->cardinality()); }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    if (!elements_) return std::make_unique<OwnRows>(*upstream_->table(), upstream_->open_rows(epoch), part_);
    return std::make_unique<OwnElements>(upstream_->open(epoch), part_);
  }

 private:
  NodePtr upstream_;
  Part part_;
  bool elements_;
};

/// Marked elements that belong together, as a batch with the mark behind it.
class TogetherNode final : public Node {
 public:
  explicit TogetherNode(NodePtr upstream) : upstream_(std::move(upstream)) {}
  std::int64_t cardinality() const override { return upstream_->cardinality(); }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Together final : Stream<Tensors> {
      explicit Together(StreamPtr<Tensors> upstream) : upstream(std::move(upstream)) {}
      bool next(Tensors& batch) override {
        std::vector<Tensors> elements;
        Tensors element;
        Tensor mark;
        do {
          if (!upstream->next(element)) return false;
          mark = element.back();
          element.pop_back();
          elements.push_back(std::move(element));
        } while (std::ssize(elements) < mark.data<std::int64_t>()[0]);
        batch = stack_elements(elements);
        if (mark.data<std::int64_t>()[0] == 0)
          for (Tensor& tensor : batch) tensor = tensor[slice(0, 0)];
        batch.push_back(mark);
        return true;
      }
      std::int64_t skip(std::int64_t count) override { return upstream->skip(count); }
      StreamPtr<Tensors> upstream;
    };
    return std::make_unique<Together>(upstream_->open(epoch));
  }

 private:
  NodePtr upstream_;
};

NodePtr distributed(NodePtr node, const Part& part, std::int64_t prefetch) {
  // The maps at the end, the last one first: they compute what is left when others' elements are gone.
  std::vector<ElementFunction> maps;
  int threads = 0;
  while (const std::optional<Node::Computed> last = node->computed()) {
    if (last->f) maps.push_back(last->f);
    threads = std::max(threads, last->threads);
    node = last->upstream;
  }
  if (maps.empty() && node->table()) {
    node = std::make_shared<OwnNode>(std::move(node), part, false);
  } else {
    ElementFunction all = [maps](const Tensors& marked) {
      Tensors element = marked;
      const Tensor mark = element.back();
      element.pop_back();
      for (auto f = maps.rbegin(); f != maps.rend(); ++f) element = (*f)(element);
      element.push_back(mark);
      return element;
    };
    node = std::make_shared<OwnNode>(std::move(node), part, true);
    if (!maps.empty()) node = threads > 0 ? make_background(std::move(node), std::move(all), {.threads = threads, .capacity = 2 * std::int64_t(threads)}) : make_map(std::move(node), std::move(all));
    node = std::make_shared<TogetherNode>(std::move(node));
  }
  return prefetch > 0 ? make_background(std::move(node), nullptr, {.capacity = prefetch}) : node;
}

}  // namespace

DistributedSource::DistributedSource(const Dataset& dataset, const DistributeOptions& options) {
  if (options.batch_size < 1) throw InvalidArgumentError("batch_size must be at least 1, got " + std::to_string(options.batch_size), "DistributedSource");
  if (options.prefetch < 0) throw InvalidArgumentError("prefetch must not be negative", "DistributedSource");
  const int world = options.world < 0 ? dist::world_size() : options.world, rank = options.rank < 0 ? dist::rank() : options.rank;
  if (rank >= world) throw InvalidArgumentError("rank " + std::to_string(rank) + " is not one of a world of " + std::to_string(world), "DistributedSource");
  iterator_ = std::make_unique<Iterator>(distributed(dataset.node(), {{options.batch_size, options.drop_remainder}, rank, world}, options.prefetch));
}

bool DistributedSource::next(Tensors& batch) {
  if (!iterator_->next(batch)) return false;
  global_rows_ = batch.back().data<std::int64_t>()[1];
  batch.pop_back();
  return true;
}

void DistributedSource::restore(const DatasetState& state) {
  if (state.ranks != 0) throw FailedPreconditionError("the position is one of a stream for each rank, and this is one stream for all", "DistributedSource", "go on with a ShardedSource");
  iterator_->restore(state);
}

}  // namespace lockstep::io

// Where elements come from, and how they are stacked to batches and taken apart again.

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/parallel.h>

namespace lockstep::io {
namespace {

/// The shape of one row.
Shape row_shape(const Shape& shape) { return Shape(shape.dims().subspan(1)); }

/// Rows of all tensors. Throws unless they agree.
std::int64_t common_rows(const Tensors& tensors, const char* step) {
  if (tensors.empty()) throw InvalidArgumentError("an element without tensors has no rows", step);
  for (const Tensor& tensor : tensors) {
    if (tensor.ndim() == 0) throw InvalidArgumentError("a scalar (" + to_string(tensor.spec()) + ") has no rows", step);
    if (tensor.shape()[0] != tensors[0].shape()[0])
      throw InvalidArgumentError("the tensors have unequal numbers of rows: " + to_string(tensors[0].spec()) + " and " + to_string(tensor.spec()), step);
  }
  return tensors[0].shape()[0];
}

// Asking memory for the rows to come while one is copied halves the time of a batch of 32 x 784 bytes, from 10 us to 5.
constexpr std::int64_t kAhead = 2;          // rows
constexpr std::int64_t kPrefetched = 4096;  // bytes of each; what follows the processor guesses itself

class TensorsNode final : public Node {
 public:
  explicit TensorsNode(Tensors tensors) : tensors_(std::move(tensors)) {}
  std::int64_t cardinality() const override { return 1; }
  StreamPtr<Tensors> open(std::int64_t) const override {
    struct Once final : Stream<Tensors> {
      explicit Once(const Tensors& tensors) : tensors(tensors) {}
      bool next(Tensors& element) override {
        if (std::exchange(done, true)) return false;
        element = tensors;
        return true;
      }
      const Tensors& tensors;
      bool done = false;
    };
    return std::make_unique<Once>(tensors_);
  }

 private:
  Tensors tensors_;
};

class Counting final : public Stream<RowNumber> {
 public:
  explicit Counting(std::int64_t count) : count_(count) {}
  bool next(RowNumber& row) override {
    if (at_ == count_) return false;
    row = at_++;
    return true;
  }
  std::int64_t skip(std::int64_t count) override {
    const std::int64_t skipped = std::min(count, count_ - at_);
    at_ += skipped;
    return skipped;
  }

 private:
  std::int64_t at_ = 0, count_;
};

class RowElements final : public Stream<Tensors> {
 public:
  RowElements(const Tensors& table, StreamPtr<RowNumber> rows) : table_(table), rows_(std::move(rows)) {}
  bool next(Tensors& element) override {
    RowNumber row = 0;
    if (!rows_->next(row)) return false;
    element = row_of(table_, row);
    return true;
  }
  std::int64_t skip(std::int64_t count) override { return rows_->skip(count); }

 private:
  const Tensors& table_;
  StreamPtr<RowNumber> rows_;
};

class SlicesNode final : public Node {
 public:
  explicit SlicesNode(Tensors tensors) : tensors_(std::move(tensors)), rows_(common_rows(tensors_, "Dataset.from_tensor_slices")) {}
  std::int64_t cardinality() const override { return rows_; }
  StreamPtr<Tensors> open(std::int64_t epoch) const override { return rows_as_elements(tensors_, open_rows(epoch)); }
  const Tensors* table() const override { return &tensors_; }
  StreamPtr<RowNumber> open_rows(std::int64_t) const override { return std::make_unique<Counting>(rows_); }

 private:
  Tensors tensors_;
  std::int64_t rows_;
};

/// Asks memory for a row before it is copied: rows of a shuffled table are in no cache, and the next one is not to be guessed.
void prefetch_bytes(const std::byte* from, std::int64_t count) {
  for (std::int64_t at = 0; at < std::min<std::int64_t>(count, kPrefetched); at += 64) __builtin_prefetch(from + at);
}

Tensor gather_rows_of(const Tensor& table, const std::vector<RowNumber>& rows) {
  const Shape row = row_shape(table.shape());
  const std::int64_t numel = row.numel(), count = std::int64_t(rows.size());
  const Shape shape = rows_shape(count, row);
  bool adjacent = true;
  for (std::size_t i = 1; i < rows.size() && adjacent; ++i) adjacent = rows[i] == rows[i - 1] + 1;
  if (adjacent) return Tensor::view(table, shape, rows[0] * numel);

  Tensor batch = Tensor::empty(shape, table.dtype());
  // Waking a second thread for less would cost more than it gains, above all on a machine that has other things to do.
  const std::int64_t row_bytes = std::max<std::int64_t>(1, numel * std::int64_t(itemsize(table.dtype())));
  parallel_for(count, std::max<std::int64_t>(1, (1 << 20) / row_bytes), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (i + kAhead < end) prefetch_bytes(static_cast<const std::byte*>(table.host_raw()) + rows[std::size_t(i + kAhead)] * row_bytes, row_bytes);
      copy_elements(batch, i * numel, table.host_raw(), rows[std::size_t(i)] * numel, numel);
    }
  });
  return batch;
}

/// Batches of elements, or of row numbers: the fast path of training from memory, on which there is no tensor but the batches.
template <class Element>
class Batches final : public Stream<Tensors> {
 public:
  using Join = std::function<Tensors(const std::vector<Element>&)>;
  Batches(StreamPtr<Element> upstream, const Batching& batching, Join join) : upstream_(std::move(upstream)), batching_(batching), join_(std::move(join)) {}
  bool next(Tensors& batch) override {
    if (!batching_.next(*upstream_, elements_)) return false;
    batch = join_(elements_);
    elements_.clear();
    return true;
  }
  std::int64_t skip(std::int64_t count) override { return batching_.skip(*upstream_, count); }

 private:
  StreamPtr<Element> upstream_;
  Batching batching_;
  Join join_;
  std::vector<Element> elements_;
};

class BatchNode final : public Node {
 public:
  BatchNode(NodePtr upstream, const Batching& batching, Join join) : upstream_(std::move(upstream)), batching_(batching), join_(std::move(join)) {}
  std::int64_t cardinality() const override { return batching_.count(upstream_->cardinality()); }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    if (join_) return std::make_unique<Batches<Tensors>>(upstream_->open(epoch), batching_, std::cref(join_));
    if (const Tensors* table = upstream_->table())
      return std::make_unique<Batches<RowNumber>>(upstream_->open_rows(epoch), batching_, [table](const std::vector<RowNumber>& rows) { return gather_rows(*table, rows); });
    return std::make_unique<Batches<Tensors>>(upstream_->open(epoch), batching_, stack_elements);
  }

 private:
  NodePtr upstream_;
  Batching batching_;
  Join join_;
};

class UnbatchNode final : public Node {
 public:
  explicit UnbatchNode(NodePtr upstream) : upstream_(std::move(upstream)) {}
  std::int64_t cardinality() const override {
    const std::int64_t n = upstream_->cardinality();
    return n == kInfinite || n == 0 ? n : kUnknown;
  }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    struct Rows final : Stream<Tensors> {
      explicit Rows(StreamPtr<Tensors> batches) : batches(std::move(batches)) {}
      bool next(Tensors& element) override {
        if (!more()) return false;
        element = row_of(batch, row++);
        return true;
      }
      std::int64_t skip(std::int64_t count) override {
        std::int64_t skipped = 0;
        while (skipped < count && more()) {
          const std::int64_t here = std::min(count - skipped, rows - row);
          row += here;
          skipped += here;
        }
        return skipped;
      }
      /// Is there a row at `row`, of this batch or a later one?
      bool more() {
        while (row == rows) {
          if (!batches->next(batch)) return false;
          rows = common_rows(batch, "Dataset.unbatch");
          row = 0;
        }
        return true;
      }
      StreamPtr<Tensors> batches;
      Tensors batch;
      std::int64_t row = 0, rows = 0;
    };
    return std::make_unique<Rows>(upstream_->open(epoch));
  }

 private:
  NodePtr upstream_;
};

}  // namespace

Shape rows_shape(std::int64_t rows, const Shape& row) {
  Shape shape{rows};
  for (const std::int64_t size : row) shape.push_back(size);
  return shape;
}

void require_elements(const Tensors& tensors, const char* step) {
  if (tensors.empty()) throw InvalidArgumentError("an element needs at least one tensor", step);
  for (const Tensor& tensor : tensors) {
    if (!tensor.defined()) throw InvalidArgumentError("a tensor is undefined", step);
    if (tensor.is_symbolic()) throw InvalidArgumentError("a tensor inside a traced function (" + to_string(tensor.spec()) + ") has no elements yet", step, "make the dataset outside");
  }
}

Tensors row_of(const Tensors& tensors, std::int64_t row) {
  Tensors element;
  for (const Tensor& tensor : tensors) {
    const Shape shape = row_shape(tensor.shape());
    element.push_back(Tensor::view(tensor, shape, row * shape.numel()));
  }
  return element;
}

void copy_elements(Tensor& to, std::int64_t to_offset, const void* from, std::int64_t from_offset, std::int64_t count) {
  if (to.dtype() == string) {
    std::copy_n(static_cast<const std::string*>(from) + from_offset, count, static_cast<std::string*>(to.mutable_raw()) + to_offset);
  } else if (count > 0) {
    const std::size_t size = itemsize(to.dtype());
    std::memcpy(static_cast<std::byte*>(to.mutable_raw()) + std::size_t(to_offset) * size, static_cast<const std::byte*>(from) + std::size_t(from_offset) * size, std::size_t(count) * size);
  }
}

Tensors gather_rows(const Tensors& table, const std::vector<RowNumber>& rows) {
  Tensors batch;
  for (const Tensor& tensor : table) batch.push_back(gather_rows_of(tensor, rows));
  return batch;
}

Tensors stack_elements(const std::vector<Tensors>& elements) {
  const Tensors& first = elements[0];
  for (const Tensors& element : elements) {
    if (element.size() != first.size())
      throw InvalidArgumentError("elements of " + std::to_string(first.size()) + " and of " + std::to_string(element.size()) + " tensors do not make a batch", "Dataset.batch");
    for (std::size_t c = 0; c < first.size(); ++c)
      if (element[c].spec() != first[c].spec())
        throw InvalidArgumentError("elements of unequal specs do not make a batch: tensor " + std::to_string(c) + " is " + to_string(first[c].spec()) + ", then " + to_string(element[c].spec()), "Dataset.batch");
  }
  Tensors batch;
  for (std::size_t c = 0; c < first.size(); ++c) {
    Tensor stacked = Tensor::empty(rows_shape(std::int64_t(elements.size()), first[c].shape()), first[c].dtype());
    const std::int64_t numel = first[c].numel();
    for (std::size_t i = 0; i < elements.size(); ++i) copy_elements(stacked, std::int64_t(i) * numel, elements[i][c].host_raw(), 0, numel);
    batch.push_back(std::move(stacked));
  }
  return batch;
}

std::int64_t nbytes_of(const Tensors& element) {
  std::int64_t total = 0;
  for (const Tensor& tensor : element) {
    total += std::int64_t(tensor.nbytes());
    if (tensor.dtype() == string)
      for (const std::string& text : tensor.data<std::string>()) total += std::int64_t(text.size());
  }
  return total;
}

StreamPtr<Tensors> rows_as_elements(const Tensors& table, StreamPtr<RowNumber> rows) { return std::make_unique<RowElements>(table, std::move(rows)); }

NodePtr make_tensors(Tensors tensors) {
  require_elements(tensors, "Dataset.from_tensors");
  for (Tensor& tensor : tensors) tensor = to(tensor, Device());
  return std::make_shared<TensorsNode>(std::move(tensors));
}
NodePtr make_slices(Tensors tensors) {
  require_elements(tensors, "Dataset.from_tensor_slices");
  for (Tensor& tensor : tensors) tensor = to(tensor, Device());
  return std::make_shared<SlicesNode>(std::move(tensors));
}
NodePtr make_batch(NodePtr upstream, const Batching& batching, Join join) { return std::make_shared<BatchNode>(std::move(upstream), batching, std::move(join)); }
NodePtr make_unbatch(NodePtr upstream) { return std::make_shared<UnbatchNode>(std::move(upstream)); }

}  // namespace lockstep::io

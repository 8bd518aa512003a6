// Batches of elements of unequal shapes: filled up to one shape, or as rows of unequal lengths.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io {
namespace {

/// Elements, collected to groups of `size`, and what becomes of each.
class Collected final : public Stream<Tensors> {
 public:
  using Join = std::function<Tensors(const std::vector<Tensors>&)>;
  Collected(StreamPtr<Tensors> upstream, std::int64_t size, bool drop_remainder, const Join& join) : upstream_(std::move(upstream)), size_(size), drop_remainder_(drop_remainder), join_(join) {}
  bool next(Tensors& batch) override {
    std::vector<Tensors> elements;
    Tensors element;
    while (std::ssize(elements) < size_ && upstream_->next(element)) elements.push_back(std::move(element));
    if (elements.empty() || (drop_remainder_ && std::ssize(elements) < size_)) return false;
    batch = join_(elements);
    return true;
  }
  std::int64_t skip(std::int64_t count) override {
    std::int64_t skipped = 0;
    for (; skipped < count; ++skipped) {
      const std::int64_t elements = upstream_->skip(size_);
      if (elements == 0 || (drop_remainder_ && elements < size_)) break;
    }
    return skipped;
  }

 private:
  StreamPtr<Tensors> upstream_;
  std::int64_t size_;
  bool drop_remainder_;
  const Join& join_;
};

class CollectedNode final : public Node {
 public:
  CollectedNode(NodePtr upstream, std::int64_t size, bool drop_remainder, Collected::Join join) : upstream_(std::move(upstream)), size_(size), drop_remainder_(drop_remainder), join_(std::move(join)) {}
  std::int64_t cardinality() const override {
    const std::int64_t n = upstream_->cardinality();
    return n < 0 ? n : n / size_ + (!drop_remainder_ && n % size_ ? 1 : 0);
  }
  StreamPtr<Tensors> open(std::int64_t epoch) const override { return std::make_unique<Collected>(upstream_->open(epoch), size_, drop_remainder_, join_); }

 private:
  NodePtr upstream_;
  std::int64_t size_;
  bool drop_remainder_;
  Collected::Join join_;
};

/// Throws unless the elements have as many tensors each, and tensor c of all one dtype and number of axes.
void require_alike(const std::vector<Tensors>& elements, const char* step) {
  const Tensors& first = elements[0];
  for (const Tensors& element : elements) {
    if (element.size() != first.size()) throw InvalidArgumentError("elements of " + std::to_string(first.size()) + " and of " + std::to_string(element.size()) + " tensors do not make a batch", step);
    for (std::size_t c = 0; c < first.size(); ++c)
      if (element[c].dtype() != first[c].dtype() || element[c].ndim() != first[c].ndim())
        throw InvalidArgumentError("tensor " + std::to_string(c) + " is " + to_string(first[c].spec()) + ", then " + to_string(element[c].spec()) + ": a batch needs one dtype and one number of axes", step);
  }
}

/// Copies `from` into the corner of a block of `shape` elements that begins at `offset`.
void copy_corner(Tensor& to, std::int64_t offset, const Shape& shape, const Tensor& from) {
  if (from.numel() == 0) return;
  if (from.ndim() == 0) return copy_elements(to, offset, from.raw(), 0, 1);
  const int last = from.ndim() - 1;
  const std::int64_t run = from.shape()[last], runs = from.numel() / run;
  std::vector<std::int64_t> index(std::size_t(last), 0);
  for (std::int64_t r = 0; r < runs; ++r) {
    std::int64_t at = 0;
    for (int axis = 0; axis < last; ++axis) at = at * shape[axis] + index[std::size_t(axis)];
    copy_elements(to, offset + at * shape[last], from.raw(), r * run, run);
    for (int axis = last - 1; axis >= 0 && ++index[std::size_t(axis)] == from.shape()[axis]; --axis) index[std::size_t(axis)] = 0;
  }
}

/// Shape of tensor `c` in the batch, without its first axis.
Shape padded_shape(const std::vector<Tensors>& elements, std::size_t c, const PaddedBatchOptions& options) {
  const int ndim = elements[0][c].ndim();
  std::vector<std::int64_t> wanted(std::size_t(ndim), -1);
  if (!options.padded_shapes.empty()) {
    wanted = options.padded_shapes[c];
    if (std::ssize(wanted) != ndim)
      throw InvalidArgumentError("padded_shapes has " + std::to_string(wanted.size()) + " axes for tensor " + std::to_string(c) + ", which is " + to_string(elements[0][c].spec()), "Dataset.padded_batch");
  }
  Shape shape;
  for (int axis = 0; axis < ndim; ++axis) {
    std::int64_t longest = 0;
    for (const Tensors& element : elements) longest = std::max(longest, element[c].shape()[axis]);
    const std::int64_t size = wanted[std::size_t(axis)];
    if (size >= 0 && longest > size)
      throw InvalidArgumentError("an element has " + std::to_string(longest) + " in axis " + std::to_string(axis) + " of tensor " + std::to_string(c) + ", padded_shapes only " + std::to_string(size), "Dataset.padded_batch");
    shape.push_back(size < 0 ? longest : size);
  }
  return shape;
}

Tensors pad(const std::vector<Tensors>& elements, const PaddedBatchOptions& options) {
  require_alike(elements, "Dataset.padded_batch");
  const std::size_t width = elements[0].size();
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) throw InvalidArgumentError(what, "Dataset.padded_batch");
  };
  require(options.padded_shapes.empty() || options.padded_shapes.size() == width, std::to_string(options.padded_shapes.size()) + " padded_shapes do not go with elements of " + std::to_string(width) + " tensors");
  require(options.padding_values.size() <= 1 || options.padding_values.size() == width, std::to_string(options.padding_values.size()) + " padding_values do not go with elements of " + std::to_string(width) + " tensors");
  Tensors batch;
  for (std::size_t c = 0; c < width; ++c) {
    const Shape shape = padded_shape(elements, c, options);
    const DType dtype = elements[0][c].dtype();
    Tensor padded = dtype == string ? Tensor::empty(rows_shape(std::ssize(elements), shape), dtype) : zeros(rows_shape(std::ssize(elements), shape), dtype);
    if (!options.padding_values.empty()) {
      const Tensor& value = options.padding_values[options.padding_values.size() == 1 ? 0 : c];
      require(value.ndim() == 0, "a padding value is a scalar, not " + to_string(value.spec()));
      // One value for all goes as far as its kind: a number does not fill strings, nor a string numbers.
      require(value.dtype() == dtype || (options.padding_values.size() == 1 && width > 1) || (value.dtype() != string && dtype != string),
              "tensor " + std::to_string(c) + " is " + to_string(elements[0][c].spec()) + " and cannot be filled up with " + std::string(name(value.dtype())));
      if ((value.dtype() == string) == (dtype == string)) {
        if (dtype == string) std::fill_n(padded.mutable_data<std::string>(), padded.numel(), value.item<std::string>());
        else padded = broadcast_to(cast(value, dtype), Ints(padded.shape().begin(), padded.shape().end()));
        if (!padded.unique()) {  // a broadcast may share its elements
          Tensor own = Tensor::empty(padded.shape(), dtype);
          copy_elements(own, 0, padded.raw(), 0, padded.numel());
          padded = std::move(own);
        }
      }
    }
    for (std::size_t i = 0; i < elements.size(); ++i) copy_corner(padded, std::int64_t(i) * shape.numel(), shape, elements[i][c]);
    batch.push_back(std::move(padded));
  }
  return batch;
}

/// Tensor `c` of all elements: its values in one row, and the row splits of every axis.
Nest ragged_of(const std::vector<Tensors>& elements, std::size_t c) {
  const int ndim = elements[0][c].ndim();
  std::vector<std::vector<std::int64_t>> splits(std::size_t(ndim), {0});
  std::int64_t total = 0;
  for (const Tensors& element : elements) {
    std::int64_t rows = 1;  // pieces so far that axis `axis` cuts
    for (int axis = 0; axis < ndim; ++axis) {
      const std::int64_t size = element[c].shape()[axis];
      for (std::int64_t row = 0; row < rows; ++row) splits[std::size_t(axis)].push_back(splits[std::size_t(axis)].back() + size);
      rows *= size;
    }
    total += element[c].numel();
  }
  Tensor values = Tensor::empty({total}, elements[0][c].dtype());
  std::int64_t at = 0;
  for (const Tensors& element : elements) {
    copy_elements(values, at, element[c].raw(), 0, element[c].numel());
    at += element[c].numel();
  }
  std::vector<Tensor> rows;
  for (const auto& each : splits) rows.push_back(constant(each));
  return Nest::ragged(std::move(values), rows);
}

/// `structure` with rows of unequal lengths where the elements' tensors have axes.
Structure with_ragged(const Structure& structure, const Tensors& element, std::size_t& at) {
  Structure result = structure;
  if (structure.kind == Structure::Kind::tensor) {
    const int ndim = element[at++].ndim();
    if (ndim > 0) result.kind = Structure::Kind::ragged, result.splits = ndim;
  } else if (structure.kind == Structure::Kind::ragged || structure.kind == Structure::Kind::sparse) {
    throw TypeError("elements that are ragged or sparse already are not batched once more", "Dataset.ragged_batch");
  }
  for (Structure& part : result.parts) part = with_ragged(part, element, at);
  return result;
}

}  // namespace

NodePtr make_padded_batch(NodePtr upstream, std::int64_t size, PaddedBatchOptions options) {
  const bool drop_remainder = options.drop_remainder;
  return std::make_shared<CollectedNode>(std::move(upstream), size, drop_remainder, [options = std::move(options)](const std::vector<Tensors>& elements) { return pad(elements, options); });
}

NodePtr make_ragged_batch(NodePtr upstream, detail::StructurePtr structure, detail::StructurePtr result, std::int64_t size, bool drop_remainder) {
  return std::make_shared<CollectedNode>(std::move(upstream), size, drop_remainder, [structure = std::move(structure), result = std::move(result)](const std::vector<Tensors>& elements) {
    require_alike(elements, "Dataset.ragged_batch");
    std::size_t at = 0;
    result->set(with_ragged(detail::as_nest(elements[0], structure).structure(), elements[0], at));
    Tensors batch;
    for (std::size_t c = 0; c < elements[0].size(); ++c) {
      std::vector<Tensors> scalars;
      if (elements[0][c].ndim() == 0) {
        for (const Tensors& element : elements) scalars.push_back({element[c]});
        batch.push_back(stack_elements(scalars)[0]);
      } else {
        const Nest rows = ragged_of(elements, c);
        for (const Tensor& each : rows.flat()) batch.push_back(each);
      }
    }
    return batch;
  });
}

}  // namespace lockstep::io

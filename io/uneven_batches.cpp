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
  if (from.ndim() == 0) return copy_elements(to, offset, from.host_raw(), 0, 1);
  const int last = from.ndim() - 1;
  const std::int64_t run = from.shape()[last], runs = from.numel() / run;
  std::vector<std::int64_t> index(std::size_t(last), 0);
  for (std::int64_t r = 0; r < runs; ++r) {
    std::int64_t at = 0;
    for (int axis = 0; axis < last; ++axis) at = at * shape[axis] + index[std::size_t(axis)];
    copy_elements(to, offset + at * shape[last], from.host_raw(), r * run, run);
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

/// A tensor whose elements are all the scalar `value`.
Tensor filled(const Shape& shape, const Tensor& value) {
  Tensor tensor = Tensor::empty(shape, value.dtype());
  const std::int64_t count = tensor.numel();
  if (count > 0) copy_elements(tensor, 0, value.host_raw(), 0, 1);
  for (std::int64_t done = 1; done < count; done *= 2) copy_elements(tensor, done, tensor.raw(), 0, std::min(done, count - done));
  return tensor;
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
    Tensor filler = zeros({}, dtype);
    if (!options.padding_values.empty()) {
      const Tensor& value = options.padding_values[options.padding_values.size() == 1 ? 0 : c];
      require(value.ndim() == 0, "a padding value is a scalar, not " + to_string(value.spec()));
      // One value for all goes as far as its kind: a number does not fill strings, nor a string numbers.
      const bool fits = (value.dtype() == string) == (dtype == string);
      require(fits || (options.padding_values.size() == 1 && width > 1), "tensor " + std::to_string(c) + " is " + to_string(elements[0][c].spec()) + " and cannot be filled up with " + std::string(name(value.dtype())));
      if (fits) filler = dtype == string ? value : cast(value, dtype);
    }
    Tensor padded = filled(rows_shape(std::ssize(elements), shape), filler);
    for (std::size_t i = 0; i < elements.size(); ++i) copy_corner(padded, std::int64_t(i) * shape.numel(), shape, elements[i][c]);
    batch.push_back(std::move(padded));
  }
  return batch;
}

/// Appends tensor `c` of all elements: its values in one row, and the row splits of every axis, as in Nest::ragged.
void append_ragged(const std::vector<Tensors>& elements, std::size_t c, Tensors& batch) {
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
    copy_elements(values, at, element[c].host_raw(), 0, element[c].numel());
    at += element[c].numel();
  }
  batch.push_back(std::move(values));
  for (const auto& each : splits) batch.push_back(constant(each));
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
  const Batching batching{size, options.drop_remainder};
  return make_batch(std::move(upstream), batching, [options = std::move(options)](const std::vector<Tensors>& elements) { return pad(elements, options); });
}

NodePtr make_ragged_batch(NodePtr upstream, detail::StructurePtr structure, detail::StructurePtr result, const Batching& batching) {
  return make_batch(std::move(upstream), batching, [structure = std::move(structure), result = std::move(result)](const std::vector<Tensors>& elements) {
    require_alike(elements, "Dataset.ragged_batch");
    std::size_t at = 0;
    result->set(with_ragged(detail::as_nest(elements[0], structure).structure(), elements[0], at));
    Tensors batch;
    for (std::size_t c = 0; c < elements[0].size(); ++c) {
      if (elements[0][c].ndim() == 0) {
        std::vector<Tensors> scalars;
        for (const Tensors& element : elements) scalars.push_back({element[c]});
        batch.push_back(stack_elements(scalars)[0]);
      } else {
        append_ragged(elements, c, batch);
      }
    }
    return batch;
  });
}

}  // namespace lockstep::io

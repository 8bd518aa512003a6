// The class: how it is made, its parts, indexing and padding. Rows are moved by gathering values, so that gradients follow.

#include <lockstep/tensor/ragged.h>

#include <algorithm>
#include <ostream>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops/index_walk.h>
#include <lockstep/tensor/ops/row_splits.h>
#include <lockstep/tensor/print.h>
#include <lockstep/tensor/ragged_parts.h>

namespace lockstep {
namespace {

constexpr const char* kRagged = "RaggedTensor";

bool has_data(const Tensor& x) { return !x.is_symbolic(); }

Tensor int64_of(const Tensor& x) { return x.dtype() == int64 ? x : cast(x, int64); }

Tensor int64_constant(const std::vector<std::int64_t>& values) { return constant(values); }

std::int64_t rows_of(const RaggedTensor& x) { return x.is_ragged() ? x.nrows() : x.flat_values().shape()[0]; }

/// Splits with data are checked where they are given; others by the kernels that walk them.
void require_row_splits(const RaggedTensor& values, const Tensor& splits) {
  if (!kIndexInts.contains(splits.dtype())) throw TypeError("row splits must be int32 or int64, got " + to_string(splits.spec()), kRagged);
  if (values.ndim() < 1) throw InvalidArgumentError("values must have at least one axis, got " + to_string(values.flat_values().spec()), kRagged);
  if (!splits.shape().known()) return;
  if (splits.ndim() != 1 || splits.shape()[0] < 1) throw InvalidArgumentError("row splits must have one axis, of at least one element, got " + to_string(splits.spec()), kRagged);
  if (!has_data(splits)) return;
  const Tensor wide = [&] {
    const Unheard unheard;
    return int64_of(splits);
  }();
  const Splits s = wide.data<std::int64_t>();
  const Shape& below = values.is_ragged() ? values.row_splits().shape() : values.flat_values().shape();
  require_splits(s, below.known() ? rows_of(values) : s.back(), kRagged);
}

/// Row lengths, ids, starts or limits. (Data inside a trace may leave the shape open.)
void require_one_axis_of_ints(const Tensor& x, const char* what) {
  if (!kIndexInts.contains(x.dtype())) throw TypeError(std::string(what) + " must be int32 or int64, got " + to_string(x.spec()), kRagged);
  if (x.shape().known() && x.ndim() != 1) throw InvalidArgumentError(std::string(what) + " must have one axis, got " + to_string(x.spec()), kRagged);
}

/// 0 and the running sums of the lengths.
Tensor splits_from_lengths(const Tensor& lengths) {
  const std::vector<Tensor> parts{int64_constant({0}), cumsum(int64_of(lengths))};
  return concat(parts, 0);
}

/// Rows by number: one gather at each depth.
RaggedTensor take_rows(const RaggedTensor& x, const Tensor& rows) {
  if (!x.is_ragged()) return {gather(x.flat_values(), rows), x.flat_ndim()};
  static const OpDef& op = find_op("ragged_take_rows");
  const Tensors taken = apply_all(op, {x.row_splits(), rows});
  return RaggedTensor::from_row_splits(take_rows(x.values(), taken[1]), taken[0]);
}

AttrValue optional_attr(const std::optional<std::int64_t>& value) { return value ? AttrValue(*value) : AttrValue(None{}); }

RaggedTensor slice_each_row(const RaggedTensor& x, const Index& index) {
  static const OpDef& op = find_op("ragged_slice_rows");
  if (index.step == 0) throw InvalidArgumentError("the step of a slice must not be 0", kRagged);
  const Tensors part = apply_all(op, {x.row_splits()}, {{"start", optional_attr(index.start)}, {"stop", optional_attr(index.stop)}, {"step", optional_attr(index.step)}});
  return RaggedTensor::from_row_splits(take_rows(x.values(), part[1]), part[0]);
}

/// The numbers that a slice of `count` rows names.
std::vector<std::int64_t> sliced_numbers(const Index& index, std::int64_t count) {
  if (index.step == 0) throw InvalidArgumentError("the step of a slice must not be 0", kRagged);
  const index_walk::SliceRange range = index_walk::slice_range(index.start, index.stop, index.step, count);
  std::vector<std::int64_t> numbers;
  for (std::int64_t k = 0; k < range.count; ++k) numbers.push_back(range.start + k * range.step);
  return numbers;
}

Tensor index_dense(const Tensor& x, std::span<const Index> spec) { return spec.empty() ? x : strided_slice(x, IndexList(spec.begin(), spec.end())); }

/// `spec` applied within each row of x.
RaggedTensor index_rows(const RaggedTensor& x, std::span<const Index> spec) {
  if (spec.empty()) return x;
  if (!x.is_ragged()) {
    IndexList whole{all};
    whole.insert(whole.end(), spec.begin(), spec.end());
    return {strided_slice(x.flat_values(), whole), x.flat_ndim()};
  }
  const Index& first = spec[0];
  if (first.kind == Index::Kind::newaxis) {
    const RaggedTensor wider = ragged::expand_dims(x, 1);
    return wider.with_values(index_rows(wider.values(), spec.subspan(1)));
  }
  if (first.kind == Index::Kind::integer)
    throw InvalidArgumentError("rows of different lengths cannot be indexed by " + std::to_string(*first.start) + " within", kRagged, "take a slice, or pad the rows with to_tensor");
  const bool whole = !first.start && !first.stop && !first.step;
  const RaggedTensor part = whole ? x : slice_each_row(x, first);
  return spec.size() == 1 ? part : part.with_values(index_rows(part.values(), spec.subspan(1)));
}

RaggedTensor index_ragged(const RaggedTensor& x, std::span<const Index> spec) {
  if (spec.empty()) return x;
  if (!x.is_ragged()) return index_dense(x.flat_values(), spec);
  const Index& first = spec[0];
  const std::span<const Index> rest = spec.subspan(1);
  if (first.kind == Index::Kind::newaxis) return ragged::expand_dims(index_ragged(x, rest), 0);
  const std::int64_t rows = x.nrows();
  if (first.kind == Index::Kind::integer) {
    const std::int64_t row = *first.start < 0 ? *first.start + rows : *first.start;
    if (row < 0 || row >= rows) throw IndexError("index " + std::to_string(*first.start) + " is out of range for " + std::to_string(rows) + " rows", kRagged);
    static const OpDef& op = find_op("ragged_take_rows");
    return index_ragged(take_rows(x.values(), apply_all(op, {x.row_splits(), int64_constant({row})})[1]), rest);
  }
  const bool whole = !first.start && !first.stop && !first.step;
  return index_rows(whole ? x : take_rows(x, int64_constant(sliced_numbers(first, rows))), rest);
}

/// An ellipsis stands for as many whole axes as are left.
IndexList without_ellipsis(const IndexList& spec, int ndim) {
  int named = 0, ellipses = 0;
  for (const Index& index : spec) named += index.kind == Index::Kind::integer || index.kind == Index::Kind::slice, ellipses += index.kind == Index::Kind::ellipsis;
  if (ellipses > 1) throw InvalidArgumentError("an index has one ellipsis at most", kRagged);
  if (named > ndim) throw IndexError(std::to_string(named) + " indices for " + std::to_string(ndim) + " axes", kRagged);
  IndexList result;
  for (const Index& index : spec) {
    if (index.kind != Index::Kind::ellipsis) result.push_back(index);
    else result.insert(result.end(), std::size_t(ndim - named), all);
  }
  return result;
}

void require_ragged(const RaggedTensor& x) {
  if (!x.is_ragged()) throw FailedPreconditionError("a tensor without ragged axes has no rows: " + to_string(x.flat_values().spec()), kRagged);
}

}  // namespace

RaggedTensor RaggedTensor::from_row_splits(const RaggedTensor& values, const Tensor& row_splits) {
  require_row_splits(values, row_splits);
  RaggedTensor result(values.flat_values_, values.flat_ndim_);
  result.splits_.push_back(int64_of(row_splits));
  result.splits_.insert(result.splits_.end(), values.splits_.begin(), values.splits_.end());
  return result;
}

RaggedTensor RaggedTensor::from_nested_row_splits(const Tensor& flat_values, std::span<const Tensor> nested_row_splits) {
  RaggedTensor result = flat_values;
  for (std::size_t i = nested_row_splits.size(); i-- > 0;) result = from_row_splits(result, nested_row_splits[i]);
  return result;
}

RaggedTensor RaggedTensor::from_row_lengths(const RaggedTensor& values, const Tensor& row_lengths) {
  require_one_axis_of_ints(row_lengths, "row lengths");
  return from_row_splits(values, splits_from_lengths(row_lengths));
}

RaggedTensor RaggedTensor::from_value_rowids(const RaggedTensor& values, const Tensor& value_rowids, std::optional<std::int64_t> nrows) {
  require_one_axis_of_ints(value_rowids, "row ids");
  if (value_rowids.shape()[0] != rows_of(values))
    throw InvalidArgumentError("there must be one row id for each of the " + std::to_string(rows_of(values)) + " values, got " + to_string(value_rowids.spec()), kRagged);
  if (value_rowids.is_symbolic()) throw UnimplementedError("how many rows there are must be known inside a traced function", kRagged, "use from_row_splits");
  const std::vector<std::int64_t> ids = int64_of(value_rowids).to_vector<std::int64_t>();
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || (i && ids[i] < ids[i - 1])) throw InvalidArgumentError("row ids must not be negative and not fall; element " + std::to_string(i) + " is " + std::to_string(ids[i]), kRagged);
  const std::int64_t least = ids.empty() ? 0 : ids.back() + 1, rows = nrows.value_or(least);
  if (rows < least) throw InvalidArgumentError("there are ids up to " + std::to_string(least - 1) + ", but nrows is " + std::to_string(rows), kRagged);
  Shape{rows};  // refuses more than a tensor may have
  Tensor splits = Tensor::empty({rows + 1}, int64);
  std::int64_t* ends = splits.mutable_data<std::int64_t>();
  std::fill_n(ends, rows + 1, std::int64_t(0));
  for (const std::int64_t id : ids) ++ends[id + 1];
  for (std::int64_t r = 0; r < rows; ++r) ends[r + 1] += ends[r];
  return from_row_splits(values, placed(std::move(splits)));
}

RaggedTensor RaggedTensor::from_row_starts(const RaggedTensor& values, const Tensor& row_starts) {
  require_one_axis_of_ints(row_starts, "row starts");
  const std::vector<Tensor> parts{int64_of(row_starts), int64_constant({rows_of(values)})};
  return from_row_splits(values, concat(parts, 0));
}

RaggedTensor RaggedTensor::from_row_limits(const RaggedTensor& values, const Tensor& row_limits) {
  require_one_axis_of_ints(row_limits, "row limits");
  const std::vector<Tensor> parts{int64_constant({0}), int64_of(row_limits)};
  return from_row_splits(values, concat(parts, 0));
}

RaggedTensor RaggedTensor::from_uniform_row_length(const RaggedTensor& values, std::int64_t length) {
  const std::int64_t count = rows_of(values);
  if (length < 0 || (length == 0 ? count != 0 : count % length != 0)) throw InvalidArgumentError(std::to_string(count) + " values do not make rows of " + std::to_string(length), kRagged);
  std::vector<std::int64_t> splits{0};
  for (std::int64_t at = length; length && at <= count; at += length) splits.push_back(at);
  return from_row_splits(values, int64_constant(splits));
}

RaggedTensor RaggedTensor::from_tensor(const Tensor& tensor, int ragged_rank) {
  if (ragged_rank < 0 || ragged_rank >= std::max(tensor.ndim(), 1)) throw InvalidArgumentError("ragged_rank " + std::to_string(ragged_rank) + " must be less than the axes of " + to_string(tensor.spec()), kRagged);
  Ints flat{1};
  for (int i = 0; i <= ragged_rank && i < tensor.ndim(); ++i) flat[0] *= tensor.shape()[i];
  for (int i = ragged_rank + 1; i < tensor.ndim(); ++i) flat.push_back(tensor.shape()[i]);
  if (ragged_rank == 0) return tensor;
  std::vector<Tensor> splits;
  std::int64_t rows = 1;
  for (int i = 0; i < ragged_rank; ++i) {
    rows *= tensor.shape()[i];
    std::vector<std::int64_t> ends(std::size_t(rows) + 1);
    for (std::size_t r = 0; r < ends.size(); ++r) ends[r] = std::int64_t(r) * tensor.shape()[i + 1];
    splits.push_back(int64_constant(ends));
  }
  return from_nested_row_splits(reshape(tensor, flat), splits);
}

RaggedTensor RaggedTensor::from_tensor_with_lengths(const Tensor& tensor, const Tensor& lengths) {
  if (tensor.ndim() < 2 || lengths.ndim() != 1 || lengths.shape()[0] != tensor.shape()[0])
    throw InvalidArgumentError("there must be a length for each row of a tensor of at least two axes, got " + to_string(tensor.spec()) + " and " + to_string(lengths.spec()), kRagged);
  if (!kIndexInts.contains(lengths.dtype())) throw TypeError("lengths must be int32 or int64, got " + to_string(lengths.spec()), kRagged);
  const std::int64_t columns = tensor.shape()[1];
  const Tensor kept = minimum(maximum(int64_of(lengths), scalar(0, int64)), scalar(columns, int64));
  const Tensor mask = less(expand_dims(lockstep::range(0, columns, 1, int64), 0), expand_dims(kept, 1));
  return from_row_splits({lockstep::boolean_mask(tensor, mask), tensor.ndim() - 1}, splits_from_lengths(kept));
}

RaggedTensor RaggedTensor::from_tensor_with_padding(const Tensor& tensor, const Tensor& padding) {
  if (tensor.ndim() < 2) throw InvalidArgumentError("rows need a tensor of at least two axes, got " + to_string(tensor.spec()), kRagged);
  if (padding.dtype() != tensor.dtype()) throw TypeError("the padding is " + to_string(padding.spec()) + ", the tensor " + to_string(tensor.spec()), kRagged);
  bool fits = padding.ndim() == 0 || padding.ndim() == tensor.ndim() - 2;
  for (int i = 0; fits && i < padding.ndim(); ++i) fits = padding.shape()[i] == tensor.shape()[i + 2];
  if (!fits) throw InvalidArgumentError("the padding " + to_string(padding.spec()) + " is no element of the rows of " + to_string(tensor.spec()), kRagged);
  Tensor is_padding = equal(tensor, padding);
  Ints inner;
  for (int i = 2; i < tensor.ndim(); ++i) inner.push_back(i);
  if (!inner.empty()) is_padding = reduce_all(is_padding, inner);
  if (tensor.shape()[1] == 0) return from_tensor(tensor);
  const Tensor ends = where(is_padding, scalar(0, int64), lockstep::range(1, tensor.shape()[1] + 1, 1, int64));
  return from_tensor_with_lengths(tensor, reduce_max(ends, 1));
}

std::int64_t RaggedTensor::nrows() const {
  require_ragged(*this);
  if (!splits_[0].shape().known()) throw UnimplementedError("the number of rows depends on data inside the traced function, and must be known here", kRagged);
  return splits_[0].shape()[0] - 1;
}

RaggedTensor RaggedTensor::values() const {
  require_ragged(*this);
  RaggedTensor result(flat_values_, flat_ndim_);
  result.splits_.assign(splits_.begin() + 1, splits_.end());
  return result;
}

const Tensor& RaggedTensor::row_splits() const {
  require_ragged(*this);
  return splits_[0];
}

Tensor RaggedTensor::row_lengths() const { return row_limits() - row_starts(); }
Tensor RaggedTensor::row_starts() const { return strided_slice(row_splits(), {lockstep::slice({}, -1)}); }
Tensor RaggedTensor::row_limits() const { return strided_slice(row_splits(), {lockstep::slice(1)}); }

Tensor RaggedTensor::value_rowids() const {
  require_ragged(*this);
  static const OpDef& op = find_op("ragged_value_rowids");
  const Tensor& counted = ragged_rank() > 1 ? strided_slice(splits_[1], {lockstep::slice(1)}) : flat_values_;  // one element for each value
  return apply(op, {counted, splits_[0]});
}

Tensor RaggedTensor::bounding_shape() const {
  require_ragged(*this);
  static const OpDef& op = find_op("ragged_bounding_shape");
  return apply(op, ragged_parts::with_splits(*this));
}

const Tensor& RaggedTensor::tensor() const {
  if (is_ragged()) throw FailedPreconditionError("rows of different lengths are no tensor (" + std::to_string(ragged_rank()) + " ragged axes)", kRagged, "pad them with to_tensor");
  return flat_values_;
}

RaggedTensor RaggedTensor::with_flat_values(const Tensor& flat_values) const {
  if (!is_ragged()) return flat_values;
  if (flat_values.shape().known() && (flat_values.ndim() < 1 || (flat_values_.shape().known() && flat_values.shape()[0] != flat_values_.shape()[0])))
    throw InvalidArgumentError("there must be as many values as before, " + to_string(flat_values_.spec()) + ", got " + to_string(flat_values.spec()), kRagged);
  RaggedTensor result(flat_values, flat_ndim_);
  result.splits_ = splits_;
  return result;
}

RaggedTensor RaggedTensor::with_values(const RaggedTensor& values) const { return from_row_splits(values, row_splits()); }

RaggedTensor RaggedTensor::operator[](std::initializer_list<Index> spec) const { return ragged::strided_slice(*this, IndexList(spec)); }
RaggedTensor ragged::strided_slice(const RaggedTensor& x, const IndexList& spec) { return index_ragged(x, without_ellipsis(spec, x.ndim())); }

Tensor RaggedTensor::to_tensor(const Ints& shape, const Tensor& default_value) const {
  if (!is_ragged()) return flat_values_;
  static const OpDef& op = find_op("ragged_to_tensor");
  Tensors operands = ragged_parts::with_splits(*this);
  const DeviceScope beside(flat_values_.device());
  const Tensor filling = default_value.defined() ? default_value : zeros({}, dtype());
  operands.insert(operands.begin() + 1, filling);
  Ints sizes = shape;  // may leave the values' own axes out
  while (!sizes.empty() && int(sizes.size()) < ndim()) sizes.push_back(-1);
  return apply(op, operands, {{"shape", sizes}});
}

namespace {

/// One element as TensorFlow prints it within a list: NumPy's "1." is 1.0 there.
std::string element_text(const Tensor& flat, std::int64_t i) {
  const std::string text = array_to_string(Tensor::view(flat, {}, i));
  return text.ends_with(".") ? text + "0" : text;
}

std::string dense_text(const Tensor& flat, int axis, std::int64_t at, std::int64_t block) {
  if (axis == flat.ndim()) return element_text(flat, at);
  const std::int64_t size = flat.shape()[axis], inner = size ? block / size : 0;
  std::string text = "[";
  for (std::int64_t i = 0; i < size; ++i) text += (i ? ", " : "") + dense_text(flat, axis + 1, at + i * inner, inner);
  return text + "]";
}

std::string rows_text(const RaggedTensor& x, std::size_t depth, std::int64_t begin, std::int64_t end) {
  std::string text = "[";
  const Tensor& flat = x.flat_values();
  const std::int64_t block = flat.shape()[0] ? flat.numel() / flat.shape()[0] : 0;
  for (std::int64_t i = begin; i < end; ++i) {
    text += i > begin ? ", " : "";
    if (depth == x.nested_row_splits().size()) {
      text += dense_text(flat, 1, i * block, block);
    } else {
      const auto splits = x.nested_row_splits()[depth].data<std::int64_t>();
      text += rows_text(x, depth + 1, splits[std::size_t(i)], splits[std::size_t(i) + 1]);
    }
  }
  return text + "]";
}

}  // namespace

std::string to_string(const RaggedTensor& ragged) {
  if (!ragged.is_ragged()) return to_string(ragged.flat_values());
  bool symbolic = ragged.flat_values().is_symbolic();
  for (const Tensor& splits : ragged.nested_row_splits()) symbolic = symbolic || splits.is_symbolic();
  if (symbolic) return "<RaggedTensor of " + to_string(ragged.flat_values().spec()) + ", " + std::to_string(ragged.ragged_rank()) + " ragged axes>";
  return "<RaggedTensor " + rows_text(ragged, 0, 0, ragged.nrows()) + ">";
}

std::ostream& operator<<(std::ostream& stream, const RaggedTensor& ragged) { return stream << to_string(ragged); }

}  // namespace lockstep

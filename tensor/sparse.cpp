// Sparse tensors: the value, and the ops that move its entries. Each computes new indices by a row of ops/sparse_index.cpp and lets the values follow by gather.

#include <lockstep/tensor/sparse.h>

#include <algorithm>
#include <ostream>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops/entries.h>
#include <lockstep/tensor/print.h>
#include <lockstep/tensor/ragged_parts.h>

namespace lockstep {
namespace {

using ragged_parts::checked_axis;

constexpr const char* kSparse = "SparseTensor";

Ints ints_of(const Shape& shape) { return Ints(shape.begin(), shape.end()); }
Tensor shape_tensor(const Shape& shape) { return constant(std::vector<std::int64_t>(shape.begin(), shape.end())); }

Shape known_shape(const SparseTensor& x, const char* op) {
  const Shape shape = x.shape();
  if (!shape.known()) throw UnimplementedError("the shape of a sparse tensor depends on data inside the traced function, and must be known here", op);
  return shape;
}

Tensor order_of(const Tensor& indices, const Shape& shape) {
  static const OpDef& op = find_op("sparse_order");
  return apply(op, {indices}, {{"shape", ints_of(shape)}});
}

SparseTensor ordered(const Tensor& indices, const Tensor& values, const Shape& shape) {
  const Tensor order = order_of(indices, shape);
  return {gather(indices, order), gather(values, order), shape};
}

Tensor offsets_over(const SparseTensor& x, const Shape& shape, const AttrValue& axes) {
  static const OpDef& op = find_op("sparse_offsets");
  return apply(op, {x.indices()}, {{"shape", ints_of(shape)}, {"axis", axes}});
}

void require_same_shape(const SparseTensor& x, const SparseTensor& y, const char* op) {
  if (x.dtype() != y.dtype()) throw TypeError("the operands are " + std::string(name(x.dtype())) + " and " + std::string(name(y.dtype())), op, "there are no implicit casts: use cast");
  if (known_shape(x, op) != known_shape(y, op)) throw InvalidArgumentError("the operands have shapes " + to_string(x.shape()) + " and " + to_string(y.shape()), op);
}

/// The entries of either, in order; where one has none its value is 0.
struct Merged {
  SparseTensor places;
  Tensor x, y;
};
Merged merge(const SparseTensor& x, const SparseTensor& y, const char* op_name) {
  static const OpDef& op = find_op("sparse_union");
  require_same_shape(x, y, op_name);
  const Tensors places = apply_all(op, {x.indices(), y.indices()}, {{"shape", ints_of(x.shape())}});
  const auto with_zero = [](const Tensor& values) { return concat(std::vector<Tensor>{values, zeros({1}, values.dtype())}, 0); };
  const Tensor from_x = gather(with_zero(x.values()), places[1]), from_y = gather(with_zero(y.values()), places[2]);
  return {SparseTensor(places[0], from_x, x.dense_shape()), from_x, from_y};
}

/// The elements of a tensor at the entries' places, broadcast against the whole.
Tensor at_entries(const Tensor& dense, const SparseTensor& x) {
  const Shape shape = known_shape(x, "SparseTensor");
  if (dense.ndim() > shape.ndim()) throw InvalidArgumentError("a tensor of shape " + to_string(dense.shape()) + " does not broadcast against " + to_string(shape), kSparse);
  if (dense.dtype() != x.dtype()) throw TypeError("the operands are " + std::string(name(x.dtype())) + " and " + std::string(name(dense.dtype())), kSparse, "there are no implicit casts: use cast");
  const int shift = shape.ndim() - dense.ndim();
  for (int i = 0; i < dense.ndim(); ++i)
    if (dense.shape()[i] != 1 && dense.shape()[i] != shape[i + shift]) throw InvalidArgumentError("a tensor of shape " + to_string(dense.shape()) + " does not broadcast against " + to_string(shape), kSparse);
  if (dense.numel() == 1) return reshape(dense, {});
  std::vector<Tensor> columns;
  for (int i = 0; i < dense.ndim(); ++i) {
    const Tensor column = strided_slice(x.indices(), {all, Index(i + shift)});
    columns.push_back(dense.shape()[i] == 1 ? zeros_like(column) : column);
  }
  return gather_nd(dense, stack(columns, 1));
}

}  // namespace

SparseTensor::SparseTensor(const Tensor& indices, const Tensor& values, const Shape& dense_shape) : SparseTensor(indices, values, shape_tensor(dense_shape)) {}

SparseTensor::SparseTensor(const Tensor& indices, const Tensor& values, const Tensor& dense_shape) : indices_(indices), values_(values), dense_shape_(dense_shape) {
  if (indices.dtype() != int64 || dense_shape.dtype() != int64) throw TypeError("indices and shape must be int64, got " + to_string(indices.spec()) + " and " + to_string(dense_shape.spec()), kSparse);
  if (dense_shape.ndim() != 1) throw InvalidArgumentError("the shape must have one axis, got " + to_string(dense_shape.spec()), kSparse);
  const Shape whole = shape();  // refuses sizes that no tensor has
  if (!indices.shape().known() || !values.shape().known()) return;
  if (indices.ndim() != 2 || values.ndim() != 1 || indices.shape()[0] != values.shape()[0])
    throw InvalidArgumentError("there must be indices (n, axes) and n values, got " + to_string(indices.spec()) + " and " + to_string(values.spec()), kSparse);
  if (dense_shape.shape().known() && indices.shape()[1] != dense_shape.shape()[0])
    throw InvalidArgumentError("there are " + std::to_string(indices.shape()[1]) + " indices for each value, for " + std::to_string(dense_shape.shape()[0]) + " axes", kSparse);
  if (indices.is_symbolic() || !whole.known()) return;
  entries::require_inside(indices.data<std::int64_t>().data(), indices.shape()[0], whole, kSparse);
}

Shape SparseTensor::shape() const { return dense_shape_.is_symbolic() ? Shape::unknown() : Shape(dense_shape_.data<std::int64_t>()); }
int SparseTensor::ndim() const { return int(dense_shape_.shape()[0]); }

SparseTensor SparseTensor::with_values(const Tensor& values) const {
  if (values.shape().known() && values_.shape().known() && values.shape() != values_.shape())
    throw InvalidArgumentError("there must be as many values as before, " + to_string(values_.spec()) + ", got " + to_string(values.spec()), kSparse);
  SparseTensor result = *this;
  result.values_ = values;
  return result;
}

std::string to_string(const SparseTensor& sparse) {
  const auto part = [](const Tensor& x) { return x.is_symbolic() ? to_string(x) : "\n" + array_to_string(x); };
  return "<SparseTensor shape=" + to_string(sparse.shape()) + " dtype=" + std::string(name(sparse.dtype())) + " indices=" + part(sparse.indices()) + " values=" + part(sparse.values()) + ">";
}
std::ostream& operator<<(std::ostream& stream, const SparseTensor& sparse) { return stream << to_string(sparse); }

SparseTensor operator*(const SparseTensor& x, const Scalar& y) { return x.with_values(x.values() * y); }
SparseTensor operator*(const Scalar& x, const SparseTensor& y) { return y * x; }
SparseTensor operator/(const SparseTensor& x, const Scalar& y) { return x.with_values(x.values() / y); }
SparseTensor operator*(const SparseTensor& x, const Tensor& y) { return x.with_values(x.values() * at_entries(y, x)); }
SparseTensor operator/(const SparseTensor& x, const Tensor& y) { return x.with_values(x.values() / at_entries(y, x)); }
SparseTensor operator-(const SparseTensor& x) { return x.with_values(-x.values()); }

namespace sparse {

SparseTensor from_dense(const Tensor& dense) {
  if (dense.ndim() == 0) throw InvalidArgumentError("a scalar has no places", "sparse::from_dense");
  const Tensor places = where(not_equal(dense, zeros({}, dense.dtype())));
  return {places, gather_nd(dense, places), dense.shape()};
}

Tensor to_dense(const SparseTensor& x, const Tensor& default_value, bool validate_indices) {
  const Tensor filling = default_value.defined() ? default_value : zeros({}, x.dtype());
  static const OpDef &op = find_op("sparse_to_dense"), &of_shape = find_op("sparse_to_dense_of_shape");
  if (!x.shape().known()) return apply(of_shape, {x.indices(), x.values(), filling, x.dense_shape()}, {{"validate_indices", validate_indices}});
  return apply(op, {x.indices(), x.values(), filling}, {{"shape", ints_of(x.shape())}, {"validate_indices", validate_indices}});
}

SparseTensor reorder(const SparseTensor& x) { return ordered(x.indices(), x.values(), known_shape(x, "sparse::reorder")); }

Tensor matmul(const SparseTensor& a, const Tensor& b, const MatmulOptions& options) {
  static const OpDef& op = find_op("sparse_dense_matmul");
  const Tensor values = options.adjoint_a ? conj(a.values()) : a.values(), dense = options.adjoint_b ? lockstep::transpose(conj(b)) : b;
  return apply(op, {a.indices(), values, dense}, {{"shape", ints_of(known_shape(a, "sparse::matmul"))}, {"transpose_a", options.adjoint_a}});
}

/// a b = (b' a')'
Tensor matmul(const Tensor& a, const SparseTensor& b, const MatmulOptions& options) {
  return conj(lockstep::transpose(matmul(b, a, {.adjoint_a = !options.adjoint_b, .adjoint_b = !options.adjoint_a})));
}

SparseTensor add(const SparseTensor& x, const SparseTensor& y, std::optional<double> threshold) {
  const Merged merged = merge(x, y, "sparse::add");
  const SparseTensor sum = merged.places.with_values(merged.x + merged.y);
  return threshold ? retain(sum, greater_equal(abs(sum.values()), scalar(*threshold, abs(sum.values()).dtype()))) : sum;
}

Tensor add(const SparseTensor& x, const Tensor& y) {
  if (x.dtype() != y.dtype() || known_shape(x, "sparse::add") != y.shape()) throw InvalidArgumentError("a sparse tensor of " + to_string(TensorSpec{x.dtype(), x.shape()}) + " and a dense one of " + to_string(y.spec()) + " do not add up", "sparse::add");
  return tensor_scatter_add(y, x.indices(), x.values());
}

SparseTensor maximum(const SparseTensor& x, const SparseTensor& y) {
  const Merged merged = merge(x, y, "sparse::maximum");
  return merged.places.with_values(lockstep::maximum(merged.x, merged.y));
}
SparseTensor minimum(const SparseTensor& x, const SparseTensor& y) {
  const Merged merged = merge(x, y, "sparse::minimum");
  return merged.places.with_values(lockstep::minimum(merged.x, merged.y));
}

SparseTensor concat(std::span<const SparseTensor> inputs, std::int64_t axis, bool expand_nonconcat_dims) {
  if (inputs.empty()) throw InvalidArgumentError("there is nothing to join", "sparse::concat");
  Shape shape = known_shape(inputs[0], "sparse::concat");
  const int at = checked_axis(axis, shape.ndim(), "sparse::concat");
  std::vector<Tensor> indices, values;
  Ints sizes = ints_of(shape);
  std::int64_t offset = 0;
  for (const SparseTensor& each : inputs) {
    const Shape own = known_shape(each, "sparse::concat");
    bool fits = own.ndim() == shape.ndim();
    for (int k = 0; fits && k < own.ndim(); ++k) {
      fits = k == at || own[k] == shape[k] || expand_nonconcat_dims;
      if (k != at) sizes[std::size_t(k)] = std::max(sizes[std::size_t(k)], own[k]);
    }
    if (!fits) throw InvalidArgumentError("shapes " + to_string(shape) + " and " + to_string(own) + " do not join on axis " + std::to_string(at), "sparse::concat");
    std::vector<std::int64_t> shift(std::size_t(shape.ndim()), 0);
    shift[std::size_t(at)] = offset;
    indices.push_back(offset ? each.indices() + constant(shift) : each.indices());
    values.push_back(each.values());
    if (__builtin_add_overflow(offset, own[at], &offset)) throw InvalidArgumentError("the joined axis is longer than 2^63 - 1", "sparse::concat");
  }
  sizes[std::size_t(at)] = offset;
  return ordered(lockstep::concat(indices, 0), lockstep::concat(values, 0), Shape(std::span<const std::int64_t>(sizes.begin(), sizes.size())));
}

SparseTensor slice(const SparseTensor& x, const Ints& start, const Ints& size) {
  static const OpDef& op = find_op("sparse_slice_places");
  const Shape shape = known_shape(x, "sparse::slice");
  if (int(start.size()) != shape.ndim() || int(size.size()) != shape.ndim()) throw InvalidArgumentError("start and size must have a number for each of the " + std::to_string(shape.ndim()) + " axes", "sparse::slice");
  Shape part;
  for (int k = 0; k < shape.ndim(); ++k) {
    const std::int64_t begin = start[std::size_t(k)], length = size[std::size_t(k)];
    if (length < 0) throw InvalidArgumentError("size must not be negative, got " + std::to_string(length), "sparse::slice");
    if (begin < 0) throw InvalidArgumentError("start must not be negative, got " + std::to_string(begin), "sparse::slice");
    part.push_back(begin >= shape[k] ? 0 : std::min(length, shape[k] - begin));
  }
  const Tensors places = apply_all(op, {x.indices()}, {{"start", start}, {"size", ints_of(part)}});
  return {places[0], gather(x.values(), places[1]), part};
}

std::vector<SparseTensor> split(const SparseTensor& x, std::int64_t num_split, std::int64_t axis) {
  const Shape shape = known_shape(x, "sparse::split");
  const int at = checked_axis(axis, shape.ndim(), "sparse::split");
  if (num_split < 1 || num_split > shape[at]) throw InvalidArgumentError("an axis of " + std::to_string(shape[at]) + " elements cannot be split into " + std::to_string(num_split) + " parts", "sparse::split");
  Ints start(std::size_t(shape.ndim()), 0), size = ints_of(shape);
  std::vector<SparseTensor> parts;
  for (std::int64_t i = 0; i < num_split; ++i) {
    size[std::size_t(at)] = shape[at] / num_split + (i < shape[at] % num_split ? 1 : 0);
    parts.push_back(slice(x, start, size));
    start[std::size_t(at)] += size[std::size_t(at)];
  }
  return parts;
}

SparseTensor transpose(const SparseTensor& x, const Axes& perm) {
  const Shape shape = known_shape(x, "sparse::transpose");
  std::vector<std::int64_t> order;
  if (const auto* list = std::get_if<Ints>(&perm.value))
    for (const std::int64_t axis : *list) order.push_back(checked_axis(axis, shape.ndim(), "sparse::transpose"));
  else
    for (int k = shape.ndim(); k-- > 0;) order.push_back(k);
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  if (int(order.size()) != shape.ndim() || std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) throw InvalidArgumentError("perm must name each of the " + std::to_string(shape.ndim()) + " axes once", "sparse::transpose");
  Shape turned;
  for (const std::int64_t axis : order) turned.push_back(shape[int(axis)]);
  return ordered(gather(x.indices(), constant(order), 1), x.values(), turned);
}

SparseTensor reshape(const SparseTensor& x, const Ints& shape) {
  const Shape old = known_shape(x, "sparse::reshape");
  std::int64_t product = 1;
  int open = -1;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    if (shape[k] == -1 && open >= 0) throw InvalidArgumentError("only one size may be -1, got " + to_string(AttrValue(shape)), "sparse::reshape");
    if (shape[k] < -1) throw InvalidArgumentError("negative size in shape " + to_string(AttrValue(shape)), "sparse::reshape");
    if (shape[k] == -1) open = int(k);
    else if (__builtin_mul_overflow(product, shape[k], &product)) throw InvalidArgumentError("shape " + to_string(AttrValue(shape)) + " has too many elements", "sparse::reshape");
  }
  Ints sizes = shape;
  if (open >= 0) sizes[std::size_t(open)] = product ? old.numel() / product : 0;
  const Shape fresh(std::span<const std::int64_t>(sizes.begin(), sizes.size()));
  if (fresh.numel() != old.numel()) throw InvalidArgumentError("shape " + to_string(old) + " does not become " + to_string(AttrValue(shape)), "sparse::reshape");
  static const OpDef& op = find_op("sparse_unravel");
  return {apply(op, {offsets_over(x, old, None{})}, {{"shape", sizes}}), x.values(), fresh};
}

SparseTensor expand_dims(const SparseTensor& x, std::int64_t axis) {
  const Shape shape = known_shape(x, "sparse::expand_dims");
  const int at = checked_axis(axis, shape.ndim() + 1, "sparse::expand_dims");
  Ints sizes = ints_of(shape);
  sizes.insert(sizes.begin() + at, 1);
  return reshape(x, sizes);
}

SparseTensor reset_shape(const SparseTensor& x, const std::optional<Shape>& shape) {
  const Shape old = known_shape(x, "sparse::reset_shape");
  if (shape) {
    bool fits = shape->ndim() == old.ndim();
    for (int k = 0; fits && k < old.ndim(); ++k) fits = (*shape)[k] >= old[k];
    if (!fits) throw InvalidArgumentError("shape " + to_string(old) + " does not fit into " + to_string(*shape), "sparse::reset_shape");
    return {x.indices(), x.values(), *shape};
  }
  Shape least = old;
  if (x.indices().is_symbolic()) throw UnimplementedError("the entries must be at hand, and are not inside a traced function", kSparse);
  const auto index = x.indices().data<std::int64_t>();
  for (int k = 0; k < old.ndim(); ++k) {
    least[k] = 0;
    for (std::size_t e = std::size_t(k); e < index.size(); e += std::size_t(old.ndim())) least[k] = std::max(least[k], index[e] + 1);
  }
  return {x.indices(), x.values(), least};
}

SparseTensor retain(const SparseTensor& x, const Tensor& mask) { return {lockstep::boolean_mask(x.indices(), mask), lockstep::boolean_mask(x.values(), mask), x.dense_shape()}; }

std::pair<SparseTensor, Tensor> fill_empty_rows(const SparseTensor& x, const Tensor& default_value) {
  static const OpDef& op = find_op("sparse_fill_rows");
  if (default_value.dtype() != x.dtype() || default_value.ndim() != 0)
    throw InvalidArgumentError("the default value must be a scalar of " + std::string(name(x.dtype())) + ", got " + to_string(default_value.spec()), "sparse::fill_empty_rows");
  const Tensors filled = apply_all(op, {x.indices()}, {{"shape", ints_of(known_shape(x, "sparse::fill_empty_rows"))}});
  const std::vector<Tensor> choices{x.values(), lockstep::reshape(default_value, {1})};
  return {SparseTensor(filled[0], gather(lockstep::concat(choices, 0), filled[1]), x.dense_shape()), filled[2]};
}

SparseTensor eye(std::int64_t num_rows, std::optional<std::int64_t> num_columns, DType dtype) {
  const Shape shape{num_rows, num_columns.value_or(num_rows)};
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < std::min(shape[0], shape[1]); ++i) indices.insert(indices.end(), {i, i});
  const auto count = std::int64_t(indices.size() / 2);
  return {constant(indices, Shape{count, 2}), ones({count}, dtype), shape};
}

namespace {

using SegmentOp = Tensor (*)(const Tensor&, const Tensor&, std::int64_t);

/// Entries folded by their offsets over the axes that stay; what has none is 0.
Tensor reduce_entries(const SparseTensor& x, const Axes& axis, bool keepdims, SegmentOp segments, bool zero_is_given) {
  const Shape shape = known_shape(x, "sparse::reduce");
  std::vector<bool> reduced(std::size_t(shape.ndim()), std::holds_alternative<None>(axis.value));
  if (const auto* one = std::get_if<std::int64_t>(&axis.value)) reduced[std::size_t(checked_axis(*one, shape.ndim(), "sparse::reduce"))] = true;
  if (const auto* list = std::get_if<Ints>(&axis.value))
    for (const std::int64_t each : *list) reduced[std::size_t(checked_axis(each, shape.ndim(), "sparse::reduce"))] = true;
  Ints kept, sizes;
  std::int64_t count = 1;
  for (int k = 0; k < shape.ndim(); ++k) {
    if (!reduced[std::size_t(k)]) kept.push_back(k), count *= shape[k];
    if (!reduced[std::size_t(k)] || keepdims) sizes.push_back(reduced[std::size_t(k)] ? 1 : shape[k]);
  }
  const Tensor places = offsets_over(x, shape, kept);
  Tensor result = segments(x.values(), places, count);
  if (!zero_is_given) result = where(greater(unsorted_segment_sum(ones_like(places), places, count), scalar(0, int64)), result, zeros_like(result));
  return lockstep::reshape(result, sizes);
}

}  // namespace

Tensor reduce_sum(const SparseTensor& x, const Axes& axis, bool keepdims) { return reduce_entries(x, axis, keepdims, unsorted_segment_sum, true); }
Tensor reduce_max(const SparseTensor& x, const Axes& axis, bool keepdims) { return reduce_entries(x, axis, keepdims, unsorted_segment_max, false); }

SparseTensor softmax(const SparseTensor& x) {
  static const OpDef& op = find_op("sparse_groups");
  if (!is_float(x.dtype())) throw TypeError("softmax is of floats, not of " + std::string(name(x.dtype())), "sparse::softmax");
  const Tensor groups = apply(op, {x.indices()}, {{"shape", ints_of(known_shape(x, "sparse::softmax"))}});
  if (!x.values().shape().known()) throw UnimplementedError("how many entries there are must be known inside a traced function", "sparse::softmax");
  const std::int64_t count = x.values().shape()[0];
  const Tensor largest = stop_gradient(unsorted_segment_max(x.values(), groups, count));
  const Tensor powers = exp(x.values() - gather(largest, groups));
  return x.with_values(powers / gather(unsorted_segment_sum(powers, groups, count), groups));
}

Tensor to_indicator(const SparseTensor& ids, std::int64_t vocab_size) {
  const Shape shape = known_shape(ids, "sparse::to_indicator");
  if (!kIndexInts.contains(ids.dtype())) throw TypeError("numbers must be int32 or int64, got " + std::string(name(ids.dtype())), "sparse::to_indicator");
  if (shape.ndim() < 1) throw InvalidArgumentError("numbers without an axis indicate nothing", "sparse::to_indicator");
  Ints sizes = ints_of(shape);
  sizes[sizes.size() - 1] = vocab_size;
  const std::vector<Tensor> columns{strided_slice(ids.indices(), {all, lockstep::slice(0, shape.ndim() - 1)}), lockstep::expand_dims(ids.dtype() == int64 ? ids.values() : cast(ids.values(), int64), 1)};
  const Tensor places = lockstep::concat(columns, 1);
  return cast(scatter_nd(places, cast(ones_like(ids.values()), int32), sizes), boolean);
}

Tensor embedding_lookup_sparse(const Tensor& params, const SparseTensor& ids, const std::optional<SparseTensor>& weights, const std::string& combiner) {
  constexpr const char* kOp = "sparse::embedding_lookup_sparse";
  const Shape shape = known_shape(ids, kOp);
  if (combiner != "sum" && combiner != "mean" && combiner != "sqrtn") throw InvalidArgumentError("combiner must be sum, mean or sqrtn, got \"" + combiner + "\"", kOp);
  if (shape.ndim() != 2) throw InvalidArgumentError("ids must have two axes, got " + to_string(shape), kOp);
  if (weights && (weights->values().shape() != ids.values().shape() || weights->dtype() != params.dtype()))
    throw InvalidArgumentError("there must be a weight of " + std::string(name(params.dtype())) + " for each id, got " + to_string(weights->values().spec()), kOp);
  const Tensor rows = strided_slice(ids.indices(), {all, Index(0)});
  Tensor picked = gather(params, ids.values());
  Ints column{-1};
  for (int k = 1; k < params.ndim(); ++k) column.push_back(1);
  const Tensor weight = weights ? weights->values() : cast(ones_like(ids.values()), params.dtype());
  if (weights) picked = picked * lockstep::reshape(weight, column);
  const Tensor sum = unsorted_segment_sum(picked, rows, shape[0]);
  if (combiner == "sum") return sum;
  const Tensor total = unsorted_segment_sum(combiner == "mean" ? weight : square(weight), rows, shape[0]);
  return divide_no_nan(sum, lockstep::reshape(combiner == "mean" ? total : sqrt(total), column));
}

}  // namespace sparse

namespace ragged {

SparseTensor to_sparse(const RaggedTensor& x) {
  const RaggedTensor rows = ragged_parts::with_ragged_rank(x, std::max(x.ndim() - 1, 1));  // the values' own axes become rows, too
  static const OpDef& op = find_op("ragged_coordinates");
  return {apply(op, ragged_parts::with_splits(rows)), rows.flat_values(), rows.bounding_shape()};
}

RaggedTensor from_sparse(const SparseTensor& x) {
  const Shape shape = known_shape(x, "ragged::from_sparse");
  if (shape.ndim() != 2) throw InvalidArgumentError("rows come from a sparse matrix, not from shape " + to_string(shape), "ragged::from_sparse");
  if (x.indices().is_symbolic()) throw UnimplementedError("the entries must be at hand, and are not inside a traced function", kSparse);
  const auto index = x.indices().data<std::int64_t>();
  std::vector<std::int64_t> lengths(std::size_t(shape[0]), 0);
  for (std::size_t e = 0; 2 * e < index.size(); ++e) {
    std::int64_t& length = lengths[std::size_t(index[2 * e])];
    if (index[2 * e + 1] != length++ || (e && index[2 * e] < index[2 * e - 2]))
      throw InvalidArgumentError("entry " + std::to_string(e) + " at (" + std::to_string(index[2 * e]) + ", " + std::to_string(index[2 * e + 1]) + ") leaves a gap in its row, or is out of order", "ragged::from_sparse");
  }
  return RaggedTensor::from_row_lengths(x.values(), constant(lengths));
}

}  // namespace ragged
}  // namespace lockstep

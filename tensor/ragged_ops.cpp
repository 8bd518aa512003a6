// Ragged ops beside the class: joining, choosing rows, arithmetic, reductions.

#include <lockstep/tensor/ragged.h>

#include <algorithm>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ragged_parts.h>

namespace lockstep {
namespace {

constexpr const char* kRaggedOp = "ragged";

}  // namespace

Tensors ragged_parts::with_splits(const RaggedTensor& x) {
  Tensors operands{x.flat_values()};
  operands.append(x.nested_row_splits().begin(), x.nested_row_splits().end());
  return operands;
}

RaggedTensor ragged_parts::with_ragged_rank(const RaggedTensor& x, int rank) {
  if (x.ragged_rank() >= rank) return x;
  if (!x.is_ragged()) {
    if (x.ndim() <= rank) throw InvalidArgumentError("a tensor of " + std::to_string(x.ndim()) + " axes does not go with " + std::to_string(rank) + " ragged ones", kRaggedOp);
    return RaggedTensor::from_tensor(x.tensor(), rank);
  }
  return x.with_values(with_ragged_rank(x.values(), rank - 1));
}

int ragged_parts::checked_axis(std::int64_t axis, int ndim, std::string_view op) {
  if (axis < -ndim || axis >= ndim) throw InvalidArgumentError("axis " + std::to_string(axis) + " is out of range for " + std::to_string(ndim) + " axes", op);
  return int(axis < 0 ? axis + ndim : axis);
}

namespace {

using ragged_parts::checked_axis;
using ragged_parts::with_ragged_rank;
using ragged_parts::with_splits;

/// `a`, checked to have the row lengths of `b`.
Tensor same_splits(const Tensor& a, const Tensor& b) {
  if (a.id() == b.id()) return a;
  static const OpDef& op = find_op("ragged_same_splits");
  return apply(op, {a, b});
}

Tensor coordinates_of(const RaggedTensor& x) {
  static const OpDef& op = find_op("ragged_coordinates");
  return apply(op, with_splits(x));
}

/// The elements of a tensor that broadcasts against padded rows, one for each value.
Tensor spread(const Tensor& dense, const RaggedTensor& rows) {
  const int levels = rows.ragged_rank() + 1, shift = rows.ndim() - dense.ndim();
  if (shift < 0) throw InvalidArgumentError(to_string(dense.spec()) + " has more axes than the " + std::to_string(rows.ndim()) + " of the ragged operand", kRaggedOp);
  const int ragged_axes = levels - shift;  // of the tensor's axes, those that meet rows
  if (ragged_axes <= 0) return dense;      // broadcasts against each value
  std::vector<Tensor> parts;
  const Tensor coordinates = coordinates_of(rows);
  Shape lengths = dense.shape();
  for (int axis = 0; axis < ragged_axes; ++axis) {
    const Tensor column = strided_slice(coordinates, {all, Index(shift + axis)});
    parts.push_back(lengths[axis] == 1 ? zeros_like(column) : column);
  }
  return gather_nd(dense, stack(parts, 1));
}

/// Do the rows of x have the sizes of a tensor's axes, where these are not 1? The rows of x, checked when it runs.
RaggedTensor fitting(const RaggedTensor& x, const Tensor& dense) {
  const int shift = x.ndim() - dense.ndim();
  if (shift == 0 && dense.shape()[0] != 1 && dense.shape()[0] != x.nrows())
    throw InvalidArgumentError(to_string(dense.spec()) + " does not broadcast against " + std::to_string(x.nrows()) + " rows", kRaggedOp);
  std::vector<Tensor> splits(x.nested_row_splits().begin(), x.nested_row_splits().end());
  bool changed = false;
  for (int level = 1; level <= x.ragged_rank(); ++level) {
    const int axis = level - shift;
    if (axis < 0 || dense.shape()[axis] == 1) continue;
    Tensor& at = splits[std::size_t(level) - 1];
    const Tensor uniform = lockstep::range(0, at.shape()[0], 1, int64) * scalar(dense.shape()[axis], int64);
    at = same_splits(at, uniform);
    changed = true;
  }
  return changed ? RaggedTensor::from_nested_row_splits(x.flat_values(), splits) : x;
}

}  // namespace

namespace ragged {

Aligned align(const RaggedTensor& x, const RaggedTensor& y) {
  if (!x.is_ragged() && !y.is_ragged()) return {x, x.flat_values(), y.flat_values()};
  if (x.is_ragged() != y.is_ragged() && !(x.is_ragged() ? y : x).tensor().shape().known())
    throw UnimplementedError("the shape of a tensor beside rows depends on data inside the traced function, and must be known here", kRaggedOp);
  if (!y.is_ragged()) return {fitting(x, y.tensor()), x.flat_values(), spread(y.tensor(), x)};
  if (!x.is_ragged()) return {fitting(y, x.tensor()), spread(x.tensor(), y), y.flat_values()};
  if (x.ragged_rank() != y.ragged_rank()) {
    const int rank = std::max(x.ragged_rank(), y.ragged_rank());
    if (x.ndim() <= rank || y.ndim() <= rank) throw InvalidArgumentError("ragged operands of " + std::to_string(x.ndim()) + " and " + std::to_string(y.ndim()) + " axes do not align", kRaggedOp);
    return align(with_ragged_rank(x, rank), with_ragged_rank(y, rank));
  }
  std::vector<Tensor> splits;
  for (std::size_t i = 0; i < x.nested_row_splits().size(); ++i) splits.push_back(same_splits(x.nested_row_splits()[i], y.nested_row_splits()[i]));
  return {RaggedTensor::from_nested_row_splits(x.flat_values(), splits), x.flat_values(), y.flat_values()};
}

RaggedTensor expand_dims(const RaggedTensor& x, std::int64_t axis) {
  const int at = checked_axis(axis, x.ndim() + 1, kRaggedOp);
  if (!x.is_ragged()) return {lockstep::expand_dims(x.flat_values(), at), x.flat_ndim() + 1};
  if (at == 0) return RaggedTensor::from_row_splits(x, constant(std::vector<std::int64_t>{0, x.nrows()}));
  if (at == 1) return RaggedTensor::from_row_splits(x, lockstep::range(0, x.nrows() + 1, 1, int64));
  return x.with_values(expand_dims(x.values(), at - 1));
}

namespace {

/// Rows behind each other: values concatenated, splits moved on.
RaggedTensor concat_rows(std::span<const RaggedTensor> inputs) {
  if (!inputs[0].is_ragged()) {
    std::vector<Tensor> dense;
    for (const RaggedTensor& each : inputs) dense.push_back(each.tensor());
    return {lockstep::concat(dense, 0), inputs[0].flat_ndim()};
  }
  std::vector<RaggedTensor> values;
  std::vector<Tensor> splits{constant(std::vector<std::int64_t>{0})};
  Tensor end;
  for (const RaggedTensor& each : inputs) {
    values.push_back(each.values());
    splits.push_back(end.defined() ? each.row_limits() + end : each.row_limits());
    const Tensor last = strided_slice(each.row_splits(), {Index(-1)});
    end = end.defined() ? end + last : last;
  }
  return RaggedTensor::from_row_splits(concat_rows(values), lockstep::concat(splits, 0));
}

/// Row i of every input, one behind the other: all rows are put behind each other, brought into that order, and each `k` of them become one.
RaggedTensor concat_within_rows(std::span<const RaggedTensor> inputs) {
  const std::int64_t rows = inputs[0].nrows(), k = std::int64_t(inputs.size());
  for (const RaggedTensor& each : inputs)
    if (each.nrows() != rows) throw InvalidArgumentError("inputs of " + std::to_string(rows) + " and " + std::to_string(each.nrows()) + " rows cannot be joined within rows", "ragged::concat");
  std::vector<std::int64_t> order;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < k; ++i) order.push_back(i * rows + r);
  const RaggedTensor ordered = gather(concat_rows(inputs), constant(order));
  return RaggedTensor::from_row_splits(ordered.values(), strided_slice(ordered.row_splits(), {lockstep::slice({}, {}, k)}));
}

std::vector<RaggedTensor> of_one_rank(std::span<const RaggedTensor> inputs, int least) {
  int rank = least;
  for (const RaggedTensor& each : inputs) rank = std::max(rank, each.ragged_rank());
  std::vector<RaggedTensor> result;
  for (const RaggedTensor& each : inputs) result.push_back(with_ragged_rank(each, rank));
  return result;
}

}  // namespace

RaggedTensor concat(std::span<const RaggedTensor> inputs, std::int64_t axis) {
  if (inputs.empty()) throw InvalidArgumentError("there is nothing to join", "ragged::concat");
  const int ndim = inputs[0].ndim();
  for (const RaggedTensor& each : inputs) {
    if (each.ndim() != ndim) throw InvalidArgumentError("inputs of " + std::to_string(ndim) + " and " + std::to_string(each.ndim()) + " axes cannot be joined", "ragged::concat");
    if (each.dtype() != inputs[0].dtype()) throw TypeError("inputs of " + std::string(name(inputs[0].dtype())) + " and " + std::string(name(each.dtype())) + " cannot be joined", "ragged::concat");
  }
  const int at = checked_axis(axis, ndim, "ragged::concat");
  const bool dense = std::none_of(inputs.begin(), inputs.end(), [](const RaggedTensor& each) { return each.is_ragged(); });
  if (inputs.size() == 1) return inputs[0];
  if (dense && at == ndim - 1) {
    std::vector<Tensor> tensors;
    for (const RaggedTensor& each : inputs) tensors.push_back(each.tensor());
    return lockstep::concat(tensors, at);
  }
  const std::vector<RaggedTensor> aligned = of_one_rank(inputs, 1);
  if (at == 0) return concat_rows(aligned);
  if (at == 1) return concat_within_rows(aligned);
  std::vector<RaggedTensor> values;
  Tensor splits = aligned[0].row_splits();
  for (const RaggedTensor& each : aligned) values.push_back(each.values()), splits = same_splits(splits, each.row_splits());
  return RaggedTensor::from_row_splits(concat(values, at - 1), splits);
}

RaggedTensor stack(std::span<const RaggedTensor> inputs, std::int64_t axis) {
  if (inputs.empty()) throw InvalidArgumentError("there is nothing to stack", "ragged::stack");
  const int at = checked_axis(axis, inputs[0].ndim() + 1, "ragged::stack");
  std::vector<RaggedTensor> wider;
  for (const RaggedTensor& each : inputs) {
    RaggedTensor row = expand_dims(each, at);
    // Tensors of one axis and more are rows that may have different lengths.
    if (!row.is_ragged() && row.ndim() > 1 && at != row.ndim() - 1) row = RaggedTensor::from_tensor(row.tensor());
    wider.push_back(row);
  }
  return concat(wider, at);
}

RaggedTensor tile(const RaggedTensor& x, const Ints& multiples) {
  if (int(multiples.size()) != x.ndim()) throw InvalidArgumentError("there must be a multiple for each of the " + std::to_string(x.ndim()) + " axes, got " + std::to_string(multiples.size()), "ragged::tile");
  RaggedTensor result = x;
  for (std::size_t axis = 0; axis < multiples.size(); ++axis) {
    if (multiples[axis] < 0) throw InvalidArgumentError("multiples must not be negative, got " + std::to_string(multiples[axis]), "ragged::tile");
    if (multiples[axis] == 1) continue;
    if (multiples[axis] > 0) {
      result = concat(std::vector<RaggedTensor>(std::size_t(multiples[axis]), result), std::int64_t(axis));
    } else if (axis == 0) {
      result = result[{lockstep::slice(0, 0)}];
    } else {  // no element of any row
      const auto within = [](auto&& self, const RaggedTensor& rows, std::size_t depth) -> RaggedTensor {
        if (depth == 1) return rows[{all, lockstep::slice(0, 0)}];
        return rows.with_values(self(self, rows.values(), depth - 1));
      };
      result = within(within, result, axis);
    }
  }
  return result;
}

RaggedTensor gather(const RaggedTensor& params, const RaggedTensor& indices) {
  if (!kIndexInts.contains(indices.dtype())) throw TypeError("indices must be int32 or int64, got " + std::string(name(indices.dtype())), "ragged::gather");
  if (indices.is_ragged()) return RaggedTensor::from_nested_row_splits(indices.flat_values(), indices.nested_row_splits()).with_values(gather(params, indices.values()));
  if (!params.is_ragged()) return {lockstep::gather(params.flat_values(), indices.tensor()), params.flat_ndim() + indices.flat_ndim() - 1};
  const Tensor& rows = indices.tensor();
  if (indices.ndim() == 0) return gather(params, lockstep::reshape(rows, {1}))[0];
  if (indices.ndim() > 1) return gather(params, RaggedTensor::from_tensor(rows, rows.ndim() - 1));
  static const OpDef& op = find_op("ragged_take_rows");
  const Tensors taken = apply_all(op, {params.row_splits(), rows.dtype() == int64 ? rows : cast(rows, int64)});
  return RaggedTensor::from_row_splits(gather(params.values(), taken[1]), taken[0]);
}

RaggedTensor boolean_mask(const RaggedTensor& x, const RaggedTensor& mask) {
  if (mask.dtype() != boolean) throw TypeError("the mask must be bool, got " + std::string(name(mask.dtype())), "ragged::boolean_mask");
  if (mask.ndim() < 1 || mask.ndim() > x.ndim()) throw InvalidArgumentError("a mask of " + std::to_string(mask.ndim()) + " axes does not fit " + std::to_string(x.ndim()) + " axes", "ragged::boolean_mask");
  if (mask.ndim() > 1) {
    const RaggedTensor rows = with_ragged_rank(x, 1), mask_rows = with_ragged_rank(mask, 1);
    const Tensor splits = same_splits(rows.row_splits(), mask_rows.row_splits());
    const RaggedTensor checked = RaggedTensor::from_row_splits(rows.values(), splits);
    if (mask.ndim() > 2) return checked.with_values(boolean_mask(rows.values(), mask_rows.values()));
    const Tensor kept = cast(mask_rows.values().tensor(), int64);
    const Tensor lengths = unsorted_segment_sum(kept, checked.value_rowids(), checked.nrows());
    return RaggedTensor::from_row_lengths(boolean_mask(rows.values(), mask_rows.values()), lengths);
  }
  if (!x.is_ragged()) return {lockstep::boolean_mask(x.flat_values(), mask.tensor()), x.flat_ndim()};
  if (mask.tensor().shape()[0] != x.nrows()) throw InvalidArgumentError("the mask has " + std::to_string(mask.tensor().shape()[0]) + " elements for " + std::to_string(x.nrows()) + " rows", "ragged::boolean_mask");
  return gather(x, squeeze(where(mask.tensor()), 1));
}

RaggedTensor range(const Tensor& starts, const Tensor& limits, const Tensor& deltas) {
  static const OpDef& op = find_op("ragged_range");
  std::int64_t rows = 1;
  for (const Tensor* each : {&starts, &limits, &deltas})
    if (each->ndim() == 1) rows = each->shape()[0];
  const auto spread_over_rows = [&](const Tensor& x) { return x.ndim() == 0 ? broadcast_to(x, {rows}) : x; };
  const Tensors made = apply_all(op, {spread_over_rows(starts), spread_over_rows(limits), spread_over_rows(deltas)});
  return RaggedTensor::from_row_splits(made[0], made[1]);
}

RaggedTensor range(const Tensor& limits) { return range(scalar(0, limits.dtype()), limits, scalar(1, limits.dtype())); }

namespace {

using Segments = Tensor (*)(const Tensor&, const Tensor&, std::int64_t);
using Reduction = Tensor (*)(const Tensor&, const Axes&, bool);

/// The axes of a reduction, as sorted numbers.
std::vector<std::int64_t> axes_of(const RaggedTensor& x, const Axes& axis) {
  std::vector<std::int64_t> axes;
  if (const auto* one = std::get_if<std::int64_t>(&axis.value)) axes.push_back(checked_axis(*one, x.ndim(), kRaggedOp));
  else if (const auto* list = std::get_if<Ints>(&axis.value))
    for (const std::int64_t each : *list) axes.push_back(checked_axis(each, x.ndim(), kRaggedOp));
  else
    for (std::int64_t i = 0; i < x.ndim(); ++i) axes.push_back(i);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) throw InvalidArgumentError("an axis is given twice", kRaggedOp);
  return axes;
}

/// The ragged axes reduced by segments of the flat values, the values' own axes before that.
RaggedTensor reduce(const RaggedTensor& x, const Axes& axis, Segments segments, Reduction dense) {
  if (!x.is_ragged()) return dense(x.flat_values(), axis, false);
  const std::int64_t rank = x.ragged_rank();
  Ints ragged_axes, own_axes;
  for (const std::int64_t each : axes_of(x, axis)) each <= rank ? ragged_axes.push_back(each) : own_axes.push_back(each - rank);
  if (std::int64_t(ragged_axes.size()) == rank + 1) {
    own_axes.push_back(0);
    return dense(x.flat_values(), own_axes, false);
  }
  const Tensor flat = own_axes.empty() ? x.flat_values() : dense(x.flat_values(), own_axes, false);
  if (ragged_axes.empty()) return x.with_flat_values(flat);
  if (rank == 1 && ragged_axes[0] == 1) return segments(flat, x.value_rowids(), x.nrows());
  static const OpDef& op = find_op("ragged_reduce_places");
  const Tensors places = apply_all(op, with_splits(x), {{"axis", ragged_axes}});
  const bool rows_only = std::int64_t(ragged_axes.size()) == rank && ragged_axes[0] == 1;  // axis 0 stays, alone
  if (!rows_only && places[1].is_symbolic()) {
    if (std::int64_t(ragged_axes.size()) != rank) throw UnimplementedError("how many elements a reduction gives that leaves ragged axes behind rows must be known inside a traced function", kRaggedOp, "pad the rows with to_tensor first");
    // One axis is left: the padded tensor gives it, filled with what an empty segment gives.
    const Tensor filling = lockstep::reshape(segments(zeros({0}, flat.dtype()), zeros({0}, int64), 1), {});
    return dense(x.with_flat_values(flat).to_tensor({}, filling), ragged_axes, false);
  }
  const Tensor reduced = segments(flat, places[0], rows_only ? x.nrows() : places[1].item<std::int64_t>());
  return RaggedTensor::from_nested_row_splits(reduced, std::span<const Tensor>(places.begin() + 2, places.end()));
}

}  // namespace

RaggedTensor reduce_sum(const RaggedTensor& x, const Axes& axis) { return reduce(x, axis, unsorted_segment_sum, lockstep::reduce_sum); }
RaggedTensor reduce_max(const RaggedTensor& x, const Axes& axis) { return reduce(x, axis, unsorted_segment_max, lockstep::reduce_max); }
RaggedTensor reduce_min(const RaggedTensor& x, const Axes& axis) { return reduce(x, axis, unsorted_segment_min, lockstep::reduce_min); }
RaggedTensor reduce_prod(const RaggedTensor& x, const Axes& axis) { return reduce(x, axis, unsorted_segment_prod, lockstep::reduce_prod); }

RaggedTensor reduce_mean(const RaggedTensor& x, const Axes& axis) {
  const RaggedTensor sum = reduce_sum(x, axis), count = reduce_sum(x.with_flat_values(ones_like(x.flat_values())), axis);
  return sum.with_flat_values(sum.flat_values() / count.flat_values());
}

RaggedTensor reduce_any(const RaggedTensor& x, const Axes& axis) {
  const RaggedTensor hits = reduce_sum(x.with_flat_values(cast(x.flat_values(), int64)), axis);
  return hits.with_flat_values(greater(hits.flat_values(), scalar(0, int64)));
}

RaggedTensor reduce_all(const RaggedTensor& x, const Axes& axis) {
  const RaggedTensor misses = reduce_sum(x.with_flat_values(cast(logical_not(x.flat_values()), int64)), axis);
  return misses.with_flat_values(equal(misses.flat_values(), scalar(0, int64)));
}

}  // namespace ragged

RaggedTensor operator+(const RaggedTensor& x, const RaggedTensor& y) { return ragged::map_flat_values([](const Tensor& a, const Tensor& b) { return a + b; }, x, y); }
RaggedTensor operator-(const RaggedTensor& x, const RaggedTensor& y) { return ragged::map_flat_values([](const Tensor& a, const Tensor& b) { return a - b; }, x, y); }
RaggedTensor operator*(const RaggedTensor& x, const RaggedTensor& y) { return ragged::map_flat_values([](const Tensor& a, const Tensor& b) { return a * b; }, x, y); }
RaggedTensor operator/(const RaggedTensor& x, const RaggedTensor& y) { return ragged::map_flat_values([](const Tensor& a, const Tensor& b) { return a / b; }, x, y); }
RaggedTensor operator-(const RaggedTensor& x) { return x.with_flat_values(-x.flat_values()); }
RaggedTensor operator+(const RaggedTensor& x, const Scalar& y) { return x.with_flat_values(x.flat_values() + y); }
RaggedTensor operator-(const RaggedTensor& x, const Scalar& y) { return x.with_flat_values(x.flat_values() - y); }
RaggedTensor operator*(const RaggedTensor& x, const Scalar& y) { return x.with_flat_values(x.flat_values() * y); }
RaggedTensor operator/(const RaggedTensor& x, const Scalar& y) { return x.with_flat_values(x.flat_values() / y); }
RaggedTensor operator+(const Scalar& x, const RaggedTensor& y) { return y.with_flat_values(x + y.flat_values()); }
RaggedTensor operator-(const Scalar& x, const RaggedTensor& y) { return y.with_flat_values(x - y.flat_values()); }
RaggedTensor operator*(const Scalar& x, const RaggedTensor& y) { return y.with_flat_values(x * y.flat_values()); }
RaggedTensor operator/(const Scalar& x, const RaggedTensor& y) { return y.with_flat_values(x / y.flat_values()); }

}  // namespace lockstep

// Reductions, arrangement, indexing and sorting as functions: each finds its row once and applies it.

#include <lockstep/tensor/ops.h>

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops/functions.h>

namespace lockstep {
namespace {

AttrValue optional(const std::optional<std::int64_t>& value) { return value ? AttrValue(*value) : AttrValue(None{}); }

std::vector<Tensor> list(Tensors tensors) { return {std::make_move_iterator(tensors.begin()), std::make_move_iterator(tensors.end())}; }

}  // namespace

Tensor reduce_sum(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_sum");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor reduce_mean(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_mean");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor reduce_max(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_max");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor reduce_min(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_min");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor reduce_prod(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_prod");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor reduce_logsumexp(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_logsumexp");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor reduce_variance(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_variance");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor reduce_std(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_std");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor reduce_any(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_any");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor reduce_all(const Tensor& x, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("reduce_all");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}});
}

Tensor argmax(const Tensor& x, std::int64_t axis, DType output_type) {
  static const OpDef& op = find_op("argmax");
  return apply(op, {x}, {{"axis", axis}, {"output_type", output_type}});
}

Tensor argmin(const Tensor& x, std::int64_t axis, DType output_type) {
  static const OpDef& op = find_op("argmin");
  return apply(op, {x}, {{"axis", axis}, {"output_type", output_type}});
}

Tensor norm(const Tensor& x, const NormOrder& ord, const Axes& axis, bool keepdims) {
  static const OpDef& op = find_op("norm");
  return apply(op, {x}, {{"ord", ord.value}, {"axis", axis.value}, {"keepdims", keepdims}});
}

std::pair<Tensor, Tensor> moments(const Tensor& x, const Axes& axes, bool keepdims) {
  static const OpDef& op = find_op("moments");
  Tensors out = apply_all(op, {x}, {{"axes", axes.value}, {"keepdims", keepdims}});
  return {std::move(out[0]), std::move(out[1])};
}

Tensor l2_loss(const Tensor& x) {
  static const OpDef& op = find_op("l2_loss");
  return apply(op, {x});
}

Tensor sum_to_shape_of(const Tensor& x, const Tensor& like) {
  static const OpDef& op = find_op("sum_to_shape_of");
  return apply(op, {x, like});
}

Tensor cumsum(const Tensor& x, std::int64_t axis, bool exclusive, bool reverse) {
  static const OpDef& op = find_op("cumsum");
  return apply(op, {x}, {{"axis", axis}, {"exclusive", exclusive}, {"reverse", reverse}});
}

Tensor cumprod(const Tensor& x, std::int64_t axis, bool exclusive, bool reverse) {
  static const OpDef& op = find_op("cumprod");
  return apply(op, {x}, {{"axis", axis}, {"exclusive", exclusive}, {"reverse", reverse}});
}

Tensor cumulative_logsumexp(const Tensor& x, std::int64_t axis, bool exclusive, bool reverse) {
  static const OpDef& op = find_op("cumulative_logsumexp");
  return apply(op, {x}, {{"axis", axis}, {"exclusive", exclusive}, {"reverse", reverse}});
}

Tensor segment_sum(const Tensor& data, const Tensor& segment_ids) {
  static const OpDef& op = find_op("segment_sum");
  return apply(op, {data, segment_ids});
}

Tensor segment_mean(const Tensor& data, const Tensor& segment_ids) {
  static const OpDef& op = find_op("segment_mean");
  return apply(op, {data, segment_ids});
}

Tensor segment_max(const Tensor& data, const Tensor& segment_ids) {
  static const OpDef& op = find_op("segment_max");
  return apply(op, {data, segment_ids});
}

Tensor unsorted_segment_sum(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments) {
  static const OpDef& op = find_op("unsorted_segment_sum");
  return apply(op, {data, segment_ids}, {{"num_segments", num_segments}});
}

Tensor unsorted_segment_mean(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments) {
  static const OpDef& op = find_op("unsorted_segment_mean");
  return apply(op, {data, segment_ids}, {{"num_segments", num_segments}});
}

Tensor unsorted_segment_min(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments) {
  static const OpDef& op = find_op("unsorted_segment_min");
  return apply(op, {data, segment_ids}, {{"num_segments", num_segments}});
}

Tensor unsorted_segment_prod(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments) {
  static const OpDef& op = find_op("unsorted_segment_prod");
  return apply(op, {data, segment_ids}, {{"num_segments", num_segments}});
}

Tensor unsorted_segment_max(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments) {
  static const OpDef& op = find_op("unsorted_segment_max");
  return apply(op, {data, segment_ids}, {{"num_segments", num_segments}});
}

Tensor transpose(const Tensor& x, const Axes& perm) {
  static const OpDef& op = find_op("transpose");
  return apply(op, {x}, {{"perm", perm.value}});
}

Tensor reshape(const Tensor& x, const Ints& shape) {
  static const OpDef& op = find_op("reshape");
  return apply(op, {x}, {{"shape", shape}});
}

Tensor reshape_like(const Tensor& x, const Tensor& like) {
  static const OpDef& op = find_op("reshape_like");
  return apply(op, {x, like});
}

Tensor squeeze(const Tensor& x, const Axes& axis) {
  static const OpDef& op = find_op("squeeze");
  return apply(op, {x}, {{"axis", axis.value}});
}

Tensor expand_dims(const Tensor& x, std::int64_t axis) {
  static const OpDef& op = find_op("expand_dims");
  return apply(op, {x}, {{"axis", axis}});
}

Tensor tile(const Tensor& x, const Ints& multiples) {
  static const OpDef& op = find_op("tile");
  return apply(op, {x}, {{"multiples", multiples}});
}

Tensor repeat(const Tensor& x, const Ints& repeats, const Axes& axis) {
  static const OpDef& op = find_op("repeat");
  return apply(op, {x}, {{"repeats", repeats}, {"axis", axis.value}});
}

Tensor broadcast_to(const Tensor& x, const Ints& shape) {
  static const OpDef& op = find_op("broadcast_to");
  return apply(op, {x}, {{"shape", shape}});
}

Tensor broadcast_like(const Tensor& x, const Tensor& like) {
  static const OpDef& op = find_op("broadcast_like");
  return apply(op, {x, like});
}

Tensor reverse(const Tensor& x, const Axes& axis) {
  static const OpDef& op = find_op("reverse");
  return apply(op, {x}, {{"axis", axis.value}});
}

Tensor roll(const Tensor& x, const Axes& shift, const Axes& axis) {
  static const OpDef& op = find_op("roll");
  return apply(op, {x}, {{"shift", shift.value}, {"axis", axis.value}});
}

Tensor concat(std::span<const Tensor> inputs, std::int64_t axis) {
  static const OpDef& op = find_op("concat");
  return apply(op, inputs, {{"axis", axis}});
}

Tensor stack(std::span<const Tensor> inputs, std::int64_t axis) {
  static const OpDef& op = find_op("stack");
  return apply(op, inputs, {{"axis", axis}});
}

std::vector<Tensor> unstack(const Tensor& x, std::int64_t axis) {
  static const OpDef& op = find_op("unstack");
  return list(apply_all(op, {x}, {{"axis", axis}}));
}

std::vector<Tensor> split(const Tensor& x, const Axes& num_or_size_splits, std::int64_t axis) {
  static const OpDef& op = find_op("split");
  return list(apply_all(op, {x}, {{"num_or_size_splits", num_or_size_splits.value}, {"axis", axis}}));
}

Tensor pad(const Tensor& x, const IntLists& paddings, const std::string& mode, const Scalar& constant_value) {
  static const OpDef& op = find_op("pad");
  return apply(op, {x}, {{"paddings", paddings}, {"mode", mode}, {"constant_value", number(constant_value)}});
}

std::vector<Tensor> meshgrid(std::span<const Tensor> inputs, const std::string& indexing) {
  static const OpDef& op = find_op("meshgrid");
  return list(apply_all(op, inputs, {{"indexing", indexing}}));
}

Tensor range(const Scalar& start, const Scalar& limit, const Scalar& delta, DType dtype) {
  static const OpDef& op = find_op("range");
  return apply(op, std::initializer_list<Tensor>{}, {{"start", number(start)}, {"limit", number(limit)}, {"delta", number(delta)}, {"dtype", dtype}});
}

Tensor linspace(double start, double stop, std::int64_t num, DType dtype) {
  static const OpDef& op = find_op("linspace");
  return apply(op, std::initializer_list<Tensor>{}, {{"start", start}, {"stop", stop}, {"num", num}, {"dtype", dtype}});
}

Tensor eye(std::int64_t num_rows, std::optional<std::int64_t> num_columns, const Ints& batch_shape, DType dtype) {
  static const OpDef& op = find_op("eye");
  return apply(op, std::initializer_list<Tensor>{}, {{"num_rows", num_rows}, {"num_columns", optional(num_columns)}, {"batch_shape", batch_shape}, {"dtype", dtype}});
}

Tensor fill(const Ints& shape, const Scalar& value, DType dtype) {
  static const OpDef& op = find_op("fill");
  return apply(op, std::initializer_list<Tensor>{}, {{"shape", shape}, {"value", number(value)}, {"dtype", dtype}});
}

Tensor zeros_like(const Tensor& x) {
  static const OpDef& op = find_op("zeros_like");
  return apply(op, {x});
}

Tensor ones_like(const Tensor& x) {
  static const OpDef& op = find_op("ones_like");
  return apply(op, {x});
}

Tensor band_part(const Tensor& x, std::int64_t num_lower, std::int64_t num_upper) {
  static const OpDef& op = find_op("band_part");
  return apply(op, {x}, {{"num_lower", num_lower}, {"num_upper", num_upper}});
}

Tensor diag(const Tensor& x) {
  static const OpDef& op = find_op("diag");
  return apply(op, {x});
}

Tensor diag_part(const Tensor& x) {
  static const OpDef& op = find_op("diag_part");
  return apply(op, {x});
}

Tensor trace(const Tensor& x) {
  static const OpDef& op = find_op("trace");
  return apply(op, {x});
}

Tensor one_hot(const Tensor& indices, std::int64_t depth, const Scalar& on_value, const Scalar& off_value, std::int64_t axis, DType dtype) {
  static const OpDef& op = find_op("one_hot");
  return apply(op, {indices}, {{"depth", depth}, {"on_value", number(on_value)}, {"off_value", number(off_value)}, {"axis", axis}, {"dtype", dtype}});
}

Tensor space_to_depth(const Tensor& x, std::int64_t block_size) {
  static const OpDef& op = find_op("space_to_depth");
  return apply(op, {x}, {{"block_size", block_size}});
}

Tensor depth_to_space(const Tensor& x, std::int64_t block_size) {
  static const OpDef& op = find_op("depth_to_space");
  return apply(op, {x}, {{"block_size", block_size}});
}

Tensor slice(const Tensor& x, const Ints& begin, const Ints& size) {
  static const OpDef& op = find_op("slice");
  return apply(op, {x}, {{"begin", begin}, {"size", size}});
}

Tensor strided_slice(const Tensor& x, const IndexList& spec) {
  static const OpDef& op = find_op("strided_slice");
  return apply(op, {x}, {{"spec", spec}});
}

Tensor tensor_strided_slice_update(const Tensor& x, const Tensor& value, const IndexList& spec) {
  static const OpDef& op = find_op("tensor_strided_slice_update");
  return apply(op, {x, value}, {{"spec", spec}});
}

Tensor boolean_mask(const Tensor& x, const Tensor& mask, std::int64_t axis) {
  static const OpDef& op = find_op("boolean_mask");
  return apply(op, {x, mask}, {{"axis", axis}});
}

Tensor gather(const Tensor& params, const Tensor& indices, std::int64_t axis, std::int64_t batch_dims) {
  static const OpDef& op = find_op("gather");
  return apply(op, {params, indices}, {{"axis", axis}, {"batch_dims", batch_dims}});
}

Tensor gather_nd(const Tensor& params, const Tensor& indices, std::int64_t batch_dims) {
  static const OpDef& op = find_op("gather_nd");
  return apply(op, {params, indices}, {{"batch_dims", batch_dims}});
}

Tensor embedding_lookup(const Tensor& table, const Tensor& ids) {
  static const OpDef& op = find_op("embedding_lookup");
  return apply(op, {table, ids});
}

Tensor take_along_axis(const Tensor& x, const Tensor& indices, std::int64_t axis) {
  static const OpDef& op = find_op("take_along_axis");
  return apply(op, {x, indices}, {{"axis", axis}});
}

Tensor scatter_nd(const Tensor& indices, const Tensor& updates, const Ints& shape) {
  static const OpDef& op = find_op("scatter_nd");
  return apply(op, {indices, updates}, {{"shape", shape}});
}

Tensor tensor_scatter_add(const Tensor& x, const Tensor& indices, const Tensor& updates) {
  static const OpDef& op = find_op("tensor_scatter_add");
  return apply(op, {x, indices, updates});
}

Tensor tensor_scatter_sub(const Tensor& x, const Tensor& indices, const Tensor& updates) {
  static const OpDef& op = find_op("tensor_scatter_sub");
  return apply(op, {x, indices, updates});
}

Tensor tensor_scatter_min(const Tensor& x, const Tensor& indices, const Tensor& updates) {
  static const OpDef& op = find_op("tensor_scatter_min");
  return apply(op, {x, indices, updates});
}

Tensor tensor_scatter_max(const Tensor& x, const Tensor& indices, const Tensor& updates) {
  static const OpDef& op = find_op("tensor_scatter_max");
  return apply(op, {x, indices, updates});
}

Tensor tensor_scatter_update(const Tensor& x, const Tensor& indices, const Tensor& updates) {
  static const OpDef& op = find_op("tensor_scatter_update");
  return apply(op, {x, indices, updates});
}

Tensor dynamic_stitch(std::span<const Tensor> inputs) {
  static const OpDef& op = find_op("dynamic_stitch");
  return apply(op, inputs);
}

Tensor sort(const Tensor& x, std::int64_t axis, const std::string& direction) {
  static const OpDef& op = find_op("sort");
  return apply(op, {x}, {{"axis", axis}, {"direction", direction}});
}

Tensor argsort(const Tensor& x, std::int64_t axis, const std::string& direction) {
  static const OpDef& op = find_op("argsort");
  return apply(op, {x}, {{"axis", axis}, {"direction", direction}});
}

std::pair<Tensor, Tensor> top_k(const Tensor& x, std::int64_t k) {
  static const OpDef& op = find_op("top_k");
  Tensors out = apply_all(op, {x}, {{"k", k}});
  return {std::move(out[0]), std::move(out[1])};
}

std::pair<Tensor, Tensor> unique(const Tensor& x) {
  static const OpDef& op = find_op("unique");
  Tensors out = apply_all(op, {x});
  return {std::move(out[0]), std::move(out[1])};
}

std::tuple<Tensor, Tensor, Tensor> unique_with_counts(const Tensor& x) {
  static const OpDef& op = find_op("unique_with_counts");
  Tensors out = apply_all(op, {x});
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

Tensor bincount(const Tensor& x, std::optional<std::int64_t> minlength, std::optional<std::int64_t> maxlength) {
  static const OpDef& op = find_op("bincount");
  return apply(op, {x}, {{"minlength", optional(minlength)}, {"maxlength", optional(maxlength)}});
}

Tensor searchsorted(const Tensor& sorted, const Tensor& values, const std::string& side) {
  static const OpDef& op = find_op("searchsorted");
  return apply(op, {sorted, values}, {{"side", side}});
}

Tensor in_top_k(const Tensor& predictions, const Tensor& targets, std::int64_t k) {
  static const OpDef& op = find_op("in_top_k");
  return apply(op, {predictions, targets}, {{"k", k}});
}

}  // namespace lockstep

// The ops as functions: each finds its row once and applies it.

#include <lockstep/tensor/ops.h>

#include <lockstep/tensor/op.h>

namespace lockstep {
namespace {

AttrValue number(const Scalar& value) {
  if (value.kind() == Scalar::Kind::real) return value.real();
  if (value.kind() == Scalar::Kind::boolean) return value.integer() != 0;
  return value.integer();
}

AttrValue optional(const std::optional<std::int64_t>& value) { return value ? AttrValue(*value) : AttrValue(None{}); }

std::vector<Tensor> list(Tensors tensors) { return {std::make_move_iterator(tensors.begin()), std::make_move_iterator(tensors.end())}; }

}  // namespace

Tensor neg(const Tensor& x) {
  static const OpDef& op = find_op("neg");
  return apply(op, {x});
}

Tensor abs(const Tensor& x) {
  static const OpDef& op = find_op("abs");
  return apply(op, {x});
}

Tensor sign(const Tensor& x) {
  static const OpDef& op = find_op("sign");
  return apply(op, {x});
}

Tensor square(const Tensor& x) {
  static const OpDef& op = find_op("square");
  return apply(op, {x});
}

Tensor sqrt(const Tensor& x) {
  static const OpDef& op = find_op("sqrt");
  return apply(op, {x});
}

Tensor rsqrt(const Tensor& x) {
  static const OpDef& op = find_op("rsqrt");
  return apply(op, {x});
}

Tensor reciprocal(const Tensor& x) {
  static const OpDef& op = find_op("reciprocal");
  return apply(op, {x});
}

Tensor exp(const Tensor& x) {
  static const OpDef& op = find_op("exp");
  return apply(op, {x});
}

Tensor expm1(const Tensor& x) {
  static const OpDef& op = find_op("expm1");
  return apply(op, {x});
}

Tensor log(const Tensor& x) {
  static const OpDef& op = find_op("log");
  return apply(op, {x});
}

Tensor log1p(const Tensor& x) {
  static const OpDef& op = find_op("log1p");
  return apply(op, {x});
}

Tensor sin(const Tensor& x) {
  static const OpDef& op = find_op("sin");
  return apply(op, {x});
}

Tensor cos(const Tensor& x) {
  static const OpDef& op = find_op("cos");
  return apply(op, {x});
}

Tensor tan(const Tensor& x) {
  static const OpDef& op = find_op("tan");
  return apply(op, {x});
}

Tensor asin(const Tensor& x) {
  static const OpDef& op = find_op("asin");
  return apply(op, {x});
}

Tensor acos(const Tensor& x) {
  static const OpDef& op = find_op("acos");
  return apply(op, {x});
}

Tensor atan(const Tensor& x) {
  static const OpDef& op = find_op("atan");
  return apply(op, {x});
}

Tensor sinh(const Tensor& x) {
  static const OpDef& op = find_op("sinh");
  return apply(op, {x});
}

Tensor cosh(const Tensor& x) {
  static const OpDef& op = find_op("cosh");
  return apply(op, {x});
}

Tensor tanh(const Tensor& x) {
  static const OpDef& op = find_op("tanh");
  return apply(op, {x});
}

Tensor asinh(const Tensor& x) {
  static const OpDef& op = find_op("asinh");
  return apply(op, {x});
}

Tensor acosh(const Tensor& x) {
  static const OpDef& op = find_op("acosh");
  return apply(op, {x});
}

Tensor atanh(const Tensor& x) {
  static const OpDef& op = find_op("atanh");
  return apply(op, {x});
}

Tensor sigmoid(const Tensor& x) {
  static const OpDef& op = find_op("sigmoid");
  return apply(op, {x});
}

Tensor softplus(const Tensor& x) {
  static const OpDef& op = find_op("softplus");
  return apply(op, {x});
}

Tensor softsign(const Tensor& x) {
  static const OpDef& op = find_op("softsign");
  return apply(op, {x});
}

Tensor relu(const Tensor& x) {
  static const OpDef& op = find_op("relu");
  return apply(op, {x});
}

Tensor relu6(const Tensor& x) {
  static const OpDef& op = find_op("relu6");
  return apply(op, {x});
}

Tensor selu(const Tensor& x) {
  static const OpDef& op = find_op("selu");
  return apply(op, {x});
}

Tensor erf(const Tensor& x) {
  static const OpDef& op = find_op("erf");
  return apply(op, {x});
}

Tensor erfc(const Tensor& x) {
  static const OpDef& op = find_op("erfc");
  return apply(op, {x});
}

Tensor erfinv(const Tensor& x) {
  static const OpDef& op = find_op("erfinv");
  return apply(op, {x});
}

Tensor lgamma(const Tensor& x) {
  static const OpDef& op = find_op("lgamma");
  return apply(op, {x});
}

Tensor digamma(const Tensor& x) {
  static const OpDef& op = find_op("digamma");
  return apply(op, {x});
}

Tensor floor(const Tensor& x) {
  static const OpDef& op = find_op("floor");
  return apply(op, {x});
}

Tensor ceil(const Tensor& x) {
  static const OpDef& op = find_op("ceil");
  return apply(op, {x});
}

Tensor round(const Tensor& x) {
  static const OpDef& op = find_op("round");
  return apply(op, {x});
}

Tensor log_sigmoid(const Tensor& x) {
  static const OpDef& op = find_op("log_sigmoid");
  return apply(op, {x});
}

Tensor mish(const Tensor& x) {
  static const OpDef& op = find_op("mish");
  return apply(op, {x});
}

Tensor hard_sigmoid(const Tensor& x) {
  static const OpDef& op = find_op("hard_sigmoid");
  return apply(op, {x});
}

Tensor hard_silu(const Tensor& x) {
  static const OpDef& op = find_op("hard_silu");
  return apply(op, {x});
}

Tensor is_nan(const Tensor& x) {
  static const OpDef& op = find_op("is_nan");
  return apply(op, {x});
}

Tensor is_inf(const Tensor& x) {
  static const OpDef& op = find_op("is_inf");
  return apply(op, {x});
}

Tensor is_finite(const Tensor& x) {
  static const OpDef& op = find_op("is_finite");
  return apply(op, {x});
}

Tensor logical_not(const Tensor& x) {
  static const OpDef& op = find_op("logical_not");
  return apply(op, {x});
}

Tensor stop_gradient(const Tensor& x) {
  static const OpDef& op = find_op("stop_gradient");
  return apply(op, {x});
}

Tensor identity(const Tensor& x) {
  static const OpDef& op = find_op("identity");
  return apply(op, {x});
}

Tensor leaky_relu(const Tensor& x, double alpha) {
  static const OpDef& op = find_op("leaky_relu");
  return apply(op, {x}, {{"alpha", alpha}});
}

Tensor elu(const Tensor& x, double alpha) {
  static const OpDef& op = find_op("elu");
  return apply(op, {x}, {{"alpha", alpha}});
}

Tensor gelu(const Tensor& x, bool approximate) {
  static const OpDef& op = find_op("gelu");
  return apply(op, {x}, {{"approximate", approximate}});
}

Tensor silu(const Tensor& x, double beta) {
  static const OpDef& op = find_op("silu");
  return apply(op, {x}, {{"beta", beta}});
}

Tensor clip_by_value(const Tensor& x, const Scalar& min, const Scalar& max) {
  static const OpDef& op = find_op("clip_by_value");
  return apply(op, {x}, {{"min", number(min)}, {"max", number(max)}});
}

Tensor cast(const Tensor& x, DType dtype) {
  static const OpDef& op = find_op("cast");
  return apply(op, {x}, {{"dtype", dtype}});
}

Tensor add(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("add");
  return apply(op, {x, y});
}

Tensor subtract(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("subtract");
  return apply(op, {x, y});
}

Tensor multiply(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("multiply");
  return apply(op, {x, y});
}

Tensor divide(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("divide");
  return apply(op, {x, y});
}

Tensor floordiv(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("floordiv");
  return apply(op, {x, y});
}

Tensor mod(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("mod");
  return apply(op, {x, y});
}

Tensor pow(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("pow");
  return apply(op, {x, y});
}

Tensor maximum(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("maximum");
  return apply(op, {x, y});
}

Tensor minimum(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("minimum");
  return apply(op, {x, y});
}

Tensor atan2(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("atan2");
  return apply(op, {x, y});
}

Tensor squared_difference(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("squared_difference");
  return apply(op, {x, y});
}

Tensor divide_no_nan(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("divide_no_nan");
  return apply(op, {x, y});
}

Tensor equal(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("equal");
  return apply(op, {x, y});
}

Tensor not_equal(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("not_equal");
  return apply(op, {x, y});
}

Tensor less(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("less");
  return apply(op, {x, y});
}

Tensor less_equal(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("less_equal");
  return apply(op, {x, y});
}

Tensor greater(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("greater");
  return apply(op, {x, y});
}

Tensor greater_equal(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("greater_equal");
  return apply(op, {x, y});
}

Tensor logical_and(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("logical_and");
  return apply(op, {x, y});
}

Tensor logical_or(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("logical_or");
  return apply(op, {x, y});
}

Tensor logical_xor(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("logical_xor");
  return apply(op, {x, y});
}

Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("where");
  return apply(op, {condition, x, y});
}

Tensor where(const Tensor& condition) {
  static const OpDef& op = find_op("where_index");
  return apply(op, {condition});
}

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

Tensor matmul(const Tensor& x, const Tensor& y, bool transpose_a, bool transpose_b) {
  static const OpDef& op = find_op("matmul");
  return apply(op, {x, y}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
}

Tensor matvec(const Tensor& x, const Tensor& y, bool transpose_a) {
  static const OpDef& op = find_op("matvec");
  return apply(op, {x, y}, {{"transpose_a", transpose_a}});
}

Tensor einsum(std::span<const Tensor> inputs, const std::string& equation) {
  static const OpDef& op = find_op("einsum");
  return apply(op, inputs, {{"equation", equation}});
}

Tensor tensordot(const Tensor& x, const Tensor& y, const IntLists& axes) {
  static const OpDef& op = find_op("tensordot");
  return apply(op, {x, y}, {{"axes", axes}});
}

Tensor cholesky(const Tensor& x) {
  static const OpDef& op = find_op("cholesky");
  return apply(op, {x});
}

Tensor det(const Tensor& x) {
  static const OpDef& op = find_op("det");
  return apply(op, {x});
}

Tensor inv(const Tensor& x, bool adjoint) {
  static const OpDef& op = find_op("inv");
  return apply(op, {x}, {{"adjoint", adjoint}});
}

Tensor solve(const Tensor& matrix, const Tensor& rhs, bool adjoint) {
  static const OpDef& op = find_op("solve");
  return apply(op, {matrix, rhs}, {{"adjoint", adjoint}});
}

Tensor triangular_solve(const Tensor& matrix, const Tensor& rhs, bool lower, bool adjoint) {
  static const OpDef& op = find_op("triangular_solve");
  return apply(op, {matrix, rhs}, {{"lower", lower}, {"adjoint", adjoint}});
}

std::pair<Tensor, Tensor> slogdet(const Tensor& x) {
  static const OpDef& op = find_op("slogdet");
  Tensors out = apply_all(op, {x});
  return {std::move(out[0]), std::move(out[1])};
}

std::pair<Tensor, Tensor> qr(const Tensor& x, bool full_matrices) {
  static const OpDef& op = find_op("qr");
  Tensors out = apply_all(op, {x}, {{"full_matrices", full_matrices}});
  return {std::move(out[0]), std::move(out[1])};
}

Tensor svd(const Tensor& x, bool compute_uv) {
  static const OpDef& op = find_op("svd");
  return apply(op, {x}, {{"compute_uv", compute_uv}});
}

Tensor eigvalsh(const Tensor& x) {
  static const OpDef& op = find_op("eigvalsh");
  return apply(op, {x});
}

Tensor conv1d(const Tensor& x, const Tensor& kernel, std::int64_t stride, const std::string& padding, std::int64_t dilation) {
  static const OpDef& op = find_op("conv1d");
  return apply(op, {x, kernel}, {{"stride", stride}, {"padding", padding}, {"dilation", dilation}});
}

Tensor conv2d(const Tensor& x, const Tensor& kernel, const Ints& strides, const std::string& padding, const Ints& dilations, std::int64_t groups, const IntLists& explicit_padding) {
  static const OpDef& op = find_op("conv2d");
  return apply(op, {x, kernel}, {{"strides", strides}, {"padding", padding}, {"dilations", dilations}, {"groups", groups}, {"explicit_padding", explicit_padding}});
}

Tensor conv3d(const Tensor& x, const Tensor& kernel, const Ints& strides, const std::string& padding) {
  static const OpDef& op = find_op("conv3d");
  return apply(op, {x, kernel}, {{"strides", strides}, {"padding", padding}});
}

Tensor depthwise_conv2d(const Tensor& x, const Tensor& kernel, const Ints& strides, const std::string& padding, const Ints& dilations) {
  static const OpDef& op = find_op("depthwise_conv2d");
  return apply(op, {x, kernel}, {{"strides", strides}, {"padding", padding}, {"dilations", dilations}});
}

Tensor conv2d_transpose(const Tensor& x, const Tensor& kernel, const Ints& output_shape, const Ints& strides, const std::string& padding) {
  static const OpDef& op = find_op("conv2d_transpose");
  return apply(op, {x, kernel}, {{"output_shape", output_shape}, {"strides", strides}, {"padding", padding}});
}

Tensor max_pool1d(const Tensor& x, std::int64_t ksize, std::int64_t strides, const std::string& padding) {
  static const OpDef& op = find_op("max_pool1d");
  return apply(op, {x}, {{"ksize", ksize}, {"strides", strides}, {"padding", padding}});
}

Tensor avg_pool1d(const Tensor& x, std::int64_t ksize, std::int64_t strides, const std::string& padding) {
  static const OpDef& op = find_op("avg_pool1d");
  return apply(op, {x}, {{"ksize", ksize}, {"strides", strides}, {"padding", padding}});
}

Tensor max_pool2d(const Tensor& x, const Ints& ksize, const Ints& strides, const std::string& padding) {
  static const OpDef& op = find_op("max_pool2d");
  return apply(op, {x}, {{"ksize", ksize}, {"strides", strides}, {"padding", padding}});
}

Tensor avg_pool2d(const Tensor& x, const Ints& ksize, const Ints& strides, const std::string& padding) {
  static const OpDef& op = find_op("avg_pool2d");
  return apply(op, {x}, {{"ksize", ksize}, {"strides", strides}, {"padding", padding}});
}

Tensor bias_add(const Tensor& x, const Tensor& bias) {
  static const OpDef& op = find_op("bias_add");
  return apply(op, {x, bias});
}

std::tuple<Tensor, Tensor, Tensor> batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon, bool training) {
  static const OpDef& op = find_op("batch_norm");
  Tensors out = apply_all(op, {x, gamma, beta}, {{"epsilon", epsilon}, {"training", training}});
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& variance, double epsilon) {
  static const OpDef& op = find_op("batch_norm");
  return apply(op, {x, gamma, beta, mean, variance}, {{"epsilon", epsilon}, {"training", false}});
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Axes& axis, double epsilon) {
  static const OpDef& op = find_op("layer_norm");
  return apply(op, {x, gamma, beta}, {{"axis", axis.value}, {"epsilon", epsilon}});
}

Tensor rms_norm(const Tensor& x, const Tensor& gamma, const Axes& axis, double epsilon) {
  static const OpDef& op = find_op("rms_norm");
  return apply(op, {x, gamma}, {{"axis", axis.value}, {"epsilon", epsilon}});
}

Tensor softmax(const Tensor& x, std::int64_t axis) {
  static const OpDef& op = find_op("softmax");
  return apply(op, {x}, {{"axis", axis}});
}

Tensor log_softmax(const Tensor& x, std::int64_t axis) {
  static const OpDef& op = find_op("log_softmax");
  return apply(op, {x}, {{"axis", axis}});
}

Tensor l2_normalize(const Tensor& x, const Axes& axis, double epsilon) {
  static const OpDef& op = find_op("l2_normalize");
  return apply(op, {x}, {{"axis", axis.value}, {"epsilon", epsilon}});
}

Tensor softmax_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits, std::int64_t axis) {
  static const OpDef& op = find_op("softmax_cross_entropy_with_logits");
  return apply(op, {labels, logits}, {{"axis", axis}});
}

Tensor sparse_softmax_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits) {
  static const OpDef& op = find_op("sparse_softmax_cross_entropy_with_logits");
  return apply(op, {labels, logits});
}

Tensor sigmoid_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits) {
  static const OpDef& op = find_op("sigmoid_cross_entropy_with_logits");
  return apply(op, {labels, logits});
}

Tensor weighted_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits, double pos_weight) {
  static const OpDef& op = find_op("weighted_cross_entropy_with_logits");
  return apply(op, {labels, logits}, {{"pos_weight", pos_weight}});
}

}  // namespace lockstep

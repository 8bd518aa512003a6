#pragma once
// The ops as functions: one declaration for each row that users call. What an op means (formula, dtypes, shapes, errors, gradient)
// stands in its row; `lockstep ops NAME` prints it. Every function throws InvalidArgumentError (TypeError, IndexError) for operands
// that the row refuses, naming the op, the shapes and the dtypes; none casts implicitly.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <lockstep/tensor/attrs.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep {

/// No axis (all of them), one axis, or several; negative counts from the end.
struct Axes {
  Axes() = default;
  template <std::integral I>
  Axes(I axis) : value(std::int64_t(axis)) {}
  Axes(std::initializer_list<std::int64_t> axes) : value(Ints(axes)) {}
  Axes(const Ints& axes) : value(axes) {}
  AttrValue value = None{};
};
/// Order of a norm: "euclidean", "fro", "inf", or a number.
struct NormOrder {
  NormOrder(const char* word) : value(std::string(word)) {}
  template <std::integral I>
  NormOrder(I p) : value(std::int64_t(p)) {}
  NormOrder(double p) : value(p) {}
  AttrValue value;
};

// ---- pointwise, one operand

Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor sign(const Tensor& x);
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor expm1(const Tensor& x);
Tensor log(const Tensor& x);
Tensor log1p(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor asinh(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor softplus(const Tensor& x);
Tensor softsign(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor relu6(const Tensor& x);
Tensor selu(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor erfc(const Tensor& x);
Tensor erfinv(const Tensor& x);
Tensor lgamma(const Tensor& x);
Tensor digamma(const Tensor& x);
/// The n-th derivative of digamma.
Tensor polygamma(std::int64_t n, const Tensor& x);
/// The complex conjugate; `x` itself where it is real.
Tensor conj(const Tensor& x);
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor round(const Tensor& x);
Tensor log_sigmoid(const Tensor& x);
Tensor mish(const Tensor& x);
Tensor hard_sigmoid(const Tensor& x);
Tensor hard_silu(const Tensor& x);
Tensor is_nan(const Tensor& x);
Tensor is_inf(const Tensor& x);
Tensor is_finite(const Tensor& x);
Tensor logical_not(const Tensor& x);
/// The value itself, through which no gradient flows.
Tensor stop_gradient(const Tensor& x);
/// The value itself, as a new tensor in the graph.
Tensor identity(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double alpha = 0.2);
Tensor elu(const Tensor& x, double alpha = 1.0);
Tensor gelu(const Tensor& x, bool approximate = false);
Tensor silu(const Tensor& x, double beta = 1.0);
Tensor clip_by_value(const Tensor& x, const Scalar& min, const Scalar& max);
/// Float to int truncates; to bool is x != 0; integers wrap.
Tensor cast(const Tensor& x, DType dtype);

// ---- pointwise, two operands of one dtype, broadcasting

Tensor add(const Tensor& x, const Tensor& y);
Tensor subtract(const Tensor& x, const Tensor& y);
Tensor multiply(const Tensor& x, const Tensor& y);
Tensor divide(const Tensor& x, const Tensor& y);
Tensor floordiv(const Tensor& x, const Tensor& y);
Tensor mod(const Tensor& x, const Tensor& y);
Tensor pow(const Tensor& x, const Tensor& y);
Tensor maximum(const Tensor& x, const Tensor& y);
Tensor minimum(const Tensor& x, const Tensor& y);
Tensor atan2(const Tensor& x, const Tensor& y);
Tensor squared_difference(const Tensor& x, const Tensor& y);
Tensor divide_no_nan(const Tensor& x, const Tensor& y);
Tensor equal(const Tensor& x, const Tensor& y);
Tensor not_equal(const Tensor& x, const Tensor& y);
Tensor less(const Tensor& x, const Tensor& y);
Tensor less_equal(const Tensor& x, const Tensor& y);
Tensor greater(const Tensor& x, const Tensor& y);
Tensor greater_equal(const Tensor& x, const Tensor& y);
Tensor logical_and(const Tensor& x, const Tensor& y);
Tensor logical_or(const Tensor& x, const Tensor& y);
Tensor logical_xor(const Tensor& x, const Tensor& y);
/// `x` where the condition is true, else `y`; all three broadcast.
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y);
/// int64 (n, ndim): the indices of the true elements. Its shape depends on the data.
Tensor where(const Tensor& condition);

// ---- reductions; no axis means all axes

Tensor reduce_sum(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_mean(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_max(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_min(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_prod(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_logsumexp(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_variance(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_std(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_any(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_all(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor argmax(const Tensor& x, std::int64_t axis = 0, DType output_type = int64);
Tensor argmin(const Tensor& x, std::int64_t axis = 0, DType output_type = int64);
/// ord: "euclidean", "fro", "inf", or p >= 1.
Tensor norm(const Tensor& x, const NormOrder& ord = "euclidean", const Axes& axis = {}, bool keepdims = false);
/// Mean and population variance.
std::pair<Tensor, Tensor> moments(const Tensor& x, const Axes& axes, bool keepdims = false);
/// sum(x^2) / 2
Tensor l2_loss(const Tensor& x);
/// x summed over the axes along which `like` was broadcast to it.
Tensor sum_to_shape_of(const Tensor& x, const Tensor& like);

// ---- scans and segments

Tensor cumsum(const Tensor& x, std::int64_t axis = 0, bool exclusive = false, bool reverse = false);
Tensor cumprod(const Tensor& x, std::int64_t axis = 0, bool exclusive = false, bool reverse = false);
Tensor cumulative_logsumexp(const Tensor& x, std::int64_t axis = 0, bool exclusive = false, bool reverse = false);
Tensor segment_sum(const Tensor& data, const Tensor& segment_ids);
Tensor segment_mean(const Tensor& data, const Tensor& segment_ids);
Tensor segment_max(const Tensor& data, const Tensor& segment_ids);
Tensor unsorted_segment_sum(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments);
Tensor unsorted_segment_mean(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments);
Tensor unsorted_segment_max(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments);
Tensor unsorted_segment_min(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments);
Tensor unsorted_segment_prod(const Tensor& data, const Tensor& segment_ids, std::int64_t num_segments);

// ---- shape and arrangement

/// Axis order; none reverses all axes. A new tensor.
Tensor transpose(const Tensor& x, const Axes& perm = {});
/// One -1 is allowed. No copy.
Tensor reshape(const Tensor& x, const Ints& shape);
Tensor reshape_like(const Tensor& x, const Tensor& like);
Tensor squeeze(const Tensor& x, const Axes& axis = {});
Tensor expand_dims(const Tensor& x, std::int64_t axis);
Tensor tile(const Tensor& x, const Ints& multiples);
Tensor repeat(const Tensor& x, const Ints& repeats, const Axes& axis = {});
Tensor broadcast_to(const Tensor& x, const Ints& shape);
Tensor broadcast_like(const Tensor& x, const Tensor& like);
Tensor reverse(const Tensor& x, const Axes& axis);
Tensor roll(const Tensor& x, const Axes& shift, const Axes& axis);
Tensor concat(std::span<const Tensor> inputs, std::int64_t axis);
Tensor stack(std::span<const Tensor> inputs, std::int64_t axis = 0);
std::vector<Tensor> unstack(const Tensor& x, std::int64_t axis = 0);
std::vector<Tensor> split(const Tensor& x, const Axes& num_or_size_splits, std::int64_t axis = 0);
Tensor pad(const Tensor& x, const IntLists& paddings, const std::string& mode = "constant", const Scalar& constant_value = 0.0);
std::vector<Tensor> meshgrid(std::span<const Tensor> inputs, const std::string& indexing = "xy");
Tensor range(const Scalar& start, const Scalar& limit, const Scalar& delta = 1, DType dtype = int32);
Tensor linspace(double start, double stop, std::int64_t num, DType dtype = float32);
Tensor eye(std::int64_t num_rows, std::optional<std::int64_t> num_columns = {}, const Ints& batch_shape = {}, DType dtype = float32);
Tensor fill(const Ints& shape, const Scalar& value, DType dtype = float32);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor band_part(const Tensor& x, std::int64_t num_lower, std::int64_t num_upper);
Tensor diag(const Tensor& x);
Tensor diag_part(const Tensor& x);
Tensor trace(const Tensor& x);
Tensor one_hot(const Tensor& indices, std::int64_t depth, const Scalar& on_value = 1, const Scalar& off_value = 0, std::int64_t axis = -1, DType dtype = float32);
Tensor space_to_depth(const Tensor& x, std::int64_t block_size);
Tensor depth_to_space(const Tensor& x, std::int64_t block_size);

// ---- indexing, gathering, scattering

Tensor slice(const Tensor& x, const Ints& begin, const Ints& size);
Tensor strided_slice(const Tensor& x, const IndexList& spec);
/// x with the part that `spec` names replaced by `value` (broadcast).
Tensor tensor_strided_slice_update(const Tensor& x, const Tensor& value, const IndexList& spec);
Tensor boolean_mask(const Tensor& x, const Tensor& mask, std::int64_t axis = 0);
Tensor gather(const Tensor& params, const Tensor& indices, std::int64_t axis = 0, std::int64_t batch_dims = 0);
Tensor gather_nd(const Tensor& params, const Tensor& indices, std::int64_t batch_dims = 0);
Tensor embedding_lookup(const Tensor& table, const Tensor& ids);
Tensor take_along_axis(const Tensor& x, const Tensor& indices, std::int64_t axis);
Tensor scatter_nd(const Tensor& indices, const Tensor& updates, const Ints& shape);
Tensor tensor_scatter_add(const Tensor& x, const Tensor& indices, const Tensor& updates);
Tensor tensor_scatter_sub(const Tensor& x, const Tensor& indices, const Tensor& updates);
Tensor tensor_scatter_max(const Tensor& x, const Tensor& indices, const Tensor& updates);
Tensor tensor_scatter_min(const Tensor& x, const Tensor& indices, const Tensor& updates);
Tensor tensor_scatter_update(const Tensor& x, const Tensor& indices, const Tensor& updates);
Tensor dynamic_stitch(std::span<const Tensor> inputs);

// ---- sorting and searching

Tensor sort(const Tensor& x, std::int64_t axis = -1, const std::string& direction = "ascending");
Tensor argsort(const Tensor& x, std::int64_t axis = -1, const std::string& direction = "ascending");
/// Largest k along the last axis, and their int32 indices; the lower index first at ties.
std::pair<Tensor, Tensor> top_k(const Tensor& x, std::int64_t k);
std::pair<Tensor, Tensor> unique(const Tensor& x);
std::tuple<Tensor, Tensor, Tensor> unique_with_counts(const Tensor& x);
Tensor bincount(const Tensor& x, std::optional<std::int64_t> minlength = {}, std::optional<std::int64_t> maxlength = {});
Tensor searchsorted(const Tensor& sorted, const Tensor& values, const std::string& side = "left");
Tensor in_top_k(const Tensor& predictions, const Tensor& targets, std::int64_t k);

// ---- linear algebra

Tensor matmul(const Tensor& x, const Tensor& y, bool transpose_a = false, bool transpose_b = false);
Tensor matvec(const Tensor& x, const Tensor& y, bool transpose_a = false);
Tensor einsum(std::span<const Tensor> inputs, const std::string& equation);
/// axes: {{n}} contracts the last n with the first n; {{a...}, {b...}} names them.
Tensor tensordot(const Tensor& x, const Tensor& y, const IntLists& axes);
Tensor cholesky(const Tensor& x);
Tensor det(const Tensor& x);
Tensor inv(const Tensor& x, bool adjoint = false);
Tensor solve(const Tensor& matrix, const Tensor& rhs, bool adjoint = false);
Tensor triangular_solve(const Tensor& matrix, const Tensor& rhs, bool lower = true, bool adjoint = false);
std::pair<Tensor, Tensor> slogdet(const Tensor& x);
std::pair<Tensor, Tensor> qr(const Tensor& x, bool full_matrices = false);
/// Singular values, descending.
Tensor svd(const Tensor& x, bool compute_uv = false);
/// Singular values, U and V.
std::tuple<Tensor, Tensor, Tensor> svd_uv(const Tensor& x);
/// Eigenvalues, ascending, and eigenvectors as columns, of symmetric matrices.
std::pair<Tensor, Tensor> eigh(const Tensor& x);
Tensor eigvalsh(const Tensor& x);

// ---- neural networks; channels last

Tensor conv1d(const Tensor& x, const Tensor& kernel, std::int64_t stride = 1, const std::string& padding = "valid", std::int64_t dilation = 1);
Tensor conv2d(const Tensor& x, const Tensor& kernel, const Ints& strides = {1, 1}, const std::string& padding = "valid", const Ints& dilations = {1, 1}, std::int64_t groups = 1, const IntLists& explicit_padding = {});
Tensor conv3d(const Tensor& x, const Tensor& kernel, const Ints& strides = {1, 1, 1}, const std::string& padding = "valid");
Tensor depthwise_conv2d(const Tensor& x, const Tensor& kernel, const Ints& strides = {1, 1}, const std::string& padding = "valid", const Ints& dilations = {1, 1});
Tensor conv2d_transpose(const Tensor& x, const Tensor& kernel, const Ints& output_shape, const Ints& strides = {1, 1}, const std::string& padding = "valid");
Tensor max_pool1d(const Tensor& x, std::int64_t ksize, std::int64_t strides, const std::string& padding = "valid");
Tensor avg_pool1d(const Tensor& x, std::int64_t ksize, std::int64_t strides, const std::string& padding = "valid");
Tensor max_pool2d(const Tensor& x, const Ints& ksize, const Ints& strides, const std::string& padding = "valid");
Tensor avg_pool2d(const Tensor& x, const Ints& ksize, const Ints& strides, const std::string& padding = "valid");
Tensor bias_add(const Tensor& x, const Tensor& bias);
/// Training: y, batch mean, population batch variance over all axes but the last.
std::tuple<Tensor, Tensor, Tensor> batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon = 1e-3, bool training = true);
/// Inference with given moving mean and variance.
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& variance, double epsilon = 1e-3);
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Axes& axis = Axes(-1), double epsilon = 1e-3);
Tensor rms_norm(const Tensor& x, const Tensor& gamma, const Axes& axis = Axes(-1), double epsilon = 1e-6);
Tensor softmax(const Tensor& x, std::int64_t axis = -1);
Tensor log_softmax(const Tensor& x, std::int64_t axis = -1);
Tensor l2_normalize(const Tensor& x, const Axes& axis = Axes(-1), double epsilon = 1e-12);
/// keras.ops.dot_product_attention: softmax(scale query key^T) value for each head. query (batch..., rows, heads, size), key (batch..., keys, heads, size),
/// value (batch..., keys, heads, value size); `scale` is 1 / sqrt(size) if none is given. With `is_causal` a row sees the keys up to its own number. The
/// probabilities are never stored, neither here nor for the gradient. Throws InvalidArgumentError for shapes that do not agree.
Tensor dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value, std::optional<double> scale = {}, bool is_causal = false);
Tensor softmax_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits, std::int64_t axis = -1);
Tensor sparse_softmax_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits);
Tensor sigmoid_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits);
Tensor weighted_cross_entropy_with_logits(const Tensor& labels, const Tensor& logits, double pos_weight);

}  // namespace lockstep

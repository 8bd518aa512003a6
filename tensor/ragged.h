#pragma once
// RaggedTensor: rows of different lengths, kept as their values one behind the other and as where each row begins and ends. A plain value made of tensors, so that
// it can be used in a traced function and gradients flow through its values.

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <lockstep/tensor/ops.h>

namespace lockstep {

/// Rows of different lengths, to any depth (tf.RaggedTensor). Row splits are int64 (n + 1,): row i holds the values splits[i] to splits[i + 1] - 1. A RaggedTensor
/// without ragged axes is a tensor: where an operation may give either, as indexing does, it gives one of these.
class RaggedTensor {
 public:
  RaggedTensor() = default;
  /// A tensor as it is: no ragged axis.
  RaggedTensor(const Tensor& dense) : RaggedTensor(dense, 1) {}
  /// `ndim` counts where the shape of the tensor depends on data inside a trace.
  RaggedTensor(const Tensor& dense, int ndim) : flat_values_(dense), flat_ndim_(dense.defined() && dense.shape().known() ? dense.ndim() : ndim) {}

  /// Row i holds values splits[i] to splits[i + 1] - 1. Values may be ragged themselves. int32 splits become int64. Throws InvalidArgumentError unless splits begin with 0,
  /// never fall, and end with the number of values (inside a trace: when it runs).
  static RaggedTensor from_row_splits(const RaggedTensor& values, const Tensor& row_splits);
  static RaggedTensor from_nested_row_splits(const Tensor& flat_values, std::span<const Tensor> nested_row_splits);
  /// Row i holds the next lengths[i] values.
  static RaggedTensor from_row_lengths(const RaggedTensor& values, const Tensor& row_lengths);
  /// Value k belongs to row ids[k]; ids never fall. Without `nrows` the last id is of the last row. Not inside a trace.
  static RaggedTensor from_value_rowids(const RaggedTensor& values, const Tensor& value_rowids, std::optional<std::int64_t> nrows = {});
  static RaggedTensor from_row_starts(const RaggedTensor& values, const Tensor& row_starts);
  static RaggedTensor from_row_limits(const RaggedTensor& values, const Tensor& row_limits);
  /// Rows of one length, which must divide the number of values.
  static RaggedTensor from_uniform_row_length(const RaggedTensor& values, std::int64_t length);
  /// A tensor whose first ragged_rank + 1 axes become rows. At most one of: `lengths` (of the rows of axis 1), `padding` (a value that ends every row, not part of it).
  static RaggedTensor from_tensor(const Tensor& tensor, int ragged_rank = 1);
  static RaggedTensor from_tensor_with_lengths(const Tensor& tensor, const Tensor& lengths);
  static RaggedTensor from_tensor_with_padding(const Tensor& tensor, const Tensor& padding);

  bool defined() const { return flat_values_.defined(); }
  DType dtype() const { return flat_values_.dtype(); }
  /// Number of ragged axes; 0 for a tensor.
  int ragged_rank() const { return int(splits_.size()); }
  bool is_ragged() const { return !splits_.empty(); }
  /// All axes.
  int ndim() const { return ragged_rank() + flat_ndim_; }
  /// Number of rows. Inside a trace it must be known.
  std::int64_t nrows() const;
  /// The values of the innermost rows, and how many axes they have.
  const Tensor& flat_values() const { return flat_values_; }
  int flat_ndim() const { return flat_ndim_; }
  /// Row splits from the outermost axis on.
  std::span<const Tensor> nested_row_splits() const { return splits_; }
  /// The values of the outermost rows: one ragged axis less. Throws FailedPreconditionError for a tensor, as all of the following do.
  RaggedTensor values() const;
  const Tensor& row_splits() const;
  Tensor row_lengths() const;
  Tensor row_starts() const;
  Tensor row_limits() const;
  Tensor value_rowids() const;
  /// int64: the shape of to_tensor().
  Tensor bounding_shape() const;
  /// The tensor, where nothing is ragged. Throws FailedPreconditionError otherwise.
  const Tensor& tensor() const;
  /// The same rows of other values. Throws InvalidArgumentError unless there are as many.
  RaggedTensor with_flat_values(const Tensor& flat_values) const;
  RaggedTensor with_values(const RaggedTensor& values) const;

  /// As of a tensor, but for an integer on a ragged axis within rows, which is refused: `r[1]`, `r[{slice(1, 3)}]`, `r[{all, slice({}, 2)}]`, `r[{0, 0}]`. Throws IndexError.
  RaggedTensor operator[](std::initializer_list<Index> spec) const;
  RaggedTensor operator[](const Index& index) const { return (*this)[{index}]; }

  /// Rows padded with `default_value` (none: 0, false, "") to the longest, or to `shape` (-1: as needed); what does not fit is cut off. Its shape is known inside a
  /// trace where `shape` says it. Differentiable.
  Tensor to_tensor(const Ints& shape = {}, const Tensor& default_value = {}) const;

 private:
  Tensor flat_values_;
  int flat_ndim_ = 0;
  std::vector<Tensor> splits_;
};

/// "<RaggedTensor [[1.0, 2.0], [], [3.0]]>", as TensorFlow prints it; strings as b'...'.
std::string to_string(const RaggedTensor& ragged);
std::ostream& operator<<(std::ostream& stream, const RaggedTensor& ragged);

/// Elementwise, on raggeds with equal rows, and with tensors that broadcast against the padded shape (scalars, (rows, 1), (1, 1), ...). Throws InvalidArgumentError
/// for other rows. Literals take the dtype.
RaggedTensor operator+(const RaggedTensor& x, const RaggedTensor& y);
RaggedTensor operator-(const RaggedTensor& x, const RaggedTensor& y);
RaggedTensor operator*(const RaggedTensor& x, const RaggedTensor& y);
RaggedTensor operator/(const RaggedTensor& x, const RaggedTensor& y);
RaggedTensor operator-(const RaggedTensor& x);
RaggedTensor operator+(const RaggedTensor& x, const Scalar& y);
RaggedTensor operator-(const RaggedTensor& x, const Scalar& y);
RaggedTensor operator*(const RaggedTensor& x, const Scalar& y);
RaggedTensor operator/(const RaggedTensor& x, const Scalar& y);
RaggedTensor operator+(const Scalar& x, const RaggedTensor& y);
RaggedTensor operator-(const Scalar& x, const RaggedTensor& y);
RaggedTensor operator*(const Scalar& x, const RaggedTensor& y);
RaggedTensor operator/(const Scalar& x, const RaggedTensor& y);

namespace ragged {

/// `f(flat values, ...)` of raggeds with equal rows, under these rows (tf.ragged.map_flat_values): `map_flat_values(square, r)`, or any elementwise function of two.
template <class F>
RaggedTensor map_flat_values(F&& f, const RaggedTensor& x) {
  return x.with_flat_values(f(x.flat_values()));
}
/// The rows of both, after checking that they are equal (inside a trace: when it runs); tensors are brought to the rows of the other.
struct Aligned {
  RaggedTensor rows;
  Tensor x, y;
};
Aligned align(const RaggedTensor& x, const RaggedTensor& y);
template <class F>
RaggedTensor map_flat_values(F&& f, const RaggedTensor& x, const RaggedTensor& y) {
  const Aligned aligned = align(x, y);
  return aligned.rows.with_flat_values(f(aligned.x, aligned.y));
}

/// As x[{...}], with a list that is made elsewhere.
RaggedTensor strided_slice(const RaggedTensor& x, const IndexList& spec);
/// Joined on an axis, ragged or not; axis 0 puts rows behind each other, axis 1 joins row i with row i. Tensors among ragged inputs count as ragged.
RaggedTensor concat(std::span<const RaggedTensor> inputs, std::int64_t axis);
/// On a new axis; inputs may have different sizes.
RaggedTensor stack(std::span<const RaggedTensor> inputs, std::int64_t axis = 0);
RaggedTensor expand_dims(const RaggedTensor& x, std::int64_t axis);
/// Each axis repeated.
RaggedTensor tile(const RaggedTensor& x, const Ints& multiples);
/// The rows that the indices (any shape, or ragged) name.
RaggedTensor gather(const RaggedTensor& params, const RaggedTensor& indices);
/// What the mask, of one axis at least and no more than x, is true for; rows keep their order, and lose what is masked.
RaggedTensor boolean_mask(const RaggedTensor& x, const RaggedTensor& mask);
/// start, start + delta, ... of each row, before limit: int32, int64, float32 or float64; (n,) each, or scalars.
RaggedTensor range(const Tensor& starts, const Tensor& limits, const Tensor& deltas);
RaggedTensor range(const Tensor& limits);

/// Over axes (none: all), ragged or not. An axis that stays is as long as the longest row that meets in it. An empty row gives 0, NaN (mean), 1 (prod), or
/// the dtype's lowest or largest number (max, min). Inside a trace what is left must be
/// the rows, one axis, or nothing.
RaggedTensor reduce_sum(const RaggedTensor& x, const Axes& axis = {});
RaggedTensor reduce_mean(const RaggedTensor& x, const Axes& axis = {});
RaggedTensor reduce_max(const RaggedTensor& x, const Axes& axis = {});
RaggedTensor reduce_min(const RaggedTensor& x, const Axes& axis = {});
RaggedTensor reduce_prod(const RaggedTensor& x, const Axes& axis = {});
RaggedTensor reduce_any(const RaggedTensor& x, const Axes& axis = {});
RaggedTensor reduce_all(const RaggedTensor& x, const Axes& axis = {});

}  // namespace ragged
}  // namespace lockstep

#pragma once
// SparseTensor: the elements that are not zero, and where they stand. A plain value made of tensors, so that it can be used in a traced function and gradients flow
// through its values.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ragged.h>

namespace lockstep {

/// Values at index tuples; everything else is zero (tf.sparse.SparseTensor). Most ops want the indices in row-major order, none twice: see sparse::reorder.
class SparseTensor {
 public:
  SparseTensor() = default;
  /// indices int64 (n, axes), values (n,), the shape of the whole. Throws InvalidArgumentError (TypeError) where these do not fit together, or an index that is at hand lies
  /// outside of the shape.
  SparseTensor(const Tensor& indices, const Tensor& values, const Shape& dense_shape);
  /// The shape as an int64 tensor (axes,): inside a trace it may depend on data.
  SparseTensor(const Tensor& indices, const Tensor& values, const Tensor& dense_shape);

  bool defined() const { return values_.defined(); }
  const Tensor& indices() const { return indices_; }
  const Tensor& values() const { return values_; }
  /// int64 (axes,)
  const Tensor& dense_shape() const { return dense_shape_; }
  /// The shape of the whole; Shape::unknown() where it depends on data inside a trace.
  Shape shape() const;
  DType dtype() const { return values_.dtype(); }
  int ndim() const;
  /// Other values at the same places. Throws InvalidArgumentError unless there are as many.
  SparseTensor with_values(const Tensor& values) const;

 private:
  Tensor indices_, values_, dense_shape_;
};

/// "<SparseTensor shape=(3, 4) dtype=float32 indices=... values=...>"
std::string to_string(const SparseTensor& sparse);
std::ostream& operator<<(std::ostream& stream, const SparseTensor& sparse);

/// Values times (divided by) a number, or the elements of a tensor that broadcasts against the whole. There is no sum with a number: it would not be sparse.
SparseTensor operator*(const SparseTensor& x, const Scalar& y);
SparseTensor operator*(const Scalar& x, const SparseTensor& y);
SparseTensor operator/(const SparseTensor& x, const Scalar& y);
SparseTensor operator*(const SparseTensor& x, const Tensor& y);
SparseTensor operator/(const SparseTensor& x, const Tensor& y);
SparseTensor operator-(const SparseTensor& x);
SparseTensor operator+(const SparseTensor& x, const Scalar& y) = delete;
SparseTensor operator+(const Scalar& x, const SparseTensor& y) = delete;

namespace sparse {

/// What is not zero (not false, not ""), in order. Not a scalar.
SparseTensor from_dense(const Tensor& dense);
/// The whole, with `default_value` (none: 0, false, "") where nothing is. Throws InvalidArgumentError for indices out of order or given twice, unless `validate_indices` is
/// false: the last one wins then. Differentiable.
Tensor to_dense(const SparseTensor& x, const Tensor& default_value = {}, bool validate_indices = true);
/// Entries in row-major order.
SparseTensor reorder(const SparseTensor& x);

struct MatmulOptions {
  bool adjoint_a = false;
  bool adjoint_b = false;
};
/// A sparse matrix times a dense one (tf.sparse.sparse_dense_matmul), entries in any order, repeats adding up; differentiable by the values and the dense matrix.
/// Any number of threads gives the same bits.
Tensor matmul(const SparseTensor& a, const Tensor& b, const MatmulOptions& options = {});
/// A dense matrix times a sparse one.
Tensor matmul(const Tensor& a, const SparseTensor& b, const MatmulOptions& options = {});

/// Sums of two sparse tensors of one shape, entries in order; sums smaller than the threshold are left out.
SparseTensor add(const SparseTensor& x, const SparseTensor& y, std::optional<double> threshold = {});
/// The dense sum.
Tensor add(const SparseTensor& x, const Tensor& y);
SparseTensor maximum(const SparseTensor& x, const SparseTensor& y);
SparseTensor minimum(const SparseTensor& x, const SparseTensor& y);

/// Joined on an axis, entries in order. All other sizes must agree, unless they are to be expanded to the largest.
SparseTensor concat(std::span<const SparseTensor> inputs, std::int64_t axis, bool expand_nonconcat_dims = false);
/// `size` elements from `start` on along each axis; what lies beyond the end is not there.
SparseTensor slice(const SparseTensor& x, const Ints& start, const Ints& size);
/// Parts of nearly equal size along an axis; the first are the larger ones.
std::vector<SparseTensor> split(const SparseTensor& x, std::int64_t num_split, std::int64_t axis);
/// Axes in another order (none: reversed), entries in order.
SparseTensor transpose(const SparseTensor& x, const Axes& perm = {});
/// One -1 is allowed.
SparseTensor reshape(const SparseTensor& x, const Ints& shape);
SparseTensor expand_dims(const SparseTensor& x, std::int64_t axis = -1);
/// In a larger shape; none: in the smallest that holds all entries (not inside a trace).
SparseTensor reset_shape(const SparseTensor& x, const std::optional<Shape>& shape = {});
/// Entries for which the mask (n,) is true.
SparseTensor retain(const SparseTensor& x, const Tensor& mask);
/// A row without an entry gets one, `default_value` at column 0. Also tells which rows were empty, bool (rows,).
std::pair<SparseTensor, Tensor> fill_empty_rows(const SparseTensor& x, const Tensor& default_value);
/// Ones on the diagonal.
SparseTensor eye(std::int64_t num_rows, std::optional<std::int64_t> num_columns = {}, DType dtype = float32);

/// Dense sums and maxima of the entries over axes (none: all); 0 where there is no entry.
Tensor reduce_sum(const SparseTensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor reduce_max(const SparseTensor& x, const Axes& axis = {}, bool keepdims = false);
/// Of the entries of each last axis; what is no entry counts as minus infinity.
SparseTensor softmax(const SparseTensor& x);
/// `f(values)` at the same places.
template <class F>
SparseTensor map_values(F&& f, const SparseTensor& x) {
  return x.with_values(f(x.values()));
}
/// bool (..., vocab_size): true at the numbers that are the values of a last axis.
Tensor to_indicator(const SparseTensor& ids, std::int64_t vocab_size);

/// For each row of `ids` (rows, k) the sum, mean or sqrtn (sum over the root of the summed squares of the weights) of the rows of `params` that its values name; zeros for a row without an
/// entry. Weights, at the same places, default to 1.
Tensor embedding_lookup_sparse(const Tensor& params, const SparseTensor& ids, const std::optional<SparseTensor>& weights = {}, const std::string& combiner = "mean");

}  // namespace sparse

namespace ragged {
/// The values of rows at (row, place in the row, ...).
SparseTensor to_sparse(const RaggedTensor& x);
/// The rows of a sparse matrix, whose entries must begin at column 0 and leave no gap; not inside a trace.
RaggedTensor from_sparse(const SparseTensor& x);
}  // namespace ragged
}  // namespace lockstep

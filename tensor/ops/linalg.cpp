// Dense linear algebra on the last two axes, by LAPACK.

#include <algorithm>
#include <cmath>
#include <utility>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/lapack.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using G = const GradContext&;

using lapack::Lu;
using lapack::Matrix;

Matrix read(const void* from, DType dtype, std::int64_t index, std::int64_t rows, std::int64_t columns) {
  Matrix matrix(rows, columns);
  const auto as = [&]<class T>(TypeTag<T>) {
    const T* x = static_cast<const T*>(from) + index * rows * columns;
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t column = 0; column < columns; ++column) matrix(row, column) = double(*x++);
  };
  if (dtype == float32) as(TypeTag<float>{});
  else as(TypeTag<double>{});
  return matrix;
}
void write(const Matrix& matrix, void* to, DType dtype, std::int64_t index, bool transposed = false) {
  const auto as = [&]<class T>(TypeTag<T>) {
    T* z = static_cast<T*>(to) + index * matrix.rows * matrix.columns;
    if (transposed) std::transform(matrix.values.begin(), matrix.values.end(), z, [](double value) { return T(value); });
    for (std::int64_t row = 0; !transposed && row < matrix.rows; ++row)
      for (std::int64_t column = 0; column < matrix.columns; ++column) *z++ = T(matrix(row, column));
  };
  if (dtype == float32) as(TypeTag<float>{});
  else as(TypeTag<double>{});
}
void write(double value, void* to, DType dtype, std::int64_t index) {
  if (dtype == float32) static_cast<float*>(to)[index] = float(value);
  else static_cast<double*>(to)[index] = value;
}

struct Sizes {
  std::int64_t batch = 1, rows = 0, columns = 0;
};
Sizes sizes_of(const Shape& shape) {
  Sizes s{.rows = shape[shape.ndim() - 2], .columns = shape[shape.ndim() - 1]};
  for (int i = 0; i < shape.ndim() - 2; ++i) s.batch *= shape[i];
  return s;
}
Shape batch_of(const Shape& shape) { return Shape(shape.dims().first(std::size_t(shape.ndim() - 2))); }

void require_matrices(const InferContext& context, bool square) {
  const Shape& shape = context.shape(0);
  if (shape.ndim() < 2 || (square && shape[shape.ndim() - 1] != shape[shape.ndim() - 2])) context.refuse(square ? "needs square matrices in the last two axes" : "needs at least two axes");
}

[[noreturn]] void refuse_matrix(std::string_view op, std::int64_t index, const char* what) {
  throw InvalidArgumentError("matrix " + std::to_string(index) + " of the batch " + what, op);
}

void square_infer(InferContext& context) {
  require_matrices(context, true);
  rules::like_first(context);
}
void per_matrix_infer(InferContext& context) {
  require_matrices(context, true);
  context.output(context.dtype_of(0), batch_of(context.shape(0)));
}

BoundKernel cholesky_cpu(const BindContext& context) {
  return [s = sizes_of(context.shape(0)), dtype = context.dtype_of(0)](Inputs in, Outputs out) {
    for (std::int64_t b = 0; b < s.batch && s.rows > 0; ++b) {
      Matrix x = read(in[0], dtype, b, s.rows, s.rows);
      if (!lapack::cholesky(x)) refuse_matrix("cholesky", b, "is not positive definite");
      write(x, out[0], dtype, b);
    }
  };
}

Tensor transposed(const Tensor& x) {
  Ints order;
  for (int i = 0; i < x.ndim() - 2; ++i) order.push_back(i);
  order.push_back(x.ndim() - 1);
  order.push_back(x.ndim() - 2);
  return transpose(x, order);
}

void require_known(const Tensor& x, const char* op) {
  if (!x.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", op);
}

Tensor identity_like(const Tensor& x) {
  const Shape batch = batch_of(x.shape());
  return eye(x.shape()[x.ndim() - 1], {}, Ints(batch.begin(), batch.end()), x.dtype());
}

/// The lower triangle, its diagonal halved.
Tensor half_lower(const Tensor& x) { return band_part(x, -1, 0) - band_part(x, 0, 0) * 0.5; }

Gradients cholesky_gradient(G context) {
  const Tensor& l = context.output();
  require_known(l, "cholesky");
  const Tensor inverse = triangular_solve(l, identity_like(l));
  const Tensor middle = half_lower(matmul(l, context.upstream(), true, false));
  const Tensor half = matmul(matmul(inverse, middle, true, false), inverse);
  return {(half + transposed(half)) * 0.5};
}

/// Column of the size of matrices from one number each.
Tensor as_matrix(const Tensor& x) { return expand_dims(expand_dims(x, -1), -1); }

BoundKernel det_cpu(const BindContext& context) {
  return [s = sizes_of(context.shape(0)), dtype = context.dtype_of(0)](Inputs in, Outputs out) {
    for (std::int64_t b = 0; b < s.batch; ++b) {
      const Lu lu(read(in[0], dtype, b, s.rows, s.rows));
      double product = lu.sign();
      for (std::int64_t i = 0; i < s.rows; ++i) product *= lu.pivot(i);
      write(product, out[0], dtype, b);
    }
  };
}
Gradients det_gradient(G context) {
  require_known(context.input(0), "det");
  return {as_matrix(context.upstream() * context.output()) * inv(context.input(0), true)};
}

/// LU of a matrix that must not be singular.
Lu invertible(Matrix x, std::string_view op, std::int64_t index) {
  Lu lu(std::move(x));
  if (lu.singular()) refuse_matrix(op, index, "is singular");
  return lu;
}

BoundKernel inv_cpu(const BindContext& context) {
  return [s = sizes_of(context.shape(0)), dtype = context.dtype_of(0), adjoint = context.boolean("adjoint")](Inputs in, Outputs out) {
    for (std::int64_t b = 0; b < s.batch && s.rows > 0; ++b) {
      Matrix inverse = lapack::identity(s.rows, s.rows);
      invertible(read(in[0], dtype, b, s.rows, s.rows), "inv", b).solve(inverse, false);
      write(inverse, out[0], dtype, b, adjoint);
    }
  };
}
Gradients inv_gradient(G context) {
  const Tensor& y = context.output();
  const Tensor up = context.upstream();
  if (context.boolean("adjoint")) return {-matmul(matmul(y, up, false, true), y)};
  return {-matmul(matmul(y, up, true, false), y, false, true)};
}

void solve_infer(InferContext& context) {
  require_matrices(context, true);
  const Shape &a = context.shape(0), &b = context.shape(1);
  if (b.ndim() != a.ndim() || batch_of(a) != batch_of(b) || b[b.ndim() - 2] != a[a.ndim() - 1]) context.refuse("the right side must have the matrices' batch axes and rows");
  context.output(context.dtype_of(0), b);
}

BoundKernel solve_cpu(const BindContext& context) {
  return [s = sizes_of(context.shape(0)), columns = sizes_of(context.shape(1)).columns, dtype = context.dtype_of(0), adjoint = context.boolean("adjoint")](Inputs in, Outputs out) {
    for (std::int64_t b = 0; b < s.batch && s.rows > 0 && columns > 0; ++b) {
      Matrix z = read(in[1], dtype, b, s.rows, columns);
      invertible(read(in[0], dtype, b, s.rows, s.rows), "solve", b).solve(z, adjoint);
      write(z, out[0], dtype, b);
    }
  };
}
Gradients solve_gradient(G context) {
  const bool adjoint = context.boolean("adjoint");
  const Tensor db = solve(context.input(0), context.upstream(), !adjoint);
  return {-(adjoint ? matmul(context.output(), db, false, true) : matmul(db, context.output(), false, true)), db};
}

BoundKernel triangular_cpu(const BindContext& context) {
  return [s = sizes_of(context.shape(0)), columns = sizes_of(context.shape(1)).columns, dtype = context.dtype_of(0), lower = context.boolean("lower"), adjoint = context.boolean("adjoint")](Inputs in, Outputs out) {
    for (std::int64_t b = 0; b < s.batch && s.rows > 0 && columns > 0; ++b) {
      Matrix z = read(in[1], dtype, b, s.rows, columns);
      if (!lapack::solve_triangular(read(in[0], dtype, b, s.rows, s.rows), z, lower, adjoint)) refuse_matrix("triangular_solve", b, "is singular");
      write(z, out[0], dtype, b);
    }
  };
}
Gradients triangular_gradient(G context) {
  const bool adjoint = context.boolean("adjoint"), lower = context.boolean("lower");
  const Tensor db = triangular_solve(context.input(0), context.upstream(), lower, !adjoint);
  const Tensor da = -(adjoint ? matmul(context.output(), db, false, true) : matmul(db, context.output(), false, true));
  return {lower ? band_part(da, -1, 0) : band_part(da, 0, -1), db};
}

void slogdet_infer(InferContext& context) {
  per_matrix_infer(context);
  context.output(context.dtype_of(0), batch_of(context.shape(0)));
}
BoundKernel slogdet_cpu(const BindContext& context) {
  return [s = sizes_of(context.shape(0)), dtype = context.dtype_of(0)](Inputs in, Outputs out) {
    for (std::int64_t b = 0; b < s.batch; ++b) {
      const Lu lu(read(in[0], dtype, b, s.rows, s.rows));
      double sign = lu.sign(), log = 0;
      for (std::int64_t i = 0; i < s.rows; ++i) {
        const double pivot = lu.pivot(i);
        sign *= pivot > 0 ? 1 : pivot < 0 ? -1 : 0;
        log += std::log(std::fabs(pivot));
      }
      write(sign, out[0], dtype, b);
      write(log, out[1], dtype, b);
    }
  };
}
Gradients slogdet_gradient(G context) {
  require_known(context.input(0), "slogdet");
  return {as_matrix(context.upstream(1)) * inv(context.input(0), true)};
}

void qr_infer(InferContext& context) {
  require_matrices(context, false);
  const Sizes s = sizes_of(context.shape(0));
  const std::int64_t inner = context.boolean("full_matrices") ? s.rows : std::min(s.rows, s.columns);
  Shape q = batch_of(context.shape(0)), r = q;
  q.push_back(s.rows), q.push_back(inner), r.push_back(inner), r.push_back(s.columns);
  context.output(context.dtype_of(0), q);
  context.output(context.dtype_of(0), r);
}
BoundKernel qr_cpu(const BindContext& context) {
  return [s = sizes_of(context.shape(0)), dtype = context.dtype_of(0), full = context.boolean("full_matrices")](Inputs in, Outputs out) {
    const std::int64_t inner = full ? s.rows : std::min(s.rows, s.columns);
    for (std::int64_t b = 0; b < s.batch && s.rows > 0; ++b) {
      if (s.columns == 0) {
        write(lapack::identity(s.rows, inner), out[0], dtype, b);
        continue;
      }
      const lapack::Qr factors = lapack::qr(read(in[0], dtype, b, s.rows, s.columns), inner);
      write(factors.q, out[0], dtype, b);
      write(factors.r, out[1], dtype, b);
    }
  };
}
/// S. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra functions" (2010): for as many rows as columns, or more.
Gradients qr_gradient(G context) {
  const Tensor &q = context.output(0), &r = context.output(1);
  require_known(q, "qr");
  const Sizes s = sizes_of(context.input(0).shape());
  if (s.rows < s.columns || (context.boolean("full_matrices") && s.rows != s.columns))
    throw UnimplementedError("the gradient needs at least as many rows as columns and full_matrices = false", "qr");
  const Tensor up_q = context.upstream(0), up_r = context.upstream(1);
  const Tensor m = matmul(r, up_r, false, true) - matmul(up_q, q, true, false);
  const Tensor lower = band_part(m, -1, 0);
  const Tensor symmetric = lower + transposed(lower) - band_part(m, 0, 0);
  const Tensor left = up_q + matmul(q, symmetric);
  return {transposed(triangular_solve(r, transposed(left), false, false))};
}

void svd_infer(InferContext& context) {
  require_matrices(context, false);
  const Sizes s = sizes_of(context.shape(0));
  const std::int64_t inner = std::min(s.rows, s.columns);
  Shape values = batch_of(context.shape(0)), u = values, v = values;
  values.push_back(inner);
  context.output(context.dtype_of(0), values);
  if (!context.boolean("compute_uv")) return;
  u.push_back(s.rows), u.push_back(inner), v.push_back(s.columns), v.push_back(inner);
  context.output(context.dtype_of(0), u);
  context.output(context.dtype_of(0), v);
}
BoundKernel svd_cpu(const BindContext& context) {
  return [s = sizes_of(context.shape(0)), dtype = context.dtype_of(0), vectors = context.boolean("compute_uv")](Inputs in, Outputs out) {
    const std::int64_t inner = std::min(s.rows, s.columns);
    for (std::int64_t b = 0; b < s.batch && inner > 0; ++b) {
      const lapack::Svd parts = lapack::svd(read(in[0], dtype, b, s.rows, s.columns), vectors);
      if (!parts.converged) refuse_matrix("svd", b, "did not converge (is it finite?)");
      write(parts.values, out[0], dtype, b);
      if (!vectors) continue;
      write(parts.u, out[1], dtype, b);
      write(parts.v, out[2], dtype, b);
    }
  };
}
/// J. Townsend, "Differentiating the singular value decomposition" (2016); as there, singular values must differ for the gradient of
/// the vectors to exist, and where two are equal their share is left out.
Gradients svd_gradient(G context) {
  static const OpDef& op = find_op("svd");
  const bool given = context.output_count() == 3, vectors = given && (context.has_upstream(1) || context.has_upstream(2));
  const Tensors parts = given ? Tensors{context.output(0), context.output(1), context.output(2)} : apply_all(op, {context.input(0)}, {{"compute_uv", true}});
  const Tensor &s = parts[0], &u = parts[1], &v = parts[2];
  const Tensor row = expand_dims(s, -2), column = expand_dims(s, -1);
  if (!vectors) return {matmul(u * expand_dims(context.upstream(0), -2), v, false, true)};
  const Tensor up_u = context.upstream(1), up_v = context.upstream(2);
  const Tensor gap = square(row) - square(column), inverse = divide_no_nan(ones_like(gap), gap);
  const auto turned = [&](const Tensor& basis, const Tensor& up) {
    const Tensor inner = matmul(basis, up, true, false);
    return inverse * (inner - transposed(inner));
  };
  // What leaves the space of the columns of `basis`; nothing where they span all.
  const auto outside = [&](const Tensor& basis, const Tensor& up) {
    const Tensor scaled = divide_no_nan(up, row);
    return scaled - matmul(basis, matmul(basis, scaled, true, false));
  };
  const Tensor middle = diag(context.upstream(0)) + turned(u, up_u) * row + turned(v, up_v) * column;
  return {matmul(matmul(u, middle), v, false, true) + matmul(outside(u, up_u), v, false, true) + matmul(u, outside(v, up_v), false, true)};
}

// ---- symmetric eigenproblem

void eigh_infer(InferContext& context) {
  require_matrices(context, true);
  Shape values = batch_of(context.shape(0));
  values.push_back(sizes_of(context.shape(0)).rows);
  context.output(context.dtype_of(0), values);
  context.output(context.dtype_of(0), context.shape(0));
}
BoundKernel eigh_cpu(const BindContext& context) {
  return [s = sizes_of(context.shape(0)), dtype = context.dtype_of(0)](Inputs in, Outputs out) {
    for (std::int64_t b = 0; b < s.batch && s.rows > 0; ++b) {
      const lapack::Eigh parts = lapack::eigh(read(in[0], dtype, b, s.rows, s.rows));
      if (!parts.converged) refuse_matrix("eigh", b, "did not converge (is it finite?)");
      write(parts.values, out[0], dtype, b);
      write(parts.vectors, out[1], dtype, b);
    }
  };
}
/// Only the lower triangle is read, so the gradient stands there.
Gradients eigh_gradient(G context) {
  const Tensor &values = context.output(0), &v = context.output(1);
  require_known(v, "eigh");
  Tensor middle = diag(context.upstream(0));
  if (context.has_upstream(1)) {
    const Tensor gaps = expand_dims(values, -2) - expand_dims(values, -1);
    const Tensor f = divide_no_nan(ones_like(gaps), gaps);
    middle = middle + f * matmul(v, context.upstream(1), true, false);
  }
  const Tensor full_gradient = matmul(v, matmul(middle, v, false, true));
  const Tensor sum = full_gradient + transposed(full_gradient);
  return {band_part(sum, -1, 0) - band_part(sum, 0, 0) * 0.5};
}

OpDef base(std::string_view name, std::string_view doc, int inputs, std::vector<AttrDef> attrs, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), GradRule gradient, OnnxForm form, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "linalg", .min_inputs = inputs, .max_inputs = inputs, .attrs = std::move(attrs), .dtypes = same(dtypes(float32, float64)), .infer = infer, .gradient = gradient,
          .precision = Precision::keep_high, .onnx = form, .samples = std::move(samples), .cpu = cpu};
}
Tensors symmetric(std::span<const Tensor> drawn) { return {drawn[0] + transposed(drawn[0])}; }
Tensors invertible_first(std::span<const Tensor> drawn) {
  Tensors operands(drawn.begin(), drawn.end());
  operands[0] = drawn[0] + identity_like(drawn[0]) * 5;
  return operands;
}
Tensors positive_definite(std::span<const Tensor> drawn) { return {matmul(drawn[0], drawn[0], false, true) + identity_like(drawn[0])}; }
AttrDef flag(std::string_view name, bool fallback = false) { return {.name = name, .type = AttrType::boolean, .fallback = fallback}; }

}  // namespace

std::tuple<Tensor, Tensor, Tensor> svd_uv(const Tensor& x) {
  static const OpDef& op = find_op("svd");
  Tensors parts = apply_all(op, {x}, {{"compute_uv", true}});
  return {parts[0], parts[1], parts[2]};
}

std::pair<Tensor, Tensor> eigh(const Tensor& x) {
  static const OpDef& op = find_op("eigh");
  Tensors parts = apply_all(op, {x});
  return {parts[0], parts[1]};
}

std::vector<OpDef> linalg_rows() {
  const auto none = no_onnx("ONNX has no such operator");
  const Sample::Operand square{.shape = {2, 3, 3}}, wide{.shape = {2, 3, 2}};
  std::vector<OpDef> rows;
  rows.push_back(base("cholesky", "the lower triangular L with L L^T = x, for symmetric positive definite x (its lower triangle is read)", 1, {}, square_infer, cholesky_cpu, cholesky_gradient, none, {{.inputs = {square}, .prepare = positive_definite}}));
  rows.push_back(base("det", "the determinant", 1, {}, per_matrix_infer, det_cpu, det_gradient, onnx("Det"), {{.inputs = {square}}}));
  rows.push_back(base("inv", "the inverse (of the transpose if adjoint); singular matrices are refused", 1, {flag("adjoint")}, square_infer, inv_cpu, inv_gradient, none, {{.inputs = {square}, .prepare = invertible_first}, {.inputs = {square}, .attrs = {{"adjoint", true}}, .prepare = invertible_first}}));
  rows.push_back(base("solve", "X with A X = B (A^T X = B if adjoint); singular matrices are refused", 2, {flag("adjoint")}, solve_infer, solve_cpu, solve_gradient, none, {{.inputs = {square, wide}, .prepare = invertible_first}, {.inputs = {square, wide}, .attrs = {{"adjoint", true}}, .prepare = invertible_first}}));
  const Sample::Operand triangle{.shape = {2, 3, 3}, .low = 0.5, .high = 2};
  rows.push_back(base("triangular_solve", "X with A X = B for triangular A; the other triangle is not read", 2, {flag("lower", true), flag("adjoint")}, solve_infer, triangular_cpu, triangular_gradient, none,
                      {{.inputs = {triangle, wide}}, {.inputs = {triangle, wide}, .attrs = {{"lower", false}, {"adjoint", true}}}}));
  rows.push_back(base("slogdet", "the sign of the determinant and the logarithm of its absolute value", 1, {}, slogdet_infer, slogdet_cpu, slogdet_gradient, none, {{.inputs = {square}, .prepare = invertible_first}}));
  rows.push_back(base("qr", "Q with orthonormal columns and upper triangular R, Q R = x", 1, {flag("full_matrices")}, qr_infer, qr_cpu, qr_gradient, none, {{.inputs = {{.shape = {2, 4, 3}}}}}));
  rows.push_back(base("svd", "the singular values, descending; with compute_uv also U and V", 1, {flag("compute_uv")}, svd_infer, svd_cpu, svd_gradient, none, {{.inputs = {{.shape = {4, 3}}}}, {.inputs = {{.shape = {2, 4, 3}}}, .attrs = {{"compute_uv", true}}}, {.inputs = {{.shape = {2, 3}}}, .attrs = {{"compute_uv", true}}}}));
  rows.push_back(base("eigh", "eigenvalues, ascending, and eigenvectors (columns) of symmetric matrices; the lower triangle is read", 1, {}, eigh_infer, eigh_cpu, eigh_gradient, none, {{.inputs = {square}, .prepare = symmetric}}));
  rows.push_back(base("eigvalsh", "the eigenvalues of symmetric matrices, ascending", 1, {}, [](InferContext& c) { eigh_infer(c); c.outputs.pop_back(); }, nullptr, {}, none, {{.inputs = {square}, .prepare = symmetric}}));
  rows.back().compose = [](const OpCall&, std::span<const Tensor> in) -> Tensors { return {eigh(in[0]).first}; };
  return rows;
}

}  // namespace lockstep

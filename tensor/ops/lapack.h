#pragma once
// LAPACK behind the linear algebra rows, its header in one translation unit. Everything is float64, column-major, whatever the
// tensors' dtype: one routine a task, and float32 operands lose nothing on the way. NaN goes through to the result, except where said.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep::lapack {

/// A column-major matrix, zeros at first.
struct Matrix {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;

  Matrix() = default;
  Matrix(std::int64_t rows_, std::int64_t columns_) : rows(rows_), columns(columns_), values(std::size_t(rows_ * columns_)) {}
  double& operator()(std::int64_t row, std::int64_t column) { return values[std::size_t(row + column * rows)]; }
  double operator()(std::int64_t row, std::int64_t column) const { return values[std::size_t(row + column * rows)]; }
};
Matrix identity(std::int64_t rows, std::int64_t columns);

/// Replaces x, of which the lower triangle is read, by its factor L. False if it is not positive definite.
bool cholesky(Matrix& x);

/// P x = L U by partial pivoting.
class Lu {
 public:
  explicit Lu(Matrix x);
  /// Is a pivot exactly zero?
  bool singular() const;
  /// The sign of the permutation.
  double sign() const;
  double pivot(std::int64_t i) const { return factors_(i, i); }
  /// Replaces b by the solution z of x z = b, or of x^T z = b.
  void solve(Matrix& b, bool transposed) const;

 private:
  Matrix factors_;
  std::vector<std::int32_t> exchanges_;
};

/// Replaces b by the solution z of x z = b, or of x^T z = b, reading one triangle of x. False if x is singular.
bool solve_triangular(const Matrix& x, Matrix& b, bool lower, bool transposed);

/// x = q r, q with `inner` columns: as many as x has, or as x has rows.
struct Qr {
  Matrix q, r;
};
Qr qr(Matrix x, std::int64_t inner);

/// Singular values, descending, as a column; with `vectors` also the first min(rows, columns) left and right ones, as columns.
struct Svd {
  Matrix values, u, v;
  bool converged = false;  // never for what is not finite
};
Svd svd(Matrix x, bool vectors);

/// Eigenvalues of the symmetric x, of which the lower triangle is read, ascending, as a column; and eigenvectors as columns.
struct Eigh {
  Matrix values, vectors;
  bool converged = false;  // as above
};
Eigh eigh(Matrix x);

}  // namespace lockstep::lapack

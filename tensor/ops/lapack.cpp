// The calls of LAPACKE. Its routines with a suffix "_work" are the ones that do not look for NaN first.

#include <lockstep/tensor/ops/lapack.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <utility>

#define LAPACK_COMPLEX_CPP
#include <lapacke.h>

#include <lockstep/tensor/base/error.h>

namespace lockstep::lapack {
namespace {

static_assert(sizeof(lapack_int) == sizeof(std::int32_t));

lapack_int integer(std::int64_t size) {
  if (size > std::numeric_limits<lapack_int>::max()) throw InvalidArgumentError("LAPACK takes no matrix with 2^31 rows or columns", "linalg");
  return lapack_int(size);
}
/// Leading dimensions are positive.
lapack_int leading(const Matrix& x) { return std::max<lapack_int>(1, integer(x.rows)); }

bool finite(const Matrix& x) {
  return std::all_of(x.values.begin(), x.values.end(), [](double value) { return std::isfinite(value); });
}

}  // namespace

Matrix identity(std::int64_t rows, std::int64_t columns) {
  Matrix x(rows, columns);
  for (std::int64_t i = 0; i < std::min(rows, columns); ++i) x(i, i) = 1;
  return x;
}

bool cholesky(Matrix& x) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  bool known = true;
  for (std::int64_t column = 0; column < x.columns; ++column) {
    for (std::int64_t row = 0; row < column; ++row) x(row, column) = 0;
    for (std::int64_t row = column; row < x.rows; ++row) known = known && !std::isnan(x(row, column));
  }
  if (known) return LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', integer(x.rows), x.values.data(), leading(x)) == 0;
  for (std::int64_t column = 0; column < x.columns; ++column)
    for (std::int64_t row = column; row < x.rows; ++row) x(row, column) = nan;
  return true;
}

Lu::Lu(Matrix x) : factors_(std::move(x)), exchanges_(std::size_t(factors_.rows)) {
  LAPACKE_dgetrf_work(LAPACK_COL_MAJOR, integer(factors_.rows), integer(factors_.columns), factors_.values.data(), leading(factors_), exchanges_.data());
}

bool Lu::singular() const {
  for (std::int64_t i = 0; i < factors_.rows; ++i)
    if (pivot(i) == 0) return true;
  return false;
}

double Lu::sign() const {
  double sign = 1;
  for (std::size_t i = 0; i < exchanges_.size(); ++i)
    if (exchanges_[i] != lapack_int(i) + 1) sign = -sign;
  return sign;
}

void Lu::solve(Matrix& b, bool transposed) const {
  LAPACKE_dgetrs_work(LAPACK_COL_MAJOR, transposed ? 'T' : 'N', integer(factors_.rows), integer(b.columns), factors_.values.data(), leading(factors_), exchanges_.data(),
                      b.values.data(), leading(b));
}

bool solve_triangular(const Matrix& x, Matrix& b, bool lower, bool transposed) {
  return LAPACKE_dtrtrs_work(LAPACK_COL_MAJOR, lower ? 'L' : 'U', transposed ? 'T' : 'N', 'N', integer(x.rows), integer(b.columns), x.values.data(), leading(x),
                             b.values.data(), leading(b)) == 0;
}

Qr qr(Matrix x, std::int64_t inner) {
  const std::int64_t rows = x.rows, columns = x.columns, least = std::min(rows, columns);
  constexpr std::int64_t kBlock = 32;  // columns that LAPACK reflects at once
  std::vector<double> scales(std::size_t(std::max<std::int64_t>(1, least))), work(std::size_t(kBlock * std::max({std::int64_t(1), columns, inner})));
  LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, integer(rows), integer(columns), x.values.data(), leading(x), scales.data(), work.data(), integer(std::int64_t(work.size())));
  Qr result{.q = Matrix(rows, inner), .r = Matrix(inner, columns)};
  for (std::int64_t column = 0; column < columns; ++column)
    for (std::int64_t row = 0; row <= std::min(column, least - 1); ++row) result.r(row, column) = x(row, column);
  std::copy_n(x.values.begin(), rows * least, result.q.values.begin());
  LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, integer(rows), integer(inner), integer(least), result.q.values.data(), leading(result.q), scales.data(), work.data(),
                      integer(std::int64_t(work.size())));
  return result;
}

Svd svd(Matrix x, bool vectors) {
  const std::int64_t rows = x.rows, columns = x.columns, inner = std::min(rows, columns);
  Svd result{.values = Matrix(inner, 1), .u = Matrix(vectors ? rows : 0, inner), .v = Matrix(columns, vectors ? inner : 0)};
  if (!finite(x)) return result;
  Matrix right(vectors ? inner : 1, vectors ? columns : 1);  // transposed
  result.converged = LAPACKE_dgesdd(LAPACK_COL_MAJOR, vectors ? 'S' : 'N', integer(rows), integer(columns), x.values.data(), leading(x), result.values.values.data(),
                                    result.u.values.data(), leading(result.u), right.values.data(), leading(right)) == 0;
  for (std::int64_t column = 0; vectors && column < inner; ++column)
    for (std::int64_t row = 0; row < columns; ++row) result.v(row, column) = right(column, row);
  return result;
}

Eigh eigh(Matrix x) {
  Eigh result{.values = Matrix(x.rows, 1), .vectors = std::move(x)};
  Matrix& vectors = result.vectors;
  for (std::int64_t column = 1; column < vectors.columns; ++column)
    for (std::int64_t row = 0; row < column; ++row) vectors(row, column) = vectors(column, row);
  if (!finite(vectors)) return result;
  result.converged = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', integer(vectors.rows), vectors.values.data(), leading(vectors), result.values.values.data()) == 0;
  return result;
}

}  // namespace lockstep::lapack

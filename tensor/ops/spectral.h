#pragma once
// Eigen's iterative solvers, in a translation unit of their own because they take long to compile. Private to the linear algebra
// rows. Matrices are float64, column-major.

#include <cstdint>

namespace lockstep::spectral {

/// Singular values of x (rows, columns), descending; with `u` not null also the left (rows, k) and right (columns, k) vectors,
/// k = min(rows, columns). False if it did not converge.
bool svd(const double* x, std::int64_t rows, std::int64_t columns, double* values, double* u, double* v);
/// Eigenvalues of the symmetric x (n, n), ascending, and eigenvectors as columns; the lower triangle is read. False as above.
bool eigh(const double* x, std::int64_t n, double* values, double* vectors);

}  // namespace lockstep::spectral

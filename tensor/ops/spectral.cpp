#include <lockstep/tensor/ops/spectral.h>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>

namespace lockstep::spectral {
namespace {

using Matrix = Eigen::MatrixXd;
using Read = Eigen::Map<const Matrix>;
using Write = Eigen::Map<Matrix>;

}  // namespace

bool svd(const double* x, std::int64_t rows, std::int64_t columns, double* values, double* u, double* v) {
  const Eigen::BDCSVD<Matrix> solver(Read(x, rows, columns), u ? Eigen::ComputeThinU | Eigen::ComputeThinV : 0);
  if (solver.info() != Eigen::Success) return false;
  const std::int64_t inner = std::min(rows, columns);
  Write(values, inner, 1) = solver.singularValues();
  if (!u) return true;
  Write(u, rows, inner) = solver.matrixU();
  Write(v, columns, inner) = solver.matrixV();
  return true;
}

bool eigh(const double* x, std::int64_t n, double* values, double* vectors) {
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(Read(x, n, n));
  if (solver.info() != Eigen::Success) return false;
  Write(values, n, 1) = solver.eigenvalues();
  Write(vectors, n, n) = solver.eigenvectors();
  return true;
}

}  // namespace lockstep::spectral

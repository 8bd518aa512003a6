// Factors of matrices: Cholesky, QR (see matrices.h).

#include <limits>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/matrices.h>

namespace lockstep::cuda {
namespace {

using namespace matrices;

// ---- cholesky: column after column

struct CholeskyColumn {
  Matrices a;
  std::int64_t k;
  double* diagonal;  // of the factor; a's own stays, for the other rows of the step to read
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t below = a.rows - k, b = i / below, r = k + i % below;
    double pivot = a(b, k, k), sum = a(b, r, k);
    for (std::int64_t j = 0; j < k; ++j) {
      const double l = a(b, k, j);
      pivot -= l * l;
      sum -= a(b, r, j) * l;
    }
    const double root = pivot > 0 ? ::sqrt(pivot) : std::numeric_limits<double>::quiet_NaN();
    if (r == k) diagonal[b * a.rows + k] = root;
    else a(b, r, k) = sum / root;
  }
};
struct Lower {
  Matrices a;
  const double* diagonal;
  LOCKSTEP_HD double operator()(std::int64_t b, std::int64_t r, std::int64_t c) const { return c < r ? a(b, r, c) : c == r ? diagonal[b * a.rows + r] : 0; }
};

BoundKernel cholesky(const BindContext& context) {
  const Sizes s = sizes_of(context.shape(0));
  Cuts cuts;
  const std::size_t left = cuts.take(std::size_t(s.batch * s.rows * s.rows) * 8), roots = cuts.take(std::size_t(s.batch * s.rows) * 8);
  return [=, dtype = context.dtype_of(0), workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
    const Matrices a{at<double>(workspace, left), s.rows, s.rows};
    double* diagonal = at<double>(workspace, roots);
    enqueue_read(dtype, in[0], a, s.batch);
    for (std::int64_t k = 0; k < s.rows; ++k) for_each(s.batch * (s.rows - k), CholeskyColumn{a, k, diagonal});
    enqueue_write(dtype, Lower{a, diagonal}, s.batch, s.rows, s.rows, out[0]);
  };
}

// ---- QR by Householder's reflections, with LAPACK's signs

struct Reflector {
  double beta, tau, scale;  // the new diagonal; H = I - tau v v^T; v(r) = a(r, k) scale below, 1 at k
};
struct LoadSquare {
  Matrices a;
  std::int64_t k;
  LOCKSTEP_HD double operator()(std::int64_t b, std::int64_t i) const { return a(b, k + 1 + i, k) * a(b, k + 1 + i, k); }
};
struct StoreReflector {
  Matrices a;
  std::int64_t k, steps;
  Reflector* to;
  LOCKSTEP_HD void operator()(std::int64_t b, double squares) const {
    const double alpha = a(b, k, k);
    Reflector h{alpha, 0, 0};
    if (squares != 0) {
      const double size = ::sqrt(alpha * alpha + squares);
      h.beta = alpha > 0 ? -size : size;
      h.tau = (h.beta - alpha) / h.beta;
      h.scale = 1 / (alpha - h.beta);
    }
    to[b * steps + k] = h;
  }
};
/// tau v^T x for each column of x from `first` on.
struct LoadProjection {
  Matrices a, x;
  std::int64_t k, steps, first;
  const Reflector* h;
  LOCKSTEP_HD double operator()(std::int64_t o, std::int64_t i) const {
    const std::int64_t width = x.columns - first, b = o / width, c = first + o % width;
    const Reflector& reflector = h[b * steps + k];
    return reflector.tau * (i == 0 ? 1 : a(b, k + i, k) * reflector.scale) * x(b, k + i, c);
  }
};
struct StoreProjection {
  double* w;
  LOCKSTEP_HD void operator()(std::int64_t o, double value) const { w[o] = value; }
};
struct Reflect {
  Matrices a, x;
  std::int64_t k, steps, first;
  const Reflector* h;
  const double* w;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const Place at = place_of(i, a.rows - k, x.columns - first);
    const double v = at.r == 0 ? 1 : a(at.b, k + at.r, k) * h[at.b * steps + k].scale;
    x(at.b, k + at.r, first + at.c) -= v * w[at.b * (x.columns - first) + at.c];
  }
};
struct Upper {
  Matrices a;
  std::int64_t steps;
  const Reflector* h;
  LOCKSTEP_HD double operator()(std::int64_t b, std::int64_t r, std::int64_t c) const { return r > c ? 0 : r == c ? h[b * steps + r].beta : a(b, r, c); }
};

BoundKernel qr(const BindContext& context) {
  const Sizes s = sizes_of(context.shape(0));
  const std::int64_t steps = std::min(s.rows, s.columns), inner = context.boolean("full_matrices") ? s.rows : steps, widest = std::max(s.columns, inner);
  Cuts cuts;
  const std::size_t left = cuts.take(std::size_t(s.batch * s.rows * s.columns) * 8), orthogonal = cuts.take(std::size_t(s.batch * s.rows * inner) * 8), reflectors = cuts.take(std::size_t(s.batch * steps) * sizeof(Reflector));
  const std::size_t projections = cuts.take(std::size_t(s.batch * widest) * 8);
  return [=, dtype = context.dtype_of(0), workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
    if (s.rows == 0) return;
    const Matrices a{at<double>(workspace, left), s.rows, s.columns}, q{at<double>(workspace, orthogonal), s.rows, inner};
    Reflector* h = at<Reflector>(workspace, reflectors);
    double* w = at<double>(workspace, projections);
    const auto apply = [&](const Matrices& x, std::int64_t k, std::int64_t first) {
      const std::int64_t width = x.columns - first;
      if (width <= 0) return;
      fold(single_fold(s.batch * width, s.rows - k, true), nullptr, 0.0, LoadProjection{a, x, k, steps, first, h}, AddUp(), StoreProjection{w});
      for_each(s.batch * (s.rows - k) * width, Reflect{a, x, k, steps, first, h, w});
    };
    enqueue_read(dtype, in[0], a, s.batch);
    for (std::int64_t k = 0; k < steps; ++k) {
      fold(single_fold(s.batch, s.rows - k - 1, false), nullptr, 0.0, LoadSquare{a, k}, AddUp(), StoreReflector{a, k, steps, h});
      apply(a, k, k + 1);
    }
    for_each(s.batch * s.rows * inner, Identity{q});
    for (std::int64_t k = steps - 1; k >= 0; --k) apply(q, k, 0);
    enqueue_write(dtype, Whole{q}, s.batch, s.rows, inner, out[0]);
    enqueue_write(dtype, Upper{a, steps, h}, s.batch, inner, s.columns, out[1]);
  };
}

constexpr Kernel kFactorKernels[] = {
    {"cholesky", cholesky},
    {"qr", qr},
};

}  // namespace

std::span<const Kernel> factor_kernels() { return kFactorKernels; }

}  // namespace lockstep::cuda

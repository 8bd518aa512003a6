// Dense linear algebra on the last two axes, in float64 whatever the dtype, as on the CPU. Each factorization is a fixed series of small parallel
// steps over all matrices of the batch: nothing waits for the device, so a call can be captured into a graph, and it runs in the emulation. (cuSOLVER
// would be faster for one large matrix; these ops are rare in training, and batches of small matrices are what they are called with.)
// A GPU cannot refuse in the middle of a stream: matrices that the CPU refuses (singular, not positive definite) give infinities or NaN.

#include <limits>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/launch.h>

namespace lockstep::cuda {
namespace {

struct Sizes {
  std::int64_t batch = 1, rows = 0, columns = 0;
};
Sizes sizes_of(const Shape& shape) {
  Sizes s{1, shape[shape.ndim() - 2], shape[shape.ndim() - 1]};
  for (int i = 0; i < shape.ndim() - 2; ++i) s.batch *= shape[i];
  return s;
}

/// A batch of row-major matrices in the workspace.
struct Matrices {
  double* data;
  std::int64_t rows, columns;
  LOCKSTEP_HD double& operator()(std::int64_t b, std::int64_t r, std::int64_t c) const { return data[(b * rows + r) * columns + c]; }
};

struct Place {
  std::int64_t b, r, c;
};
LOCKSTEP_HD inline Place place_of(std::int64_t i, std::int64_t rows, std::int64_t columns) { return {i / (rows * columns), i / columns % rows, i % columns}; }

template <class T>
struct Read {
  const T* x;
  bool transposed;
  Matrices to;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const Place at = place_of(i, to.rows, to.columns);
    to.data[i] = double(transposed ? x[(at.b * to.columns + at.c) * to.rows + at.r] : x[i]);
  }
};
/// Elements of the result from a functor of (b, r, c).
template <class T, class From>
struct Write {
  From from;
  std::int64_t rows, columns;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const Place at = place_of(i, rows, columns);
    z[i] = T(from(at.b, at.r, at.c));
  }
};
struct Identity {
  Matrices to;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const Place at = place_of(i, to.rows, to.columns);
    to.data[i] = at.r == at.c ? 1 : 0;
  }
};

void enqueue_read(DType dtype, const void* x, const Matrices& to, std::int64_t batch, bool transposed = false) {
  visit<dtypes(float32, float64).bits, void>(dtype, "linalg", [&]<class T>(TypeTag<T>) { for_each(batch * to.rows * to.columns, Read<T>{static_cast<const T*>(x), transposed, to}); });
}
template <class From>
void enqueue_write(DType dtype, const From& from, std::int64_t batch, std::int64_t rows, std::int64_t columns, void* z) {
  visit<dtypes(float32, float64).bits, void>(dtype, "linalg", [&]<class T>(TypeTag<T>) { for_each(batch * rows * columns, Write<T, From>{from, rows, columns, static_cast<T*>(z)}); });
}

/// A fold without scratch memory.
FoldPlan single_fold(std::int64_t kept, std::int64_t count, bool kept_inner) {
  FoldPlan plan = fold_plan(kept, count, kept_inner);
  plan.chunks = 1;
  plan.chunk = count;
  return plan;
}

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

// ---- LU with partial pivoting. L is kept unscaled: its element is a(r, k) / a(k, k).

struct Largest {
  double size;
  std::int64_t row;
};
struct LoadSize {
  Matrices a;
  std::int64_t k;
  LOCKSTEP_HD Largest operator()(std::int64_t b, std::int64_t i) const { return {::fabs(a(b, k + i, k)), k + i}; }
};
struct Larger {
  LOCKSTEP_HD Largest operator()(Largest a, Largest b) const { return b.size > a.size || (b.size == a.size && b.row < a.row) ? b : a; }
};
struct StorePivot {
  std::int64_t n, k;
  std::int64_t* pivots;
  LOCKSTEP_HD void operator()(std::int64_t b, Largest largest) const { pivots[b * n + k] = largest.row < n ? largest.row : k; }
};
struct SwapRows {
  Matrices a;
  std::int64_t k;
  const std::int64_t* pivots;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t b = i / a.columns, c = i % a.columns, p = pivots[b * a.rows + k];
    const double kept = a(b, k, c);
    a(b, k, c) = a(b, p, c);
    a(b, p, c) = kept;
  }
};
struct EliminateBelow {
  Matrices a;
  std::int64_t k;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t left = a.rows - k - 1;
    const Place at = place_of(i, left, left);
    const std::int64_t r = k + 1 + at.r, c = k + 1 + at.c;
    const double factor = a(at.b, r, k) / a(at.b, k, k);
    if (factor != 0) a(at.b, r, c) -= factor * a(at.b, k, c);
  }
};

/// The factors of a batch of square matrices, in the workspace.
struct Lu {
  Sizes s;
  std::size_t a = 0, pivots = 0;
  Lu(const Sizes& s_, Cuts& cuts) : s(s_) {
    a = cuts.take(std::size_t(s.batch * s.rows * s.rows) * 8);
    pivots = cuts.take(std::size_t(s.batch * s.rows) * 8);
  }
  Matrices factors(const Workspace& workspace) const { return {at<double>(workspace, a), s.rows, s.rows}; }
  const std::int64_t* exchanged(const Workspace& workspace) const { return at<std::int64_t>(workspace, pivots); }
  void enqueue_for(DType dtype, const void* x, const Workspace& workspace) const {
    const Matrices lu = factors(workspace);
    std::int64_t* swaps = at<std::int64_t>(workspace, pivots);
    enqueue_read(dtype, x, lu, s.batch);
    for (std::int64_t k = 0; k < s.rows; ++k) {
      fold(single_fold(s.batch, s.rows - k, false), nullptr, Largest{-1, s.rows}, LoadSize{lu, k}, Larger(), StorePivot{s.rows, k, swaps});
      for_each(s.batch * s.rows, SwapRows{lu, k, swaps});
      for_each(s.batch * (s.rows - k - 1) * (s.rows - k - 1), EliminateBelow{lu, k});
    }
  }
};

/// How the coefficient of row r at step k is read from the matrix.
enum class Coefficient { plain, transposed, unit_transposed };
/// x(r) -= coefficient x(k) for the rows behind (or before) k. A row is divided by its diagonal only when all is done.
struct Substitute {
  Matrices a, x;
  std::int64_t k;
  bool backward;
  Coefficient kind;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t left = backward ? k : x.rows - k - 1;
    const Place at = place_of(i, left, x.columns);
    const std::int64_t b = at.b, r = backward ? at.r : k + 1 + at.r;
    const double coefficient = kind == Coefficient::plain ? a(b, r, k) / a(b, k, k) : kind == Coefficient::transposed ? a(b, k, r) / a(b, k, k) : a(b, k, r) / a(b, r, r);
    x(b, r, at.c) -= coefficient * x(b, k, at.c);
  }
};
struct DivideRows {
  Matrices a, x;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const Place at = place_of(i, x.rows, x.columns);
    x.data[i] /= a(at.b, at.r, at.r);
  }
};
/// All exchanges of a column, forward or back.
struct Exchange {
  Matrices x;
  const std::int64_t* pivots;
  bool backward;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t b = i / x.columns, c = i % x.columns;
    for (std::int64_t n = 0; n < x.rows; ++n) {
      const std::int64_t k = backward ? x.rows - 1 - n : n, p = pivots[b * x.rows + k];
      const double kept = x(b, k, c);
      x(b, k, c) = x(b, p, c);
      x(b, p, c) = kept;
    }
  }
};

void substitute(const Matrices& a, const Matrices& x, std::int64_t batch, bool backward, Coefficient kind) {
  for (std::int64_t n = 0; n + 1 < x.rows; ++n) {
    const std::int64_t k = backward ? x.rows - 1 - n : n;
    for_each(batch * (x.rows - 1 - n) * x.columns, Substitute{a, x, k, backward, kind});
  }
}
void solve_factored(const Lu& lu, const Matrices& x, const Workspace& workspace, bool transposed) {
  const Matrices a = lu.factors(workspace);
  const std::int64_t batch = lu.s.batch, all = batch * x.rows * x.columns;
  if (!transposed) {
    for_each(batch * x.columns, Exchange{x, lu.exchanged(workspace), false});
    substitute(a, x, batch, false, Coefficient::plain);
    substitute(a, x, batch, true, Coefficient::plain);
    for_each(all, DivideRows{a, x});
  } else {
    substitute(a, x, batch, false, Coefficient::transposed);
    for_each(all, DivideRows{a, x});
    substitute(a, x, batch, true, Coefficient::unit_transposed);
    for_each(batch * x.columns, Exchange{x, lu.exchanged(workspace), true});
  }
}

struct Whole {
  Matrices a;
  LOCKSTEP_HD double operator()(std::int64_t b, std::int64_t r, std::int64_t c) const { return a(b, r, c); }
};
struct Transposed {
  Matrices a;
  LOCKSTEP_HD double operator()(std::int64_t b, std::int64_t r, std::int64_t c) const { return a(b, c, r); }
};

BoundKernel solve(const BindContext& context) {
  const Sizes s = sizes_of(context.shape(0));
  const std::int64_t columns = sizes_of(context.shape(1)).columns;
  Cuts cuts;
  const Lu lu(s, cuts);
  const std::size_t right = cuts.take(std::size_t(s.batch * s.rows * columns) * 8);
  return [=, dtype = context.dtype_of(0), adjoint = context.boolean("adjoint"), workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
    const Matrices x{at<double>(workspace, right), s.rows, columns};
    lu.enqueue_for(dtype, in[0], workspace);
    enqueue_read(dtype, in[1], x, s.batch);
    solve_factored(lu, x, workspace, adjoint);
    enqueue_write(dtype, Whole{x}, s.batch, s.rows, columns, out[0]);
  };
}
BoundKernel inv(const BindContext& context) {
  const Sizes s = sizes_of(context.shape(0));
  Cuts cuts;
  const Lu lu(s, cuts);
  const std::size_t right = cuts.take(std::size_t(s.batch * s.rows * s.rows) * 8);
  return [=, dtype = context.dtype_of(0), adjoint = context.boolean("adjoint"), workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
    const Matrices x{at<double>(workspace, right), s.rows, s.rows};
    lu.enqueue_for(dtype, in[0], workspace);
    for_each(s.batch * s.rows * s.rows, Identity{x});
    solve_factored(lu, x, workspace, false);
    if (adjoint) enqueue_write(dtype, Transposed{x}, s.batch, s.rows, s.rows, out[0]);
    else enqueue_write(dtype, Whole{x}, s.batch, s.rows, s.rows, out[0]);
  };
}
BoundKernel triangular_solve(const BindContext& context) {
  const Sizes s = sizes_of(context.shape(0));
  const std::int64_t columns = sizes_of(context.shape(1)).columns;
  Cuts cuts;
  const std::size_t left = cuts.take(std::size_t(s.batch * s.rows * s.rows) * 8), right = cuts.take(std::size_t(s.batch * s.rows * columns) * 8);
  return [=, dtype = context.dtype_of(0), lower = context.boolean("lower"), adjoint = context.boolean("adjoint"), workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
    const Matrices a{at<double>(workspace, left), s.rows, s.rows}, x{at<double>(workspace, right), s.rows, columns};
    enqueue_read(dtype, in[0], a, s.batch);
    enqueue_read(dtype, in[1], x, s.batch);
    substitute(a, x, s.batch, lower == adjoint, adjoint ? Coefficient::transposed : Coefficient::plain);
    for_each(s.batch * s.rows * columns, DivideRows{a, x});
    enqueue_write(dtype, Whole{x}, s.batch, s.rows, columns, out[0]);
  };
}

/// The determinant, or its sign and logarithm.
template <class T>
struct Determinant {
  Matrices a;
  const std::int64_t* pivots;
  T* value;      // null: the two below
  T *sign, *log;
  LOCKSTEP_HD void operator()(std::int64_t b) const {
    double product = 1, direction = 1, sum = 0;
    for (std::int64_t k = 0; k < a.rows; ++k) {
      const double pivot = a(b, k, k);
      if (pivots[b * a.rows + k] != k) product = -product, direction = -direction;
      product *= pivot;
      direction *= pivot > 0 ? 1 : pivot < 0 ? -1 : 0;
      sum += ::log(::fabs(pivot));
    }
    if (value) value[b] = T(product);
    else sign[b] = T(direction), log[b] = T(sum);
  }
};
template <bool Logarithm>
BoundKernel determinant(const BindContext& context) {
  const Sizes s = sizes_of(context.shape(0));
  Cuts cuts;
  const Lu lu(s, cuts);
  return visit<dtypes(float32, float64).bits>(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, dtype = context.dtype_of(0), workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
      lu.enqueue_for(dtype, in[0], workspace);
      T* first = static_cast<T*>(out[0]);
      for_each(s.batch, Determinant<T>{lu.factors(workspace), lu.exchanged(workspace), Logarithm ? nullptr : first, Logarithm ? first : nullptr, Logarithm ? static_cast<T*>(out[1]) : nullptr});
    };
  });
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
struct AddUp {
  LOCKSTEP_HD double operator()(double a, double b) const { return a + b; }
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

// ---- Jacobi's rotations: in each step of a sweep all columns meet in pairs, every pair once a sweep

struct Rotation {
  double c, s;
};
struct Pair {
  std::int64_t p, q;
};
/// Pair i of step `step` among n columns (an odd one out pairs with n, which is none).
LOCKSTEP_HD inline Pair pair_of(std::int64_t i, std::int64_t step, std::int64_t n) {
  const std::int64_t even = n + n % 2, ring = even - 1, a = (step + i) % ring, b = i == 0 ? ring : (step - i + ring) % ring;
  return a < b ? Pair{a, b} : Pair{b, a};
}
LOCKSTEP_HD inline Rotation rotation_of(double app, double aqq, double apq) {
  if (apq == 0) return {1, 0};
  const double theta = (aqq - app) / (2 * apq), t = (theta < 0 ? -1 : 1) / (::fabs(theta) + ::sqrt(theta * theta + 1)), c = 1 / ::sqrt(t * t + 1);
  return {c, t * c};
}
LOCKSTEP_HD inline void rotate(double& x, double& y, const Rotation& by) {
  const double kept = x;
  x = by.c * kept - by.s * y;
  y = by.s * kept + by.c * y;
}
constexpr std::int64_t kSweeps = 14;  // each squares what is left off the diagonal, once it is small

struct FindRotation {
  Matrices a;
  std::int64_t step, pairs;
  Rotation* to;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t b = i / pairs;
    const Pair pair = pair_of(i % pairs, step, a.rows);
    to[i] = pair.q < a.rows ? rotation_of(a(b, pair.p, pair.p), a(b, pair.q, pair.q), a(b, pair.p, pair.q)) : Rotation{1, 0};
  }
};
/// Rows, or columns, of a pair.
struct Rotate {
  Matrices x;
  std::int64_t step, pairs, n, length;  // length: of what is rotated
  bool rows;
  const Rotation* by;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t which = i / length, k = i % length, b = which / pairs;
    const Pair pair = pair_of(which % pairs, step, n);
    if (pair.q >= n) return;
    if (rows) rotate(x(b, pair.p, k), x(b, pair.q, k), by[which]);
    else rotate(x(b, k, pair.p), x(b, k, pair.q), by[which]);
  }
};
struct Symmetrize {
  Matrices a;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const Place at = place_of(i, a.rows, a.columns);
    if (at.c > at.r) a.data[i] = a(at.b, at.c, at.r);
  }
};
/// Where number i of a row of n stands in their order; equal ones stay in theirs.
struct Rank {
  const double* numbers;
  std::int64_t n;
  bool descending;
  std::int64_t* ranks;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t line = i / n * n;
    std::int64_t rank = 0;
    for (std::int64_t j = line; j < line + n; ++j) rank += numbers[j] == numbers[i] ? j < i : descending ? numbers[j] > numbers[i] : numbers[j] < numbers[i];
    ranks[line + rank] = i - line;  // which number has this rank
  }
};
struct TakeDiagonal {
  Matrices a;
  double* to;
  LOCKSTEP_HD void operator()(std::int64_t i) const { to[i] = a(i / a.rows, i % a.rows, i % a.rows); }
};
struct Ranked {
  const double* numbers;
  const std::int64_t* ranks;
  std::int64_t n;
  LOCKSTEP_HD double operator()(std::int64_t b, std::int64_t, std::int64_t c) const { return numbers[b * n + ranks[b * n + c]]; }
};
/// Columns in the order of the ranks, each divided by its number if there are any.
struct RankedColumns {
  Matrices x;
  const std::int64_t* ranks;
  const double* divisors;
  LOCKSTEP_HD double operator()(std::int64_t b, std::int64_t r, std::int64_t c) const {
    const std::int64_t from = ranks[b * x.columns + c];
    const double value = x(b, r, from), divisor = divisors ? divisors[b * x.columns + from] : 1;
    return divisor == 0 ? 0 : value / divisor;
  }
};

BoundKernel eigh(const BindContext& context) {
  const Sizes s = sizes_of(context.shape(0));
  const std::int64_t n = s.rows, pairs = (n + 1) / 2;
  Cuts cuts;
  const std::size_t whole = std::size_t(s.batch * n * n) * 8, left = cuts.take(whole), vectors = cuts.take(whole), turns = cuts.take(std::size_t(s.batch * pairs) * sizeof(Rotation));
  const std::size_t values = cuts.take(std::size_t(s.batch * n) * 8), ranks = cuts.take(std::size_t(s.batch * n) * 8);
  return [=, dtype = context.dtype_of(0), workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
    if (n == 0) return;
    const Matrices a{at<double>(workspace, left), n, n}, v{at<double>(workspace, vectors), n, n};
    Rotation* by = at<Rotation>(workspace, turns);
    enqueue_read(dtype, in[0], a, s.batch);
    for_each(s.batch * n * n, Symmetrize{a});
    for_each(s.batch * n * n, Identity{v});
    for (std::int64_t sweep = 0; sweep < (n > 1 ? kSweeps : 0); ++sweep)
      for (std::int64_t step = 0; step < n + n % 2 - 1; ++step) {
        for_each(s.batch * pairs, FindRotation{a, step, pairs, by});
        for_each(s.batch * pairs * n, Rotate{a, step, pairs, n, n, true, by});
        for_each(s.batch * pairs * n, Rotate{a, step, pairs, n, n, false, by});
        for_each(s.batch * pairs * n, Rotate{v, step, pairs, n, n, false, by});
      }
    double* numbers = at<double>(workspace, values);
    std::int64_t* order = at<std::int64_t>(workspace, ranks);
    for_each(s.batch * n, TakeDiagonal{a, numbers});
    for_each(s.batch * n, Rank{numbers, n, false, order});
    enqueue_write(dtype, Ranked{numbers, order, n}, s.batch, 1, n, out[0]);
    enqueue_write(dtype, RankedColumns{v, order, nullptr}, s.batch, n, n, out[1]);
  };
}

/// Of a pair of columns: the squares of their lengths, and their product.
struct Products {
  double pp, qq, pq;
};
struct LoadProducts {
  Matrices a;
  std::int64_t step, pairs;
  LOCKSTEP_HD Products operator()(std::int64_t o, std::int64_t r) const {
    const std::int64_t b = o / pairs;
    const Pair pair = pair_of(o % pairs, step, a.columns);
    if (pair.q >= a.columns) return {0, 0, 0};
    const double x = a(b, r, pair.p), y = a(b, r, pair.q);
    return {x * x, y * y, x * y};
  }
};
struct AddProducts {
  LOCKSTEP_HD Products operator()(Products a, Products b) const { return {a.pp + b.pp, a.qq + b.qq, a.pq + b.pq}; }
};
struct StoreRotation {
  Rotation* to;
  LOCKSTEP_HD void operator()(std::int64_t o, Products sum) const { to[o] = rotation_of(sum.pp, sum.qq, sum.pq); }
};
struct LoadColumnSquare {
  Matrices a;
  LOCKSTEP_HD double operator()(std::int64_t o, std::int64_t r) const {
    const double x = a(o / a.columns, r, o % a.columns);
    return x * x;
  }
};
struct StoreRoot {
  double* to;
  LOCKSTEP_HD void operator()(std::int64_t o, double sum) const { to[o] = ::sqrt(sum); }
};

/// One-sided: the columns of the taller of x and its transpose are turned until they are orthogonal; their lengths are the singular values. (The left
/// vector of a singular value 0 is 0 here.)
BoundKernel svd(const BindContext& context) {
  const Sizes s = sizes_of(context.shape(0));
  const bool turned = s.rows < s.columns, wanted = context.boolean("compute_uv");
  const std::int64_t m = std::max(s.rows, s.columns), n = std::min(s.rows, s.columns), pairs = (n + 1) / 2;
  Cuts cuts;
  const std::size_t left = cuts.take(std::size_t(s.batch * m * n) * 8), vectors = cuts.take(std::size_t(s.batch * n * n) * 8), turns = cuts.take(std::size_t(s.batch * pairs) * sizeof(Rotation));
  const std::size_t values = cuts.take(std::size_t(s.batch * n) * 8), ranks = cuts.take(std::size_t(s.batch * n) * 8);
  return [=, dtype = context.dtype_of(0), workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
    if (n == 0) return;
    const Matrices a{at<double>(workspace, left), m, n}, v{at<double>(workspace, vectors), n, n};
    Rotation* by = at<Rotation>(workspace, turns);
    enqueue_read(dtype, in[0], a, s.batch, turned);
    for_each(s.batch * n * n, Identity{v});
    for (std::int64_t sweep = 0; sweep < (n > 1 ? kSweeps : 0); ++sweep)
      for (std::int64_t step = 0; step < n + n % 2 - 1; ++step) {
        fold(single_fold(s.batch * pairs, m, true), nullptr, Products{0, 0, 0}, LoadProducts{a, step, pairs}, AddProducts(), StoreRotation{by});
        for_each(s.batch * pairs * m, Rotate{a, step, pairs, n, m, false, by});
        for_each(s.batch * pairs * n, Rotate{v, step, pairs, n, n, false, by});
      }
    double* numbers = at<double>(workspace, values);
    std::int64_t* order = at<std::int64_t>(workspace, ranks);
    fold(single_fold(s.batch * n, m, true), nullptr, 0.0, LoadColumnSquare{a}, AddUp(), StoreRoot{numbers});
    for_each(s.batch * n, Rank{numbers, n, true, order});
    enqueue_write(dtype, Ranked{numbers, order, n}, s.batch, 1, n, out[0]);
    if (!wanted) return;
    enqueue_write(dtype, RankedColumns{a, order, numbers}, s.batch, m, n, out[turned ? 2 : 1]);
    enqueue_write(dtype, RankedColumns{v, order, nullptr}, s.batch, n, n, out[turned ? 1 : 2]);
  };
}

constexpr Kernel kKernels[] = {
    {"cholesky", cholesky}, {"det", determinant<false>}, {"inv", inv}, {"solve", solve}, {"triangular_solve", triangular_solve}, {"slogdet", determinant<true>},
    {"qr", qr},             {"svd", svd},                {"eigh", eigh},
};

}  // namespace

std::span<const Kernel> linalg_kernels() { return kKernels; }

}  // namespace lockstep::cuda

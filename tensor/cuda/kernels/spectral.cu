// Eigenvalues of symmetric matrices and singular values, by Jacobi's rotations (see matrices.h): in each step of a sweep all columns meet in pairs, every
// pair once a sweep.

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/matrices.h>

namespace lockstep::cuda {
namespace {

using namespace matrices;

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
/// Where number i of a row of n stands in their order; equal ones stay in theirs, NaN come last. (Each rank is some number's: they are places to read.)
struct Rank {
  const double* numbers;
  std::int64_t n;
  bool descending;
  std::int64_t* ranks;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t line = i / n * n;
    const double mine = numbers[i];
    std::int64_t rank = 0;
    for (std::int64_t j = line; j < line + n; ++j) {
      const double other = numbers[j];
      if (mine != mine || other != other) rank += other != other ? mine != mine && j < i : true;
      else rank += other == mine ? j < i : descending ? other > mine : other < mine;
    }
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

constexpr Kernel kSpectralKernels[] = {
    {"eigh", eigh},
    {"svd", svd},
};

}  // namespace

std::span<const Kernel> spectral_kernels() { return kSpectralKernels; }

}  // namespace lockstep::cuda

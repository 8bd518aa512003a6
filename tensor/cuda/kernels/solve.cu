// Linear systems, inverses and determinants, by LU with partial pivoting (see matrices.h).

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/matrices.h>

namespace lockstep::cuda {
namespace {

using namespace matrices;

// ---- the factors. L is kept unscaled: its element is a(r, k) / a(k, k).

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
    const double pivot = a(at.b, k, k), factor = pivot != 0 ? a(at.b, r, k) / pivot : 0;  // below the largest, which is 0, all are
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

// ---- what they are for

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

constexpr Kernel kSolveKernels[] = {
    {"solve", solve}, {"triangular_solve", triangular_solve}, {"inv", inv}, {"det", determinant<false>}, {"slogdet", determinant<true>},
};

}  // namespace

std::span<const Kernel> solve_kernels() { return kSolveKernels; }

}  // namespace lockstep::cuda

#pragma once
// Batches of matrices on the last two axes, in float64 whatever the dtype, as on the CPU: what the kernels of linear algebra share. Each factorization is a
// fixed series of small parallel steps over all matrices of the batch: nothing waits for the device, so a call can be captured into a graph, and it runs
// in the emulation. (cuSOLVER would be faster for one large matrix; these ops are rare in training, and batches of small matrices are what they are
// called with.) A GPU cannot refuse in the middle of a stream: matrices that the CPU refuses (singular, not positive definite) give infinities or NaN.

#include <lockstep/tensor/cuda/launch.h>

namespace lockstep::cuda::matrices {

struct Sizes {
  std::int64_t batch = 1, rows = 0, columns = 0;
};
inline Sizes sizes_of(const Shape& shape) {
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

inline void enqueue_read(DType dtype, const void* x, const Matrices& to, std::int64_t batch, bool transposed = false) {
  visit<dtypes(float32, float64).bits, void>(dtype, "linalg", [&]<class T>(TypeTag<T>) { for_each(batch * to.rows * to.columns, Read<T>{static_cast<const T*>(x), transposed, to}); });
}
template <class From>
void enqueue_write(DType dtype, const From& from, std::int64_t batch, std::int64_t rows, std::int64_t columns, void* z) {
  visit<dtypes(float32, float64).bits, void>(dtype, "linalg", [&]<class T>(TypeTag<T>) { for_each(batch * rows * columns, Write<T, From>{from, rows, columns, static_cast<T*>(z)}); });
}

/// A fold without scratch memory.
inline FoldPlan single_fold(std::int64_t kept, std::int64_t count, bool kept_inner) {
  FoldPlan plan = fold_plan(kept, count, kept_inner);
  plan.chunks = 1;
  plan.chunk = count;
  return plan;
}

struct Whole {
  Matrices a;
  LOCKSTEP_HD double operator()(std::int64_t b, std::int64_t r, std::int64_t c) const { return a(b, r, c); }
};
struct Transposed {
  Matrices a;
  LOCKSTEP_HD double operator()(std::int64_t b, std::int64_t r, std::int64_t c) const { return a(b, c, r); }
};

}  // namespace lockstep::cuda::matrices

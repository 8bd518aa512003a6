// Attention on the CPU, in blocks of rows and keys whose scores stay in the cache: products of two blocks by oneDNN (Eigen in float64), exponentials by the
// vector runs. Keys behind a causal block's last row are left out. 16-bit operands are widened a head at a time and computed in float32. A block of rows (of
// gradients: a head) is computed by one thread in one order, so the bits do not depend on the number of threads.

#include <lockstep/tensor/ops/attention.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <Eigen/Core>
#include <dnnl.hpp>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/ops/reduce.h>
#include <lockstep/tensor/pointwise/kernels.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::attention {
namespace {

constexpr std::int64_t kRows = 64, kKeys = 512;

/// Rows of a matrix in memory, `stride` elements apart.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t stride = 0;
  Rows from(std::int64_t row) const { return {data + row * stride, stride}; }
  T* operator[](std::int64_t row) const { return data + row * stride; }
  operator Rows<const T>() const requires(!std::is_const_v<T>) { return {data, stride}; }
};

// ---- c (m, n) = scale a b, or added to c; a is stored as (k, m), b as (n, k) where they are transposed

void multiply(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, double scale, Rows<const float> a, Rows<const float> b, bool add, Rows<float> c) {
  if (m == 0 || n == 0) return;
  if (dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, float(scale), a.data, a.stride, b.data, b.stride, add ? 1.0f : 0.0f, c.data, c.stride) != dnnl_success)
    throw InternalError("oneDNN: sgemm failed");
}

void multiply(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, double scale, Rows<const double> a, Rows<const double> b, bool add, Rows<double> c) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Read = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
  const auto read = [](Rows<const double> x, bool transposed, std::int64_t rows, std::int64_t columns) -> Matrix {
    if (transposed) return Read(x.data, columns, rows, Eigen::OuterStride<>(x.stride)).transpose();
    return Read(x.data, rows, columns, Eigen::OuterStride<>(x.stride));
  };
  Eigen::Map<Matrix, 0, Eigen::OuterStride<>> z(c.data, m, n, Eigen::OuterStride<>(c.stride));
  if (!add) z.setZero();
  z.noalias() += (scale * read(a, transpose_a, m, k)) * read(b, transpose_b, k, n);
}

/// oneDNN would take all threads where this one is alone.
class OneThread {
 public:
  OneThread() : saved_(intra_op_threads()) {
    if (saved_ > 1) set_intra_op_threads(1);
  }
  ~OneThread() {
    if (saved_ > 1) set_intra_op_threads(saved_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int saved_;
};

/// Cuts [0, units) into a part for each thread; body(begin, end, memory) with `size` elements of its own for each.
template <class C, class F>
void parallel_units(std::int64_t units, std::int64_t size, const F& body) {
  const std::int64_t parts = std::clamp<std::int64_t>(intra_op_threads(), 1, std::max<std::int64_t>(1, units));
  const Tensor memory = Tensor::empty({parts * size}, dtype_of<C>);
  C* const all = static_cast<C*>(const_cast<void*>(memory.raw()));
  parallel_for(parts, 1, [&](std::int64_t first, std::int64_t last) {
    const OneThread alone;
    for (std::int64_t part = first; part < last; ++part) body(units * part / parts, units * (part + 1) / parts, all + part * size);
  });
}

// ---- one head of the operands

template <class T>
inline constexpr bool kWidened = !std::is_same_v<T, compute_t<T>>;

/// Lengths and heads of an operand.
struct Place {
  std::int64_t length, heads, size;
};
template <class T>
Rows<T> head_of(T* data, const Place& p, std::int64_t head) {  // of all batches' heads
  return {data + (head / p.heads * p.length * p.heads + head % p.heads) * p.size, p.heads * p.size};
}
/// `count` rows as numbers to compute with: where they lie, or widened to `memory`.
template <class T, class C = compute_t<std::remove_const_t<T>>>
Rows<const C> widened(Rows<T> x, std::int64_t count, std::int64_t size, C* memory) {
  if constexpr (!kWidened<std::remove_const_t<T>>) return x;
  else {
    for (std::int64_t row = 0; row < count; ++row)
      for (std::int64_t i = 0; i < size; ++i) memory[row * size + i] = static_cast<C>(x[row][i]);
    return {memory, size};
  }
}
/// Where to compute `count` rows: in place, or in `memory` until narrow().
template <class T, class C = compute_t<T>>
Rows<C> wide(Rows<T> x, std::int64_t size, C* memory) {
  if constexpr (!kWidened<T>) return x;
  else return {memory, size};
}
template <class T, class C>
void narrow(Rows<C> from, std::int64_t count, std::int64_t size, Rows<T> to) {
  if constexpr (kWidened<T>)
    for (std::int64_t row = 0; row < count; ++row)
      for (std::int64_t i = 0; i < size; ++i) to[row][i] = T(from[row][i]);
}
template <class C>
void fill(Rows<C> x, std::int64_t count, std::int64_t size) {
  for (std::int64_t row = 0; row < count; ++row) std::fill_n(x[row], size, C(0));
}

/// Vector runs over contiguous elements.
template <class C>
struct Runs {
  PointwiseFn exponential = pointwise::vector_run(pointwise::Kernel::exp, dtype_of<C>), below = pointwise::vector_run(pointwise::Kernel::exp_below, dtype_of<C>), product = pointwise::vector_run(pointwise::Kernel::multiply, dtype_of<C>);
  ReduceRuns<C> sum = reduce_runs<C>(Reducer::sum), peak = reduce_runs<C>(Reducer::maximum);
  void exp(C* x, std::int64_t n) const {
    const void* operand[] = {x};
    exponential(operand, x, n, nullptr);
  }
  /// exp(x - peak), where no x is larger than peak.
  void exp_below(C peak, C* x, std::int64_t n) const {
    const void* operand[] = {x};
    const double parameter = peak;
    below(operand, x, n, &parameter);
  }
  void multiply(C* x, const C* y, std::int64_t n) const {
    const void* operands[] = {x, y};
    product(operands, x, n, nullptr);
  }
};
template <class C>
const Runs<C>& runs() {
  static const Runs<C> result;
  return result;
}

/// Keys that rows [row, row + count) look at, and of `keys` from `begin` those that one row looks at.
std::int64_t keys_of(const Sizes& s, std::int64_t row, std::int64_t count) { return s.causal ? std::min(s.keys, row + count) : s.keys; }
std::int64_t seen(const Sizes& s, std::int64_t row, std::int64_t begin, std::int64_t keys) { return s.causal ? std::clamp<std::int64_t>(row + 1 - begin, 0, keys) : keys; }

// ---- forward

template <class C>
struct RowState {
  C peak[kRows], sum[kRows];
};

/// exp(scores - peak so far) of one row; what it had before shrinks by the factor that is returned.
template <class C>
C softmax_step(C* scores, std::int64_t seen, std::int64_t keys, C& peak, C& sum) {
  const Runs<C>& run = runs<C>();
  std::fill(scores + seen, scores + keys, C(0));
  if (seen == 0) return 1;
  const C here = run.peak.run(scores, seen), high = here > peak || here != here ? here : peak;
  run.exp_below(high, scores, seen);
  const C factor = std::exp(peak - high);
  sum = sum * factor + run.sum.run(scores, seen);
  peak = high;
  return factor;
}

/// `count` rows from `row` of one head.
template <class C>
void forward_rows(const Sizes& s, std::int64_t row, std::int64_t count, Rows<const C> q, Rows<const C> k, Rows<const C> v, Rows<C> out, C* sums, C* scores) {
  RowState<C> state;
  std::fill_n(state.peak, count, -std::numeric_limits<C>::infinity());
  std::fill_n(state.sum, count, C(0));
  const std::int64_t all = keys_of(s, row, count);
  if (all == 0) fill(out, count, s.value_dim);
  for (std::int64_t begin = 0; begin < all; begin += kKeys) {
    const std::int64_t keys = std::min(kKeys, all - begin);
    multiply(false, true, count, keys, s.dim, s.scale, q, k.from(begin), false, Rows<C>{scores, keys});
    for (std::int64_t i = 0; i < count; ++i) {
      const C factor = softmax_step(scores + i * keys, seen(s, row + i, begin, keys), keys, state.peak[i], state.sum[i]);
      if (begin > 0 && factor != 1)
        for (std::int64_t d = 0; d < s.value_dim; ++d) out[i][d] *= factor;
    }
    multiply(false, false, count, s.value_dim, keys, 1, Rows<const C>{scores, keys}, v.from(begin), begin > 0, out);
  }
  for (std::int64_t i = 0; i < count; ++i) {
    sums[i] = state.peak[i] + std::log(state.sum[i]);
    if (all == 0) continue;
    const C share = 1 / state.sum[i];
    for (std::int64_t d = 0; d < s.value_dim; ++d) out[i][d] *= share;
  }
}

template <class T>
void forward(const Sizes& s, const T* query, const T* key, const T* value, T* result, compute_t<T>* sums) {
  using C = compute_t<T>;
  const std::int64_t blocks = (s.rows + kRows - 1) / kRows, wide_size = kWidened<T> ? (kRows + s.keys) * (s.dim + s.value_dim) : 0;
  parallel_units<C>(s.batch * s.heads * blocks, kRows * std::min(kKeys, s.keys) + wide_size, [&](std::int64_t begin, std::int64_t end, C* scores) {
    C* const wide_query = scores + kRows * std::min(kKeys, s.keys);
    C* const wide_result = wide_query + (kWidened<T> ? kRows * s.dim : 0);
    C* const wide_key = wide_result + (kWidened<T> ? kRows * s.value_dim : 0);
    Rows<const C> k, v;
    for (std::int64_t unit = begin, last = -1; unit < end; ++unit) {
      const std::int64_t head = unit / blocks, row = unit % blocks * kRows, count = std::min(kRows, s.rows - row);
      if (head != last) {
        k = widened(head_of(key, {s.keys, s.heads, s.dim}, head), s.keys, s.dim, wide_key);
        v = widened(head_of(value, {s.keys, s.heads, s.value_dim}, head), s.keys, s.value_dim, wide_key + s.keys * s.dim);
        last = head;
      }
      const Rows<T> to = head_of(result, {s.rows, s.heads, s.value_dim}, head).from(row);
      const Rows<const C> q = widened(head_of(query, {s.rows, s.heads, s.dim}, head).from(row), count, s.dim, wide_query);
      const Rows<C> out = wide(to, s.value_dim, wide_result);
      forward_rows<C>(s, row, count, q, k, v, out, sums + head * s.rows + row, scores);
      narrow(out, count, s.value_dim, to);
    }
  });
}

// ---- gradient

template <class C>
struct HeadGradient {
  Rows<const C> q, k, v;
  Rows<C> dk, dv;
};

/// What `count` rows from `row` add to the gradients of key and value, and their own. `slope` is, of each row, upstream result - upstream of its sum.
template <class C>
void gradient_rows(const Sizes& s, std::int64_t row, std::int64_t count, const HeadGradient<C>& h, Rows<const C> up, const C* sums, const C* slope, Rows<C> dq, C* p, C* ds) {
  const Runs<C>& run = runs<C>();
  const Rows<const C> q = h.q;
  const std::int64_t all = keys_of(s, row, count);
  if (all == 0) fill(dq, count, s.dim);
  for (std::int64_t begin = 0; begin < all; begin += kKeys) {
    const std::int64_t keys = std::min(kKeys, all - begin);
    for (std::int64_t i = 0; i < count; ++i) {
      std::fill_n(p + i * keys, keys, -sums[i]);
      std::fill_n(ds + i * keys, keys, -slope[i]);
    }
    multiply(false, true, count, keys, s.dim, s.scale, q, h.k.from(begin), true, Rows<C>{p, keys});
    run.exp(p, count * keys);
    if (s.causal && begin + keys > row + 1)
      for (std::int64_t i = 0; i < count; ++i) std::fill(p + i * keys + seen(s, row + i, begin, keys), p + (i + 1) * keys, C(0));
    multiply(true, false, keys, s.value_dim, count, 1, Rows<const C>{p, keys}, up, true, h.dv.from(begin));
    multiply(false, true, count, keys, s.value_dim, 1, up, h.v.from(begin), true, Rows<C>{ds, keys});
    run.multiply(ds, p, count * keys);
    multiply(true, false, keys, s.dim, count, s.scale, Rows<const C>{ds, keys}, q, true, h.dk.from(begin));
    multiply(false, false, count, s.dim, keys, s.scale, Rows<const C>{ds, keys}, h.k.from(begin), begin > 0, dq);
  }
}

/// The operands of one call.
template <class T>
struct GradientCall {
  using C = compute_t<T>;
  const T *query, *key, *value, *upstream, *result;
  const C *sums, *sums_upstream;  // the last may be null
  T *dq, *dk, *dv;
};

/// Cuts a thread's memory; what is not widened takes none.
template <class C>
class Pieces {
 public:
  explicit Pieces(C* at) : at_(at) {}
  C* take(std::int64_t count) { return std::exchange(at_, at_ + count); }

 private:
  C* at_;
};

template <class T>
void head_gradient(const Sizes& s, const GradientCall<T>& c, std::int64_t head, compute_t<T>* memory) {
  using C = compute_t<T>;
  const std::int64_t block = kRows * std::min(kKeys, s.keys), wide_rows = kWidened<T> ? kRows : 0, wide_keys = kWidened<T> ? s.keys : 0;
  Pieces<C> pieces(memory);
  C *p = pieces.take(block), *ds = pieces.take(block), *q_memory = pieces.take(wide_rows * s.dim), *dq_memory = pieces.take(wide_rows * s.dim), *up_memory = pieces.take(wide_rows * s.value_dim);
  const Place query{s.rows, s.heads, s.dim}, key{s.keys, s.heads, s.dim}, value{s.keys, s.heads, s.value_dim}, result{s.rows, s.heads, s.value_dim};
  const Rows<T> dk = head_of(c.dk, key, head), dv = head_of(c.dv, value, head);
  HeadGradient<C> h;
  h.k = widened(head_of(c.key, key, head), s.keys, s.dim, pieces.take(wide_keys * s.dim));
  h.v = widened(head_of(c.value, value, head), s.keys, s.value_dim, pieces.take(wide_keys * s.value_dim));
  h.dk = wide(dk, s.dim, pieces.take(wide_keys * s.dim));
  h.dv = wide(dv, s.value_dim, pieces.take(wide_keys * s.value_dim));
  fill(h.dk, s.keys, s.dim);
  fill(h.dv, s.keys, s.value_dim);
  for (std::int64_t row = 0; row < s.rows; row += kRows) {
    const std::int64_t count = std::min(kRows, s.rows - row);
    const Rows<const C> up = widened(head_of(c.upstream, result, head).from(row), count, s.value_dim, up_memory);
    const Rows<const T> out = head_of(c.result, result, head).from(row);
    const Rows<T> dq_rows = head_of(c.dq, query, head).from(row);
    C slope[kRows];
    for (std::int64_t i = 0; i < count; ++i) {
      slope[i] = c.sums_upstream ? -c.sums_upstream[head * s.rows + row + i] : C(0);
      for (std::int64_t d = 0; d < s.value_dim; ++d) slope[i] += up[i][d] * static_cast<C>(out[i][d]);
    }
    h.q = widened(head_of(c.query, query, head).from(row), count, s.dim, q_memory);
    const Rows<C> dq = wide(dq_rows, s.dim, dq_memory);
    gradient_rows<C>(s, row, count, h, up, c.sums + head * s.rows + row, slope, dq, p, ds);
    narrow(dq, count, s.dim, dq_rows);
  }
  narrow(h.dk, s.keys, s.dim, dk);
  narrow(h.dv, s.keys, s.value_dim, dv);
}

template <class T>
void gradient(const Sizes& s, const GradientCall<T>& c) {
  using C = compute_t<T>;
  const std::int64_t wide_size = kWidened<T> ? kRows * (2 * s.dim + s.value_dim) + 2 * s.keys * (s.dim + s.value_dim) : 0;
  parallel_units<C>(s.batch * s.heads, 2 * kRows * std::min(kKeys, s.keys) + wide_size, [&](std::int64_t begin, std::int64_t end, C* memory) {
    for (std::int64_t head = begin; head < end; ++head) head_gradient<T>(s, c, head, memory);
  });
}

template <class F>
BoundKernel visit_attention(const BindContext& context, F&& f) {
  switch (context.dtype_of(0)) {
    case DType::float16: return f(TypeTag<Half>{});
    case DType::bfloat16: return f(TypeTag<BFloat16>{});
    case DType::float32: return f(TypeTag<float>{});
    default: return f(TypeTag<double>{});
  }
}

}  // namespace

BoundKernel bind_forward(const BindContext& context) {
  return visit_attention(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [s = sizes_of(context)](Inputs in, Outputs out) {
      forward<T>(s, static_cast<const T*>(in[0]), static_cast<const T*>(in[1]), static_cast<const T*>(in[2]), static_cast<T*>(out[0]), static_cast<compute_t<T>*>(out[1]));
    };
  });
}

BoundKernel bind_gradient(const BindContext& context) {
  return visit_attention(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [s = sizes_of(context), more = context.input_count() == 7](Inputs in, Outputs out) {
      using C = compute_t<T>;
      const auto operand = [&](std::size_t i) { return static_cast<const T*>(in[i]); };
      gradient<T>(s, {operand(0), operand(1), operand(2), operand(3), operand(4), static_cast<const C*>(in[5]), more ? static_cast<const C*>(in[6]) : nullptr,
                      static_cast<T*>(out[0]), static_cast<T*>(out[1]), static_cast<T*>(out[2])});
    };
  });
}

}  // namespace lockstep::attention

// Attention: cuDNN's fused kernels where they take it, else heads side by side, products by cuBLASLt and the scores in the workspace. No probabilities outlive
// a call in either way.

#include <limits>

#include <lockstep/tensor/cuda/blas.h>
#include <lockstep/tensor/cuda/copy.h>
#include <lockstep/tensor/cuda/dnn_attention.h>
#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/launch.h>
#include <lockstep/tensor/cuda/peak.h>

namespace lockstep::cuda {
namespace {

using attention::Sizes;

/// (batch, rows, heads, size) as (batch, heads, rows, size), or back.
StridedCopy heads_move(std::int64_t batch, std::int64_t rows, std::int64_t heads, std::int64_t size, bool back) {
  StridedCopy copy{.shape = Shape{batch, heads, rows, size}};
  copy.from = {rows * heads * size, size, heads * size, 1};
  copy.to = {rows * heads * size, rows * size, size, 1};
  if (back) std::swap(copy.from, copy.to);
  return simplified(copy);
}

/// c (rows, columns) = a b of each head; an inner size of 0 gives zeros.
struct HeadProduct {
  std::optional<BoundGemm> gemm;
  std::size_t bytes = 0;

  HeadProduct(const Sizes& s, DType dtype, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, std::string_view op) : bytes(std::size_t(s.batch * s.heads * m * n) * itemsize(dtype)) {
    if (k > 0 && bytes > 0) gemm.emplace(Gemm{.dtype = dtype, .transpose_a = transpose_a, .transpose_b = transpose_b, .m = m, .n = n, .k = k, .batch = s.batch * s.heads, .stride_a = m * k, .stride_b = k * n}, op);
  }
  std::size_t workspace_bytes() const { return gemm ? gemm->workspace_bytes() : 0; }
  void enqueue(const void* a, const void* b, void* c, void* workspace) const {
    if (gemm) gemm->enqueue(a, b, nullptr, c, workspace);
    else if (bytes > 0) fill_bytes(c, 0, bytes);
  }
};

// ---- between the products: lines of scores are (batch, heads, rows)

/// Does a line's row look at a key?
struct Sight {
  std::int64_t rows, keys;
  bool causal;
  LOCKSTEP_HD bool operator()(std::int64_t line, std::int64_t key) const { return !causal || key <= line % rows; }
};
template <class T, class C>
struct LoadScore {
  Sight sight;
  C scale;
  const T* scores;
  LOCKSTEP_HD Peak<C> operator()(std::int64_t line, std::int64_t key) const {
    if (!sight(line, key)) return {-std::numeric_limits<C>::infinity(), C(0)};
    return {scale * value_of(scores[line * sight.keys + key]), C(1)};
  }
};
template <class C>
struct StoreSums {
  C* sums;
  LOCKSTEP_HD void operator()(std::int64_t line, Peak<C> p) const { sums[line] = p.peak + ::log(p.sum); }
};
/// Scores to probabilities, in place.
template <class T, class C>
struct Probability {
  Sight sight;
  C scale;
  const C* sums;
  T* scores;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t line = i / sight.keys;
    scores[i] = stored<T>(sight(line, i - line * sight.keys) ? ::exp(scale * value_of(scores[i]) - sums[line]) : C(0));
  }
};
/// Of each line, upstream result.
template <class T, class C>
struct LoadRowSlope {
  std::int64_t rows, heads, size;
  const T *upstream, *result;
  LOCKSTEP_HD C operator()(std::int64_t line, std::int64_t k) const {
    const std::int64_t row = line % rows, head = line / rows % heads, batch = line / (rows * heads), at = ((batch * rows + row) * heads + head) * size + k;
    return value_of(upstream[at]) * value_of(result[at]);
  }
};
template <class C>
struct StoreRowSlope {
  const C* sums_upstream;  // or null
  C* slope;
  LOCKSTEP_HD void operator()(std::int64_t line, C total) const { slope[line] = sums_upstream ? total - sums_upstream[line] : total; }
};
/// The probabilities' gradient to the scores', in place.
template <class T, class C>
struct ScoreSlope {
  std::int64_t keys;
  C scale;
  const T* p;
  const C* slope;
  T* dp;
  LOCKSTEP_HD void operator()(std::int64_t i) const { dp[i] = stored<T>(scale * value_of(p[i]) * (value_of(dp[i]) - slope[i / keys])); }
};

/// Cuts of the workspace for operands that lie head by head, and for one product's own memory.
struct HeadMemory {
  Cuts cuts;
  Sizes s;
  std::size_t itemsize;
  std::size_t take(std::int64_t rows, std::int64_t size) { return cuts.take(std::size_t(s.batch * s.heads * rows * size) * itemsize); }
};

template <class T>
BoundKernel bind_own(const Sizes& s, DType dtype, std::string_view op) {
  using C = compute_t<T>;
  const HeadProduct scores(s, dtype, false, true, s.rows, s.keys, s.dim, op), combine(s, dtype, false, false, s.rows, s.value_dim, s.keys, op);
  const std::int64_t lines = s.batch * s.heads * s.rows;
  const FoldPlan plan = fold_plan(lines, s.keys, false);
  HeadMemory memory{{}, s, sizeof(T)};
  const std::size_t q = memory.take(s.rows, s.dim), k = memory.take(s.keys, s.dim), v = memory.take(s.keys, s.value_dim), p = memory.take(s.rows, s.keys), result = memory.take(s.rows, s.value_dim),
                    folds = memory.cuts.take(plan.nbytes(sizeof(Peak<C>))), own = memory.cuts.take(std::max(scores.workspace_bytes(), combine.workspace_bytes()));
  return [=, query_move = heads_move(s.batch, s.rows, s.heads, s.dim, false), key_move = heads_move(s.batch, s.keys, s.heads, s.dim, false), value_move = heads_move(s.batch, s.keys, s.heads, s.value_dim, false),
          back = heads_move(s.batch, s.rows, s.heads, s.value_dim, true), workspace = Workspace(memory.cuts.total())](Inputs in, Outputs out) {
    const Sight sight{s.rows, s.keys, s.causal};
    T* const scratch = at<T>(workspace, p);
    C* const sums = static_cast<C*>(out[1]);
    enqueue_copy(query_move, dtype, in[0], at<T>(workspace, q));
    enqueue_copy(key_move, dtype, in[1], at<T>(workspace, k));
    enqueue_copy(value_move, dtype, in[2], at<T>(workspace, v));
    scores.enqueue(at<T>(workspace, q), at<T>(workspace, k), scratch, at<std::byte>(workspace, own));
    fold(plan, at<std::byte>(workspace, folds), Peak<C>{-std::numeric_limits<C>::infinity(), C(0)}, LoadScore<T, C>{sight, C(s.scale), scratch}, MergePeaks(), StoreSums<C>{sums});
    for_each(lines * s.keys, Probability<T, C>{sight, C(s.scale), sums, scratch});
    combine.enqueue(scratch, at<T>(workspace, v), at<T>(workspace, result), at<std::byte>(workspace, own));
    enqueue_copy(back, dtype, at<T>(workspace, result), out[0]);
  };
}

template <class T>
struct OwnGradient {
  using C = compute_t<T>;
  Sizes s;
  DType dtype;
  HeadProduct scores, of_p, of_value, of_key, of_query;
  FoldPlan plan;
  std::size_t q, k, v, up, p, dp, dq, dk, dv, slope, folds, own, total;
  StridedCopy query_move, key_move, value_move, result_move, query_back, key_back, value_back;

  OwnGradient(const Sizes& sizes, DType type, std::string_view op)
      : s(sizes), dtype(type), scores(s, type, false, true, s.rows, s.keys, s.dim, op), of_p(s, type, false, true, s.rows, s.keys, s.value_dim, op), of_value(s, type, true, false, s.keys, s.value_dim, s.rows, op),
        of_key(s, type, true, false, s.keys, s.dim, s.rows, op), of_query(s, type, false, false, s.rows, s.dim, s.keys, op), plan(fold_plan(s.batch * s.heads * s.rows, s.value_dim, false)) {
    HeadMemory memory{{}, s, sizeof(T)};
    q = memory.take(s.rows, s.dim), k = memory.take(s.keys, s.dim), v = memory.take(s.keys, s.value_dim), up = memory.take(s.rows, s.value_dim), p = memory.take(s.rows, s.keys), dp = memory.take(s.rows, s.keys);
    dq = memory.take(s.rows, s.dim), dk = memory.take(s.keys, s.dim), dv = memory.take(s.keys, s.value_dim);
    slope = memory.cuts.take(std::size_t(plan.kept) * sizeof(C));
    folds = memory.cuts.take(plan.nbytes(sizeof(C)));
    own = memory.cuts.take(std::max({scores.workspace_bytes(), of_p.workspace_bytes(), of_value.workspace_bytes(), of_key.workspace_bytes(), of_query.workspace_bytes()}));
    total = memory.cuts.total();
    query_move = heads_move(s.batch, s.rows, s.heads, s.dim, false), key_move = heads_move(s.batch, s.keys, s.heads, s.dim, false);
    value_move = heads_move(s.batch, s.keys, s.heads, s.value_dim, false), result_move = heads_move(s.batch, s.rows, s.heads, s.value_dim, false);
    query_back = heads_move(s.batch, s.rows, s.heads, s.dim, true), key_back = heads_move(s.batch, s.keys, s.heads, s.dim, true), value_back = heads_move(s.batch, s.keys, s.heads, s.value_dim, true);
  }

  void enqueue(const Workspace& workspace, Inputs in, Outputs out, const C* sums_upstream) const {
    const auto memory = [&](std::size_t offset) { return at<T>(workspace, offset); };
    std::byte* const products = at<std::byte>(workspace, own);
    const std::int64_t count = plan.kept * s.keys;
    enqueue_copy(query_move, dtype, in[0], memory(q));
    enqueue_copy(key_move, dtype, in[1], memory(k));
    enqueue_copy(value_move, dtype, in[2], memory(v));
    enqueue_copy(result_move, dtype, in[3], memory(up));
    scores.enqueue(memory(q), memory(k), memory(p), products);
    for_each(count, Probability<T, C>{{s.rows, s.keys, s.causal}, C(s.scale), static_cast<const C*>(in[5]), memory(p)});
    of_value.enqueue(memory(p), memory(up), memory(dv), products);
    fold(plan, at<std::byte>(workspace, folds), C(0), LoadRowSlope<T, C>{s.rows, s.heads, s.value_dim, static_cast<const T*>(in[3]), static_cast<const T*>(in[4])}, AddUp(), StoreRowSlope<C>{sums_upstream, at<C>(workspace, slope)});
    of_p.enqueue(memory(up), memory(v), memory(dp), products);
    for_each(count, ScoreSlope<T, C>{s.keys, C(s.scale), memory(p), at<C>(workspace, slope), memory(dp)});
    of_key.enqueue(memory(dp), memory(q), memory(dk), products);
    of_query.enqueue(memory(dp), memory(k), memory(dq), products);
    enqueue_copy(query_back, dtype, memory(dq), out[0]);
    enqueue_copy(key_back, dtype, memory(dk), out[1]);
    enqueue_copy(value_back, dtype, memory(dv), out[2]);
  }
};

BoundKernel attention_forward(const BindContext& context) {
  const Sizes s = attention::sizes_of(context);
  const DType dtype = context.dtype_of(0);
  if (const auto fused = BoundAttention::find(s, false, dtype, context.op().name))
    return [fused = *fused, workspace = Workspace(fused->workspace_bytes())](Inputs in, Outputs out) { fused.enqueue(in[0], in[1], in[2], out[0], out[1], workspace.data()); };
  return visit<kFloats.bits>(dtype, context.op().name, [&]<class T>(TypeTag<T>) { return bind_own<T>(s, dtype, context.op().name); });
}

BoundKernel attention_gradient(const BindContext& context) {
  const Sizes s = attention::sizes_of(context);
  const DType dtype = context.dtype_of(0);
  const bool more = context.input_count() == 7;  // cuDNN has no gradient through the sums
  if (const auto fused = more ? std::nullopt : BoundAttention::find(s, true, dtype, context.op().name))
    return [fused = *fused, workspace = Workspace(fused->workspace_bytes())](Inputs in, Outputs out) {
      fused.enqueue_gradient(in[0], in[1], in[2], in[3], in[4], in[5], out[0], out[1], out[2], workspace.data());
    };
  return visit<kFloats.bits>(dtype, context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    auto own = std::make_shared<const OwnGradient<T>>(s, dtype, context.op().name);
    return [own, more, workspace = Workspace(own->total)](Inputs in, Outputs out) { own->enqueue(workspace, in, out, more ? static_cast<const compute_t<T>*>(in[6]) : nullptr); };
  });
}

constexpr Kernel kAttentionKernels[] = {
    {"dot_product_attention", attention_forward},
    {"dot_product_attention_gradient", attention_gradient},
};

}  // namespace

std::span<const Kernel> attention_kernels() { return kAttentionKernels; }

}  // namespace lockstep::cuda

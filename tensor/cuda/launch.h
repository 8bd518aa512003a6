#pragma once
// The vocabulary that kernels are written in: for_each over independent elements, fold along lines, scan along lines, and a stable sort of
// keys (sort_pairs.h). All of them give the same bits in every run: the order of every sum follows from the sizes alone.
// In the emulation blocks and threads are loops over the same bodies, so that their index arithmetic is tested without a GPU.

#include <math.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <lockstep/tensor/cuda/element.h>
#include <lockstep/tensor/cuda/kernel.h>

namespace lockstep::cuda {

inline constexpr int kBlock = 256;
inline constexpr std::int64_t kMostBlocks = std::int64_t(1) << 20;

// ---- for_each

#ifdef LOCKSTEP_CUDA_EMULATED
/// Threads come in any order on a GPU: every other launch goes backwards, so that what one thread has of another differs.
inline bool next_goes_backwards() {
  static std::atomic<unsigned> launches = 0;
  return launches++ % 2 != 0;
}
/// One kind of closure for all loops, over a copy of `f` as a GPU gets one: a kind for each of a thousand bodies takes long to compile.
inline void enqueue_loop(std::int64_t n, const void* f, std::size_t size, void (*loop)(std::int64_t n, bool backwards, const void* f)) {
  const std::byte* bytes = static_cast<const std::byte*>(f);
  enqueue([n, loop, backwards = next_goes_backwards(), copy = std::vector<std::byte>(bytes, bytes + size)] { loop(n, backwards, copy.data()); });
}
template <class F>
void for_each(std::int64_t n, const F& f) {
  static_assert(std::is_trivially_copyable_v<F> && alignof(F) <= alignof(std::max_align_t));
  if (n <= 0) return;
  enqueue_loop(n, &f, sizeof(F), [](std::int64_t count, bool backwards, const void* copy) {
    const F& body = *static_cast<const F*>(copy);
    for (std::int64_t i = 0; i < count; ++i) body(backwards ? count - 1 - i : i);
  });
}
#else
/// (Not <<<>>>: what that did is told only by the thread's last error, where a library may have left one of its own.)
template <class... Parameters>
void launch(const char* what, void (*kernel)(Parameters...), std::int64_t blocks, dim3 threads, std::type_identity_t<Parameters>... arguments) {
  void* pointers[] = {&arguments...};
  check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(unsigned(std::min(blocks, kMostBlocks))), threads, pointers, 0, current_stream()), what);
}

template <class F>
__global__ void __launch_bounds__(kBlock) for_each_kernel(std::int64_t n, F f) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * kBlock + threadIdx.x; i < n; i += std::int64_t(gridDim.x) * kBlock) f(i);
}
/// Calls f(i) for all i < n, in any order. `f` is copied to the device.
template <class F>
void for_each(std::int64_t n, const F& f) {
  if (n <= 0) return;
  launch("a kernel over elements", for_each_kernel<F>, (n + kBlock - 1) / kBlock, kBlock, n, f);
}
#endif

// ---- memory

/// The result of a dynamic kernel, beside its operand.
inline Tensor result_beside(const Tensor& operand, const Shape& shape, DType dtype) { return Tensor::empty(shape, dtype, operand.device()); }
/// Cuts a Workspace into aligned parts: take() while binding, then at() while running.
class Cuts {
 public:
  std::size_t take(std::size_t nbytes) {
    const std::size_t offset = total_;
    total_ += (nbytes + 255) / 256 * 256;
    return offset;
  }
  std::size_t total() const { return total_; }

 private:
  std::size_t total_ = 0;
};
template <class T>
T* at(const Workspace& workspace, std::size_t offset) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(workspace.data()) + offset);
}

// ---- fold

/// The usual way to combine; integers wrap.
struct AddUp {
  template <class A>
  LOCKSTEP_HD A operator()(A a, A b) const { return plus(a, b); }
};

/// How `kept` folds of `count` elements each are laid out. A block works on `width` folds with `group` lanes each; long folds with few
/// neighbours are cut into chunks, whose results are folded again.
struct FoldPlan {
  std::int64_t kept = 0, count = 0;
  std::int64_t chunks = 1, chunk = 0;
  int width = 1, group = kBlock;
  bool kept_inner = false;  // neighbouring folds lie side by side in memory (else the elements of one fold do)

  /// Bytes of scratch memory for accumulators of this size.
  std::size_t nbytes(std::size_t itemsize) const { return chunks > 1 ? std::size_t(chunks * kept) * itemsize : 0; }
};

inline FoldPlan fold_plan(std::int64_t kept, std::int64_t count, bool kept_inner) {
  const auto power = [](std::int64_t n, std::int64_t most) { return std::int64_t(std::bit_ceil(std::uint64_t(std::clamp<std::int64_t>(n, 1, most)))); };
  FoldPlan plan;
  plan.kept = kept;
  plan.count = count;
  plan.kept_inner = kept_inner;
  if (kept_inner) {
    plan.group = int(std::max(std::min<std::int64_t>(power((count + 7) / 8, 8), kBlock), kBlock / power(kept, kBlock)));
  } else {
    plan.group = int(power((count + 3) / 4, kBlock));
  }
  plan.width = kBlock / plan.group;
  const std::int64_t blocks = (kept + plan.width - 1) / plan.width;
  plan.chunks = std::clamp<std::int64_t>(count / (std::int64_t(plan.group) * 16), 1, std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(1, blocks)));
  plan.chunk = (count + plan.chunks - 1) / plan.chunks;
  return plan;
}

/// What lane `lane` of fold o adds up of chunk c.
template <class A, class Load, class Combine>
LOCKSTEP_HD A fold_part(const FoldPlan& p, std::int64_t o, std::int64_t c, int lane, A start, const Load& load, const Combine& combine) {
  A total = start;
  const std::int64_t begin = c * p.chunk, end = begin + p.chunk < p.count ? begin + p.chunk : p.count;
  for (std::int64_t k = begin + lane; k < end; k += p.group) total = combine(total, load(o, k));
  return total;
}

#ifdef LOCKSTEP_CUDA_EMULATED
template <class A, class Load, class Combine, class Store>
void launch_fold(const FoldPlan& p, A start, const Load& load, const Combine& combine, const Store& store) {
  enqueue([=, backwards = next_goes_backwards()] {
    const std::int64_t blocks = (p.kept + p.width - 1) / p.width;
    for (std::int64_t i = 0; i < blocks * p.chunks; ++i) {
      const std::int64_t b = backwards ? blocks * p.chunks - 1 - i : i;
      A part[kBlock];
      for (int t = 0; t < kBlock; ++t) {
        const int w = p.kept_inner ? t % p.width : t / p.group, lane = p.kept_inner ? t / p.width : t % p.group;
        const std::int64_t o = b % blocks * p.width + w;
        part[lane * p.width + w] = o < p.kept ? fold_part(p, o, b / blocks, lane, start, load, combine) : start;
      }
      for (int half = p.group / 2; half > 0; half /= 2)
        for (int t = 0; t < half * p.width; ++t) part[t] = combine(part[t], part[t + half * p.width]);
      for (int w = 0; w < p.width; ++w)
        if (b % blocks * p.width + w < p.kept) store(b % blocks * p.width + w, b / blocks, part[w]);
    }
  });
}
#else
template <class A, class Load, class Combine, class Store>
__global__ void __launch_bounds__(kBlock) fold_kernel(FoldPlan p, A start, Load load, Combine combine, Store store) {
  __shared__ A part[kBlock];
  const int t = int(threadIdx.x);
  const int w = p.kept_inner ? t % p.width : t / p.group, lane = p.kept_inner ? t / p.width : t % p.group;
  const std::int64_t blocks = (p.kept + p.width - 1) / p.width;
  for (std::int64_t b = blockIdx.x; b < blocks * p.chunks; b += gridDim.x) {
    const std::int64_t o = b % blocks * p.width + w;
    part[lane * p.width + w] = o < p.kept ? fold_part(p, o, b / blocks, lane, start, load, combine) : start;
    __syncthreads();
    for (int half = p.group / 2; half > 0; half /= 2) {
      if (lane < half) part[lane * p.width + w] = combine(part[lane * p.width + w], part[(lane + half) * p.width + w]);
      __syncthreads();
    }
    if (lane == 0 && o < p.kept) store(o, b / blocks, part[w]);
    __syncthreads();
  }
}
template <class A, class Load, class Combine, class Store>
void launch_fold(const FoldPlan& p, A start, const Load& load, const Combine& combine, const Store& store) {
  const std::int64_t blocks = (p.kept + p.width - 1) / p.width * p.chunks;
  launch("a reduction", fold_kernel<A, Load, Combine, Store>, blocks, kBlock, p, start, load, combine, store);
}
#endif

template <class A, class Store>
struct StoreWhole {
  Store store;
  LOCKSTEP_HD void operator()(std::int64_t o, std::int64_t, A total) const { store(o, total); }
};
template <class A>
struct StoreChunk {
  A* parts;
  std::int64_t kept;
  LOCKSTEP_HD void operator()(std::int64_t o, std::int64_t c, A total) const { parts[c * kept + o] = total; }
};
template <class A>
struct LoadChunk {
  const A* parts;
  std::int64_t kept;
  LOCKSTEP_HD A operator()(std::int64_t o, std::int64_t c) const { return parts[c * kept + o]; }
};

/// Loads the element of x at `place(o, k)`, as a number of type A.
template <class Place, class T, class A>
struct LoadAt {
  Place place;
  const T* x;
  LOCKSTEP_HD A operator()(std::int64_t o, std::int64_t k) const { return A(value_of(x[place(o, k)])); }
};

/// store(o, total) for each of plan.kept folds, total = combine over k of load(o, k) beginning with `start`. `combine` is associative and
/// commutative but for rounding, `start` its neutral element. `scratch` has plan.nbytes(sizeof(A)).
template <class A, class Load, class Combine, class Store>
void fold(const FoldPlan& plan, void* scratch, A start, const Load& load, const Combine& combine, const Store& store) {
  if (plan.kept <= 0) return;
  if (plan.chunks == 1) {
    launch_fold(plan, start, load, combine, StoreWhole<A, Store>{store});
    return;
  }
  A* parts = static_cast<A*>(scratch);
  launch_fold(plan, start, load, combine, StoreChunk<A>{parts, plan.kept});
  FoldPlan last = fold_plan(plan.kept, plan.chunks, true);
  last.chunks = 1;
  last.chunk = plan.chunks;
  launch_fold(last, start, LoadChunk<A>{parts, plan.kept}, combine, StoreWhole<A, Store>{store});
}

// ---- scan

/// `lines` scans of `count` elements each, in pieces of kPiece; the totals of the pieces are scanned in turn.
struct ScanPlan {
  static constexpr std::int64_t kPiece = 64;
  std::int64_t lines = 0, count = 0;

  bool whole() const { return count <= 4 * kPiece || lines >= (std::int64_t(1) << 16); }
  std::int64_t pieces() const { return (count + kPiece - 1) / kPiece; }
  std::size_t nbytes(std::size_t itemsize) const {
    if (whole()) return 0;
    return std::size_t(lines * pieces()) * itemsize + ScanPlan{lines, pieces()}.nbytes(itemsize);
  }
};

/// One line from first to last: store(line, k, with element k, without it).
template <class A, class Load, class Combine, class Store>
struct ScanPiece {
  std::int64_t lines, count, piece;
  A start;
  const A* before;  // of each piece: what all earlier ones combine to; null if there is one piece only
  Load load;
  Combine combine;
  Store store;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t line = i % lines, begin = i / lines * piece, end = begin + piece < count ? begin + piece : count;
    A total = before ? before[i] : start;
    for (std::int64_t k = begin; k < end; ++k) {
      const A with = combine(total, load(line, k));
      store(line, k, with, total);
      total = with;
    }
  }
};
template <class A, class Load, class Combine>
struct PieceTotal {
  std::int64_t lines, count, piece;
  A start;
  A* totals;
  Load load;
  Combine combine;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t line = i % lines, begin = i / lines * piece, end = begin + piece < count ? begin + piece : count;
    A total = start;
    for (std::int64_t k = begin; k < end; ++k) total = combine(total, load(line, k));
    totals[i] = total;
  }
};
template <class A>
struct LoadTotal {
  const A* totals;
  std::int64_t lines;
  LOCKSTEP_HD A operator()(std::int64_t line, std::int64_t k) const { return totals[k * lines + line]; }
};
template <class A>
struct StoreBefore {
  A* totals;
  std::int64_t lines;
  LOCKSTEP_HD void operator()(std::int64_t line, std::int64_t k, A, A without) const { totals[k * lines + line] = without; }
};

/// For sums of zeros and ones along one line.
struct StoreRank {
  std::int64_t* ranks;  // of element k among the ones; behind the last: how many there are
  std::int64_t count;
  LOCKSTEP_HD void operator()(std::int64_t, std::int64_t k, std::int64_t with, std::int64_t without) const {
    ranks[k] = without;
    if (k == count - 1) ranks[count] = with;
  }
};

/// store(line, k, inclusive, exclusive) for the running combination of load(line, 0), load(line, 1), ... `scratch` has plan.nbytes(sizeof(A)).
template <class A, class Load, class Combine, class Store>
void scan(const ScanPlan& plan, void* scratch, A start, const Load& load, const Combine& combine, const Store& store) {
  if (plan.whole()) {
    for_each(plan.lines, ScanPiece<A, Load, Combine, Store>{plan.lines, plan.count, plan.count, start, nullptr, load, combine, store});
    return;
  }
  A* totals = static_cast<A*>(scratch);
  const std::int64_t pieces = plan.pieces();
  for_each(plan.lines * pieces, PieceTotal<A, Load, Combine>{plan.lines, plan.count, ScanPlan::kPiece, start, totals, load, combine});
  scan(ScanPlan{plan.lines, pieces}, totals + plan.lines * pieces, start, LoadTotal<A>{totals, plan.lines}, combine, StoreBefore<A>{totals, plan.lines});
  for_each(plan.lines * pieces, ScanPiece<A, Load, Combine, Store>{plan.lines, plan.count, ScanPlan::kPiece, start, totals, load, combine, store});
}

}  // namespace lockstep::cuda

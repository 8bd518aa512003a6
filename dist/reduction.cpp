#include <lockstep/dist/reduction.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/op.h>

namespace lockstep::dist {
namespace {

constexpr std::int64_t kBlock = 1024;       // elements added at a time: a few of these stay in the first cache
constexpr std::size_t kBlockBytes = kBlock * 16;

const OpDef& row_of(ReduceOp op, DType dtype) {
  static const OpDef &add = find_op("add"), &maximum = find_op("maximum"), &minimum = find_op("minimum"), &any = find_op("logical_or"), &all = find_op("logical_and");
  if (op == ReduceOp::max) return dtype == boolean ? any : maximum;
  if (op == ReduceOp::min) return dtype == boolean ? all : minimum;
  return add;
}

/// The runs over one block, bound to a dtype once per call.
struct Runs {
  PointwiseFn combine, widen = nullptr, narrow = nullptr, scale = nullptr;
  DType from, wide;
  std::size_t wide_size;

  Runs(ReduceOp op, DType from_, DType to) : from(from_), wide(wide_dtype(from_)), wide_size(itemsize(wide)) {
    combine = row_of(op, wide).pointwise(std::array{wide, wide}, wide);
    static const OpDef &cast = find_op("cast"), &multiply = find_op("multiply");
    if (wide != from) widen = cast.pointwise(std::array{from}, wide);
    if (wide != to) narrow = cast.pointwise(std::array{wide}, to);
    if (op == ReduceOp::mean) scale = multiply.pointwise(std::array{wide, wide}, wide);
  }
};

/// The tree over sources [first, last) for one block of n elements; the result lies at `target`, in the wide dtype.
void tree(const Runs& runs, std::span<const void* const> sources, std::int64_t offset, std::int64_t n, void* target, std::byte* scratch) {
  const auto at = [&](std::size_t k) { return static_cast<const std::byte*>(sources[k]) + std::size_t(offset) * itemsize(runs.from); };
  if (sources.size() == 1) {
    const void* in[] = {at(0)};
    if (runs.widen) runs.widen(in, target, n, nullptr);
    else if (in[0] != target) std::memmove(target, in[0], std::size_t(n) * runs.wide_size);
    return;
  }
  const auto half = std::size_t(tree_split(int(sources.size())));
  const void* pair[2];
  // A single leaf needs no copy; a subtree gets a block of scratch memory of its own.
  if (half == 1 && !runs.widen) pair[0] = at(0);
  else tree(runs, sources.first(half), offset, n, scratch, scratch + 2 * kBlockBytes), pair[0] = scratch;
  if (sources.size() - half == 1 && !runs.widen) pair[1] = at(half);
  else tree(runs, sources.subspan(half), offset, n, scratch + kBlockBytes, scratch + 2 * kBlockBytes), pair[1] = scratch + kBlockBytes;
  runs.combine(pair, target, n, nullptr);
}

}  // namespace

std::string_view name(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum: return "sum";
    case ReduceOp::mean: return "mean";
    case ReduceOp::max: return "max";
    case ReduceOp::min: break;
  }
  return "min";
}

ReduceOp reduce_op(std::string_view text) {
  for (const ReduceOp op : {ReduceOp::sum, ReduceOp::mean, ReduceOp::max, ReduceOp::min})
    if (name(op) == text) return op;
  throw InvalidArgumentError("a reduction is sum, mean, max or min, not '" + std::string(text) + "'");
}

void check_reduction(ReduceOp op, DType dtype) {
  const bool adds = op == ReduceOp::sum || op == ReduceOp::mean;
  const bool refused = dtype == string || (dtype == boolean && adds) || (is_complex(dtype) && !adds) || (op == ReduceOp::mean && is_integer(dtype));
  if (refused) throw InvalidArgumentError("there is no " + std::string(name(op)) + " of " + std::string(lockstep::name(dtype)) + " over ranks");
}

DType wide_dtype(DType dtype) { return is_float(dtype) && itemsize(dtype) == 2 ? float32 : dtype; }

int tree_split(int n) {
  int half = 1;
  while (2 * half < n) half *= 2;
  return half;
}

void reduce_sources(ReduceOp op, DType dtype, std::span<const void* const> sources, void* target, std::int64_t count, int ranks) {
  reduce_sources(op, dtype, dtype, sources, target, count, ranks);
}

void reduce_sources(ReduceOp op, DType from, DType to, std::span<const void* const> sources, void* target, std::int64_t count, int ranks) {
  const Runs runs(op, from, to);
  thread_local std::vector<std::byte> memory;
  std::size_t levels = 1;
  while ((std::size_t(1) << levels) < sources.size()) ++levels;
  memory.resize(std::max(memory.size(), (2 * levels + 2) * kBlockBytes));
  std::byte* const wide = memory.data();
  // 1 / ranks, as a block: a run takes its operands element by element.
  std::byte* const factors = memory.data() + kBlockBytes;
  thread_local struct { DType dtype = uint8; int ranks = 0; std::int64_t count = 0; } scaled;  // what the block holds
  if (runs.scale && (scaled.dtype != runs.wide || scaled.ranks != ranks || scaled.count < std::min(count, kBlock))) {
    scaled = {runs.wide, ranks, std::min(count, kBlock)};
    const double factor = 1.0 / ranks;
    for (std::int64_t i = 0; i < scaled.count; ++i) {
      if (runs.wide == float32) reinterpret_cast<float*>(factors)[i] = float(factor);
      else if (runs.wide == float64) reinterpret_cast<double*>(factors)[i] = factor;
      else if (runs.wide == complex64) reinterpret_cast<std::complex<float>*>(factors)[i] = float(factor);
      else reinterpret_cast<std::complex<double>*>(factors)[i] = factor;
    }
  }
  for (std::int64_t offset = 0; offset < count; offset += kBlock) {
    const std::int64_t n = std::min(kBlock, count - offset);
    std::byte* const out = static_cast<std::byte*>(target) + std::size_t(offset) * itemsize(to);
    void* const result = runs.narrow ? wide : out;
    tree(runs, sources, offset, n, result, memory.data() + 2 * kBlockBytes);
    if (runs.scale) {
      const void* pair[] = {result, factors};
      runs.scale(pair, result, n, nullptr);
    }
    if (runs.narrow) {
      const void* in[] = {wide};
      runs.narrow(in, out, n, nullptr);
    }
  }
}

}  // namespace lockstep::dist

// The generic binder. Neighbouring axes along which every operand walks the same way are one axis; the innermost one is the run.
// An operand that stands still along the run is expanded into a small tile once, so that kernels see dense operands only.

#include <lockstep/tensor/pointwise/bind.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <lockstep/tensor/base/parallel.h>

namespace lockstep {
namespace {

constexpr int kMostOperands = 3;
constexpr std::int64_t kGrain = 32 * 1024;
constexpr std::int64_t kTile = 1024, kTileBytes = 16 * 1024;  // elements of an expanded operand, and its bytes, at most

struct Plan {
  PointwiseFn run;
  std::array<double, 4> params;
  std::int64_t numel;
  std::int64_t inner;  // length of the run
  std::int64_t outer_steps;
  std::int64_t tile;  // elements of an expanded operand
  int operands;
  int outer_ndim;
  std::array<std::int64_t, kMostOperands> itemsize;
  std::int64_t out_itemsize;
  std::array<bool, kMostOperands> fixed;  // stands still along the run
  std::array<std::int64_t, Shape::kMaxDims> outer;
  std::array<std::array<std::int64_t, kMostOperands>, Shape::kMaxDims> stride;  // of the outer axes, in elements
};

/// Equal shapes: one run over everything.
struct Flat {
  PointwiseFn run;
  std::array<double, 4> params;
  std::int64_t numel;
  int operands;
  std::array<std::int64_t, kMostOperands> itemsize;
  std::int64_t out_itemsize;

  void operator()(Inputs in, Outputs out) const {
    if (numel <= kGrain) {
      run(in, out[0], numel, params.data());
      return;
    }
    parallel_for(numel, kGrain, [&](std::int64_t begin, std::int64_t end) {
      const void* moved[kMostOperands];
      for (int i = 0; i < operands; ++i) moved[i] = static_cast<const std::byte*>(in[i]) + begin * itemsize[std::size_t(i)];
      run(moved, static_cast<std::byte*>(out[0]) + begin * out_itemsize, end - begin, params.data());
    });
  }
};

void expand(std::byte* tile, const void* element, std::int64_t itemsize, std::int64_t count) {
  std::memcpy(tile, element, std::size_t(itemsize));
  for (std::int64_t done = 1; done < count;) {
    const std::int64_t more = std::min(done, count - done);
    std::memcpy(tile + done * itemsize, tile, std::size_t(more * itemsize));
    done += more;
  }
}

/// One run at outer position `step`, part [begin, end) of the inner axis.
void run_inner(const Plan& plan, Inputs in, Outputs out, std::int64_t step, std::int64_t begin, std::int64_t end) {
  std::array<std::int64_t, kMostOperands> offset{};
  std::int64_t rest = step;
  for (int axis = plan.outer_ndim - 1; axis >= 0; --axis) {
    const std::int64_t at = rest % plan.outer[std::size_t(axis)];
    rest /= plan.outer[std::size_t(axis)];
    for (int i = 0; i < plan.operands; ++i) offset[std::size_t(i)] += at * plan.stride[std::size_t(axis)][std::size_t(i)];
  }
  alignas(64) std::byte tiles[2][kTileBytes];
  const void* at[kMostOperands];
  bool any_fixed = false;
  int tile = 0;
  for (int i = 0; i < plan.operands; ++i) {
    const auto k = std::size_t(i);
    const std::byte* base = static_cast<const std::byte*>(in[i]) + offset[k] * plan.itemsize[k];
    if (plan.fixed[k]) {
      expand(tiles[tile], base, plan.itemsize[k], std::min(plan.tile, end - begin));
      at[i] = tiles[tile++];
      any_fixed = true;
    } else {
      at[i] = base + begin * plan.itemsize[k];
    }
  }
  std::byte* result = static_cast<std::byte*>(out[0]) + (step * plan.inner + begin) * plan.out_itemsize;
  if (!any_fixed) {
    plan.run(at, result, end - begin, plan.params.data());
    return;
  }
  for (std::int64_t done = begin; done < end;) {
    const std::int64_t count = std::min(plan.tile, end - done);
    plan.run(at, result, count, plan.params.data());
    for (int i = 0; i < plan.operands; ++i)
      if (!plan.fixed[std::size_t(i)]) at[i] = static_cast<const std::byte*>(at[i]) + count * plan.itemsize[std::size_t(i)];
    result += count * plan.out_itemsize;
    done += count;
  }
}

void run_plan(const Plan& plan, Inputs in, Outputs out) {
  if (plan.numel == 0) return;
  if (plan.outer_steps == 1) {
    parallel_for(plan.inner, kGrain, [&](std::int64_t begin, std::int64_t end) { run_inner(plan, in, out, 0, begin, end); });
    return;
  }
  parallel_for(plan.outer_steps, std::max<std::int64_t>(1, kGrain / plan.inner), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t step = begin; step < end; ++step) run_inner(plan, in, out, step, 0, plan.inner);
  });
}

/// Collapses the axes: runs as long as every operand either walks along or stands still.
Plan plan_broadcast(const BindContext& context) {
  Plan plan{};
  const Shape& out = context.output(0).shape;
  const int ndim = out.ndim();
  plan.operands = int(context.input_count());
  std::array<std::array<std::int64_t, kMostOperands>, Shape::kMaxDims> stride{};
  for (int i = 0; i < plan.operands; ++i) {
    const Shape& shape = context.shape(std::size_t(i));
    std::int64_t size = 1;
    for (int axis = ndim - 1; axis >= 0; --axis) {
      const int own = axis - (ndim - shape.ndim());
      const std::int64_t extent = own >= 0 ? shape[own] : 1;
      stride[std::size_t(axis)][std::size_t(i)] = extent == 1 ? 0 : size;
      size *= extent;
    }
  }
  // Merged axes, outermost first.
  std::array<std::int64_t, Shape::kMaxDims> extent{};
  std::array<std::array<std::int64_t, kMostOperands>, Shape::kMaxDims> walk{};
  int merged = 0;
  for (int axis = 0; axis < ndim; ++axis) {
    if (out[axis] == 1) continue;
    bool joins = merged > 0;
    for (int i = 0; i < plan.operands && joins; ++i)
      joins = walk[std::size_t(merged - 1)][std::size_t(i)] == stride[std::size_t(axis)][std::size_t(i)] * out[axis];
    if (joins) {
      extent[std::size_t(merged - 1)] *= out[axis];
      walk[std::size_t(merged - 1)] = stride[std::size_t(axis)];
    } else {
      extent[std::size_t(merged)] = out[axis];
      walk[std::size_t(merged)] = stride[std::size_t(axis)];
      ++merged;
    }
  }
  plan.numel = out.numel();
  plan.inner = merged > 0 ? extent[std::size_t(merged - 1)] : 1;
  plan.outer_ndim = std::max(0, merged - 1);
  plan.outer_steps = plan.inner == 0 ? 0 : plan.numel / plan.inner;
  for (int axis = 0; axis < plan.outer_ndim; ++axis) {
    plan.outer[std::size_t(axis)] = extent[std::size_t(axis)];
    plan.stride[std::size_t(axis)] = walk[std::size_t(axis)];
  }
  for (int i = 0; i < plan.operands; ++i) plan.fixed[std::size_t(i)] = plan.inner > 1 && walk[std::size_t(merged - 1)][std::size_t(i)] == 0;
  return plan;
}

}  // namespace

SmallVector<double, 4> pointwise_params(const OpCall& call) {
  SmallVector<double, 4> params;
  for (const AttrDef& declared : call.op().attrs)
    if (declared.type == AttrType::number || declared.type == AttrType::integer || declared.type == AttrType::boolean)
      params.push_back(call.number(declared.name));
  return params;
}

BoundKernel bind_pointwise(const BindContext& context) {
  SmallVector<DType, 4> dtypes;
  bool flat = true;
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    dtypes.push_back(context.dtype_of(i));
    flat = flat && context.shape(i) == context.output(0).shape;
  }
  const PointwiseFn run = context.op().pointwise(dtypes, context.output(0).dtype);
  if (!run) throw UnimplementedError("there is no CPU kernel for " + std::string(name(context.dtype_of(0))), context.op().name);
  std::array<double, 4> params{};
  if (!context.op().attrs.empty()) {
    const SmallVector<double, 4> given = pointwise_params(context);
    std::copy(given.begin(), given.end(), params.begin());
  }
  const auto sizes = [&](auto& to) {
    for (std::size_t i = 0; i < context.input_count(); ++i) to.itemsize[i] = std::int64_t(itemsize(context.dtype_of(i)));
    to.out_itemsize = std::int64_t(itemsize(context.output(0).dtype));
    to.operands = int(context.input_count());
    to.run = run;
    to.params = params;
  };
  if (flat) {
    Flat plan{};
    sizes(plan);
    plan.numel = context.output(0).shape.numel();
    return plan;
  }
  Plan plan = plan_broadcast(context);
  sizes(plan);
  plan.tile = std::min(kTile, kTileBytes / *std::max_element(plan.itemsize.begin(), plan.itemsize.end()));
  static_assert(sizeof(Plan) <= BoundKernel::kInline);
  return [plan](Inputs in, Outputs out) { run_plan(plan, in, out); };
}

}  // namespace lockstep

// Pooling over (batch, height, width, channels). Gradients gather: each cell of the input asks the windows that cover it.
// Not cuDNN's pooling: that pads both sides alike (TensorFlow's "same" does not), its graph interface, channels last, finds the maximum's place again only with a tensor of
// indices that these rows do not have, and neither promises that of equals the first gets the gradient and that NaN is the maximum, as on the CPU.

#include <limits>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/launch.h>
#include <lockstep/tensor/ops/window.h>

namespace lockstep::cuda {
namespace {

using window::Pool;

/// A position (n, row, column, channel) of the input or of the result.
struct Cell {
  std::int64_t n, h, w, c;
};
LOCKSTEP_HD inline Cell cell_of(const Pool& p, const std::int64_t (&size)[2], std::int64_t i) {
  const std::int64_t place = i / p.channels, row = place / size[1];
  return {row / size[0], row % size[0], place % size[1], i % p.channels};
}
LOCKSTEP_HD inline std::int64_t input_at(const Pool& p, const Cell& at, std::int64_t h, std::int64_t w) { return ((at.n * p.in[0] + h) * p.in[1] + w) * p.channels + at.c; }
LOCKSTEP_HD inline std::int64_t output_at(const Pool& p, const Cell& at, std::int64_t h, std::int64_t w) { return ((at.n * p.out[0] + h) * p.out[1] + w) * p.channels + at.c; }

/// Rows and columns [begin, end).
struct Box {
  std::int64_t begin[2], end[2];
};
/// The cells of the input inside a window.
LOCKSTEP_HD inline Box window_box(const Pool& p, std::int64_t h, std::int64_t w) {
  Box box;
  const std::int64_t at[2] = {h, w};
  for (int a = 0; a < 2; ++a) {
    const std::int64_t first = at[a] * p.stride[a] - p.before[a], last = first + p.size[a];
    box.begin[a] = first > 0 ? first : 0;
    box.end[a] = last < p.in[a] ? last : p.in[a];
  }
  return box;
}
/// The windows that cover a cell of the input.
LOCKSTEP_HD inline Box covering_box(const Pool& p, std::int64_t h, std::int64_t w) {
  Box box;
  const std::int64_t at[2] = {h, w};
  for (int a = 0; a < 2; ++a) {
    const std::int64_t place = at[a] + p.before[a], over = place - p.size[a] + 1;
    box.begin[a] = over > 0 ? (over + p.stride[a] - 1) / p.stride[a] : 0;
    const std::int64_t last = place / p.stride[a] + 1;
    box.end[a] = last < p.out[a] ? last : p.out[a];
  }
  return box;
}

template <class C, class F>
LOCKSTEP_HD C sum_over(const Box& box, const F& f) {
  C total = 0;
  for (std::int64_t h = box.begin[0]; h < box.end[0]; ++h)
    for (std::int64_t w = box.begin[1]; w < box.end[1]; ++w) total += f(h, w);
  return total;
}
template <class C>
LOCKSTEP_HD C cells_of(const Box& box) { return static_cast<C>((box.end[0] - box.begin[0]) * (box.end[1] - box.begin[1])); }

/// Where the first maximum of a window stands (NaN counts as the maximum), -1 for an empty one.
template <class T>
LOCKSTEP_HD std::int64_t argmax(const Pool& p, const T* x, std::int64_t i) {
  const Cell at = cell_of(p, p.out, i);
  const Box box = window_box(p, at.h, at.w);
  std::int64_t best = -1;
  decltype(value_of(T())) value{};
  for (std::int64_t h = box.begin[0]; h < box.end[0]; ++h)
    for (std::int64_t w = box.begin[1]; w < box.end[1]; ++w) {
      const std::int64_t place = input_at(p, at, h, w);
      const auto other = value_of(x[place]);
      if (best < 0 || other > value || (other != other && value == value)) value = other, best = place;
    }
  return best;
}

/// The element of `values` where the maximum of x stands.
template <class T>
struct Pick {
  Pool p;
  const T *x, *values;
  T otherwise;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t best = argmax(p, x, i);
    z[i] = best < 0 ? otherwise : values[best];
  }
};
template <class T>
struct WriteArgmax {
  Pool p;
  const T* x;
  std::int64_t* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const { z[i] = argmax(p, x, i); }
};
template <class T>
struct MaxSlope {
  Pool p;
  const std::int64_t* places;
  const T* upstream;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    using C = compute_t<T>;
    const Cell at = cell_of(p, p.in, i);
    z[i] = stored<T>(sum_over<C>(covering_box(p, at.h, at.w), [&](std::int64_t h, std::int64_t w) {
      const std::int64_t window = output_at(p, at, h, w);
      return places[window] == i ? value_of(upstream[window]) : C(0);
    }));
  }
};
template <class T>
struct Average {
  Pool p;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    using C = compute_t<T>;
    const Cell at = cell_of(p, p.out, i);
    const Box box = window_box(p, at.h, at.w);
    z[i] = stored<T>(sum_over<C>(box, [&](std::int64_t h, std::int64_t w) { return value_of(x[input_at(p, at, h, w)]); }) / cells_of<C>(box));
  }
};
template <class T>
struct AverageSlope {
  Pool p;
  const T* upstream;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    using C = compute_t<T>;
    const Cell at = cell_of(p, p.in, i);
    z[i] = stored<T>(sum_over<C>(covering_box(p, at.h, at.w), [&](std::int64_t h, std::int64_t w) { return value_of(upstream[output_at(p, at, h, w)]) / cells_of<C>(window_box(p, h, w)); }));
  }
};

template <class F>
BoundKernel visit_float(const BindContext& context, F&& f) {
  return visit<kFloats.bits>(context.dtype_of(0), context.op().name, f);
}

BoundKernel max_pool(const BindContext& context) {
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [p = window::pool_of(context, context.shape(0)), count = context.output(0).shape.numel()](Inputs in, Outputs out) {
      const T* x = static_cast<const T*>(in[0]);
      for_each(count, Pick<T>{p, x, x, stored<T>(-std::numeric_limits<compute_t<T>>::infinity()), static_cast<T*>(out[0])});
    };
  });
}
BoundKernel max_pool_pick(const BindContext& context) {
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [p = window::pool_of(context, context.shape(0)), count = context.output(0).shape.numel()](Inputs in, Outputs out) {
      for_each(count, Pick<T>{p, static_cast<const T*>(in[0]), static_cast<const T*>(in[1]), stored<T>(0), static_cast<T*>(out[0])});
    };
  });
}
BoundKernel max_pool_gradient(const BindContext& context) {
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    const std::int64_t windows = context.shape(1).numel();
    return [p = window::pool_of(context, context.shape(0)), windows, count = context.shape(0).numel(), workspace = Workspace(std::size_t(windows) * 8)](Inputs in, Outputs out) {
      std::int64_t* places = static_cast<std::int64_t*>(workspace.data());
      for_each(windows, WriteArgmax<T>{p, static_cast<const T*>(in[0]), places});
      for_each(count, MaxSlope<T>{p, places, static_cast<const T*>(in[1]), static_cast<T*>(out[0])});
    };
  });
}
BoundKernel average_pool(const BindContext& context) {
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [p = window::pool_of(context, context.shape(0)), count = context.output(0).shape.numel()](Inputs in, Outputs out) {
      for_each(count, Average<T>{p, static_cast<const T*>(in[0]), static_cast<T*>(out[0])});
    };
  });
}
BoundKernel average_pool_gradient(const BindContext& context) {
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [p = window::pool_of(context, context.output(0).shape), count = context.output(0).shape.numel()](Inputs in, Outputs out) {
      for_each(count, AverageSlope<T>{p, static_cast<const T*>(in[0]), static_cast<T*>(out[0])});
    };
  });
}

constexpr Kernel kPoolKernels[] = {
    {"max_pool2d", max_pool},
    {"max_pool2d_gradient", max_pool_gradient},
    {"max_pool2d_pick", max_pool_pick},
    {"avg_pool2d", average_pool},
    {"avg_pool2d_gradient", average_pool_gradient},
};

}  // namespace

std::span<const Kernel> pool_kernels() { return kPoolKernels; }

}  // namespace lockstep::cuda

// Convolutions, channels last: by cuDNN where it has a plan, by the kernels below for the rest (float64, empty windows, odd shapes; and in the
// emulation all). cuDNN takes the kernel as (out, spatial..., in / groups): ours is moved there and back, which is little beside the convolution.

#include <lockstep/tensor/cuda/activation.h>
#include <lockstep/tensor/cuda/copy.h>
#include <lockstep/tensor/cuda/dnn.h>
#include <lockstep/tensor/cuda/families.h>

namespace lockstep::cuda {
namespace {

using window::Convolution;
using Part = ConvolutionPart;

/// std::array's sizes by value.
struct Window {
  std::int64_t batch, in_channels, out_channels, in_group, out_group;
  std::int64_t in[3], out[3], kernel[3], stride[3], dilation[3], before[3];
};
Window window_of(const Convolution& c) {
  Window w{c.batch, c.in_channels, c.out_channels, c.in_channels / c.groups, c.out_channels / c.groups, {}, {}, {}, {}, {}, {}};
  for (std::size_t i = 0; i < 3; ++i) w.in[i] = c.in[i], w.out[i] = c.out[i], w.kernel[i] = c.kernel[i], w.stride[i] = c.stride[i], w.dilation[i] = c.dilation[i], w.before[i] = c.before[i];
  return w;
}

/// A number split over (a, b, c) of three sizes; what is left in front.
LOCKSTEP_HD inline std::int64_t split(std::int64_t i, const std::int64_t (&size)[3], std::int64_t (&at)[3]) {
  for (int axis = 2; axis >= 0; --axis) {
    at[axis] = i % size[axis];
    i /= size[axis];
  }
  return i;
}
/// The cell of the input that a tap of a window reads; negative outside.
LOCKSTEP_HD inline std::int64_t input_cell(const Window& w, std::int64_t n, const std::int64_t (&out)[3], const std::int64_t (&tap)[3]) {
  std::int64_t cell = n;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t at = out[axis] * w.stride[axis] + tap[axis] * w.dilation[axis] - w.before[axis];
    if (at < 0 || at >= w.in[axis]) return -1;
    cell = cell * w.in[axis] + at;
  }
  return cell;
}

template <class T>
struct Forward {
  Window w;
  const T *x, *kernel;
  T* y;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    std::int64_t out[3], tap[3];
    const std::int64_t channel = i % w.out_channels, n = split(i / w.out_channels, w.out, out), group = channel / w.out_group;
    compute_t<T> sum = 0;
    for (std::int64_t t = 0; t < w.kernel[0] * w.kernel[1] * w.kernel[2]; ++t) {
      split(t, w.kernel, tap);
      const std::int64_t cell = input_cell(w, n, out, tap);
      if (cell < 0) continue;
      for (std::int64_t k = 0; k < w.in_group; ++k)
        sum += value_of(x[cell * w.in_channels + group * w.in_group + k]) * value_of(kernel[(t * w.in_group + k) * w.out_channels + channel]);
    }
    y[i] = stored<T>(sum);
  }
};
template <class T>
struct InputSlope {
  Window w;
  const T *upstream, *kernel;
  T* x;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    std::int64_t in[3], tap[3];
    const std::int64_t channel = i % w.in_channels, n = split(i / w.in_channels, w.in, in), group = channel / w.in_group, k = channel % w.in_group;
    compute_t<T> sum = 0;
    for (std::int64_t t = 0; t < w.kernel[0] * w.kernel[1] * w.kernel[2]; ++t) {
      split(t, w.kernel, tap);
      std::int64_t cell = n;
      bool reached = true;
      for (int axis = 0; axis < 3 && reached; ++axis) {
        const std::int64_t from = in[axis] + w.before[axis] - tap[axis] * w.dilation[axis], at = from / w.stride[axis];
        reached = from >= 0 && from % w.stride[axis] == 0 && at < w.out[axis];
        cell = cell * w.out[axis] + at;
      }
      if (!reached) continue;
      for (std::int64_t o = 0; o < w.out_group; ++o) {
        const std::int64_t out = group * w.out_group + o;
        sum += value_of(upstream[cell * w.out_channels + out]) * value_of(kernel[(t * w.in_group + k) * w.out_channels + out]);
      }
    }
    x[i] = stored<T>(sum);
  }
};
/// One element of the kernel's gradient is a fold over all windows.
template <class T>
struct KernelSlope {
  Window w;
  const T *x, *upstream;
  LOCKSTEP_HD compute_t<T> operator()(std::int64_t i, std::int64_t place) const {
    std::int64_t out[3], tap[3];
    const std::int64_t channel = i % w.out_channels, row = i / w.out_channels, k = row % w.in_group;
    split(row / w.in_group, w.kernel, tap);
    const std::int64_t cell = input_cell(w, split(place, w.out, out), out, tap);
    if (cell < 0) return 0;
    return value_of(x[cell * w.in_channels + channel / w.out_group * w.in_group + k]) * value_of(upstream[place * w.out_channels + channel]);
  }
};
template <class T>
struct StoreSum {
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i, compute_t<T> sum) const { z[i] = stored<T>(sum); }
};

BoundKernel bind_own(const Convolution& c, Part part, DType dtype, std::int64_t count, std::string_view op) {
  return visit<kFloats.bits>(dtype, op, [&]<class T>(TypeTag<T>) -> BoundKernel {
    const Window w = window_of(c);
    if (part == Part::forward)
      return [=](Inputs in, Outputs out) { for_each(count, Forward<T>{w, static_cast<const T*>(in[0]), static_cast<const T*>(in[1]), static_cast<T*>(out[0])}); };
    if (part == Part::input)
      return [=](Inputs in, Outputs out) { for_each(count, InputSlope<T>{w, static_cast<const T*>(in[0]), static_cast<const T*>(in[1]), static_cast<T*>(out[0])}); };
    const FoldPlan plan = fold_plan(count, c.batch * c.out[0] * c.out[1] * c.out[2], true);
    return [=, workspace = Workspace(plan.nbytes(sizeof(compute_t<T>)))](Inputs in, Outputs out) {
      fold(plan, workspace.data(), compute_t<T>(0), KernelSlope<T>{w, static_cast<const T*>(in[0]), static_cast<const T*>(in[1])}, AddUp(), StoreSum<T>{static_cast<T*>(out[0])});
    };
  });
}

/// The kernel (taps, in / groups, out) as (out, taps, in / groups), or back.
StridedCopy kernel_move(const Convolution& c, bool back) {
  const std::int64_t rows = c.kernel[0] * c.kernel[1] * c.kernel[2] * (c.in_channels / c.groups);
  if (back) return simplified({.shape = Shape{rows, c.out_channels}, .from = {1, rows}, .to = {c.out_channels, 1}});
  return simplified({.shape = Shape{c.out_channels, rows}, .from = {1, c.out_channels}, .to = {rows, 1}});
}

BoundKernel bind_dnn(const Convolution& c, Part part, DType dtype, const BoundConvolution& convolution) {
  Cuts cuts;
  const std::size_t size = itemsize(dtype), moved = cuts.take(std::size_t(c.kernel[0] * c.kernel[1] * c.kernel[2] * (c.in_channels / c.groups) * c.out_channels) * size), scratch = cuts.take(convolution.workspace_bytes());
  return [=, move = kernel_move(c, part == Part::kernel), workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
    void* kernel = at<std::byte>(workspace, moved);
    void* memory = at<std::byte>(workspace, scratch);
    if (part != Part::kernel) enqueue_copy(move, dtype, in[1], kernel);
    switch (part) {
      case Part::forward: convolution.enqueue(in[0], kernel, out[0], memory); break;
      case Part::input: convolution.enqueue(out[0], kernel, in[0], memory); break;
      case Part::kernel: convolution.enqueue(in[0], kernel, in[1], memory); break;
    }
    if (part == Part::kernel) enqueue_copy(move, dtype, kernel, out[0]);
  };
}

BoundKernel bind(const BindContext& context, const Convolution& c, Part part) {
  const std::int64_t count = context.output(0).shape.numel();
  const DType dtype = context.dtype_of(0);
  const bool empty = c.batch == 0 || c.in_channels == 0 || c.out_channels == 0 || c.out[0] * c.out[1] * c.out[2] == 0 || c.in[0] * c.in[1] * c.in[2] == 0;
  if (dtype != float64 && !empty)
    if (const auto found = BoundConvolution::find(c, part, dtype, context.op().name)) {
      // cuDNN's plan is for operands at multiples of 16 bytes; a slice of a sequence may lie elsewhere.
      const auto both = std::make_shared<std::pair<BoundKernel, BoundKernel>>(bind_dnn(c, part, dtype, *found), bind_own(c, part, dtype, count, context.op().name));
      return [both](Inputs in, Outputs out) {
        const auto together = reinterpret_cast<std::uintptr_t>(in[0]) | reinterpret_cast<std::uintptr_t>(in[1]) | reinterpret_cast<std::uintptr_t>(out[0]);
        (together % 16 == 0 ? both->first : both->second)(in, out);
      };
    }
  return bind_own(c, part, dtype, count, context.op().name);
}

BoundKernel convolution(const BindContext& context) { return bind(context, window::convolution_of(context, context.shape(0), context.shape(1)), Part::forward); }
BoundKernel input_gradient(const BindContext& context) { return bind(context, window::convolution_of(context, context.output(0).shape, context.shape(1)), Part::input); }
BoundKernel kernel_gradient(const BindContext& context) { return bind(context, window::convolution_of(context, context.shape(0), context.output(0).shape), Part::kernel); }

BoundKernel fused_convolution(const BindContext& context) {
  const bool bias = context.input_count() == 3;
  const Activation activation = activation_of(context);
  const std::int64_t count = context.output(0).shape.numel(), channels = context.shape(1)[context.shape(1).ndim() - 1];
  return [=, run = std::make_shared<BoundKernel>(convolution(context)), dtype = context.dtype_of(0)](Inputs in, Outputs out) {
    (*run)(in, out);
    if (!bias && activation == Activation::none) return;
    visit<kFloats.bits, void>(dtype, "fused_convolution", [&]<class T>(TypeTag<T>) {
      for_each(count, Activate<T>{activation, channels, bias ? static_cast<const T*>(in[2]) : nullptr, static_cast<T*>(out[0])});
    });
  };
}

constexpr Kernel kConvKernels[] = {
    {"convolution", convolution},
    {"convolution_input_gradient", input_gradient},
    {"convolution_kernel_gradient", kernel_gradient},
    {"fused_convolution", fused_convolution},
};

}  // namespace

std::span<const Kernel> conv_kernels() { return kConvKernels; }

}  // namespace lockstep::cuda

// Frames of signals, what is laid over each other again, and windows.

#include <vector>

#include <lockstep/tensor/cuda/copy.h>
#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/launch.h>
#include <lockstep/tensor/ops/create.h>
#include <lockstep/tensor/ops/lines.h>

namespace lockstep::cuda {
namespace {

/// (outer, n, inner) -> (outer, frames, length, inner).
template <class T>
struct TakeFrames {
  std::int64_t n, frames, length, step, inner;
  T padding;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t c = i % inner, element = i / inner, k = element % length, row = element / length, place = row % frames * step + k;
    z[i] = place < n ? x[(row / frames * n + place) * inner + c] : padding;
  }
};
BoundKernel frame(const BindContext& context) {
  const Shape &x = context.shape(0), &z = context.output(0).shape;
  const Lines lines = lines_of(x, context.integer("axis"));
  const int axis = rules::wrap_axis(context.integer("axis"), x.ndim());
  const DType dtype = context.dtype_of(0);
  const ElementBits padding = element_bits(lockstep::fitted(context, "pad_value", dtype), dtype);
  return visit_size(dtype, context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    TakeFrames<T> run{lines.count, z[axis], z[axis + 1], context.integer("frame_step"), lines.inner, {}, nullptr, nullptr};
    std::memcpy(&run.padding, padding.at, sizeof(T));
    return [run, count = z.numel()](Inputs in, Outputs out) {
      TakeFrames<T> now = run;
      now.x = static_cast<const T*>(in[0]);
      now.z = static_cast<T*>(out[0]);
      for_each(count, now);
    };
  });
}

/// (outer, frames, length, inner) -> (outer, total, inner): each place adds up the frames that cover it, the first one first.
template <class T>
struct AddFrames {
  std::int64_t total, frames, length, step, inner;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    using C = decltype(value_of(T()));
    const std::int64_t c = i % inner, element = i / inner, place = element % total, outer = element / total;
    const std::int64_t before = place - length + 1, first = before > 0 ? (before + step - 1) / step : 0;
    C sum{};
    for (std::int64_t f = first; f < frames && f * step <= place; ++f) sum = plus(sum, value_of(x[((outer * frames + f) * length + place - f * step) * inner + c]));
    z[i] = stored<T>(sum);
  }
};
BoundKernel overlap_and_add(const BindContext& context) {
  const Shape &x = context.shape(0), &z = context.output(0).shape;
  const int axis = rules::wrap_axis(context.integer("axis"), x.ndim());
  return visit<kNumeric.bits>(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    const AddFrames<T> run{z[axis], x[axis], x[axis + 1], context.integer("frame_step"), lines_of(x, axis + 1).inner, nullptr, nullptr};
    return [run, count = z.numel()](Inputs in, Outputs out) {
      AddFrames<T> now = run;
      now.x = static_cast<const T*>(in[0]);
      now.z = static_cast<T*>(out[0]);
      for_each(count, now);
    };
  });
}

/// What follows from sizes alone: the row's own numbers, made once.
BoundKernel made_once(const BindContext& context) {
  const std::size_t nbytes = std::size_t(context.output(0).shape.numel()) * itemsize(context.output(0).dtype);
  std::vector<std::byte> numbers(nbytes);
  void* to = numbers.data();
  context.op().cpu(context)(nullptr, &to);
  return [values = Constants(numbers.data(), nbytes), nbytes](Inputs, Outputs out) { copy_on_device(out[0], values.data(), nbytes); };
}

constexpr Kernel kSignalKernels[] = {
    {"signal_frame", frame},
    {"signal_overlap_and_add", overlap_and_add},
    {"signal_hann_window", made_once},
    {"signal_hamming_window", made_once},
    {"signal_kaiser_window", made_once},
    {"signal_kaiser_bessel_derived_window", made_once},
    {"signal_vorbis_window", made_once},
    {"signal_linear_to_mel_weight_matrix", made_once},
};

}  // namespace

std::span<const Kernel> signal_kernels() { return kSignalKernels; }

}  // namespace lockstep::cuda

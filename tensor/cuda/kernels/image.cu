// Resizing. Few taps (bilinear, say) are added up for each pixel at once; many along one axis after the other.

#include <algorithm>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/launch.h>
#include <lockstep/tensor/ops/taps.h>

namespace lockstep::cuda {
namespace {

/// Taps on the device.
struct DeviceTaps {
  const std::int64_t *first, *sources;
  const float* weights;
};
struct HeldTaps {
  Constants first, sources, weights;
  std::int64_t most = 0;  // of one result

  explicit HeldTaps(const resizing::Taps& taps)
      : first(taps.first.data(), taps.first.size() * sizeof(std::int64_t)),
        sources(taps.sources.data(), taps.sources.size() * sizeof(std::int64_t)),
        weights(taps.weights.data(), taps.weights.size() * sizeof(float)) {
    for (std::size_t i = 1; i < taps.first.size(); ++i) most = std::max(most, taps.first[i] - taps.first[i - 1]);
  }
  DeviceTaps get() const { return {static_cast<const std::int64_t*>(first.data()), static_cast<const std::int64_t*>(sources.data()), static_cast<const float*>(weights.data())}; }
};

/// (outer, in, inner) -> (outer, out, inner).
template <class T>
struct MixAxis {
  DeviceTaps taps;
  std::int64_t in, out, inner;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t c = i % inner, line = i / inner, result = line % out;
    const T* from = x + line / out * in * inner + c;
    T sum = 0;
    for (std::int64_t k = taps.first[result]; k < taps.first[result + 1]; ++k) sum += T(taps.weights[k]) * from[taps.sources[k] * inner];
    z[i] = sum;
  }
};
/// (batch, height, width, channels) -> (batch, out_height, out_width, channels): rows first, as above.
template <class T>
struct MixPixel {
  DeviceTaps rows, columns;
  std::int64_t height, width, out_height, out_width, channels;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t c = i % channels, pixel = i / channels, column = pixel % out_width, line = pixel / out_width, row = line % out_height;
    const T* image = x + line / out_height * height * width * channels + c;
    T sum = 0;
    for (std::int64_t k = columns.first[column]; k < columns.first[column + 1]; ++k) {
      const T* from = image + columns.sources[k] * channels;
      T mixed = 0;
      for (std::int64_t j = rows.first[row]; j < rows.first[row + 1]; ++j) mixed += T(rows.weights[j]) * from[rows.sources[j] * width * channels];
      sum += T(columns.weights[k]) * mixed;
    }
    z[i] = sum;
  }
};

constexpr std::int64_t kMostAtOnce = 16;

template <class T>
BoundKernel bind_resample(const BindContext& context) {
  const Shape &x = context.shape(0), &z = context.output(0).shape;
  const HeldTaps rows(resizing::taps_of(context, x[1], z[1])), columns(resizing::taps_of(context, x[2], z[2]));
  const std::int64_t batch = x[0], height = x[1], width = x[2], channels = x[3], out_height = z[1], out_width = z[2], count = z.numel(), between = batch * out_height * width * channels;
  const bool at_once = rows.most * columns.most <= kMostAtOnce;
  return [=, workspace = Workspace(at_once ? 0 : std::size_t(between) * sizeof(T))](Inputs in, Outputs out) {
    const T* from = static_cast<const T*>(in[0]);
    T *to = static_cast<T*>(out[0]), *mixed = static_cast<T*>(workspace.data());
    if (at_once) return for_each(count, MixPixel<T>{rows.get(), columns.get(), height, width, out_height, out_width, channels, from, to});
    for_each(between, MixAxis<T>{rows.get(), height, out_height, width * channels, from, mixed});
    for_each(count, MixAxis<T>{columns.get(), width, out_width, channels, mixed, to});
  };
}
BoundKernel resample(const BindContext& context) {
  if (context.output(0).shape.numel() == 0) return [](Inputs, Outputs) {};
  return context.dtype_of(0) == float32 ? bind_resample<float>(context) : bind_resample<double>(context);
}

constexpr Kernel kImageKernels[] = {{"image_resample", resample}};

}  // namespace

std::span<const Kernel> image_kernels() { return kImageKernels; }

}  // namespace lockstep::cuda

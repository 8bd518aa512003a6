// Softmax and the losses that are computed with it, or with the sigmoid, from logits.

#include <limits>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/line_place.h>
#include <lockstep/tensor/cuda/peak.h>
#include <lockstep/tensor/cuda/pointwise.h>

namespace lockstep::cuda {
namespace {

template <class T, class C>
struct LoadPeak {
  LinePlace place;
  const T* x;
  LOCKSTEP_HD Peak<C> operator()(std::int64_t line, std::int64_t k) const { return {value_of(x[place(line, k)]), C(1)}; }
};
template <class C>
struct StorePeak {
  Peak<C>* z;
  LOCKSTEP_HD void operator()(std::int64_t line, Peak<C> peak) const { z[line] = peak; }
};

/// The peaks of all lines of x, at the beginning of the workspace.
struct Peaks {
  LinePlace place;
  FoldPlan plan;
  std::size_t peaks = 0, scratch = 0;
  Workspace workspace;

  Peaks(const Lines& lines, std::size_t itemsize) : place{lines}, plan(fold_plan(lines.outer * lines.inner, lines.count, lines.inner > 1)) {
    Cuts cuts;
    peaks = cuts.take(std::size_t(plan.kept) * itemsize);
    scratch = cuts.take(plan.nbytes(itemsize));
    workspace = Workspace(cuts.total());
  }
  template <class C, class T>
  const Peak<C>* enqueue_for(const T* x) const {
    Peak<C>* result = at<Peak<C>>(workspace, peaks);
    fold(plan, at<std::byte>(workspace, scratch), Peak<C>{-std::numeric_limits<C>::infinity(), C(0)}, LoadPeak<T, C>{place, x}, MergePeaks(), StorePeak<C>{result});
    return result;
  }
};

template <class T, class C>
struct Softmax {
  bool log;
  LinePlace place;
  const Peak<C>* peaks;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const Peak<C> p = peaks[place.line_of(i)];
    const C below = value_of(x[i]) - p.peak;
    z[i] = stored<T>(log ? below - ::log(p.sum) : ::exp(below) / p.sum);
  }
};
template <bool Log>
BoundKernel softmax(const BindContext& context) {
  return visit<kFloats.bits>(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = compute_t<T>;
    return [peaks = Peaks(lines_of(context.shape(0), context.integer("axis")), sizeof(Peak<C>)), count = context.shape(0).numel()](Inputs in, Outputs out) {
      if (count == 0) return;
      const T* x = static_cast<const T*>(in[0]);
      for_each(count, Softmax<T, C>{Log, peaks.place, peaks.enqueue_for<C>(x), x, static_cast<T*>(out[0])});
    };
  });
}

// ---- cross entropy of class numbers. A label that is no class gives NaN, as TensorFlow's GPU kernel does; the CPU refuses it.

template <class T, class C>
struct SparseLoss {
  std::int64_t classes;
  IndexAt label_of;
  const Peak<C>* peaks;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t label = label_of(i);
    const bool known = label >= 0 && label < classes;
    z[i] = stored<T>(known ? ::log(peaks[i].sum) - (value_of(x[i * classes + label]) - peaks[i].peak) : std::numeric_limits<C>::quiet_NaN());
  }
};
template <class T, class C>
struct SparseSlope {
  std::int64_t classes;
  IndexAt label_of;
  const Peak<C>* peaks;
  const T *x, *upstream;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t row = i / classes, label = label_of(row);
    const C probability = ::exp(value_of(x[i]) - peaks[row].peak) / peaks[row].sum, hot = row * classes + label == i ? C(1) : C(0);
    z[i] = stored<T>(label >= 0 && label < classes ? (probability - hot) * value_of(upstream[row]) : std::numeric_limits<C>::quiet_NaN());
  }
};
template <bool Slope>
BoundKernel sparse(const BindContext& context) {
  const std::int64_t rows = context.shape(0).numel(), classes = context.shape(1)[context.shape(1).ndim() - 1];
  const bool wide = context.dtype_of(0) == int64;
  return visit<kFloats.bits>(context.dtype_of(1), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = compute_t<T>;
    return [=, peaks = Peaks({rows, classes, 1}, sizeof(Peak<C>))](Inputs in, Outputs out) {
      if (rows == 0) return;
      const T* x = static_cast<const T*>(in[1]);
      const Peak<C>* of_rows = peaks.enqueue_for<C>(x);
      for_each(rows, SparseLoss<T, C>{classes, {in[0], wide}, of_rows, x, static_cast<T*>(out[0])});
      if constexpr (Slope)  // behind the loss: it may lie over the logits
        for_each(rows * classes, SparseSlope<T, C>{classes, {in[0], wide}, of_rows, x, static_cast<const T*>(in[2]), static_cast<T*>(out[1])});
    };
  });
}

constexpr Kernel kSoftmaxKernels[] = {
    {"softmax", softmax<false>},
    {"log_softmax", softmax<true>},
    {"sparse_softmax_cross_entropy_with_logits", sparse<false>},
    {"sparse_softmax_cross_entropy_gradient", sparse<true>},
    {"sigmoid_cross_entropy_with_logits", pointwise<sigmoid_cross_entropy_body, sigmoid_cross_entropy_body, kFloats.bits>},
};

}  // namespace

std::span<const Kernel> softmax_kernels() { return kSoftmaxKernels; }

}  // namespace lockstep::cuda

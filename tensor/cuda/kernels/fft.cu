// Fourier and cosine transforms. cuFFT transforms what lies packed; around it one kernel brings operands there (cropped, padded, windowed, or in the
// order that makes a cosine transform a Fourier transform of the same length) and one takes results.

#include <array>
#include <numbers>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/fft.h>
#include <lockstep/tensor/cuda/launch.h>
#include <lockstep/tensor/ops/fft_sizes.h>

namespace lockstep::cuda {
namespace {

using fft::Framing;
using fft::Kind;

DType real_dtype(DType dtype) { return dtype == float32 || dtype == complex64 ? float32 : float64; }
/// f(TypeTag<float>) or f(TypeTag<double>).
template <class F>
BoundKernel visit_real(DType dtype, F&& f) { return real_dtype(dtype) == float32 ? f(TypeTag<float>{}) : f(TypeTag<double>{}); }

/// A transform over the last `rank` axes of x, of which the real side has `sizes`.
Fft fft_of(Kind kind, DType dtype, const Shape& x, const Ints& sizes) {
  Fft f{.kind = kind, .real = real_dtype(dtype), .rank = int(sizes.size())};
  for (std::size_t i = 0; i < sizes.size(); ++i) f.sizes[3 - sizes.size() + i] = sizes[i];
  for (int i = 0; i < x.ndim() - f.rank; ++i) f.batch *= x[i];
  return f;
}
Fft line_of(Kind kind, DType dtype, std::int64_t n, std::int64_t batch) { return {.kind = kind, .real = dtype, .sizes = {1, 1, n}, .batch = batch}; }

// ---- the operands as they are

template <class T>
struct Scaled {
  T scale;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const { z[i] *= scale; }
};

template <int Rank, bool Back>
BoundKernel complex_transform(const BindContext& context) {
  const Shape& x = context.shape(0);
  if (x.numel() == 0) return [](Inputs, Outputs) {};
  const Fft f = fft_of(Back ? Kind::backward : Kind::forward, context.dtype_of(0), x, Ints(x.end() - Rank, x.end()));
  return visit_real(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    const BoundFft run(f, context.op().name);
    return [run, workspace = Workspace(run.workspace_bytes()), count = 2 * x.numel(), scale = T(1.0 / double(f.sizes[0] * f.sizes[1] * f.sizes[2]))](Inputs in, Outputs out) {
      run.enqueue(in[0], out[0], workspace.data());
      if (Back) for_each(count, Scaled<T>{scale, static_cast<T*>(out[0])});
    };
  });
}

// ---- the operands cropped or padded with zeros at the end of each axis

/// Boxes of which the corner that they share with others is read, zeros elsewhere.
template <class T>
struct Corner {
  std::int64_t size[3];
  const T* x;
  LOCKSTEP_HD T at(std::int64_t box, std::int64_t a, std::int64_t b, std::int64_t c) const {
    return a < size[0] && b < size[1] && c < size[2] ? x[((box * size[0] + a) * size[1] + b) * size[2] + c] : T{};
  }
};
template <class T>
Corner<T> corner_of(const Shape& x, int rank) {
  Corner<T> corner{{1, 1, 1}, nullptr};
  for (int i = 0; i < rank; ++i) corner.size[3 - rank + i] = x[x.ndim() - rank + i];
  return corner;
}

/// Rows of real numbers, where the rows of their spectra will lie.
template <class T>
struct FillRows {
  Corner<T> from;
  std::int64_t planes, rows, last, pitch;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t c = i % pitch, row = i / pitch, plane = row / rows;
    z[i] = c < last ? from.at(plane / planes, plane % planes, row % rows, c) : T(0);
  }
};

template <int Rank>
BoundKernel real_transform(const BindContext& context) {
  const Shape& x = context.shape(0);
  if (context.output(0).shape.numel() == 0) return [](Inputs, Outputs) {};
  const Ints sizes = fft::real_sizes(context, x, Rank, false);
  const Fft whole = fft_of(Kind::real_forward, context.dtype_of(0), x, sizes);
  Fft packed = whole;
  packed.in_place = true;
  return visit_real(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    const bool fits = std::equal(sizes.begin(), sizes.end(), x.end() - Rank);
    const BoundFft direct = fits ? BoundFft(whole, context.op().name) : BoundFft(), run(packed, context.op().name);
    const FillRows<T> fill{corner_of<T>(x, Rank), whole.sizes[0], whole.sizes[1], whole.sizes[2], whole.pitch(), nullptr};
    const Workspace workspace(std::max(run.workspace_bytes(), fits ? direct.workspace_bytes() : 0));
    return [=, count = whole.rows() * whole.pitch()](Inputs in, Outputs out) {
      // cuFFT reads real numbers in pairs; a part of another tensor may begin between two.
      if (fits && reinterpret_cast<std::uintptr_t>(in[0]) % (2 * sizeof(T)) == 0) return direct.enqueue(in[0], out[0], workspace.data());
      FillRows<T> now = fill;
      now.from.x = static_cast<const T*>(in[0]);
      now.z = static_cast<T*>(out[0]);
      for_each(count, now);
      run.enqueue(out[0], out[0], workspace.data());
    };
  });
}

/// Half spectra, scaled. Along the last axis the first bin (and of an even length the last) has its conjugate in the half itself, at the opposite place of
/// the other axes. What is given there may be of no real numbers: of these bins only the part that is counts, as if imaginary parts were dropped
/// when all other axes are transformed.
template <class T>
struct FillSpectrum {
  Corner<Complex<T>> from;
  std::int64_t planes, rows, last, bins;
  T scale;
  Complex<T>* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t c = i % bins, row = i / bins, b = row % rows, plane = row / rows, a = plane % planes;
    Complex<T> value = from.at(plane / planes, a, b, c);
    if (c == 0 || 2 * c == last) {
      const Complex<T> opposite = from.at(plane / planes, (planes - a) % planes, (rows - b) % rows, c);
      value = {(value.re + opposite.re) / 2, (value.im - opposite.im) / 2};
    }
    z[i] = {value.re * scale, value.im * scale};
  }
};

template <int Rank>
BoundKernel real_transform_back(const BindContext& context) {
  const Shape& x = context.shape(0);
  if (context.output(0).shape.numel() == 0) return [](Inputs, Outputs) {};
  const Fft f = fft_of(Kind::real_backward, context.dtype_of(0), x, fft::real_sizes(context, x, Rank, true));
  return visit_real(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    const BoundFft run(f, context.op().name);
    const std::int64_t count = f.rows() * f.bins();
    Cuts cuts;
    const std::size_t spectrum = cuts.take(std::size_t(count) * sizeof(Complex<T>)), rest = cuts.take(run.workspace_bytes());
    const FillSpectrum<T> fill{corner_of<Complex<T>>(x, Rank), f.sizes[0], f.sizes[1], f.sizes[2], f.bins(), T(1.0 / double(f.sizes[0] * f.sizes[1] * f.sizes[2])), nullptr};
    return [=, workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
      FillSpectrum<T> now = fill;
      now.from.x = static_cast<const Complex<T>*>(in[0]);
      now.z = at<Complex<T>>(workspace, spectrum);
      for_each(count, now);
      run.enqueue(now.z, out[0], at<void>(workspace, rest));
    };
  });
}

// ---- frames

template <class T>
struct FillFrames {
  Framing f;
  std::int64_t pitch;
  const T *x, *window;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t k = i % pitch, row = i / pitch, place = row % f.frames * f.step + k;
    z[i] = k < f.length && k < f.fft_length && place < f.samples ? x[row / f.frames * f.samples + place] * window[k] : T(0);
  }
};

BoundKernel framed_transform(const BindContext& context) {
  const Framing f = fft::framing_of(context, context.shape(0), context.shape(1));
  if (f.rows * f.frames == 0) return [](Inputs, Outputs) {};
  Fft packed = line_of(Kind::real_forward, context.dtype_of(0), f.fft_length, f.rows * f.frames);
  packed.in_place = true;
  return visit_real(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    const BoundFft run(packed, context.op().name);
    return [=, workspace = Workspace(run.workspace_bytes())](Inputs in, Outputs out) {
      for_each(packed.rows() * packed.pitch(), FillFrames<T>{f, packed.pitch(), static_cast<const T*>(in[0]), static_cast<const T*>(in[1]), static_cast<T*>(out[0])});
      run.enqueue(out[0], out[0], workspace.data());
    };
  });
}

// ---- cosines: n numbers a row

/// exp(i pi part / whole).
template <class T>
LOCKSTEP_HD Complex<T> turn(std::int64_t part, std::int64_t whole) {
  const T angle = T(std::numbers::pi * (double(part) / double(whole)));
  return {T(::cos(angle)), T(::sin(angle))};
}

/// Type 1: the spectrum of the row and its mirror image, of which the edges stand once, is real and has n bins.
template <class T>
struct FillMirrored {
  std::int64_t n;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t whole = 2 * (n - 1), k = i % (2 * n), row = i / (2 * n);
    z[i] = k < whole ? x[row * n + (k < n ? k : whole - k)] : T(0);
  }
};
template <class T>
struct TakeReal {
  const Complex<T>* from;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const { z[i] = from[i].re; }
};

/// Types 2 and 3 (Makhoul): even places in order, then odd ones from the end; the place in x of element j of such a row.
LOCKSTEP_HD inline std::int64_t folded(std::int64_t j, std::int64_t n) { return j < (n + 1) / 2 ? 2 * j : 2 * (n - 1 - j) + 1; }
template <class T>
struct FillFolded {
  std::int64_t n, pitch;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t j = i % pitch, row = i / pitch;
    z[i] = j < n ? x[row * n + folded(j, n)] : T(0);
  }
};
template <class T>
struct TakeTurned {
  std::int64_t n;
  const Complex<T>* from;  // half spectra
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t k = i % n, bins = n / 2 + 1;
    const bool there = k < bins;
    const Complex<T> value = from[i / n * bins + (there ? k : n - k)], by = turn<T>(k, 2 * n);
    z[i] = 2 * (value.re * by.re + (there ? value.im : -value.im) * by.im);
  }
};
template <class T>
struct FillTurned {
  std::int64_t n;
  const T* x;
  Complex<T>* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t bins = n / 2 + 1, k = i % bins;
    const T* line = x + i / bins * n;
    const T a = line[k], b = k > 0 ? line[n - k] : T(0);
    const Complex<T> by = turn<T>(k, 2 * n);
    z[i] = {a * by.re + b * by.im, k == 0 || 2 * k == n ? T(0) : a * by.im - b * by.re};
  }
};
template <class T>
struct TakeUnfolded {
  std::int64_t n;
  const T* from;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t j = i % n;
    z[i - j + folded(j, n)] = from[i];
  }
};

/// Type 4: a transform of 2 n, the second half zeros, between two turns.
template <class T>
struct FillTurnedFirst {
  std::int64_t n;
  const T* x;
  Complex<T>* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t j = i % (2 * n), row = i / (2 * n);
    const T value = j < n ? x[row * n + j] : T(0);
    const Complex<T> by = turn<T>(2 * j + 1, 4 * n);
    z[i] = {value * by.re, -value * by.im};
  }
};
template <class T>
struct TakeTurnedAgain {
  std::int64_t n;
  const Complex<T>* from;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t k = i % n;
    const Complex<T> value = from[i / n * 2 * n + k], by = turn<T>(k, 2 * n);
    z[i] = 2 * (value.re * by.re + value.im * by.im);
  }
};

/// fill(x, operands) over `filled` elements, the transform, take(its results, z) over all of z.
template <class T, class Fill, class Take>
BoundKernel bind_cosines(Fft f, std::int64_t filled, std::int64_t count, std::string_view op, const Fill& fill, const Take& take) {
  f.in_place = f.kind == Kind::real_forward;
  const BoundFft run(f, op);
  const bool back = f.kind == Kind::real_backward;
  Cuts cuts;
  const std::size_t operands = cuts.take(std::size_t(f.rows() * (f.kind == Kind::forward ? 2 * f.sizes[2] : f.pitch())) * sizeof(T));
  const std::size_t results = back ? cuts.take(std::size_t(count) * sizeof(T)) : operands, rest = cuts.take(run.workspace_bytes());
  return [=, workspace = Workspace(cuts.total())](Inputs in, Outputs out) {
    void *from = at<void>(workspace, operands), *to = at<void>(workspace, results);
    for_each(filled, fill(static_cast<const T*>(in[0]), from));
    run.enqueue(from, to, at<void>(workspace, rest));
    for_each(count, take(to, static_cast<T*>(out[0])));
  };
}

BoundKernel cosines(const BindContext& context) {
  const Shape& x = context.shape(0);
  if (x.numel() == 0) return [](Inputs, Outputs) {};
  const DType dtype = context.dtype_of(0);
  const std::int64_t n = x.dim(-1), count = x.numel(), rows = count / n, half = n / 2 + 1;
  const std::string_view op = context.op().name;
  return visit_real(dtype, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = Complex<T>;
    switch (context.integer("type")) {
      case 1:
        return bind_cosines<T>(line_of(Kind::real_forward, dtype, 2 * (n - 1), rows), rows * 2 * n, count, op, [n](const T* from, void* to) { return FillMirrored<T>{n, from, static_cast<T*>(to)}; },
                               [](void* from, T* to) { return TakeReal<T>{static_cast<const C*>(from), to}; });
      case 2:
        return bind_cosines<T>(line_of(Kind::real_forward, dtype, n, rows), rows * 2 * half, count, op, [n, half](const T* from, void* to) { return FillFolded<T>{n, 2 * half, from, static_cast<T*>(to)}; },
                               [n](void* from, T* to) { return TakeTurned<T>{n, static_cast<const C*>(from), to}; });
      case 3:
        return bind_cosines<T>(line_of(Kind::real_backward, dtype, n, rows), rows * half, count, op, [n](const T* from, void* to) { return FillTurned<T>{n, from, static_cast<C*>(to)}; },
                               [n](void* from, T* to) { return TakeUnfolded<T>{n, static_cast<const T*>(from), to}; });
      default:
        return bind_cosines<T>(line_of(Kind::forward, dtype, 2 * n, rows), count * 2, count, op, [n](const T* from, void* to) { return FillTurnedFirst<T>{n, from, static_cast<C*>(to)}; },
                               [n](void* from, T* to) { return TakeTurnedAgain<T>{n, static_cast<const C*>(from), to}; });
    }
  });
}

constexpr Kernel kFftKernels[] = {
    {"signal_fft", complex_transform<1, false>},   {"signal_ifft", complex_transform<1, true>},   {"signal_rfft", real_transform<1>},   {"signal_irfft", real_transform_back<1>},
    {"signal_fft2d", complex_transform<2, false>}, {"signal_ifft2d", complex_transform<2, true>}, {"signal_rfft2d", real_transform<2>}, {"signal_irfft2d", real_transform_back<2>},
    {"signal_fft3d", complex_transform<3, false>}, {"signal_ifft3d", complex_transform<3, true>}, {"signal_rfft3d", real_transform<3>}, {"signal_irfft3d", real_transform_back<3>},
    {"signal_framed_rfft", framed_transform},      {"signal_cosines", cosines},
};

}  // namespace

std::span<const Kernel> fft_kernels() { return kFftKernels; }

}  // namespace lockstep::cuda

// Frames of signals, and what is made of nothing but sizes: windows and the mel matrix.

#include <algorithm>
#include <cmath>
#include <numbers>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/create.h>
#include <lockstep/tensor/ops/fft.h>
#include <lockstep/tensor/ops/lines.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/signal.h>

namespace lockstep {
namespace {

using G = const GradContext&;
constexpr double kPi = std::numbers::pi;

// ---- frame

void frame_infer(InferContext& context) {
  attrs::require_size(context, "frame_length");
  attrs::require_size(context, "frame_step");
  const Shape& x = context.shape(0);
  const int axis = rules::axis(context, context.integer("axis"), x.ndim());
  fitted(context, "pad_value", context.dtype_of(0));
  const std::int64_t length = context.integer("frame_length"), frames = fft::frame_count(x[axis], length, context.integer("frame_step"), context.boolean("pad_end"));
  Shape shape;
  for (int i = 0; i < x.ndim(); ++i) {
    shape.push_back(i == axis ? frames : x[i]);
    if (i == axis) shape.push_back(length);
  }
  context.output(context.dtype_of(0), shape);
}

BoundKernel frame_cpu(const BindContext& context) {
  const Shape &x = context.shape(0), &z = context.output(0).shape;
  const int axis = rules::wrap_axis(context.integer("axis"), x.ndim());
  const Lines lines = lines_of(x, axis);
  const std::int64_t n = x[axis], frames = z[axis], length = z[axis + 1], step = context.integer("frame_step");
  const DType dtype = context.dtype_of(0);
  const Tensor padding = scalar(fitted(context, "pad_value", dtype), dtype);
  return visit_dtype(dtype, [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>) {
      throw UnimplementedError("there is no CPU kernel for " + std::string(name(dtype)), context.op().name);
    } else {
      return [=, value = *static_cast<const T*>(padding.raw())](Inputs in, Outputs out) {
        parallel_for(lines.outer * frames, std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, length * lines.inner)), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t start = row % frames * step, given = std::clamp<std::int64_t>(n - start, 0, length) * lines.inner;
            T* to = static_cast<T*>(out[0]) + row * length * lines.inner;
            std::copy_n(static_cast<const T*>(in[0]) + (row / frames * n + start) * lines.inner, given, to);
            std::fill(to + given, to + length * lines.inner, value);
          }
        });
      };
    }
  });
}

Tensor overlapped(const Tensor& frames, std::int64_t step, std::int64_t axis) {
  static const OpDef& op = find_op("signal_overlap_and_add");
  return apply(op, {frames}, {{"frame_step", step}, {"axis", axis}});
}

Gradients frame_gradient(G context) {
  const Tensor& x = context.input(0);
  grads::require_known(x, "signal_frame");
  const int axis = rules::wrap_axis(context.integer("axis"), x.ndim());
  const Tensor whole = overlapped(context.upstream(), context.integer("frame_step"), axis);
  return {fft::fitted_to(whole, Ints(x.shape().begin() + axis, x.shape().end()))};
}

// ---- overlap_and_add

/// In compute_t; integers wrap around.
template <class T>
T sum_of(T x, T y) {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(std::uint64_t(x) + std::uint64_t(y));
  else return static_cast<T>(static_cast<compute_t<T>>(x) + static_cast<compute_t<T>>(y));
}

/// The axis of the frames; their elements are the next one.
int frames_axis(const OpCall& call, const Shape& x) { return rules::wrap_axis(call.integer("axis"), x.ndim()); }

void overlap_infer(InferContext& context) {
  attrs::require_size(context, "frame_step");
  const Shape& x = context.shape(0);
  if (x.ndim() < 2) context.refuse("needs (..., frames, frame_length)");
  const int axis = rules::axis(context, context.integer("axis"), x.ndim());
  if (axis == x.ndim() - 1) context.refuse("behind the axis of the frames stands that of their elements");
  constexpr std::int64_t most = std::int64_t(1) << 30;
  if (x[axis] > most || x[axis + 1] > most) context.refuse("there are more than 2^30 frames or elements");
  Shape shape;
  for (int i = 0; i < x.ndim(); ++i)
    if (i != axis + 1) shape.push_back(i != axis ? x[i] : x[axis] == 0 ? 0 : x[axis + 1] + (x[axis] - 1) * context.integer("frame_step"));
  context.output(context.dtype_of(0), shape);
}
BoundKernel overlap_cpu(const BindContext& context) {
  const Shape& x = context.shape(0);
  const int axis = frames_axis(context, x);
  const std::int64_t outer = lines_of(x, axis).outer, inner = lines_of(x, axis + 1).inner;
  const std::int64_t frames = x[axis], length = x[axis + 1] * inner, step = context.integer("frame_step") * inner, total = context.output(0).shape[axis] * inner;
  return visit_dtype(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>) {
      throw UnimplementedError("there is no CPU kernel for " + std::string(name(dtype_of<T>)), context.op().name);
    } else {
      return [=](Inputs in, Outputs out) {
        parallel_for(outer, std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, frames * length)), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t o = begin; o < end; ++o) {
            T* to = static_cast<T*>(out[0]) + o * total;
            std::fill_n(to, total, T{});
            const T* from = static_cast<const T*>(in[0]) + o * frames * length;
            for (std::int64_t f = 0; f < frames; ++f)
              for (std::int64_t i = 0; i < length; ++i) to[f * step + i] = sum_of(to[f * step + i], from[f * length + i]);
          }
        });
      };
    }
  });
}
Gradients overlap_gradient(G context) {
  const Tensor& x = context.input(0);
  grads::require_known(x, "signal_overlap_and_add");
  const int axis = frames_axis(context, x.shape());
  if (x.numel() == 0) return {zeros_like(x)};
  return {signal::frame(context.upstream(), x.shape()[axis + 1], context.integer("frame_step"), false, 0, axis)};
}

// ---- windows

/// exp(-x) times the modified Bessel function of order 0.
double scaled_bessel(double x) {
  if (x < 500) return std::cyl_bessel_i(0, x) * std::exp(-x);
  return (1 + (1 + 9 / (16 * x)) / (8 * x)) / std::sqrt(2 * kPi * x);
}

std::vector<double> kaiser(std::int64_t length, double beta) {
  std::vector<double> window(std::size_t(length), 1.0);
  const double half = double(length - 1) / 2;
  for (std::int64_t i = 0; length > 1 && i < length; ++i) {
    const double at = (double(i) - half) / half, x = std::fabs(beta) * std::sqrt(std::max(0.0, 1 - at * at));
    window[std::size_t(i)] = std::exp(x - std::fabs(beta)) * (scaled_bessel(x) / scaled_bessel(std::fabs(beta)));
  }
  return window;
}

/// a - (1 - a) cos; TensorFlow's periodic windows of an odd length are symmetric.
std::vector<double> raised_cosine(const OpCall& call, double a) {
  const std::int64_t length = call.integer("window_length");
  std::vector<double> window(std::size_t(length), 1.0);
  const double n = double(length + (call.boolean("periodic") && length % 2 == 0 ? 0 : -1));
  for (std::int64_t i = 0; length > 1 && i < length; ++i) window[std::size_t(i)] = a - (1 - a) * std::cos(2 * kPi * double(i) / n);
  return window;
}
std::vector<double> hann(const OpCall& call) { return raised_cosine(call, 0.5); }
std::vector<double> hamming(const OpCall& call) { return raised_cosine(call, 0.54); }
std::vector<double> kaiser_of(const OpCall& call) { return kaiser(call.integer("window_length"), call.number("beta")); }
std::vector<double> kaiser_bessel_derived(const OpCall& call) {
  const std::int64_t half = call.integer("window_length") / 2;
  std::vector<double> sums = kaiser(half + 1, call.number("beta")), window(std::size_t(2 * half));
  for (std::size_t i = 1; i < sums.size(); ++i) sums[i] += sums[i - 1];
  for (std::size_t i = 0; i < std::size_t(half); ++i) window[i] = window[window.size() - 1 - i] = std::sqrt(sums[i] / sums.back());
  return window;
}
std::vector<double> vorbis(const OpCall& call) {
  std::vector<double> window(std::size_t(call.integer("window_length")));
  for (std::size_t i = 0; i < window.size(); ++i) {
    const double inner = std::sin(kPi / double(window.size()) * (double(i) + 0.5));
    window[i] = std::sin(kPi / 2 * inner * inner);
  }
  return window;
}

void require_float(InferContext& context) {
  if (!is_float(context.dtype("dtype"))) context.refuse_type("dtype must be a float, got " + std::string(name(context.dtype("dtype"))));
}

template <std::int64_t Multiple>
void window_infer(InferContext& context) {
  attrs::require_size(context, "window_length", 0);
  require_float(context);
  context.output(context.dtype("dtype"), {context.integer("window_length") / Multiple * Multiple});
}

void write_numbers(const std::vector<double>& values, DType dtype, void* out) {
  visit_dtype(dtype, [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_floating_point_v<compute_t<T>>)
      for (std::size_t i = 0; i < values.size(); ++i) static_cast<T*>(out)[i] = static_cast<T>(static_cast<compute_t<T>>(values[i]));
  });
}
template <std::vector<double> (*Make)(const OpCall&)>
BoundKernel window_cpu(const BindContext& context) {
  return [values = Make(context), dtype = context.output(0).dtype](Inputs, Outputs out) { write_numbers(values, dtype, out[0]); };
}

// ---- mel

double mel(double hertz) { return 1127.0 * std::log1p(hertz / 700.0); }

void mel_infer(InferContext& context) {
  attrs::require_size(context, "num_mel_bins");
  attrs::require_size(context, "num_spectrogram_bins");
  require_float(context);
  const double rate = context.number("sample_rate"), lower = context.number("lower_edge_hertz"), upper = context.number("upper_edge_hertz");
  if (!(rate > 0)) context.refuse("sample_rate must be positive, got " + to_string(context.scalar("sample_rate")));
  if (!(lower >= 0 && lower < upper && upper <= rate / 2)) context.refuse("the edges must be 0 <= lower < upper <= sample_rate / 2, got " + to_string(Scalar(lower)) + " and " + to_string(Scalar(upper)));
  context.output(context.dtype("dtype"), {context.integer("num_spectrogram_bins"), context.integer("num_mel_bins")});
}
/// Triangles that are equally wide in mels; the bin of frequency 0 counts nowhere.
std::vector<double> mel_matrix(const OpCall& call) {
  const std::int64_t bands = call.integer("num_mel_bins"), bins = call.integer("num_spectrogram_bins");
  const double nyquist = call.number("sample_rate") / 2, low = mel(call.number("lower_edge_hertz")), high = mel(call.number("upper_edge_hertz"));
  const double width = (high - low) / double(bands + 1);
  std::vector<double> matrix(std::size_t(bins * bands), 0.0);
  for (std::int64_t bin = 1; bin < bins; ++bin) {
    const double at = mel(nyquist * double(bin) / double(bins - 1));
    for (std::int64_t band = 0; band < bands; ++band) {
      const double lower = low + width * double(band);
      matrix[std::size_t(bin * bands + band)] = std::max(0.0, std::min((at - lower) / width, (lower + 2 * width - at) / width));
    }
  }
  return matrix;
}

OpDef made(std::string_view name, std::string_view doc, std::vector<AttrDef> attrs, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), AttrList sample) {
  attrs.push_back({.name = "dtype", .type = AttrType::dtype, .fallback = float32});
  OpDef row{.name = name, .doc = doc, .family = "signal", .min_inputs = 0, .max_inputs = 0, .attrs = std::move(attrs), .infer = infer, .gradient = not_differentiable("it has no operands"), .onnx = no_onnx("exported as a constant"), .cpu = cpu};
  row.samples.push_back({.attrs = sample});
  row.samples.push_back({.attrs = sample});
  row.samples.back().attrs.push_back({"dtype", float64});
  return row;
}

}  // namespace

std::vector<OpDef> signal_rows() {
  std::vector<OpDef> rows;
  const auto sized = [](std::int64_t length, std::int64_t step, bool pad_end, std::int64_t axis) {
    return AttrList{{"frame_length", length}, {"frame_step", step}, {"pad_end", pad_end}, {"axis", axis}};
  };
  rows.push_back({.name = "signal_frame", .doc = "overlapping frames along an axis, behind which their elements become an axis; pad_end fills the last ones", .family = "signal",
                  .attrs = {attrs::integer("frame_length"), attrs::integer("frame_step"), attrs::boolean("pad_end", false), attrs::number("pad_value", 0), attrs::integer("axis", -1)},
                  .dtypes = same(kNumeric), .infer = frame_infer, .gradient = frame_gradient, .onnx = no_onnx("exported as Gather"),
                  .samples = {{.inputs = {{.shape = {2, 9}}}, .attrs = sized(4, 2, false, -1)}, {.inputs = {{.shape = {8, 2}}}, .attrs = sized(3, 4, true, 0)}, {.inputs = {{.shape = {7}}}, .attrs = sized(3, 2, true, -1)}}, .cpu = frame_cpu});
  rows.push_back({.name = "signal_overlap_and_add", .doc = "frames laid over each other frame_step apart and added", .family = "signal",
                  .attrs = {attrs::integer("frame_step"), attrs::integer("axis", -2)}, .dtypes = same(kNumeric), .infer = overlap_infer, .gradient = overlap_gradient, .onnx = no_onnx("exported as ScatterND"),
                  .samples = {{.inputs = {{.shape = {2, 3, 4}}}, .attrs = {{"frame_step", std::int64_t(2)}}}, {.inputs = {{.shape = {3, 2, 2}}}, .attrs = {{"frame_step", std::int64_t(3)}, {"axis", std::int64_t(0)}}}}, .cpu = overlap_cpu});
  const AttrList length{{"window_length", std::int64_t(6)}};
  rows.push_back(made("signal_hann_window", "1/2 - 1/2 cos(2 pi i / n)", {attrs::integer("window_length"), attrs::boolean("periodic", true)}, window_infer<1>, window_cpu<hann>, length));
  rows.push_back(made("signal_hamming_window", "0.54 - 0.46 cos(2 pi i / n)", {attrs::integer("window_length"), attrs::boolean("periodic", true)}, window_infer<1>, window_cpu<hamming>, length));
  rows.push_back(made("signal_kaiser_window", "I0(beta sqrt(1 - x^2)) / I0(beta) for x from -1 to 1", {attrs::integer("window_length"), attrs::number("beta", 12)}, window_infer<1>, window_cpu<kaiser_of>, length));
  rows.push_back(made("signal_kaiser_bessel_derived_window", "square roots of a Kaiser window's running sums, up and down", {attrs::integer("window_length"), attrs::number("beta", 12)}, window_infer<2>, window_cpu<kaiser_bessel_derived>, length));
  rows.push_back(made("signal_vorbis_window", "sin(pi/2 sin^2(pi (i + 1/2) / n))", {attrs::integer("window_length")}, window_infer<1>, window_cpu<vorbis>, length));
  rows.push_back(made("signal_linear_to_mel_weight_matrix", "(num_spectrogram_bins, num_mel_bins): triangles of equal width in mels",
                      {attrs::integer("num_mel_bins", 20), attrs::integer("num_spectrogram_bins", 129), attrs::number("sample_rate", 8000), attrs::number("lower_edge_hertz", 125), attrs::number("upper_edge_hertz", 3800)}, mel_infer, window_cpu<mel_matrix>, {}));
  return rows;
}

}  // namespace lockstep

// Fourier transforms over the last one, two or three axes, by FFTW. The gradient of a transform is its adjoint: the transform back, scaled.

#include <lockstep/tensor/ops/fft.h>

#include <complex>
#include <numeric>

#include <lockstep/tensor/complex.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/signal.h>

namespace lockstep {
namespace {

using G = const GradContext&;
using fft::fitted_to;
using fft::Framing;
using fft::framing_of;
using fft::Kind;

DType real_of(DType dtype) { return dtype == complex64 ? float32 : float64; }
DType complex_of(DType dtype) { return dtype == float32 ? complex64 : complex128; }

/// The sizes of the last `rank` axes.
Ints last_sizes(const Shape& shape, int rank) { return {shape.end() - rank, shape.end()}; }
std::int64_t product(const Ints& sizes) { return std::accumulate(sizes.begin(), sizes.end(), std::int64_t(1), std::multiplies<>()); }

template <int Rank>
void require_axes(const InferContext& context) {
  if (context.shape(0).ndim() < Rank) context.refuse("needs at least " + std::to_string(Rank) + (Rank == 1 ? " axis" : " axes"));
}

/// The rows of 1, 2 and 3 axes: forward, back, real forward, real back.
constexpr std::string_view kNames[3][4] = {{"signal_fft", "signal_ifft", "signal_rfft", "signal_irfft"},
                                           {"signal_fft2d", "signal_ifft2d", "signal_rfft2d", "signal_irfft2d"},
                                           {"signal_fft3d", "signal_ifft3d", "signal_rfft3d", "signal_irfft3d"}};
template <int Rank, int Which>
Tensor transformed(const Tensor& x, const AttrList& attrs = {}) {
  static const OpDef& op = find_op(kNames[Rank - 1][Which]);
  return apply(op, {x}, attrs);
}

template <int Rank>
void complex_infer_fft(InferContext& context) {
  require_axes<Rank>(context);
  for (const std::int64_t size : last_sizes(context.shape(0), Rank))
    if (context.shape(0).numel() > 0) fft::require_length(context, size);
  rules::like_first(context);
}
template <int Rank, bool Back>
void real_infer(InferContext& context) {
  require_axes<Rank>(context);
  const Ints sizes = fft::real_sizes(context, context.shape(0), Rank, Back);
  if (int(sizes.size()) != Rank) context.refuse("fft_length must have " + std::to_string(Rank) + " numbers, got " + to_string(AttrValue(sizes)));
  for (const std::int64_t size : sizes) fft::require_length(context, size);
  Shape shape(context.shape(0).dims().first(std::size_t(context.shape(0).ndim() - Rank)));
  for (int i = 0; i < Rank; ++i) shape.push_back(!Back && i == Rank - 1 ? sizes[std::size_t(i)] / 2 + 1 : sizes[std::size_t(i)]);
  context.output(Back ? real_of(context.dtype_of(0)) : complex_of(context.dtype_of(0)), shape);
}

/// `in_unit`: 2 for complex operands; `taken` the sizes that are transformed, in the operand's elements.
template <class T>
BoundKernel bind_transform(Kind kind, const Shape& x, const Ints& sizes, const Ints& taken, int in_unit, double scale) {
  const int rank = int(sizes.size());
  fft::Fit fit;
  for (int i = 0; i < rank; ++i) {
    const auto k = std::size_t(3 - rank + i);
    fit.from[k] = x[x.ndim() - rank + i];
    fit.to[k] = taken[std::size_t(i)];
  }
  fit.from[2] *= in_unit;
  fit.to[2] *= in_unit;
  const std::int64_t each = fit.from[0] * fit.from[1] * fit.from[2];
  std::int64_t rows = 1;
  for (int i = 0; i < x.ndim() - rank; ++i) rows *= x[i];
  return [plan = fft::plan<T>(kind, sizes), fit, each, rows, scale = T(scale)](Inputs in, Outputs out) {
    const T* from = static_cast<const T*>(in[0]);
    T* to = static_cast<T*>(out[0]);
    fft::transform_rows(*plan, rows, [&](std::int64_t row, T* buffer) { fit.copy(from + row * each, buffer); },
                        [&](std::int64_t row, const T* result) { fft::scaled_copy(result, to + row * plan->out_count, plan->out_count, scale); });
  };
}
BoundKernel bind_transform(bool single, Kind kind, const Shape& x, const Ints& sizes, const Ints& taken, int in_unit, double scale) {
  return single ? bind_transform<float>(kind, x, sizes, taken, in_unit, scale) : bind_transform<double>(kind, x, sizes, taken, in_unit, scale);
}

template <int Rank, bool Back>
BoundKernel complex_cpu(const BindContext& context) {
  const Shape& x = context.shape(0);
  if (x.numel() == 0) return [](Inputs, Outputs) {};
  const Ints sizes = last_sizes(x, Rank);
  return bind_transform(context.dtype_of(0) == complex64, Back ? Kind::backward : Kind::forward, x, sizes, sizes, 2, Back ? 1.0 / double(product(sizes)) : 1.0);
}
template <int Rank>
BoundKernel real_cpu(const BindContext& context) {
  const Ints sizes = fft::real_sizes(context, context.shape(0), Rank, false);
  return bind_transform(context.dtype_of(0) == float32, Kind::real_forward, context.shape(0), sizes, sizes, 1, 1.0);
}
template <int Rank>
BoundKernel real_back_cpu(const BindContext& context) {
  const Ints sizes = fft::real_sizes(context, context.shape(0), Rank, true);
  Ints taken = sizes;
  taken.back() = sizes.back() / 2 + 1;
  return bind_transform(context.dtype_of(0) == complex64, Kind::real_backward, context.shape(0), sizes, taken, 2, 1.0 / double(product(sizes)));
}

// ---- gradients

/// How often a bin of half a spectrum stands in the whole one, times `scale`, as complex numbers; or one over that.
Tensor bin_counts(std::int64_t length, DType dtype, double scale, bool inverse) {
  const std::int64_t bins = length / 2 + 1;
  Tensor weights = Tensor::empty({bins}, real_of(dtype));
  visit_dtype(real_of(dtype), [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_floating_point_v<T>)
      for (std::int64_t i = 0; i < bins; ++i) {
        const double count = i == 0 || 2 * i == length ? 1 : 2;
        weights.mutable_data<T>()[i] = T(scale * (inverse ? 1 / count : count));
      }
  });
  return cast(placed(weights), dtype);
}

/// Half a spectrum to the real numbers that irfft gives without its 1 / n, every bin counted once: the adjoint of rfft.
template <int Rank>
Tensor real_adjoint(const Tensor& up, const Ints& sizes) {
  return transformed<Rank, 3>(up * bin_counts(sizes.back(), up.dtype(), double(product(sizes)), true), {{"fft_length", sizes}});
}

template <int Rank, bool Back>
Gradients complex_gradient_fft(G context) {
  grads::require_known(context.input(0), context.op().name);
  const double n = double(product(last_sizes(context.input(0).shape(), Rank)));
  const Tensor up = context.upstream();
  return {transformed<Rank, Back ? 0 : 1>(up) * scalar(Back ? 1 / n : n, up.dtype())};
}
template <int Rank>
Gradients real_gradient(G context) {
  grads::require_known(context.input(0), context.op().name);
  const Shape& x = context.input(0).shape();
  return {fitted_to(real_adjoint<Rank>(context.upstream(), fft::real_sizes(context, x, Rank, false)), last_sizes(x, Rank))};
}
template <int Rank>
Gradients real_back_gradient(G context) {
  grads::require_known(context.input(0), context.op().name);
  const Shape& x = context.input(0).shape();
  const Ints sizes = fft::real_sizes(context, x, Rank, true);
  const Tensor spectrum = transformed<Rank, 2>(context.upstream(), {{"fft_length", sizes}});
  return {fitted_to(spectrum * bin_counts(sizes.back(), spectrum.dtype(), 1 / double(product(sizes)), false), last_sizes(x, Rank))};
}

// ---- short-time transforms: frames are cut, windowed and transformed one by one, so that none of it is written to memory but the spectra

void framed_rfft_infer(InferContext& context) {
  const Shape &x = context.shape(0), &window = context.shape(1);
  if (x.ndim() < 1) context.refuse("signals need at least one axis");
  if (window.ndim() != 1 || window[0] < 1) context.refuse("a window has one axis of at least one element");
  if (context.integer("frame_step") < 1) context.refuse("frame_step must be at least 1, got " + std::to_string(context.integer("frame_step")));
  fft::require_length(context, context.integer("fft_length"));
  const Framing f = framing_of(context, x, window);
  Shape shape(x.dims().first(std::size_t(x.ndim() - 1)));
  shape.push_back(f.frames);
  shape.push_back(f.bins);
  context.output(complex_of(context.dtype_of(0)), shape);
}

template <class T>
BoundKernel bind_framed(const Framing& f) {
  return [f, plan = fft::plan<T>(Kind::real_forward, std::array{f.fft_length})](Inputs in, Outputs out) {
    const T *signals = static_cast<const T*>(in[0]), *window = static_cast<const T*>(in[1]);
    T* to = static_cast<T*>(out[0]);
    fft::transform_rows(*plan, f.rows * f.frames,
                        [&](std::int64_t row, T* buffer) {
                          const std::int64_t start = row % f.frames * f.step, count = std::min({f.length, f.fft_length, f.samples - start});
                          const T* x = signals + row / f.frames * f.samples + start;
                          for (std::int64_t i = 0; i < count; ++i) buffer[i] = x[i] * window[i];
                          std::fill(buffer + std::max<std::int64_t>(0, count), buffer + f.fft_length, T(0));
                        },
                        [&](std::int64_t row, const T* result) { fft::scaled_copy(result, to + row * 2 * f.bins, 2 * f.bins, T(1)); });
  };
}
BoundKernel framed_rfft_cpu(const BindContext& context) {
  const Framing f = framing_of(context, context.shape(0), context.shape(1));
  return context.dtype_of(0) == float32 ? bind_framed<float>(f) : bind_framed<double>(f);
}
Gradients framed_rfft_gradient(G context) {
  grads::require_known(context.input(0), context.op().name);
  const Tensor &x = context.input(0), &window = context.input(1);
  const Framing f = framing_of(context, x.shape(), window.shape());
  const Tensor frames = fitted_to(real_adjoint<1>(context.upstream(), {f.fft_length}), {f.length});
  Ints leading;
  for (int i = 0; i < x.ndim(); ++i) leading.push_back(i);
  const Tensor whole = signal::overlap_and_add(frames * window, f.step);
  return {fitted_to(whole, {f.samples}), reduce_sum(frames * signal::frame(x, f.length, f.step, context.boolean("pad_end")), leading)};
}

// ---- rows

OpDef row(std::string_view name, std::string_view doc, DTypeSet dtypes, std::vector<AttrDef> attrs, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), GradRule gradient, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "signal", .attrs = std::move(attrs), .dtypes = same(dtypes), .infer = infer, .gradient = gradient,
          .onnx = no_onnx("ONNX's DFT has complex numbers as an axis of two"), .samples = std::move(samples), .cpu = cpu};
}

template <int Rank>
void add_rank(std::vector<OpDef>& rows) {
  const auto& names = kNames[Rank - 1];
  Shape x{2}, half{2};
  for (int i = 0; i < Rank; ++i) x.push_back(3 + i), half.push_back(3 + i);
  const AttrDef length{.name = "fft_length", .type = AttrType::axes, .doc = "sizes of the real side; none: as the operand has them"};
  Ints longer, shorter;
  for (int i = 0; i < Rank; ++i) longer.push_back(4 + i), shorter.push_back(2 + i);
  const auto complex_samples = std::vector<Sample>{{.inputs = {{.dtype = complex128, .shape = x}}}};
  // clang-format off
  rows.push_back(row(names[0], "the Fourier transform over the last axes", kComplex, {}, complex_infer_fft<Rank>, complex_cpu<Rank, false>, complex_gradient_fft<Rank, false>, complex_samples));
  rows.push_back(row(names[1], "the inverse Fourier transform over the last axes", kComplex, {}, complex_infer_fft<Rank>, complex_cpu<Rank, true>, complex_gradient_fft<Rank, true>, complex_samples));
  rows.push_back(row(names[2], "the non-negative half of the spectrum of real numbers, cropped or padded to fft_length first", dtypes(float32, float64), {length}, real_infer<Rank, false>, real_cpu<Rank>, real_gradient<Rank>,
      {{.inputs = {{.shape = x}}}, {.inputs = {{.shape = x}}, .attrs = {{"fft_length", longer}}}, {.inputs = {{.shape = x}}, .attrs = {{"fft_length", shorter}}}}));
  rows.push_back(row(names[3], "real numbers from the non-negative half of their spectrum", kComplex, {length}, real_infer<Rank, true>, real_back_cpu<Rank>, real_back_gradient<Rank>,
      {{.inputs = {{.dtype = complex128, .shape = half}}}, {.inputs = {{.dtype = complex128, .shape = half}}, .attrs = {{"fft_length", longer}}}, {.inputs = {{.dtype = complex128, .shape = half}}, .attrs = {{"fft_length", shorter}}}}));
  // clang-format on
}

}  // namespace

Tensor fft::fitted_to(const Tensor& x, const Ints& sizes) {
  const int rank = int(sizes.size());
  Ints begin(std::size_t(x.ndim()), 0), size(x.shape().begin(), x.shape().end());
  IntLists paddings(std::size_t(x.ndim()), Ints{0, 0});
  bool crops = false, pads = false;
  for (int i = 0; i < rank; ++i) {
    const auto axis = std::size_t(x.ndim() - rank + i);
    const std::int64_t wanted = sizes[std::size_t(i)];
    crops = crops || wanted < size[axis];
    pads = pads || wanted > size[axis];
    paddings[axis][1] = std::max<std::int64_t>(0, wanted - size[axis]);
    size[axis] = std::min(size[axis], wanted);
  }
  const Tensor cropped = crops ? slice(x, begin, size) : x;
  return pads ? pad(cropped, paddings) : cropped;
}

std::vector<OpDef> fft_rows() {
  std::vector<OpDef> rows;
  add_rank<1>(rows);
  add_rank<2>(rows);
  add_rank<3>(rows);
  const auto framed = [](std::int64_t step, std::int64_t length, bool pad_end) { return AttrList{{"frame_step", step}, {"fft_length", length}, {"pad_end", pad_end}}; };
  rows.push_back(row("signal_framed_rfft", "the half spectra of the frames of signals (operand 0) times a window (operand 1)", dtypes(float32, float64),
                     {attrs::integer("frame_step"), attrs::integer("fft_length"), attrs::boolean("pad_end", false)},
                     framed_rfft_infer, framed_rfft_cpu, framed_rfft_gradient,
                     {{.inputs = {{.shape = {2, 11}}, {.shape = {4}}}, .attrs = framed(2, 6, false)}, {.inputs = {{.shape = {7}}, {.shape = {4}}}, .attrs = framed(3, 3, true)}}));
  rows.back().min_inputs = rows.back().max_inputs = 2;
  return rows;
}

}  // namespace lockstep

// Short-time spectra and what is made of them: each defined by frames, windows and transforms.

#include <cmath>
#include <iterator>
#include <numbers>
#include <utility>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/fft.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/spectral.h>
#include <lockstep/tensor/signal.h>

namespace lockstep {
namespace {

using MakeWindow = Tensor (*)(std::int64_t length, DType dtype);
constexpr std::pair<std::string_view, MakeWindow> kWindows[] = {
    {"hann", [](std::int64_t length, DType dtype) { return signal::hann_window(length, true, dtype); }},
    {"hamming", [](std::int64_t length, DType dtype) { return signal::hamming_window(length, true, dtype); }},
    {"kaiser", [](std::int64_t length, DType dtype) { return signal::kaiser_window(length, 12, dtype); }},
    {"kaiser_bessel_derived", [](std::int64_t length, DType dtype) { return signal::kaiser_bessel_derived_window(length, 12, dtype); }},
    {"vorbis", signal::vorbis_window},
    {"none", [](std::int64_t, DType) { return Tensor(); }},
};
/// Null for a name that no window has.
MakeWindow window_maker(std::string_view name) {
  for (const auto& [known, make] : kWindows)
    if (name == known) return make;
  return nullptr;
}
/// "hann", "hamming", ... or "none", in quotes.
std::string window_names() {
  std::string list;
  for (std::size_t i = 0; i < std::size(kWindows); ++i) list.append(i == 0 ? "" : i + 1 < std::size(kWindows) ? ", " : " or ").append("\"").append(kWindows[i].first).append("\"");
  return list;
}

void require_window(const InferContext& context, std::int64_t length) {
  if (context.input_count() == 2) {
    if (context.shape(1) != Shape{length}) context.refuse("the window must have " + std::to_string(length) + " elements, got " + to_string(context.shape(1)));
    return;
  }
  const std::string& name = context.text("window");
  if (!window_maker(name)) context.refuse("window must be " + window_names() + ", got \"" + name + "\"");
}

std::int64_t fft_length_of(const OpCall& call) {
  if (!call.is_none("fft_length")) return std::get<std::int64_t>(call.attr("fft_length"));
  std::int64_t length = 1;
  while (length < call.integer("frame_length")) length *= 2;
  return length;
}

void require_frames(const InferContext& context, int ndim) {
  if (context.shape(0).ndim() < ndim) context.refuse("needs at least " + std::to_string(ndim) + (ndim == 1 ? " axis" : " axes"));
  attrs::require_size(context, "frame_length");
  attrs::require_size(context, "frame_step");
  if (!context.is_none("fft_length") && !std::holds_alternative<std::int64_t>(context.attr("fft_length"))) context.refuse("fft_length must be none or a whole number, got " + to_string(context.attr("fft_length")));
  if (fft_length_of(context) < 1 || fft_length_of(context) > (std::int64_t(1) << 30)) context.refuse("fft_length must be in [1, 2^30], got " + std::to_string(fft_length_of(context)));
}

/// Operand 1, or the window of that name; undefined for none.
Tensor window_of(const OpCall& call, std::span<const Tensor> inputs, std::int64_t length, DType dtype) { return inputs.size() == 2 ? inputs[1] : spectral::window(call.text("window"), length, dtype); }

Shape leading(const Shape& x, int without) { return Shape(x.dims().first(std::size_t(x.ndim() - without))); }

// ---- stft

void stft_infer(InferContext& context) {
  require_frames(context, 1);
  require_window(context, context.integer("frame_length"));
  const Shape& x = context.shape(0);
  const std::int64_t n = x.dim(-1), length = context.integer("frame_length"), step = context.integer("frame_step");
  Shape shape = leading(x, 1);
  shape.push_back(fft::frame_count(n, length, step, context.boolean("pad_end")));
  shape.push_back(fft_length_of(context) / 2 + 1);
  context.output(context.dtype_of(0) == float32 ? complex64 : complex128, shape);
}
Tensors stft_of(const OpCall& call, std::span<const Tensor> inputs) {
  static const OpDef& op = find_op("signal_framed_rfft");
  const DType dtype = inputs[0].dtype();
  const std::int64_t length = call.integer("frame_length");
  const Tensor window = window_of(call, inputs, length, dtype);
  return {apply(op, {inputs[0], window.defined() ? window : full({length}, 1, dtype)}, {{"frame_step", call.integer("frame_step")}, {"fft_length", fft_length_of(call)}, {"pad_end", call.boolean("pad_end")}})};
}

void inverse_stft_infer(InferContext& context) {
  require_frames(context, 2);
  require_window(context, context.integer("frame_length"));
  const DType dtype = context.dtype_of(0) == complex64 ? float32 : float64;
  if (context.input_count() == 2 && context.dtype_of(1) != dtype) context.refuse_type("the window of " + std::string(name(context.dtype_of(0))) + " spectra must be " + std::string(name(dtype)) + ", got " + std::string(name(context.dtype_of(1))));
  const Shape& x = context.shape(0);
  const std::int64_t frames = x.dim(-2);
  Shape shape = leading(x, 2);
  shape.push_back(frames == 0 ? 0 : context.integer("frame_length") + (frames - 1) * context.integer("frame_step"));
  context.output(dtype, shape);
}
Tensors inverse_stft_of(const OpCall& call, std::span<const Tensor> inputs) {
  const std::int64_t length = call.integer("frame_length");
  const Tensor frames = fft::fitted_to(signal::irfft(inputs[0], fft_length_of(call)), {length});
  const Tensor window = window_of(call, inputs, length, frames.dtype());
  return {signal::overlap_and_add(window.defined() ? frames * window : frames, call.integer("frame_step"))};
}

// ---- mdct

void require_norm(const InferContext& context) {
  const AttrValue& norm = context.attr("norm");
  if (!context.is_none("norm") && !(std::holds_alternative<std::string>(norm) && std::get<std::string>(norm) == "ortho")) context.refuse("norm must be none or \"ortho\", got " + to_string(norm));
}
/// "none" scales by sqrt(1/2), as TensorFlow has it.
Tensor weighed(const OpCall& call, std::span<const Tensor> inputs, const Tensor& frames) {
  const Tensor window = window_of(call, inputs, frames.shape().dim(-1), frames.dtype());
  return window.defined() ? frames * window : frames * (1 / std::numbers::sqrt2);
}

void mdct_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  if (x.ndim() < 1) context.refuse("needs at least one axis");
  const std::int64_t length = context.integer("frame_length");
  if (length < 4 || length % 4 || length > (std::int64_t(1) << 30)) context.refuse("frame_length must be a multiple of 4 in [4, 2^30], got " + std::to_string(length));
  require_window(context, length);
  require_norm(context);
  const std::int64_t n = x.dim(-1), step = length / 2;
  Shape shape = leading(x, 1);
  shape.push_back(fft::frame_count(n, length, step, context.boolean("pad_end")));
  shape.push_back(step);
  context.output(context.dtype_of(0), shape);
}
Tensors mdct_of(const OpCall& call, std::span<const Tensor> inputs) {
  const std::int64_t length = call.integer("frame_length");
  const Tensor frames = weighed(call, inputs, signal::frame(inputs[0], length, length / 2, call.boolean("pad_end")));
  const std::vector<Tensor> parts = split(frames, 4, -1);
  const Tensor halves[] = {-reverse(parts[2], -1) - parts[3], parts[0] - reverse(parts[1], -1)};
  return {signal::dct(concat(halves, -1), {.type = 4, .ortho = !call.is_none("norm")})};
}

void inverse_mdct_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  if (x.ndim() < 2 || x.dim(-1) < 2 || x.dim(-1) % 2) context.refuse("needs (..., frames, frame_length / 2) with an even number of elements");
  require_window(context, 2 * x.dim(-1));
  require_norm(context);
  Shape shape = leading(x, 2);
  shape.push_back(x.dim(-2) == 0 ? 0 : (x.dim(-2) + 1) * x.dim(-1));
  context.output(context.dtype_of(0), shape);
}
Tensors inverse_mdct_of(const OpCall& call, std::span<const Tensor> inputs) {
  const std::int64_t half = inputs[0].shape().dim(-1);
  const bool ortho = !call.is_none("norm");
  const Tensor cosines = signal::dct(inputs[0], {.type = 4, .ortho = ortho});
  const std::vector<Tensor> parts = split(ortho ? cosines : cosines * (0.5 / double(half)), 2, -1);
  const Tensor quarters[] = {parts[1], -reverse(parts[1], -1), -reverse(parts[0], -1), -parts[0]};
  return {signal::overlap_and_add(weighed(call, inputs, concat(quarters, -1)), half)};
}

// ---- mfccs, shifts

void mfcc_infer(InferContext& context) {
  if (context.shape(0).ndim() < 1 || context.shape(0).dim(-1) < 1) context.refuse("needs (..., mel bins) with at least one bin");
  rules::like_first(context);
}
Tensors mfcc_of(const OpCall&, std::span<const Tensor> inputs) { return {signal::dct(inputs[0]) * (1 / std::sqrt(2 * double(inputs[0].shape().dim(-1))))}; }

void shift_infer(InferContext& context) {
  rules::axes(context, context.attr("axes"), context.shape(0).ndim());
  rules::like_first(context);
}
template <bool Back>
Tensors shift_of(const OpCall& call, std::span<const Tensor> inputs) {
  Ints shift, axes;
  for (const int axis : rules::wrap_axes(call.attr("axes"), inputs[0].ndim())) {
    const std::int64_t half = inputs[0].shape()[axis] / 2;
    shift.push_back(Back ? -half : half);
    axes.push_back(axis);
  }
  return {axes.empty() ? inputs[0] : roll(inputs[0], shift, axes)};
}

OpDef row(std::string_view name, std::string_view doc, DTypeRule dtypes, std::vector<AttrDef> attrs, void (*infer)(InferContext&), Tensors (*compose)(const OpCall&, std::span<const Tensor>), std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "signal", .attrs = std::move(attrs), .dtypes = std::move(dtypes), .infer = infer, .onnx = no_onnx("ONNX has no such operator"), .samples = std::move(samples), .compose = compose};
}

}  // namespace

Tensor spectral::window(const std::string& name, std::int64_t length, DType dtype) {
  const MakeWindow make = window_maker(name);
  if (!make) throw InvalidArgumentError("a window is " + window_names() + ", not \"" + name + "\"");
  return make(length, dtype);
}

std::vector<OpDef> spectral_rows() {
  const DTypeSet real_numbers = dtypes(float32, float64);
  const AttrDef length = attrs::integer("frame_length"), step = attrs::integer("frame_step"), pad_end = attrs::boolean("pad_end", false);
  const AttrDef fft_length{.name = "fft_length", .type = AttrType::any, .doc = "none: the smallest power of two that holds a frame"};
  const AttrDef norm{.name = "norm", .type = AttrType::any, .doc = "none or \"ortho\" of the cosine transform"};
  const auto window = [](const char* fallback) { return AttrDef{.name = "window", .type = AttrType::string, .fallback = std::string(fallback), .doc = "its name, where operand 1 does not give its elements"}; };
  const auto framed = [](std::int64_t l, std::int64_t s) { return AttrList{{"frame_length", l}, {"frame_step", s}}; };
  const auto with = [](AttrList attrs, Attr attr) { attrs.push_back(attr); return attrs; };
  std::vector<OpDef> rows;
  rows.push_back(row("signal_stft", "the half spectra of windowed frames", same(real_numbers), {length, step, fft_length, window("hann"), pad_end}, stft_infer, stft_of,
                     {{.inputs = {{.shape = {2, 9}}}, .attrs = framed(4, 2)}, {.inputs = {{.shape = {7}}, {.shape = {3}}}, .attrs = with(framed(3, 2), {"pad_end", true})}}));
  rows.back().max_inputs = 2;
  rows.push_back(row("signal_inverse_stft", "signals from the half spectra of their frames, windowed and added", {{{kComplex, 0}, {real_numbers, 1}}}, {length, step, fft_length, window("hann")}, inverse_stft_infer, inverse_stft_of,
                     {{.inputs = {{.dtype = complex128, .shape = {3, 3}}}, .attrs = framed(4, 2)}, {.inputs = {{.dtype = complex128, .shape = {2, 2, 3}}, {.shape = {3}}}, .attrs = with(framed(3, 2), {"fft_length", std::int64_t(5)})}}));
  rows.back().max_inputs = 2;
  rows.push_back(row("signal_mdct", "the modified cosine transform of frames that overlap by half; without a window they are scaled by sqrt(1/2)", same(real_numbers), {length, window("vorbis"), pad_end, norm}, mdct_infer, mdct_of,
                     {{.inputs = {{.shape = {2, 9}}}, .attrs = {{"frame_length", std::int64_t(4)}}}, {.inputs = {{.shape = {10}}, {.shape = {8}}}, .attrs = {{"frame_length", std::int64_t(8)}, {"pad_end", true}, {"norm", std::string("ortho")}}}}));
  rows.back().max_inputs = 2;
  rows.push_back(row("signal_inverse_mdct", "signals from their modified cosine transform, by the same window", same(real_numbers), {window("vorbis"), norm}, inverse_mdct_infer, inverse_mdct_of,
                     {{.inputs = {{.shape = {2, 3, 4}}}}, {.inputs = {{.shape = {3, 2}}, {.shape = {4}}}, .attrs = {{"norm", std::string("ortho")}}}}));
  rows.back().max_inputs = 2;
  rows.push_back(row("signal_mfccs_from_log_mel_spectrograms", "the cosine transform along the mel bins, over sqrt(2 bins)", same(real_numbers), {}, mfcc_infer, mfcc_of, {{.inputs = {{.shape = {2, 5}}}}}));
  const AttrDef axes{.name = "axes", .type = AttrType::axes};
  const std::vector<Sample> shifted{{.inputs = {{.shape = {2, 5}}}}, {.inputs = {{.shape = {3, 4}}}, .attrs = {{"axes", std::int64_t(1)}}}};
  rows.push_back(row("signal_fftshift", "rolled so that the zero frequency stands in the middle", same(kFixedSize), {axes}, shift_infer, shift_of<false>, shifted));
  rows.push_back(row("signal_ifftshift", "rolled back from fftshift", same(kFixedSize), {axes}, shift_infer, shift_of<true>, shifted));
  return rows;
}

}  // namespace lockstep

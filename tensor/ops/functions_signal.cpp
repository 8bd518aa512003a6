// tf.signal as functions: each finds its row once and applies it.

#include <lockstep/tensor/signal.h>

#include <array>

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/spectral.h>

namespace lockstep::signal {
namespace {

AttrValue given(const std::optional<std::int64_t>& value) { return value ? AttrValue(*value) : AttrValue(None{}); }
AttrValue given(const std::optional<Ints>& value) { return value ? AttrValue(*value) : AttrValue(None{}); }
AttrValue norm_of(bool ortho) { return ortho ? AttrValue(std::string("ortho")) : AttrValue(None{}); }

Tensors with_window(const Tensor& x, const Window& window) { return window.tensor.defined() ? Tensors{x, window.tensor} : Tensors{x}; }
std::string name_of(const Window& window) { return window.tensor.defined() ? "none" : window.name; }

}  // namespace

Tensor fft(const Tensor& x) {
  static const OpDef& op = find_op("signal_fft");
  return apply(op, {x});
}
Tensor ifft(const Tensor& x) {
  static const OpDef& op = find_op("signal_ifft");
  return apply(op, {x});
}
Tensor fft2d(const Tensor& x) {
  static const OpDef& op = find_op("signal_fft2d");
  return apply(op, {x});
}
Tensor ifft2d(const Tensor& x) {
  static const OpDef& op = find_op("signal_ifft2d");
  return apply(op, {x});
}
Tensor fft3d(const Tensor& x) {
  static const OpDef& op = find_op("signal_fft3d");
  return apply(op, {x});
}
Tensor ifft3d(const Tensor& x) {
  static const OpDef& op = find_op("signal_ifft3d");
  return apply(op, {x});
}
Tensor rfft(const Tensor& x, std::optional<std::int64_t> fft_length) {
  static const OpDef& op = find_op("signal_rfft");
  return apply(op, {x}, {{"fft_length", given(fft_length)}});
}
Tensor irfft(const Tensor& x, std::optional<std::int64_t> fft_length) {
  static const OpDef& op = find_op("signal_irfft");
  return apply(op, {x}, {{"fft_length", given(fft_length)}});
}
Tensor rfft2d(const Tensor& x, const std::optional<Ints>& fft_length) {
  static const OpDef& op = find_op("signal_rfft2d");
  return apply(op, {x}, {{"fft_length", given(fft_length)}});
}
Tensor irfft2d(const Tensor& x, const std::optional<Ints>& fft_length) {
  static const OpDef& op = find_op("signal_irfft2d");
  return apply(op, {x}, {{"fft_length", given(fft_length)}});
}
Tensor rfft3d(const Tensor& x, const std::optional<Ints>& fft_length) {
  static const OpDef& op = find_op("signal_rfft3d");
  return apply(op, {x}, {{"fft_length", given(fft_length)}});
}
Tensor irfft3d(const Tensor& x, const std::optional<Ints>& fft_length) {
  static const OpDef& op = find_op("signal_irfft3d");
  return apply(op, {x}, {{"fft_length", given(fft_length)}});
}
Tensor fftshift(const Tensor& x, const std::optional<Ints>& axes) {
  static const OpDef& op = find_op("signal_fftshift");
  return apply(op, {x}, {{"axes", given(axes)}});
}
Tensor ifftshift(const Tensor& x, const std::optional<Ints>& axes) {
  static const OpDef& op = find_op("signal_ifftshift");
  return apply(op, {x}, {{"axes", given(axes)}});
}

Tensor dct(const Tensor& x, const DctOptions& options) {
  static const OpDef& op = find_op("signal_dct");
  return apply(op, {x}, {{"type", options.type}, {"n", given(options.n)}, {"norm", norm_of(options.ortho)}});
}
Tensor idct(const Tensor& x, const DctOptions& options) {
  static const OpDef& op = find_op("signal_idct");
  return apply(op, {x}, {{"type", options.type}, {"n", given(options.n)}, {"norm", norm_of(options.ortho)}});
}

Tensor frame(const Tensor& x, std::int64_t frame_length, std::int64_t frame_step, bool pad_end, double pad_value, std::int64_t axis) {
  static const OpDef& op = find_op("signal_frame");
  return apply(op, {x}, {{"frame_length", frame_length}, {"frame_step", frame_step}, {"pad_end", pad_end}, {"pad_value", pad_value}, {"axis", axis}});
}
Tensor overlap_and_add(const Tensor& frames, std::int64_t frame_step) {
  static const OpDef& op = find_op("signal_overlap_and_add");
  return apply(op, {frames}, {{"frame_step", frame_step}, {"axis", std::int64_t(-2)}});
}

Tensor hann_window(std::int64_t window_length, bool periodic, DType dtype) {
  static const OpDef& op = find_op("signal_hann_window");
  return apply(op, {}, {{"window_length", window_length}, {"periodic", periodic}, {"dtype", dtype}});
}
Tensor hamming_window(std::int64_t window_length, bool periodic, DType dtype) {
  static const OpDef& op = find_op("signal_hamming_window");
  return apply(op, {}, {{"window_length", window_length}, {"periodic", periodic}, {"dtype", dtype}});
}
Tensor kaiser_window(std::int64_t window_length, double beta, DType dtype) {
  static const OpDef& op = find_op("signal_kaiser_window");
  return apply(op, {}, {{"window_length", window_length}, {"beta", beta}, {"dtype", dtype}});
}
Tensor kaiser_bessel_derived_window(std::int64_t window_length, double beta, DType dtype) {
  static const OpDef& op = find_op("signal_kaiser_bessel_derived_window");
  return apply(op, {}, {{"window_length", window_length}, {"beta", beta}, {"dtype", dtype}});
}
Tensor vorbis_window(std::int64_t window_length, DType dtype) {
  static const OpDef& op = find_op("signal_vorbis_window");
  return apply(op, {}, {{"window_length", window_length}, {"dtype", dtype}});
}

Tensor inverse_stft_window(std::int64_t frame_length, std::int64_t frame_step, const Window& forward, DType dtype) {
  if (frame_length < 1 || frame_step < 1) throw InvalidArgumentError("frame_length and frame_step must be at least 1", "inverse_stft_window");
  const Tensor named = forward.tensor.defined() ? forward.tensor : spectral::window(forward.name, frame_length, dtype);
  const Tensor window = named.defined() ? named : full({frame_length}, 1, dtype);
  if (window.shape() != Shape{frame_length}) throw InvalidArgumentError("the window must have " + std::to_string(frame_length) + " elements, got " + to_string(window.spec()), "inverse_stft_window");
  // How much of each sample all frames over it bring, the same every frame_step.
  const std::int64_t overlaps = (frame_length + frame_step - 1) / frame_step;
  const Tensor squares = pad(square(window), {{0, overlaps * frame_step - frame_length}});
  const Tensor sums = tile(reduce_sum(reshape(squares, {overlaps, frame_step}), 0), {overlaps});
  return divide_no_nan(window, slice(sums, {0}, {frame_length}));
}

Tensor stft(const Tensor& signals, std::int64_t frame_length, std::int64_t frame_step, const StftOptions& options) {
  static const OpDef& op = find_op("signal_stft");
  return apply(op, with_window(signals, options.window), {{"frame_length", frame_length}, {"frame_step", frame_step}, {"fft_length", given(options.fft_length)}, {"window", name_of(options.window)}, {"pad_end", options.pad_end}});
}
Tensor inverse_stft(const Tensor& stfts, std::int64_t frame_length, std::int64_t frame_step, const StftOptions& options) {
  static const OpDef& op = find_op("signal_inverse_stft");
  return apply(op, with_window(stfts, options.window), {{"frame_length", frame_length}, {"frame_step", frame_step}, {"fft_length", given(options.fft_length)}, {"window", name_of(options.window)}});
}
Tensor mdct(const Tensor& signals, std::int64_t frame_length, const MdctOptions& options) {
  static const OpDef& op = find_op("signal_mdct");
  return apply(op, with_window(signals, options.window), {{"frame_length", frame_length}, {"window", name_of(options.window)}, {"pad_end", options.pad_end}, {"norm", norm_of(options.ortho)}});
}
Tensor inverse_mdct(const Tensor& mdcts, const MdctOptions& options) {
  static const OpDef& op = find_op("signal_inverse_mdct");
  return apply(op, with_window(mdcts, options.window), {{"window", name_of(options.window)}, {"norm", norm_of(options.ortho)}});
}

Tensor linear_to_mel_weight_matrix(const MelOptions& options) {
  static const OpDef& op = find_op("signal_linear_to_mel_weight_matrix");
  return apply(op, {}, {{"num_mel_bins", options.num_mel_bins}, {"num_spectrogram_bins", options.num_spectrogram_bins}, {"sample_rate", options.sample_rate},
                        {"lower_edge_hertz", options.lower_edge_hertz}, {"upper_edge_hertz", options.upper_edge_hertz}, {"dtype", options.dtype}});
}
Tensor mfccs_from_log_mel_spectrograms(const Tensor& log_mel_spectrograms) {
  static const OpDef& op = find_op("signal_mfccs_from_log_mel_spectrograms");
  return apply(op, {log_mel_spectrograms});
}

}  // namespace lockstep::signal

#pragma once
// Signal processing (tf.signal): Fourier and cosine transforms, frames, short-time spectra, windows, mel scales. Each function is a row `signal_NAME` of the
// op table, where formulas, shapes and dtypes stand; all have gradients but those that make constants. Transforms run by FFTW, in float32 or float64.

#include <optional>
#include <string>

#include <lockstep/tensor/attrs.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::signal {

// ---- Fourier transforms over the last axes; complex64 or complex128

Tensor fft(const Tensor& x);
Tensor ifft(const Tensor& x);
Tensor fft2d(const Tensor& x);
Tensor ifft2d(const Tensor& x);
Tensor fft3d(const Tensor& x);
Tensor ifft3d(const Tensor& x);
/// float32 or float64 (..., n) -> complex (..., n / 2 + 1). The signal is cropped or padded with zeros to fft_length first.
Tensor rfft(const Tensor& x, std::optional<std::int64_t> fft_length = {});
/// complex (..., n / 2 + 1) -> real (..., fft_length); without one, 2 (bins - 1).
Tensor irfft(const Tensor& x, std::optional<std::int64_t> fft_length = {});
Tensor rfft2d(const Tensor& x, const std::optional<Ints>& fft_length = {});
Tensor irfft2d(const Tensor& x, const std::optional<Ints>& fft_length = {});
Tensor rfft3d(const Tensor& x, const std::optional<Ints>& fft_length = {});
Tensor irfft3d(const Tensor& x, const std::optional<Ints>& fft_length = {});
/// The zero frequency in the middle of these axes (none: all), and back.
Tensor fftshift(const Tensor& x, const std::optional<Ints>& axes = {});
Tensor ifftshift(const Tensor& x, const std::optional<Ints>& axes = {});

// ---- cosine transforms along the last axis

struct DctOptions {
  /// 1 to 4
  std::int64_t type = 2;
  /// The signal is cropped or padded with zeros to n first.
  std::optional<std::int64_t> n = {};
  /// Orthonormal; not for type 1.
  bool ortho = false;
};
Tensor dct(const Tensor& x, const DctOptions& options = {});
/// The inverse of dct of that type, without the factor that makes it one unless ortho (as TensorFlow's).
Tensor idct(const Tensor& x, const DctOptions& options = {});

// ---- frames

/// (..., n, ...) -> (..., frames, frame_length, ...) along an axis. With pad_end the last frames reach beyond the end, into pad_value.
Tensor frame(const Tensor& x, std::int64_t frame_length, std::int64_t frame_step, bool pad_end = false, double pad_value = 0, std::int64_t axis = -1);
/// (..., frames, frame_length) -> (..., frame_length + (frames - 1) frame_step): what overlaps is added.
Tensor overlap_and_add(const Tensor& frames, std::int64_t frame_step);

// ---- windows, (window_length,) of a float dtype

Tensor hann_window(std::int64_t window_length, bool periodic = true, DType dtype = float32);
Tensor hamming_window(std::int64_t window_length, bool periodic = true, DType dtype = float32);
Tensor kaiser_window(std::int64_t window_length, double beta = 12, DType dtype = float32);
Tensor kaiser_bessel_derived_window(std::int64_t window_length, double beta = 12, DType dtype = float32);
Tensor vorbis_window(std::int64_t window_length, DType dtype = float32);

/// A window by its name ("hann", "hamming", "kaiser", "kaiser_bessel_derived", "vorbis", or "none"), or a tensor of frame_length elements,
/// through which gradients flow.
struct Window {
  Window(const char* name) : name(name) {}
  Window(std::string name) : name(std::move(name)) {}
  Window(Tensor tensor) : tensor(std::move(tensor)) {}
  std::string name;
  Tensor tensor;
};
/// The window to invert stft by, where it used `forward` and steps of frame_step (tf.signal.inverse_stft_window_fn).
Tensor inverse_stft_window(std::int64_t frame_length, std::int64_t frame_step, const Window& forward = "hann", DType dtype = float32);

// ---- spectra over time

struct StftOptions {
  /// None: the smallest power of two that holds a frame.
  std::optional<std::int64_t> fft_length = {};
  Window window = "hann";
  bool pad_end = false;
};
/// (..., samples) -> complex (..., frames, fft_length / 2 + 1).
Tensor stft(const Tensor& signals, std::int64_t frame_length, std::int64_t frame_step, const StftOptions& options = {});
/// complex (..., frames, fft_length / 2 + 1) -> (..., samples). Give inverse_stft_window to get back what stft was made from.
Tensor inverse_stft(const Tensor& stfts, std::int64_t frame_length, std::int64_t frame_step, const StftOptions& options = {});

struct MdctOptions {
  Window window = "vorbis";
  bool pad_end = false;
  bool ortho = false;
};
/// (..., samples) -> (..., frames, frame_length / 2); frame_length a multiple of 4.
Tensor mdct(const Tensor& signals, std::int64_t frame_length, const MdctOptions& options = {});
/// (..., frames, frame_length / 2) -> (..., samples)
Tensor inverse_mdct(const Tensor& mdcts, const MdctOptions& options = {});

struct MelOptions {
  std::int64_t num_mel_bins = 20;
  std::int64_t num_spectrogram_bins = 129;
  double sample_rate = 8000;
  double lower_edge_hertz = 125;
  double upper_edge_hertz = 3800;
  DType dtype = float32;
};
/// (num_spectrogram_bins, num_mel_bins): a spectrogram times it is one on the mel scale.
Tensor linear_to_mel_weight_matrix(const MelOptions& options = {});
/// (..., mel bins) -> (..., mel bins): HTK's scaling of a DCT.
Tensor mfccs_from_log_mel_spectrograms(const Tensor& log_mel_spectrograms);

}  // namespace lockstep::signal

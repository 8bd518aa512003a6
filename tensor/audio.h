#pragma once
// Sound files as strings (tf.audio): WAV of 16-bit PCM. Rows `audio_NAME` of the op table.

#include <optional>
#include <utility>

#include <lockstep/tensor/tensor.h>

namespace lockstep::audio {

struct DecodeWavOptions {
  /// -1: as the file has them. More: the last one again; fewer: the first ones.
  std::int64_t desired_channels = -1;
  /// -1: as the file has them. More: zeros behind; fewer: the first ones.
  std::int64_t desired_samples = -1;
};
/// float32 (samples, channels) in [-1, 1), and the int32 sample rate. Throws DataLossError for a damaged file or another encoding.
std::pair<Tensor, Tensor> decode_wav(const Tensor& contents, const DecodeWavOptions& options = {});
/// The file of float32 (samples, channels), clipped to [-1, 1), at an int32 scalar sample rate.
Tensor encode_wav(const Tensor& audio, const Tensor& sample_rate);

}  // namespace lockstep::audio

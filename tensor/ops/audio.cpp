// WAV files of 16-bit PCM: a RIFF of chunks, of which "fmt " and "data" matter.

#include <lockstep/tensor/audio.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>

namespace lockstep {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are read as they stand in the file");

constexpr std::int64_t kMostAudio = std::int64_t(1) << 29;  // elements, as of images

struct Sound {
  std::int64_t channels = 0, rate = 0;
  std::string_view samples;  // 16 bits each, channel by channel
  std::int64_t count() const { return channels ? std::int64_t(samples.size()) / (2 * channels) : 0; }
};

[[noreturn]] void refuse_wav(std::size_t at, const std::string& what) { throw DataLossError("the WAV is damaged at byte " + std::to_string(at) + ": " + what, "audio_decode_wav"); }

template <class T>
T number_at(std::string_view bytes, std::size_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) refuse_wav(at, "the file ends early");
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

/// PCM, or the extensible form of it; 16 bits.
void read_format(std::string_view bytes, std::size_t at, Sound& sound) {
  constexpr std::uint16_t pcm = 1, extensible = 0xFFFE;
  const auto format = number_at<std::uint16_t>(bytes, at), bits = number_at<std::uint16_t>(bytes, at + 14);
  if (format != pcm && format != extensible) refuse_wav(at, "format " + std::to_string(format) + " is not PCM");
  if (bits != 16) refuse_wav(at + 14, std::to_string(bits) + " bits a sample; only 16 are known");
  sound.channels = number_at<std::uint16_t>(bytes, at + 2);
  sound.rate = number_at<std::uint32_t>(bytes, at + 4);
  if (sound.channels < 1) refuse_wav(at + 2, "no channels");
  if (sound.rate < 1 || sound.rate > INT32_MAX) refuse_wav(at + 4, "a sample rate of " + std::to_string(sound.rate));
}

Sound read_wav(std::string_view bytes) {
  if (!bytes.starts_with("RIFF") || bytes.substr(std::min<std::size_t>(8, bytes.size()), 4) != "WAVE") throw DataLossError("the file does not begin as a WAV", "audio_decode_wav");
  Sound sound;
  for (std::size_t at = 12; at < bytes.size();) {
    const std::string_view kind = bytes.substr(at, 4);
    const std::size_t size = number_at<std::uint32_t>(bytes, at + 4), begin = at + 8;
    if (kind == "fmt ") read_format(bytes, begin, sound);
    if (kind == "data") {
      if (sound.channels == 0) refuse_wav(at, "samples before their format");
      if (size > bytes.size() - begin) refuse_wav(begin, std::to_string(size) + " bytes of samples in a file of " + std::to_string(bytes.size()));
      sound.samples = bytes.substr(begin, size - size % std::size_t(2 * sound.channels));
      return sound;
    }
    if (size > bytes.size() - begin) break;
    at = begin + size + size % 2;
  }
  refuse_wav(bytes.size(), "there are no samples");
}

void decode_wav_infer(InferContext& context) {
  if (context.shape(0).ndim() != 0) context.refuse("takes one file, a string of shape ()", "map it over several");
  for (const char* name : {"desired_channels", "desired_samples"})
    if (const std::int64_t value = context.integer(name); value != -1 && (value < 1 || value > kMostAudio)) context.refuse(std::string(name) + " must be -1 or in [1, 2^29], got " + std::to_string(value));
  context.output(float32, Shape::unknown());
  context.output(int32, {});
}
Tensors decode_wav_cpu(const OpCall& call, std::span<const Tensor> in) {
  const Sound sound = read_wav(in[0].data<std::string>()[0]);
  const auto wanted = [&](std::string_view name, std::int64_t given) { return call.integer(name) == -1 ? given : call.integer(name); };
  const std::int64_t channels = wanted("desired_channels", sound.channels), samples = wanted("desired_samples", sound.count());
  if (samples > 0 && channels > kMostAudio / samples) throw ResourceExhaustedError("the sound would have " + std::to_string(samples) + " samples of " + std::to_string(channels) + " channels: more than 2^29 elements", call.op().name);
  Tensor audio = Tensor::empty({samples, channels}, float32);
  auto* to = audio.mutable_data<float>();
  for (std::int64_t i = 0; i < samples; ++i)
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::size_t at = std::size_t(2 * (i * sound.channels + std::min(c, sound.channels - 1)));
      *to++ = i < sound.count() ? float(number_at<std::int16_t>(sound.samples, at)) / 32768.0f : 0.0f;
    }
  return {audio, scalar(sound.rate, int32)};
}

void encode_wav_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  if (x.ndim() != 2 || x[1] < 1 || x[1] > 65535 || context.shape(1).ndim() != 0) context.refuse("needs (samples, channels) with 1 to 65535 channels, and a sample rate of shape ()");
  if (x.numel() > kMostAudio) context.refuse("there are more than 2^29 samples");
  context.output(string, {});
}
template <class T>
void append_number(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
Tensors encode_wav_cpu(const OpCall& call, std::span<const Tensor> in) {
  const std::int32_t rate = in[1].item<std::int32_t>();
  const auto channels = static_cast<std::uint16_t>(in[0].shape()[1]);
  if (rate < 1 || std::int64_t(rate) * channels * 2 > UINT32_MAX) throw InvalidArgumentError("the sample rate must be positive and fit a WAV, got " + std::to_string(rate), call.op().name);
  const auto size = static_cast<std::uint32_t>(in[0].numel() * 2);
  Tensor file = Tensor::empty({}, string);
  std::string& bytes = *file.mutable_data<std::string>();
  bytes.reserve(44 + size);
  bytes = "RIFF";
  append_number(bytes, std::uint32_t(36 + size));
  bytes += "WAVEfmt ";
  append_number(bytes, std::uint32_t(16));
  append_number(bytes, std::uint16_t(1));
  append_number(bytes, channels);
  append_number(bytes, std::uint32_t(rate));
  append_number(bytes, std::uint32_t(rate) * channels * 2u);
  append_number(bytes, static_cast<std::uint16_t>(channels * 2));
  append_number(bytes, std::uint16_t(16));
  bytes += "data";
  append_number(bytes, size);
  for (const float x : in[0].data<float>()) append_number(bytes, std::isnan(x) ? std::int16_t(0) : static_cast<std::int16_t>(std::clamp(std::round(x * 32768.0f), -32768.0f, 32767.0f)));
  return {file};
}

/// A short sound in a file, whatever was drawn.
Tensors some_wav(std::span<const Tensor>) {
  const Unheard unheard;
  return {audio::encode_wav(reshape(range(0, 6, 1, float32), {3, 2}) * 0.1, scalar(8000, int32))};
}

}  // namespace

std::pair<Tensor, Tensor> audio::decode_wav(const Tensor& contents, const DecodeWavOptions& options) {
  static const OpDef& op = find_op("audio_decode_wav");
  Tensors out = apply_all(op, {contents}, {{"desired_channels", options.desired_channels}, {"desired_samples", options.desired_samples}});
  return {std::move(out[0]), std::move(out[1])};
}
Tensor audio::encode_wav(const Tensor& audio, const Tensor& sample_rate) {
  static const OpDef& op = find_op("audio_encode_wav");
  return apply(op, {audio, sample_rate});
}

std::vector<OpDef> audio_rows() {
  const auto count = [](std::string_view name) { return AttrDef{.name = name, .type = AttrType::integer, .fallback = std::int64_t(-1)}; };
  std::vector<OpDef> rows;
  rows.push_back({.name = "audio_decode_wav", .doc = "the float32 (samples, channels) of a WAV file of 16 bits, and its sample rate", .family = "audio", .attrs = {count("desired_channels"), count("desired_samples")}, .dtypes = same(dtypes(string)),
                  .infer = decode_wav_infer, .gradient = not_differentiable("files are not numbers"), .onnx = no_onnx("ONNX reads no sound"), .samples = {{.inputs = {{.dtype = string, .shape = {}}}, .prepare = some_wav}}, .cpu_dynamic = decode_wav_cpu, .no_cuda = "files are read by the CPU"});
  rows.push_back({.name = "audio_encode_wav", .doc = "the WAV file of 16 bits of sound (samples, channels) in [-1, 1) at a sample rate", .family = "audio", .min_inputs = 2, .max_inputs = 2, .dtypes = each(dtypes(float32), dtypes(int32)), .infer = encode_wav_infer,
                  .gradient = not_differentiable("files are not numbers"), .onnx = no_onnx("ONNX writes no sound"), .samples = {{.inputs = {{.dtype = float32, .shape = {3, 2}, .low = -1, .high = 1}, {.dtype = int32, .shape = {}, .low = 8000, .high = 8001}}}}, .cpu_dynamic = encode_wav_cpu, .no_cuda = "files are written by the CPU"});
  return rows;
}

}  // namespace lockstep

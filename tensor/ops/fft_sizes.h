#pragma once
// How large transforms are, and where frames lie: what the rows' rules and the kernels of every device share.

#include <algorithm>

#include <lockstep/tensor/op.h>

namespace lockstep::fft {

/// Sizes of the real side of a transform over the last `rank` axes: fft_length, or what the operand says.
inline Ints real_sizes(const OpCall& call, const Shape& x, int rank, bool from_spectrum) {
  if (!call.is_none("fft_length")) return call.ints("fft_length");
  Ints sizes(x.end() - rank, x.end());
  if (from_spectrum) sizes.back() = 2 * (sizes.back() - 1);
  return sizes;
}

/// Frames of `length` that begin every `step` of n elements; with pad_end also those that reach beyond the end.
inline std::int64_t frame_count(std::int64_t n, std::int64_t length, std::int64_t step, bool pad_end) {
  if (pad_end) return n / step + (n % step != 0);
  return n < length ? 0 : 1 + (n - length) / step;
}

/// The frames of `rows` signals, each to be windowed, cropped or padded to fft_length, and transformed.
struct Framing {
  std::int64_t rows = 1, samples, frames = 0, length, step, fft_length, bins = 0;
};
inline Framing framing_of(const OpCall& call, const Shape& x, const Shape& window) {
  Framing f{.samples = x[x.ndim() - 1], .length = window[0], .step = call.integer("frame_step"), .fft_length = call.integer("fft_length")};
  for (int i = 0; i < x.ndim() - 1; ++i) f.rows *= x[i];
  f.frames = frame_count(f.samples, f.length, f.step, call.boolean("pad_end"));
  f.bins = f.fft_length / 2 + 1;
  return f;
}

}  // namespace lockstep::fft

#pragma once
// The inner loops of max pooling over the channels of one window, dispatched by Highway.

#include <cstdint>

namespace lockstep {

/// A window of an image: where in it the channels of each of its cells begin.
struct WindowCells {
  const std::int64_t* offsets;
  std::int64_t count;  // 1 to 2^24
  std::int64_t channels;
};
/// out[c] = the maximum of x over the cells' elements c; NaN counts as the largest.
void window_max(const float* x, const WindowCells& window, float* out);
/// Adds upstream[c] to element c of z in the first cell where x has its maximum.
void window_max_gradient(const float* x, const WindowCells& window, const float* upstream, float* z);

}  // namespace lockstep

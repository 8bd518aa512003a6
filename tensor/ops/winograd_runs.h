#pragma once
// The inner loops of Winograd's convolution F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016), dispatched by Highway. Windows of
// 6x6 cells are seen at the points 0, 5/8, -5/8, 3/2, -3/2 and infinity of both axes (the points that oneDNN's kernels use: sums lose half as much as with 1 and 2);
// there a convolution is one product of channels for each of the 36 points.

#include <cstdint>

namespace lockstep::winograd {

inline constexpr std::int64_t kPoints = 36, kTile = 4, kTaps = 3, kWindow = kTile + kTaps - 1;

/// One matrix (rows, channels) for each point, `stride` elements apart.
struct Planes {
  float* data;
  std::int64_t stride, channels;
  float* at(std::int64_t point, std::int64_t row) const { return data + point * stride + row * channels; }
};

/// Cells of an image (height, width, channels) from (top, left) on. Those that lie outside are zeros, and are not written.
struct Cells {
  float* image;
  std::int64_t height, width, top, left;
};

/// Row `row` of the planes from 6x6 cells: B^T d B. The number of channels is a multiple of 16, here and below.
void window_to_points(const Cells& cells, const Planes& planes, std::int64_t row);
/// The adjoint of points_to_tile, from 4x4 cells: A y A^T.
void tile_to_points(const Cells& cells, const Planes& planes, std::int64_t row);
/// 4x4 cells from row `row` of the planes, A^T m A, plus a bias per channel if there is one, then relu if asked for.
void points_to_tile(const Planes& planes, std::int64_t row, const float* bias, bool relu, const Cells& cells);

/// Row `in` of the planes (in, out) from a kernel (3, 3, ins, outs): G g G^T.
void kernel_to_points(const float* kernel, std::int64_t ins, std::int64_t outs, std::int64_t in, const Planes& planes);
/// The adjoint of kernel_to_points: G^T s G.
void points_to_kernel(const Planes& planes, std::int64_t ins, std::int64_t outs, std::int64_t in, float* kernel);

/// z (m, n) = x (m, k) y (k, n); m is a multiple of 8 and n of 16.
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const float* x, const float* y, float* z);
/// z (m, n) += x^T y for x (k, x_columns), of which m columns count, and y (k, n).
void multiply_transposed_add(std::int64_t m, std::int64_t n, std::int64_t k, const float* x, std::int64_t x_columns, const float* y, float* z);

}  // namespace lockstep::winograd

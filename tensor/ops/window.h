#pragma once
// Windows that slide over spatial axes: what convolutions and pools share.

#include <array>
#include <cstdint>

#include <lockstep/tensor/op.h>

namespace lockstep::window {

/// Cells of padding before and after each spatial axis that TensorFlow's "valid" and "same" (and Lockstep's "explicit" lists) mean.
IntLists paddings(const OpCall& call, std::span<const std::int64_t> in, std::span<const std::int64_t> kernel, std::span<const std::int64_t> strides,
                  std::span<const std::int64_t> dilations, const std::string& padding);

/// Numbers of cells (strides, dilations, paddings, kernel sizes) beyond this are refused, so that no sum of them overflows.
inline constexpr std::int64_t kMost = std::int64_t(1) << 30;

/// Windows along an axis, 0 for an empty one. Throws the op's refusal if the axis, padding included, is smaller than a window.
std::int64_t count(const OpCall& call, std::int64_t in, std::int64_t kernel, std::int64_t stride, std::int64_t dilation, std::int64_t before, std::int64_t after);

/// A convolution over up to three spatial axes (the missing ones have size 1), channels last.
struct Convolution {
  std::int64_t batch = 1, in_channels = 1, out_channels = 1, groups = 1;
  int ndim = 2;
  std::array<std::int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, before{}, after{};
};

/// From the shapes of input and kernel and the attributes strides, padding (in cells), dilations and groups.
Convolution convolution_of(const OpCall& call, const Shape& x, const Shape& kernel);

/// A pool over (batch, height, width, channels).
struct Pool {
  std::int64_t batch, channels;
  std::int64_t in[2], out[2], size[2], stride[2], before[2], after[2];
};
/// From the shape of the input and the attributes ksize, strides and padding.
Pool pool_of(const OpCall& call, const Shape& x);

}  // namespace lockstep::window

#pragma once
// Convolutions by Winograd's minimal filtering, F(4x4, 3x3): a quarter of the multiplications. Private to the rows of conv.cpp.

#include <lockstep/tensor/ops/window.h>

namespace lockstep::winograd {

/// Is this float32 convolution computed here? Kernels of 3x3 without strides, dilations and groups, whose channels fill vectors (multiples of 16) and whose transformed
/// kernel stays in a cache (at most 128 x 128), and images of 16 tiles in all. Results are off by 5e-7 to 2e-6 of their root mean square, which is a few times a plain
/// sum's error; the environment's LOCKSTEP_WINOGRAD=0 refuses that. They do not depend on the number of threads.
bool pays(const window::Convolution& c);

/// y of (batch, height, width, out); `bias` has a number per channel, or is null.
void forward(const window::Convolution& c, const float* x, const float* kernel, const float* bias, bool relu, float* y);
/// The gradient of x.
void input_gradient(const window::Convolution& c, const float* upstream, const float* kernel, float* x);
/// The gradient of the kernel.
void kernel_gradient(const window::Convolution& c, const float* x, const float* upstream, float* kernel);

}  // namespace lockstep::winograd

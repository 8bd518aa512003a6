#pragma once
// The kernels of each family, each defined in kernels/FAMILY.cu.

#include <lockstep/tensor/cuda/kernel.h>

namespace lockstep::cuda {

std::span<const Kernel> math_kernels();
std::span<const Kernel> cast_kernels();
std::span<const Kernel> complex_kernels();
std::span<const Kernel> arithmetic_kernels();
std::span<const Kernel> reduce_kernels();
std::span<const Kernel> scan_kernels();
std::span<const Kernel> array_kernels();
std::span<const Kernel> join_kernels();
std::span<const Kernel> create_kernels();
std::span<const Kernel> index_kernels();
std::span<const Kernel> sort_kernels();
std::span<const Kernel> matmul_kernels();
std::span<const Kernel> factor_kernels();
std::span<const Kernel> solve_kernels();
std::span<const Kernel> spectral_kernels();
std::span<const Kernel> conv_kernels();
std::span<const Kernel> pool_kernels();
std::span<const Kernel> softmax_kernels();
std::span<const Kernel> attention_kernels();
std::span<const Kernel> random_kernels();
std::span<const Kernel> fft_kernels();
std::span<const Kernel> signal_kernels();
std::span<const Kernel> image_kernels();

}  // namespace lockstep::cuda

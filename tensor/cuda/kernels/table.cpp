// The families of CUDA kernels, listed explicitly.

#include <array>

#include <lockstep/tensor/cuda/families.h>

namespace lockstep::autodiff::cuda {
std::span<const lockstep::cuda::Kernel> fused_kernels();  // autodiff/cuda/fused_kernels.cpp: the plug-in holds them all
}

namespace lockstep::cuda {

std::span<const std::span<const Kernel>> kernel_families() {
  static const std::array families{math_kernels(),   cast_kernels(), complex_kernels(), arithmetic_kernels(), reduce_kernels(), scan_kernels(), array_kernels(),   join_kernels(),   create_kernels(),
                                   index_kernels(), sort_kernels(), pool_kernels(), softmax_kernels(), attention_kernels(), random_kernels(), matmul_kernels(), conv_kernels(), factor_kernels(), solve_kernels(), spectral_kernels(),
                                   fft_kernels(), signal_kernels(), image_kernels(),
                                   autodiff::cuda::fused_kernels()};
  return families;
}

}  // namespace lockstep::cuda

// The families of CUDA kernels, listed explicitly.

#include <lockstep/tensor/cuda/kernel.h>

namespace lockstep::cuda {

std::span<const std::span<const Kernel>> kernel_families() { return {}; }

}  // namespace lockstep::cuda

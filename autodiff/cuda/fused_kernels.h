#pragma once

#include <lockstep/tensor/cuda/kernel.h>

namespace lockstep::autodiff::cuda {

/// The kernels of the ops that graph passes make (see fused.h).
std::span<const lockstep::cuda::Kernel> fused_kernels();

}  // namespace lockstep::autodiff::cuda

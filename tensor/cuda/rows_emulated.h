#pragma once

#include <lockstep/tensor/device_plugin.h>

namespace lockstep::cuda {

/// The row's CPU kernel as the emulated device's, if LOCKSTEP_CUDA_EMULATED_ROWS asks for that.
DeviceKernel row_as_kernel(const OpDef& op);

}  // namespace lockstep::cuda

#pragma once
// What `dist` puts into the plug-in.

#include <string>

#include <lockstep/tensor/device_plugin.h>

namespace lockstep::cuda {

/// NCCL's table (dist/cuda/nccl_table.h), or the emulated device's. Defined in dist/cuda.
const NcclTable& nccl_table();
/// "NCCL 2.28.3"
std::string nccl_version();

}  // namespace lockstep::cuda

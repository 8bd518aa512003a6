#pragma once

#include <lockstep/dist/cuda/nccl_table.h>

namespace lockstep::cuda {

/// NCCL's table, or the emulated device's.
const NcclTable& nccl_table();
/// "NCCL 2.28.3"
std::string nccl_version();

}  // namespace lockstep::cuda

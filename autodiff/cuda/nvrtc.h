#pragma once
// CUDA source to machine code by NVRTC, kept on disk: a program is compiled once for each architecture and version of NVRTC.

#include <string>
#include <string_view>

namespace lockstep::autodiff::cuda {

/// Machine code (cubin) for `architecture` (90: sm_90). Found under $XDG_CACHE_HOME/lockstep (~/.cache/lockstep) by a hash of source, architecture and
/// version, or compiled and put there; a cache that cannot be read or written is done without. Throws InternalError with NVRTC's log.
std::string compiled(const std::string& source, int architecture);
/// As compiled, without the disk.
std::string compile(const std::string& source, int architecture);

}  // namespace lockstep::autodiff::cuda

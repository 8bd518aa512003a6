#pragma once
// CUDA source for a fused program: a pure function from the program to text, which NVRTC compiles. The bodies are the lines of
// pointwise/kernels.inc and cuda/plain.inc, made strings of.

#include <optional>
#include <string>

#include <lockstep/autodiff/fused.h>

namespace lockstep::autodiff::cuda {

/// A kernel `fused(inputs..., outputs..., float* part, long long numel)` of 256 threads a block, which walks any number of elements with any grid, unless
/// the program reduces: then `blocks` blocks leave their sums in `part`, and `finish(outputs of sums over all or over rows..., part)` adds them up.
struct FusedSource {
  std::string text;
  int elements = 1;                 // that a thread takes at once: pointers must be aligned to as many (up to 16 bytes)
  bool reduces = false;
  std::int64_t blocks = 0;          // of a reducing program
  std::int64_t part_numel = 0;      // floats in `part`
  std::int64_t finish_blocks = 0;   // of `finish`, 0 if there is nothing to finish
};
/// Nothing for a program that holds what the generator has no words for (complex numbers). `wide`: several elements a thread, where the sizes allow it.
std::optional<FusedSource> fused_source(const FusedProgram& program, bool wide);

}  // namespace lockstep::autodiff::cuda

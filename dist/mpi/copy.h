#pragma once
// Copies between tensors and buffers.

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace lockstep::dist {

/// memcpy in pieces that glibc copies with vectors. What is longer it leaves to `rep movsb`, which crawls on Zen 3 and 4 where source and target lie
/// a few bytes apart within their pages, as behind a tensor of odd size: 2 MiB of gradients of an mlp took 1.2 ms, in pieces 0.2.
inline void copy_bytes(void* target, const void* source, std::size_t bytes) {
  constexpr std::size_t kPiece = 2048;
  for (std::size_t at = 0; at < bytes; at += kPiece) std::memcpy(static_cast<std::byte*>(target) + at, static_cast<const std::byte*>(source) + at, std::min(kPiece, bytes - at));
}

}  // namespace lockstep::dist

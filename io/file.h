#pragma once
// Inside readers: opening files, with errors that name them.

#include <cstddef>
#include <cstdint>
#include <string>

namespace lockstep::io {

/// Throws NotFoundError unless `path` is a file that can be read; its size in bytes.
std::int64_t require_file(const std::string& path);
/// The bytes of a file. Throws NotFoundError.
std::string read_file(const std::string& path);

/// No deflated stream grows by more than this when it is inflated: what a header may claim is judged against it before memory is asked for.
inline constexpr std::int64_t kMostInflation = 1032;

}  // namespace lockstep::io

#pragma once
// Changes of JSON that leave it JSON: bytes at random seldom do.

#include <cstddef>
#include <cstdint>

namespace lockstep::fuzz {

/// For LLVMFuzzerCustomMutator: changes the JSON at `data`, of `size` bytes, and returns its new size, at most `most`. What is no JSON gets libFuzzer's own changes, as does
/// some that is.
std::size_t change_json(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed);

}  // namespace lockstep::fuzz

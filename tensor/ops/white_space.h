#pragma once
// Where white space stands in a text, many bytes at a time, dispatched by Highway.

#include <cstddef>
#include <cstdint>

namespace lockstep {

/// Bit i % 64 of bits[i / 64] says whether byte i is white space ("C" locale's); the bits behind the end are set. Returns how many words begin, `before`: after white space.
std::int64_t mark_white_space(const char* text, std::size_t size, bool before, std::uint64_t* bits);

}  // namespace lockstep

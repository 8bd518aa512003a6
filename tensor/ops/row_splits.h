#pragma once
// Row splits: row r of n holds the values splits[r] to splits[r + 1] - 1.

#include <cstdint>
#include <span>
#include <string_view>

namespace lockstep {

using Splits = std::span<const std::int64_t>;

/// Throws InvalidArgumentError unless the splits begin with 0, never fall and end with `count`: then none points outside of so many values.
void require_splits(Splits splits, std::int64_t count, std::string_view op);

}  // namespace lockstep

#pragma once
// Warnings: what a program should hear of although it goes on.

#include <string>
#include <string_view>

namespace lockstep {

/// Writes the line "lockstep: warning: [where] message" to stderr; `where` is the class or function that warns.
void warn(std::string_view where, std::string_view message);
/// Puts `prefix` in front of all warnings of this process ("rank 3: "). Not while others warn.
void set_warning_prefix(std::string prefix);

}  // namespace lockstep

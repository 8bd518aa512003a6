#pragma once
// Warnings: what a program should hear of although it goes on.

#include <string_view>

namespace lockstep {

/// Writes the line "lockstep: warning: [where] message" to stderr; `where` is the class or function that warns.
void warn(std::string_view where, std::string_view message);

}  // namespace lockstep

#pragma once
// What an error says.

#include <string>

namespace lockstep {

/// The message of the error of type E that `f` throws; "(none)" if it throws nothing. Errors of other types go on.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "(none)";
}

}  // namespace lockstep

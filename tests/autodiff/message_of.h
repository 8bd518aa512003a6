#pragma once
// What an error says.

#include <string>

namespace lockstep::autodiff {

/// The message of the error of type E that `f` throws; empty if it throws nothing.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

}  // namespace lockstep::autodiff

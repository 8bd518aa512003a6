#pragma once
// Typed errors. Every failure in Lockstep is an Error: a kind (the C++ type), one sentence that says what was wrong and
// what was expected, and, where known, the op, the state path and a hint. Nothing else is thrown on purpose.

#include <stdexcept>
#include <string>
#include <string_view>

namespace lockstep {

/// Base of all errors. `what()` is one sentence: "[op] message (path) - hint".
class Error : public std::runtime_error {
 public:
  explicit Error(std::string_view message, std::string_view op = {}, std::string_view hint = {});
  /// Name of the op or component that refused, empty if none.
  const std::string& op() const noexcept { return op_; }
  /// What the user can do about it, empty if nothing is known.
  const std::string& hint() const noexcept { return hint_; }

 private:
  std::string op_;
  std::string hint_;
};

/// A shape, a dtype, a value or an attribute that the op cannot take (tf.errors.InvalidArgumentError).
class InvalidArgumentError : public Error {
 public:
  using Error::Error;
};
/// Operands whose dtypes do not fit together, or a dtype the op does not take (there are no implicit casts); an argument of another type, a missing
/// or an unknown one.
class TypeError : public InvalidArgumentError {
 public:
  using InvalidArgumentError::InvalidArgumentError;
};
/// An index outside its axis.
class IndexError : public InvalidArgumentError {
 public:
  using InvalidArgumentError::InvalidArgumentError;
};
/// A name (op, attribute, file, variable) that does not exist; the message suggests the nearest one.
class NotFoundError : public Error {
 public:
  using Error::Error;
};
/// Something that must be unique exists already.
class AlreadyExistsError : public Error {
 public:
  using Error::Error;
};
/// The call is right, but not in this state (a spent tape, a closed queue).
class FailedPreconditionError : public Error {
 public:
  using Error::Error;
};
/// No kernel for this op, dtype and device.
class UnimplementedError : public Error {
 public:
  using Error::Error;
};
/// Memory, disk or another resource ran out.
class ResourceExhaustedError : public Error {
 public:
  using Error::Error;
};
/// A device, a driver or a peer is not there.
class UnavailableError : public Error {
 public:
  using Error::Error;
};
/// Asked for beyond the end: a closed queue that is empty, a place outside of an array of tensors.
class OutOfRangeError : public Error {
 public:
  using Error::Error;
};
/// Broken off on purpose: what waited for a queue that was closed.
class CancelledError : public Error {
 public:
  using Error::Error;
};
/// Something did not happen in the time that was given to it.
class DeadlineExceededError : public Error {
 public:
  using Error::Error;
};
/// What several ranks do together was broken off: they disagree, or one of them is gone.
class AbortedError : public Error {
 public:
  using Error::Error;
};
/// A file is damaged or not what it says it is.
class DataLossError : public Error {
 public:
  using Error::Error;
};
/// Lockstep itself is wrong; please report it.
class InternalError : public Error {
 public:
  using Error::Error;
};

/// The candidate with the smallest edit distance to `name`, or empty if none is near. O(candidates * length^2).
template <class Range>
std::string nearest_name(std::string_view name, const Range& candidates);

/// Levenshtein distance. O(|a| * |b|).
std::size_t edit_distance(std::string_view a, std::string_view b);

template <class Range>
std::string nearest_name(std::string_view name, const Range& candidates) {
  std::string best;
  std::size_t best_distance = name.size() / 2 + 2;
  for (const auto& candidate : candidates) {
    const std::size_t distance = edit_distance(name, std::string_view(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = std::string(std::string_view(candidate));
    }
  }
  return best;
}

}  // namespace lockstep

#pragma once
// Signals as something to poll. While one of these lives, the signals wait in a descriptor instead of ending the process, so that whoever
// supervises decides what they mean; a program that is started gets them back as they were.

#include <signal.h>

#include <initializer_list>
#include <optional>

#include "descriptor.h"

namespace lockstep::launch {

/// Holds back a set of signals from now to its end.
class Signals {
 public:
  explicit Signals(std::initializer_list<int> held);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// Readable when a signal waits.
  int descriptor() const { return descriptor_.number(); }
  /// The next signal, without waiting for one.
  std::optional<int> next();
  /// In a child, before it becomes another program: as if there had been none of this.
  void restore() const;

 private:
  sigset_t before_;
  Descriptor descriptor_;
};

}  // namespace lockstep::launch

#include "signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace lockstep::launch {

Signals::Signals(std::initializer_list<int> held) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : held) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, &before_);
  descriptor_ = Descriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (descriptor_) return;
  const int error = errno;
  restore();
  throw std::system_error(error, std::generic_category(), "signalfd");
}

Signals::~Signals() { restore(); }

std::optional<int> Signals::next() {
  signalfd_siginfo info;
  if (read(descriptor_.number(), &info, sizeof info) != ssize_t(sizeof info)) return std::nullopt;
  return int(info.ssi_signo);
}

void Signals::restore() const { sigprocmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace lockstep::launch

#include <fcntl.h>
#include <gtest/gtest.h>
#include <run/signals.h>
#include <sys/resource.h>
#include <unistd.h>

#include <system_error>

namespace lockstep::launch {
namespace {

bool held(int signal) {
  sigset_t set;
  sigprocmask(SIG_BLOCK, nullptr, &set);
  return sigismember(&set, signal) == 1;
}

TEST(Signals, WaitWhileOneLives) {
  {
    Signals signals{SIGUSR1, SIGUSR2};
    EXPECT_FALSE(signals.next());
    raise(SIGUSR1);
    EXPECT_EQ(signals.next(), SIGUSR1);
    EXPECT_FALSE(signals.next());
  }
  EXPECT_FALSE(held(SIGUSR1));
}

TEST(Signals, AreNotHeldBackWhereNobodyCanHearOfThem) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer itself needs the descriptors that this test takes away";
#endif
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int free = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(free);
  const rlimit none{rlim_t(free), before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  EXPECT_THROW(Signals({SIGUSR1}), std::system_error);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(held(SIGUSR1));
}

}  // namespace
}  // namespace lockstep::launch

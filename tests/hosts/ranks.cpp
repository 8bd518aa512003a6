// What the tests of `lockstep run` run: an MPI program that does, on each rank, what its first argument says.
//   ranks sum                  adds the ranks' numbers up, says the result and where it ran
//   ranks arguments ...        prints its other arguments, a line each
//   ranks exit RANK CODE       that rank ends with CODE, while the others wait for it
//   ranks die RANK SIGNAL [N]  that rank kills itself while the others wait, unless it was started again N times
//   ranks abort RANK CODE      that rank calls MPI_Abort
//   ranks wait                 waits, and says which signals come; ends well with 143 at SIGTERM, with 130 at SIGINT
//   ranks stubborn             waits, and pays no attention to signals
//   ranks lines N              prints N very short lines, and as many on the standard error
//   ranks progress             prints a line that rewrites itself
//   ranks environment NAME ... prints variables and the number of cores it may use
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

volatile sig_atomic_t last_signal = 0;

void note(int signal) { last_signal = signal; }

void wait_for_signals(int rank) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) {
    struct sigaction action {};
    action.sa_handler = note;
    sigaction(signal, &action, nullptr);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  std::printf("rank %d waits, pid %d\n", rank, int(getpid()));
  std::fflush(stdout);
  for (;;) {
    usleep(20000);
    if (last_signal == 0) continue;
    const int signal = last_signal;
    last_signal = 0;
    std::printf("rank %d got SIG%s\n", rank, sigabbrev_np(signal));
    std::fflush(stdout);
    if (signal != SIGTERM && signal != SIGINT) continue;
    for (int i = 0; i < 20 * rank; ++i) usleep(100000);  // longer than mpirun's own patience; a signal cuts one of them short
    std::printf("rank %d ends well\n", rank);
    MPI_Finalize();
    std::exit(128 + signal);
  }
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const std::string what = argc > 1 ? argv[1] : "sum";
  const auto number = [&](int i) { return argc > i ? std::atoi(argv[i]) : 0; };
  char host[256] = "";
  gethostname(host, sizeof host - 1);

  if (what == "sum") {
    int sum = 0;
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    std::printf("rank %d of %d on %s: sum %d\n", rank, ranks, host, sum);
  } else if (what == "arguments") {
    for (int i = 2; i < argc; ++i) std::printf("%s\n", argv[i]);
  } else if (what == "wait") {
    wait_for_signals(rank);
  } else if (what == "stubborn") {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::signal(signal, SIG_IGN);
    MPI_Barrier(MPI_COMM_WORLD);
    std::printf("rank %d waits, pid %d\n", rank, int(getpid()));
    std::fflush(stdout);
    for (;;) pause();
  } else if (what == "lines") {
    for (int i = 0; i < number(2); ++i) std::printf("%d\n", i), std::fprintf(stderr, "%d\n", i);
  } else if (what == "progress") {
    for (int i = 1; i <= 3; ++i) {
      std::printf("\r%d/3 of rank %d", i, rank);
      std::fflush(stdout);
      usleep(300000);
    }
    std::printf("\n");
  } else if (what == "environment") {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    std::printf("cores=%d tty=%d\n", CPU_COUNT(&set), isatty(STDOUT_FILENO));
    for (int i = 2; i < argc; ++i) std::printf("%s=%s\n", argv[i], std::getenv(argv[i]) ? std::getenv(argv[i]) : "(none)");
  } else {
    // The others wait, as they do in a collective.
    const char* restarts = std::getenv("LOCKSTEP_RESTART");
    const bool spared = argc > 4 && restarts && std::atoi(restarts) >= number(4);
    if (rank == number(2) && !spared) {
      std::printf("rank %d, restart %s: %s\n", rank, restarts ? restarts : "(none)", what.c_str());
      std::fflush(stdout);
      if (what == "abort") MPI_Abort(MPI_COMM_WORLD, number(3));
      if (what == "die") kill(getpid(), number(3));
      std::exit(number(3));
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (spared && rank == number(2)) std::printf("restart %s goes through\n", restarts);
  }
  MPI_Finalize();
  return 0;
}

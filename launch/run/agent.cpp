#include "agent.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "cores.h"
#include "descriptor.h"
#include "signals.h"
#include "wire.h"

namespace lockstep::launch {
namespace {

constexpr int kPollMs = 250;

int environment_number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

/// Some containers forbid to copy from another process's memory, and Open MPI notices only in the middle of a message.
bool may_copy_between_processes() {
  char from = 1, to = 0;
  const iovec local{&to, 1}, remote{&from, 1};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1;
}

/// Cores, threads, and what Open MPI cannot find out by itself. What the user has set stays.
std::optional<cpu_set_t> settle_in() {
  const int local_ranks = environment_number("OMPI_COMM_WORLD_LOCAL_SIZE", 1);
  const CoreShare share = core_share(environment_number("OMPI_COMM_WORLD_LOCAL_RANK", 0), local_ranks);
  setenv("OMP_NUM_THREADS", std::to_string(share.cores).c_str(), 0);
  const bool crowded = local_ranks * std::max(1, environment_number("OMP_NUM_THREADS", 1)) > share.host_cores;
  // Who waits for a message lets others compute.
  if (crowded) setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
  if (!may_copy_between_processes()) setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
  return crowded || std::getenv("LOCKSTEP_NO_BIND") ? std::nullopt : share.bound;
}

/// The program's standard output: a pipe, or a terminal that passes bytes as they are.
Pipe make_output(bool terminal) {
  if (!terminal) return make_pipe();
  int master = -1, slave = -1;
  winsize size{};
  size.ws_row = 24;
  size.ws_col = static_cast<unsigned short>(environment_number("COLUMNS", 80));
  if (openpty(&master, &slave, nullptr, nullptr, &size) != 0) return make_pipe();
  termios settings;
  tcgetattr(slave, &settings);
  cfmakeraw(&settings);
  tcsetattr(slave, TCSANOW, &settings);
  fcntl(master, F_SETFD, FD_CLOEXEC);
  fcntl(slave, F_SETFD, FD_CLOEXEC);
  return {Descriptor(master), Descriptor(slave)};
}

class Agent {
 public:
  Agent(bool terminal, char** argv) : argv_(argv), out_(make_output(terminal)), err_(make_pipe()) {}
  int run();

 private:
  void start();
  [[noreturn]] void become_program(const std::optional<cpu_set_t>& bound, int failure);
  void read_signals();
  void forward(RecordKind kind, Descriptor& from);
  void drain();
  void send(RecordKind kind, const std::string& payload);
  int report();

  char** argv_;
  // SIGUSR1 and SIGUSR2 are for the program, which mpirun sends them to as well: held back here, and never looked at.
  Signals signals_{SIGCHLD, SIGTERM, SIGINT, SIGHUP, kTerminateRank, kInterruptRank, SIGUSR1, SIGUSR2, SIGPIPE};
  Pipe out_, err_;
  pid_t parent_ = getppid(), child_ = -1;
  int status_ = 0, refused_ = 0;
  bool ended_ = false, told_ = false, asked_ = false, orphaned_ = false;
};

void Agent::send(RecordKind kind, const std::string& payload) { orphaned_ = !write_all(STDOUT_FILENO, encode(kind, payload)) || orphaned_; }

void Agent::become_program(const std::optional<cpu_set_t>& bound, int failure) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signals_.restore();
  if (bound) sched_setaffinity(0, sizeof *bound, &*bound);
  dup2(out_.write.number(), STDOUT_FILENO);
  dup2(err_.write.number(), STDERR_FILENO);
  execvp(argv_[0], argv_);
  const int error = errno;
  write_all(failure, {reinterpret_cast<const char*>(&error), sizeof error});
  _exit(127);
}

void Agent::start() {
  const std::optional<cpu_set_t> bound = settle_in();
  Pipe failure = make_pipe();
  child_ = fork();
  if (child_ == 0) become_program(bound, failure.write.number());
  int error = child_ < 0 ? errno : 0;
  out_.write.close();
  err_.write.close();
  failure.write.close();
  if (child_ > 0 && read(failure.read.number(), &error, sizeof error) != ssize_t(sizeof error)) error = 0;
  if (error == 0) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    return send(RecordKind::start, std::to_string(child_) + " " + host);
  }
  send(RecordKind::refused, std::to_string(error));
  if (child_ > 0) waitpid(child_, nullptr, 0);
  refused_ = error == ENOENT ? 127 : 126;
}

void Agent::read_signals() {
  while (const std::optional<int> signal = signals_.next()) {
    if (*signal == kTerminateRank || *signal == kInterruptRank) {
      asked_ = true;
      if (!ended_) kill(child_, *signal == kTerminateRank ? SIGTERM : SIGINT);
    } else if (*signal == SIGTERM) {
      told_ = true;  // mpirun ends the job, and has told the program as well
    } else if (*signal == SIGCHLD && !ended_) {
      ended_ = waitpid(child_, &status_, WNOHANG) == child_;
    }
  }
}

void Agent::forward(RecordKind kind, Descriptor& from) {
  char bytes[4096];
  const ssize_t count = read(from.number(), bytes, sizeof bytes);
  if (count > 0) send(kind, std::string(bytes, std::size_t(count)));
  else if (count == 0 || (errno != EINTR && errno != EAGAIN)) from.close();  // (a terminal nobody writes to any more is an error)
}

/// What the program has left in its pipes, of 64 KiB; another process may hold their ends open, and even write: it is not waited for.
void Agent::drain() {
  for (const auto& [kind, from] : {std::pair{RecordKind::out, &out_.read}, std::pair{RecordKind::err, &err_.read}}) {
    if (*from) fcntl(from->number(), F_SETFL, O_NONBLOCK);
    pollfd ready{from->number(), POLLIN, 0};
    for (int reads = 0; reads < 32 && *from && poll(&ready, 1, 0) > 0; ++reads) forward(kind, *from);
  }
}

int Agent::report() {
  const int code = WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
  // mpirun signals the program and the agent one after the other.
  if (code == 128 + SIGTERM && !told_) {
    pollfd ready{signals_.descriptor(), POLLIN, 0};
    poll(&ready, 1, 50);
    read_signals();
  }
  if (told_) send(RecordKind::told, std::to_string(code));
  else if (WIFSIGNALED(status_)) send(RecordKind::signal, std::to_string(WTERMSIG(status_)));
  else send(RecordKind::exit, std::to_string(code));
  // After any other code mpirun ends the job within a second or two. Ranks that were asked to end finish their step.
  return asked_ || code == kEndedByRequest ? 0 : code;
}

int Agent::run() {
  start();
  if (refused_ != 0) return refused_;
  while (!ended_ && !orphaned_) {
    pollfd ready[] = {{signals_.descriptor(), POLLIN, 0}, {out_.read.number(), POLLIN, 0}, {err_.read.number(), POLLIN, 0}};
    poll(ready, 3, kPollMs);
    if (ready[0].revents) read_signals();
    if (ready[1].revents) forward(RecordKind::out, out_.read);
    if (ready[2].revents) forward(RecordKind::err, err_.read);
    orphaned_ = orphaned_ || getppid() != parent_;
  }
  // Without mpirun there is no job: not for the program, and not for what it has started, of the group that mpirun made for this rank.
  if (orphaned_ && !ended_) kill(getpgrp() == getpid() ? 0 : child_, SIGKILL);
  drain();
  return report();
}

}  // namespace

int run_agent(bool terminal, char** argv) { return Agent(terminal && environment_number("OMPI_COMM_WORLD_RANK", 0) == 0, argv).run(); }

}  // namespace lockstep::launch

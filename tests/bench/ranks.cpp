#include "ranks.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>

#include <lockstep/dist/world.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::bench {
namespace {

constexpr const char* kLaunched = "LOCKSTEP_BENCH_LAUNCHED";

/// Seconds since the machine was started: the same clock for all of its processes.
double uptime() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

/// The program and its arguments, as they were given.
std::vector<std::string> own_command_line() {
  char program[PATH_MAX] = {};
  if (readlink("/proc/self/exe", program, sizeof program - 1) < 0) throw UnavailableError(std::string("the program's own file is not known: ") + std::strerror(errno), "bench");
  std::vector<std::string> arguments;
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  for (std::string each; std::getline(file, each, '\0');) arguments.push_back(each);
  arguments.at(0) = program;
  return arguments;
}

}  // namespace

bool is_rank() {
  return dist::detect_launch([](const char* name) -> const char* { return std::getenv(name); }) != dist::Launch::alone;
}

void run_as_ranks(int ranks, const std::vector<std::string>& settings, std::string* printed) {
  // (Root, and more ranks than cores, are nothing unusual in containers.)
  std::vector<std::string> command{"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", "-n", std::to_string(ranks)};
  std::vector<std::string> variables = settings;
  variables.insert(variables.end(), {"OMP_NUM_THREADS=1", kLaunched + ("=" + std::to_string(uptime()))});
  for (const std::string& each : variables) command.insert(command.end(), {"-x", each});
  for (const std::string& each : own_command_line()) command.push_back(each);
  std::vector<char*> arguments;
  for (std::string& each : command) arguments.push_back(each.data());
  arguments.push_back(nullptr);

  int ends[2] = {-1, -1};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (printed) {
    if (pipe(ends) != 0) throw UnavailableError(std::string("no pipe: ") + std::strerror(errno), "bench");
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
  }
  pid_t child = 0;
  const int failed = posix_spawnp(&child, "mpirun", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (printed) {
    close(ends[1]);
    char text[4096];
    for (ssize_t n; !failed && ((n = read(ends[0], text, sizeof text)) > 0 || (n < 0 && errno == EINTR));)
      if (n > 0) printed->append(text, std::size_t(n));
    close(ends[0]);
  }
  if (failed) throw UnavailableError(std::string("mpirun cannot be started: ") + std::strerror(failed), "bench", "install openmpi-bin");
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (status != 0) throw UnavailableError("the job of " + std::to_string(ranks) + " ranks failed", "bench");
}

double seconds_since_launch() {
  if (const char* launched = std::getenv(kLaunched)) return uptime() - std::stod(launched);
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream rest(text.substr(text.rfind(')') + 1));
  std::string word;
  for (int field = 3; field <= 22; ++field) rest >> word;
  return uptime() - std::stod(word) / double(sysconf(_SC_CLK_TCK));
}

}  // namespace lockstep::bench

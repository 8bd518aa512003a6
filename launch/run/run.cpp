#include "run.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include <lockstep/tensor/base/error.h>

#include "command_line.h"
#include "job.h"
#include "outcome.h"
#include "signals.h"

namespace lockstep::launch {
namespace {

using Clock = Job::Clock;

constexpr double kLongestBackoff = 60;

/// Waits before a restart. The signal by which the user stops it, 0 if none came.
int wait_for_restart(Signals& signals, double seconds, Clock::time_point deadline) {
  const auto until = std::min(deadline, Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)));
  for (auto now = Clock::now(); now < until; now = Clock::now()) {
    pollfd ready{signals.descriptor(), POLLIN, 0};
    poll(&ready, 1, int(std::chrono::ceil<std::chrono::milliseconds>(until - now).count()));
    while (const std::optional<int> signal = signals.next())
      if (*signal == SIGINT || *signal == SIGTERM || *signal == SIGHUP) return *signal;
  }
  return 0;
}

/// Attempts until one is the last.
int attempts(const RunOptions& options, const JobPlan& plan, Printer& printer) {
  Signals signals{SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const bool terminal = isatty(STDOUT_FILENO) == 1 && options.prefix != Prefix::all;
  const auto deadline = options.timeout > 0 ? Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.timeout)) : Clock::time_point::max();
  bool ran = false;
  double backoff = options.backoff;
  for (int restart = 0;; ++restart, backoff = std::min(2 * backoff, kLongestBackoff)) {
    const Command command = mpirun_command(options, plan, self, terminal, restart);
    if (options.verbose) printer.say(shown(command.arguments));
    const JobEnd end = Job(command, options, plan.ranks, printer, signals, deadline).run();
    const Outcome outcome = judge(end, options.restart_on, ran);
    ran = ran || end.started > 0;
    if (outcome.shows_mpirun_text)
      for (const std::string& line : readable_lines(end.mpirun_text.substr(end.shown))) printer.say("mpirun: " + line);
    for (const std::string& line : outcome.lines) printer.say(line);
    if (!outcome.restartable || restart == options.max_restarts) {
      if (outcome.restartable && restart > 0) printer.say("no restart is left of " + std::to_string(options.max_restarts));
      return outcome.code;
    }
    printer.say("restart " + std::to_string(restart + 1) + " of " + std::to_string(options.max_restarts) + " in " + seconds_text(backoff));
    if (const int signal = wait_for_restart(signals, backoff, deadline)) return kSignal + signal;
    if (Clock::now() >= deadline) {
      printer.say("the job ran past its time (--timeout)");
      return kTimedOut;
    }
  }
}

}  // namespace

int run(const RunOptions& options) {
  Printer printer(options.prefix, STDOUT_FILENO, STDERR_FILENO);
  try {
    return attempts(options, plan_job(options), printer);
  } catch (const InvalidArgumentError& error) {
    printer.say(error.what());
    return kUsage;
  } catch (const NotFoundError& error) {
    printer.say(error.what());
    return kNotFound;
  } catch (const std::exception& error) {
    printer.say(error.what());
    return kFailed;
  }
}

}  // namespace lockstep::launch

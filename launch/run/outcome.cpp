#include "outcome.h"

#include <re2/re2.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>

#include "agent.h"

namespace lockstep::launch {
namespace {

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

int code_of(const RankEnd& end) {
  switch (end.how) {
    case RankEnd::How::exit: return end.value;
    case RankEnd::How::signal: return kSignal + end.value;
    case RankEnd::How::refused: break;
  }
  return end.value == ENOENT ? kNotFound : kCannotStart;
}

/// The smaller, the nearer to the cause. Who ends with kPeerLost has seen another go; who was asked to end has done so.
int distance_to_cause(const RankEnd& end) {
  if (end.told) return 4;
  const int code = code_of(end);
  if (code == kEndedByRequest) return 3;
  if (code == kPeerLost) return 2;
  return end.how == RankEnd::How::exit ? 1 : 0;
}

/// "ended with exit code 143 (asked to end)"
std::string how_it_ended(const RankEnd& end, const std::string& program) {
  if (end.how == RankEnd::How::refused) return "could not start " + program + ": " + std::strerror(end.value);
  if (end.how == RankEnd::How::signal) return "died of " + signal_name(end.value) + (end.value == SIGKILL ? " (often the kernel's, when memory runs out)" : "");
  std::string code = "ended with exit code " + std::to_string(end.value);
  switch (end.value) {
    case kUsage: return code + " (wrong arguments)";
    case kPeerLost: return code + " (a collective ran past its deadline, or a peer was lost)";
    case kEndedByRequest: return code + " (asked to end)";
    default: return code;
  }
}

/// "rank 1 (pid 123 on h2)", "ranks 0, 1 and 2"
std::string names(const std::vector<const RankEnd*>& ends) {
  if (ends.size() == 1) {
    const RankEnd& end = *ends[0];
    return "rank " + std::to_string(end.rank) + (end.pid ? " (pid " + std::to_string(end.pid) + " on " + end.host + ")" : end.host.empty() ? "" : " (on " + end.host + ")");
  }
  std::vector<int> ranks;
  for (const RankEnd* end : ends) ranks.push_back(end->rank);
  std::sort(ranks.begin(), ranks.end());
  std::string text = "ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i) text.append(i == 0 ? "" : i + 1 == ranks.size() ? " and " : ", ").append(std::to_string(ranks[i]));
  return text;
}

std::string after(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, " after %.1f s", seconds);
  return seconds > 0 ? text : "";
}

std::string lost_host(const std::string& text) {
  static const RE2 lost(R"(Remote daemon: \S+ on node (\S+))");
  std::string host;
  return RE2::PartialMatch(text, lost, &host) ? "the host " + host : "a host, or the connection to it,";
}

/// One sentence for all that ended alike, the cause first.
std::vector<std::string> describe(const JobEnd& job, const std::vector<RankEnd>& failed) {
  std::vector<std::string> lines;
  std::map<std::pair<int, std::string>, std::vector<const RankEnd*>> alike;
  for (const RankEnd& end : failed) alike[{distance_to_cause(end), how_it_ended(end, job.program)}].push_back(&end);
  for (const auto& [what, ends] : alike) lines.push_back(names(ends) + " " + what.second + (lines.empty() && ends[0]->how != RankEnd::How::refused ? after(ends[0]->seconds) : ""));
  const int others = job.started - int(failed.size());
  const auto told = std::count_if(job.ends.begin(), job.ends.end(), [](const RankEnd& end) { return end.told; });
  if (!lines.empty() && told > 0) lines[0] += others == 1 ? "; the other rank was ended" : "; the other ranks were ended";
  return lines;
}

}  // namespace

bool find_end_in_text(const std::string& text, RankEnd& end) {
  static const RE2 exit(R"(Process name: \[\[\d+,\d+\],(\d+)\]\s+Exit code:\s+(\d+))");
  static const RE2 abort(R"((?s)MPI_ABORT was invoked on rank (\d+) in communicator .*?with errorcode (-?\d+))");
  static const RE2 signal(R"(process rank (\d+) with PID (\d+) on node (\S+) exited on\s+signal (\d+))");
  end = {};
  if (RE2::PartialMatch(text, abort, &end.rank, &end.value) || RE2::PartialMatch(text, exit, &end.rank, &end.value)) {
    end.value &= 255;
    return true;
  }
  if (!RE2::PartialMatch(text, signal, &end.rank, &end.pid, &end.host, &end.value)) return false;
  end.how = RankEnd::How::signal;
  return true;
}

Outcome judge(const JobEnd& job, const std::vector<int>& restart_on, bool ran_before) {
  std::vector<RankEnd> failed;
  for (const RankEnd& end : job.ends)
    if (!end.told && code_of(end) != kOk) failed.push_back(end);
  // MPI_Abort: mpirun ends all ranks, and says who wanted it.
  RankEnd from_text;
  if (failed.empty() && find_end_in_text(job.mpirun_text, from_text) && !(job.interrupted || job.timed_out)) failed.push_back(from_text);
  std::stable_sort(failed.begin(), failed.end(), [](const RankEnd& a, const RankEnd& b) { return distance_to_cause(a) < distance_to_cause(b); });

  Outcome outcome;
  outcome.lines = describe(job, failed);
  if (!failed.empty()) outcome.code = code_of(failed[0]);
  if (job.timed_out) {
    outcome.lines.insert(outcome.lines.begin(), "the job ran past its time (--timeout)");
    outcome.code = kTimedOut;
  } else if (job.interrupted) {
    // Ranks that ended well, although they were asked to end, have finished.
    const bool all_well = failed.empty() && std::none_of(job.ends.begin(), job.ends.end(), [](const RankEnd& end) { return end.told; }) && job.mpirun_code == 0;
    if (!all_well) outcome.code = kSignal + job.interrupted;
  } else if (!failed.empty()) {
    const RankEnd& cause = failed[0];
    const bool listed = std::find(restart_on.begin(), restart_on.end(), outcome.code) != restart_on.end();
    outcome.restartable = cause.how == RankEnd::How::signal || (cause.how == RankEnd::How::exit && (outcome.code == kPeerLost || listed));
  } else if (job.mpirun_code != 0) {
    // mpirun gave up: a host that cannot be reached, or was lost.
    outcome.code = job.mpirun_code > 0 && job.started == 0 ? kCannotStart : kPeerLost;
    if (job.started == job.ranks && int(job.ends.size()) == job.ranks) outcome.code = kFailed;  // all ended well, but not as MPI wants it
    outcome.restartable = outcome.code == kPeerLost || (ran_before && outcome.code == kCannotStart);
    outcome.shows_mpirun_text = true;
    if (job.started == 0) outcome.lines.emplace_back("mpirun did not start the program; ssh must reach every host without a password, and find Open MPI and lockstep where they are here");
    else outcome.lines.push_back(outcome.code == kPeerLost ? lost_host(job.mpirun_text) + " was lost" : "mpirun was not content with how the program ended");
  }
  return outcome;
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", seconds);
  return text;
}

std::vector<std::string> readable_lines(const std::string& text) {
  std::vector<std::string> readable;
  std::istringstream lines(text);
  bool guesses = false;
  for (std::string line; std::getline(lines, line);) {
    const bool ruler = line.find_first_not_of("-= \t\r") == std::string::npos;
    guesses = line.starts_with("This usually is caused by") || line.starts_with("This is usually due to") || (guesses && !line.starts_with("-----"));
    if (!ruler && !guesses && line.find("Forwarding signal") == std::string::npos) readable.push_back(line);
  }
  return readable;
}

}  // namespace lockstep::launch

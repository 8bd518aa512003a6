#pragma once
// How a job ended: which rank was the first to go and why, in a sentence; with which code `lockstep run` ends; whether to start again.

#include <string>
#include <vector>

namespace lockstep::launch {

/// Exit codes of `lockstep run`; any other is that of the rank that failed.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kPeerLost = 75,
  kTimedOut = 124,
  kCannotStart = 126,
  kNotFound = 127,
  kSignal = 128,  // + its number
};

/// How the program of one rank ended.
struct RankEnd {
  int rank = 0;
  enum class How { exit, signal, refused } how = How::exit;
  int value = 0;      // exit code, signal or errno
  bool told = false;  // it ended because mpirun told it to: a consequence, no cause
  std::string host = {};
  int pid = 0;
  double seconds = 0;  // since the start of the job
};

/// All that is known of one attempt.
struct JobEnd {
  std::string program;
  int ranks = 0;
  int started = 0;            // ranks whose program ran
  std::vector<RankEnd> ends;  // in the order of their arrival
  int mpirun_code = 0;
  std::string mpirun_text;    // what mpirun had to say
  std::size_t shown = 0;      // bytes of it that were shown
  int interrupted = 0;        // the signal by which the user asked for an end
  bool timed_out = false;
};

struct Outcome {
  int code = kOk;
  bool restartable = false;
  bool shows_mpirun_text = false;  // because nothing better is known
  std::vector<std::string> lines;
};

/// `restart_on`: exit codes besides kPeerLost after which another attempt is worth it. `ran_before`: an earlier attempt got as far as starting the program.
Outcome judge(const JobEnd& end, const std::vector<int>& restart_on, bool ran_before);

/// What mpirun's own text says of the rank that ended first, if the rank's agent could not.
bool find_end_in_text(const std::string& text, RankEnd& end);

/// "0.5 s", "30 s"
std::string seconds_text(double seconds);

/// The lines of mpirun's text that tell something: without rulers, its own bookkeeping and the pages of what might be wrong.
std::vector<std::string> readable_lines(const std::string& text);

}  // namespace lockstep::launch

#pragma once
// One attempt: mpirun from its start to its end, with everything in between that comes from the ranks and from the user.

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>

#include "command_line.h"
#include "descriptor.h"
#include "outcome.h"
#include "printer.h"
#include "signals.h"
#include "wire.h"

namespace lockstep::launch {

class Job {
 public:
  using Clock = std::chrono::steady_clock;
  /// `deadline`: when the job has had its time.
  Job(const Command& command, const RunOptions& options, int ranks, Printer& printer, Signals& signals, Clock::time_point deadline);
  JobEnd run();

 private:
  void start();
  void receive(int rank, RecordKind kind, std::string_view payload);
  void ended(RankEnd end);
  void read_signals();
  void ask(int signal);
  void tell_mpirun(int signal) const;
  void end_mpirun();
  void enforce();
  void read_ranks();
  void read_text();
  void show_text();
  int wait_ms() const;

  const Command& command_;
  const RunOptions& options_;
  Printer& printer_;
  Signals& signals_;
  Clock::time_point timeout_, started_at_ = Clock::now();
  Clock::time_point patience_ = Clock::time_point::max();  // when mpirun is told to end, and then made to
  Decoder decoder_;
  Pipe out_, err_;
  pid_t mpirun_ = -1;
  int status_ = 0;
  bool over_ = false, ending_ = false;
  std::map<int, RankEnd> started_;  // where each rank runs
  JobEnd end_;
  std::string text_;  // of mpirun itself
  std::size_t shown_ = 0;
  Clock::time_point text_since_;
};

}  // namespace lockstep::launch

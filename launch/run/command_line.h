#pragma once
// The command line of mpirun for a job: an argument vector, for no shell has a say in it.

#include <string>
#include <utility>
#include <vector>

#include "hosts.h"
#include "run.h"

namespace lockstep::launch {

struct Command {
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // what mpirun gets besides ours
};

/// What the options ask for, judged. Throws InvalidArgumentError, or NotFoundError for what is not there.
struct JobPlan {
  int ranks = 0;
  std::vector<Host> hosts;  // empty: this machine, or what a batch system gave us
  std::string mpirun;       // its path
};
JobPlan plan_job(const RunOptions& options);

/// `agent`: the path of the lockstep command. `terminal`: rank 0 writes to one. `restart`: how often the job was started again.
Command mpirun_command(const RunOptions& options, const JobPlan& plan, const std::string& agent, bool terminal, int restart);

/// For people to read, and to paste into a shell.
std::string shown(const std::vector<std::string>& arguments);

}  // namespace lockstep::launch

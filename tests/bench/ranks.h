#pragma once
// Benchmarks of many ranks start themselves: the command runs its own command line again under mpirun, where it finds that it is a rank.

#include <string>
#include <vector>

namespace lockstep::bench {

/// Is this process one of those that mpirun or srun started?
bool is_rank();

/// Runs this process's command line on `ranks` ranks of one thread each on this machine, with `settings` (NAME=VALUE) in their environment.
/// They print where this process prints, or into `printed`. Throws UnavailableError if mpirun cannot be started or fails.
void run_as_ranks(int ranks, const std::vector<std::string>& settings, std::string* printed = nullptr);

/// Seconds since run_as_ranks() of the process that started this rank; since the process's own start if nobody did.
double seconds_since_launch();

}  // namespace lockstep::bench

#pragma once
// The launcher's side of a rank. mpirun starts one agent per rank, on the rank's host; the agent gives the rank its cores, starts the
// program, sends its output home in records that mpirun cannot mangle, passes signals on and says how the program ended: mpirun itself
// tells of the first rank that failed only, and gives no rank the time to end well.

#include <signal.h>

namespace lockstep::launch {

/// What mpirun is told to pass on to all processes of a rank means this to the agent. By default both do nothing to a program.
constexpr int kTerminateRank = SIGURG, kInterruptRank = SIGWINCH;

/// The exit code of a program that ended early, and well, because it was asked to.
constexpr int kEndedByRequest = 143;

/// Runs argv[0], with its arguments up to a null pointer, as the rank that the environment tells of. `terminal`: give rank 0 a terminal to write to. Returns the exit code.
int run_agent(bool terminal, char** argv);

}  // namespace lockstep::launch

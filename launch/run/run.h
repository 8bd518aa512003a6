#pragma once
// `lockstep run`: starts a program on many ranks, keeps watch over it, and starts it again when that is worth it.

#include <string>
#include <vector>

#include "printer.h"

namespace lockstep::launch {

struct RunOptions {
  int ranks = 0;          // 0: as many as the hosts take, 1 without hosts
  std::string hosts;      // "h1:2,h2:2"
  std::string host_file;  // or a file of them
  std::string interface;  // the network between hosts: a device or an address range
  std::string ssh_config;
  int max_restarts = 0;
  double backoff = 1;  // seconds before the first restart; twice as long before each further one
  std::vector<int> restart_on;
  double timeout = 0;  // seconds for the whole job, 0: none
  double grace = 30;   // seconds to end when asked to
  Prefix prefix = Prefix::others;
  bool bind = true;
  std::vector<std::string> exports;  // NAME or NAME=VALUE
  std::vector<std::string> mca;      // NAME=VALUE for Open MPI
  std::string mpirun = "mpirun";
  bool verbose = false;
  std::vector<std::string> program;  // and its arguments, verbatim
};

/// Runs the job to its end and returns the exit code (launch/README.md lists them).
int run(const RunOptions& options);

}  // namespace lockstep::launch

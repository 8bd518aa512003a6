#pragma once
// Where the ranks of a job are: which host each runs on, and how they are numbered there.

#include <string>
#include <vector>

namespace lockstep::dist {

/// One rank's view of the job. Hosts are numbered in the order of their lowest rank.
struct Topology {
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;  // within the host
  int local_size = 1;
  int host = 0;
  std::vector<int> host_of{0};           // by rank
  std::vector<std::string> host_names;   // by host; empty alone

  int hosts() const;
  /// Do the hosts have equally many ranks, numbered host by host? Only then can sums inside the hosts be parts of one tree over all ranks.
  bool uniform() const;
};

/// "rank 3 of 4 on host node7 (2 hosts)"
std::string to_string(const Topology& topology);

}  // namespace lockstep::dist

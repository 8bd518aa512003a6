#pragma once
// Which cores of its host a rank gets.

#include <sched.h>

#include <optional>

namespace lockstep::launch {

/// What a rank has of its host.
struct CoreShare {
  int host_cores = 1;              // that this process may use
  int cores = 1;                   // of these, for the rank
  std::optional<cpu_set_t> bound;  // where to keep the rank; none if it shares its cores
};

/// The share of the `local_rank`-th of `local_ranks` on this host. The ranks get neighbouring cores, disjoint while there are enough of them.
CoreShare core_share(int local_rank, int local_ranks);

}  // namespace lockstep::launch

#include "cores.h"

#include <hwloc.h>
#include <hwloc/glibc-sched.h>

#include <algorithm>
#include <vector>

namespace lockstep::launch {
namespace {

struct Topology {
  hwloc_topology_t handle = nullptr;
  bool usable = false;
  Topology() {
    if (hwloc_topology_init(&handle) != 0) return;
    usable = hwloc_topology_load(handle) == 0;
    // A container or a batch system leaves us some of the machine.
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    if (usable && hwloc_get_cpubind(handle, allowed, HWLOC_CPUBIND_PROCESS) == 0 && !hwloc_bitmap_iszero(allowed)) hwloc_topology_restrict(handle, allowed, 0);
    hwloc_bitmap_free(allowed);
  }
  ~Topology() {
    if (handle) hwloc_topology_destroy(handle);
  }
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;
};

}  // namespace

CoreShare core_share(int local_rank, int local_ranks) {
  CoreShare share;
  const Topology topology;
  if (!topology.usable) return share;
  share.host_cores = std::max(1, hwloc_get_nbobjs_by_type(topology.handle, HWLOC_OBJ_CORE));
  share.cores = std::max(1, share.host_cores / local_ranks);
  if (local_ranks == 1 || local_ranks > share.host_cores || local_rank >= local_ranks) return share;

  std::vector<hwloc_bitmap_t> sets(std::size_t(local_ranks), nullptr);
  hwloc_obj_t root = hwloc_get_root_obj(topology.handle);
  if (hwloc_distrib(topology.handle, &root, 1, sets.data(), unsigned(local_ranks), hwloc_get_type_depth(topology.handle, HWLOC_OBJ_CORE), 0) != 0) return share;
  const hwloc_bitmap_t mine = sets[std::size_t(local_rank)];
  cpu_set_t bound;
  if (hwloc_cpuset_to_glibc_sched_affinity(topology.handle, mine, &bound, sizeof bound) == 0) {
    share.bound = bound;
    share.cores = std::max(1, hwloc_get_nbobjs_inside_cpuset_by_type(topology.handle, mine, HWLOC_OBJ_CORE));
  }
  for (const hwloc_bitmap_t set : sets) hwloc_bitmap_free(set);
  return share;
}

}  // namespace lockstep::launch

#include <lockstep/dist/topology.h>

#include <algorithm>

namespace lockstep::dist {

int Topology::hosts() const { return 1 + *std::max_element(host_of.begin(), host_of.end()); }

bool Topology::uniform() const {
  if (world_size % hosts() != 0) return false;
  const int each = world_size / hosts();
  for (int r = 0; r < world_size; ++r)
    if (host_of[std::size_t(r)] != r / each) return false;
  return true;
}

std::string to_string(const Topology& topology) {
  std::string text = "rank " + std::to_string(topology.rank) + " of " + std::to_string(topology.world_size);
  if (!topology.host_names.empty()) text += " on host " + topology.host_names[std::size_t(topology.host)];
  if (topology.hosts() > 1) text += " (" + std::to_string(topology.hosts()) + " hosts)";
  return text;
}

}  // namespace lockstep::dist

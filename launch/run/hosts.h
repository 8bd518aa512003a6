#pragma once
// The hosts of a job and how many ranks each takes.

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::launch {

struct Host {
  std::string name;
  int slots = 1;
};

/// "h1:2,h2:2"; a host without a number takes one rank. Throws InvalidArgumentError.
std::vector<Host> parse_hosts(std::string_view text);

/// The lines of a host file: "h1 slots=2", "h1:2" or "h1"; # starts a comment. `text` is the file's, `path` its name in errors.
std::vector<Host> parse_host_file(std::string_view text, const std::string& path);

/// Ranks that fit on all of them.
int total_slots(const std::vector<Host>& hosts);

}  // namespace lockstep::launch

#include "hosts.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <lockstep/tensor/base/error.h>

namespace lockstep::launch {
namespace {

int slots_of(std::string_view text, std::string_view where) {
  int slots = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slots);
  if (error != std::errc() || end != text.data() + text.size() || slots < 1)
    throw InvalidArgumentError("a host takes a positive number of ranks, not '" + std::string(text) + "' (" + std::string(where) + ")");
  return slots;
}

/// "NAME" or "NAME:SLOTS".
Host parse_host(std::string_view text, std::string_view where) {
  const std::size_t colon = text.rfind(':');
  const std::string_view name = text.substr(0, colon);
  // A name goes to ssh and to mpirun as an argument, and must not be taken for an option or for several.
  const auto odd = [](char c) { return c == ',' || c == ' ' || c == '\t' || c == '=' || c == ';'; };
  if (name.empty() || name[0] == '-' || std::any_of(name.begin(), name.end(), odd)) throw InvalidArgumentError("'" + std::string(text) + "' names no host (" + std::string(where) + ")");
  return {std::string(name), colon == std::string_view::npos ? 1 : slots_of(text.substr(colon + 1), where)};
}

/// A host that stands there twice takes the ranks of both.
void add_host(std::vector<Host>& hosts, Host host) {
  const auto same = std::find_if(hosts.begin(), hosts.end(), [&](const Host& other) { return other.name == host.name; });
  if (same == hosts.end()) hosts.push_back(std::move(host));
  else same->slots += host.slots;
}

}  // namespace

std::vector<Host> parse_hosts(std::string_view text) {
  std::vector<Host> hosts;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    add_host(hosts, parse_host(text.substr(start, comma - start), "of '" + std::string(text) + "'; hosts are h1:2,h2:2"));
    start = comma + 1;
  }
  return hosts;
}

std::vector<Host> parse_host_file(std::string_view text, const std::string& path) {
  std::vector<Host> hosts;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string where = path + ":" + std::to_string(number);
    std::istringstream words(line.substr(0, line.find('#')));
    std::string word;
    if (!(words >> word)) continue;
    Host host = parse_host(word, where);
    while (words >> word) {
      if (word.starts_with("slots=")) host.slots = slots_of(std::string_view(word).substr(6), where);
      else if (!word.starts_with("max_slots=") && !word.starts_with("max-slots=")) throw InvalidArgumentError("a line of a host file is NAME slots=N, without '" + std::string(word) + "' (" + where + ")");
    }
    add_host(hosts, std::move(host));
  }
  if (hosts.empty()) throw InvalidArgumentError("the host file " + path + " names no host");
  return hosts;
}

int total_slots(const std::vector<Host>& hosts) {
  int total = 0;
  for (const Host& host : hosts) total += host.slots;
  return total;
}

}  // namespace lockstep::launch

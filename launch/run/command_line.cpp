#include "command_line.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <lockstep/tensor/base/error.h>

extern char** environ;

namespace lockstep::launch {
namespace {

bool set(const char* name) { return std::getenv(name) != nullptr; }

/// Inside an allocation of Slurm mpirun knows the hosts, and starts its daemons with srun.
bool allocated() { return set("SLURM_JOB_ID") && set("SLURM_JOB_NODELIST"); }

std::string find_program(const std::string& name, const std::string& hint = {}) {
  const auto runs = [](const std::string& path) { return access(path.c_str(), X_OK) == 0 && !std::filesystem::is_directory(path); };
  if (name.find('/') != std::string::npos) {
    // Whether it can be run is seen when it is.
    if (std::filesystem::exists(name)) return name;
  } else {
    std::istringstream directories(set("PATH") ? std::getenv("PATH") : "/usr/bin");
    for (std::string path; std::getline(directories, path, ':');)
      if (runs(path.append("/").append(name))) return path;
  }
  throw NotFoundError("cannot find the program " + name, {}, hint);
}

std::vector<Host> read_hosts(const RunOptions& options) {
  if (!options.hosts.empty() && !options.host_file.empty()) throw InvalidArgumentError("hosts are given by --hosts or by --hostfile, not by both");
  if (!options.hosts.empty()) return parse_hosts(options.hosts);
  if (options.host_file.empty()) return {};
  std::ifstream file(options.host_file);
  if (!file) throw InvalidArgumentError("cannot read the host file " + options.host_file);
  std::stringstream text;
  text << file.rdbuf();
  return parse_host_file(text.str(), options.host_file);
}

/// "NAME=VALUE", both sides judged by what Open MPI can take.
std::pair<std::string, std::string> split_setting(const std::string& text, const char* option) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) throw InvalidArgumentError(std::string(option) + " wants NAME=VALUE, not '" + text + "'");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// Names of variables for all ranks: how many threads, Lockstep's own, where libraries are, and what the user asks for.
std::set<std::string> exported(const RunOptions& options, Command& command) {
  std::set<std::string> names;
  for (char** entry = environ; *entry; ++entry) {
    const std::string name(std::string_view(*entry).substr(0, std::string_view(*entry).find('=')));
    if (name.starts_with("LOCKSTEP_") || name.starts_with("OMP_") || name.starts_with("CUDA_") || name.starts_with("NCCL_") || name == "LD_LIBRARY_PATH") names.insert(name);
  }
  for (const auto& [name, value] : command.environment) names.insert(name);
  for (const std::string& text : options.exports) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (name.empty()) throw InvalidArgumentError("--export wants NAME or NAME=VALUE, not '" + text + "'");
    if (equals != std::string::npos) command.environment.emplace_back(name, text.substr(equals + 1));
    else if (!set(name.c_str())) throw InvalidArgumentError("--export " + name + ": there is no such variable");
    names.insert(name);
  }
  return names;
}

}  // namespace

JobPlan plan_job(const RunOptions& options) {
  JobPlan plan;
  if (options.program.empty()) throw InvalidArgumentError("no program to run", {}, "it follows after `--`: lockstep run -n 4 -- ./program");
  plan.hosts = read_hosts(options);
  const int slots = total_slots(plan.hosts);
  plan.ranks = options.ranks ? options.ranks : std::max(1, slots);
  if (slots && plan.ranks > slots) throw InvalidArgumentError(std::to_string(plan.ranks) + " ranks, but the hosts take " + std::to_string(slots), {}, "h1:2 takes two");
  // (Open MPI splits its ssh arguments at spaces.)
  if (options.ssh_config.find_first_of(" \t\"'") != std::string::npos) throw InvalidArgumentError("the path of --ssh-config has a space or a quote in it, which mpirun cannot pass to ssh");
  if (!options.ssh_config.empty() && access(options.ssh_config.c_str(), R_OK) != 0) throw InvalidArgumentError("cannot read the ssh configuration " + options.ssh_config);
  plan.mpirun = find_program(options.mpirun, "`lockstep run` needs Open MPI's mpirun (Debian: openmpi-bin)");
  // (Other hosts may have what this one lacks.)
  if (plan.hosts.empty()) find_program(options.program[0]);
  return plan;
}

Command mpirun_command(const RunOptions& options, const JobPlan& plan, const std::string& agent, bool terminal, int restart) {
  Command command;
  std::vector<std::string>& arguments = command.arguments;
  const auto add = [&](std::initializer_list<std::string> words) { arguments.insert(arguments.end(), words); };
  std::set<std::string> chosen;
  const auto parameter = [&](const std::string& name, const std::string& value) {
    if (!set(("OMPI_MCA_" + name).c_str()) && chosen.insert(name).second) add({"--mca", name, value});
  };

  add({plan.mpirun, "--tag-output", "-n", std::to_string(plan.ranks)});
  if (geteuid() == 0) add({"--allow-run-as-root"});
  // The agents bind: they see the cores of their hosts.
  add({"--bind-to", "none", "--wdir", std::filesystem::current_path().string()});
  if (plan.hosts.empty()) {
    // As many slots as asked for; a batch system has its own idea of that.
    if (allocated()) add({"--oversubscribe"});
    else add({"--host", "localhost:" + std::to_string(plan.ranks)});
  } else {
    std::string list;
    for (const Host& host : plan.hosts) list.append(list.empty() ? "" : ",").append(host.name + ":" + std::to_string(host.slots));
    add({"--map-by", "slot", "--host", list});
  }

  for (const std::string& text : options.mca) {
    const auto [name, value] = split_setting(text, "--mca");
    if (chosen.insert(name).second) add({"--mca", name, value});
  }
  // SIGURG and SIGWINCH (by its number: Open MPI has no name for it) are what the agents understand.
  parameter("ess_base_forward_signals", "SIGURG,28");
  if (plan.hosts.empty() && !allocated()) {
    // One machine: shared memory is all it takes, and looking for networks takes time.
    parameter("pml", "ob1");
    parameter("btl", "self,vader");
  } else {
    // A question nobody answers must not hang a job.
    parameter("plm_rsh_args", "-o BatchMode=yes -o ConnectTimeout=10" + (options.ssh_config.empty() ? "" : " -F " + std::filesystem::absolute(options.ssh_config).string()));
    // A host that falls silent is lost after 40 s, not after 8 minutes.
    parameter("oob_tcp_keepalive_time", "20");
    parameter("oob_tcp_keepalive_intvl", "5");
    parameter("oob_tcp_keepalive_probes", "4");
    if (!options.interface.empty()) {
      parameter("btl_tcp_if_include", options.interface);
      parameter("oob_tcp_if_include", options.interface);
    }
  }

  command.environment.emplace_back("LOCKSTEP_RESTART", std::to_string(restart));
  if (!options.bind) command.environment.emplace_back("LOCKSTEP_NO_BIND", "1");
  for (const std::string& name : exported(options, command)) add({"-x", name});
  add({agent, "agent", terminal ? "terminal" : "pipe"});
  arguments.insert(arguments.end(), options.program.begin(), options.program.end());
  return command;
}

std::string shown(const std::vector<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments) {
    const bool plain = !argument.empty() && std::all_of(argument.begin(), argument.end(), [](unsigned char c) { return std::isalnum(c) || std::strchr("-_./:,=+@%", c); });
    text += text.empty() ? "" : " ";
    if (plain) {
      text += argument;
      continue;
    }
    text += '\'';
    for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += '\'';
  }
  return text;
}

}  // namespace lockstep::launch

// The options of `lockstep run`.

#include <CLI/CLI.hpp>

#include <map>

#include "commands.h"
#include "run/run.h"

namespace lockstep::launch {

void add_run(CLI::App& app, const std::vector<std::string>& program, int& exit_code) {
  auto* command = app.add_subcommand("run", "Run a program on many ranks, here or on several hosts: lockstep run -n 4 [OPTIONS] -- ./program args");
  static RunOptions options;
  command->add_option("-n,--ranks", options.ranks, "ranks; default: as many as the hosts take, or 1")->check(CLI::Range(1, 1 << 20));
  command->add_option("--hosts", options.hosts, "hosts and the ranks each takes, filled in this order: h1:2,h2:2");
  command->add_option("--hostfile", options.host_file, "a file of them: a line is 'h1 slots=2'");
  command->add_option("--interface", options.interface, "the network between hosts: eth0, or 10.0.0.0/24");
  command->add_option("--ssh-config", options.ssh_config, "a configuration for ssh in place of the user's");
  command->add_option("--max-restarts", options.max_restarts, "start again up to N times when a rank died of a signal, ended with 75 or is lost; $LOCKSTEP_RESTART counts them")->check(CLI::NonNegativeNumber);
  command->add_option("--restart-on", options.restart_on, "exit codes besides 75 after which a restart is worth it: 3,4")->delimiter(',')->check(CLI::Range(1, 255));
  command->add_option("--backoff", options.backoff, "seconds before the first restart; twice as long before each further one, at most 60")->check(CLI::NonNegativeNumber);
  command->add_option("--timeout", options.timeout, "seconds for the whole job, restarts included")->check(CLI::PositiveNumber);
  command->add_option("--grace", options.grace, "seconds that the ranks have to end when they are asked to (default: 30)")->check(CLI::NonNegativeNumber);
  command->add_option("--prefix", options.prefix, "whose lines begin with [RANK]: others (all but rank 0, the default), all or none")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Prefix>{{"others", Prefix::others}, {"all", Prefix::all}, {"none", Prefix::none}}));
  command->add_flag("!--no-bind", options.bind, "leave it to the system on which cores a rank runs");
  command->add_option("--export", options.exports, "NAME or NAME=VALUE, a variable for all ranks; OMP_*, LOCKSTEP_* and LD_LIBRARY_PATH go along anyway")->take_all()->allow_extra_args(false);
  command->add_option("--mca", options.mca, "NAME=VALUE, a parameter for Open MPI")->take_all()->allow_extra_args(false);
  command->add_option("--mpirun", options.mpirun, "Open MPI's mpirun, if it is not the one in $PATH");
  command->add_flag("-v,--verbose", options.verbose, "show the command line of mpirun, and all that it says");
  command->footer(
      "Exit codes: 0 all ranks ended well; 2 wrong arguments; 75 a peer was lost, or a collective ran past its deadline; 124 --timeout;\n"
      "126 the program or mpirun cannot be started; 127 there is no such program; 130 interrupted; 143 asked to end by SIGTERM;\n"
      "128 + N a rank died of signal N; any other: that of the rank that failed. SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 go to all ranks.");
  command->callback([&program, &exit_code] {
    options.program = program;
    exit_code = run(options);
  });
}

}  // namespace lockstep::launch

// The `lockstep` command. Each subcommand is one function; `lockstep --help` lists them.

#include <CLI/CLI.hpp>

#include <iostream>

#include <lockstep/lockstep.h>

int main(int argc, char** argv) {
  CLI::App app{"Lockstep: data-parallel training in lockstep"};
  app.set_version_flag("--version", std::string("lockstep " LOCKSTEP_VERSION));
  app.require_subcommand(1);
  CLI::App* ops = app.add_subcommand("ops", "list the op table");
  ops->callback([] {
    for (const lockstep::OpDef& op : lockstep::op_table()) std::cout << op.name << "  " << op.doc << "\n";
  });
  CLI11_PARSE(app, argc, argv);
  return 0;
}

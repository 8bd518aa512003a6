#pragma once
// The subcommands of `lockstep`.

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lockstep::launch {

/// `lockstep ops`: the op table as a list, one op in full, or a Markdown page. Throws NotFoundError for an unknown op.
void list_ops(const std::string& name, bool markdown);

/// `lockstep devices`: what can compute here (memory, topology, versions of driver and libraries), or why no GPU does.
void list_devices();

/// `lockstep run`, whose program and arguments were taken off the command line: CLI11 would look for options in them.
void add_run(CLI::App& app, const std::vector<std::string>& program, int& exit_code);

struct InspectOptions {
  /// A generation of a checkpoint, or a directory of them.
  std::string path;
  /// Prints one hash of all tensors, whatever their distribution over files.
  bool hash = false;
  /// Another one to compare with.
  std::string diff = {};
};
/// `lockstep inspect`: the tensors of a checkpoint and where they are, and whether the files are whole. Returns the exit code: 1 where two differ.
/// Throws NotFoundError, DataLossError.
int inspect(const InspectOptions& options);

}  // namespace lockstep::launch

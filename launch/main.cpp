// The `lockstep` command. `lockstep --help` lists the subcommands.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <bench/bench.h>
#include <lockstep/io/keras_files.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/device.h>

#include "commands.h"
#include "run/agent.h"

namespace {

void add_ops(CLI::App& app) {
  auto* ops = app.add_subcommand("ops", "List the ops, or say everything about one");
  static std::string name;
  static bool markdown = false;
  ops->add_option("name", name, "an op");
  ops->add_flag("--markdown", markdown, "as a Markdown page");
  ops->callback([] { lockstep::launch::list_ops(name, markdown); });
}

void add_devices(CLI::App& app) {
  auto* devices = app.add_subcommand("devices", "List the devices that can compute, or say why a GPU cannot");
  devices->callback([] { lockstep::launch::list_devices(); });
}

void add_bench(CLI::App& app) {
  auto* bench = app.add_subcommand("bench", "Measure speed beside what limits it");
  static std::string suite;
  static std::string filter;
  static bool json = false;
  static double seconds = 1;
  static std::string workload;
  static std::optional<int> threads;
  static std::optional<std::int64_t> batch;
  static std::string device;
  static bool profile = false;
  static bool fit = false;
  static lockstep::bench::AllReduceOptions all_reduce;
  static lockstep::bench::ScalingOptions scaling;
  static std::vector<int> ranks;
  static lockstep::bench::CheckpointOptions checkpoint;
  static lockstep::bench::InputPipelineOptions pipeline;
  bench->add_option("suite", suite, "eager, ops, graph, pipeline, steps, allreduce, scaling or checkpoint")->required()->check(CLI::IsMember({"eager", "ops", "graph", "pipeline", "steps", "allreduce", "scaling", "checkpoint"}));
  bench->add_option("--filter", filter, "only the cases whose name contains this");
  bench->add_flag("--json", json, "one JSON line per case");
  bench->add_option("--seconds", seconds, "time per case")->check(CLI::PositiveNumber);
  bench->add_option("--workload", workload, "steps, scaling: book_mlp, mlp, cnn, resnet20, gpt or gpt2 (124 million parameters, for a GPU); default: all but gpt2 (steps), mlp (scaling)");
  bench->add_option("--device", device, "ops, steps: cpu, cuda or cuda:N; default: what LOCKSTEP_DEVICE chooses, else the CPU");
  bench->add_option("--batch", batch, "steps: rows of a batch, if others than the workload's own")->check(CLI::PositiveNumber);
  bench->add_option("--threads", threads, "steps: threads of an op, 1 if not given; pipeline: threads that decode, 2 if not given")->check(CLI::PositiveNumber);
  bench->add_flag("--profile", profile, "steps: also where the time goes, op by op");
  bench->add_flag("--fit", fit, "steps: Model::fit itself (book_mlp, mlp)");
  bench->add_option("--ranks", ranks, "allreduce: how many ranks; scaling: each number of them: 1,2,4")->delimiter(',')->check(CLI::Range(1, 1 << 12));
  bench->add_option("--min", all_reduce.least, "allreduce: bytes of the least message (64k, 32m)")->transform(CLI::AsSizeValue(false));
  bench->add_option("--max", all_reduce.most, "allreduce: bytes of the largest message")->transform(CLI::AsSizeValue(false));
  bench->add_option("--dtype", all_reduce.dtype, "allreduce: of the elements (MPI_Allreduce beside it: always float32)");
  bench->add_option("--op", all_reduce.op, "allreduce: sum, mean, max or min");
  bench->add_option("--link-gbps", all_reduce.link_gbps, "allreduce: the speed of a host's link in Gbit/s: what share of it the sum makes use of")->check(CLI::PositiveNumber);
  bench->add_option("--mode", scaling.mode, "scaling: weak (a batch a rank) or strong (one batch for all)")->check(CLI::IsMember({"weak", "strong"}));
  bench->add_option("--shards", scaling.shards, "scaling: what so many shards cost, beside as many as ranks")->check(CLI::PositiveNumber);
  bench->add_option("--plot", scaling.plot, "scaling: an SVG file to write");
  bench->add_option("--emulate-step-ms", scaling.emulate_ms, "scaling: sleep F,B ms for forward and backward pass, as a host does while a device computes")->delimiter(',')->expected(2)->check(CLI::NonNegativeNumber);
  bench->add_option("--megabytes", checkpoint.megabytes, "checkpoint: of the weights")->check(CLI::PositiveNumber);
  bench->add_option("--rounds", checkpoint.rounds, "checkpoint: how often each is measured")->check(CLI::PositiveNumber);
  bench->add_option("--directory", checkpoint.directory, "checkpoint, pipeline: where to write");
  bench->add_option("--images", pipeline.images, "pipeline: JPEGs in the file of records")->check(CLI::PositiveNumber);
  bench->callback([] {
    namespace b = lockstep::bench;
    if (!device.empty() && suite != "ops" && suite != "steps") throw lockstep::InvalidArgumentError("--device is for ops and steps, not for " + suite, "bench");
    all_reduce.json = scaling.json = checkpoint.json = json;
    all_reduce.seconds = seconds;
    scaling.seconds = seconds;
    if (!ranks.empty()) all_reduce.ranks = ranks[0], scaling.ranks = ranks;
    if (!workload.empty()) scaling.workload = workload;
    if (suite == "allreduce") return b::run_all_reduce(all_reduce);
    if (suite == "scaling") return b::run_scaling(scaling);
    if (suite == "checkpoint") return b::run_checkpoint(checkpoint);
    if (suite == "steps") return b::run_steps({workload, threads.value_or(1), seconds, json, profile, fit, batch, device});
    if (suite == "pipeline") {
      pipeline = {.filter = filter, .seconds = seconds, .threads = threads.value_or(pipeline.threads), .images = pipeline.images, .directory = checkpoint.directory, .json = json};
      b::run_input_pipelines(pipeline);
      // Row by row from memory, and what of the signal ops a pipeline of sounds needs.
      std::vector<b::Case> cases = b::pipeline_cases();
      for (b::Case& each : b::signal_cases()) cases.push_back(std::move(each));
      if (std::any_of(cases.begin(), cases.end(), [](const b::Case& each) { return each.name.find(filter) != std::string::npos; })) b::run(std::move(cases), filter, json, seconds);
      return;
    }
    const lockstep::Device chosen = device.empty() ? lockstep::default_device() : lockstep::Device(device);
    if (suite == "ops" && !chosen.is_cpu()) return b::run_device_ops(chosen, filter, json, seconds);
    b::run(suite == "eager" ? b::eager_cases() : suite == "ops" ? b::op_cases() : b::graph_cases(), filter, json, seconds);
  });
}

void add_inspect(CLI::App& app, int& exit_code) {
  auto* inspect = app.add_subcommand("inspect", "Show a checkpoint: its tensors, where they are, and whether the files are whole");
  static lockstep::launch::InspectOptions options;
  inspect->add_option("path", options.path, "a generation (step-00000042), or a directory of them: the last one")->required();
  inspect->add_flag("--hash", options.hash, "only one hash of all tensors, independent of how many ranks wrote them");
  inspect->add_option("--diff", options.diff, "another checkpoint: name the tensors that differ; exit code 1 if any does");
  inspect->callback([&exit_code] { exit_code = lockstep::launch::inspect(options); });
}

void add_convert(CLI::App& app) {
  auto* convert = app.add_subcommand("convert", "Turn a checkpoint into one of Keras's files, one of these into another, or back: lockstep convert run/checkpoints model.keras");
  static std::string from, to;
  convert->add_option("from", from, "a checkpoint (a generation, or a directory of them: the last one), .keras, or legacy .h5")->required();
  convert->add_option("to", to, "what to write, by the ending: .keras, .h5, .weights.h5 for the weights alone; none: a directory for a checkpoint")->required();
  convert->callback([] { std::cout << lockstep::io::convert(from, to) << " is written\n"; });
}

/// What stands behind the first `--`, taken off the arguments: a program and its own, verbatim.
std::vector<std::string> take_program(int& argc, char** argv) {
  char** const end = argv + argc;
  char** const dashes = std::find_if(argv, end, [](const char* argument) { return std::strcmp(argument, "--") == 0; });
  argc = int(dashes - argv);
  return dashes == end ? std::vector<std::string>() : std::vector<std::string>(dashes + 1, end);
}

}  // namespace

int main(int argc, char** argv) {
  namespace launch = lockstep::launch;
  constexpr int kUsage = 2;
  const std::string command = argc > 1 ? argv[1] : "";
  // What mpirun starts for `lockstep run`, and nobody else does: agent pipe|terminal PROGRAM ...
  if (command == "agent" && argc > 3) return launch::run_agent(std::strcmp(argv[2], "terminal") == 0, argv + 3);
  const std::vector<std::string> program = command == "run" ? take_program(argc, argv) : std::vector<std::string>();
  CLI::App app{"Lockstep: data-parallel training in lockstep"};
  app.set_version_flag("--version", std::string("lockstep " LOCKSTEP_VERSION));
  app.require_subcommand(1);
  int exit_code = 0;
  try {
    add_ops(app);
    add_devices(app);
    add_bench(app);
    add_inspect(app, exit_code);
    add_convert(app);
    launch::add_run(app, program, exit_code);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return 0;
    if (command == "run" && program.empty()) std::cerr << "The program follows after `--`: lockstep run -n 4 -- ./program args\n";
    return kUsage;
  } catch (const lockstep::Error& error) {
    std::cerr << "lockstep: " << error.what() << "\n";
    return 1;
  }
  return exit_code;
}

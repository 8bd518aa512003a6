#pragma once
// Benchmarks behind `lockstep bench`. A case is timed by Google Benchmark, interleaved with the others of its suite so that a ratio
// holds while the machine's speed drifts, and printed as one JSON line with its ratio to a reference of the same run.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <lockstep/tensor/device.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::bench {

struct Case {
  std::string name;
  std::function<void()> body;
  double bytes = 0;         // moved per call; gives "GBps"
  double flops = 0;         // gives "GFLOPs"
  double elements = 0;      // gives "elements_per_ns"
  std::string reference = {};    // name of a case of the same suite; gives "ratio" = its time / this time (1: as fast)
};

/// Times the cases whose name contains `filter` (and what they refer to) and prints them: a table, or JSON lines. `seconds` is the
/// time per case. Throws NotFoundError if no case is left.
void run(std::vector<Case> cases, const std::string& filter, bool json, double seconds);

/// The suites: `lockstep bench eager|ops|graph|pipeline`.
std::vector<Case> eager_cases();
std::vector<Case> op_cases();
std::vector<Case> graph_cases();
std::vector<Case> pipeline_cases();
/// STFT of a minute of sound; a part of `pipeline`.
std::vector<Case> signal_cases();

/// Ten elementwise ops, one behind the other.
Tensor chain_of_ten(const Tensor& x, const Tensor& y);

/// `lockstep bench ops --device cuda`: products beside the fastest of cuBLASLt's algorithms for them, the rest beside a copy on the device, by bandwidth.
/// Throws NotFoundError if no case's name contains `filter`.
void run_device_ops(Device device, const std::string& filter, bool json, double seconds);

struct StepOptions {
  std::string workload;  // of workloads.h; empty: each of them in turn but gpt2, which is for a GPU
  int threads = 1;
  double seconds = 1;    // of timed steps, and as long for the profile
  bool json = false;
  bool profile = false;  // where the time goes, op by op
  bool fit = false;      // Model::fit itself, its shuffling, loops and metrics included (book_mlp, mlp)
  std::optional<std::int64_t> batch = {};  // rows, if others than the workload's own
  std::string device = {};  // "cpu", "cuda", "cuda:N"; empty: what LOCKSTEP_DEVICE chooses
};
/// `lockstep bench steps`: times whole training steps and prints them beside the machine's limit. Each workload has a process of its own.
/// On a GPU several steps are timed together, and the graphs that a step launches are counted.
void run_steps(const StepOptions& options);

struct AllReduceOptions {
  int ranks = 2;                 // of a command that is no rank itself
  std::int64_t least = 1 << 10;  // bytes
  std::int64_t most = 1 << 28;
  std::string dtype = "float32";
  std::string op = "sum";
  double seconds = 1;  // per size
  double link_gbps = 0;  // of a host's link, if its share is to be told
  bool json = false;
};
/// `lockstep bench allreduce`: blocking and in flight, beside MPI_Allreduce and a copy in memory. Throws InternalError where the result is wrong.
void run_all_reduce(const AllReduceOptions& options);
/// The sizes from 1 KiB to 256 MiB that lie between these.
std::vector<std::int64_t> all_reduce_sizes(std::int64_t least, std::int64_t most);

struct ScalingOptions {
  std::string workload = "mlp";       // of workloads.h; on an emulated device also resnet50
  std::vector<int> ranks{1, 2};
  std::string mode = "weak";          // each rank a whole batch, or ("strong") a part of one
  double seconds = 5;                 // of measuring, per number of ranks
  int shards = 0;                     // compare so many with as many as there are ranks; 0: the step and its reductions
  std::vector<double> emulate_ms = {};  // forward and backward pass of an emulated device; none: the host computes
  bool json = false;
  std::string plot = {};              // an SVG file to write
};
/// `lockstep bench scaling`: the data-parallel training step on each number of ranks, and what the reductions cost it.
void run_scaling(const ScalingOptions& options);

struct CheckpointOptions {
  std::int64_t megabytes = 512;
  int rounds = 3;
  /// Where to write; empty: the system's directory for temporary files.
  std::string directory = {};
  bool json = false;
};
/// Saves and loads beside a copy, a plain write with fsync and a plain read of as many bytes, and what saving costs a training. Throws ResourceExhaustedError.
void run_checkpoint(const CheckpointOptions& options);

struct InputPipelineOptions {
  std::string filter = {};     // in the case's name
  double seconds = 1;          // of reading, at least one pass
  int threads = 2;             // that decode
  std::int64_t images = 100000;
  std::string directory = {};  // where the file of JPEGs is made, and stays; empty: it goes
  bool json = false;
};
/// `lockstep bench pipeline`: samples a second of Fashion-MNIST and of a TFRecord file of JPEGs, from the files to augmented batches; the share of a training's time
/// that it waits for them; and what of structures.h a pipeline of texts needs.
void run_input_pipelines(const InputPipelineOptions& options);

}  // namespace lockstep::bench

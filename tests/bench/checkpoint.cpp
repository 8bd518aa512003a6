// `lockstep bench checkpoint`: how long a training stands still for a save, how long until the files are on the disk, and how long reading them takes, each beside
// what it cannot be faster than: a copy in memory, a plain write and fsync, and a plain read of the same bytes, in turn.

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include <nlohmann/json.hpp>

#include <lockstep/io/checkpoint_files.h>
#include <lockstep/lockstep.h>

#include "bench.h"
#include "timing.h"

namespace lockstep::bench {
namespace {

/// A directory that is removed with its owner.
struct Folder {
  std::string path;
  explicit Folder(const std::string& parent) {
    std::string pattern = parent + "/lockstep_bench_XXXXXX";
    if (!mkdtemp(pattern.data())) throw ResourceExhaustedError("cannot make a directory in '" + parent + "'", "bench");
    path = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

/// Weights of so many bytes, of the sizes that large layers have.
class Weights : public nn::Model {
 public:
  explicit Weights(std::int64_t bytes) : bytes_(bytes) { (*this)(zeros({1})); }

 protected:
  void build(const Shape& input) override {
    static_cast<void>(input);
    constexpr std::int64_t kLayer = 16 << 20;
    for (std::int64_t at = 0; at < bytes_; at += kLayer) add_weight("w" + std::to_string(at / kLayer), {std::min(kLayer, bytes_ - at) / 4}, {.initializer = "ones"});
  }
  Tensor call(const Tensor& x) override { return x; }

 private:
  std::int64_t bytes_;
};

double raw_write(const std::string& path, const std::vector<char>& bytes) {
  const auto start = Clock::now();
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::write(file, bytes.data() + at, std::min<std::size_t>(bytes.size() - at, 8 << 20));
    if (n < 0) throw ResourceExhaustedError("cannot write '" + path + "': " + std::strerror(errno), "bench");
    at += std::size_t(n);
  }
  ::fsync(file);
  ::close(file);
  return seconds_since(start);
}

double raw_read(const std::string& path, std::vector<char>& bytes) {
  const auto start = Clock::now();
  const int file = ::open(path.c_str(), O_RDONLY);
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::read(file, bytes.data() + at, std::min<std::size_t>(bytes.size() - at, 8 << 20));
    if (n <= 0) break;
    at += std::size_t(n);
  }
  ::close(file);
  return seconds_since(start);
}

/// What every step does to the weights; in place, unless a save still holds the old values.
void touch(const nn::Model& model) {
  for (const nn::Weight& weight : model.weights()) weight.variable().assign_add(1.0f);
}

void report(bool json, const nlohmann::ordered_json& line) {
  if (json) {
    std::printf("%s\n", line.dump().c_str());
  } else {
    for (const auto& [key, value] : line.items()) std::printf("%s%s ", key == "benchmark" ? "" : (key + "=").c_str(), value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    std::printf("\n");
  }
  std::fflush(stdout);
}

/// fit of the mlp, once with a checkpoint every 20 steps: seconds.
double train(const std::string& folder, bool save, std::int64_t steps) {
  nn::Sequential model({nn::InputLayer({784}), nn::Dense(512, "relu"), nn::Dense(256, "relu"), nn::Dense(10)});
  model.compile({.optimizer = optim::Adam({.learning_rate = 1e-3}), .loss = nn::losses::SparseCategoricalCrossentropy({.from_logits = true})});
  constexpr std::int64_t kBatch = 256, kEpoch = 250;  // about what Fashion-MNIST has
  const Tensor x = zeros({kBatch * kEpoch, 784}), y = zeros({kBatch * kEpoch}, int32);
  nn::FitOptions options{.batch_size = kBatch, .epochs = 1, .verbose = 0, .shuffle = false};
  model.fit(x, y, options);  // traced, and warm
  options.epochs = steps / kEpoch;
  if (save) options.callbacks = {io::ModelCheckpoint({.directory = folder, .every_steps = 20, .every_epochs = 0})};
  const auto start = Clock::now();
  model.fit(x, y, options);
  return seconds_since(start);
}

}  // namespace

void run_checkpoint(const CheckpointOptions& options) {
  const Folder folder(options.directory.empty() ? std::string(std::filesystem::temp_directory_path()) : options.directory);
  const std::int64_t bytes = options.megabytes << 20;
  Weights model(bytes);
  std::vector<char> plain(static_cast<std::size_t>(bytes), 1), other(plain.size());
  std::vector<double> copies, stalls, writes, saves, reads, loads;
  const std::string file = folder.path + "/plain";
  for (int round = 0; round < options.rounds; ++round) {
    auto start = Clock::now();
    std::memcpy(other.data(), plain.data(), plain.size());
    copies.push_back(seconds_since(start));
    // A save costs the training what the next step takes longer: it may not write where the save still reads.
    touch(model);
    start = Clock::now();
    touch(model);
    const double step = seconds_since(start);
    start = Clock::now();
    const io::Snapshot snapshot = io::take_snapshot(model);
    touch(model);
    stalls.push_back(std::max(0.0, seconds_since(start) - step));
    writes.push_back(raw_write(file, plain));
    start = Clock::now();
    const std::string generation = io::write_generation(snapshot, folder.path + "/checkpoints", dist::communicator());
    saves.push_back(seconds_since(start));
    reads.push_back(raw_read(file, other));
    start = Clock::now();
    io::load_checkpoint(model, generation);
    loads.push_back(seconds_since(start));
    std::filesystem::remove_all(folder.path + "/checkpoints");
  }
  const double copy = median(copies), stall = median(stalls), write = median(writes), save = median(saves), read = median(reads), load = median(loads);
  report(options.json, {{"benchmark", "checkpoint_stall"}, {"MB", options.megabytes}, {"ms", stall * 1e3}, {"copy_ms", copy * 1e3}, {"ratio", stall / copy}});
  report(options.json, {{"benchmark", "checkpoint_durable"}, {"MB", options.megabytes}, {"ms", save * 1e3}, {"write_fsync_ms", write * 1e3}, {"ratio", save / write}});
  report(options.json, {{"benchmark", "checkpoint_load"}, {"MB", options.megabytes}, {"ms", load * 1e3}, {"read_ms", read * 1e3}, {"ratio", read / load}});
  constexpr std::int64_t kSteps = 1000;  // of which the wait for the last save is a small part
  std::vector<double> without, with;
  for (int round = 0; round < options.rounds; ++round) {
    without.push_back(train(folder.path + "/training", false, kSteps));
    with.push_back(train(folder.path + "/training", true, kSteps));
  }
  report(options.json, {{"benchmark", "checkpoint_every_20_steps"}, {"workload", "mlp"}, {"ms_per_step", median(with) / kSteps * 1e3}, {"without_ms_per_step", median(without) / kSteps * 1e3}, {"lost", median(with) / median(without) - 1}});
}

}  // namespace lockstep::bench

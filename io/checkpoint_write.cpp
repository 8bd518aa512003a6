// Writing checkpoints. Every rank writes and syncs its shard into step-N.tmp; rank 0 hears from all, writes and syncs the manifest, renames the directory and
// syncs its parent. Whatever happens in between, what is there under a generation's name is whole.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <numeric>

#include <xxhash.h>
#include <nlohmann/json.hpp>

#include <lockstep/dist/world.h>
#include <lockstep/io/checkpoint_files.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/keras/config.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>

namespace lockstep::io {
namespace {

[[noreturn]] void fail(const std::string& what) {
  const int why = errno;
  throw ResourceExhaustedError(what + ": " + std::strerror(why), "checkpoint");
}

/// A descriptor that closes itself.
struct Descriptor {
  int number;
  explicit Descriptor(int n) : number(n) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

/// To the disk: of a file its bytes, of a directory its names.
void sync(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0 || ::fsync(file.number) < 0) fail("cannot sync '" + path + "'");
}

void write_text_file(const std::string& path, const std::string& text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.number < 0) fail("cannot make '" + path + "'");
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(file.number, text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write '" + path + "'");
    at += std::size_t(n);
  }
  if (::fsync(file.number) < 0) fail("cannot sync '" + path + "'");
}

std::string shard_name(int rank, int world_size) {
  char text[64];
  std::snprintf(text, sizeof text, "shard-%05d-of-%05d.h5", rank, world_size);
  return text;
}
std::string generation_name(std::int64_t step) {
  char text[64];
  std::snprintf(text, sizeof text, "step-%08lld", static_cast<long long>(step));
  return text;
}

/// Without its parts.
CheckpointTensor tensor_of(const nn::StateEntry& entry) { return {entry.variable.path(), {entry.variable.dtype(), entry.whole}, entry.variable.kind(), {}, entry.of_callback}; }

/// A number that is the same on all ranks if they list the same tensors: each has to write what the others take it to.
std::string fingerprint(const std::vector<nn::StateEntry>& entries) {
  std::string all;
  for (const nn::StateEntry& entry : entries) all += tensor_of(entry).dataset() + " " + to_string(TensorSpec{entry.variable.dtype(), entry.whole}) + "\n";
  return std::to_string(XXH3_64bits(all.data(), all.size()));
}

/// A rank's shard; its line for the manifest, "bytes checksum".
std::string write_shard(const Snapshot& snapshot, const std::vector<OwnedPart>& parts, const std::string& path, bool with_configs) {
  {
    hdf5::File file = hdf5::File::create(path);
    file.make_group("/state");
    for (const OwnedPart& part : parts) {
      const nn::StateEntry& entry = snapshot.entries[part.entry];
      const Tensor& value = snapshot.values[part.entry];
      const bool whole = part.begin == 0 && part.end == entry.whole.numel() && entry.variable.kind() != StateKind::sharded;
      // A sharded tensor's values begin where this rank's part does.
      const std::int64_t at = entry.variable.kind() == StateKind::sharded ? 0 : part.begin;
      file.write(tensor_of(entry).dataset(), whole ? Tensor::view(value, entry.whole) : Tensor::view(value, {part.end - part.begin}, at));
    }
    if (with_configs)
      for (const auto& [name, text] : snapshot.configs) file.write_text("/config/" + name, text);
    file.close();
  }
  sync(path);
  return std::to_string(std::filesystem::file_size(path)) + " " + checksum_of_file(path);
}

CheckpointManifest manifest_of(const Snapshot& snapshot, const std::vector<std::vector<OwnedPart>>& owned, const std::vector<std::string>& results) {
  CheckpointManifest manifest;
  manifest.world_size = int(owned.size());
  manifest.position = snapshot.position;
  for (const auto& [name, text] : snapshot.configs) manifest.configs.push_back(name);
  for (std::size_t r = 0; r < results.size(); ++r) {
    const std::size_t space = results[r].find(' ');
    manifest.files.push_back({shard_name(int(r), int(owned.size())), std::stoll(results[r].substr(0, space)), results[r].substr(space + 1)});
  }
  for (const nn::StateEntry& entry : snapshot.entries) manifest.tensors.push_back(tensor_of(entry));
  for (std::size_t r = 0; r < owned.size(); ++r)
    for (const OwnedPart& part : owned[r]) manifest.tensors[part.entry].parts.push_back({manifest.files[r].name, part.begin, part.end});
  for (CheckpointTensor& tensor : manifest.tensors) {
    std::sort(tensor.parts.begin(), tensor.parts.end(), [](const CheckpointPart& a, const CheckpointPart& b) { return a.begin < b.begin; });
    if (tensor.parts.empty()) tensor.parts.push_back({manifest.files[0].name, 0, 0});
  }
  return manifest;
}

}  // namespace

std::vector<std::vector<OwnedPart>> ownership(const std::vector<nn::StateEntry>& entries, int world_size) {
  std::vector<std::vector<OwnedPart>> owned(static_cast<std::size_t>(world_size));
  std::vector<std::int64_t> load(static_cast<std::size_t>(world_size), 0);
  const auto bytes = [](const nn::StateEntry& entry) { return entry.whole.numel() * std::int64_t(itemsize(entry.variable.dtype())); };
  std::int64_t total = 0;
  for (const nn::StateEntry& entry : entries) total += bytes(entry);
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return bytes(entries[a]) > bytes(entries[b]); });
  constexpr std::int64_t kWorthCutting = std::int64_t(1) << 20;
  for (const std::size_t i : order) {
    const nn::StateEntry& entry = entries[i];
    const std::int64_t count = entry.whole.numel();
    const bool sharded = entry.variable.kind() == StateKind::sharded;
    if (sharded || (bytes(entry) >= kWorthCutting && bytes(entry) > total / (2 * world_size) && entry.variable.kind() == StateKind::replicated)) {
      const std::int64_t each = (count + world_size - 1) / world_size;
      for (int r = 0; r < world_size; ++r) {
        const std::int64_t begin = std::min(count, each * r), end = std::min(count, each * (r + 1));
        if (begin < end) owned[std::size_t(r)].push_back({i, begin, end});
        load[std::size_t(r)] += (end - begin) * std::int64_t(itemsize(entry.variable.dtype()));
      }
      continue;
    }
    // What is empty is nobody's, and summed states are on rank 0.
    const auto least = entry.variable.kind() == StateKind::summed ? load.begin() : std::min_element(load.begin(), load.end());
    owned[std::size_t(least - load.begin())].push_back({i, 0, count});
    *least += bytes(entry);
  }
  return owned;
}

Snapshot take_snapshot(nn::Model& model) {
  if (model.compiled()) model.gather_metric_states();
  Snapshot snapshot{.entries = model.training_state(), .values = {}, .position = model.position(), .configs = {}};
  for (nn::StateEntry& entry : model.callback_state()) snapshot.entries.push_back(std::move(entry));
  for (const nn::StateEntry& entry : snapshot.entries) snapshot.values.push_back(entry.variable.peek());
  try {
    snapshot.configs.emplace_back("model", keras::model_config(model).dump());
    if (model.compiled()) snapshot.configs.emplace_back("compile", keras::compile_config(model, false).dump());
  } catch (const Error&) {  // a model, a loss or a metric of one's own that has no configuration: the weights are saved all the same
  }
  return snapshot;
}

std::string write_generation(const Snapshot& snapshot, const std::string& directory, dist::Communicator& communicator, const StepHook& hook) {
  const auto step = [&](const char* name) {
    if (hook) hook(name);
  };
  const int rank = communicator.rank(), world_size = communicator.size();
  const std::string name = generation_name(snapshot.position.step), path = directory + "/" + name, unfinished = path + ".tmp";
  const std::vector<std::vector<OwnedPart>> owned = ownership(snapshot.entries, world_size);
  const auto agreed = [&](const std::string& wrong, const char* what) {
    const std::vector<std::string> all = communicator.gather_texts(wrong, what);
    for (std::size_t r = 0; r < all.size(); ++r)
      if (!all[r].empty()) throw ResourceExhaustedError("the checkpoint '" + path + "' was not saved: rank " + std::to_string(r) + ": " + all[r], "checkpoint");
  };
  const auto attempt = [](const auto& body) -> std::string {
    try {
      body();
    } catch (const std::exception& error) {
      return error.what();
    }
    return {};
  };

  agreed(rank != 0 ? std::string() : attempt([&] {
           step("clean");
           std::filesystem::create_directories(directory);
           for (const auto& entry : std::filesystem::directory_iterator(directory))  // what a killed job left
             if (const std::string left = entry.path().filename(); left.starts_with("step-") && left.ends_with(".tmp")) std::filesystem::remove_all(entry.path());
           std::filesystem::create_directory(unfinished);
         }),
         "checkpoint begun");

  std::string line;
  const std::vector<std::string> prints = communicator.gather_texts(fingerprint(snapshot.entries), "checkpoint tensors");
  const std::string wrong = attempt([&] {
    step("shard");
    for (std::size_t r = 0; r < prints.size(); ++r)
      if (prints[r] != prints[0]) throw InvalidArgumentError("rank " + std::to_string(r) + " has other variables, or callbacks that remember other things, than rank 0", "checkpoint");
    line = write_shard(snapshot, owned[std::size_t(rank)], unfinished + "/" + shard_name(rank, world_size), rank == 0);
    step("shard written");
  });
  const std::vector<std::string> lines = communicator.gather_texts(line, "checkpoint shards");
  if (const std::vector<std::string> all = communicator.gather_texts(wrong, "checkpoint written"); std::any_of(all.begin(), all.end(), [](const std::string& each) { return !each.empty(); })) {
    std::error_code ignored;
    if (rank == 0) std::filesystem::remove_all(unfinished, ignored);
    agreed(wrong, "checkpoint given up");
  }

  std::string commit;
  if (rank == 0)
    commit = attempt([&] {
      step("manifest");
      write_text_file(unfinished + "/manifest.json", manifest_of(snapshot, owned, lines).to_json());
      step("sync");
      sync(unfinished);
      step("rename");
      // A generation of the same step changes places with the new one, so that there is one of them at any moment.
      const bool replaces = std::filesystem::exists(path);
      const std::string old = path + ".old.tmp";
      int moved = ::renameat2(AT_FDCWD, unfinished.c_str(), AT_FDCWD, path.c_str(), replaces ? RENAME_EXCHANGE : 0);
      if (moved < 0 && replaces && (errno == EINVAL || errno == ENOSYS)) {  // a file system that cannot, as NFS: the old one goes out of the way first
        moved = std::rename(path.c_str(), old.c_str());
        if (moved == 0) moved = std::rename(unfinished.c_str(), path.c_str());
      }
      if (moved < 0) fail("cannot rename '" + unfinished + "'");
      step("renamed");
      sync(directory);
      std::error_code ignored;
      for (const std::string& left : {unfinished, old}) std::filesystem::remove_all(left, ignored);
    });
  if (!commit.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(unfinished, ignored);
  }
  agreed(commit, "checkpoint committed");
  return path;
}

std::string save_checkpoint(nn::Model& model, const std::string& directory) { return write_generation(take_snapshot(model), directory, dist::communicator()); }

}  // namespace lockstep::io

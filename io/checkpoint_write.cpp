// Writing checkpoints. Every rank writes and syncs its shard into step-N.tmp; rank 0 hears from all, writes the manifest, syncs it with its own shard, renames the
// directory and syncs its parent. Whatever happens in between, what is there under a generation's name is whole.

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>

#include <xxhash.h>
#include <nlohmann/json.hpp>

#include <lockstep/dist/world.h>
#include <lockstep/io/checkpoint_files.h>
#include <lockstep/io/checksum.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/hdf5/memory.h>
#include <lockstep/io/keras/config.h>
#include <lockstep/io/output_file.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>

namespace lockstep::io {
namespace {

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

/// Where the elements of a part are: in memory, and in the file.
struct Extent {
  std::size_t part;
  std::int64_t offset;
  const std::byte* elements;
  std::size_t nbytes;
};

/// What a rank tells of its shard.
struct ShardReport {
  std::int64_t nbytes = 0;
  std::string checksum;
  std::vector<std::pair<std::int64_t, std::string>> parts;  // offset and checksum, in the order of what it owns

  std::string to_json() const { return nlohmann::json{nbytes, checksum, parts}.dump(); }
  static ShardReport from_json(const std::string& text) {
    const nlohmann::json json = nlohmann::json::parse(text);
    return {json.at(0).get<std::int64_t>(), json.at(1).get<std::string>(), json.at(2).get<std::vector<std::pair<std::int64_t, std::string>>>()};
  }
};

/// A shard without the elements of its datasets, and where these begin.
struct Frame {
  hdf5::Memory memory;
  std::vector<std::int64_t> offsets;  // by part
};

/// A shard's dataset for a part of a tensor.
TensorSpec spec_of(const nn::StateEntry& entry, const OwnedPart& part) {
  const bool whole = part.begin == 0 && part.end == entry.whole.numel() && entry.variable.kind() != StateKind::sharded;
  return {entry.variable.dtype(), whole ? entry.whole : Shape{part.end - part.begin}};
}

/// HDF5 puts it together, in memory. The saves of a training have the same datasets, save for what grows with the epochs: the last frame is kept.
std::shared_ptr<const Frame> frame_of(const Snapshot& snapshot, const std::vector<OwnedPart>& parts, const std::string& path, bool with_configs) {
  std::string key;
  for (const OwnedPart& part : parts) key += tensor_of(snapshot.entries[part.entry]).dataset() + " " + to_string(spec_of(snapshot.entries[part.entry], part)) + "\n";
  if (with_configs)
    for (const auto& [name, text] : snapshot.configs) key += name + " " + text + "\n";
  static std::mutex mutex;
  static std::string last_key;
  static std::shared_ptr<const Frame> last;
  const std::lock_guard lock(mutex);
  if (last && key == last_key) return last;

  const auto frame = std::make_shared<Frame>();
  hdf5::File file = hdf5::File::create_in(frame->memory, path);
  file.make_group("/state");
  for (const OwnedPart& part : parts) frame->offsets.push_back(file.reserve(tensor_of(snapshot.entries[part.entry]).dataset(), spec_of(snapshot.entries[part.entry], part)));
  if (with_configs)
    for (const auto& [name, text] : snapshot.configs) file.write_text("/config/" + name, text);
  file.close();
  last_key = std::move(key);
  return last = frame;
}

/// A rank's shard: the frame and the elements, written front to back, each byte once, with checksums on the way.
ShardReport write_shard(const Snapshot& snapshot, const std::vector<OwnedPart>& parts, const std::string& path, bool with_configs, OutputFile& output) {
  const std::shared_ptr<const Frame> made = frame_of(snapshot, parts, path, with_configs);
  const hdf5::Memory& frame = made->memory;
  std::vector<Extent> extents;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const OwnedPart& part = parts[i];
    const Tensor& value = snapshot.values[part.entry];
    // A sharded tensor's values begin where this rank's part does.
    const std::int64_t at = snapshot.entries[part.entry].variable.kind() == StateKind::sharded ? 0 : part.begin;
    const std::size_t size = itemsize(value.dtype());
    extents.push_back({i, made->offsets[i], static_cast<const std::byte*>(value.host_raw()) + std::size_t(at) * size, std::size_t(part.end - part.begin) * size});
  }
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
  ShardReport report{.nbytes = frame.size(), .checksum = {}, .parts = std::vector<std::pair<std::int64_t, std::string>>(parts.size())};
  Checksum around;
  std::int64_t at = 0;
  const auto write_frame_until = [&](std::int64_t end) {
    const std::string bytes = frame.bytes(at, end);
    around.add(bytes.data(), bytes.size());
    output.append(bytes);
  };
  for (const Extent& extent : extents) {
    Checksum own;
    if (extent.nbytes > 0) write_frame_until(extent.offset), at = extent.offset + std::int64_t(extent.nbytes);
    constexpr std::size_t kChunk = std::size_t(1) << 18;  // stays in the cache between its checksum and its copy to the system
    for (std::size_t done = 0; done < extent.nbytes; done += kChunk) {
      const std::size_t count = std::min(kChunk, extent.nbytes - done);
      own.add(extent.elements + done, count);
      output.append(extent.elements + done, count);
    }
    report.parts[extent.part] = {extent.offset, own.text()};
  }
  write_frame_until(frame.size());
  output.flush();
  report.checksum = around.text();
  return report;
}

CheckpointManifest manifest_of(const Snapshot& snapshot, const std::vector<std::vector<OwnedPart>>& owned, const std::vector<std::string>& lines) {
  CheckpointManifest manifest;
  manifest.world_size = int(owned.size());
  manifest.position = snapshot.position;
  for (const auto& [name, text] : snapshot.configs) manifest.configs.push_back(name);
  for (const nn::StateEntry& entry : snapshot.entries) manifest.tensors.push_back(tensor_of(entry));
  for (std::size_t r = 0; r < owned.size(); ++r) {
    const ShardReport report = ShardReport::from_json(lines[r]);
    manifest.files.push_back({shard_name(int(r), int(owned.size())), report.nbytes, report.checksum});
    for (std::size_t i = 0; i < owned[r].size(); ++i) {
      const OwnedPart& part = owned[r][i];
      manifest.tensors[part.entry].parts.push_back({manifest.files[r].name, part.begin, part.end, report.parts.at(i).first, report.parts.at(i).second});
    }
  }
  for (CheckpointTensor& tensor : manifest.tensors) {
    std::sort(tensor.parts.begin(), tensor.parts.end(), [](const CheckpointPart& a, const CheckpointPart& b) { return a.begin < b.begin; });
    if (tensor.parts.empty()) tensor.parts.push_back({manifest.files[0].name, 0, 0, 0, {}});
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
  std::optional<OutputFile> shard;
  const std::vector<std::string> prints = communicator.gather_texts(fingerprint(snapshot.entries), "checkpoint tensors");
  const std::string wrong = attempt([&] {
    step("shard");
    for (std::size_t r = 0; r < prints.size(); ++r)
      if (prints[r] != prints[0]) throw InvalidArgumentError("rank " + std::to_string(r) + " has other variables, or callbacks that remember other things, than rank 0", "checkpoint");
    const std::string file = unfinished + "/" + shard_name(rank, world_size);
    shard.emplace(file);
    line = write_shard(snapshot, owned[std::size_t(rank)], file, rank == 0, *shard).to_json();
    if (rank != 0) shard->sync();
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
      OutputFile manifest(unfinished + "/manifest.json");
      manifest.append(manifest_of(snapshot, owned, lines).to_json());
      manifest.flush();
      step("sync");
      // One after the other with nothing in between: a journal then writes once.
      shard->sync();
      manifest.sync();
      sync_directory(unfinished);
      step("rename");
      // A generation of the same step changes places with the new one, so that there is one of them at any moment.
      const bool replaces = std::filesystem::exists(path);
      const std::string old = path + ".old.tmp";
      int moved = ::renameat2(AT_FDCWD, unfinished.c_str(), AT_FDCWD, path.c_str(), replaces ? RENAME_EXCHANGE : 0);
      if (moved < 0 && replaces && (errno == EINVAL || errno == ENOSYS)) {  // a file system that cannot, as NFS: the old one goes out of the way first
        moved = std::rename(path.c_str(), old.c_str());
        if (moved == 0) moved = std::rename(unfinished.c_str(), path.c_str());
      }
      if (moved < 0) throw ResourceExhaustedError("cannot rename '" + unfinished + "': " + std::strerror(errno), "checkpoint");
      step("renamed");
      sync_directory(directory);
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

// Writing checkpoints. Every rank writes and syncs its shard into step-N.tmp; rank 0 hears from all, writes the manifest, syncs it with its own shard, renames the
// directory and syncs its parent. Whatever happens in between, what is there under a generation's name is whole.

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
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

/// A shard without the elements of its datasets, and where these begin.
struct ShardFrame {
  hdf5::Memory memory;
  std::vector<std::int64_t> offsets;  // by part
};

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

/// A shard's dataset for a part of a tensor.
TensorSpec spec_of(const nn::StateEntry& entry, const OwnedPart& part) {
  const bool whole = part.begin == 0 && part.end == entry.whole.numel() && entry.variable.kind() != StateKind::sharded;
  return {entry.variable.dtype(), whole ? entry.whole : Shape{part.end - part.begin}};
}

/// HDF5 puts it together, in memory.
ShardFrame frame_of(const Snapshot& snapshot, const std::vector<OwnedPart>& parts, const std::string& path, bool with_configs) {
  ShardFrame frame;
  hdf5::File file = hdf5::File::create_in(frame.memory, path);
  file.make_group("/state");
  for (const OwnedPart& part : parts) frame.offsets.push_back(file.reserve(tensor_of(snapshot.entries[part.entry]).dataset(), spec_of(snapshot.entries[part.entry], part)));
  if (with_configs)
    for (const auto& [name, text] : snapshot.configs) file.write_text("/config/" + name, text);
  file.close();
  return frame;
}

/// All that a frame depends on.
std::string key_of(const Snapshot& snapshot, const std::vector<OwnedPart>& parts, bool with_configs) {
  std::string key;
  for (const OwnedPart& part : parts) key += tensor_of(snapshot.entries[part.entry]).dataset() + " " + to_string(spec_of(snapshot.entries[part.entry], part)) + "\n";
  if (with_configs)
    for (const auto& [name, text] : snapshot.configs) key += name + " " + text + "\n";
  return key;
}

/// A rank's shard: the frame and the elements, written front to back, each byte once, with checksums on the way.
ShardReport write_shard(const Snapshot& snapshot, const std::vector<OwnedPart>& parts, const ShardFrame& made, OutputFile& output) {
  const hdf5::Memory& frame = made.memory;
  std::vector<Extent> extents;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const OwnedPart& part = parts[i];
    const Tensor& value = snapshot.values[part.entry];
    // A sharded tensor's values begin where this rank's part does.
    const std::int64_t at = snapshot.entries[part.entry].variable.kind() == StateKind::sharded ? 0 : part.begin;
    const std::size_t size = itemsize(value.dtype());
    extents.push_back({i, made.offsets[i], static_cast<const std::byte*>(value.host_raw()) + std::size_t(at) * size, std::size_t(part.end - part.begin) * size});
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

std::string attempt(const std::function<void()>& body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}
void remove_quietly(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
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

struct CheckpointWriter::LastFrame {
  std::string key;
  ShardFrame frame;
};

/// One generation on its way.
struct CheckpointWriter::Generation {
  const Snapshot& snapshot;
  const std::string path, unfinished = path + ".tmp";
  const std::vector<std::vector<OwnedPart>> owned;
  std::optional<OutputFile> shard = {};
  std::vector<std::string> reports = {};  // of the ranks' shards
};

CheckpointWriter::CheckpointWriter(std::string directory, dist::Communicator& ranks, StepHook hook) : directory_(std::move(directory)), ranks_(ranks), hook_(std::move(hook)) {}
CheckpointWriter::~CheckpointWriter() = default;

void CheckpointWriter::step(const char* name) const {
  if (hook_) hook_(name);
}

std::string CheckpointWriter::write(const Snapshot& snapshot) {
  Generation generation{.snapshot = snapshot, .path = directory_ + "/" + generation_name(snapshot.position.step), .owned = ownership(snapshot.entries, ranks_.size())};
  const bool chief = ranks_.rank() == 0;
  agree(generation, chief ? attempt([&] { make_room(generation); }) : std::string(), "checkpoint begun");
  const std::string wrong = write_own_shard(generation);
  if (const std::vector<std::string> all = ranks_.gather_texts(wrong, "checkpoint written"); std::any_of(all.begin(), all.end(), [](const std::string& each) { return !each.empty(); })) {
    if (chief) remove_quietly(generation.unfinished);
    agree(generation, wrong, "checkpoint given up");
  }
  const std::string uncommitted = chief ? attempt([&] { commit(generation); }) : std::string();
  if (!uncommitted.empty()) remove_quietly(generation.unfinished);
  agree(generation, uncommitted, "checkpoint committed");
  return generation.path;
}

/// Throws on all ranks what went wrong on the first.
void CheckpointWriter::agree(const Generation& generation, const std::string& wrong, const char* what) const {
  const std::vector<std::string> all = ranks_.gather_texts(wrong, what);
  for (std::size_t r = 0; r < all.size(); ++r)
    if (!all[r].empty()) throw ResourceExhaustedError("the checkpoint '" + generation.path + "' was not saved: rank " + std::to_string(r) + ": " + all[r], "checkpoint");
}

void CheckpointWriter::make_room(const Generation& generation) const {
  step("clean");
  std::filesystem::create_directories(directory_);
  for (const auto& entry : std::filesystem::directory_iterator(directory_))  // what a killed job left
    if (const std::string left = entry.path().filename(); left.starts_with("step-") && left.ends_with(".tmp")) std::filesystem::remove_all(entry.path());
  std::filesystem::create_directory(generation.unfinished);
}

/// What went wrong, or nothing. The ranks come through here together in any case.
std::string CheckpointWriter::write_own_shard(Generation& generation) {
  const Snapshot& snapshot = generation.snapshot;
  const int rank = ranks_.rank();
  const std::vector<std::string> prints = ranks_.gather_texts(fingerprint(snapshot.entries), "checkpoint tensors");
  std::string report;
  const std::string wrong = attempt([&] {
    step("shard");
    for (std::size_t r = 0; r < prints.size(); ++r)
      if (prints[r] != prints[0]) throw InvalidArgumentError("rank " + std::to_string(r) + " has other variables, or callbacks that remember other things, than rank 0", "checkpoint");
    const std::string file = generation.unfinished + "/" + shard_name(rank, ranks_.size());
    const std::vector<OwnedPart>& parts = generation.owned[std::size_t(rank)];
    // The saves of a training have the same datasets, save for what grows with the epochs.
    std::string key = key_of(snapshot, parts, rank == 0);
    if (!last_frame_ || last_frame_->key != key) last_frame_ = std::make_unique<LastFrame>(LastFrame{std::move(key), frame_of(snapshot, parts, file, rank == 0)});
    generation.shard.emplace(file);
    report = write_shard(snapshot, parts, last_frame_->frame, *generation.shard).to_json();
    if (rank != 0) generation.shard->sync();
    step("shard written");
  });
  generation.reports = ranks_.gather_texts(report, "checkpoint shards");
  return wrong;
}

/// By rank 0, when all shards are there.
void CheckpointWriter::commit(Generation& generation) const {
  const std::string &path = generation.path, &unfinished = generation.unfinished;
  step("manifest");
  OutputFile manifest(unfinished + "/manifest.json");
  manifest.append(manifest_of(generation.snapshot, generation.owned, generation.reports).to_json());
  manifest.flush();
  step("sync");
  // One after the other with nothing in between: a journal then writes once.
  generation.shard->sync();
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
  sync_directory(directory_);
  for (const std::string& left : {unfinished, old}) remove_quietly(left);
}

std::string write_generation(const Snapshot& snapshot, const std::string& directory, dist::Communicator& ranks, const StepHook& hook) { return CheckpointWriter(directory, ranks, hook).write(snapshot); }

std::string save_checkpoint(nn::Model& model, const std::string& directory) { return write_generation(take_snapshot(model), directory, dist::communicator()); }

}  // namespace lockstep::io

// Reading checkpoints: finding generations, verifying them, putting tensors together.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include <xxhash.h>
#include <nlohmann/json.hpp>

#include <lockstep/dist/world.h>
#include <lockstep/io/checkpoint.h>
#include <lockstep/io/checkpoint_files.h>
#include <lockstep/io/checksum.h>
#include <lockstep/io/file.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/keras/config.h>
#include <lockstep/nn/weight_limit.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/warning.h>
#include <lockstep/tensor/constant.h>

namespace lockstep::io {

std::vector<std::string> checkpoint_generations(const std::string& directory) {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory, none)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("step-") && name.size() == 13 && std::all_of(name.begin() + 5, name.end(), [](char c) { return c >= '0' && c <= '9'; })) found.push_back(name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

CheckpointManifest read_manifest(const std::string& generation) {
  const std::string path = generation + "/manifest.json";
  return CheckpointManifest::from_json(read_file(path), "'" + path + "'");
}

namespace {

void require_checksum(const Checksum& found, const std::string& said, const std::string& what) {
  if (const std::string text = found.text(); text != said) throw DataLossError(what + " is damaged: its checksum is " + text + ", the manifest says " + said, "checkpoint");
}

/// Reads a file front to back.
class Scan {
 public:
  explicit Scan(std::string path) : path_(std::move(path)), file_(path_, std::ios::binary), buffer_(std::size_t(1) << 18, '\0') {}
  void add_to(Checksum& checksum, std::int64_t count) {
    for (std::int64_t left = count; left > 0;) {
      const std::int64_t n = std::min<std::int64_t>(left, std::int64_t(buffer_.size()));
      if (!file_.read(buffer_.data(), n)) throw DataLossError("'" + path_ + "' cannot be read to its end", "checkpoint");
      checksum.add(buffer_.data(), std::size_t(n));
      left -= n;
    }
  }

 private:
  std::string path_;
  std::ifstream file_;
  std::string buffer_;
};

void verify_file(const std::string& generation, const CheckpointManifest& manifest, const CheckpointFile& file) {
  const std::string path = generation + "/" + file.name;
  std::error_code none;
  const auto bytes = std::filesystem::file_size(path, none);
  if (none) throw DataLossError("'" + path + "' is missing", "checkpoint");
  if (std::int64_t(bytes) != file.nbytes) throw DataLossError("'" + path + "' has " + std::to_string(bytes) + " bytes, the manifest says " + std::to_string(file.nbytes), "checkpoint");
  struct Piece {
    const CheckpointTensor* tensor;
    const CheckpointPart* part;
  };
  std::vector<Piece> pieces;
  for (const CheckpointTensor& tensor : manifest.tensors)
    for (const CheckpointPart& part : tensor.parts)
      if (part.file == file.name && part.begin < part.end) pieces.push_back({&tensor, &part});
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.part->offset < b.part->offset; });
  Scan scan(path);
  Checksum around;
  std::int64_t at = 0;
  for (const Piece& piece : pieces) {
    const std::string what = "dataset '" + piece.tensor->dataset() + "' of '" + path + "'";
    const std::int64_t offset = piece.part->offset, count = piece.part->end - piece.part->begin, size = std::int64_t(itemsize(piece.tensor->spec.dtype));
    if (offset < at || offset > file.nbytes || count > (file.nbytes - offset) / size) throw DataLossError(what + " is not where the manifest says", "checkpoint");
    scan.add_to(around, offset - at);
    Checksum own;
    scan.add_to(own, count * size);
    require_checksum(own, piece.part->checksum, what);
    at = offset + count * size;
  }
  scan.add_to(around, file.nbytes - at);
  require_checksum(around, file.checksum, "'" + path + "', apart from its datasets' elements,");
}

const CheckpointTensor& tensor_at(const CheckpointManifest& manifest, const std::string& path, const std::string& generation) {
  std::vector<std::string> paths;
  for (const CheckpointTensor& tensor : manifest.tensors) {
    if (tensor.path == path) return tensor;
    paths.push_back(tensor.path);
  }
  const std::string near = nearest_name(path, paths);
  throw NotFoundError("the checkpoint '" + generation + "' has no '" + path + "'", "checkpoint", near.empty() ? "" : "did you mean '" + near + "'?");
}

/// Open files of a generation, by name.
class Shards {
 public:
  explicit Shards(std::string generation) : generation_(std::move(generation)) {}
  const hdf5::File& operator[](const std::string& name) {
    const auto found = files_.find(name);
    return found != files_.end() ? found->second : files_.emplace(name, hdf5::File::open(generation_ + "/" + name)).first->second;
  }

 private:
  std::string generation_;
  std::map<std::string, hdf5::File> files_;
};

/// Elements [begin, end) of a tensor, into `target`; reads only the parts that hold them.
void read_range(Shards& shards, const CheckpointTensor& tensor, std::int64_t begin, std::int64_t end, std::byte* target) {
  const std::size_t size = itemsize(tensor.spec.dtype);
  const std::string dataset = tensor.dataset();
  for (const CheckpointPart& part : tensor.parts) {
    const std::int64_t from = std::max(begin, part.begin), to = std::min(end, part.end);
    if (from >= to) continue;
    const hdf5::File& file = shards[part.file];
    if (!file.contains(dataset)) throw DataLossError("dataset '" + dataset + "' of '" + file.path() + "' is missing", "checkpoint");
    const TensorSpec found = file.spec(dataset);
    if (found.dtype != tensor.spec.dtype || found.shape.numel() != part.end - part.begin)
      throw DataLossError("dataset '" + dataset + "' of '" + file.path() + "' is " + to_string(found) + ", the manifest says " + std::to_string(part.end - part.begin) + " elements of " + std::string(name(tensor.spec.dtype)), "checkpoint");
    file.read_into(dataset, from - part.begin, to - part.begin, target + std::size_t(from - begin) * size);
  }
}

Tensor read_whole(Shards& shards, const CheckpointTensor& tensor) {
  Tensor whole = Tensor::empty(tensor.spec.shape, tensor.spec.dtype);
  read_range(shards, tensor, 0, whole.numel(), static_cast<std::byte*>(whole.mutable_raw()));
  return whole;
}

/// Says which paths only one of them has, and which have other shapes; empty if none.
std::string differences(const std::vector<nn::StateEntry>& entries, const CheckpointManifest& manifest, bool weights_only) {
  std::map<std::string, TensorSpec> saved;
  for (const CheckpointTensor& tensor : manifest.tensors)
    if (!tensor.of_callback) saved.emplace(tensor.path, tensor.spec);
  std::string missing, other;
  for (const nn::StateEntry& entry : entries) {
    const auto found = saved.find(entry.variable.path());
    if (found == saved.end()) {
      missing += "\n  only the model has " + entry.variable.path();
    } else {
      const TensorSpec wanted{entry.variable.dtype(), entry.whole};
      if (!(found->second == wanted)) other += "\n  " + found->first + " is " + to_string(found->second) + " there, and " + to_string(wanted) + " in the model";
      saved.erase(found);
    }
  }
  if (!weights_only)
    for (const auto& [path, spec] : saved) other += "\n  only the checkpoint has " + path;
  return missing + other;
}

void give(const nn::StateEntry& entry, const CheckpointTensor& tensor, Shards& shards) {
  const Variable& variable = entry.variable;
  const DeviceScope host{Device()};  // files are read there; assigning copies to where the variable is
  if (variable.kind() == StateKind::sharded && !(entry.whole == variable.shape() && dist::world_size() == 1)) {
    const std::int64_t each = variable.shape().numel(), begin = std::min(each * dist::rank(), entry.whole.numel()), end = std::min(begin + each, entry.whole.numel());
    Tensor part = zeros(variable.shape(), variable.dtype());
    read_range(shards, tensor, begin, end, static_cast<std::byte*>(part.mutable_raw()));
    variable.assign(part);
  } else if (variable.kind() == StateKind::summed && !dist::is_chief()) {
    variable.assign(zeros(variable.shape(), variable.dtype()));  // the sum is on rank 0
  } else {
    variable.assign(read_whole(shards, tensor));
  }
}

std::vector<nn::StateEntry> entries_of(nn::Model& model, const LoadOptions& options) {
  std::vector<nn::StateEntry> entries = model.training_state();
  if (!options.weights_only) return entries;
  std::vector<Variable> wanted = model.variables();
  std::erase_if(entries, [&](const nn::StateEntry& entry) { return std::find(wanted.begin(), wanted.end(), entry.variable) == wanted.end(); });
  return entries;
}

void load_generation(nn::Model& model, const std::string& generation, const CheckpointManifest& manifest, const LoadOptions& options) {
  const std::vector<nn::StateEntry> entries = entries_of(model, options);
  if (const std::string text = differences(entries, manifest, options.weights_only); !text.empty() && !options.partial)
    throw InvalidArgumentError("the checkpoint '" + generation + "' is of another model or optimizer:" + text, "checkpoint", "load with .partial = true to take what fits");
  std::map<std::string, const CheckpointTensor*> saved;
  for (const CheckpointTensor& tensor : manifest.tensors)
    if (!tensor.of_callback) saved.emplace(tensor.path, &tensor);
  Shards shards(generation);
  for (const nn::StateEntry& entry : entries) {
    const auto found = saved.find(entry.variable.path());
    if (found != saved.end() && found->second->spec == TensorSpec{entry.variable.dtype(), entry.whole}) give(entry, *found->second, shards);
  }
}

/// The last generation that all ranks find whole; empty if there is none. Those behind it are named in a warning.
std::string last_whole_generation(const std::string& directory) {
  dist::Communicator& world = dist::communicator();
  std::string listed;
  for (const std::string& name : checkpoint_generations(directory)) listed += name + "\n";
  listed = world.broadcast_text(listed, 0, "generations");
  std::vector<std::string> names;
  for (std::size_t at = 0; at < listed.size(); at = listed.find('\n', at) + 1) names.push_back(listed.substr(at, listed.find('\n', at) - at));
  for (std::size_t k = names.size(); k-- > 0;) {
    const std::string generation = directory + "/" + names[k];
    // The ranks share the files to be looked through, and agree.
    std::string wrong;
    try {
      const CheckpointManifest manifest = read_manifest(generation);
      for (std::size_t i = std::size_t(world.rank()); i < manifest.files.size(); i += std::size_t(world.size())) verify_file(generation, manifest, manifest.files[i]);
    } catch (const Error& error) {
      wrong = error.what();
    }
    for (const std::string& each : world.gather_texts(wrong, "verified"))
      if (!each.empty() && wrong.empty()) wrong = each;
    if (wrong.empty()) return generation;
    if (world.rank() == 0) warn("checkpoint", wrong + (k > 0 ? "; going back to " + names[k - 1] : "; there is none before it"));
  }
  return {};
}

class Resume : public nn::ResumePoint {
 public:
  explicit Resume(std::string directory) : directory_(std::move(directory)) {}
  std::optional<nn::FitPosition> position() override {
    if (!looked_) generation_ = last_whole_generation(directory_), looked_ = true;
    if (generation_.empty()) return {};
    manifest_ = read_manifest(generation_);
    return manifest_.position;
  }
  void restore(nn::Model& model) override { load_generation(model, generation_, manifest_, {}); }
  std::map<std::string, nn::CallbackState> callbacks() override {
    std::map<std::string, nn::CallbackState> states;
    Shards shards(generation_);
    for (const CheckpointTensor& tensor : manifest_.tensors) {
      if (!tensor.of_callback) continue;
      const std::size_t begin = std::string("callbacks/").size(), end = tensor.path.find('/', begin);
      states[tensor.path.substr(begin, end - begin)].set(tensor.path.substr(end + 1), read_whole(shards, tensor));
    }
    return states;
  }

 private:
  std::string directory_, generation_;
  bool looked_ = false;
  CheckpointManifest manifest_;
};

}  // namespace

void verify_checkpoint(const std::string& generation) {
  const CheckpointManifest manifest = read_manifest(generation);
  for (const CheckpointFile& file : manifest.files) verify_file(generation, manifest, file);
}

Tensor read_checkpoint_tensor(const std::string& generation, const CheckpointManifest& manifest, const std::string& path) {
  Shards shards(generation);
  return read_whole(shards, tensor_at(manifest, path, generation));
}

std::string checkpoint_hash(const std::string& generation) {
  const CheckpointManifest manifest = read_manifest(generation);
  std::vector<const CheckpointTensor*> sorted;
  for (const CheckpointTensor& tensor : manifest.tensors)
    if (!tensor.of_callback) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), [](const CheckpointTensor* a, const CheckpointTensor* b) { return a->path < b->path; });
  Shards shards(generation);
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(state.get());
  for (const CheckpointTensor* tensor : sorted) {
    const std::string head = tensor->path + " " + to_string(tensor->spec) + "\n";
    XXH3_64bits_update(state.get(), head.data(), head.size());
    const Tensor whole = read_whole(shards, *tensor);
    XXH3_64bits_update(state.get(), whole.raw(), whole.nbytes());
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(XXH3_64bits_digest(state.get())));
  return text;
}

void load_checkpoint(nn::Model& model, const std::string& path, const LoadOptions& options) {
  std::string generation = path;
  if (!std::filesystem::exists(path + "/manifest.json")) generation = last_whole_generation(path);
  else verify_checkpoint(path);
  if (generation.empty()) throw NotFoundError("there is no complete checkpoint in '" + path + "'", "checkpoint");
  load_generation(model, generation, read_manifest(generation), options);
}

std::shared_ptr<nn::Model> load_model(const std::string& path, const LoadModelOptions& options) {
  std::string generation = path;
  if (!std::filesystem::exists(path + "/manifest.json")) generation = last_whole_generation(path);
  else verify_checkpoint(path);
  if (generation.empty()) throw NotFoundError("there is no complete checkpoint in '" + path + "'", "checkpoint");
  const CheckpointManifest manifest = read_manifest(generation);
  const auto has = [&](const char* name) { return std::find(manifest.configs.begin(), manifest.configs.end(), name) != manifest.configs.end(); };
  if (!has("model")) throw NotFoundError("the checkpoint '" + generation + "' holds no configuration of its model", "checkpoint", "make the model in the program, and call load_checkpoint");
  const hdf5::File file = hdf5::File::open(generation + "/" + manifest.files.at(0).name);
  const CustomObjectScope scope(options.custom_objects);
  std::int64_t elements = 0;
  for (const CheckpointTensor& tensor : manifest.tensors) elements += tensor.spec.shape.numel();
  const nn::WeightLimit limit(elements);
  const std::shared_ptr<nn::Model> model = keras::build_model(keras::parse_config(file.read_text("/config/model")), "'" + generation + "', config/model");
  if (options.compile && has("compile")) {
    model->compile(keras::compile_options(keras::parse_training_config(file.read_text("/config/compile")), model->output_names()));
    const std::vector<Variable> variables = model->trainable_variables();
    model->optimizer().build(variables);
  }
  load_generation(*model, generation, manifest, {.weights_only = true});
  // The optimizer's state, if it is compiled; the metrics' comes with the first batch, until then only the checkpoint has it.
  load_generation(*model, generation, manifest, {.partial = true});
  return model;
}

std::shared_ptr<nn::ResumePoint> resume_from(const std::string& directory) { return std::make_shared<Resume>(directory); }

}  // namespace lockstep::io

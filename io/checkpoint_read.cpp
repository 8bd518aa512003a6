// Reading checkpoints: finding generations, and giving a model what they hold.

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <xxhash.h>
#include <nlohmann/json.hpp>

#include <lockstep/dist/world.h>
#include <lockstep/io/checkpoint.h>
#include <lockstep/io/checkpoint_files.h>
#include <lockstep/io/checkpoint_reader.h>
#include <lockstep/io/file.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/keras/config.h>
#include <lockstep/nn/weight_limit.h>
#include <lockstep/tensor/base/error.h>
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

void require_dataset(const hdf5::File& file, const CheckpointTensor& tensor, const CheckpointPart& part) {
  const std::string dataset = tensor.dataset();
  if (!file.contains(dataset)) throw DataLossError("dataset '" + dataset + "' of '" + file.path() + "' is missing", "checkpoint");
  const TensorSpec found = file.spec(dataset);
  if (found.dtype != tensor.spec.dtype || found.shape.numel() != part.end - part.begin)
    throw DataLossError("dataset '" + dataset + "' of '" + file.path() + "' is " + to_string(found) + ", the manifest says " + std::to_string(part.end - part.begin) + " elements of " + std::string(name(tensor.spec.dtype)), "checkpoint");
}

namespace {

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

Tensor read_tensor(Shards& shards, const CheckpointTensor& tensor) {
  Tensor whole = Tensor::empty(tensor.spec.shape, tensor.spec.dtype);
  for (const CheckpointPart& part : tensor.parts) {
    if (part.begin == part.end) continue;
    const hdf5::File& file = shards[part.file];
    require_dataset(file, tensor, part);
    file.read_into(tensor.dataset(), 0, part.end - part.begin, static_cast<std::byte*>(whole.mutable_raw()) + std::size_t(part.begin) * itemsize(tensor.spec.dtype));
  }
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

void give(const nn::StateEntry& entry, const CheckpointTensor& tensor, const CheckpointReader& saved) {
  const Variable& variable = entry.variable;
  const DeviceScope host{Device()};  // files are read there; assigning copies to where the variable is
  if (variable.kind() == StateKind::sharded && !(entry.whole == variable.shape() && dist::world_size() == 1)) {
    const std::int64_t each = variable.shape().numel(), begin = std::min(each * dist::rank(), entry.whole.numel()), end = std::min(begin + each, entry.whole.numel());
    Tensor part = zeros(variable.shape(), variable.dtype());
    saved.read_range(tensor, begin, end, static_cast<std::byte*>(part.mutable_raw()));
    variable.assign(part);
  } else if (variable.kind() == StateKind::summed && !dist::is_chief()) {
    variable.assign(zeros(variable.shape(), variable.dtype()));  // the sum is on rank 0
  } else {
    variable.assign(saved.whole(tensor));
  }
}

std::vector<nn::StateEntry> entries_of(nn::Model& model, const LoadOptions& options) {
  std::vector<nn::StateEntry> entries = model.training_state();
  if (!options.weights_only) return entries;
  std::vector<Variable> wanted = model.variables();
  std::erase_if(entries, [&](const nn::StateEntry& entry) { return std::find(wanted.begin(), wanted.end(), entry.variable) == wanted.end(); });
  return entries;
}

/// The generation is whole, as all ranks know; the model changes now, or not at all.
void give_all(nn::Model& model, const CheckpointReader& saved, const LoadOptions& options) {
  const std::vector<nn::StateEntry> entries = entries_of(model, options);
  if (const std::string text = differences(entries, saved.manifest(), options.weights_only); !text.empty() && !options.partial)
    throw InvalidArgumentError("the checkpoint '" + saved.generation() + "' is of another model or optimizer:" + text, "checkpoint", "load with .partial = true to take what fits");
  for (const nn::StateEntry& entry : entries) {
    const CheckpointTensor* tensor = saved.find(entry.variable.path());
    if (tensor && !tensor->of_callback && tensor->spec == TensorSpec{entry.variable.dtype(), entry.whole}) give(entry, *tensor, saved);
  }
}

std::shared_ptr<CheckpointReader> require_checkpoint(const std::string& path, const CheckpointReader::Wanted& wanted) {
  std::shared_ptr<CheckpointReader> saved = open_checkpoint(path, wanted);
  if (!saved) throw NotFoundError("there is no complete checkpoint in '" + path + "'", "checkpoint");
  return saved;
}

class Resume : public nn::ResumePoint {
 public:
  explicit Resume(std::string directory) : directory_(std::move(directory)) {}
  std::optional<nn::FitPosition> position() override {
    if (!looked_) saved_ = open_checkpoint(directory_, is_kept_whole), looked_ = true;
    if (!saved_) return {};
    return saved_->manifest().position;
  }
  void restore(nn::Model& model) override { give_all(model, *saved_, {}); }
  std::map<std::string, nn::CallbackState> callbacks() override {
    std::map<std::string, nn::CallbackState> states;
    for (const CheckpointTensor& tensor : saved_->manifest().tensors) {
      if (!tensor.of_callback) continue;
      const std::size_t begin = std::string("callbacks/").size(), end = tensor.path.find('/', begin);
      states[tensor.path.substr(begin, end - begin)].set(tensor.path.substr(end + 1), saved_->whole(tensor));
    }
    return states;
  }

 private:
  std::string directory_;
  bool looked_ = false;
  std::shared_ptr<CheckpointReader> saved_;
};

}  // namespace

void verify_checkpoint(const std::string& generation) {
  const CheckpointReader reader(generation, [](const CheckpointTensor&) { return false; }, 0, 1);
}

Tensor read_checkpoint_tensor(const std::string& generation, const CheckpointManifest& manifest, const std::string& path) {
  Shards shards(generation);
  return read_tensor(shards, tensor_at(manifest, path, generation));
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
    const Tensor whole = read_tensor(shards, *tensor);
    XXH3_64bits_update(state.get(), whole.raw(), whole.nbytes());
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(XXH3_64bits_digest(state.get())));
  return text;
}

void load_checkpoint(nn::Model& model, const std::string& path, const LoadOptions& options) {
  std::set<std::string> wanted;
  for (const nn::StateEntry& entry : entries_of(model, options)) wanted.insert(entry.variable.path());
  const auto saved = require_checkpoint(path, [&](const CheckpointTensor& tensor) { return !tensor.of_callback && wanted.contains(tensor.path) && is_kept_whole(tensor); });
  give_all(model, *saved, options);
}

std::shared_ptr<nn::Model> load_model(const std::string& path, const LoadModelOptions& options) {
  const auto saved = require_checkpoint(path, [](const CheckpointTensor& tensor) { return !tensor.of_callback && is_kept_whole(tensor); });
  const CheckpointManifest& manifest = saved->manifest();
  const std::string& generation = saved->generation();
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
  // The weights must all be there. So must the optimizer's state, if it is compiled; the metrics' comes with the first batch, until then only the checkpoint has it.
  give_all(*model, *saved, {.weights_only = true});
  give_all(*model, *saved, {.partial = true});
  return model;
}

std::shared_ptr<nn::ResumePoint> resume_from(const std::string& directory) { return std::make_shared<Resume>(directory); }

}  // namespace lockstep::io

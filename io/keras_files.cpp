#include <lockstep/io/keras_files.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include <nlohmann/json.hpp>

#include <lockstep/dist/world.h>
#include <lockstep/io/archive.h>
#include <lockstep/io/checkpoint_files.h>
#include <lockstep/io/file.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/keras/config.h>
#include <lockstep/io/keras/weights.h>
#include <lockstep/nn/weight_limit.h>
#include <lockstep/tensor/base/snake_case.h>
#include <lockstep/tensor/base/warning.h>

namespace lockstep::io {
namespace {

constexpr const char* kVersion = "3.15.1";  // of the Keras whose files these are
constexpr const char* kWeightsEntry = "model.weights.h5";

enum class Format { keras, legacy_model, weights, legacy_weights };

/// An open file of any of the formats.
struct Source {
  Format format;
  std::unique_ptr<ArchiveReader> archive;
  std::unique_ptr<hdf5::File> file;  // for .keras: the weights in it
};

std::string entry_of(const ArchiveReader& archive, const std::string& name) {
  const std::vector<std::string> names = archive.names();
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return archive.read(i, name);
  archive.damaged("it has no '" + name + "'");
}

Source open(const std::string& path) {
  require_file(path);
  std::string start(8, '\0');
  std::ifstream(path, std::ios::binary).read(start.data(), std::streamsize(start.size()));
  if (start.starts_with("PK")) {
    auto archive = std::make_unique<ArchiveReader>(path, ".keras");
    auto file = std::make_unique<hdf5::File>(hdf5::File::open_image(entry_of(*archive, kWeightsEntry), path + ":" + kWeightsEntry));
    return {Format::keras, std::move(archive), std::move(file)};
  }
  if (start != "\x89HDF\r\n\x1a\n") throw DataLossError("'" + path + "' is none of Keras's files: neither a zip archive nor HDF5");
  auto file = std::make_unique<hdf5::File>(hdf5::File::open(path));
  const auto has = [&](const char* attribute) { return file->has_attribute("/", attribute); };
  const Format format = has("model_config") ? Format::legacy_model : has("layer_names") || has("layer_names0") ? Format::legacy_weights : Format::weights;
  return {format, nullptr, std::move(file)};
}

// ---- writing

/// A file that is removed unless it was renamed to its target: a crash leaves the old file as it was.
class Temporary {
 public:
  explicit Temporary(std::string target, const std::string& suffix = ".tmp") : target_(std::move(target)), path_(target_ + "." + std::to_string(getpid()) + suffix) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::string& path() const { return path_; }
  void commit() {
    const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || ::fsync(descriptor) != 0) {
      const int why = errno;
      if (descriptor >= 0) ::close(descriptor);
      throw ResourceExhaustedError("cannot write '" + target_ + "': " + std::strerror(why));
    }
    ::close(descriptor);
    std::error_code failed;
    std::filesystem::rename(path_, target_, failed);
    if (failed) throw ResourceExhaustedError("cannot replace '" + target_ + "': " + failed.message());
  }

 private:
  std::string target_, path_;
};

std::string now() {
  const std::time_t time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  localtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d@%H:%M:%S", &parts)};
}

void write_keras(const nn::Model& model, const std::string& path, const keras::WholeState& state) {
  Json config = keras::model_config(model);
  if (model.compiled()) config["compile_config"] = keras::compile_config(model, false);
  const Temporary weights(path, ".weights.tmp");
  hdf5::File file = hdf5::File::create(weights.path());
  keras::write_weights(file, model, state);
  file.close();
  Temporary archive(path);
  write_archive(archive.path(), {{.name = "metadata.json", .bytes = Json{{"keras_version", kVersion}, {"date_saved", now()}}.dump()},
                                 {.name = "config.json", .bytes = config.dump()},
                                 {.name = kWeightsEntry, .file = weights.path()}});
  archive.commit();
}

void write_legacy(const nn::Model& model, const std::string& path, const keras::WholeState& state) {
  const Json config = keras::model_config(model);
  Temporary temporary(path);
  hdf5::File file = hdf5::File::create(temporary.path());
  file.set_attribute("/", "backend", std::string("tensorflow"));
  file.set_attribute("/", "keras_version", std::string(kVersion));
  file.set_attribute("/", "model_config", keras::legacy_form(config).dump());
  if (model.compiled()) file.set_attribute("/", "training_config", keras::legacy_form(keras::compile_config(model, true)).dump());
  keras::write_legacy_weights(file, model, state);
  file.close();
  temporary.commit();
}

void write_weights_file(const nn::Model& model, const std::string& path, const keras::WholeState& state) {
  Temporary temporary(path);
  hdf5::File file = hdf5::File::create(temporary.path());
  keras::write_weights(file, model, state);
  file.close();
  temporary.commit();
}

void require_built(const nn::Model& model) {
  if (!model.built()) throw FailedPreconditionError("the model '" + model.name() + "' has no weights yet", model.class_name(), "call it, or build_for()");
}

/// Rank 0 writes, the others wait for how it went: no rank goes on as if there were a file.
void by_rank_0(const std::string& path, const std::function<void()>& write) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const auto checked = [&] {
    if (!folder.empty() && !std::filesystem::is_directory(folder)) throw NotFoundError("cannot write '" + path + "': there is no directory '" + folder.string() + "'");
    write();
  };
  if (dist::world_size() == 1) return checked();
  std::exception_ptr failed;
  std::string complaint;
  if (dist::is_chief()) {
    try {
      checked();
    } catch (const std::exception& error) {
      failed = std::current_exception();
      complaint = error.what();
      if (complaint.empty()) complaint = "unknown";
    }
  }
  complaint = dist::communicator().broadcast_text(complaint, 0, "writing " + path);
  if (failed) std::rethrow_exception(failed);
  if (!complaint.empty()) throw AbortedError("rank 0 could not write '" + path + "': " + complaint);
}

/// A generation of the step at which the optimizer is; which data come next no file of Keras's says.
std::string write_checkpoint(nn::Model& model, const std::string& directory) {
  Snapshot snapshot = take_snapshot(model);
  if (model.compiled() && model.optimizer().built()) snapshot.position.step = model.optimizer().iterations().value().item<std::int64_t>();
  return write_generation(snapshot, directory, dist::communicator());
}

// ---- reading

/// A vocabulary that a layer learnt lies beside the configuration, a token on each line, at the path where Keras keeps the layer: it becomes part of the layer's.
void add_vocabularies(Json& model, const ArchiveReader& archive, const std::string& folder) {
  if (!model.is_object() || !model.contains("layers") || !model["layers"].is_array()) return;
  const std::vector<std::string> names = archive.names();
  std::map<std::string, int> count;
  for (Json& layer : model["layers"]) {
    if (!layer.is_object() || !layer.contains("class_name") || !layer["class_name"].is_string() || !layer.contains("config") || !layer["config"].is_object()) continue;
    std::string path = folder + "/layers/" + snake_case(layer["class_name"].get<std::string>());
    if (const int before = count[path]++; before > 0) path += "_" + std::to_string(before);
    Json& config = layer["config"];
    add_vocabularies(config, archive, path);
    if (!config.contains("vocabulary") || !config["vocabulary"].is_null() || std::find(names.begin(), names.end(), path + "/vocabulary.txt") == names.end()) continue;
    std::istringstream lines(entry_of(archive, path + "/vocabulary.txt"));
    config["vocabulary"] = Json::array();
    for (std::string token; std::getline(lines, token);) config["vocabulary"].push_back(layer["class_name"] == "IntegerLookup" ? Json::parse(token) : Json(token));
  }
}

std::shared_ptr<nn::Model> read_keras(const Source& source, const std::string& path, bool compile) {
  Json config;
  keras::in_place("'" + path + "', config.json", [&] { config = keras::parse_config(entry_of(*source.archive, "config.json")); });
  keras::in_place("'" + path + "', assets", [&] { add_vocabularies(config["config"], *source.archive, "assets"); });
  const nn::WeightLimit limit(keras::count_weights(*source.file));
  const std::shared_ptr<nn::Model> model = keras::build_model(config, "'" + path + "', config.json");
  if (compile && config.contains("compile_config") && config["compile_config"].is_object())
    keras::in_place("'" + path + "', compile_config of config.json", [&] { model->compile(keras::compile_options(config["compile_config"], model->output_names())); });
  keras::in_place("'" + path + "', " + kWeightsEntry, [&] { keras::read_weights(*source.file, *model); });
  return model;
}

std::shared_ptr<nn::Model> read_legacy(const Source& source, const std::string& path, bool compile) {
  const hdf5::File& file = *source.file;
  Json config;
  keras::in_place("'" + path + "', attribute model_config", [&] { config = keras::parse_config(file.attribute("/", "model_config")); });
  const nn::WeightLimit limit(keras::count_weights(file));
  const std::shared_ptr<nn::Model> model = keras::build_model(config, "'" + path + "', attribute model_config");
  keras::in_place("'" + path + "', model_weights", [&] { keras::read_legacy_weights(file, *model, "model_weights"); });
  if (!compile || !file.has_attribute("/", "training_config")) return model;
  keras::in_place("'" + path + "', attribute training_config", [&] {
    model->compile(keras::compile_options(keras::parse_training_config(file.attribute("/", "training_config")), model->output_names()));
  });
  keras::in_place("'" + path + "', optimizer_weights", [&] { keras::read_legacy_optimizer(file, *model); });
  return model;
}

}  // namespace

std::shared_ptr<nn::Model> load_keras(const std::string& path, const LoadKerasOptions& options) {
  const Source source = open(path);
  const CustomObjectScope scope(options.custom_objects);
  switch (source.format) {
    case Format::keras: return read_keras(source, path, options.compile);
    case Format::legacy_model: return read_legacy(source, path, options.compile);
    case Format::weights:
    case Format::legacy_weights: break;
  }
  throw InvalidArgumentError("'" + path + "' holds weights without a model", "load_keras", "build the model, then call load_keras_weights");
}

void load_keras_weights(nn::Model& model, const std::string& path) {
  require_built(model);
  const Source source = open(path);
  keras::in_place("'" + path + "'", [&] {
    switch (source.format) {
      case Format::keras:
      case Format::weights: return keras::read_weights(*source.file, model);
      case Format::legacy_model: return keras::read_legacy_weights(*source.file, model, "model_weights");
      case Format::legacy_weights: return keras::read_legacy_weights(*source.file, model, "/");
    }
  });
}

void save_keras_weights(const nn::Model& model, const std::string& path) {
  if (!path.ends_with(".weights.h5")) throw InvalidArgumentError("Keras knows a file of weights by the ending .weights.h5, '" + path + "' has another", "save_keras_weights");
  require_built(model);
  const keras::WholeState state = keras::gather_state(model);
  by_rank_0(path, [&] { write_weights_file(model, path, state); });
}

void save_keras(const nn::Model& model, const std::string& path) {
  const bool legacy = path.ends_with(".h5");
  if (path.ends_with(".weights.h5")) throw InvalidArgumentError("'" + path + "' is the name of a file of weights", "save_keras", "call save_keras_weights, or end the name in .keras or .h5");
  if (!legacy && !path.ends_with(".keras")) throw InvalidArgumentError("a model is saved as .keras or .h5, '" + path + "' has another ending", "save_keras");
  require_built(model);
  const Json config = keras::model_config(model);
  keras::require_expressible(config);
  if (legacy && !config["config"].contains("layers")) throw InvalidArgumentError("legacy .h5 holds a Sequential or a Functional, not a " + model.class_name() + ", whose weights Keras would not find in it", "save_keras", "end the name in .keras");
  const keras::WholeState state = keras::gather_state(model);
  by_rank_0(path, [&] { legacy ? write_legacy(model, path, state) : write_keras(model, path, state); });
}

std::string convert(const std::string& from, const std::string& to, const LoadKerasOptions& options) {
  const std::string ending = std::filesystem::path(to).extension();
  if (!ending.empty() && ending != ".keras" && ending != ".h5") throw InvalidArgumentError("a model is written as .keras, .h5 or .weights.h5, or as a checkpoint in a directory, '" + to + "' has another ending", "convert");
  const std::shared_ptr<nn::Model> model = std::filesystem::is_directory(from) ? load_model(from, {.custom_objects = options.custom_objects, .compile = options.compile}) : load_keras(from, options);
  if (ending.empty()) return write_checkpoint(*model, to);
  to.ends_with(".weights.h5") ? save_keras_weights(*model, to) : save_keras(*model, to);
  return to;
}

}  // namespace lockstep::io

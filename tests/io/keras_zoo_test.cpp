// Models of every kind in Keras's files: nested, shared, repeated and wrapped layers, layers and models of one's own, each optimizer's state.
// keras_zoo.py has the same models for Keras.
#include "keras_zoo.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <lockstep/io/archive.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/keras_files.h>
#include <lockstep/tensor/random.h>

#include "files.h"

namespace lockstep::io {
namespace {

struct Data {
  std::vector<Tensor> x;
  Tensor y, out;
};

/// A layer stands twice in its list. Keras's configurations cannot say that.
constexpr const char* kRepeated = "repeated";
/// A subclass of Model. Legacy .h5 has no place for it.
constexpr const char* kOwnClass = "tower";

/// Eight rows of what the model takes.
Data data_for(const nn::Model& model) {
  std::vector<autodiff::InputSpec> specs = model.input_specs();
  if (specs.empty()) specs = {{float32, {-1, 4}}};
  Data data;
  std::int64_t number = 0;
  for (const autodiff::InputSpec& spec : specs) {
    Shape shape = {8};
    for (std::size_t axis = 1; axis < spec.shape.size(); ++axis) shape.push_back(spec.shape[axis]);
    const Tensor key = constant(std::vector<std::int64_t>{5, number++});
    const Tensor numbers = random::normal_from(key, shape, 0, 1, is_float(spec.dtype) ? spec.dtype : float32);
    data.x.push_back(is_float(spec.dtype) ? numbers : cast(floor(abs(numbers) * 3), spec.dtype));
  }
  data.y = random::normal_from(constant(std::vector<std::int64_t>{5, number}), {8, 2});
  return data;
}

void step(nn::Model& model, const Data& data) { model.train_on_batch(data.x, data.y); }

/// Compiled, and three steps old.
std::shared_ptr<nn::Model> trained(const std::string& name) {
  random::set_seed(1);
  const zoo::Made made = zoo::models().at(name)();
  made.model->compile({.optimizer = made.optimizer, .loss = "mse"});
  const Data data = data_for(*made.model);
  for (int i = 0; i < 3; ++i) step(*made.model, data);
  return made.model;
}

std::shared_ptr<nn::Model> load(const std::string& path) { return load_keras(path, {.custom_objects = zoo::objects()}); }
Tensor predict(nn::Model& model, const Data& data) { return model.predict(data.x, {.verbose = 0}); }

double difference(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return 1e300;
  return a.numel() == 0 ? 0 : reduce_max(abs(cast(a, float64) - cast(b, float64))).item<double>();
}

/// The paths of all groups named "vars" that hold weights.
std::vector<std::string> groups_in(const hdf5::File& file) {
  std::vector<std::string> found;
  const std::function<void(const std::string&)> walk = [&](const std::string& path) {
    for (const hdf5::File::Entry& entry : file.entries(path.empty() ? "/" : path)) {
      if (!entry.group) continue;
      const std::string inner = path.empty() ? entry.name : path + "/" + entry.name;
      if (entry.name != "vars") walk(inner);
      else if (!file.entries(inner).empty()) found.push_back(inner);
    }
  };
  walk("");
  std::sort(found.begin(), found.end());
  return found;
}

/// `tolerance` for weights; the files have the optimizer's scalars in float32.
void expect_same_files(const std::string& got, const std::string& wanted, double tolerance, const std::string& what) {
  const hdf5::File a = hdf5::File::open(got), b = hdf5::File::open(wanted);
  ASSERT_EQ(groups_in(a), groups_in(b)) << what;
  for (const std::string& group : groups_in(a)) {
    ASSERT_EQ(a.entries(group).size(), b.entries(group).size()) << what << ": " << group;
    for (std::size_t i = 0; i < a.entries(group).size(); ++i) {
      const std::string path = group + "/" + std::to_string(i);
      const bool rounded = group.starts_with("optimizer") && a.spec(path).shape.ndim() == 0;
      EXPECT_LE(difference(a.read(path), b.read(path)), rounded ? std::max(tolerance, 1e-8) : tolerance) << what << ": " << path;
    }
  }
}

/// One more step, of a model and of what was saved after it.
void expect_next_step(nn::Model& model, const Data& data, const Folder& folder, const std::string& after, double tolerance, const std::string& what) {
  step(model, data);
  save_keras_weights(model, folder.path("next.weights.h5"));
  expect_same_files(folder.path("next.weights.h5"), after, tolerance, what);
}

TEST(KerasZoo, KeepsEachWeightWhereKerasKeepsIt) {
  std::map<std::string, std::string> wanted;
  std::ifstream lines(LOCKSTEP_SOURCE_DIR "/tests/io/data/keras_paths.txt");
  for (std::string name, rest; lines >> name && std::getline(lines, rest);) wanted[name] += name + rest + "\n";
  const Folder folder;
  for (const auto& [name, make] : zoo::models()) {
    save_keras_weights(*trained(name), folder.path("a.weights.h5"));
    const hdf5::File file = hdf5::File::open(folder.path("a.weights.h5"));
    std::string found;
    for (const std::string& group : groups_in(file)) {
      found += name + " " + group;
      for (std::size_t i = 0; i < file.entries(group).size(); ++i) {
        const TensorSpec spec = file.spec(group + "/" + std::to_string(i));
        found += " " + std::string(lockstep::name(spec.dtype)) + "[";
        for (int axis = 0; axis < spec.shape.ndim(); ++axis) found += (axis ? "," : "") + std::to_string(spec.shape[axis]);
        found += "]";
      }
      found += "\n";
    }
    EXPECT_EQ(found, wanted[name]);
  }
}

TEST(KerasZoo, GoesOnFromItsFilesToTheSameBits) {
  const Folder folder;
  for (const auto& [name, make] : zoo::models()) {
    const std::shared_ptr<nn::Model> model = trained(name);
    Data data = data_for(*model);
    data.out = predict(*model, data);
    save_keras_weights(*model, folder.path("a.weights.h5"));
    const zoo::Made other = make();
    load_keras_weights(*other.model, folder.path("a.weights.h5"));
    EXPECT_EQ(difference(predict(*other.model, data), data.out), 0) << name << ".weights.h5";
    if (name == kRepeated) continue;

    save_keras(*model, folder.path("a.keras"));
    if (name != kOwnClass) {
      save_keras(*model, folder.path("a.h5"));
      EXPECT_EQ(difference(predict(*load(folder.path("a.h5")), data), data.out), 0) << name << ".h5";
    }
    step(*model, data);
    save_keras_weights(*model, folder.path("after.weights.h5"));
    const std::shared_ptr<nn::Model> loaded = load(folder.path("a.keras"));
    EXPECT_EQ(difference(predict(*loaded, data), data.out), 0) << name << ".keras";
    expect_next_step(*loaded, data, folder, folder.path("after.weights.h5"), 0, name + ".keras");
  }
}

/// The weights in `from`, at other places.
void rewrite(const std::string& from, const std::string& to, const std::function<std::string(const std::string&)>& place) {
  const hdf5::File source = hdf5::File::open(from);
  hdf5::File target = hdf5::File::create(to);
  for (const std::string& group : groups_in(source))
    for (std::size_t i = 0; i < source.entries(group).size(); ++i) target.write(place(group) + "/" + std::to_string(i), source.read(group + "/" + std::to_string(i)));
  target.write("metrics/mean/vars/0", constant(1.f));
  target.close();
}
void expect_read_from(const std::string& name, const std::function<std::string(const std::string&)>& place) {
  const Folder folder;
  const std::shared_ptr<nn::Model> model = trained(name);
  const Data data = data_for(*model);
  save_keras_weights(*model, folder.path("a.weights.h5"));
  rewrite(folder.path("a.weights.h5"), folder.path("b.weights.h5"), place);
  const zoo::Made other = zoo::models().at(name)();
  load_keras_weights(*other.model, folder.path("b.weights.h5"));
  EXPECT_EQ(difference(predict(*other.model, data), predict(*model, data)), 0) << name;
}

TEST(KerasZoo, IsReadFromWhereKeras2KeptIt) {
  expect_read_from("nested_sequential", [](std::string path) {
    for (std::size_t at = 0; (at = path.find("layers", at)) != std::string::npos; at += 30) path.replace(at, 6, "_layer_checkpoint_dependencies");
    return path;
  });
}

TEST(KerasZoo, IsReadWhereALayerOfAListIsAnAttribute) {
  const std::map<std::string, std::string> places = {{"block/hidden/dense/vars", "block/hidden_0/vars"}, {"block/hidden/layer_normalization/vars", "block/hidden_1/vars"}, {"block/hidden/dense_1/vars", "block/hidden_2/vars"}};
  int moved = 0;
  expect_read_from("tower", [&](const std::string& path) {
    moved += int(places.count(path));
    return places.contains(path) ? places.at(path) : path;
  });
  EXPECT_EQ(moved, 6) << "weights";
}

/// The configuration in the .keras file of a model.
Json config_of(const std::string& name) {
  const Folder folder;
  save_keras(*trained(name), folder.path("a.keras"));
  const ArchiveReader archive(folder.path("a.keras"), ".keras");
  return Json::parse(archive.read(1, "config.json"))["config"];
}
Json layer_of(const Json& config, const std::string& name) {
  for (const Json& layer : config["layers"])
    if (layer["name"] == name) return layer;
  return nullptr;
}

TEST(KerasZoo, NamesClassesAndCallsAsKerasDoes) {
  EXPECT_EQ(layer_of(config_of("attention"), "grouped_query_attention")["class_name"], "GroupQueryAttention");
  const Json outer = config_of("nested_functional"), inner = layer_of(outer, "inner");
  EXPECT_EQ(inner["config"]["output_layers"], Json::parse(R"(["innermost", 1, 0])")) << "Keras counts the making of a Functional as a call";
  EXPECT_EQ(layer_of(outer, "concatenate")["inbound_nodes"][0]["args"][0][1]["config"]["keras_history"], Json::parse(R"(["inner", 1, 0])")) << "but not here: this is the second call";
}

TEST(KerasZoo, IsRefusedWhereKerasCouldNotOpenIt) {
  const Folder folder;
  for (const std::string ending : {".keras", ".h5"}) {
    const std::string message = message_of<InvalidArgumentError>([&] { save_keras(*trained(kRepeated), folder.path("a" + ending)); });
    EXPECT_NE(message.find("'twice' stands twice"), std::string::npos) << message;
    EXPECT_NE(message.find("Functional"), std::string::npos) << message;
    EXPECT_FALSE(std::filesystem::exists(folder.path("a" + ending)));
  }
  const std::string message = message_of<InvalidArgumentError>([&] { save_keras(*trained(kOwnClass), folder.path("a.h5")); });
  EXPECT_NE(message.find("not a Tower"), std::string::npos) << message;
}

/// An interpreter that has Keras, or nothing.
std::string python() {
  if (const char* given = std::getenv("LOCKSTEP_KERAS_PYTHON")) return given;
  return std::system("python3 -c 'import keras' > /dev/null 2>&1") == 0 ? "python3" : "";
}
#define NEEDS_KERAS() \
  if (python().empty()) GTEST_SKIP() << "not run: there is no Keras; $LOCKSTEP_KERAS_PYTHON names an interpreter that has it"

int run_zoo(const std::string& what, const Folder& folder) { return std::system((python() + " " LOCKSTEP_SOURCE_DIR "/tests/io/keras_zoo.py " + what + " " + folder.path("")).c_str()); }

TEST(KerasZoo, IsOpenedByKeras) {
  NEEDS_KERAS();
  const Folder folder;
  for (const auto& [name, make] : zoo::models()) {
    const std::shared_ptr<nn::Model> model = trained(name);
    const Data data = data_for(*model);
    if (name != kRepeated) save_keras(*model, folder.path(name + ".keras"));
    if (name != kRepeated && name != kOwnClass) save_keras(*model, folder.path(name + ".h5"));
    save_keras_weights(*model, folder.path(name + ".weights.h5"));
    hdf5::File numbers = hdf5::File::create(folder.path(name + ".io.h5"));
    for (std::size_t i = 0; i < data.x.size(); ++i) numbers.write("in" + std::to_string(i), data.x[i]);
    numbers.write("y", data.y);
    numbers.write("out", predict(*model, data));
    numbers.close();
    step(*model, data);
    save_keras_weights(*model, folder.path(name + ".after.weights.h5"));
  }
  EXPECT_EQ(run_zoo("check", folder), 0);
}

TEST(KerasZoo, IsReadAsKerasWroteIt) {
  NEEDS_KERAS();
  const Folder folder;
  ASSERT_EQ(run_zoo("write", folder), 0);
  for (const auto& [name, make] : zoo::models()) {
    const hdf5::File numbers = hdf5::File::open(folder.path(name + ".io.h5"));
    Data data{.x = {}, .y = numbers.read("y"), .out = numbers.read("out")};
    for (int i = 0; numbers.contains("in" + std::to_string(i)); ++i) data.x.push_back(numbers.read("in" + std::to_string(i)));
    try {
      if (name != kRepeated) {
        const std::shared_ptr<nn::Model> model = load(folder.path(name + ".keras"));
        EXPECT_LE(difference(predict(*model, data), data.out), 1e-6) << name << ".keras";
        expect_next_step(*model, data, folder, folder.path(name + ".after.weights.h5"), 1e-6, name + ".keras");
      }
      if (name != kOwnClass && std::filesystem::exists(folder.path(name + ".h5"))) {
        EXPECT_LE(difference(predict(*load(folder.path(name + ".h5")), data), data.out), 1e-6) << name << ".h5";
      }
      const zoo::Made other = make();
      load_keras_weights(*other.model, folder.path(name + ".weights.h5"));
      EXPECT_LE(difference(predict(*other.model, data), data.out), 1e-6) << name << ".weights.h5";
    } catch (const Error& error) {
      ADD_FAILURE() << name << ": " << error.what();
    }
  }
}

}  // namespace
}  // namespace lockstep::io

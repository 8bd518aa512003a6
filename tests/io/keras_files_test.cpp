#include <lockstep/io/keras_files.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <utility>

#include <nlohmann/json.hpp>

#include <lockstep/io/archive.h>
#include <lockstep/nn/functional.h>
#include <lockstep/nn/layers/core.h>
#include <lockstep/nn/layers/pooling.h>
#include <lockstep/nn/layers/reshaping.h>
#include <lockstep/nn/layers/text.h>
#include <lockstep/nn/sequential.h>
#include <lockstep/optim/optimizer.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>

#include "files.h"
#include "keras_golden.h"

namespace lockstep::io {
namespace {

const std::vector<std::string> kModels = {"mlp", "cnn_bn", "custom_objects", "lstm_classifier", "wide_deep"};

std::shared_ptr<nn::Model> load(const std::string& path) { return load_keras(path, {.custom_objects = golden_objects()}); }

double difference(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() ? reduce_max(abs(cast(a, float64) - cast(b, float64))).item<double>() : 1e300; }

Tensor predict(nn::Model& model, const GoldenModel& golden) { return model.predict(golden.all("in"), {.verbose = 0}); }

std::vector<Tensor> rows(const std::vector<Tensor>& tensors, std::int64_t begin, std::int64_t count) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors) result.push_back(gather(tensor, range(begin, begin + count, 1)));
  return result;
}

/// Two more steps, as Keras took them from the file and in memory.
void expect_continues(nn::Model& model, const GoldenModel& golden, const std::string& what) {
  const std::int64_t batch = golden.spec.at("batch");
  const std::vector<double> losses = golden.at("resumed_loss_keras").to_vector<double>();
  for (int i = 0; i < 2; ++i) {
    model.reset_metrics();
    const nn::Logs logs = model.train_on_batch(rows(golden.all("t"), (3 + i) * batch, batch), rows({golden.at("ty")}, (3 + i) * batch, batch));
    EXPECT_NEAR(logs.at("loss"), losses[std::size_t(i)], 1e-4) << what << ", step " << 3 + i;
  }
  const std::vector<nn::Weight> weights = model.weights();
  ASSERT_EQ(weights.size(), golden.spec.at("weights").size()) << what;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::string number = (i < 10 ? "0" : "") + std::to_string(i);
    EXPECT_LT(difference(weights[i].value(), golden.at("resumed_keras_w_" + number)), 2e-4) << what << ": " << golden.spec["weights"][i];
  }
}

/// A small model, built and compiled.
nn::Sequential small() {
  nn::Sequential model({nn::Dense({.units = 3, .activation = "relu", .name = "first"}), nn::Dense({.units = 1, .name = "last"})});
  model.compile({.optimizer = "adam", .loss = "mse"});
  model.train_on_batch(constant({{1.f, 2.f}, {3.f, 4.f}}), constant({{1.f}, {2.f}}));
  return model;
}

TEST(KerasFiles, PredictAsKerasDid) {
  for (const std::string& name : kModels)
    for (const std::string ending : {".keras", ".h5"}) {
      const GoldenModel golden(name);
      EXPECT_LT(difference(predict(*load(golden_file(name + ending)), golden), golden.at("out0")), 1e-5) << name << ending;
    }
}

TEST(KerasFiles, GiveAModelItsWeights) {
  for (const std::string& name : kModels)
    for (const std::string ending : {".weights.h5", ".h5", ".keras"}) {
      const GoldenModel golden(name);
      const std::shared_ptr<nn::Model> model = load(golden_file(name + ".keras"));
      for (const nn::Weight& weight : model->weights()) weight.variable().assign(zeros_like(weight.value()));
      EXPECT_GT(difference(predict(*model, golden), golden.at("out0")), 1e-3) << name;
      load_keras_weights(*model, golden_file(name + ending));
      EXPECT_LT(difference(predict(*model, golden), golden.at("out0")), 1e-5) << name << ending;
    }
}

TEST(KerasFiles, ContinueTrainingAsKerasDid) {
  for (const std::string& name : kModels) expect_continues(*load(golden_file(name + ".keras")), GoldenModel(name), name);
}

TEST(KerasFiles, ContinueTrainingFromWhatWasWritten) {
  const Folder folder;
  for (const std::string& name : kModels) {
    save_keras(*load(golden_file(name + ".keras")), folder.path(name + ".keras"));
    expect_continues(*load(folder.path(name + ".keras")), GoldenModel(name), name);
  }
}

TEST(KerasFiles, PredictTheSameAfterEachFormat) {
  const Folder folder;
  for (const std::string& name : kModels) {
    const GoldenModel golden(name);
    const std::shared_ptr<nn::Model> model = load(golden_file(name + ".keras"));
    for (const std::string ending : {".keras", ".h5"}) {
      save_keras(*model, folder.path(name + ending));
      EXPECT_LT(difference(predict(*load(folder.path(name + ending)), golden), golden.at("out0")), 1e-5) << name << ending;
    }
    save_keras_weights(*model, folder.path(name + ".weights.h5"));
    const std::shared_ptr<nn::Model> other = load(golden_file(name + ".keras"));
    for (const nn::Weight& weight : other->weights()) weight.variable().assign(zeros_like(weight.value()));
    load_keras_weights(*other, folder.path(name + ".weights.h5"));
    EXPECT_LT(difference(predict(*other, golden), golden.at("out0")), 1e-5) << name;
  }
}

TEST(KerasFiles, HoldModelsOfStrings) {
  const Folder folder;
  const auto text = std::make_shared<nn::TextVectorization>(nn::TextVectorization::Options{.output_sequence_length = 4});
  const Tensor texts = constant({{"Good, quite good."}, {"a bad one"}});
  text->adapt(texts);
  const nn::Symbol in = nn::input({1}, {.dtype = string});
  nn::Functional model({in}, {in >> text >> nn::Embedding({.input_dim = 8, .output_dim = 3}) >> nn::GlobalAveragePooling1D() >> nn::Dense({.units = 1})});
  model.compile({.optimizer = "adam", .loss = "mse"});
  model.fit(texts, constant({{1.f}, {0.f}}), {.epochs = 2, .verbose = 0});
  for (const std::string ending : {".keras", ".h5"}) {
    save_keras(model, folder.path("text" + ending));
    const std::shared_ptr<nn::Model> again = load_keras(folder.path("text" + ending));
    EXPECT_EQ(again->predict(texts, {.verbose = 0}).to_vector<float>(), model.predict(texts, {.verbose = 0}).to_vector<float>()) << ending;
    again->fit(texts, constant({{1.f}, {0.f}}), {.epochs = 1, .verbose = 0});
  }
}

/// As Keras writes a vocabulary that was learnt: none in the configuration, the tokens in a file of their own.
void move_vocabulary(const std::string& path, const std::string& layer) {
  const ArchiveReader archive(path, ".keras");
  std::vector<ArchiveEntry> entries;
  for (std::size_t i = 0; i < archive.names().size(); ++i) entries.push_back({.name = archive.names()[i], .bytes = archive.read(i, archive.names()[i])});
  std::string tokens;
  for (ArchiveEntry& entry : entries) {
    if (entry.name != "config.json") continue;
    Json config = Json::parse(entry.bytes);
    for (Json& each : config["config"]["layers"]) {
      if (each["config"]["name"] != layer) continue;
      for (const Json& token : std::exchange(each["config"]["vocabulary"], nullptr)) tokens += (tokens.empty() ? "\n[UNK]\n" : "\n") + token.get<std::string>();
    }
    entry.bytes = config.dump();
  }
  entries.push_back({.name = "assets/layers/text_vectorization/vocabulary.txt", .bytes = tokens});
  write_archive(path, entries);
}

TEST(KerasFiles, MayHoldVocabulariesBesideTheConfiguration) {
  const Folder folder;
  const auto text = std::make_shared<nn::TextVectorization>(nn::TextVectorization::Options{.output_sequence_length = 3, .vocabulary = std::vector<std::string>{"a", "bad", "good"}, .name = "words"});
  const nn::Symbol in = nn::input({1}, {.dtype = string});
  nn::Functional model({in}, {in >> text >> nn::Embedding({.input_dim = 8, .output_dim = 3}) >> nn::Flatten()});
  save_keras(model, folder.path("text.keras"));
  move_vocabulary(folder.path("text.keras"), "words");
  const Tensor texts = constant({{"a good one"}, {"bad"}});
  EXPECT_EQ(load_keras(folder.path("text.keras"))->predict(texts, {.verbose = 0}).to_vector<float>(), model.predict(texts, {.verbose = 0}).to_vector<float>());
}

TEST(KerasFiles, KeepWeightsWhereKerasKeepsThem) {
  const Folder folder;
  for (const std::string& name : kModels) {
    save_keras_weights(*load(golden_file(name + ".keras")), folder.path("a.weights.h5"));
    const hdf5::File ours = hdf5::File::open(folder.path("a.weights.h5")), keras = hdf5::File::open(golden_file(name + ".weights.h5"));
    const std::function<void(const std::string&)> compare = [&](const std::string& group) {
      for (const hdf5::File::Entry& entry : keras.entries(group)) {
        const std::string path = (group == "/" ? "" : group) + "/" + entry.name;
        if (entry.group) {
          compare(path);
          continue;
        }
        ASSERT_TRUE(ours.contains(path)) << name << ": " << path;
        EXPECT_EQ(ours.spec(path), keras.spec(path)) << name << ": " << path;
      }
    };
    compare("/");
  }
}

TEST(KerasFiles, AreOpenedByKeras) {
  const char* given = std::getenv("LOCKSTEP_KERAS_PYTHON");
  const std::string python = given ? given : "python3";
  if (!given && std::system((python + " -c 'import keras' > /dev/null 2>&1").c_str()) != 0) GTEST_SKIP() << "not run: there is no Keras; $LOCKSTEP_KERAS_PYTHON names an interpreter that has it";
  const Folder folder;
  for (const std::string& name : kModels) {
    const std::shared_ptr<nn::Model> model = load(golden_file(name + ".keras"));
    save_keras(*model, folder.path(name + ".keras"));
    save_keras(*model, folder.path(name + ".h5"));
    save_keras_weights(*model, folder.path(name + ".weights.h5"));
  }
  const std::string command = python + " " LOCKSTEP_SOURCE_DIR "/tests/io/keras_check.py " + folder.path("") + " " + golden_file("");
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(KerasFiles, NameAMissingClassAndBothRemedies) {
  const std::string message = message_of<NotFoundError>([] { load_keras(golden_file("custom_objects.keras")); });
  EXPECT_NE(message.find("MyL1Regularizer"), std::string::npos) << message;
  EXPECT_NE(message.find("custom_objects.keras', config.json"), std::string::npos) << message;
  EXPECT_NE(message.find("registered"), std::string::npos) << message;
  EXPECT_NE(message.find("custom object"), std::string::npos) << message;
}

TEST(KerasFiles, ListThePathsOfAnotherModelsWeightsAndChangeNone) {
  nn::Sequential model = small();
  const Tensor before = model.weights()[0].value();
  const std::string message = message_of<InvalidArgumentError>([&] { load_keras_weights(model, golden_file("mlp.weights.h5")); });
  EXPECT_NE(message.find("layers/dense/vars/0' has shape (6, 8)"), std::string::npos) << message;
  EXPECT_NE(message.find("layers/dense_2/vars"), std::string::npos) << message;
  EXPECT_EQ(difference(model.weights()[0].value(), before), 0);
}

TEST(KerasFiles, AreToldByTheirContent) {
  const Folder folder;
  nn::Sequential model = small();
  save_keras(model, folder.path("a.keras"));
  std::filesystem::rename(folder.path("a.keras"), folder.path("b.h5"));
  EXPECT_EQ(load_keras(folder.path("b.h5"))->weights().size(), 4u);
}

TEST(KerasFiles, AreWhatTheyWereUntilTheNewOneIsComplete) {
  const Folder folder;
  nn::Sequential model = small();
  save_keras(model, folder.path("a.keras"));
  save_keras(model, folder.path("a.keras"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path("")), {}), 1) << "a temporary file is left";
  EXPECT_THROW(save_keras(model, folder.path("none/a.keras")), NotFoundError);
  EXPECT_THROW(save_keras(model, folder.path("a.txt")), InvalidArgumentError);
  EXPECT_THROW(save_keras(nn::Sequential({nn::Dense(1)}), folder.path("b.keras")), FailedPreconditionError);
}

TEST(KerasFiles, AreConvertedBothWays) {
  const Folder folder;
  nn::Sequential model = small();
  const Tensor x = constant({{1.f, -2.f}}), y = model.predict(x, {.verbose = 0});
  save_keras(model, folder.path("a.keras"));
  convert(folder.path("a.keras"), folder.path("b.h5"));
  convert(folder.path("b.h5"), folder.path("c.keras"));
  EXPECT_EQ(difference(load_keras(folder.path("c.keras"))->predict(x, {.verbose = 0}), y), 0);
  // Through a checkpoint, the optimizer's state goes along.
  EXPECT_EQ(convert(folder.path("c.keras"), folder.path("run")), folder.path("run/step-00000001"));
  EXPECT_EQ(convert(folder.path("run"), folder.path("e.keras")), folder.path("e.keras"));
  const std::shared_ptr<nn::Model> again = load_keras(folder.path("e.keras"));
  for (nn::Model* each : {&static_cast<nn::Model&>(model), again.get()}) each->train_on_batch(constant({{1.f, 2.f}, {3.f, 4.f}}), constant({{1.f}, {2.f}}));
  EXPECT_EQ(difference(again->predict(x, {.verbose = 0}), model.predict(x, {.verbose = 0})), 0);
  EXPECT_THROW(convert(folder.path("a.keras"), folder.path("d.onnx")), InvalidArgumentError);
  EXPECT_THROW(convert(folder.path(""), folder.path("d.keras")), NotFoundError) << "a folder without a checkpoint";
}

TEST(KerasFiles, RefuseWhatIsCutOff) {
  const Folder folder;
  for (const std::string ending : {".keras", ".h5"}) {
    const std::string bytes = bytes_of(golden_file("mlp" + ending));
    for (const double part : {0.0, 0.1, 0.5, 0.9, 0.999}) {
      const std::string path = folder.write("cut" + ending, bytes.substr(0, std::size_t(double(bytes.size()) * part)));
      const std::string message = message_of<DataLossError>([&] { load_keras(path); });
      EXPECT_NE(message.find(path), std::string::npos) << ending << " " << part << ": " << message;
    }
  }
}

TEST(KerasFiles, WithFlippedBitsGiveErrorsOfTheLibraryOrLoad) {
  const Folder folder;
  for (const std::string ending : {".keras", ".h5"}) {
    const std::string bytes = bytes_of(golden_file("mlp" + ending));
    int refused = 0;
    for (std::size_t i = 0; i < 120; ++i) {
      std::string damaged = bytes;
      damaged[i * 7919 % bytes.size()] ^= char(1 << i % 8);
      const std::string path = folder.write("flipped" + ending, damaged);
      try {
        load_keras(path);
      } catch (const Error& error) {
        ++refused;
        EXPECT_NE(std::string(error.what()).find("flipped"), std::string::npos) << error.what();
      }
    }
    EXPECT_GT(refused, 5) << ending;
  }
}

/// A .keras file of this configuration.
std::string with_config(const Folder& folder, const std::string& config) {
  save_keras_weights(small(), folder.path("w.weights.h5"));
  write_archive(folder.path("x.keras"), {{.name = "metadata.json", .bytes = "{}"}, {.name = "config.json", .bytes = config}, {.name = "model.weights.h5", .file = folder.path("w.weights.h5")}});
  return folder.path("x.keras");
}

std::string dense(const std::string& units) {
  return R"({"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": "Dense", "config": {"name": "d", "units": )" + units + R"(}}]}, "build_config": {"input_shape": [null, 2]}})";
}

TEST(KerasFiles, RefuseConfigurationsThatNoModelHas) {
  const Folder folder;
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  for (const std::string& config : {std::string("{"), std::string("[1]"), std::string("{}"), "{\"class_name\": \"" + std::string(1000000, 'x') + "\", \"config\": {}}",
                                    "{\"class_name\": \"Sequential\", \"config\": " + deep + "}", dense("1000000000000"), dense("\"many\"")}) {
    const std::string path = with_config(folder, config);
    std::string message;
    try {
      load_keras(path);
    } catch (const Error& error) {
      message = error.what();
    }
    EXPECT_NE(message.find(path + "', config.json"), std::string::npos) << config.substr(0, 100) << ": " << message;
    EXPECT_LT(message.size(), 5000u);
  }
}

TEST(KerasFiles, RunNoCodeOfAFile) {
  const Folder folder;
  const std::string lambda = R"({"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": null, "closure": null}})";
  const std::string path = with_config(folder, R"({"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": "Lambda", "config": {"name": "l", "function": )" + lambda + R"(}}]}})");
  const std::string message = message_of<InvalidArgumentError>([&] { load_keras(path); });
  EXPECT_NE(message.find("never run"), std::string::npos) << message;
}

}  // namespace
}  // namespace lockstep::io

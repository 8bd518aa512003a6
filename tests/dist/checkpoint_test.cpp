// Checkpoints as several ranks write and read them; alone, this is one rank.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/io/checkpoint_files.h>
#include <lockstep/lockstep.h>

#include "../message_of.h"
#include "shared_directory.h"
#include "support.h"

using namespace lockstep;

namespace {

nn::Sequential network() {
  return nn::Sequential({nn::InputLayer({6}), nn::Dense({.units = 16, .activation = "relu"}), nn::BatchNormalization({.synchronized = true}), nn::Dropout({.rate = 0.2}), nn::Dense(1)});
}
void compile(nn::Sequential& model, bool shard_state = false) {
  model.compile({.optimizer = optim::Adam({.learning_rate = optim::CosineDecay({.initial_learning_rate = 0.05, .decay_steps = 40})}), .loss = "mse", .metrics = {"mae"}, .shard_optimizer_state = shard_state});
}
struct Rows {
  Tensor x = random::normal_from(constant(std::vector<std::int64_t>{4, 0}), {70, 6}), y = random::normal_from(constant(std::vector<std::int64_t>{4, 1}), {70, 1});
};
#define EXPECT_IN(part, text) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

TEST(Checkpoint, ResumesInTheMiddleOfAnEpochToTheSameBits) {
  const Rows data;
  const nn::FitOptions options{.batch_size = 16, .epochs = 3, .verbose = 0, .shards = dist::world_size()};
  random::set_seed(7);
  nn::Sequential undisturbed = network();
  compile(undisturbed);
  const nn::History whole = undisturbed.fit(data.x, data.y, options);

  const SharedDirectory directory;
  random::set_seed(7);
  nn::Sequential first = network();
  compile(first);
  nn::FitOptions broken = options;
  broken.callbacks = {io::ModelCheckpoint({.directory = directory.path(), .every_steps = 7, .every_epochs = 0, .asynchronous = false}), nn::LambdaCallback({.on_train_batch_end = [&](std::int64_t, const nn::BatchLogs&) {
                        if (first.position().step == 8) throw InternalError("killed");
                      }})};
  EXPECT_THROW(first.fit(data.x, data.y, broken), InternalError);
  EXPECT_EQ(io::checkpoint_generations(directory.path()), (std::vector<std::string>{"step-00000007"}));

  random::set_seed(99);  // another process would have other numbers
  nn::Sequential second = network();
  compile(second);
  nn::FitOptions resumed = options;
  resumed.resume = io::resume_from(directory.path());
  const nn::History rest = second.fit(data.x, data.y, resumed);
  random::set_seed(0);
  EXPECT_EQ(rest.params.resumed_in, 1) << "step 7 is in the second epoch";
  EXPECT_EQ(rest.epoch, (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_TRUE(same_weights(undisturbed, second));
  EXPECT_NEAR(rest.history.at("mae")[1], whole.history.at("mae")[1], 1e-6) << "metrics go on, too";
}

TEST(Checkpoint, IsReadAsItWasWrittenWithAShardedOptimizer) {
  const Rows data;
  const SharedDirectory directory;
  std::vector<std::string> hashes;
  for (const bool shard : {false, true}) {
    random::set_seed(7);
    nn::Sequential model = network();
    compile(model, shard);
    model.fit(data.x, data.y, {.batch_size = 35, .epochs = 2, .verbose = 0});
    const std::string path = io::save_checkpoint(model, directory.path() + (shard ? "/sharded" : "/whole"));
    io::verify_checkpoint(path);
    hashes.push_back(io::checkpoint_hash(path));

    nn::Sequential other = network();
    compile(other, !shard);
    random::set_seed(1);
    other.fit(data.x, data.y, {.batch_size = 35, .verbose = 0});
    io::load_checkpoint(other, path);
    EXPECT_TRUE(same_weights(model, other));
    other.compile_options();
    model.fit(data.x, data.y, {.batch_size = 70, .verbose = 0, .shuffle = false});
    other.fit(data.x, data.y, {.batch_size = 70, .verbose = 0, .shuffle = false});
    EXPECT_TRUE(same_weights(model, other)) << "the optimizer's state was read";
  }
  random::set_seed(0);
  EXPECT_EQ(hashes[0], hashes[1]) << "how it is spread over the files does not matter";
}

TEST(Checkpoint, IsAModelThatGoesOn) {
  const Rows data;
  const SharedDirectory directory;
  random::set_seed(7);
  nn::Sequential model = network();
  compile(model);
  model.fit(data.x, data.y, {.batch_size = 35, .verbose = 0});
  io::save_checkpoint(model, directory.path());
  const std::shared_ptr<nn::Model> loaded = io::load_model(directory.path());
  EXPECT_TRUE(same_weights(model, *loaded));
  EXPECT_TRUE(same_bits(model.predict(data.x, {.verbose = 0}), loaded->predict(data.x, {.verbose = 0})));
  model.fit(data.x, data.y, {.batch_size = 70, .verbose = 0, .shuffle = false});
  loaded->fit(data.x, data.y, {.batch_size = 70, .verbose = 0, .shuffle = false});
  random::set_seed(0);
  EXPECT_TRUE(same_weights(model, *loaded)) << "compiled as it was, with the optimizer's state";
  io::convert(directory.path(), directory.path() + "/model.keras");
  EXPECT_TRUE(same_weights(*io::load_model(directory.path()), *io::load_keras(directory.path() + "/model.keras")));
}

TEST(Checkpoint, NamesWhatDiffersInAnotherModel) {
  const SharedDirectory directory;
  nn::Sequential model = network();
  model(Rows().x);
  const std::string path = io::save_checkpoint(model, directory.path());
  nn::Sequential other({nn::InputLayer({6}), nn::Dense({.units = 8, .name = "dense"}), nn::Dense({.units = 1, .name = "out"})}, "sequential");
  other(Rows().x);
  const std::string text = message_of<Error>([&] { io::load_checkpoint(other, path); });
  EXPECT_IN("dense/kernel is float32 (6, 16) there, and float32 (6, 8) in the model", text);
  EXPECT_IN("only the model has", text);
  EXPECT_IN("only the checkpoint has", text);
  io::load_checkpoint(other, path, {.partial = true});
  EXPECT_IN("no complete checkpoint", message_of<Error>([&] { io::load_checkpoint(model, directory.path() + "/nowhere"); }));
}

TEST(Checkpoint, GoesBackAGenerationWhenTheLastIsDamaged) {
  const SharedDirectory directory;
  const Rows data;
  nn::Sequential model = network();
  compile(model);
  model.fit(data.x, data.y, {.batch_size = 35, .epochs = 2, .verbose = 0, .callbacks = {io::ModelCheckpoint({.directory = directory.path()})}});
  const std::vector<std::string> generations = io::checkpoint_generations(directory.path());
  ASSERT_EQ(generations.size(), 2u);
  dist::communicator().barrier();
  const std::string last = directory.path() + "/" + generations[1], shard = last + "/" + io::read_manifest(last).files[0].name;
  if (dist::is_chief()) {
    std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3000);
    file.put('\x5a');
  }
  dist::communicator().barrier();
  EXPECT_IN("is damaged", message_of<Error>([&] { io::verify_checkpoint(last); }));
  const auto resume = io::resume_from(directory.path());
  ASSERT_TRUE(resume->position());
  EXPECT_EQ(resume->position()->step, 2);
  dist::communicator().barrier();
  if (dist::is_chief()) std::filesystem::remove(shard);
  dist::communicator().barrier();
  EXPECT_IN("is missing", message_of<Error>([&] { io::verify_checkpoint(last); }));
}

TEST(Checkpoint, KeepsTheLastGenerationsAndRemovesWhatAKilledJobLeft) {
  const SharedDirectory directory;
  const Rows data;
  if (dist::is_chief()) std::filesystem::create_directories(directory.path() + "/step-00000001.tmp/x");
  dist::communicator().barrier();
  nn::Sequential model = network();
  compile(model);
  model.fit(data.x, data.y, {.batch_size = 70, .epochs = 5, .verbose = 0, .callbacks = {io::ModelCheckpoint({.directory = directory.path(), .keep = 2, .asynchronous = false})}});
  EXPECT_EQ(io::checkpoint_generations(directory.path()), (std::vector<std::string>{"step-00000004", "step-00000005"}));
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "/step-00000001.tmp"));
}

TEST(Checkpoint, ReplacesAGenerationOfTheSameStep) {
  const SharedDirectory directory;
  const Rows data;
  nn::Sequential model = network();
  compile(model);
  model.fit(data.x, data.y, {.batch_size = 70, .verbose = 0});
  io::save_checkpoint(model, directory.path());
  std::vector<Tensor> doubled = model.get_weights();
  for (Tensor& each : doubled) each = each * 2.0f;
  model.set_weights(doubled);
  const std::string path = io::save_checkpoint(model, directory.path());
  io::verify_checkpoint(path);
  dist::communicator().barrier();
  EXPECT_TRUE(same_weights(model, *io::load_model(path)));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), std::filesystem::directory_iterator()), 1);
}

TEST(Checkpoint, FailsOnAllRanksWhenOneCannotWriteAndLeavesWhatWasThere) {
  const SharedDirectory directory;
  const Rows data;
  nn::Sequential model = network();
  compile(model);
  model.fit(data.x, data.y, {.batch_size = 70, .verbose = 0});
  const std::string good = io::save_checkpoint(model, directory.path()), hash = io::checkpoint_hash(good);
  dist::communicator().barrier();
  const int last = dist::world_size() - 1;
  const auto hook = [&](const std::string& step) {
    if (step == "shard" && dist::rank() == last) throw ResourceExhaustedError("no space left");
  };
  EXPECT_IN("rank " + std::to_string(last) + ": no space left", message_of<Error>([&] { io::write_generation(io::take_snapshot(model), directory.path(), dist::communicator(), hook); }));
  EXPECT_EQ(io::checkpoint_hash(good), hash);
  dist::communicator().barrier();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), std::filesystem::directory_iterator()), 1) << "nothing half done is left";
}

TEST(Checkpoint, SavesTheBestEpochsOnly) {
  const SharedDirectory directory;
  const Rows data;
  nn::Sequential model = network();
  compile(model);
  std::vector<double> values{3, 2, 4, 1, 5};
  auto metric = nn::LambdaCallback({.on_epoch_end = [&](std::int64_t epoch, const nn::Logs&) { static_cast<void>(epoch); }});
  model.fit(data.x, data.y, {.batch_size = 70, .epochs = 4, .verbose = 0, .callbacks = {metric, io::ModelCheckpoint({.directory = directory.path(), .monitor = "mae", .mode = "max", .keep = 9})}});
  EXPECT_GE(io::checkpoint_generations(directory.path()).size(), 1u);
  EXPECT_THROW(io::ModelCheckpoint({.mode = "best"}), InvalidArgumentError);
  EXPECT_THROW(io::ModelCheckpoint({.keep = 0}), InvalidArgumentError);
}

TEST(Ownership, SpreadsBytesAndCutsWhatIsLarge) {
  std::vector<nn::StateEntry> entries;
  for (const std::int64_t size : {1000000, 300, 200, 100}) {
    const Variable variable(zeros({size}), {.path = "v" + std::to_string(size)});
    entries.push_back({variable, variable.shape()});
  }
  const auto owned = io::ownership(entries, 4);
  std::vector<std::int64_t> covered(entries.size(), 0);
  for (const auto& parts : owned) {
    std::int64_t bytes = 0;
    for (const io::OwnedPart& part : parts) covered[part.entry] += part.end - part.begin, bytes += 4 * (part.end - part.begin);
    EXPECT_NEAR(double(bytes), 1e6, 2000);
  }
  EXPECT_EQ(covered, (std::vector<std::int64_t>{1000000, 300, 200, 100}));
}

TEST(Manifest, RefusesWhatIsNotWhatItShouldBe) {
  io::CheckpointManifest manifest;
  manifest.files = {{"shard-00000-of-00001.h5", 10, "ab"}};
  manifest.tensors = {{"a", {float32, {2, 3}}, StateKind::replicated, {{"shard-00000-of-00001.h5", 0, 6, 800, "cd"}}}};
  const std::string good = manifest.to_json();
  EXPECT_EQ(io::CheckpointManifest::from_json(good, "m").to_json(), good);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return message_of<Error>([&] { io::CheckpointManifest::from_json(text, "m"); });
  };
  EXPECT_IN("m is no JSON", changed("{", "["));
  EXPECT_IN("m has version 9", changed("\"version\": 2", "\"version\": 9"));
  EXPECT_IN("m.tensors[0]: the parts hold 5 of 6", changed("\"end\": 6", "\"end\": 5"));
  EXPECT_IN("no dtype of a checkpoint is called 'float33'", changed("float32", "float33"));
  EXPECT_IN("'../x' is no name of a file", changed("\"name\": \"shard-00000-of-00001.h5\"", "\"name\": \"../x\""));
  EXPECT_IN("m has no 'files'", changed("\"files\"", "\"files_\""));
  EXPECT_IN("m.tensors[0].shape", changed("\"shape\": [\n    2,\n    3", "\"shape\": [\n    4611686018427387904,\n    4611686018427387904"));
  EXPECT_IN("is nested 100000 deep", message_of<Error>([&] { io::CheckpointManifest::from_json(std::string(100000, '['), "m"); }));
}

}  // namespace

// Checkpoints that something happened to: what is said, and what a training then goes on from. Alone, this is one rank.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include <lockstep/io/hdf5/file.h>
#include <lockstep/lockstep.h>

#include "../message_of.h"
#include "shared_directory.h"
#include "support.h"

using namespace lockstep;

namespace {

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
void edit(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = contents(path);
  ASSERT_NE(text.find(from), std::string::npos) << from;
  write(path, text.replace(text.find(from), from.size(), to));
}

/// A directory with two generations, steps 1 and 2.
class TwoGenerations {
 public:
  TwoGenerations() {
    random::set_seed(7);
    model.compile({.optimizer = "adam", .loss = "mse"});
    const Tensor x = ones({12, 6}), y = ones({12, 1});
    model.fit(x, y, {.batch_size = 12, .epochs = 2, .verbose = 0, .callbacks = {io::ModelCheckpoint({.directory = directory.path(), .asynchronous = false})}});
    random::set_seed(0);
  }
  /// Rank 0 does it, all ranks see it.
  void damage(const auto& how) const {
    dist::communicator().barrier();
    if (dist::is_chief()) how();
    dist::communicator().barrier();
  }
  std::string path(int generation = 2) const { return directory.path() + "/step-0000000" + std::to_string(generation); }
  /// The shard of rank 0.
  std::string shard(int generation = 2) const { return path(generation) + "/" + io::read_manifest(path(1)).files[0].name; }
  std::string manifest(int generation = 2) const { return path(generation) + "/manifest.json"; }
  /// What rank 0 wrote.
  std::vector<io::CheckpointTensor> tensors() const {
    std::vector<io::CheckpointTensor> all = io::read_manifest(path()).tensors;
    std::erase_if(all, [&](const io::CheckpointTensor& tensor) { return tensor.parts[0].file != std::filesystem::path(shard()).filename(); });
    return all;
  }

  SharedDirectory directory;
  nn::Sequential model{{nn::InputLayer({6}), nn::Dense(16, "relu"), nn::Dense(1)}};
};

/// What rank 0 warns of when a training looks for where to go on; it must be the first generation.
std::string warning_of_going_back(const TwoGenerations& saved) {
  testing::internal::CaptureStderr();
  const auto position = io::resume_from(saved.directory.path())->position();
  std::string text = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(position && position->step == 1);
  return dist::communicator().broadcast_text(text, 0, "warning");
}

TEST(DamagedCheckpoint, IsNamedInAWarningAndTheGenerationBeforeItIsTaken) {
  struct Case {
    const char* name;
    std::function<void(const TwoGenerations&)> damage;
    std::function<std::string(const TwoGenerations&)> named;
    std::string said;
  };
  const auto shard = [](const TwoGenerations& saved) { return saved.shard(); };
  const auto manifest = [](const TwoGenerations& saved) { return saved.manifest(); };
  for (const Case& each : {
           Case{"a shard cut off", [](const TwoGenerations& saved) { std::filesystem::resize_file(saved.shard(), 3000); }, shard, "has 3000 bytes, the manifest says"},
           Case{"a bit of a shard", [](const TwoGenerations& saved) { std::string bytes = contents(saved.shard()); bytes[std::size_t(saved.tensors()[0].parts[0].offset)] ^= 16; write(saved.shard(), bytes); }, shard, "' is damaged: its checksum is"},
           Case{"a bit of a shard's frame", [](const TwoGenerations& saved) { std::string bytes = contents(saved.shard()); bytes[9] ^= 16; write(saved.shard(), bytes); }, shard, "apart from its datasets' elements, is damaged: its checksum is"},
           Case{"a shard of another generation", [](const TwoGenerations& saved) { write(saved.shard(), contents(saved.shard(1))); }, shard, "the manifest says"},
           Case{"no shard", [](const TwoGenerations& saved) { std::filesystem::remove(saved.shard()); }, shard, "is missing"},
           Case{"a manifest cut off", [](const TwoGenerations& saved) { std::filesystem::resize_file(saved.manifest(), 300); }, manifest, "is no JSON"},
           Case{"an empty manifest", [](const TwoGenerations& saved) { write(saved.manifest(), ""); }, manifest, "is no JSON"},
           Case{"a manifest of another generation", [](const TwoGenerations& saved) { write(saved.manifest(), contents(saved.manifest(1))); }, shard, "the manifest says"},
           Case{"no manifest", [](const TwoGenerations& saved) { std::filesystem::remove(saved.manifest()); }, manifest, "cannot read"},
           Case{"a manifest of a million brackets", [](const TwoGenerations& saved) { write(saved.manifest(), std::string(1000000, '[')); }, manifest, "is nested 1000000 deep"},
           Case{"a manifest of a million characters", [](const TwoGenerations& saved) { write(saved.manifest(), '"' + std::string(1000000, 'x') + '"'); }, manifest, "has no 'format'"},
           Case{"a name of a million characters", [](const TwoGenerations& saved) { edit(saved.manifest(), "\"name\": \"shard", "\"name\": \"" + std::string(1000000, 'x')); }, manifest, "which is no file of the checkpoint"},
           Case{"a shape that overflows", [](const TwoGenerations& saved) { edit(saved.manifest(), "\"shape\": [\n    6,\n    16", "\"shape\": [\n    4611686018427387904,\n    16"); }, manifest, "].shape"},
           Case{"a shape that is no file's", [](const TwoGenerations& saved) { edit(saved.manifest(), "\"shape\": [\n    6,\n    16", "\"shape\": [\n    6,\n    1600000000"); }, manifest, "the parts hold 96 of 9600000000 elements"},
       }) {
    SCOPED_TRACE(each.name);
    const TwoGenerations saved;
    saved.damage([&] { each.damage(saved); });
    const std::string text = warning_of_going_back(saved);
    EXPECT_NE(text.find(each.named(saved)), std::string::npos) << text.substr(0, 1000);
    EXPECT_NE(text.find(each.said), std::string::npos) << text.substr(0, 1000);
    EXPECT_NE(text.find("going back to step-00000001"), std::string::npos) << text.substr(0, 1000);
    EXPECT_LT(text.size(), 5000u);
  }
}

TEST(DamagedCheckpoint, LeavesTheModelAsItWasOnAllRanks) {
  TwoGenerations saved;
  const io::CheckpointTensor last = saved.tensors().back();
  saved.damage([&] {
    std::string bytes = contents(saved.shard());
    bytes[std::size_t(last.parts[0].offset)] ^= 1;
    write(saved.shard(), bytes);
  });
  const std::vector<Variable> variables = saved.model.variables();
  for (const Variable& variable : variables) variable.assign(full(variable.shape(), 3, variable.dtype()));
  const std::string text = message_of<DataLossError>([&] { io::load_checkpoint(saved.model, saved.path()); });
  EXPECT_NE(text.find("'" + last.dataset() + "' of '" + saved.shard() + "' is damaged: its checksum is"), std::string::npos) << text;
  for (const Variable& variable : variables) EXPECT_EQ(variable.value().to_vector<float>(), std::vector<float>(std::size_t(variable.shape().numel()), 3)) << variable.path();
  io::load_checkpoint(saved.model, saved.path(1));
  EXPECT_NE(variables[0].value().to_vector<float>()[0], 3);
  dist::communicator().barrier();
}

TEST(DamagedCheckpoint, WithTheShardsOfTwoRanksSwappedIsNotTaken) {
  if (dist::world_size() == 1) return;
  const TwoGenerations saved;
  saved.damage([&] {
    const std::string other = saved.path() + "/" + io::read_manifest(saved.path(1)).files[1].name, bytes = contents(other);
    write(other, contents(saved.shard()));
    write(saved.shard(), bytes);
  });
  EXPECT_NE(warning_of_going_back(saved).find("shard-0000"), std::string::npos);
}

TEST(DamagedCheckpoint, WithDatasetsOfAnotherKindIsRefusedByFileAndDataset) {
  using File = io::hdf5::File;
  using Entry = io::CheckpointTensor;
  struct Case {
    const char* name;
    std::function<void(File&, const Entry&)> write;
    std::string said;
  };
  const auto elements = [](const Entry& tensor) { return Shape{tensor.parts[0].end - tensor.parts[0].begin}; };
  for (const Case& each : {
           Case{"of another dtype", [&](File&file, const Entry&tensor) { file.write(tensor.dataset(), zeros(elements(tensor), int16)); }, "is int16 ("},
           Case{"of another size", [&](File&file, const Entry&tensor) { file.write(tensor.dataset(), zeros({elements(tensor)[0] + 1}, tensor.spec.dtype)); }, "), the manifest says"},
           Case{"a text", [&](File&file, const Entry&tensor) { file.write_text(tensor.dataset(), "text"); }, "is string"},
           Case{"a group", [&](File&file, const Entry&tensor) { file.make_group(tensor.dataset()); }, "cannot be opened"},
           Case{"not there", [&](File&file, const Entry&) { file.make_group("/state"); }, "is missing"},
       }) {
    SCOPED_TRACE(each.name);
    const TwoGenerations saved;
    const std::vector<Entry> tensors = saved.tensors();
    saved.damage([&] {
      File file = File::create(saved.shard());
      for (const Entry& tensor : tensors) each.write(file, tensor);
      file.close();
    });
    for (const Entry& tensor : tensors) {
      const std::string text = message_of<DataLossError>([&] { io::read_checkpoint_tensor(saved.path(), io::read_manifest(saved.path()), tensor.path); });
      EXPECT_NE(text.find(saved.shard()), std::string::npos) << text;
      EXPECT_NE(text.find("'" + tensor.dataset() + "'"), std::string::npos) << text;
      EXPECT_NE(text.find(each.said), std::string::npos) << text;
    }
    dist::communicator().barrier();
  }
}

}  // namespace

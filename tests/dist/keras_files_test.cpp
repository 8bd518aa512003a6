// Keras's files as several ranks write and read them; alone, this is one rank.
#include <filesystem>

#include <gtest/gtest.h>

#include <lockstep/io/hdf5/file.h>
#include <lockstep/lockstep.h>

#include "../message_of.h"
#include "support.h"

namespace keras_files {

using namespace lockstep;

/// A folder that all ranks share, empty at first.
class SharedFolder {
 public:
  SharedFolder() {
    std::string made;
    if (dist::is_chief()) {
      std::string pattern = std::filesystem::temp_directory_path() / "lockstep_keras_XXXXXX";
      made = mkdtemp(pattern.data());
    }
    path_ = dist::communicator().broadcast_text(made, 0, "test folder");
  }
  ~SharedFolder() {
    dist::communicator().barrier("test folder");
    std::error_code ignored;
    if (dist::is_chief()) std::filesystem::remove_all(path_, ignored);
  }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

const Tensor& inputs() {
  static const Tensor x = random::normal_from(constant(std::vector<std::int64_t>{4, 0}), {24, 5});
  return x;
}
const Tensor& targets() {
  static const Tensor y = random::normal_from(constant(std::vector<std::int64_t>{4, 1}), {24, 1});
  return y;
}

/// Sizes that no number of ranks but one divides, too.
nn::Sequential small() { return nn::Sequential({nn::InputLayer({5}), nn::Dense({.units = 7, .activation = "tanh"}), nn::BatchNormalization(), nn::Dense(1)}); }
void compile(nn::Model& model, bool spread) { model.compile({.optimizer = optim::Nadam({.learning_rate = 0.05}), .loss = "mse", .shard_optimizer_state = spread}); }
void steps(nn::Model& model, int count) { model.fit(inputs(), targets(), {.batch_size = 12, .epochs = count, .verbose = 0, .shuffle = false, .shards = 12}); }

nn::Sequential trained(bool spread) {
  random::set_seed(3);
  nn::Sequential model = small();
  compile(model, spread);
  steps(model, 2);
  random::set_seed(0);
  return model;
}

bool equal_weights(const nn::Model& a, const nn::Model& b) {
  const std::vector<Tensor> x = a.get_weights(), y = b.get_weights();
  bool equal = x.size() == y.size();
  for (std::size_t i = 0; i < x.size(); ++i) equal = equal && same_bits(x[i], y[i]);
  return equal;
}
/// Do all ranks have the same bits?
bool equal_everywhere(const nn::Model& model) {
  bool equal = true;
  for (const Tensor& mine : model.get_weights()) {
    const Tensor flat = reshape(mine, {-1}), all = reshape(dist::all_gather(flat), {dist::world_size(), -1});
    for (std::int64_t rank = 0; rank < dist::world_size(); ++rank) equal = equal && same_bits(all[{rank}], flat);
  }
  return equal;
}

TEST(KerasFilesOfRanks, AreThereForAllRanksWhenAnyReturns) {
  const SharedFolder folder;
  const nn::Sequential model = trained(false);
  for (const std::string name : {"a.keras", "a.h5"}) {
    io::save_keras(model, folder.path(name));
    const std::shared_ptr<nn::Model> loaded = io::load_keras(folder.path(name));
    EXPECT_TRUE(equal_weights(model, *loaded)) << name;
    EXPECT_TRUE(equal_everywhere(*loaded)) << name;
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path("")), {}), name == "a.keras" ? 1 : 2) << "rank 0 alone writes, and leaves nothing else";
    dist::communicator().barrier();
  }
  io::save_keras_weights(model, folder.path("a.weights.h5"));
  nn::Sequential other = small();
  io::load_keras_weights(other, folder.path("a.weights.h5"));
  EXPECT_TRUE(equal_weights(model, other));
}

TEST(KerasFilesOfRanks, GoOnWithTheOptimizersStateHoweverItIsSpread) {
  const SharedFolder folder;
  for (const bool spread : {false, true}) {
    nn::Sequential model = trained(spread);
    io::save_keras(model, folder.path("a.keras"));
    steps(model, 1);
    // As the file says, with the whole state on each rank; and dealt out to the ranks.
    const std::shared_ptr<nn::Model> whole = io::load_keras(folder.path("a.keras")), dealt = io::load_keras(folder.path("a.keras"), {.compile = false});
    compile(*dealt, true);
    io::load_keras_weights(*dealt, folder.path("a.keras"));
    EXPECT_EQ(dealt->optimizer().sharded_variables().size(), dist::world_size() > 1 ? 12u : 0u);
    for (nn::Model* loaded : {whole.get(), dealt.get()}) {
      EXPECT_EQ(loaded->optimizer().iterations().value().item<std::int64_t>(), 4);
      steps(*loaded, 1);
      EXPECT_TRUE(equal_weights(model, *loaded)) << "written from " << (spread ? "parts" : "the whole") << ", read as " << (loaded == dealt.get() ? "parts" : "the whole");
      EXPECT_TRUE(equal_everywhere(*loaded));
    }
    dist::communicator().barrier();
  }
}

TEST(KerasFilesOfRanks, HoldTheStateThatOneRankWouldHave) {
  const SharedFolder folder;
  io::save_keras_weights(trained(false), folder.path("whole.weights.h5"));
  io::save_keras_weights(trained(true), folder.path("dealt.weights.h5"));
  io::save_keras(trained(true), folder.path("dealt.h5"));
  const io::hdf5::File whole = io::hdf5::File::open(folder.path("whole.weights.h5")), dealt = io::hdf5::File::open(folder.path("dealt.weights.h5")), legacy = io::hdf5::File::open(folder.path("dealt.h5"));
  const std::vector<std::string> names = legacy.attribute_list("optimizer_weights", "weight_names");
  ASSERT_EQ(whole.entries("optimizer/vars").size(), 2 + 2 * 6 + 1u);
  ASSERT_EQ(names.size(), whole.entries("optimizer/vars").size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string path = "optimizer/vars/" + std::to_string(i);
    EXPECT_TRUE(same_bits(whole.read(path), dealt.read(path))) << path;
    EXPECT_TRUE(same_bits(whole.read(path), legacy.read("optimizer_weights/" + names[i]))) << names[i];
  }
}

TEST(KerasFilesOfRanks, FailOnAllRanksIfRank0CannotWriteThem) {
  const SharedFolder folder;
  if (dist::is_chief()) std::filesystem::create_directories(folder.path("taken.keras/x"));
  dist::communicator().barrier();
  const nn::Sequential model = trained(true);
  const std::string none = folder.path("none/a.keras"), taken = folder.path("taken.keras");
  for (const auto& [path, reason] : {std::pair{none, "there is no directory"}, {taken, "cannot replace"}}) {
    const std::string message = message_of<Error>([&, &path = path] { io::save_keras(model, path); });
    EXPECT_NE(message.find(reason), std::string::npos) << message;
    EXPECT_NE(message.find(path), std::string::npos) << message;
    if (!dist::is_chief()) {
      EXPECT_NE(message.find("rank 0 could not write"), std::string::npos) << message;
    }
  }
  EXPECT_NE(message_of<InvalidArgumentError>([&] { io::save_keras(model, folder.path("a.txt")); }), "(none)");
  // The ranks are together still.
  io::save_keras(model, folder.path("a.keras"));
  EXPECT_TRUE(equal_weights(model, *io::load_keras(folder.path("a.keras"))));
}

}  // namespace keras_files

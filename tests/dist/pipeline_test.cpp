// Pipelines and layers that learn from data, where every rank reads something else. Alone, this is one rank.
#include <algorithm>
#include <sstream>

#include <gtest/gtest.h>

#include <lockstep/dist/replica.h>
#include <lockstep/lockstep.h>

#include "shared_directory.h"
#include "support.h"

using namespace lockstep;

namespace {

/// Rows of which ranks have unequal numbers; what was read is written down.
struct Reading {
  std::vector<std::int64_t> read, seen;  // of the batch at hand, and of those that were trained on
  io::ShardedSource source{[this](std::int64_t rank, std::int64_t world) {
    return io::Dataset::range(43).shard(rank, world).shuffle(5, {.seed = 3}).map([this](const Tensor& x) {
      read.push_back(x.item<std::int64_t>());
      const Tensor row = reshape(cast(x, float32), {1}) / 43;
      return std::pair(row, row * 2);
    }).batch(3);
  }};
  nn::Sequential model{{nn::InputLayer({1}), nn::Dense(1)}};
  nn::FitOptions options;

  explicit Reading(const std::string& directory) {
    model.compile({.optimizer = optim::SGD({.learning_rate = 0.01}), .loss = "mse"});
    options = {.epochs = 2, .verbose = 0, .callbacks = {io::ModelCheckpoint({.directory = directory, .every_steps = 1, .every_epochs = 0, .keep = 2, .asynchronous = false})}, .own_data = true};
    options.callbacks.push_back(nn::LambdaCallback({.on_train_begin = [this] { read.clear(); },
                                                    .on_train_batch_end = [this](std::int64_t, const nn::BatchLogs&) { seen.insert(seen.end(), read.begin(), read.end()), read.clear(); }}));
    options.resume = io::resume_from(directory);
  }
  /// The samples of all ranks, sorted.
  std::vector<std::int64_t> everybodys() const {
    std::string mine;
    for (const std::int64_t each : seen) mine += std::to_string(each) + " ";
    std::vector<std::int64_t> all;
    for (const std::string& text : dist::communicator().gather_texts(mine)) {
      std::istringstream numbers(text);
      for (std::int64_t each = 0; numbers >> each;) all.push_back(each);
    }
    std::sort(all.begin(), all.end());
    return all;
  }
};

TEST(Pipelines, TrainingsGoOnWithEachSampleOnceWhereEveryRankReadsItsOwn) {
  std::vector<std::int64_t> twice;
  for (std::int64_t i = 0; i < 43; ++i) twice.insert(twice.end(), 2, i);
  for (const std::int64_t last : {1, 3, 4, 5, 6, 9}) {
    SCOPED_TRACE(last);
    const SharedDirectory folder;
    Reading first(folder.path() + "/run");
    first.options.callbacks.push_back(nn::LambdaCallback({.on_train_batch_begin = [&](std::int64_t) {
      if (first.model.position().step == last) throw InternalError("killed");
    }}));
    try {
      first.model.fit(first.source, first.options);
    } catch (const InternalError&) {
    }
    std::vector<std::int64_t> all = first.everybodys();
    Reading second(folder.path() + "/run");
    second.model.fit(second.source, second.options);
    const std::vector<std::int64_t> rest = second.everybodys();
    all.insert(all.end(), rest.begin(), rest.end());
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, twice);
  }
}

TEST(Pipelines, LayersLearnFromWhatAllRanksHave) {
  const Tensor data = reshape(cast(mod(range(0, 240, 1, int64) * 37, scalar(101, int64)), float32), {80, 3});
  const dist::RowRange part = dist::rows_of_part(80, dist::rank(), dist::world_size());
  const Tensor mine = data[slice(part.begin, part.end)];
  nn::Normalization whole, together;
  whole.adapt(data);
  together.adapt(mine, {.own_data = true});
  EXPECT_LE(reduce_max(abs(whole(data) - together(data))).item<float>(), 2e-6f);

  std::vector<std::string> words;
  for (int i = 0; i < 60; ++i) words.push_back("w" + std::to_string(i * i % 11));
  const dist::RowRange own = dist::rows_of_part(60, dist::rank(), dist::world_size());
  nn::StringLookup alone, shared;
  alone.adapt(constant(words));
  shared.adapt(constant(std::vector<std::string>(words.begin() + own.begin, words.begin() + own.end)), {.own_data = true});
  EXPECT_EQ(shared.get_vocabulary(), alone.get_vocabulary());

  nn::Discretization bins({.num_bins = 4});
  bins.adapt(mine, {.own_data = true});
  EXPECT_EQ(dist::communicator().broadcast_text(bins.config().dump()), bins.config().dump()) << "the same on all ranks";
}

TEST(Pipelines, AGlobalBatchIsCutWithoutComputingOthersRows) {
  const io::Dataset data = io::Dataset::range(50).map([](const Tensor& x) { return std::pair(reshape(cast(x, float32), {1}), reshape(cast(x, float32), {1})); }, {.threads = 2});
  std::vector<std::vector<float>> losses;
  for (const bool cut_by_fit : {true, false}) {
    random::set_seed(5);
    nn::Sequential model({nn::InputLayer({1}), nn::Dense(1)});
    model.compile({.optimizer = optim::SGD({.learning_rate = 1e-4}), .loss = "mse"});
    io::DistributedSource distributed(data, {.batch_size = 8});
    io::Iterator whole = data.batch(8).iterate();
    model.fit(cut_by_fit ? static_cast<nn::BatchSource&>(whole) : distributed, {.epochs = 2, .verbose = 0});
    losses.push_back(model.get_weights()[0].to_vector<float>());
  }
  random::set_seed(0);
  EXPECT_EQ(losses[0], losses[1]);
}

}  // namespace

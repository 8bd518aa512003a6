// Operators beyond those of dataset_test.cpp. Their values are golden cases; here is what holds for all of them.
#include <lockstep/io/dataset.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <set>
#include <thread>

#include <lockstep/io/distribute.h>
#include <lockstep/io/sharded_source.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

#include "files.h"
#include "numbers.h"

namespace lockstep::io {
namespace {

Tensor same(const Tensor& x) { return x; }

/// A chain for each operator; what is drawn is seeded.
std::vector<Dataset> operators(int threads) {
  const Dataset numbers = Dataset::range(23).shuffle(7, {.seed = 3}).map(same, {.threads = threads});
  const auto repeated = [](const Tensor& x) { return Dataset::from_tensors(x).repeat(1 + x.item<std::int64_t>() % 4); };
  const auto rows = [](const Tensor& x) { return full({1 + x.item<std::int64_t>() % 5}, x.item<std::int64_t>(), int64); };
  const auto third = [](const Tensor& x) { return x.item<std::int64_t>() % 3; };
  return {
      numbers.flat_map(repeated),
      numbers.interleave(repeated, {.cycle_length = 3, .block_length = 2, .threads = threads}).prefetch(kAutotune),
      numbers.scan({scalar(0, int64)}, [](const Tensor& s, const Tensor& x) { return std::pair(s + x, s + x); }),
      numbers.take_while([](const Tensor& x) { return x < 21; }),
      numbers.concatenate(Dataset::range(9)).unique(),
      numbers.map(rows, {.threads = threads}).padded_batch(4),
      numbers.map(rows).ragged_batch(4),
      numbers.window(5, {.shift = 3, .stride = 2}).flat_map([](const Dataset& window) { return window.batch(5); }),
      numbers.window(2, {.shift = 5}).map([](const Dataset& window) { return window.reduce(scalar(0, int64), [](const Tensor& s, const Tensor& x) { return s + x; }); }),
      numbers.group_by_window(third, [](std::int64_t, const Dataset& window) { return window.batch(3); }, 3),
      numbers.map(rows).bucket_by_sequence_length([](const Tensor& x) { return x.shape()[0]; }, {.boundaries = {2, 4}, .batch_sizes = {3, 2, 2}}),
      Dataset::sample_from_datasets({numbers, Dataset::range(50, 60)}, {.weights = {0.7, 0.3}, .seed = 5}),
      numbers.rejection_resample(third, {0.2, 0.2, 0.6}, {.seed = 4}),
      numbers.cache().shuffle(5, {.seed = 2}).repeat(2),
      numbers.shard(1, 3),
      numbers.map([](const Tensor& x) {
        if (x.item<std::int64_t>() % 5 == 0) throw InvalidArgumentError("no fives");
        return x;
      }, {.threads = threads}).ignore_errors(),
  };
}

Numbers one_by_one(Iterator& iterator, std::size_t most = 1000) {
  Numbers numbers;
  Tensors element;
  for (std::size_t i = 0; i < most && iterator.next(element); ++i)
    for (const std::int64_t number : element[0].data<std::int64_t>()) numbers.push_back(number);
  return numbers;
}

TEST(Pipeline, IsTheSameForEveryNumberOfThreads) {
  const std::vector<Dataset> alone = operators(0);
  for (const int threads : {1, 2, 8}) {
    const std::vector<Dataset> several = operators(threads);
    for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_EQ(pass(several[i], 1), pass(alone[i], 1)) << "operator " << i << ", threads " << threads;
  }
}

TEST(Pipeline, GoesOnAfterAResumeAtAnyStep) {
  const std::vector<Dataset> described = operators(2), again = operators(3);
  for (std::size_t i = 0; i < described.size(); ++i) {
    Iterator whole = described[i].iterate({.epoch = 2});
    const Numbers all = pass(described[i], 2);
    Tensors element;
    Numbers before;
    do {
      // Another process, which has described the same dataset.
      Iterator resumed = again[i].iterate(whole.state());
      Numbers numbers = before;
      for (const std::int64_t number : one_by_one(resumed)) numbers.push_back(number);
      ASSERT_EQ(numbers, all) << "operator " << i << " after " << whole.state().offset;
      if (!whole.next(element)) break;
      for (const std::int64_t number : element[0].data<std::int64_t>()) before.push_back(number);
    } while (whole.state().epoch == 2);
  }
}

TEST(Pipeline, InterleaveReadsEachElementOnceHoweverItIsCut) {
  const auto upto = [](const Tensor& x) { return Dataset::range(x.item<std::int64_t>() * 100, x.item<std::int64_t>() * 100 + x.item<std::int64_t>() % 7); };
  std::multiset<std::int64_t> expected;
  for (const std::int64_t number : pass(Dataset::range(20).flat_map(upto))) expected.insert(number);
  for (const std::int64_t cycle : {1, 2, 5, 40})
    for (const std::int64_t block : {1, 3, 50}) {
      const Numbers numbers = pass(Dataset::range(20).interleave(upto, {.cycle_length = cycle, .block_length = block, .threads = 2}));
      EXPECT_EQ(std::multiset<std::int64_t>(numbers.begin(), numbers.end()), expected) << cycle << " " << block;
    }
}

TEST(Pipeline, KeepsNamesThroughTheSteps) {
  const Dataset named = Dataset::from_tensor_slices(Nest{{"x", constant({1, 2, 3})}, {"y", constant({4.f, 5.f, 6.f})}});
  const Dataset batches = named.shuffle(3, {.seed = 1}).filter([](const Nest& each) { return each["x"].tensor() > 1; }).batch(2);
  ASSERT_TRUE(batches.structure().has_value());
  EXPECT_EQ(to_string(*batches.structure()), "{x: tensor, y: tensor}");
  Iterator iterator = batches.iterate();
  Tensors element;
  ASSERT_TRUE(iterator.next(element));
  EXPECT_EQ(batches.nest(element)["y"].tensor().shape(), (Shape{2}));
  EXPECT_NE(message_of<NotFoundError>([&] { Nest({{"image", element[0]}, {"label", element[1]}})["lable"]; }).find("did you mean 'label'?"), std::string::npos);

  const Dataset renamed = named.map([](const Nest& each) { return Nest{{"sum", each["x"].tensor() + 1}, {"pair", Nest::tuple({each["x"], each["y"]})}}; });
  EXPECT_EQ(to_string(*renamed.enumerate().structure()), "(tensor, {sum: tensor, pair: (tensor, tensor)})");
  EXPECT_EQ(to_string(*Dataset::zip({named, Dataset::range(3)}).structure()), "({x: tensor, y: tensor}, tensor)");
}

TEST(Pipeline, RefusesElementsOfTwoStructures) {
  const Dataset data = Dataset::range(3).map([](const Tensor& x) { return x.item<std::int64_t>() < 2 ? Nest{{"a", x}} : Nest{{"b", x}}; });
  Iterator iterator = data.iterate();
  EXPECT_THROW(drain(iterator), InvalidArgumentError);
}

TEST(Pipeline, PadsStringsAndNumbersToTheLongest) {
  const Dataset data = Dataset::range(1, 4).map([](const Tensor& x) { return std::pair(full({x.item<std::int64_t>(), 2}, 7, int64), broadcast_to(constant("a"), {x.item<std::int64_t>()})); });
  Iterator iterator = data.padded_batch(3, {.padding_values = {scalar(-1, int64), constant("-")}}).iterate();
  Tensors batch;
  ASSERT_TRUE(iterator.next(batch));
  EXPECT_EQ(batch[0].shape(), (Shape{3, 3, 2}));
  EXPECT_EQ(batch[0].to_vector<std::int64_t>(), (Numbers{7, 7, -1, -1, -1, -1, 7, 7, 7, 7, -1, -1, 7, 7, 7, 7, 7, 7}));
  EXPECT_EQ(batch[1].to_vector<std::string>(), (std::vector<std::string>{"a", "-", "-", "a", "a", "-", "a", "a", "a"}));
  EXPECT_THROW(pass(data.padded_batch(3, {.padded_shapes = {{2, 2}, {3}}})), InvalidArgumentError);
  EXPECT_THROW(pass(data.padded_batch(3, {.padded_shapes = {{3, 2}}})), InvalidArgumentError);
}

TEST(Pipeline, KeepsTheFirstPassInMemoryAndInFiles) {
  const Folder folder;
  for (const std::string kind : {"memory", "file", "snapshot"}) {
    std::atomic<int> calls = 0;
    const Dataset computed = Dataset::range(10).shuffle(10, {.seed = 1}).map([&calls](const Tensor& x) { return ++calls, x; });
    const std::string path = folder.path(kind);
    const Dataset kept = kind == "memory" ? computed.cache() : kind == "file" ? computed.cache(path) : computed.snapshot(path, {.compressed = true});
    Iterator part = kept.iterate();
    one_by_one(part, 4);  // not read to its end: nothing is kept
    EXPECT_EQ(pass(kept, 5), pass(computed, 0));
    calls = 0;
    EXPECT_EQ(pass(kept, 0), pass(kept, 1));
    EXPECT_EQ(calls, 0) << kind;
  }
}

TEST(Pipeline, SavesElementsAndTheirNames) {
  const Folder folder;
  const Dataset data = Dataset::from_tensor_slices(Nest{{"n", constant(Numbers{1, 2})}, {"s", constant({"one", "two\n\0"})}});
  data.save(folder.path("set"));
  const Dataset loaded = Dataset::load(folder.path("set"));
  EXPECT_EQ(pass(loaded), (Numbers{1, 2}));
  EXPECT_EQ(*loaded.structure(), *data.structure());
  EXPECT_THROW(Dataset::load(folder.path("nothing")), NotFoundError);
  EXPECT_THROW(Dataset::load(folder.write("other", "abc")), DataLossError);
  const std::string bytes = bytes_of(folder.path("set"));
  folder.write("short", bytes.substr(0, bytes.size() - 21));  // the record that counts the elements
  EXPECT_THROW(pass(Dataset::load(folder.path("short"))), DataLossError);
}

TEST(Pipeline, CountsWhatItLeavesOut) {
  const auto count = std::make_shared<SkipCount>();
  for (const int threads : {0, 3}) {
    const Dataset sound = Dataset::range(10).map([](const Tensor& x) {
      if (x.item<std::int64_t>() % 4 == 1) throw DataLossError("number " + std::to_string(x.item<std::int64_t>()));
      return x;
    }, {.threads = threads}).ignore_errors(count);
    EXPECT_EQ(pass(sound), (Numbers{0, 2, 3, 4, 6, 7, 8}));
  }
  EXPECT_EQ(count->value(), 6);
  EXPECT_EQ(count->last(), "number 9");
}

/// Number `bad` fails.
Dataset failing(std::int64_t count, std::int64_t bad) {
  return Dataset::range(count).map([bad](const Tensor& x) {
    if (x.item<std::int64_t>() == bad) throw DataLossError("bad");
    return x;
  });
}

TEST(Pipeline, StaysInStepWhereAnElementFails) {
  for (const std::int64_t bad : {0, 2, 4}) {
    Numbers rest;
    for (std::int64_t i = 0; i < 5; ++i)
      if (i != bad) rest.insert(rest.end(), {i, i, i});
    const auto zipped = [&](int place) {
      std::vector<Dataset> parts(3, Dataset::range(5));
      parts[std::size_t(place)] = failing(5, bad);
      return Dataset::zip(parts).map([](const Tensor& a, const Tensor& b, const Tensor& c) { return stack(std::vector{a, b, c}, 0); }).ignore_errors();
    };
    for (const int place : {0, 1, 2}) EXPECT_EQ(pass(zipped(place)), rest) << place;
    EXPECT_EQ(pass(failing(5, bad).enumerate().map([](const Tensor& number, const Tensor& x) { return number - x; }).ignore_errors()), (Numbers{0, 0, 0, 0}));
  }
}

TEST(Pipeline, ShardsCountWhatFailsAlike) {
  for (const std::int64_t bad : {0, 1, 2, 5, 9}) {
    Numbers all;
    for (std::int64_t rank = 0; rank < 3; ++rank)
      for (const std::int64_t number : pass(failing(10, bad).filter([](const Tensor&) { return true; }).shard(rank, 3).ignore_errors())) all.push_back(number);
    std::sort(all.begin(), all.end());
    Numbers expected;
    for (std::int64_t i = 0; i < 10; ++i)
      if (i != bad) expected.push_back(i);
    EXPECT_EQ(all, expected) << bad;
  }
}

TEST(Pipeline, GroupsGoOnBehindAWindowOfNoSize) {
  const auto size = [](std::int64_t key) { return key == 1 ? std::int64_t(-1) : std::int64_t(2); };
  const Dataset grouped = Dataset::range(6).group_by_window([](const Tensor& x) { return x.item<std::int64_t>() % 2; }, [](std::int64_t, const Dataset& window) { return window.batch(2); }, size);
  EXPECT_EQ(pass(grouped.ignore_errors()), (Numbers{0, 2, 4}));
  EXPECT_THROW(pass(grouped), InvalidArgumentError);
}

TEST(Pipeline, CountsAsFarAsNumbersGo) {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max(), quarter = std::int64_t(1) << 62;
  EXPECT_EQ(pass(Dataset::range(least, most, quarter)), (Numbers{least, -quarter, 0, quarter}));
  EXPECT_EQ(Dataset::range(3).window(2, {.shift = most}).map([](const Dataset&) { return scalar(1, int64); }).cardinality(), 1);
  EXPECT_THROW(Dataset::range(3).window(most, {.stride = 2}), InvalidArgumentError);
}

TEST(Pipeline, BoundsItsBuffersAndTellsOfThem) {
  const Dataset data = Dataset::range(100).map([](const Tensor&) { return zeros({256}); });  // 1 KiB each
  const Dataset shuffled = data.shuffle(50, {.seed = 1, .most_bytes = 8 << 10}).prefetch(100, {.most_bytes = 4 << 10});
  Iterator iterator = shuffled.iterate();
  Tensors element;
  int count = 0;
  while (iterator.next(element)) ++count;
  EXPECT_EQ(count, 100);
  const std::vector<BufferUse> uses = shuffled.buffers();
  ASSERT_EQ(uses.size(), 2u);
  EXPECT_EQ(uses[0].step, "shuffle");
  EXPECT_EQ(uses[0].peak_bytes, 8 << 10);
  EXPECT_EQ(uses[1].step, "prefetch");
  EXPECT_LE(uses[1].peak_bytes, 4 << 10);
  EXPECT_GT(uses[1].peak_bytes, 0);
  for (const BufferUse& use : uses) EXPECT_EQ(use.bytes, 0);
}

TEST(Pipeline, TellsOfTheBuffersOfAllDatasetsThatItReads) {
  const Dataset a = Dataset::range(3).prefetch(1), b = Dataset::range(3).shuffle(2, {.seed = 1}), choice = Dataset::range(2).cache();
  const auto steps = [](const Dataset& dataset) {
    std::vector<std::string> names;
    for (const BufferUse& use : dataset.buffers()) names.push_back(use.step);
    return names;
  };
  EXPECT_EQ(steps(Dataset::zip({a, b})), (std::vector<std::string>{"prefetch", "shuffle"}));
  EXPECT_EQ(steps(a.concatenate(b)), (std::vector<std::string>{"prefetch", "shuffle"}));
  EXPECT_EQ(steps(Dataset::choose_from_datasets({a, b}, choice)), (std::vector<std::string>{"prefetch", "shuffle", "cache"}));
}

TEST(Pipeline, LooksForNamesOnce) {
  int opened = 0;
  const Dataset data = Dataset::range(5).flat_map([&opened](const Tensor& x) { return ++opened, Dataset::from_tensors(x); });
  Iterator iterator = data.iterate();
  for (Tensors element; iterator.next(element);) EXPECT_TRUE(data.nest(element).is_tensor());
  EXPECT_EQ(opened, 5 + 1);
}

TEST(Pipeline, PrefetchesAsDeepAsIsNeeded) {
  // A consumer that takes many at once finds an automatic buffer empty, which therefore grows.
  const Dataset data = Dataset::range(300).prefetch(kAutotune);
  Iterator iterator = data.iterate();
  Tensors element;
  for (int i = 0; i < 12; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    for (int k = 0; k < 20; ++k) ASSERT_TRUE(iterator.next(element));
  }
  EXPECT_GT(data.buffers()[0].peak_bytes, 2 * 8);
  EXPECT_LE(data.buffers()[0].peak_bytes, 64 * 8);
}

TEST(Pipeline, ChoosesAndSamplesDatasets) {
  const Dataset a = Dataset::range(3), b = Dataset::range(10, 20);
  EXPECT_EQ(pass(Dataset::choose_from_datasets({a, b}, Dataset::from_tensor_slices(constant(Numbers{1, 0, 0, 1, 0, 0, 1})))), (Numbers{10, 0, 1, 11, 2}));
  EXPECT_EQ(pass(Dataset::choose_from_datasets({a, b}, Dataset::from_tensor_slices(constant(Numbers{1, 0, 0, 1, 0, 0, 1})), false)), (Numbers{10, 0, 1, 11, 2, 12}));
  EXPECT_THROW(pass(Dataset::choose_from_datasets({a, b}, Dataset::range(3))), InvalidArgumentError);
  Numbers sampled = pass(Dataset::sample_from_datasets({a, b}, {.seed = 1}));
  std::sort(sampled.begin(), sampled.end());
  EXPECT_EQ(sampled, (Numbers{0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}));
}

TEST(Pipeline, ResamplesClassesToTheirShares) {
  const auto class_of = [](const Tensor& x) { return x.item<std::int64_t>() % 10 == 0 ? 1 : 0; };
  const Numbers kept = pass(Dataset::range(20000).rejection_resample(class_of, {0.5, 0.5}, {.initial = {0.9, 0.1}, .seed = 2}));
  const auto ones = std::count_if(kept.begin(), kept.end(), [](std::int64_t x) { return x % 10 == 0; });
  EXPECT_NEAR(double(ones) / double(kept.size()), 0.5, 0.03);
  EXPECT_EQ(ones, 2000);  // the rarest class is kept whole
}

// ---- ranks

/// Maps in several threads, behind a filter that no other rank can compute for us.
Dataset samples(int threads, std::atomic<int>* calls = nullptr) {
  return Dataset::range(61).filter([](const Tensor& x) { return x.item<std::int64_t>() % 9 != 4; }).shuffle(20, {.seed = 8}).map([calls](const Tensor& x) {
    if (calls) ++*calls;
    return x * 3;
  }, {.threads = threads}).map([](const Tensor& x) { return std::pair(x, x + 1); });
}

TEST(DistributedSource, GivesEachSampleOnceForEveryNumberOfRanksAndThreads) {
  const Numbers all = pass(samples(0), 1);
  for (int world = 1; world <= 4; ++world)
    for (const int threads : {0, 1, 8}) {
      Numbers together;
      std::vector<std::unique_ptr<DistributedSource>> ranks;
      std::atomic<int> calls = 0;
      const Dataset data = samples(threads, &calls);
      for (int rank = 0; rank < world; ++rank) {
        ranks.push_back(std::make_unique<DistributedSource>(data, DistributeOptions{.batch_size = 7, .rank = rank, .world = world}));
        ranks.back()->restore({.epoch = 1});
      }
      for (bool more = true; more;) {
        std::int64_t rows = 0, global = 0;
        for (const auto& rank : ranks) {
          Tensors batch;
          more = rank->next(batch);
          if (!more) continue;
          global = rank->global_rows();
          rows += batch[0].shape()[0];
          ASSERT_EQ(batch.size(), 2u);
          for (const std::int64_t number : batch[0].data<std::int64_t>()) together.push_back(number);
        }
        EXPECT_EQ(rows, global);
      }
      EXPECT_EQ(together, all) << world << " ranks, " << threads << " threads";
      EXPECT_EQ(calls, std::ssize(all)) << "a rank computes its own elements only";
    }
}

TEST(DistributedSource, GoesOnWithAnotherNumberOfRanksAtAnyStep) {
  for (const Dataset& data : {samples(2), counting(61).shuffle(61, {.seed = 3})}) {
    const Numbers all = pass(data, 0);
    for (std::int64_t step = 0; step * 7 < std::ssize(all); ++step)
      for (const int world : {1, 2, 3, 4}) {
        std::vector<std::unique_ptr<DistributedSource>> ranks;
        for (int rank = 0; rank < world; ++rank) {
          ranks.push_back(std::make_unique<DistributedSource>(data, DistributeOptions{.batch_size = 7, .rank = rank, .world = world}));
          ranks.back()->restore({.epoch = 0, .offset = step});
        }
        Numbers rest;
        for (bool more = true; more;)
          for (const auto& rank : ranks) {
            Tensors batch;
            if (!(more = rank->next(batch))) continue;
            for (const std::int64_t number : batch[0].data<std::int64_t>()) rest.push_back(number);
          }
        ASSERT_EQ(rest, Numbers(all.begin() + step * 7, all.end())) << step << ", " << world;
      }
  }
}

/// A pass of `world` ranks in lockstep, `most` steps of it, from a state on; what they read, and where they stand then.
struct Ranks {
  Ranks(const RankDataset& dataset, int world, const nn::DatasetState& at) {
    for (int rank = 0; rank < world; ++rank) {
      sources.push_back(std::make_unique<ShardedSource>(dataset, ShardedOptions{.rank = rank, .world = world}));
      sources.back()->restore(at);
    }
    ended.assign(std::size_t(world), false);
  }
  /// False when the pass is over.
  bool step(Numbers& numbers) {
    bool any = false;
    for (std::size_t r = 0; r < sources.size(); ++r) {
      Tensors batch;
      if (!ended[r] && !sources[r]->next(batch)) ended[r] = true;
      if (ended[r]) continue;
      any = true;
      for (const std::int64_t number : batch[0].data<std::int64_t>()) numbers.push_back(number);
    }
    for (std::size_t r = 0; r < sources.size(); ++r)
      if (ended[r]) sources[r]->idle(!any);
    for (const auto& source : sources) EXPECT_EQ(source->state(), sources[0]->state());
    return any;
  }
  std::vector<std::unique_ptr<ShardedSource>> sources;
  std::vector<bool> ended;
};

TEST(ShardedSource, GoesOnWithAnotherNumberOfRanksAtAnyStep) {
  // Unequal shards, so that some ranks end before others.
  const RankDataset dataset = [](std::int64_t rank, std::int64_t world) {
    return Dataset::range(53).shard(rank, world).filter([](const Tensor& x) { return x.item<std::int64_t>() % 4 != 1 || x.item<std::int64_t>() > 20; }).shuffle(6, {.seed = 2}).batch(3);
  };
  const Numbers all = [&] {
    Numbers numbers = pass(dataset(0, 1), 1);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }();
  const auto sorted = [](Numbers numbers) {
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  };
  for (const int first : {1, 2, 3, 4})
    for (const int second : {1, 2, 3, 4})
      for (int steps = 0; steps < 8; ++steps) {
        Numbers numbers;
        Ranks before(dataset, first, {.epoch = 1});
        for (int i = 0; i < steps; ++i)
          if (!before.step(numbers)) break;
        if (before.sources[0]->state().epoch != 1) continue;
        // One more step with others, and the rest with a third number.
        Ranks between(dataset, second, before.sources[0]->state());
        const bool more = between.step(numbers);
        if (more) {
          Ranks after(dataset, 3, between.sources[0]->state());
          while (after.step(numbers)) {}
          EXPECT_EQ(after.sources[0]->state().epoch, 2);
        }
        ASSERT_EQ(sorted(numbers), all) << first << " ranks, " << steps << " steps, then " << second;
      }
}

TEST(ShardedSource, RefusesThePositionOfAStreamForAll) {
  ShardedSource source([](std::int64_t rank, std::int64_t world) { return Dataset::range(9).shard(rank, world).batch(2); }, {.rank = 0, .world = 1});
  EXPECT_THROW(source.restore({.epoch = 0, .offset = 3}), FailedPreconditionError);
  DistributedSource whole(Dataset::range(9), {.batch_size = 2, .rank = 0, .world = 1});
  EXPECT_THROW(whole.restore(source.state()), FailedPreconditionError);
}

}  // namespace
}  // namespace lockstep::io

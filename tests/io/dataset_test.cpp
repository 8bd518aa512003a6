#include <lockstep/io/dataset.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/random.h>

#include "numbers.h"

namespace lockstep::io {
namespace {

/// Numbers without a table (the path by elements).
Dataset counting_elements(std::int64_t n) {
  return counting(n).map([](const Tensor& x) { return x; });
}
std::vector<Dataset> both(std::int64_t n) { return {counting(n), counting_elements(n)}; }

Numbers sorted(Numbers numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}
Numbers upto(std::int64_t n) {
  Numbers numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

TEST(Dataset, GivesTensorsOnceAndSlicesRowByRow) {
  const Tensor x = constant({{1, 2}, {3, 4}, {5, 6}}), y = constant({7, 8, 9});
  Iterator whole = Dataset::from_tensors({x, y}).iterate();
  Tensors element;
  ASSERT_TRUE(whole.next(element));
  EXPECT_EQ(element[0].shape(), (Shape{3, 2}));
  EXPECT_FALSE(whole.next(element));

  std::int32_t row = 0;
  for (const Tensors& slice : Dataset::from_tensor_slices({x, y})) {
    EXPECT_EQ(slice[0].to_vector<std::int32_t>(), (std::vector<std::int32_t>{2 * row + 1, 2 * row + 2}));
    EXPECT_EQ(slice[1].item<std::int32_t>(), 7 + row++);
  }
  EXPECT_EQ(row, 3);
}

TEST(Dataset, RefusesSlicesThatDoNotBelongTogether) {
  EXPECT_THROW(Dataset::from_tensor_slices({constant({1, 2}), constant({1, 2, 3})}), InvalidArgumentError);
  EXPECT_THROW(Dataset::from_tensor_slices(constant(1)), InvalidArgumentError);
  EXPECT_THROW(Dataset::from_tensor_slices(Tensors{}), InvalidArgumentError);
  EXPECT_THROW(Dataset::from_tensors(Tensor()), InvalidArgumentError);
}

TEST(Dataset, RefusesArgumentsThatMakeNoSense) {
  const Dataset data = counting(3);
  EXPECT_THROW(data.batch(0), InvalidArgumentError);
  EXPECT_THROW(data.shuffle(0), InvalidArgumentError);
  EXPECT_THROW(data.take(-2), InvalidArgumentError);
  EXPECT_THROW(data.skip(-1), InvalidArgumentError);
  EXPECT_THROW(data.repeat(-2), InvalidArgumentError);
  EXPECT_THROW(data.shard(2, 2), InvalidArgumentError);
  EXPECT_THROW(data.prefetch(0), InvalidArgumentError);
  EXPECT_THROW(data.map([](const Tensor& x) { return x; }, {.threads = -2}), InvalidArgumentError);
  EXPECT_THROW(Dataset::zip({}), InvalidArgumentError);
}

TEST(Dataset, BatchesKeepOrDropTheRemainder) {
  for (const Dataset& data : both(7)) {
    std::vector<std::int64_t> sizes;
    for (const Tensors& batch : data.batch(3)) sizes.push_back(batch[0].shape()[0]);
    EXPECT_EQ(sizes, (Numbers{3, 3, 1}));
    EXPECT_EQ(pass(data.batch(3)), upto(7));
    EXPECT_EQ(pass(data.batch(3, true)), upto(6));
    EXPECT_EQ(pass(data.batch(8, true)), Numbers{});
  }
}

TEST(Dataset, BatchesRowsOfEveryDtypeAndStrings) {
  const Tensor x = constant({{1.f, 2.f}, {3.f, 4.f}, {5.f, 6.f}}), names = constant({"a", "a longer string than the inline one", "c"});
  for (const Dataset& data : {Dataset::from_tensor_slices({x, names}), Dataset::from_tensor_slices({x, names}).map([](const Tensors& e) { return e; })}) {
    Iterator iterator = data.shuffle(3, {.seed = 3}).batch(3).iterate();
    Tensors batch;
    ASSERT_TRUE(iterator.next(batch));
    const auto rows = batch[0].data<float>();
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(rows[2 * i + 1], rows[2 * i] + 1);
      EXPECT_EQ(batch[1].data<std::string>()[i], names.data<std::string>()[std::size_t(rows[2 * i]) / 2]);
    }
  }
}

TEST(Dataset, BatchRefusesElementsOfUnequalShapes) {
  const Dataset ragged = counting(2).map([](const Tensor& x) { return zeros({1 + x.item<std::int64_t>()}); }).batch(2);
  Iterator iterator = ragged.iterate();
  Tensors batch;
  try {
    iterator.next(batch);
    FAIL();
  } catch (const InvalidArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("float32 (1,), then float32 (2,)"), std::string::npos) << error.what();
  }
}

TEST(Dataset, SharesTheRowsOfABatchThatLieNextToEachOther) {
  const Tensor x = zeros({10, 4});
  Iterator iterator = Dataset::from_tensor_slices(x).skip(2).batch(3).iterate();
  Tensors batch;
  ASSERT_TRUE(iterator.next(batch));
  EXPECT_EQ(batch[0].raw(), static_cast<const float*>(x.raw()) + 8);
}

TEST(Dataset, UnbatchTakesBatchesApart) {
  EXPECT_EQ(pass(counting(7).batch(3).unbatch()), upto(7));
  EXPECT_EQ(pass(counting(7).batch(3).unbatch().skip(2).batch(2)), (Numbers{2, 3, 4, 5, 6}));
  Iterator iterator = counting(2).unbatch().iterate();
  Tensors element;
  EXPECT_THROW(iterator.next(element), InvalidArgumentError);  // scalars have no rows
}

TEST(Dataset, MapTakesElementsWholeOrByTheirTensors) {
  const Dataset pairs = Dataset::from_tensor_slices({constant(upto(3)), constant(upto(3))});
  EXPECT_EQ(pass(pairs.map([](const Tensor& x, const Tensor& y) { return x + y; })), (Numbers{0, 2, 4}));
  EXPECT_EQ(pass(pairs.map([](const Tensors& e) { return e[0] * 3; })), (Numbers{0, 3, 6}));
  Iterator iterator = pairs.map([](const Tensor& x, const Tensor& y) { return std::pair(x + 1, y * 2); }).iterate({.offset = 2});
  Tensors element;
  ASSERT_TRUE(iterator.next(element));
  ASSERT_EQ(element.size(), 2u);
  EXPECT_EQ(element[0].item<std::int64_t>(), 3);
  EXPECT_EQ(element[1].item<std::int64_t>(), 4);
}

TEST(Dataset, MapRefusesAFunctionOfAnotherNumberOfTensors) {
  Iterator iterator = counting(3).map([](const Tensor& x, const Tensor& y) { return x + y; }).iterate();
  Tensors element;
  try {
    iterator.next(element);
    FAIL();
  } catch (const InvalidArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("takes 2 tensors, an element has 1"), std::string::npos) << error.what();
  }
}

TEST(Dataset, FilterKeepsWhatThePredicateKeeps) {
  const auto odd = [](const Tensor& x) { return x.item<std::int64_t>() % 2 == 1; };
  EXPECT_EQ(pass(counting(6).filter(odd)), (Numbers{1, 3, 5}));
  EXPECT_EQ(pass(counting(6).filter([](const Tensor& x) { return x > 3; })), (Numbers{4, 5}));
  EXPECT_EQ(counting(6).filter(odd).cardinality(), kUnknown);
}

TEST(Dataset, ShuffleGivesEachElementOnceInAnotherOrderEachPass) {
  for (const Dataset& data : both(100)) {
    const Dataset shuffled = data.shuffle(100, {.seed = 1});
    const Numbers first = pass(shuffled, 0), second = pass(shuffled, 1);
    EXPECT_EQ(sorted(first), upto(100));
    EXPECT_EQ(sorted(second), upto(100));
    EXPECT_NE(first, upto(100));
    EXPECT_NE(first, second);
    EXPECT_EQ(pass(shuffled, 0), first);
    EXPECT_NE(pass(data.shuffle(100, {.seed = 2})), first);
  }
}

TEST(Dataset, ShuffleIsTheSameByRowNumbersAndByElements) {
  const auto chain = [](const Dataset& data) { return data.shuffle(7, {.seed = 5}).repeat(3).skip(4).shard(1, 3).take(12).batch(5); };
  EXPECT_EQ(pass(chain(counting(20))), pass(chain(counting_elements(20))));
}

TEST(Dataset, ShuffleDrawsFromNoMoreThanItsBuffer) {
  const Numbers order = pass(counting(1000).shuffle(10, {.seed = 1}));
  EXPECT_EQ(sorted(order), upto(1000));
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_LT(order[i], std::int64_t(i) + 10);
  EXPECT_EQ(pass(counting(5).shuffle(1, {.seed = 1})), upto(5));
}

TEST(Dataset, ShuffleIsUniform) {
  // Each of 4 elements at each of 4 places in a quarter of 4000 passes: 1000, standard deviation 27.
  const Dataset data = counting(4).shuffle(4, {.seed = 9});
  int counts[4][4] = {};
  for (std::int64_t epoch = 0; epoch < 4000; ++epoch) {
    const Numbers order = pass(data, epoch);
    for (std::size_t place = 0; place < 4; ++place) ++counts[place][std::size_t(order[place])];
  }
  for (const auto& place : counts)
    for (const int count : place) EXPECT_NEAR(count, 1000, 5 * 27);
}

TEST(Dataset, ShuffleCanKeepTheOrderOfTheFirstPass) {
  const Dataset data = counting(50).shuffle(50, {.seed = 4, .reshuffle_each_iteration = false});
  EXPECT_EQ(pass(data, 0), pass(data, 7));
}

TEST(Dataset, ShuffleWithoutASeedFollowsTheGlobalOne) {
  const auto order = [] {
    random::set_seed(11);
    return pass(counting(50).shuffle(50));
  };
  const Numbers first = order();
  EXPECT_EQ(order(), first);
  EXPECT_NE(pass(counting(50).shuffle(50)), first);
}

TEST(Dataset, EachLoopIsTheNextPass) {
  const Dataset data = counting(20).shuffle(20, {.seed = 2}).batch(20);
  for (std::int64_t epoch = 0; epoch < 3; ++epoch)
    for (const Tensors& batch : data) EXPECT_EQ(batch[0].to_vector<std::int64_t>(), pass(data, epoch));
}

TEST(Dataset, RepeatGoesThroughThePassesOfWhatItRepeats) {
  for (const Dataset& data : both(5)) {
    const Dataset shuffled = data.shuffle(5, {.seed = 3});
    Numbers expected = pass(shuffled, 2);
    for (const std::int64_t number : pass(shuffled, 3)) expected.push_back(number);
    EXPECT_EQ(pass(shuffled.repeat(2), 1), expected);
    EXPECT_EQ(pass(data.repeat().take(12)), (Numbers{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1}));
    EXPECT_EQ(pass(data.repeat(0)), Numbers{});
    EXPECT_EQ(pass(data.repeat(3).skip(7)), (Numbers{2, 3, 4, 0, 1, 2, 3, 4}));
  }
}

TEST(Dataset, RepeatingNothingEnds) {
  EXPECT_EQ(pass(counting(0).repeat()), Numbers{});
  EXPECT_EQ(pass(counting(3).filter([](const Tensor&) { return false; }).repeat()), Numbers{});
}

TEST(Dataset, ShardsShareTheElementsOut) {
  for (const Dataset& data : both(10)) {
    EXPECT_EQ(pass(data.shard(0, 3)), (Numbers{0, 3, 6, 9}));
    EXPECT_EQ(pass(data.shard(2, 3)), (Numbers{2, 5, 8}));
    EXPECT_EQ(pass(data.shard(4, 20)), (Numbers{4}));
    EXPECT_EQ(pass(data.shard(15, 20)), Numbers{});
  }
}

TEST(Dataset, JoinsStreamsOneAfterTheOtherAndSideBySide) {
  EXPECT_EQ(pass(counting(2).concatenate(counting(3))), (Numbers{0, 1, 0, 1, 2}));
  const Dataset zipped = Dataset::zip({counting(5).skip(2), counting(9)});
  EXPECT_EQ(pass(zipped), (Numbers{2, 3, 4}));
  EXPECT_EQ(pass(zipped.map([](const Tensor& x, const Tensor& y) { return x * 10 + y; })), (Numbers{20, 31, 42}));
}

TEST(Dataset, EnumerateNumbersTheElements) {
  const Dataset numbered = counting(3).map([](const Tensor& x) { return x * 5; }).enumerate(7);
  EXPECT_EQ(pass(numbered), (Numbers{7, 8, 9}));
  EXPECT_EQ(pass(numbered.map([](const Tensor& i, const Tensor& x) { return i * 100 + x; })), (Numbers{700, 805, 910}));
}

TEST(Dataset, KnowsItsLengthWithoutReading) {
  const Dataset data = counting(10);
  EXPECT_EQ(data.cardinality(), 10);
  EXPECT_EQ(data.batch(3).cardinality(), 4);
  EXPECT_EQ(data.batch(3, true).cardinality(), 3);
  EXPECT_EQ(data.repeat().cardinality(), kInfinite);
  EXPECT_EQ(data.repeat(3).skip(4).take(100).shuffle(2, {.seed = 1}).cardinality(), 26);
  EXPECT_EQ(data.repeat().take(7).cardinality(), 7);
  EXPECT_EQ(data.shard(1, 4).cardinality(), 3);
  EXPECT_EQ(data.concatenate(data).cardinality(), 20);
  EXPECT_EQ(Dataset::zip({data, data.repeat(), data.take(3)}).cardinality(), 3);
  EXPECT_EQ(data.batch(3).unbatch().cardinality(), kUnknown);
  EXPECT_EQ(data.prefetch(2).enumerate().cardinality(), 10);
  EXPECT_EQ(data.repeat(std::int64_t(1) << 62).cardinality(), kInfinite);
}

/// Pipelines of every step.
std::vector<Dataset> pipelines() {
  const auto third = [](const Tensor& x) { return x.item<std::int64_t>() % 3 != 0; };
  const auto doubled = [](const Tensor& x) { return x * 2; };
  const ShuffleOptions seeded = {.seed = 6};
  return {
      counting(23).shuffle(23, seeded).batch(4),
      counting(23).shuffle(5, seeded).batch(4, true).prefetch(2),
      counting_elements(23).shuffle(7, seeded).repeat(2).batch(3),
      counting(23).filter(third).shuffle(9, seeded).map(doubled, {.threads = 3}).batch(2),
      counting(23).shuffle(23, seeded).repeat(3).shard(1, 4).skip(1).take(9),
      counting(23).batch(5).unbatch().concatenate(counting(4).shuffle(4, seeded)).batch(6),
      counting(23).shuffle(23, seeded).map(doubled).enumerate().prefetch(3).take(17),
      Dataset::zip({counting(23).shuffle(23, seeded), counting(40).repeat()}).batch(4).map([](const Tensor& x, const Tensor&) { return x; }, {.threads = 2}),
  };
}

TEST(Dataset, GoesOnWhereASavedStateStood) {
  for (const Dataset& data : pipelines()) {
    Iterator whole = data.iterate({.epoch = 1});
    std::vector<Numbers> elements;
    std::vector<DatasetState> states = {whole.state()};
    for (Tensors element; whole.next(element); states.push_back(whole.state())) elements.push_back(element[0].to_vector<std::int64_t>());
    EXPECT_EQ(whole.state(), (DatasetState{2, 0}));
    for (std::size_t from = 0; from < states.size(); ++from) {
      EXPECT_EQ(states[from], (DatasetState{1, std::int64_t(from)}));
      Iterator resumed = data.iterate(states[from]);
      Tensors element;
      for (std::size_t i = from; i < elements.size(); ++i) {
        ASSERT_TRUE(resumed.next(element));
        ASSERT_EQ(element[0].to_vector<std::int64_t>(), elements[i]);
      }
      EXPECT_FALSE(resumed.next(element));
      EXPECT_EQ(drain(resumed), pass(data, 2));
    }
  }
}

TEST(Dataset, GoesBackWhenAnEarlierStateIsRestored) {
  Iterator iterator = counting(9).shuffle(9, {.seed = 8}).iterate();
  Tensors element;
  iterator.next(element);
  const DatasetState saved = iterator.state();
  const Numbers rest = drain(iterator);
  iterator.restore(saved);
  EXPECT_EQ(drain(iterator), rest);
  EXPECT_THROW(iterator.restore({-1, 0}), InvalidArgumentError);
}

TEST(Dataset, RefusesAStateBeyondItsEnd) {
  for (const Dataset& data : {counting(5).batch(2), counting(5).repeat(2).skip(3)}) {
    Iterator iterator = data.iterate({.offset = 8});
    Tensors element;
    EXPECT_THROW(iterator.next(element), FailedPreconditionError);
  }
}

TEST(Dataset, IsASourceOfBatchesForATrainingLoop) {
  Iterator iterator = counting(6).batch(4).iterate();
  BatchSource& source = iterator;
  Tensors batch;
  EXPECT_EQ(source.cardinality(), 2);
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    EXPECT_EQ(source.state(), (DatasetState{epoch, 0}));
    std::int64_t rows = 0;
    while (source.next(batch)) rows += batch[0].shape()[0];
    EXPECT_EQ(rows, 6);
  }
}

}  // namespace
}  // namespace lockstep::io

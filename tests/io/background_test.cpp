// Reading ahead: prefetch and map with threads.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include <lockstep/io/dataset.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

#include "numbers.h"

namespace lockstep::io {
namespace {

void rest(int microseconds) { std::this_thread::sleep_for(std::chrono::microseconds(microseconds)); }
/// Waits until `done`, ten seconds at most.
template <class F>
bool eventually(F&& done) {
  for (int i = 0; i < 10000 && !done(); ++i) rest(1000);
  return done();
}

TEST(Background, MapKeepsTheOrderHoweverLongEachElementTakes) {
  const Dataset slow = counting(60).map([](const Tensor& x) {
    rest(int(x.item<std::int64_t>() * 7919 % 13) * 50);
    return x * 3;
  }, {.threads = 4});
  Numbers expected;
  for (std::int64_t i = 0; i < 60; ++i) expected.push_back(3 * i);
  EXPECT_EQ(pass(slow), expected);
  EXPECT_EQ(pass(slow.prefetch(5)), expected);
}

TEST(Background, MapRunsItsThreadsAtOnce) {
  std::atomic<int> inside{0}, most{0};
  const Dataset data = counting(4).map([&](const Tensor& x) {
    const int now = ++inside;
    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
    eventually([&] { return most == 2; });  // nobody leaves before two are in
    --inside;
    return x;
  }, {.threads = 2});
  EXPECT_EQ(pass(data), (Numbers{0, 1, 2, 3}));
  EXPECT_EQ(most, 2);
}

TEST(Background, PrefetchReadsAheadButNoFurtherThanAsked) {
  std::atomic<int> made{0};
  Iterator iterator = counting(100).map([&](const Tensor& x) { return ++made, x; }).prefetch(3).iterate();
  Tensors element;
  EXPECT_EQ(made, 0);  // nothing is read before something is asked for
  ASSERT_TRUE(iterator.next(element));
  EXPECT_TRUE(eventually([&] { return made == 4; })) << made;
  rest(5000);
  EXPECT_EQ(made, 4);
}

TEST(Background, AnErrorComesOutWhereItsElementWouldHave) {
  for (const int threads : {0, 3}) {
    const Dataset data = counting(10).map([](const Tensor& x) {
      if (x.item<std::int64_t>() == 5) throw DataLossError("element 5 is bad");
      return x;
    }, {.threads = threads}).prefetch(4);
    Iterator iterator = data.iterate();
    Tensors element;
    for (std::int64_t i = 0; i < 5; ++i) {
      ASSERT_TRUE(iterator.next(element));
      EXPECT_EQ(element[0].item<std::int64_t>(), i);
    }
    EXPECT_THROW(iterator.next(element), DataLossError);
    EXPECT_EQ(iterator.state(), (DatasetState{0, 5}));
    EXPECT_THROW(iterator.next(element), DataLossError);  // asked for again
    iterator.restore({0, 6});
    ASSERT_TRUE(iterator.next(element));
    EXPECT_EQ(element[0].item<std::int64_t>(), 6);
  }
}

TEST(Background, AbandonedEarlyItEndsItsThreads) {
  std::atomic<int> inside{0};
  for (int i = 0; i < 20; ++i) {
    Iterator iterator = counting(1000).repeat().map([&](const Tensor& x) {
      ++inside;
      rest(50);
      --inside;
      return x;
    }, {.threads = 2}).batch(2).prefetch(2).prefetch(2).iterate();
    Tensors element;
    for (int k = 0; k < i % 4; ++k) ASSERT_TRUE(iterator.next(element));
  }
  EXPECT_EQ(inside, 0);
}

TEST(Background, OneDatasetServesSeveralIteratorsAtOnce) {
  const Dataset data = counting(200).shuffle(200, {.seed = 1}).map([](const Tensor& x) { return x + 1; }, {.threads = 2}).prefetch(2);
  const auto read = [&] {
    Numbers all;
    Iterator iterator = data.iterate();
    for (Tensors element; iterator.next(element);) all.push_back(element[0].item<std::int64_t>());
    return all;
  };
  const Numbers expected = read();
  Numbers first, second;
  std::thread a([&] { first = read(); }), b([&] { second = read(); });
  a.join();
  b.join();
  EXPECT_EQ(first, expected);
  EXPECT_EQ(second, expected);
}

TEST(Background, SkippedElementsAreNotComputed) {
  std::atomic<int> made{0};
  Iterator iterator = counting(100).map([&](const Tensor& x) { return ++made, x; }, {.threads = 1}).prefetch(1).iterate({.offset = 98});
  Tensors element;
  ASSERT_TRUE(iterator.next(element));
  EXPECT_EQ(element[0].item<std::int64_t>(), 98);
  ASSERT_TRUE(iterator.next(element));
  EXPECT_FALSE(iterator.next(element));
  EXPECT_EQ(made, 2);
}

}  // namespace
}  // namespace lockstep::io

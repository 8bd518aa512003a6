// Queues between threads: none lost, none twice, in order, closed and cancelled, never for ever.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Ints64 = std::vector<std::int64_t>;

Tensor number(std::int64_t value) { return scalar(value, int64); }
const QueueOptions kScalars{.shapes = {Ints{}}, .timeout_seconds = 60};

/// Eight threads put numbers in, eight take them out; how often each came.
std::vector<std::atomic<int>> exchanged(const Queue& queue, std::int64_t count, bool many) {
  std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
  std::vector<std::thread> producers, consumers;
  for (std::int64_t p = 0; p < 8; ++p)
    producers.emplace_back([&, p] {
      for (std::int64_t i = p * 50; i < count; i += 8 * 50) {
        if (many) queue.enqueue_many(range(i, std::min(i + 50, count), 1, int64));
        else
          for (std::int64_t k = i; k < std::min(i + 50, count); ++k) queue.enqueue(number(k));
      }
    });
  for (int c = 0; c < 8; ++c)
    consumers.emplace_back([&] {
      try {
        for (;;) {
          const Tensor taken = many ? queue.dequeue_up_to(32)[0] : queue.dequeue()[0];
          for (const std::int64_t each : taken.data<std::int64_t>()) ++seen[std::size_t(each)];
        }
      } catch (const OutOfRangeError&) {  // closed and empty
      }
    });
  for (std::thread& producer : producers) producer.join();
  queue.close();
  for (std::thread& consumer : consumers) consumer.join();
  return seen;
}

void expect_each_once(const std::vector<std::atomic<int>>& seen) {
  std::int64_t wrong = 0;
  for (const auto& each : seen) wrong += each != 1;
  EXPECT_EQ(wrong, 0);
}

TEST(Queue, LosesNoneOfAMillionAndGivesNoneTwice) { expect_each_once(exchanged(FIFOQueue(1000, {int64}, kScalars), 1000000, true)); }
TEST(Queue, LosesNoneOneByOne) { expect_each_once(exchanged(FIFOQueue(7, {int64}, kScalars), 20000, false)); }
TEST(Queue, LosesNoneWhenItShuffles) { expect_each_once(exchanged(RandomShuffleQueue(500, 100, {int64}, kScalars, 1), 100000, true)); }

TEST(Queue, GivesThingsInTheOrderTheyCame) {
  const FIFOQueue queue(-1, {int64}, kScalars);
  queue.enqueue_many(range(0, 100, 1, int64));
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(queue.dequeue()[0].item<std::int64_t>(), i);
}

TEST(Queue, GivesTheOldestOfEqualPriorities) {
  const PriorityQueue queue(10, {string}, {.shapes = {Ints{}}});
  for (const char* word : {"first", "second", "third"}) queue.enqueue({number(1), constant(word)});
  queue.enqueue({number(-5), constant("urgent")});
  EXPECT_EQ(queue.dequeue_many(4)[1].to_vector<std::string>(), (std::vector<std::string>{"urgent", "first", "second", "third"}));
  EXPECT_THROW(queue.enqueue({constant(1), constant("x")}), TypeError);
}

TEST(Queue, PutsBackWhatATooLargeWishHadTaken) {
  for (const bool priority : {false, true}) {
    const auto enqueue_pairs = [&](const Queue& queue) {
      for (std::int64_t i = 0; i < 3; ++i) priority ? queue.enqueue({number(0), number(i)}) : queue.enqueue(number(i));
      queue.close();
      EXPECT_THROW(queue.dequeue_many(4), OutOfRangeError);
      EXPECT_EQ(queue.size(), 3);
      EXPECT_EQ(queue.dequeue_up_to(9)[priority ? 1 : 0].to_vector<std::int64_t>(), (Ints64{0, 1, 2}));
    };
    if (priority) enqueue_pairs(PriorityQueue(-1, {int64}, kScalars));
    else enqueue_pairs(FIFOQueue(-1, {int64}, kScalars));
  }
}

TEST(Queue, WaitsNoLongerThanItMay) {
  const FIFOQueue queue(1, {int64}, {.shapes = {Ints{}}, .timeout_seconds = 0.05});
  EXPECT_THROW(queue.dequeue(), DeadlineExceededError);
  queue.enqueue(number(1));
  EXPECT_THROW(queue.enqueue(number(2)), DeadlineExceededError);
  EXPECT_THROW(queue.dequeue_many(2), DeadlineExceededError);
  EXPECT_EQ(queue.dequeue()[0].item<std::int64_t>(), 1);
}

TEST(Queue, ClosedKeepsWhatWaitedToBePutInUnlessItIsCancelled) {
  for (const bool cancel : {false, true}) {
    const FIFOQueue queue(1, {int64}, kScalars);
    queue.enqueue(number(0));
    std::atomic<bool> cancelled = false;
    std::thread waiting([&] {
      try {
        queue.enqueue(number(1));
      } catch (const CancelledError&) {
        cancelled = true;
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // until it waits; one that came too late is refused, which is right as well
    queue.close(cancel);
    EXPECT_THROW(queue.enqueue(number(2)), CancelledError);
    EXPECT_EQ(queue.dequeue()[0].item<std::int64_t>(), 0);
    waiting.join();
    EXPECT_TRUE(!cancel || cancelled);
    if (!cancelled) {
      EXPECT_EQ(queue.dequeue()[0].item<std::int64_t>(), 1);
    }
    EXPECT_THROW(queue.dequeue(), OutOfRangeError);
  }
}

TEST(Queue, KeepsSomeToChooseFromUntilItIsClosed) {
  const RandomShuffleQueue queue(10, 2, {int64}, {.shapes = {Ints{}}, .timeout_seconds = 0.05}, 1);
  queue.enqueue_many(range(0, 3, 1, int64));
  queue.dequeue();
  EXPECT_THROW(queue.dequeue(), DeadlineExceededError);
  queue.close();
  EXPECT_EQ(queue.dequeue_many(2)[0].numel(), 2);
}

TEST(Queue, RefusesOtherComponents) {
  const FIFOQueue queue(5, {float32, int64}, {.shapes = {Ints{2}, Ints{}}});
  EXPECT_THROW(queue.enqueue(ones({2})), InvalidArgumentError);
  EXPECT_THROW(queue.enqueue({ones({3}), number(1)}), InvalidArgumentError);
  EXPECT_THROW(queue.enqueue({ones({2}), constant(1)}), TypeError);
  EXPECT_THROW(queue.enqueue({ones({2}), Tensor()}), InvalidArgumentError);
  EXPECT_THROW(queue.enqueue_many({ones({3, 2}), range(0, 2, 1, int64)}), InvalidArgumentError);
  EXPECT_THROW(queue.dequeue_many(-1), InvalidArgumentError);
  EXPECT_EQ(queue.dequeue_many(0)[0].shape(), (Shape{0, 2}));
  EXPECT_THROW(FIFOQueue(5, {float32}).dequeue_many(1), InvalidArgumentError);
  EXPECT_THROW(FIFOQueue(5, {float32}, {.shapes = {Ints{-1}}}), InvalidArgumentError);
  EXPECT_THROW(FIFOQueue(0, {float32}), InvalidArgumentError);
  EXPECT_THROW(FIFOQueue(5, {}), InvalidArgumentError);
  EXPECT_THROW(PaddingFIFOQueue(5, {float32}, {}), InvalidArgumentError);
  EXPECT_THROW(RandomShuffleQueue(5, 5, {float32}), InvalidArgumentError);
}

TEST(Queue, PadsToTheLargestOfThoseTakenTogether) {
  const PaddingFIFOQueue queue(10, {string}, {.shapes = {Ints{-1, 2}}});
  queue.enqueue(constant({{"a", "b"}}));
  queue.enqueue(constant({{"c", "d"}, {"e", "f"}}));
  EXPECT_EQ(queue.dequeue_many(2)[0].to_vector<std::string>(), (std::vector<std::string>{"a", "b", "", "", "c", "d", "e", "f"}));
}

TEST(Queue, PadsElementsOfEveryKindWithZeros) {
  const PaddingFIFOQueue queue(10, {float32, boolean}, {.shapes = {Ints{-1, -1}, Ints{-1}}});
  queue.enqueue({constant({{1.f, 2.f, 3.f}}), constant({true})});
  queue.enqueue({constant({{4.f}, {5.f}}), constant({true, true})});
  const Tensors taken = queue.dequeue_many(2);
  EXPECT_EQ(taken[0].to_vector<float>(), (std::vector<float>{1, 2, 3, 0, 0, 0, 4, 0, 0, 5, 0, 0}));
  EXPECT_EQ(taken[1].to_vector<bool>(), (std::vector<bool>{true, false, true, true}));
}

TEST(Queue, IsNoPartOfATracedFunction) {
  const FIFOQueue queue(10, {float32});
  const auto f = autodiff::function([&](const Tensor& x) {
    queue.enqueue(ones({}));
    return x;
  });
  EXPECT_THROW(f(ones({})), UnimplementedError);
}

}  // namespace
}  // namespace lockstep

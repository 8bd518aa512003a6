// Many threads at once: ops, tapes, traced functions, variables and random numbers. Worth most under the thread sanitizer.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <set>
#include <thread>

#include <lockstep/lockstep.h>

namespace lockstep::autodiff {
namespace {

using Floats = std::vector<float>;
constexpr int kThreads = 4;

/// Runs `body(thread)` on all threads, which start together. Expectations stay on the calling thread: a body counts its faults.
void on_threads(const std::function<void(int)>& body) {
  std::barrier start(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      body(t);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(Threads, CallOpsOnSharedTensors) {
  const Tensor a = full({16, 16}, 0.5, float32), b = full({16, 16}, 2.0, float32);
  std::atomic<int> wrong = 0;
  on_threads([&](int t) {
    for (int i = 0; i < 20; ++i) {
      const Tensor c = matmul(a, b) + float(t);
      wrong += reduce_sum(c).item<float>() != 256.0f * (16.0f + float(t));
      wrong += transpose(a * b).data<float>()[17] != 1.0f;
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, HandTensorsToEachOther) {
  // A block is freed by another thread than the one that asked for it.
  std::vector<Tensor> slots(kThreads);
  for (int round = 0; round < 20; ++round) {
    on_threads([&](int t) { slots[std::size_t(t)] = full({1000}, float(t + round), float32) + 1.0f; });
    std::atomic<int> wrong = 0;
    on_threads([&](int t) {
      Tensor& theirs = slots[std::size_t((t + 1) % kThreads)];
      wrong += theirs.data<float>()[999] != float((t + 1) % kThreads + round) + 1.0f;
      theirs = Tensor();
    });
    ASSERT_EQ(wrong, 0);
  }
}

TEST(Threads, HaveTapesOfTheirOwn) {
  const Variable w(constant({1.0f, 2.0f, 3.0f}));
  std::atomic<int> wrong = 0;
  on_threads([&](int t) {
    for (int i = 0; i < 20; ++i) {
      GradientTape tape;
      const Tensor y = reduce_sum(square(w) * float(t + 1));
      wrong += tape.gradient(y, w).dense().to_vector<float>() != Floats{2.0f * float(t + 1), 4.0f * float(t + 1), 6.0f * float(t + 1)};
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, RunOneTrace) {
  // Products, reductions and a loop: kernels with memory of their own.
  const auto f = function([](const Tensor& x) {
    const Tensor y = relu(matmul(x, x)) + reduce_sum(x, 0);
    return for_range(constant(0), constant(3), [&](const Tensor&, std::span<const Tensor> s) -> Tensors { return {s[0] * 0.5f + y}; }, {y})[0];
  });
  std::vector<Tensor> inputs;
  std::vector<Floats> expected;
  for (int t = 0; t < kThreads; ++t) {
    inputs.push_back(full({24, 24}, 0.01 * (t + 1), float32));
    expected.push_back(f(inputs.back()).to_vector<float>());
  }
  std::atomic<int> wrong = 0;
  on_threads([&](int t) {
    for (int i = 0; i < 30; ++i) wrong += f(inputs[std::size_t(t)]).to_vector<float>() != expected[std::size_t(t)];
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(f.trace_count(), 1);
}

TEST(Threads, TraceAFunctionForTheFirstTimeAllAtOnce) {
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> calls = 0, wrong = 0;
    const auto f = function([&](const Tensor& x, int n) {
      ++calls;
      return x * float(n) + 1.0f;
    });
    on_threads([&](int) {
      for (int n = 0; n < 3; ++n) wrong += f(constant(2.0f), n).item<float>() != 2.0f * float(n) + 1.0f;
    });
    ASSERT_EQ(wrong, 0);
    ASSERT_EQ(calls, 3) << "once for each signature";
    ASSERT_EQ(f.trace_count(), 3);
  }
}

TEST(Threads, TraceFunctionsThatCallEachOther) {
  const auto inner = function([](const Tensor& x) { return x + 1.0f; });
  const auto outer = function([&](const Tensor& x) { return inner(x) * 2.0f; });
  const auto other = function([&](const Tensor& x) { return outer(inner(x)); });
  std::atomic<int> wrong = 0;
  on_threads([&](int t) {
    for (std::int64_t n = 1; n < 6; ++n) {
      const Tensor x = full({n}, 3.0, float32);
      const float expected[] = {4, 8, 10, 8};
      const Tensor y = t == 0 ? inner(x) : t == 2 ? other(x) : outer(x);
      wrong += y.data<float>()[0] != expected[t];
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, TraceWhileOthersRecordAndRun) {
  const Variable w(constant(2.0f));
  const auto slope = function([&](const Tensor& x, int n) {
    GradientTape tape;
    const Tensor y = w.value() * x * float(n);
    return tape.gradient(y, w).dense();
  });
  std::atomic<int> wrong = 0;
  on_threads([&](int t) {
    for (int i = 1; i < 15; ++i) {
      if (t % 2 == 0) {
        wrong += slope(constant(3.0f), i).item<float>() != 3.0f * float(i);
      } else {
        GradientTape tape;
        const Tensor y = square(w);
        wrong += tape.gradient(y, w).dense().item<float>() != 4.0f;
      }
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, LoseNoAssignment) {
  const Variable eager(constant(0)), traced(full({8}, 0.0, float32)), dynamic(constant(0)), watched(constant(0.0f));
  const auto add = function([&](const Tensor& x) { traced.assign_add(x); });
  // Its shapes depend on data, so that it is interpreted.
  const auto count_positive = function([&](const Tensor& x) {
    const Tensor positive = boolean_mask(x, greater(x, scalar(0.0f, float32)));
    dynamic.assign_add(constant(1));
    return reduce_sum(positive);
  });
  const auto seen_by_a_tape = function([&](const Tensor& x) {
    watched.assign_add(1.0f);
    return x * 2.0f;
  });
  const int rounds = 25;
  on_threads([&](int) {
    for (int i = 0; i < rounds; ++i) {
      eager.assign_add(1);
      add(full({8}, 1.0, float32));
      count_positive(constant({1.0f, -1.0f}));
      GradientTape tape;
      const Tensor x = constant(1.0f);
      tape.watch(x);
      seen_by_a_tape(x);
    }
  });
  EXPECT_EQ(eager.value().item<std::int32_t>(), kThreads * rounds);
  EXPECT_EQ(traced.value().to_vector<float>(), Floats(8, float(kThreads * rounds)));
  EXPECT_EQ(dynamic.value().item<std::int32_t>(), kThreads * rounds);
  EXPECT_EQ(watched.value().item<float>(), float(kThreads * rounds));
}

TEST(Threads, SeeAnAssignmentWholeOrNotAtAll) {
  const Variable v(full({512}, 0.0, float32));
  const auto fill_with = function([&](const Tensor& value) { v.assign(broadcast_to(value, {512}) * 1.0f); });
  std::atomic<int> torn = 0;
  on_threads([&](int t) {
    for (int i = 0; i < 50; ++i) {
      if (t == 0) fill_with(constant(float(i)));
      else if (t == 1) v.assign(full({512}, float(-i), float32));
      else {
        const Tensor seen = v.value();
        const auto values = seen.data<float>();
        torn += std::any_of(values.begin(), values.end(), [&](float each) { return each != values[0]; });
      }
    }
  });
  EXPECT_EQ(torn, 0);
}

TEST(Threads, UpdateTwoVariablesInOppositeOrderWithoutWaitingForEachOther) {
  const Variable a(constant(0.0f)), b(constant(0.0f));
  const auto ab = function([&](const Tensor& x) {
    a.assign_add(x);
    b.assign_add(x);
  });
  const auto ba = function([&](const Tensor& x) {
    b.assign_add(x);
    a.assign_add(x);
  });
  on_threads([&](int t) {
    for (int i = 0; i < 50; ++i)
      if (t % 2) ab(constant(1.0f));
      else ba(constant(1.0f));
  });
  EXPECT_EQ(a.value().item<float>(), 50.0f * kThreads);
  EXPECT_EQ(b.value().item<float>(), 50.0f * kThreads);
}

TEST(Threads, NeverDrawTheSameNumbers) {
  const auto traced = function([](const Tensor& x) { return x + random::uniform({2}); });
  traced(constant(0.0f));
  std::vector<std::vector<Floats>> drawn(kThreads);
  on_threads([&](int t) {
    for (int i = 0; i < 15; ++i) {
      drawn[std::size_t(t)].push_back(random::uniform({2}).to_vector<float>());
      drawn[std::size_t(t)].push_back(traced(constant(0.0f)).to_vector<float>());
      GradientTape tape;
      const Tensor x = constant(0.0f);
      tape.watch(x);
      drawn[std::size_t(t)].push_back(traced(x).to_vector<float>());
      drawn[std::size_t(t)].push_back(random::uniform({2}, 0, 1, float32, 400 + i % 3).to_vector<float>());
    }
  });
  std::set<Floats> different;
  std::size_t count = 0;
  for (const auto& each : drawn) {
    count += each.size();
    different.insert(each.begin(), each.end());
  }
  EXPECT_EQ(different.size(), count);
}

TEST(Threads, KeepAnErrorToThemselves) {
  const auto f = function([](const Tensor& x, const Tensor& ids) { return gather(x * 2.0f, ids); });
  std::atomic<int> wrong = 0;
  on_threads([&](int t) {
    for (int i = 0; i < 20; ++i) {
      try {
        const Tensor y = f(constant({1.0f, 2.0f}), constant({t % 2 ? 9 : 1}));
        wrong += t % 2 || y.item<float>() != 4.0f;
      } catch (const InvalidArgumentError&) {
        wrong += t % 2 == 0;
      }
    }
  });
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace lockstep::autodiff

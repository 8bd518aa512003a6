#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <thread>

#include <lockstep/autodiff/captured.h>
#include <lockstep/lockstep.h>
#include <lockstep/tensor/device_plugin.h>

#include "on_cuda.h"
#include "../message_of.h"

// Tensors, ops and traced functions on a device. Without a GPU they run on the emulated one (LOCKSTEP_CUDA_PLUGIN).

namespace lockstep {
namespace {

using CudaTensors = testing::OnCuda<::testing::Test>;
using CudaOps = CudaTensors;
using CudaFunctions = CudaTensors;
using CudaMemory = CudaTensors;
using CudaTraining = CudaTensors;

Tensor counting(const Shape& shape) {
  std::vector<float> values(std::size_t(shape.numel()));
  std::iota(values.begin(), values.end(), 1.f);
  return constant(values, shape);
}

void expect_equal(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.spec(), b.spec());
  EXPECT_EQ(std::memcmp(a.host_raw(), b.host_raw(), a.nbytes()), 0);
}

TEST_F(CudaTensors, GoThereAndBackUnchanged) {
  const Tensor here = counting({300, 7});
  const Tensor there = to(here, "cuda");
  EXPECT_EQ(to_string(there.device()), "cuda:0");
  EXPECT_NE(there.raw(), here.raw());
  expect_equal(to(there, "cpu"), here);
  EXPECT_EQ(to(there, "cuda").raw(), there.raw());
}

TEST_F(CudaTensors, LargerThanAStagingBlockGoThereAndBack) {
  const Tensor here = counting({3, 1 << 20});
  expect_equal(to(to(here, "cuda"), "cpu"), here);
}

TEST_F(CudaTensors, ShowTheirElementsByACopyOnTheHost) {
  const Tensor there = to(counting({2, 2}), "cuda");
  EXPECT_EQ(there.to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(there.data<float>().data(), there.data<float>().data()) << "the copy is made once";
  EXPECT_EQ(to(constant(3.5f), "cuda").item<float>(), 3.5f);
  EXPECT_EQ(to_string(there), to_string(counting({2, 2})));
}

TEST_F(CudaTensors, AreNotOfStrings) { EXPECT_NE(message_of<TypeError>([] { to(constant("a"), "cuda"); }).find("strings live on the CPU"), std::string::npos); }

TEST_F(CudaTensors, ComeIntoBeingOnTheDefaultDevice) {
  const DeviceScope scope("cuda");
  for (const Tensor& tensor : {constant({1.f, 2.f}), zeros({3}), full({2, 2}, 7, int64), constant(std::vector<double>{1, 2}), scalar(1, float16)}) EXPECT_EQ(to_string(tensor.device()), "cuda:0");
  EXPECT_TRUE(constant("text").device().is_cpu());
  EXPECT_EQ(full({3}, 7, int64).to_vector<std::int64_t>(), (std::vector<std::int64_t>{7, 7, 7}));
  EXPECT_EQ(Variable(Tensor::empty({2}, float32)).value().device(), Device("cuda"));
  {
    const DeviceScope host("cpu");
    EXPECT_TRUE(zeros({3}).device().is_cpu());
  }
  EXPECT_EQ(zeros({3}).device(), Device("cuda:0"));
}

TEST_F(CudaOps, ComputeWhereTheirOperandsAre) {
  const Tensor x = to(counting({2, 3}), "cuda");
  const Tensor y = x + x * 2;
  EXPECT_EQ(y.device(), x.device());
  expect_equal(to(y, "cpu"), counting({2, 3}) * 3);
}

TEST_F(CudaOps, DefinedByOthersComputeThereTooWithTheirLiterals) {
  const Tensor x = counting({2, 3}) / 8, y = image::rgb_to_hsv(to(x, "cuda"));
  EXPECT_EQ(to_string(y.device()), "cuda:0");
  expect_equal(to(y, "cpu"), image::rgb_to_hsv(x));
  const DeviceScope scope("cuda");
  expect_equal(image::rgb_to_hsv(x), to(y, "cpu"));
}

TEST_F(CudaOps, RefuseOperandsOnDifferentDevices) {
  const Tensor here = counting({2}), there = to(here, "cuda");
  const std::string text = message_of<InvalidArgumentError>([&] { add(here, there); });
  for (const char* word : {"[add]", "cpu:0", "cuda:0", "to(tensor, device)"}) EXPECT_NE(text.find(word), std::string::npos) << text;
}

TEST_F(CudaOps, HaveGradientsThere) {
  const Tensor x = to(counting({3}), "cuda");
  autodiff::GradientTape tape;
  tape.watch(x);
  const Tensor y = reduce_sum(x * x);
  const Tensor gradient = tape.gradient(y, x).dense();
  EXPECT_EQ(gradient.device(), x.device());
  EXPECT_EQ(gradient.to_vector<float>(), (std::vector<float>{2, 4, 6}));
}

TEST_F(CudaFunctions, TakeStringsWhichStayOnTheHost) {
  const DeviceScope scope("cuda");
  nn::StringLookup lookup({.vocabulary = std::vector<std::string>{"a", "b"}}), back({.vocabulary = std::vector<std::string>{"a", "b"}, .invert = true});
  const Tensor words = constant({"b", "x", "a"}), table = counting({3, 2});
  const auto rows = autodiff::function([&](const Tensor& x) { return gather(table, lookup(x)) * 2.f; });
  EXPECT_EQ(to_string(rows(words).device()), "cuda:0");
  EXPECT_EQ(rows(words).to_vector<float>(), (std::vector<float>{10, 12, 2, 4, 6, 8}));
  EXPECT_EQ(gather(table, lookup(words)).to_vector<float>(), (std::vector<float>{5, 6, 1, 2, 3, 4})) << "eagerly, places come to the default device";
  // Where strings come last, all of it is interpreted: each op where it can be computed.
  const auto names = autodiff::function([&](const Tensor& x) { return back(argmax(x * 2.f, -1)); });
  EXPECT_EQ(names(counting({2, 3})).to_vector<std::string>(), (std::vector<std::string>{"b", "b"}));
}

TEST_F(CudaFunctions, RunOnTheDeviceOfTheirArguments) {
  const auto f = autodiff::function([](const Tensor& x) { return reduce_sum(sqrt(x) * 2 + 1); });
  const Tensor x = counting({64});
  const float expected = f(x).item<float>();
  for (int call = 0; call < 4; ++call) {
    const Tensor result = f(to(x, "cuda"));
    EXPECT_EQ(result.device(), Device("cuda"));
    EXPECT_FLOAT_EQ(result.item<float>(), expected);
  }
  EXPECT_EQ(f.trace_count(), 2);
}

TEST_F(CudaFunctions, TakeArgumentsFromTheHostWhereTheDeviceIsTheDefault) {
  const Tensor x = counting({5});
  const DeviceScope scope("cuda");
  const auto f = autodiff::function([](const Tensor& each) { return each * 3; });
  for (int call = 0; call < 3; ++call) expect_equal(to(f(x), "cpu"), to(to(x, "cuda") * 3, "cpu"));
}

TEST_F(CudaFunctions, AreCapturedThoughAnotherDeviceIsUsedMeanwhile) {
  if (cuda_device_count() < 2) GTEST_SKIP() << "there is one device";
  const Tensor from = to(counting({4}), "cuda:0");
  Tensor into = to(zeros({4}), "cuda:0");
  const DevicePlugin& plugin = device_plugin();
  plugin.begin_capture(0);
  { const OnDevice other(Device("cuda:1")); }
  plugin.copy_on_device(0, into.mutable_raw(), from.raw(), from.nbytes());
  void* graph = plugin.end_capture(0);
  expect_equal(to(into, "cpu"), zeros({4}));
  plugin.launch_graph(0, graph);
  expect_equal(to(into, "cpu"), counting({4}));
  plugin.destroy_graph(graph);
}

TEST_F(CudaFunctions, KeepVariablesThere) {
  const DeviceScope scope("cuda");
  const Variable total(zeros({4}), {.path = "total"});
  const auto step = autodiff::function([&](const Tensor& x) {
    total.assign_add(x);
    return reduce_sum(total.value());
  });
  for (int call = 1; call <= 5; ++call) EXPECT_EQ(step(ones({4})).item<float>(), 4.f * float(call));
  EXPECT_EQ(total.value().device(), Device("cuda"));
  const Tensor held = total.value();  // a snapshot stays what it is
  step(ones({4}));
  EXPECT_EQ(held.to_vector<float>(), std::vector<float>(4, 5.f));
  EXPECT_EQ(total.value().to_vector<float>(), std::vector<float>(4, 6.f));
}

TEST_F(CudaFunctions, MoveAVariableThatLivesElsewhere) {
  const Variable total(zeros({2}), {.path = "total"});
  const DeviceScope scope("cuda");
  const auto step = autodiff::function([&](const Tensor& x) { total.assign_add(x); });
  step(ones({2}));
  EXPECT_EQ(total.peek().device(), Device("cuda"));
  EXPECT_EQ(total.peek().to_vector<float>(), (std::vector<float>{1, 1}));
}

TEST_F(CudaFunctions, BranchAndLoopThere) {
  const DeviceScope scope("cuda");
  const auto collatz = autodiff::function([](const Tensor& start) {
    return autodiff::while_loop([](std::span<const Tensor> state) { return not_equal(state[0], scalar(1, int64)); },
                                [](std::span<const Tensor> state) {
                                  const Tensor n = state[0];
                                  const Tensor odd = equal(mod(n, scalar(2, int64)), scalar(1, int64));
                                  return Tensors{autodiff::cond(odd, [&]() -> Tensor { return n * 3 + 1; }, [&]() -> Tensor { return floordiv(n, scalar(2, int64)); }), state[1] + 1};
                                },
                                {start, scalar(0, int64)})[1];
  });
  for (int call = 0; call < 3; ++call) EXPECT_EQ(collatz(scalar(27, int64)).item<std::int64_t>(), 111);
}

TEST_F(CudaFunctions, GoThroughSequencesThere) {
  const Tensor x = random::normal({6, 2, 3}, 0, 1, float32, 1), w = random::normal({3, 3}, 0, 1, float32, 2);
  const auto train = autodiff::function([](const Tensor& in, const Tensor& weight) -> Tensors {
    autodiff::GradientTape tape;
    tape.watch(weight);
    const autodiff::Scanned done = autodiff::scan([&](std::span<const Tensor> state, std::span<const Tensor> slices) -> autodiff::Scanned {
      const Tensor h = tanh(matmul(state[0], weight) + slices[0]);
      return {{h}, {h * slices[0]}};
    }, {zeros({2, 3})}, {in}, {.reverse = true});
    return {done.state[0], done.outputs[0], tape.gradient(reduce_sum(done.outputs[0]), weight).dense()};
  });
  const Tensors expected = train(x, w);
  const DeviceScope scope("cuda");
  for (int call = 0; call < 3; ++call) {
    const Tensors actual = train(to(x, "cuda"), to(w, "cuda"));
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_LE(reduce_max(abs(to(actual[i], "cpu") - expected[i])).item<float>(), 1e-5f) << i;
  }
}

TEST_F(CudaFunctions, DrawTheNumbersThatTheCpuDraws) {
  const auto draw = [] {
    random::set_seed(7);
    const Tensor eager = random::uniform({5});
    const auto traced = autodiff::function([] { return random::uniform({5}); });
    return std::array{to(eager, "cpu"), to(traced(), "cpu"), to(traced(), "cpu"), to(random::uniform({5}), "cpu")};
  };
  const auto here = draw();
  const DeviceScope scope("cuda");
  const auto there = draw();
  for (std::size_t i = 0; i < here.size(); ++i) expect_equal(here[i], there[i]);
}

TEST_F(CudaMemory, ComesBackAndSaysWhoHoldsIt) {
  const auto in_use = [] { return memory_stats(Device("cuda")).in_use; };
  const std::size_t before = in_use();
  {
    const Tensor x = Tensor::empty({1 << 20}, float32, "cuda");
    EXPECT_EQ(in_use(), before + (std::size_t(4) << 20));
    const auto holders = memory_stats(Device("cuda")).holders;
    EXPECT_TRUE(std::any_of(holders.begin(), holders.end(), [](const auto& each) { return each.first == "tensors" && each.second >= (std::size_t(4) << 20); }));
  }
  EXPECT_EQ(in_use(), before);
}

TEST_F(CudaMemory, RunsOutWithAWordOnWhoHoldsWhat) {
  const Tensor held = Tensor::empty({1 << 10}, float32, "cuda");
  const std::string text = message_of<ResourceExhaustedError>([] { Tensor::empty({std::int64_t(1) << 50}, float32, "cuda"); });
  for (const char* word : {"out of memory", "cuda:0", "for tensors", "Lockstep holds"}) EXPECT_NE(text.find(word), std::string::npos) << text;
}

TEST_F(CudaTraining, GoesAsOnTheCpu) {
  const auto train = [] {
    random::set_seed(3);
    nn::Sequential model({nn::Dense({.units = 8, .activation = "relu"}), nn::Dense({.units = 1})});
    model.compile({.optimizer = optim::Adam({.learning_rate = 0.05}), .loss = "mse", .metrics = {"mae"}});
    std::vector<float> x(256), y(64);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = float(i % 17) / 17;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[4 * i] - 2 * x[4 * i + 1] + x[4 * i + 3];
    const auto history = model.fit(constant(x, {64, 4}), constant(y, {64, 1}), {.batch_size = 16, .epochs = 3, .verbose = 0});
    return history.history.at("loss");
  };
  const std::vector<double> here = train();
  const DeviceScope scope("cuda");
  const std::vector<double> there = train();
  ASSERT_EQ(here.size(), there.size());
  for (std::size_t i = 0; i < here.size(); ++i) EXPECT_NEAR(here[i], there[i], 1e-5 * std::abs(here[i]));
  EXPECT_LT(there.back(), there.front());
}

/// 16 rows a step.
struct Line {
  nn::Sequential model{nn::Dense({.units = 1})};
  Tensor x, y;
  explicit Line(std::int64_t steps) : x(zeros({16 * steps, 2})), y(ones({16 * steps, 1})) {
    model.compile({.optimizer = optim::SGD({.learning_rate = 0.1}), .loss = "mse", .metrics = {"mae"}});
    model.fit(x, y, {.batch_size = 16, .verbose = 0});  // traces
  }
};

/// The emulated plug-in's function of that name; null in the plug-in for GPUs.
template <class F>
F emulated(const char* name) {
  const char* path = std::getenv("LOCKSTEP_CUDA_PLUGIN");
  void* plugin = path ? dlopen(path, RTLD_LAZY | RTLD_NOLOAD) : nullptr;
  return plugin ? reinterpret_cast<F>(dlsym(plugin, name)) : nullptr;
}

TEST_F(CudaTraining, OnOneDeviceLeavesTheOthersAlone) {
  const auto contexts = emulated<std::uint64_t (*)()>("lockstep_emulated_contexts");
  if (!contexts) GTEST_SKIP() << "only the emulated device knows where contexts would be made";
  if (cuda_device_count() < 2) GTEST_SKIP() << "there is one device";
  // In a process that has used no other device before.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto as_rank_1 = [&] {
    contexts();
    std::thread([] {
      const DeviceScope scope("cuda:1");
      Line line(4);
      line.model.fit(line.x, line.y, {.batch_size = 16, .epochs = 2, .verbose = 0});
      const DevicePlugin& plugin = device_plugin();
      void* const mark = plugin.mark(1);
      Tensor last = ones({3});
      // One that only waits for marks and gives memory back.
      std::thread([&] {
        plugin.wait(mark);
        plugin.forget(plugin.mark(1));
        plugin.deallocate_pinned(plugin.allocate_pinned(1 << 20));
        last = Tensor();
      }).join();
    }).join();
    std::_Exit(int(contexts()));
  };
  EXPECT_EXIT(as_rank_1(), ::testing::ExitedWithCode(2), "");
}

TEST_F(CudaFunctions, AreNotCapturedWhereAKernelWaits) {
  if (!emulated<void*>("lockstep_emulated_waits")) GTEST_SKIP() << "a GPU cannot be made to wait here";
  const DevicePlugin& plugin = device_plugin();
  void* const mark = plugin.mark(0);
  plugin.begin_capture(0);
  EXPECT_NE(message_of<InternalError>([&] { plugin.wait(mark); }).find("while a graph was captured"), std::string::npos);
  plugin.cancel_capture(0);
  // A stretch of calls goes on without a graph, and says so once.
  autodiff::CapturedCalls calls;
  int made = 0;
  ::testing::internal::CaptureStderr();
  for (int call = 0; call < 4; ++call)
    calls.run(Device("cuda:0"), 0, {}, [&] {
      plugin.deallocate(0, plugin.allocate(0, 16, "a test"));
      ++made;
    });
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(made, 4);
  EXPECT_EQ(calls.captures(), 0);
  EXPECT_NE(said.find("made one by one"), std::string::npos) << said;
  EXPECT_EQ(said.find("made one by one"), said.rfind("made one by one")) << said;
}

/// How often the emulated device was waited for to its end.
class CudaWaits : public CudaTraining {
 protected:
  void SetUp() override {
    CudaTraining::SetUp();
    if (IsSkipped()) return;
    count_ = emulated<std::uint64_t (*)()>("lockstep_emulated_waits");
    if (!count_) GTEST_SKIP() << "only the emulated device counts what waits for it";
  }
  template <class F>
  std::uint64_t waits_of(const F& f) const {
    const std::uint64_t before = count_();
    f();
    return count_() - before;
  }

 private:
  std::uint64_t (*count_)() = nullptr;
};

TEST_F(CudaWaits, AreNoMoreInALongerEpoch) {
  const DeviceScope scope("cuda");
  const auto fit = [&](std::int64_t steps, std::vector<nn::CallbackRef> callbacks = {}) {
    Line line(steps);
    return waits_of([&] { line.model.fit(line.x, line.y, {.batch_size = 16, .verbose = 0, .callbacks = std::move(callbacks)}); });
  };
  const std::uint64_t few = fit(8);
  EXPECT_EQ(fit(40), few);
  // Who wants to know each loss waits for each.
  double sum = 0;
  const nn::LambdaCallback reader({.on_train_batch_end = [&](std::int64_t, const nn::BatchLogs& logs) { sum += logs.loss(); }});
  EXPECT_EQ(fit(8, {reader}), few + 8);
  EXPECT_TRUE(std::isfinite(sum) && sum > 0);
  const nn::LambdaCallback bystander({.on_train_batch_end = [](std::int64_t, const nn::BatchLogs&) {}});
  EXPECT_EQ(fit(8, {bystander}), few);
}

TEST_F(CudaWaits, AreNoMoreInALongerEvaluation) {
  const DeviceScope scope("cuda");
  const auto evaluate = [&](std::int64_t steps) {
    Line line(steps);
    line.model.evaluate(line.x, line.y, {.batch_size = 16, .verbose = 0});
    return waits_of([&] { line.model.evaluate(line.x, line.y, {.batch_size = 16, .verbose = 0}); });
  };
  EXPECT_EQ(evaluate(40), evaluate(8));
}

/// What fit writes to stderr over two epochs of `steps` batches of one row, of which one is infinite.
std::string said_of_infinity(std::int64_t steps, std::int64_t bad) {
  std::vector<float> x(std::size_t(steps), 1.f);
  x[std::size_t(bad)] = INFINITY;
  nn::Sequential model({nn::Dense({.units = 1})});
  model.compile({.optimizer = optim::SGD({.learning_rate = 0.1}), .loss = "mse"});
  ::testing::internal::CaptureStderr();
  model.fit(constant(x, {steps, 1}), zeros({steps, 1}), {.batch_size = 1, .epochs = 2, .verbose = 0, .shuffle = false});
  return ::testing::internal::GetCapturedStderr();
}

TEST_F(CudaTraining, SaysInWhichBatchALossIsNotFinite) {
  const DeviceScope scope("cuda");
  // (The loss of an infinite row is infinite, and of all rows after it NaN.)
  for (const auto& [steps, bad] : {std::pair<std::int64_t, std::int64_t>{8, 4}, {1030, 3}, {1030, 1026}}) {
    const std::string said = said_of_infinity(steps, bad);
    EXPECT_NE(said.find("the loss is infinite in epoch 0, batch " + std::to_string(bad) + " "), std::string::npos) << said;
    EXPECT_EQ(said.find("the loss is "), said.rfind("the loss is ")) << said;
  }
}

}  // namespace
}  // namespace lockstep

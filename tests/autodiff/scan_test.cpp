// scan against the same steps written out in C++: values, derivatives, traced and not, and what its graph is made of.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/lockstep.h>

#include "../message_of.h"

namespace lockstep::autodiff {
namespace {

/// Distinct numbers in about [-1, 1].
Tensor waves(const Shape& shape, DType dtype, double phase = 0) {
  Tensor tensor = Tensor::empty(shape, float64);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.mutable_data<double>()[i] = std::sin(1.7 * double(i) + phase);
  return dtype == float64 ? tensor : cast(tensor, dtype);
}

void expect_close(const Tensor& actual, const Tensor& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(to_string(actual.spec()), to_string(expected.spec())) << what;
  const Tensor a = cast(actual, float64), b = cast(expected, float64);
  for (std::int64_t i = 0; i < a.numel(); ++i) ASSERT_NEAR(a.data<double>()[std::size_t(i)], b.data<double>()[std::size_t(i)], tolerance) << what << ", element " << i;
}

/// A recurrent net of one layer: x (steps, batch, 3), h (batch, 4), w (3, 4), r (4, 4), b (4). Gives the last state and all outputs.
Scanned net(std::span<const Tensor> in, bool reverse) {
  return scan([&](std::span<const Tensor> state, std::span<const Tensor> slices) -> Scanned {
    const Tensor h = tanh(matmul(slices[0], in[2]) + matmul(state[0], in[3]) + in[4]);
    return {{h}, {h * h + slices[0][{all, slice(0, 1)}]}};
  }, {in[1]}, {in[0]}, {.reverse = reverse});
}
Scanned unrolled_net(std::span<const Tensor> in, bool reverse) {
  const std::vector<Tensor> x = unstack(in[0], 0);
  std::vector<Tensor> outputs(x.size());
  Tensor h = in[1];
  for (std::size_t k = 0; k < x.size(); ++k) {
    const std::size_t t = reverse ? x.size() - 1 - k : k;
    h = tanh(matmul(x[t], in[2]) + matmul(h, in[3]) + in[4]);
    outputs[t] = h * h + x[t][{all, slice(0, 1)}];
  }
  return {{h}, {stack(outputs, 0)}};
}
std::vector<Tensor> net_operands(std::int64_t steps, DType dtype) {
  return {waves({steps, 2, 3}, dtype), waves({2, 4}, dtype, 1), waves({3, 4}, dtype, 2), waves({4, 4}, dtype, 3), waves({4}, dtype, 4)};
}

using Net = std::function<Scanned(std::span<const Tensor>, bool)>;
Tensor loss_of(const Scanned& done) { return reduce_sum(done.state[0] * done.state[0]) + reduce_sum(done.outputs[0] * sin(done.outputs[0])); }

/// The gradients by all operands.
Tensors gradients_of(const Net& net, std::span<const Tensor> in, bool reverse) {
  GradientTape tape;
  for (const Tensor& each : in) tape.watch(each);
  const std::vector<Source> sources(in.begin(), in.end());
  Tensors all;
  for (const Gradient& gradient : tape.gradient(loss_of(net(in, reverse)), sources)) all.push_back(gradient.dense());
  return all;
}

class ScanOfDType : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Scan, ScanOfDType, ::testing::Values(float32, float64), [](const auto& info) { return std::string(name(info.param)); });

TEST_P(ScanOfDType, EqualsTheStepsWrittenOutInBothDirections) {
  const double tolerance = GetParam() == float64 ? 1e-12 : 1e-5;
  for (const std::int64_t steps : {1, 2, 5})
    for (const bool reverse : {false, true}) {
      const std::vector<Tensor> in = net_operands(steps, GetParam());
      const Scanned expected = unrolled_net(in, reverse), eager = net(in, reverse);
      const auto traced = function([&](std::span<const Tensor> operands) -> Tensors {
        const Scanned done = net(operands, reverse);
        return {done.state[0], done.outputs[0]};
      });
      const Tensors actual = traced(std::span<const Tensor>(in));
      expect_close(eager.state[0], expected.state[0], tolerance, "eager state");
      expect_close(eager.outputs[0], expected.outputs[0], tolerance, "eager outputs");
      expect_close(actual[0], expected.state[0], tolerance, "state");
      expect_close(actual[1], expected.outputs[0], tolerance, "outputs");
    }
}

TEST_P(ScanOfDType, HasTheGradientsOfTheStepsWrittenOut) {
  const double tolerance = GetParam() == float64 ? 1e-11 : 1e-4;
  for (const std::int64_t steps : {1, 2, 5})
    for (const bool reverse : {false, true}) {
      const std::vector<Tensor> in = net_operands(steps, GetParam());
      const Tensors expected = gradients_of(unrolled_net, in, reverse), eager = gradients_of(net, in, reverse);
      const Tensors inside = function([&](std::span<const Tensor> operands) { return gradients_of(net, operands, reverse); })(std::span<const Tensor>(in));
      const auto traced = function([&](std::span<const Tensor> operands) -> Tensors {
        const Scanned done = net(operands, reverse);
        return {done.state[0], done.outputs[0]};
      });
      const Tensors outside = gradients_of([&](std::span<const Tensor> operands, bool) {
        const Tensors done = traced(operands);
        return Scanned{{done[0]}, {done[1]}};
      }, in, reverse);
      for (std::size_t i = 0; i < in.size(); ++i) {
        const std::string what = "operand " + std::to_string(i) + " of " + std::to_string(steps) + " steps";
        expect_close(eager[i], expected[i], tolerance, what + ", eager");
        expect_close(inside[i], expected[i], tolerance, what + ", tape inside");
        expect_close(outside[i], expected[i], tolerance, what + ", tape outside");
      }
    }
}

TEST(Scan, HasTheDerivativesThatDifferencesShow) {
  const std::vector<Tensor> in = net_operands(4, float64);
  for (const int order : {1, 2})
    for (const bool reverse : {false, true}) {
      const auto traced = function([&](std::span<const Tensor> operands) -> Tensors {
        const Scanned done = net(operands, reverse);
        return {done.state[0], done.outputs[0]};
      });
      const GradientCheck check = check_gradient([&](std::span<const Tensor> operands) { return traced(operands); }, in, {.order = order});
      EXPECT_LT(check.error, 1e-6) << "order " << order << ": " << to_string(check);
    }
}

TEST(Scan, HasTheThirdDerivativeInsideATrace) {
  const auto power = [](const Tensor& x) {
    return scan([&](std::span<const Tensor> state, std::span<const Tensor>) -> Scanned { return {{state[0] * x}, {}}; }, {ones_like(x)}, {}, {.length = 5}).state[0];
  };
  const auto derivative = [](const std::function<Tensor(const Tensor&)>& f) {
    return [f](const Tensor& x) {
      GradientTape tape;
      tape.watch(x);
      return tape.gradient(f(x), x).dense();
    };
  };
  EXPECT_EQ(function(derivative(derivative(derivative(power))))(constant(2.0f)).item<float>(), 240.0f);
}

TEST(Scan, GivesTheGradientsOfVariablesThatItsBodyReads) {
  const Variable scale(constant({0.5f, 2.0f})), shift(constant(0.25f));
  const auto gradients = [&](bool unroll) {
    return function([&, unroll](const Tensor& x) -> Tensors {
      GradientTape tape;
      const Scanned done = scan([&](std::span<const Tensor> state, std::span<const Tensor> slices) -> Scanned {
        return {{state[0] * scale.value() + slices[0]}, {sin(state[0]) * shift.value()}};
      }, {zeros({2}, float32)}, {x}, {.unroll = unroll});
      const Source sources[] = {scale, shift};
      const std::vector<Gradient> made = tape.gradient(reduce_sum(done.state[0]) + reduce_sum(done.outputs[0]), sources);
      return {made[0].dense(), made[1].dense()};
    })(waves({6, 2}, float32));
  };
  const Tensors once = gradients(false), unrolled = gradients(true);
  expect_close(once[0], unrolled[0], 1e-5, "scale");
  expect_close(once[1], unrolled[1], 1e-5, "shift");
}

TEST(Scan, CarriesTheVariablesThatItsBodyAssigns) {
  const auto run = [](bool traced) {
    const Variable total(constant(0.0f)), rounds(constant(0));
    const auto f = [&](const Tensor& x) {
      return scan([&](std::span<const Tensor>, std::span<const Tensor> slices) -> Scanned {
        rounds.assign_add(1);
        total.assign(total.value() * 2.0f + slices[0]);
        return {{}, {total.value() + cast(rounds.value(), float32)}};
      }, {}, {x}).outputs[0];
    };
    const Tensor x = constant({1.0f, 2.0f, 3.0f}), outputs = traced ? function(f)(x) : f(x);
    EXPECT_EQ(rounds.value().item<std::int32_t>(), 3);
    EXPECT_EQ(total.value().item<float>(), 11.0f);
    return outputs.to_vector<float>();
  };
  EXPECT_EQ(run(true), (std::vector<float>{2, 6, 14}));
  EXPECT_EQ(run(false), (std::vector<float>{2, 6, 14}));
}

TEST(Scan, OfNoStepsGivesTheStateBackAndEmptyStacks) {
  const std::vector<Tensor> in = net_operands(0, float32);
  const auto both = [](std::span<const Tensor> operands) -> Tensors {
    GradientTape tape;
    for (const Tensor& each : operands) tape.watch(each);
    const Scanned done = net(operands, false);
    const std::vector<Source> sources(operands.begin(), operands.end());
    Tensors all = {done.state[0], done.outputs[0]};
    const std::vector<Gradient> gradients = tape.gradient(reduce_sum(square(done.state[0])) + reduce_sum(done.outputs[0]), sources);
    all.push_back(gradients[1].dense());
    all.push_back(gradients[2].exists() ? gradients[2].dense() : zeros_like(operands[2]));
    return all;
  };
  for (const Tensors& done : {both(in), function(both)(std::span<const Tensor>(in))}) {
    expect_close(done[0], in[1], 0, "state");
    EXPECT_EQ(to_string(done[1].shape()), "(0, 2, 4)");
    expect_close(done[2], in[1] * 2.0f, 0, "gradient by the state");
    expect_close(done[3], zeros({3, 4}, float32), 0, "gradient by a weight");
  }
}

TEST(Scan, CountsStepsByTheLengthWhereThereIsNoSequence) {
  const auto squares = [](const Tensor& start) {
    return scan([](std::span<const Tensor> state, std::span<const Tensor>) -> Scanned { return {{state[0] + 1}, {state[0] * state[0]}}; }, {start}, {}, {.reverse = true, .length = 4}).outputs[0];
  };
  EXPECT_EQ(squares(constant(0)).to_vector<std::int32_t>(), (std::vector<std::int32_t>{9, 4, 1, 0}));
  EXPECT_EQ(function(squares)(constant(0)).to_vector<std::int32_t>(), (std::vector<std::int32_t>{9, 4, 1, 0}));
}

TEST(Scan, SaysWhatIsWrong) {
  const auto message = [](Tensors initial, Tensors sequences, const ScanBody& body, const ScanOptions& options = {}) {
    const std::string eager = message_of<InvalidArgumentError>([&] { scan(body, initial, sequences, options); });
    Tensors all = initial;
    all.append(sequences.begin(), sequences.end());
    const auto traced = function([&](std::span<const Tensor> in) -> Tensors {
      const auto middle = in.begin() + std::ptrdiff_t(initial.size());
      return scan(body, {in.begin(), middle}, {middle, in.end()}, options).state;
    });
    EXPECT_EQ(message_of<InvalidArgumentError>([&] { traced(std::span<const Tensor>(all.begin(), all.end())); }), eager);
    return eager;
  };
  const ScanBody keep = [](std::span<const Tensor> state, std::span<const Tensor>) -> Scanned { return {{state.begin(), state.end()}, {}}; };
  const Tensor x = zeros({3, 2}, float32), state = zeros({2}, float32);
  EXPECT_EQ(message({state}, {x, zeros({4}, float32)}, keep), "[scan] sequence 1 is float32 (4,), but the sequences before have length 3");
  EXPECT_EQ(message({state}, {x}, keep, {.length = 5}), "[scan] sequence 0 is float32 (3, 2), but the length is 5");
  EXPECT_EQ(message({state}, {x, constant(1.0f)}, keep), "[scan] sequence 1 is a scalar: it has no first axis to go along");
  EXPECT_EQ(message({state}, {}, keep, {.length = -2}), "[scan] the length is -2");
  EXPECT_NE(message({state}, {}, keep).find("how many steps"), std::string::npos);
  EXPECT_EQ(message({state}, {x}, [](std::span<const Tensor> s, std::span<const Tensor>) -> Scanned { return {{expand_dims(s[0], 0)}, {}}; }),
            "[scan] state 0 is float32 (2,) before a step and float32 (1, 2) after it");
  EXPECT_EQ(message({state}, {x}, [](std::span<const Tensor> s, std::span<const Tensor>) -> Scanned { return {{cast(s[0], float64)}, {}}; }),
            "[scan] state 0 is float32 (2,) before a step and float64 (2,) after it");
  EXPECT_EQ(message({state}, {x}, [](std::span<const Tensor>, std::span<const Tensor>) -> Scanned { return {}; }), "[scan] a step gives 0 tensors for a state of 1");
}

TEST(Scan, HoldsScansAndBranches) {
  // Running sums along both axes of a matrix; negative elements count twice.
  const auto sums = [](const Tensor& x, bool unroll) {
    return scan([&](std::span<const Tensor> above, std::span<const Tensor> rows) -> Scanned {
      const Scanned row = scan([&](std::span<const Tensor> left, std::span<const Tensor> elements) -> Scanned {
        const Tensor each = cond(less(elements[0], scalar(0.0, float64)), [&] { return elements[0] * 2.0; }, [&] { return elements[0] * elements[0]; });
        return {{left[0] + each}, {left[0] + each}};
      }, {zeros({}, float64)}, {rows[0]}, {.unroll = unroll});
      return {{above[0] + row.outputs[0]}, {above[0] + row.outputs[0]}};
    }, {zeros({4}, float64)}, {x}, {.unroll = unroll}).outputs[0];
  };
  const Tensor x = waves({3, 4}, float64);
  const auto both = [&](bool unroll) {
    return function([&, unroll](const Tensor& in) -> Tensors {
      GradientTape tape;
      tape.watch(in);
      const Tensor y = sums(in, unroll);
      return {y, tape.gradient(reduce_sum(sin(y)), in).dense()};
    })(x);
  };
  const Tensors once = both(false), unrolled = both(true);
  expect_close(once[0], sums(x, false), 1e-12, "eager");
  expect_close(once[0], unrolled[0], 1e-12, "values");
  expect_close(once[1], unrolled[1], 1e-12, "gradient");
}

TEST(Scan, PrintsAtEveryStepAndOnlyGoingForward) {
  const auto slope = function([](const Tensor& x) {
    GradientTape tape;
    tape.watch(x);
    const Tensor last = scan([](std::span<const Tensor> state, std::span<const Tensor> slices) -> Scanned {
      print("step", slices);
      return {{state[0] * slices[0]}, {}};
    }, {constant(1.0f)}, {x}, {.reverse = true}).state[0];
    return tape.gradient(last, x).dense();
  });
  ::testing::internal::CaptureStdout();
  const Tensor result = slope(constant({2.0f, 3.0f, 4.0f}));
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "step 4.0\nstep 3.0\nstep 2.0\n");
  EXPECT_EQ(result.to_vector<float>(), (std::vector<float>{12, 8, 6}));
}

TEST(Scan, TakesSequencesAndGivesOutputsOfAnyDType) {
  const auto f = [](const Tensor& words, const Tensor& numbers) -> Tensors {
    const Scanned done = scan([](std::span<const Tensor> state, std::span<const Tensor> slices) -> Scanned {
      return {{state[0] + slices[0], state[1] + slices[1]}, {state[0] + slices[0], greater(slices[1], scalar(1, int64))}};
    }, {constant("-"), scalar(0, int64)}, {words, numbers});
    return {done.state[0], done.state[1], done.outputs[0], done.outputs[1]};
  };
  const Tensor words = constant({"a", "b", "c"}), numbers = cast(constant({1, 2, 3}), int64);
  for (const Tensors& done : {f(words, numbers), function(f)(words, numbers)}) {
    EXPECT_EQ(done[0].item<std::string>(), "-abc");
    EXPECT_EQ(done[1].item<std::int64_t>(), 6);
    EXPECT_EQ(done[2].to_vector<std::string>(), (std::vector<std::string>{"-a", "-ab", "-abc"}));
    EXPECT_EQ(cast(done[3], int32).to_vector<std::int32_t>(), (std::vector<std::int32_t>{0, 1, 1}));
  }
}

TEST(Scan, GoesAlongWhatOnlyTheRunMeasures) {
  const auto f = [](const Tensor& x, const Tensor& y) -> Tensors {
    GradientTape tape;
    tape.watch(x);
    const Tensor positive = boolean_mask(x, greater(x, scalar(0.0f, float32)));
    const Scanned done = scan([](std::span<const Tensor> state, std::span<const Tensor> slices) -> Scanned {
      return {{state[0] * slices[0]}, {state[0] + slices[1]}};
    }, {constant(1.0f)}, {positive, boolean_mask(y, greater(y, scalar(0.0f, float32)))});
    return {done.state[0], done.outputs[0], tape.gradient(done.state[0], x).dense()};
  };
  const Tensor x = constant({2.0f, -1.0f, 3.0f}), y = constant({1.0f, 5.0f, -1.0f});
  const Tensors done = function(f)(x, y);
  EXPECT_EQ(done[0].item<float>(), 6.0f);
  EXPECT_EQ(done[1].to_vector<float>(), (std::vector<float>{2, 7}));
  EXPECT_EQ(done[2].to_vector<float>(), (std::vector<float>{3, 0, 2}));
  EXPECT_EQ(message_of<InvalidArgumentError>([&] { function(f)(x, constant({1.0f, 5.0f, 1.0f})); }), "[scan] sequence 1 is float32 (3,), but the sequences before have length 2");
}

/// The graph of a training step through the net.
std::vector<std::string> step_names(std::int64_t steps, FunctionOptions options = {}) {
  const auto f = function([](std::span<const Tensor> in) { return gradients_of(net, in, false); }, std::move(options));
  const std::vector<Tensor> in = net_operands(steps, float32);
  return f.concrete_function(std::span<const Tensor>(in)).optimized().op_names();
}

TEST(Scan, RefusesAStateThatChangesItsShapeWhileItRuns) {
  const auto f = [](const Tensor& x) {
    const Tensor some = constant({1.0f, 2.0f});
    return scan([&](std::span<const Tensor>, std::span<const Tensor> slices) -> Scanned { return {{boolean_mask(some, greater(slices[0], some))}, {}}; }, {some}, {x}).state[0];
  };
  EXPECT_EQ(function(f)(constant({7.0f, 8.0f})).to_vector<float>(), (std::vector<float>{1, 2}));
  for (const bool traced : {false, true})
    EXPECT_EQ(message_of<InvalidArgumentError>([&] { traced ? function(f)(constant({7.0f, 1.5f})) : f(constant({7.0f, 1.5f})); }), "[scan] state 0 is float32 (2,) before a step and float32 (1,) after it");
}

TEST(Scan, HasAGraphThatDoesNotGrowWithTheLength) {
  EXPECT_EQ(step_names(10), step_names(1000));
  const std::vector<std::string> names = step_names(1000);
  EXPECT_EQ(std::count(names.begin(), names.end(), "scan"), 2) << "forward, with what the gradient needs, and back";
  const std::vector<std::string> apart = step_names(10, {.disabled_passes = {"scan"}});
  EXPECT_EQ(std::count(apart.begin(), apart.end(), "scan"), 3);
}

TEST(Scan, IsTheSameWithoutAnyOneOfThePasses) {
  const std::vector<Tensor> in = net_operands(5, float64);
  const auto gradients = [](std::span<const Tensor> operands) { return gradients_of(net, operands, true); };
  const Tensors expected = function(gradients)(std::span<const Tensor>(in));
  for (const Pass& pass : passes()) {
    const Tensors actual = function(gradients, {.disabled_passes = {std::string(pass.name)}})(std::span<const Tensor>(in));
    for (std::size_t i = 0; i < expected.size(); ++i) expect_close(actual[i], expected[i], 1e-12, std::string(pass.name) + ", operand " + std::to_string(i));
  }
}

TEST(Scan, StaysApartFromAnotherWithTheSameOperands) {
  const auto both = [](const Tensor& x, bool unroll) {
    GradientTape tape;
    tape.watch(x);
    const auto along = [&](float factor, bool reverse) {
      return scan([&](std::span<const Tensor> state, std::span<const Tensor> slices) -> Scanned {
        const Tensor h = tanh(state[0] * factor + slices[0]);
        return {{h}, {h * h}};
      }, {zeros({2}, float32)}, {x}, {.reverse = reverse, .unroll = unroll}).outputs[0];
    };
    const Tensor there = along(0.5f, false), back = along(0.5f, true), other = along(2.0f, false);
    return Tensors{there, back, other, tape.gradient(reduce_sum(there * back - sin(other)), x).dense()};
  };
  const Tensor x = waves({4, 2}, float32);
  const Tensors expected = both(x, true), actual = function([&](const Tensor& in) { return both(in, false); })(x);
  for (std::size_t i = 0; i < expected.size(); ++i) expect_close(actual[i], expected[i], 1e-5, std::to_string(i));
}

TEST(Scan, ComputesWhatOnlyCapturesDecideOnceBeforeTheSteps) {
  const auto f = function([](const Tensor& x, const Tensor& w) {
    return scan([&](std::span<const Tensor> state, std::span<const Tensor> slices) -> Scanned { return {{state[0] + matmul(slices[0], tanh(w))}, {}}; }, {zeros({2, 4}, float32)}, {x}).state[0];
  });
  const Graph& graph = f.concrete_function(waves({5, 2, 3}, float32), waves({3, 4}, float32)).graph();
  EXPECT_EQ(graph.op_names(), (std::vector<std::string>{"tanh", "scan"}));
}

TEST(Scan, IsUsedFromSeveralThreads) {
  const std::vector<Tensor> in = net_operands(50, float32);
  const auto f = function([](std::span<const Tensor> operands) { return gradients_of(net, operands, false); });
  const Tensors expected = f(std::span<const Tensor>(in));
  std::vector<std::thread> threads;
  std::vector<Tensors> results(4);
  for (Tensors& result : results)
    threads.emplace_back([&] { for (int k = 0; k < 20; ++k) result = f(std::span<const Tensor>(in)); });
  for (std::thread& thread : threads) thread.join();
  for (const Tensors& result : results)
    for (std::size_t i = 0; i < expected.size(); ++i) expect_close(result[i], expected[i], 0, "operand " + std::to_string(i));
}

}  // namespace
}  // namespace lockstep::autodiff

// Optimizers inside traced functions: one trace for all steps, and few passes over memory.

#include <gtest/gtest.h>

#include <limits>

#include <lockstep/lockstep.h>

namespace lockstep::optim {
namespace {

Tensor ramp(const Shape& shape, float scale) {
  Tensor tensor = Tensor::empty(shape, float32);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.mutable_data<float>()[i] = scale * float(i % 13 - 6);
  return tensor;
}

/// Names of the nodes that run over a variable's elements, not over scalars.
std::vector<std::string> large_nodes(const autodiff::Graph& graph) {
  std::vector<std::string> names;
  for (const autodiff::Node& node : graph.nodes)
    if (node.kind == autodiff::Node::Kind::op &&
        std::any_of(node.outputs.begin(), node.outputs.end(), [&](autodiff::ValueId value) { return graph.spec(value).shape.numel() > 1; }))
      names.emplace_back(node.op->name);
  return names;
}

std::vector<std::string> nodes_of_a_step(Optimizer& optimizer) {
  const Variable w(ramp({16, 8}, 0.1f), {.path = "w"});
  const auto step = autodiff::function([&](const Tensor& g) { optimizer.apply_gradients({{g, w}}); });
  return large_nodes(step.concrete_function(ramp({16, 8}, 1)).optimized());
}

TEST(TracedStep, IsOnePassOverAVariable) {
  const std::vector<std::string> one = {"fused"};
  Adam adam, ams({.amsgrad = true});
  AdamW decayed;
  Nadam nadam;
  RMSprop rms({.momentum = 0.5, .centered = true});
  SGD momentum({.momentum = 0.9, .nesterov = true}), average({.clipvalue = 1, .use_ema = true, .ema_overwrite_frequency = 3});
  EXPECT_EQ(nodes_of_a_step(adam), one);
  EXPECT_EQ(nodes_of_a_step(ams), one);
  EXPECT_EQ(nodes_of_a_step(decayed), one);
  EXPECT_EQ(nodes_of_a_step(nadam), one);
  EXPECT_EQ(nodes_of_a_step(rms), one);
  EXPECT_EQ(nodes_of_a_step(momentum), one);
  EXPECT_EQ(nodes_of_a_step(average), one);
}

TEST(TracedStep, AccumulatesInOnePassToo) {
  Adam optimizer({.gradient_accumulation_steps = 4});
  EXPECT_EQ(nodes_of_a_step(optimizer), std::vector<std::string>{"fused"});
}

TEST(TracedStep, ComputesTheScalarsOnceForAllVariables) {
  const auto scalar_nodes = [](int count) {
    std::vector<std::pair<Gradient, Variable>> pairs;
    for (int i = 0; i < count; ++i) pairs.emplace_back(ramp({4, 2}, 1), Variable(ramp({4, 2}, 0.1f), {.path = "w" + std::to_string(i)}));
    Nadam optimizer;
    const auto step = autodiff::function([&](const Tensor& scale) {
      auto scaled = pairs;
      for (auto& [gradient, variable] : scaled) gradient = gradient.dense() * scale;
      optimizer.apply_gradients(scaled);
    });
    const autodiff::Graph& graph = step.concrete_function(scalar(1.0, float32)).optimized();
    return graph.op_count() - int(large_nodes(graph).size());
  };
  EXPECT_EQ(scalar_nodes(1), scalar_nodes(5));
}

TEST(TracedStep, FollowsALearningRateThatIsSet) {
  const Variable w(constant({0.0f}), {.path = "w"});
  SGD optimizer({.learning_rate = 1});
  const auto step = autodiff::function([&](const Tensor& g) { optimizer.apply_gradients({{g, w}}); });
  step(constant({1.0f}));
  optimizer.set_learning_rate(0.25);
  step(constant({1.0f}));
  EXPECT_EQ(w.value().to_vector<float>()[0], -1.25f);
  EXPECT_EQ(step.trace_count(), 1);
}

TEST(TracedStep, FollowsItsSchedule) {
  const Variable w(constant({0.0f}), {.path = "w"});
  SGD optimizer({.learning_rate = PiecewiseConstantDecay({.boundaries = {1}, .values = {1, 0.25}})});
  const auto step = autodiff::function([&](const Tensor& g) { optimizer.apply_gradients({{g, w}}); });
  for (int i = 0; i < 4; ++i) step(constant({1.0f}));
  EXPECT_EQ(w.value().to_vector<float>()[0], -2.5f);
}

TEST(TracedStep, ConstrainsTheWeights) {
  const Variable w(constant({1.0f, 1.0f}), {.path = "w"});
  Adam optimizer({.learning_rate = 2});
  optimizer.constrain(w, [](const Tensor& x) { return relu(x); });
  const auto step = autodiff::function([&](const Tensor& g) { optimizer.apply_gradients({{g, w}}); });
  step(constant({1.0f, -1.0f}));
  EXPECT_EQ(w.value().to_vector<float>()[0], 0);
  EXPECT_NEAR(w.value().to_vector<float>()[1], 3, 1e-5);
}

/// All state of `optimizer` and w, as one list of numbers.
std::vector<double> numbers(Optimizer& optimizer, const Variable& w) {
  std::vector<Variable> variables = optimizer.variables();
  variables.push_back(w);
  std::vector<double> all;
  for (const Variable& variable : variables)
    for (const double each : cast(variable.value(), float64).to_vector<double>()) all.push_back(each);
  return all;
}

TEST(TracedStep, EqualsTheEagerOneWithEverythingOn) {
  const auto run = [](bool traced) {
    const Variable w(ramp({4, 3}, 0.1f), {.path = "w"});
    Nadam optimizer({.learning_rate = 0.5, .weight_decay = 0.1, .global_clipnorm = 2, .use_ema = true, .ema_momentum = 0.5, .ema_overwrite_frequency = 2,
                     .loss_scale_factor = 4, .gradient_accumulation_steps = 2});
    const auto body = [&](const Tensor& g) { optimizer.apply_gradients({{g, w}}); };
    const auto step = autodiff::function(body);
    for (int i = 0; i < 7; ++i) {
      if (traced) step(ramp({4, 3}, float(i - 2)));
      else body(ramp({4, 3}, float(i - 2)));
    }
    return numbers(optimizer, w);
  };
  const std::vector<double> eager = run(false), traced = run(true);
  ASSERT_EQ(eager.size(), traced.size());
  for (std::size_t i = 0; i < eager.size(); ++i) EXPECT_NEAR(traced[i], eager[i], 1e-6) << i;
}

TEST(TracedStep, CallsAfterAnEagerOneContinueIt) {
  const Variable w(constant({1.0f}), {.path = "w"}), other(constant({1.0f}), {.path = "other"});
  Adam mixed, eager;
  const auto step = autodiff::function([&](const Tensor& g) { mixed.apply_gradients({{g, w}}); });
  for (int i = 0; i < 4; ++i) {
    if (i % 2) step(constant({0.5f}));
    else mixed.apply_gradients({{constant({0.5f}), w}});
    eager.apply_gradients({{constant({0.5f}), other}});
  }
  EXPECT_NEAR(w.value().to_vector<float>()[0], other.value().to_vector<float>()[0], 1e-6);
  EXPECT_EQ(mixed.iterations().value().item<std::int64_t>(), 4);
}

}  // namespace
}  // namespace lockstep::optim

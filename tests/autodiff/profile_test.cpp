// Costs of nodes, and the times of an executable's kernel calls.

#include <gtest/gtest.h>

#include <lockstep/autodiff/cost.h>
#include <lockstep/lockstep.h>

namespace lockstep::autodiff {
namespace {

double flops_of(const Graph& graph) {
  double flops = 0;
  for (const Node& node : graph.nodes) flops += cost_of(graph, node).flops;
  return flops;
}

TEST(Cost, CountsTwoOperationsForEachProductOfASum) {
  const auto product = function([](const Tensor& a, const Tensor& b) { return matmul(a, b, true); });
  EXPECT_EQ(flops_of(product.concrete_function(zeros({5, 3}), zeros({5, 7})).graph()), 2 * 3 * 5 * 7);
}

TEST(Cost, IsTheSameForAConvolutionAndItsTwoGradients) {
  const auto gradients = function([](const Tensor& x, const Tensor& kernel) {
    GradientTape tape;
    tape.watch(x);
    tape.watch(kernel);
    const Tensor y = conv2d(x, kernel);
    const std::vector<Gradient> by = tape.gradient(y, {x, kernel});
    return Tensors{by[0].dense(), by[1].dense()};
  });
  EXPECT_EQ(flops_of(gradients.concrete_function(zeros({2, 6, 6, 3}), zeros({3, 3, 3, 5})).graph()), 3 * 2 * (2 * 4 * 4 * 5) * (3 * 3 * 3));
}

TEST(Executable, TimesItsKernelCallsWhileProfilingIsOn) {
  const auto f = function([](const Tensor& x) { return reduce_sum(matmul(x, x), 0); });
  const Tensor x = ones({64, 64});
  const Executable& executable = f.concrete_function(x).executable();
  EXPECT_TRUE(executable.step_times().empty());
  executable.set_profiling(true);
  f(x);
  executable.set_profiling(false);
  const auto total = [&] {
    double seconds = 0;
    for (const Executable::StepTime& each : executable.step_times()) seconds += each.seconds;
    return seconds;
  };
  ASSERT_EQ(executable.step_times().size(), executable.step_count());
  const double measured = total();
  EXPECT_GT(measured, 0);
  f(x);
  EXPECT_EQ(total(), measured);
}

}  // namespace
}  // namespace lockstep::autodiff

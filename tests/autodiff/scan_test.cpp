// scan against the same steps written out in C++: values, derivatives, traced and not, and what its graph is made of.

#include <gtest/gtest.h>

#include <cmath>

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

class ScanOfDType : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Scan, ScanOfDType, testing::Values(float32, float64), [](const auto& info) { return std::string(name(info.param)); });

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

}  // namespace
}  // namespace lockstep::autodiff

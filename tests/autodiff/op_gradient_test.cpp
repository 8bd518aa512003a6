// Every differentiable row against central differences in float64, first and second order. Nothing here knows an op by name.

#include <algorithm>

#include "op_samples.h"

namespace lockstep::autodiff {
namespace {

using namespace lockstep::testing;

constexpr double kTolerance = 1e-7;

/// Does a gradient flow through the sample at all?
bool flows(const Sample& sample) {
  return std::any_of(sample.inputs.begin(), sample.inputs.end(), [](const Sample::Operand& operand) { return operand.dtype == float64 || operand.dtype == complex128; });
}
bool has_gradient(const OpDef& op) {
  return (op.gradient.rule || op.compose) && std::any_of(op.samples.begin(), op.samples.end(), flows);
}
bool has_second_gradient(const OpDef& op) { return has_gradient(op) && op.first_order_only.empty(); }
bool pointwise_with_gradient(const OpDef& op) { return op.pointwise && has_gradient(op); }
bool reduction_with_gradient(const OpDef& op) { return op.fusion == Fusion::reduction && has_gradient(op); }

std::string described(const Sample& sample) {
  std::string text;
  for (const Sample::Operand& operand : sample.inputs) text += to_string(TensorSpec{operand.dtype, operand.shape}) + " ";
  for (const Attr& attr : sample.attrs) text += std::string(attr.name) + "=" + to_string(attr.value) + " ";
  return text;
}

void expect_gradient(const OpDef& op, const Sample& sample, int order, std::uint64_t seed, double tolerance = kTolerance) {
  Draw draw(op.name, seed);
  const Values inputs = draw.values(sample);
  const GradientCheck check = check_gradient([&](std::span<const Tensor> operands) { return call(op, sample, operands); }, inputs, {.order = order});
  EXPECT_GT(check.compared, 0) << described(sample);
  EXPECT_LT(check.error, tolerance) << described(sample) << "\n" << to_string(check);
}

class OpGradient : public ::testing::TestWithParam<const OpDef*> {};
class OpSecondGradient : public ::testing::TestWithParam<const OpDef*> {};
class OpPointwiseGradient : public ::testing::TestWithParam<const OpDef*> {};
class OpReductionGradient : public ::testing::TestWithParam<const OpDef*> {};

TEST_P(OpGradient, AgreesWithDifferences) {
  for (const Sample& sample : GetParam()->samples)
    if (flows(sample)) expect_gradient(*GetParam(), sample, 1, 1);
}

TEST_P(OpSecondGradient, AgreesWithDifferencesOfTheFirst) {
  for (const Sample& sample : GetParam()->samples)
    if (flows(sample)) expect_gradient(*GetParam(), sample, 2, 2);
}

/// Operands of several shapes, and of shapes that broadcast, in the range that the first sample draws from.
TEST_P(OpPointwiseGradient, AgreesWithDifferencesWhateverBroadcasts) {
  const OpDef& op = *GetParam();
  const std::vector<std::vector<Shape>> cases{{{}, {}, {}}, {{5}, {5}, {5}}, {{2, 1, 3}, {4, 1}, {1, 1, 3}}, {{}, {3, 2}, {1}}, {{2, 3}, {}, {2, 1}}, {{0, 3}, {1, 3}, {0, 1}}};
  for (const std::vector<Shape>& shapes : cases) {
    Sample sample = op.samples.front();
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) sample.inputs[i].shape = shapes[i];
    SmallVector<const TensorSpec*, 4> specs;
    std::vector<TensorSpec> kept;
    for (const Sample::Operand& operand : sample.inputs) kept.push_back({operand.dtype, operand.shape});
    for (const TensorSpec& spec : kept) specs.push_back(&spec);
    try {
      infer(op, canonical_attrs(op, sample.attrs), specs);
    } catch (const InvalidArgumentError&) {
      for (Sample::Operand& operand : sample.inputs) operand.shape = shapes[0];  // a row that does not broadcast
    }
    Draw draw(op.name, 3);
    const Values inputs = draw.values(sample);
    const GradientCheck check = check_gradient([&](std::span<const Tensor> in) { return call(op, sample, in); }, inputs);
    EXPECT_LT(check.error, kTolerance) << described(sample) << "\n" << to_string(check);
  }
}

TEST_P(OpReductionGradient, AgreesWithDifferencesOverAnyAxes) {
  const OpDef& op = *GetParam();
  Draw draw(op.name, 4);
  for (int round = 0; round < 8; ++round) {
    Sample sample = op.samples.front();
    Shape shape;
    Ints axes;
    for (std::int64_t i = 0, ndim = draw.whole(0, 5); i < ndim; ++i) {
      shape.push_back(draw.whole(1, 4));
      if (draw.whole(0, 2)) axes.push_back(draw.whole(0, 2) ? i : i - ndim);
    }
    sample.inputs.front().shape = shape;
    sample.attrs = {{"axis", axes}, {"keepdims", draw.whole(0, 2) == 1}};
    expect_gradient(op, sample, 1, std::uint64_t(round));
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpGradient, ::testing::ValuesIn(rows_where(has_gradient)), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, OpSecondGradient, ::testing::ValuesIn(rows_where(has_second_gradient)), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, OpPointwiseGradient, ::testing::ValuesIn(rows_where(pointwise_with_gradient)), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, OpReductionGradient, ::testing::ValuesIn(rows_where(reduction_with_gradient)), test_name);

// ---- the checker itself

Tensor vector(const std::vector<double>& values) { return constant(values); }

TEST(CheckGradient, FindsTheElementWhoseGradientIsWrong) {
  const Tensor bias = vector({0, 0, 0.25, 0});
  const auto wrong = custom_gradient([&](const Tensor& x) {
    return CustomGradient{square(x), [x, bias](const Tensor& up) { return Tensors{up * (x * 2 + bias)}; }};
  });
  const GradientCheck check = check_gradient([&](const Tensor& x) { return wrong(x); }, vector({1, -1, 0.5, 2}));
  EXPECT_EQ(check.element, 2);
  EXPECT_EQ(check.input, 0);
  EXPECT_EQ(check.compared, 4);
  EXPECT_GT(check.error, 1e-3);
  EXPECT_NEAR(check.analytic / check.numeric, 1.25, 1e-6);
}

TEST(CheckGradient, SeesAMissingPathAsZero) {
  const GradientCheck check = check_gradient([](const Tensor& x) { return stop_gradient(x) * x; }, vector({0.5, 3}));
  EXPECT_GT(check.error, 0.1);
  EXPECT_NEAR(check.analytic * 2, check.numeric, 1e-7);
}

TEST(CheckGradient, SeesAWrongSecondDerivativeBehindARightFirstOne) {
  const auto cube = custom_gradient([](const Tensor& x) {
    return CustomGradient{x * x * x, [x](const Tensor& up) { return Tensors{up * stop_gradient(x) * x * 3}; }};
  });
  const Tensor x = vector({0.5, 1.5});
  EXPECT_LT(check_gradient([&](const Tensor& y) { return cube(y); }, x).error, 1e-8);
  EXPECT_GT(check_gradient([&](const Tensor& y) { return cube(y); }, x, {.order = 2}).error, 0.1);
}

TEST(CheckGradient, KeepsInputsThatAreNotFloat) {
  const Tensor inputs[] = {vector({1, 2, 3}), constant({2, 0})};
  const GradientCheck check = check_gradient([](std::span<const Tensor> in) { return Tensors{square(gather(in[0], in[1]))}; }, inputs);
  EXPECT_EQ(check.compared, 3);
  EXPECT_LT(check.error, 1e-8);
}

TEST(CheckGradient, RefusesFloat32) {
  EXPECT_THROW(check_gradient([](const Tensor& x) { return x * x; }, constant({1.0f})), InvalidArgumentError);
  EXPECT_THROW(check_gradient([](const Tensor& x) { return cast(x, float32); }, vector({1})), InvalidArgumentError);
}

TEST(CheckGradient, CountsANaNAsInfinitelyWrong) {
  const GradientCheck check = check_gradient([](const Tensor& x) { return where(x > 0, x, sqrt(x)); }, vector({4}));
  EXPECT_LT(check.error, 1e-8);
  const GradientCheck broken = check_gradient([](const Tensor& x) { return log(exp(x) + 1); }, vector({1000}));
  EXPECT_TRUE(std::isinf(broken.error)) << to_string(broken);
}

TEST(CheckGradient, SaysWhereTheWorstIs) {
  const std::string text = to_string(GradientCheck{.error = 0.25, .analytic = 0.25, .numeric = 0.5, .input = 1, .element = 3, .compared = 24});
  EXPECT_EQ(text, "24 derivatives; the worst, by element 3 of input 1: 0.25 by the tape, 0.5 by differences (error 0.25)");
}

}  // namespace
}  // namespace lockstep::autodiff

// Learning-rate schedules at the steps where they turn.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

namespace lockstep::optim {
namespace {

double at(const Schedule& schedule, std::int64_t step) { return schedule(scalar(step, int64)).item<double>(); }

TEST(ExponentialDecay, FallsSmoothlyOrInStairs) {
  const ExponentialDecay smooth({.initial_learning_rate = 0.5, .decay_steps = 10, .decay_rate = 0.25});
  const ExponentialDecay stairs({.initial_learning_rate = 0.5, .decay_steps = 10, .decay_rate = 0.25, .staircase = true});
  EXPECT_DOUBLE_EQ(at(smooth, 5), 0.25);
  EXPECT_DOUBLE_EQ(at(stairs, 9), 0.5);
  EXPECT_DOUBLE_EQ(at(stairs, 10), 0.125);
}

TEST(PiecewiseConstantDecay, IncludesABoundaryInThePieceBeforeIt) {
  const PiecewiseConstantDecay schedule({.boundaries = {2, 4}, .values = {1, 0.5, 0.25}});
  EXPECT_EQ(at(schedule, 2), 1);
  EXPECT_EQ(at(schedule, 3), 0.5);
  EXPECT_EQ(at(schedule, 4), 0.5);
  EXPECT_EQ(at(schedule, 5), 0.25);
}

TEST(PolynomialDecay, StaysAtItsEndOrBeginsAgainLower) {
  const PolynomialDecay once({.initial_learning_rate = 1, .decay_steps = 4, .end_learning_rate = 0.5});
  const PolynomialDecay cycle({.initial_learning_rate = 1, .decay_steps = 4, .end_learning_rate = 0.5, .cycle = true});
  EXPECT_DOUBLE_EQ(at(once, 2), 0.75);
  EXPECT_DOUBLE_EQ(at(once, 100), 0.5);
  EXPECT_DOUBLE_EQ(at(cycle, 0), 1);
  EXPECT_DOUBLE_EQ(at(cycle, 4), 0.5);
  EXPECT_DOUBLE_EQ(at(cycle, 6), 0.5 + 0.5 * (1 - 6.0 / 8));
}

TEST(InverseTimeDecay, DividesByTheTimePassed) {
  EXPECT_DOUBLE_EQ(at(InverseTimeDecay({.initial_learning_rate = 1, .decay_steps = 2, .decay_rate = 1}), 3), 1 / 2.5);
  EXPECT_DOUBLE_EQ(at(InverseTimeDecay({.initial_learning_rate = 1, .decay_steps = 2, .decay_rate = 1, .staircase = true}), 3), 0.5);
}

TEST(CosineDecay, WarmsUpOnALineAndFallsToAlpha) {
  const CosineDecay schedule({.initial_learning_rate = 0.2, .decay_steps = 10, .alpha = 0.1, .warmup_target = 1, .warmup_steps = 4});
  EXPECT_DOUBLE_EQ(at(schedule, 0), 0.2);
  EXPECT_DOUBLE_EQ(at(schedule, 2), 0.6);
  EXPECT_DOUBLE_EQ(at(schedule, 4), 1);
  EXPECT_DOUBLE_EQ(at(schedule, 9), 0.55);
  EXPECT_NEAR(at(schedule, 14), 0.1, 1e-15);
  EXPECT_NEAR(at(schedule, 1000), 0.1, 1e-15);
}

TEST(CosineDecayRestarts, RestartsExactlyAtTheEndOfAPeriod) {
  // Periods of 1, 3, 9, ... end at 1, 4, 13, 40, ...: quotients of logarithms that rounding puts on either side of a whole number.
  const CosineDecayRestarts schedule({.initial_learning_rate = 1, .first_decay_steps = 1, .t_mul = 3, .m_mul = 0.5});
  double height = 1;
  for (std::int64_t end = 1, length = 1; end < 1'000'000; length *= 3, end += length) {
    height *= 0.5;
    EXPECT_NEAR(at(schedule, end), height, 1e-9) << "step " << end;
    if (length < 100) continue;
    EXPECT_LT(at(schedule, end - 1), 0.01 * height) << "step " << end - 1;
  }
}

TEST(Schedule, GoesThroughTheConfigurationOfItsOptimizer) {
  const Adam adam({.learning_rate = CosineDecay({.initial_learning_rate = 0.25, .decay_steps = 8})});
  const Ref<Optimizer> again = deserialize<Optimizer>(serialize(adam));
  EXPECT_EQ(again->config().at("learning_rate").at("class_name"), "CosineDecay");
  EXPECT_EQ(again->config(), adam.config());
  EXPECT_EQ(at(*again->schedule(), 0), 0.25);
}

TEST(Schedule, OfAFunctionIsSavedByItsName) {
  const SGD sgd({.learning_rate = named("halve", [](const Tensor& step) { return 1.0f / (cast(step, float32) + 1.0f); })});
  EXPECT_EQ(sgd.config().at("learning_rate"), "halve");
  EXPECT_THROW(deserialize<Optimizer>(serialize(sgd)), NotFoundError);
  CustomObjects objects;
  objects.add<Schedule>(named("halve", [](const Tensor&) { return scalar(0.5, float64); }));
  const CustomObjectScope scope(objects);
  EXPECT_EQ(deserialize<Optimizer>(serialize(sgd))->learning_rate().item<double>(), 0.5);
}

}  // namespace
}  // namespace lockstep::optim

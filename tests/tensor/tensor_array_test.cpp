// Arrays of tensors: eagerly, and as the state of a loop in a traced function.

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Floats = std::vector<float>;

TEST(TensorArray, ForgetsWhatWasRead) {
  TensorArray array(2);
  array.write(0, constant({1.f, 2.f})).write(1, constant({3.f, 4.f}));
  EXPECT_EQ(array.read(0).to_vector<float>(), (Floats{1, 2}));
  EXPECT_THROW(array.read(0), InvalidArgumentError);
  EXPECT_EQ(array.stack().to_vector<float>(), (Floats{0, 0, 3, 4}));
  array.write(0, constant({5.f, 6.f}));
  EXPECT_EQ(array.read(0).to_vector<float>(), (Floats{5, 6}));
}

TEST(TensorArray, GrowsOnlyIfItMay) {
  TensorArray fixed(1), dynamic(0, float32, {.dynamic_size = true});
  EXPECT_THROW(fixed.write(1, constant(1.f)), OutOfRangeError);
  EXPECT_THROW(dynamic.write(-1, constant(1.f)), OutOfRangeError);
  EXPECT_THROW(dynamic.write(INT64_MAX, constant(1.f)), Error);
  EXPECT_EQ(dynamic.write(3, constant(1.f)).size(), 4);
  EXPECT_THROW(TensorArray(-1), InvalidArgumentError);
  EXPECT_THROW(TensorArray(INT64_MAX), Error);
  EXPECT_THROW(fixed.unstack(constant({1.f, 2.f})), OutOfRangeError);
}

TEST(TensorArray, KeepsOneDtypeAndOneShape) {
  TensorArray array(2), loose(2, float32, {.infer_shape = false});
  array.write(0, constant({1.f, 2.f}));
  EXPECT_THROW(array.write(1, constant({1.f})), InvalidArgumentError);
  EXPECT_THROW(array.write(1, constant({1, 2})), TypeError);
  loose.write(0, constant({1.f, 2.f})).write(1, constant({3.f}));
  EXPECT_EQ(loose.concat().to_vector<float>(), (Floats{1, 2, 3}));
  EXPECT_THROW(loose.stack(), InvalidArgumentError);
  EXPECT_THROW(TensorArray(1).read(0), InvalidArgumentError);
}

TEST(TensorArray, SplitsAndScatters) {
  TensorArray array(3, float32, {.infer_shape = false});
  array.split(constant({1.f, 2.f, 3.f}), {2, 0, 1});
  EXPECT_EQ(array.read(0).to_vector<float>(), (Floats{1, 2}));
  EXPECT_EQ(array.read(1).numel(), 0);
  TensorArray other(3);
  EXPECT_EQ(other.scatter(constant({2, 0}), constant({5.f, 6.f})).stack().to_vector<float>(), (Floats{6, 0, 5}));
  EXPECT_THROW(other.scatter(constant({2}), constant({5.f, 6.f})), InvalidArgumentError);
}

TEST(TensorArray, IsALoopsStateInATracedFunction) {
  const auto squares = autodiff::function([](const Tensor& x) {
    TensorArray array(4);
    array.unstack(zeros_like(x));
    const Tensors end = autodiff::for_range(constant(0), constant(4), [&](const Tensor& i, std::span<const Tensor> state) {
      TensorArray now(4);
      now.unstack(state[0]);
      now.write(i, square(gather(x, i)));
      return Tensors{now.stack()};
    }, {array.stack()});
    return end[0];
  });
  EXPECT_EQ(squares(constant({1.f, 2.f, 3.f, 4.f})).to_vector<float>(), (Floats{1, 4, 9, 16}));
}

TEST(TensorArray, KeptInOneTensorRefusesOtherPlaces) {
  const auto written = [](std::int64_t last) {
    return autodiff::function([last](const Tensor& i, const Tensor& x) {
      TensorArray array(3, float32, {.dynamic_size = true});
      array.write(i, x).write(last, x);
      return array.stack();
    });
  };
  EXPECT_EQ(written(2)(constant(1), constant(5.f)).to_vector<float>(), (Floats{0, 5, 5}));
  EXPECT_THROW(written(3)(constant(1), constant(5.f)), OutOfRangeError);
  EXPECT_THROW(written(-1)(constant(1), constant(5.f)), OutOfRangeError);
}

TEST(TensorArray, LetsGradientsThrough) {
  const Tensor x = constant({1.f, 2.f, 3.f});
  autodiff::GradientTape tape;
  tape.watch(x);
  TensorArray array(3);
  array.unstack(x);
  const Tensor y = array.read(1) * array.read(2);
  EXPECT_EQ(tape.gradient(y, x).dense().to_vector<float>(), (Floats{0, 3, 2}));
}

}  // namespace
}  // namespace lockstep

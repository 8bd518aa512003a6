// Layer: building, weights, paths, losses, modes, policies; the layers of the book.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>
#include <lockstep/nn/weight_limit.h>

namespace lockstep::nn {
namespace {

std::vector<std::string> paths(const std::vector<Weight>& weights) {
  std::vector<std::string> result;
  for (const Weight& weight : weights) result.push_back(weight.variable().path());
  return result;
}

/// The book's MyDense.
class MyDense : public Layer {
 public:
  explicit MyDense(std::int64_t units = 1, Ref<Activation> activation = "linear") : units_(units), activation_(std::move(activation)) {}
  void fields(Fields& f) override {
    Layer::fields(f);
    f.field("units", units_);
    f.field("activation", activation_);
  }

 protected:
  void build(const Shape& input) override {
    kernel_ = add_weight("kernel", {input.dim(-1), units_}, {.initializer = "he_normal"});
    bias_ = add_weight("bias", {units_}, {.initializer = "zeros"});
  }
  Tensor call(const Tensor& x) override { return (*activation_)(matmul(x, kernel_) + bias_); }

 private:
  std::int64_t units_;
  Ref<Activation> activation_;
  Weight kernel_, bias_;
};

TEST(MyDense, IsBuiltAtItsFirstCallAndComputesAsDense) {
  MyDense mine(3, "relu");
  Dense built_in({.units = 3, .activation = "relu"});
  const Tensor x = constant({{1.f, -2.f}, {0.5f, 3.f}});
  EXPECT_FALSE(mine.built());
  EXPECT_EQ(mine(x).shape(), (Shape{2, 3}));
  EXPECT_EQ(paths(mine.weights()), (std::vector<std::string>{"my_dense/kernel", "my_dense/bias"}));
  built_in.build_for(x.shape());
  const auto weights = mine.get_weights();
  built_in.set_weights(std::span<const Tensor>(weights));
  EXPECT_EQ(mine(x).to_vector<float>(), built_in(x).to_vector<float>());
  EXPECT_EQ(mine.compute_output_shape(Shape{7, 2}), (Shape{7, 3}));
}

TEST(MyDense, IsSavedWithItsFieldsAndReadBack) {
  const Json saved = serialize(MyDense(3, "relu"));
  EXPECT_EQ(saved["config"].dump(),
            R"({"name":"my_dense","trainable":true,"dtype":{"module":"keras","class_name":"DTypePolicy","config":{"name":"float32"},"registered_name":null},"units":3,"activation":"relu"})");
  CustomObjects objects;
  objects.add<MyDense>("MyDense");
  const CustomObjectScope scope(objects);
  EXPECT_EQ((*deserialize<Layer>(saved))(ones({1, 4})).shape(), (Shape{1, 3}));
}

/// The book's layer of two inputs and three outputs.
class MyMultiLayer : public Layer {
 protected:
  Tensors call(std::span<const Tensor> in, const CallOptions&) override { return {in[0] + in[1], in[0] * in[1], in[0] / in[1]}; }
};

TEST(MyMultiLayer, TakesTwoInputsAndGivesThreeOutputs) {
  MyMultiLayer layer;
  const Tensor a = constant({{3.f, 6.f}, {2.f, 7.f}}), b = constant({{6.f, 12.f}, {4.f, 3.f}});
  const Tensors out = layer({a, b});
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].to_vector<float>(), (std::vector<float>{9, 18, 6, 10}));
  EXPECT_EQ(out[1].to_vector<float>(), (std::vector<float>{18, 72, 8, 21}));
  EXPECT_EQ(out[2].to_vector<float>(), (std::vector<float>{0.5f, 0.5f, 0.5f, 7.f / 3}));
  const Shape shapes[] = {{5, 2}, {5, 2}};
  EXPECT_EQ(layer.compute_output_shape(shapes), (std::vector<Shape>(3, Shape{5, 2})));
  // Doubles come in the layer's dtype, as NumPy's do in Keras.
  EXPECT_EQ(layer({cast(a, float64), cast(b, float64)})[0].dtype(), float32);
}

/// The book's noise, active in training only; an inner layer finds out by itself.
class MyGaussianNoise : public Layer {
 public:
  explicit MyGaussianNoise(double stddev = 1) : stddev_(stddev) {}

 protected:
  Tensor call(const Tensor& x, const CallOptions& options) override { return options.training ? x + random::normal(x.shape(), 0, stddev_) : x; }

 private:
  double stddev_;
};
class Outer : public Layer {
 public:
  explicit Outer(MyGaussianNoise noise) : noise_(track("noise", std::move(noise))) {}

 protected:
  Tensor call(const Tensor& x) override { return (*noise_)(x); }

 private:
  std::shared_ptr<MyGaussianNoise> noise_;
};

TEST(MyGaussianNoise, IsActiveInTrainingOnly) {
  MyGaussianNoise noise(0.5);
  const Tensor x = ones({3, 4});
  EXPECT_EQ(noise(x).to_vector<float>(), x.to_vector<float>());
  EXPECT_NE(noise(x, {.training = true}).to_vector<float>(), x.to_vector<float>());
}

TEST(Layer, MakesNoWeightBeyondTheLimitOfAFile) {
  const WeightLimit limit(12);
  Dense fits(4);
  fits.build_for(Shape{1, 3});
  Conv2D large({.filters = 1, .kernel_size = {1000000, 1000000}});
  EXPECT_THROW(large.build_for(Shape{1, 8, 8, 1}), InvalidArgumentError);
}

TEST(Layer, IsInTrainingWhenTheLayerAroundItIs) {
  Outer outer(MyGaussianNoise(0.5));
  const Tensor x = ones({3, 4});
  EXPECT_EQ(outer(x).to_vector<float>(), x.to_vector<float>());
  EXPECT_NE(outer(x, {.training = true}).to_vector<float>(), x.to_vector<float>());
}

TEST(Lambda, IsAFunctionAsALayer) {
  Lambda layer(named("exp", lockstep::exp));
  EXPECT_FLOAT_EQ(layer(constant({{-1.f, 0.f, 1.f}})).data<float>()[2], 2.7182817f);
  EXPECT_EQ(layer.config()["function"], "exp");
}

TEST(Dense, TakesFunctionsWhereverItTakesComponents) {
  // Row 17: activation on the output, initializer at build, regularizer in the losses, constraint kept with the weight.
  Dense dense({.units = 1,
               .activation = named("my_softplus", [](const Tensor& z) { return log(exp(z) + 1); }),
               .kernel_initializer = named("twos", [](const Shape& shape, DType dtype) { return full(shape, 2, dtype); }),
               .kernel_regularizer = named("my_l1", [](const Tensor& w) { return reduce_sum(abs(w * 0.01)); }),
               .kernel_constraint = named("my_positive_weights", [](const Tensor& w) { return where(w < 0, zeros_like(w), w); })});
  EXPECT_NEAR(dense(constant({{1.f, -1.f}})).item<float>(), std::log(2.f), 1e-6);
  ASSERT_EQ(dense.losses().size(), 1u);
  EXPECT_NEAR(dense.losses()[0].item<float>(), 0.04f, 1e-7);
  const Weight kernel = dense.weights()[0];
  EXPECT_EQ((*kernel.constraint())(constant({{-1.f}, {3.f}})).to_vector<float>(), (std::vector<float>{0, 3}));
  EXPECT_EQ(dense.config()["kernel_constraint"], "my_positive_weights");
}

class Block : public Layer {
 public:
  explicit Block(int layers) {
    for (int i = 0; i < layers; ++i) hidden_.push_back(track("hidden_" + std::to_string(i), Dense({.units = 4})));
  }

 protected:
  Tensor call(const Tensor& x) override {
    Tensor y = x;
    for (const auto& each : hidden_) y = (*each)(y);
    add_loss(reduce_mean(y));
    return x + y;
  }

 private:
  std::vector<std::shared_ptr<Dense>> hidden_;
};
class Tower : public Layer {
 public:
  Tower() : block_(track("block", Block(2))) {}

 protected:
  Tensor call(const Tensor& x) override { return (*block_)((*block_)(x)); }

 private:
  std::shared_ptr<Block> block_;
};

TEST(Layer, NamesWeightsByItsPlaceInsideItsParents) {
  Tower tower;
  tower(ones({2, 4}));
  EXPECT_EQ(paths(tower.weights()), (std::vector<std::string>{"tower/block/hidden_0/kernel", "tower/block/hidden_0/bias", "tower/block/hidden_1/kernel", "tower/block/hidden_1/bias"}));
  EXPECT_EQ(tower.count_params(), 2 * (16 + 4));
}

TEST(Layer, ForgetsTheLossesOfTheCallBefore) {
  Tower tower;
  for (int i = 0; i < 3; ++i) tower(ones({2, 4}));
  EXPECT_EQ(tower.losses().size(), 2u);  // the block is called twice
}

TEST(Layer, IsBuiltOnceInsideATracedFunctionAndTrainsThere) {
  Tower tower;
  const auto step = autodiff::function([&](const Tensor& x) {
    autodiff::GradientTape tape;
    const Tensor y = tower(x);
    const Tensor loss = reduce_mean(square(y)) + tower.losses()[0];
    const auto variables = tower.trainable_variables();
    const std::vector<autodiff::Source> sources(variables.begin(), variables.end());
    const auto gradients = tape.gradient(loss, sources);
    for (std::size_t i = 0; i < variables.size(); ++i) variables[i].assign_sub(gradients[i].dense() * 0.01);
    return loss;
  });
  const Tensor x = ones({2, 4});
  const float first = step(x).item<float>();
  float last = first;
  for (int i = 0; i < 5; ++i) last = step(x).item<float>();
  EXPECT_LT(last, first);
  EXPECT_EQ(tower.weights().size(), 4u);
  EXPECT_EQ(step.trace_count(), 1);
}

TEST(Layer, FrozenHasNoTrainableWeights) {
  Tower tower;
  tower(ones({2, 4}));
  tower.set_trainable(false);
  EXPECT_TRUE(tower.trainable_weights().empty());
  EXPECT_EQ(tower.non_trainable_weights().size(), 4u);
}

TEST(Layer, RefusesWeightsThatDoNotFit) {
  Dense dense(3);
  dense.build_for(Shape{1, 2});
  EXPECT_THROW(dense.set_weights({zeros({2, 3})}), InvalidArgumentError);
  EXPECT_THROW(dense.set_weights({zeros({3, 3}), zeros({3})}), InvalidArgumentError);
  dense.set_weights({ones({2, 3}, float64), zeros({3}, float64)});
  EXPECT_EQ(dense.get_weights()[0].dtype(), float32);
}

TEST(Layer, ThatFailedToBuildCanBeBuiltAgain) {
  Conv2D conv({.filters = 2, .kernel_size = 3});
  EXPECT_THROW(conv(ones({1, 5})), InvalidArgumentError);
  EXPECT_EQ(conv(ones({1, 5, 5, 1})).shape(), (Shape{1, 3, 3, 2}));
  EXPECT_EQ(conv.weights().size(), 2u);
}

TEST(Layer, UnderAMixedPolicyComputesLowAndKeepsItsWeightsInFloat32) {
  Dense dense({.units = 2, .dtype = "mixed_bfloat16"});
  EXPECT_EQ(dense(ones({1, 3})).dtype(), bfloat16);
  EXPECT_EQ(dense.weights()[0].variable().dtype(), float32);
  EXPECT_EQ(dense.config()["dtype"]["config"]["name"], "mixed_bfloat16");
}

TEST(Layer, DividesTheActivityPenaltyByTheBatch) {
  Dense dense({.units = 1, .kernel_initializer = "ones", .activity_regularizer = L1(0.5)});
  dense(constant({{1.f}, {3.f}}));
  ASSERT_EQ(dense.losses().size(), 1u);
  EXPECT_FLOAT_EQ(dense.losses()[0].item<float>(), 0.5f * 4 / 2);
}

TEST(Layer, RefusesASecondWeightOrSublayerOfAName) {
  class Twice : public Layer {
   protected:
    void build(const Shape&) override {
      add_weight("w", {1});
      add_weight("w", {1});
    }
    Tensor call(const Tensor& x) override { return x; }
  };
  EXPECT_THROW(Twice()(ones({1})), AlreadyExistsError);
}

TEST(Layer, NamesClassesAsKerasDoes) {
  EXPECT_EQ(Dense(1).name(), "dense");
  EXPECT_EQ(MaxPooling2D().name(), "max_pooling2d");
  EXPECT_EQ(PReLU().name(), "p_re_lu");
  EXPECT_EQ(ConvLSTM2D().name(), "conv_lstm2d");
  EXPECT_EQ(StackedRNNCells().name(), "stacked_rnn_cells");
}

}  // namespace
}  // namespace lockstep::nn

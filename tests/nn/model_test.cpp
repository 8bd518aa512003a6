// Models: structure, names, configurations.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

namespace lockstep::nn {
namespace {

std::vector<std::string> paths(const Layer& layer) {
  std::vector<std::string> result;
  for (const Weight& weight : layer.weights()) result.push_back(weight.variable().path());
  return result;
}

/// A model of one's own: the sum of what a layer makes of the input, called twice.
class Twice : public Model {
 public:
  Twice() = default;

 protected:
  void build(const Shape& input) override { inner_ = track("inner", Dense(input.dim(-1), "tanh")); }
  Tensor call(const Tensor& x) override { return (*inner_)(x) + (*inner_)((*inner_)(x)); }

 private:
  std::shared_ptr<Dense> inner_;
};

TEST(Sequential, HasWeightsAtOnceIfItsInputIsDeclared) {
  const Sequential model({InputLayer({8}), Dense(30, "relu"), Dense(1)});
  EXPECT_EQ(paths(model), (std::vector<std::string>{"sequential/dense/kernel", "sequential/dense/bias", "sequential/dense_1/kernel", "sequential/dense_1/bias"}));
  EXPECT_EQ(model.count_params(), 8 * 30 + 30 + 30 + 1);
}

TEST(Sequential, IsBuiltByItsFirstCallOtherwise) {
  Sequential model({Dense(3), Dense(2)}, "net");
  EXPECT_FALSE(model.built());
  EXPECT_EQ(model(zeros({5, 4})).shape(), Shape({5, 2}));
  EXPECT_EQ(paths(model)[2], "net/dense_1/kernel");
}

TEST(Sequential, NumbersNamesWithinTheModelAndKeepsGivenOnes) {
  const Sequential model({Dense({.units = 2, .name = "dense"}), Dense(2), Dense({.units = 2, .name = "out"})});
  EXPECT_EQ(model.layers()[0]->name(), "dense");
  EXPECT_EQ(model.layers()[1]->name(), "dense_1");
  EXPECT_EQ(model.layer("out"), model.layers()[2]);
}

TEST(Sequential, RefusesTwoLayersOfOneName) {
  EXPECT_THROW(Sequential({Dense({.units = 2, .name = "a"}), Dense({.units = 2, .name = "a"})}), AlreadyExistsError);
}

TEST(Sequential, SharesTheWeightsOfALayerThatStandsTwice) {
  const auto block = std::make_shared<Dense>(4, "relu");
  Sequential model({block, block, Dense(1)});
  model(zeros({2, 4}));
  EXPECT_EQ(model.weights().size(), 4u);
  const auto again = deserialize<Layer>(serialize(model));
  again->build_for({2, 4});
  EXPECT_EQ(again->weights().size(), 4u) << "read from its configuration";
}

TEST(Sequential, AddsToABuiltModelAndTakesAway) {
  Sequential model({InputLayer({4}), Dense(3)});
  model.add(Dense(2));
  EXPECT_EQ(paths(model).back(), "sequential/dense_1/bias");
  EXPECT_EQ(model(zeros({1, 4})).shape(), Shape({1, 2}));
  model.pop();
  EXPECT_EQ(model(zeros({1, 4})).shape(), Shape({1, 3}));
  EXPECT_EQ(model.weights().size(), 2u);
}

TEST(Sequential, StaysAsItWasIfALayerDoesNotFit) {
  Sequential model({InputLayer({4}), Dense(3)});
  EXPECT_THROW(model.add(Conv2D({.filters = 2, .kernel_size = {3, 3}})), InvalidArgumentError);
  EXPECT_EQ(model.layers().size(), 1u);
  EXPECT_EQ(model(zeros({1, 4})).shape(), Shape({1, 3}));
}

TEST(Sequential, GivesItsPolicyToItsLayers) {
  Sequential model({Dense(3), Dense(2)}, {}, "mixed_bfloat16");
  EXPECT_EQ(model(zeros({1, 4})).dtype(), bfloat16);
  EXPECT_EQ(model.weights()[0].variable().dtype(), float32);
}

TEST(Sequential, NestsWithPathsOfBothModels) {
  Sequential model({Sequential({Dense(3)}, "inner"), Dense(1)}, "outer");
  model(zeros({2, 5}));
  EXPECT_EQ(paths(model)[0], "outer/inner/dense/kernel");
}

TEST(Sequential, MovesTheVariablesOfALayerBuiltBefore) {
  const auto inner = std::make_shared<Sequential>(std::initializer_list<Ref<Layer>>{InputLayer({5}), Dense(3)}, "inner");
  EXPECT_EQ(paths(*inner)[0], "inner/dense/kernel");
  Sequential model({inner, Dense(1)}, "outer");
  model(zeros({2, 5}));
  EXPECT_EQ(paths(model)[0], "outer/inner/dense/kernel");
}

TEST(Sequential, ComesBackFromItsConfiguration) {
  const Sequential model({InputLayer({8}), Dense({.units = 30, .activation = "selu", .kernel_regularizer = "l2"}), Dropout({.rate = 0.2}), Dense(1)});
  const auto again = deserialize<Layer>(serialize(model));
  EXPECT_EQ(again->config(), model.config());
  EXPECT_EQ(serialize(model)["module"], "keras");
  EXPECT_EQ(again->weights().size(), 4u);
}

Functional wide_and_deep() {
  const Symbol wide = input({5}, {.name = "wide"}), deep = input({6}, {.name = "deep"});
  const Symbol hidden = deep >> Dense(8, "relu") >> Dense(8, "relu");
  const Symbol main = Symbols{wide, hidden} >> Concatenate() >> Dense({.units = 1, .name = "main"});
  const Symbol aux = hidden >> Dense({.units = 1, .name = "aux"});
  return Functional({wide, deep}, {main, aux}, "wide_deep");
}

TEST(Functional, HasTheNamesOfItsInputsAndOutputs) {
  const Functional model = wide_and_deep();
  EXPECT_EQ(model.input_names(), (std::vector<std::string>{"wide", "deep"}));
  EXPECT_EQ(model.output_names(), (std::vector<std::string>{"main", "aux"}));
  EXPECT_EQ(paths(model)[0], "wide_deep/dense/kernel");
}

TEST(Functional, ComputesWhatItsLayersDo) {
  Functional model = wide_and_deep();
  const Tensor wide = random::normal({3, 5}, 0, 1, float32, 1), deep = random::normal({3, 6}, 0, 1, float32, 2);
  const Tensors outputs = model({wide, deep});
  const Tensor hidden = (*model.layer("dense_1"))((*model.layer("dense"))(deep));
  EXPECT_TRUE(reduce_all(equal(outputs[1], (*model.layer("aux"))(hidden))).item<bool>());
  const Tensor joined[] = {wide, hidden};
  EXPECT_TRUE(reduce_all(equal(outputs[0], (*model.layer("main"))(concat(joined, 1)))).item<bool>());
}

TEST(Functional, RefusesAnInputOfAnotherWidthByName) {
  Functional model = wide_and_deep();
  try {
    model({zeros({3, 5}), zeros({3, 7})});
    FAIL();
  } catch (const InvalidArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("'deep' must have shape (None, 6), got (3, 7)"), std::string::npos) << error.what();
  }
}

TEST(Functional, RefusesOutputsThatNeedAnInputNotGiven) {
  const Symbol a = input({2}, {.name = "a"}), b = input({2}, {.name = "b"});
  EXPECT_THROW(Functional({a}, {Symbols{a, b} >> Add()}), InvalidArgumentError);
}

TEST(Functional, SharesALayerThatIsCalledTwice) {
  const auto shared = std::make_shared<Dense>(3);
  const Symbol a = input({4}), b = input({4});
  Functional model({a, b}, {Symbols{a >> shared, b >> shared} >> Subtract()});
  EXPECT_EQ(model.weights().size(), 2u);
  const Tensor x = ones({1, 4});
  EXPECT_EQ(model({x, x})[0].data<float>()[0], 0.f);
}

TEST(Functional, ComesBackFromItsConfigurationWithSharedLayers) {
  const auto shared = std::make_shared<Dense>(3);
  const Symbol a = input({4}), b = input({4});
  const Symbols lstm = call(std::make_shared<LSTM>(RecurrentOptions{.units = 2, .return_state = true}), {input({7, 3}, {.name = "steps"})});
  const Functional model({a, b, lstm[0].call()->inputs[0]}, {Symbols{a >> shared, b >> shared} >> Subtract(), lstm[2]});
  const auto again = std::dynamic_pointer_cast<Functional>(deserialize<Layer>(serialize(model)).ptr());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->config(), model.config());
  again->set_weights(model.get_weights());
  const Tensor x = random::normal({2, 4}, 0, 1, float32, 3), steps = random::normal({2, 7, 3}, 0, 1, float32, 4);
  const Tensors expected = const_cast<Functional&>(model)({x, -x, steps}), found = (*again)({x, -x, steps});
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(reduce_all(equal(found[i], expected[i])).item<bool>()) << i;
}

TEST(Functional, RefusesAConfigurationWithoutALayer) {
  const Symbol in = input({2}, {.name = "in"});
  const Functional model({in}, {in >> Dense(1)});
  Json config = serialize(model);
  config["config"]["layers"][1] = nullptr;
  EXPECT_THROW(deserialize<Layer>(config), InvalidArgumentError);
}

TEST(Functional, RefusesNumbersOfCallsThatAreNone) {
  const Symbol in = input({2}, {.name = "in"});
  const Functional model({in}, {in >> Dense(1)});
  for (const Json& number : {Json(1e308), Json(-1), Json("0")}) {
    Json config = serialize(model);
    config["config"]["output_layers"] = {config["config"]["layers"][1]["config"]["name"], number, 0};
    EXPECT_THROW(deserialize<Layer>(config), InvalidArgumentError) << number;
  }
}

TEST(Functional, PassesMasksFromTheEmbeddingToTheRecurrentLayer) {
  const Symbol words = input({-1}, {.dtype = int32});
  const auto embedding = std::make_shared<Embedding>(Embedding::Options{.input_dim = 10, .output_dim = 4, .mask_zero = true});
  Functional model({words}, {words >> embedding >> LSTM({.units = 3})});
  const Tensor padded = model(constant({{1, 2, 0, 0}})), plain = model(constant({{1, 2}}));
  EXPECT_TRUE(reduce_all(less(abs(padded - plain), scalar(1e-6f, float32))).item<bool>());
}

TEST(Functional, KnowsFreeSizesOfItsOutputs) {
  const Symbol steps = input({-1, 8});
  const Symbol out = steps >> Conv1D({.filters = 4, .kernel_size = {3}, .padding = "same"}) >> MaxPooling1D();
  EXPECT_EQ(out.shape(), (Ints{-1, -1, 4}));
}

TEST(Model, OfOnesOwnIsBuiltByItsFirstCallAndHasPaths) {
  Twice model;
  model.build_for(Shape{2, 3});
  EXPECT_EQ(paths(model), (std::vector<std::string>{"twice/inner/kernel", "twice/inner/bias"}));
}

TEST(Model, SuggestsTheNearestLayer) {
  const Sequential model({Dense({.units = 1, .name = "hidden"})});
  try {
    model.layer("hiden");
    FAIL();
  } catch (const NotFoundError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'hidden'?"), std::string::npos) << error.what();
  }
}

TEST(Model, ShowsItsLayersAsATable) {
  const std::string table = wide_and_deep().summary();
  EXPECT_NE(table.find("│ concatenate         │ (None, 13)"), std::string::npos) << table;
  EXPECT_NE(table.find("dense_1[0][0]"), std::string::npos) << table;
  EXPECT_NE(table.find("Total params: 151"), std::string::npos) << table;
}

TEST(Model, ShowsThatItIsNotBuilt) { EXPECT_NE(Sequential({Dense(2)}).summary().find("0 (unbuilt)"), std::string::npos); }

TEST(Model, FreezesItsLayers) {
  Sequential model({InputLayer({2}), Dense(2), Dense(1)});
  model.layers()[0]->set_trainable(false);
  EXPECT_EQ(model.trainable_weights().size(), 2u);
  EXPECT_EQ(model.non_trainable_weights().size(), 2u);
}

}  // namespace
}  // namespace lockstep::nn

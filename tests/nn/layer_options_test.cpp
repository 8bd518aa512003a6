// Options of layers, one value at a time: what Keras 3.15 does with each.

#include <gtest/gtest.h>

#include <cmath>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

#include "../message_of.h"

namespace lockstep::nn {
namespace {

using Floats = std::vector<float>;

Floats floats(const Tensor& x) { return x.to_vector<float>(); }
Ref<Layer> layer_from(const char* name, const Json& config) { return deserialize<Layer>(Json{{"class_name", name}, {"config", config}}); }
void expect_close(const Tensor& a, const Tensor& b, double tolerance = 1e-5) {
  ASSERT_EQ(a.spec(), b.spec());
  EXPECT_LE(reduce_max(abs(a - b)).item<float>(), tolerance);
}
Tensor normal(const Shape& shape, std::int64_t seed) { return random::normal(shape, 0, 1, float32, seed); }

TEST(Softmax, GivesZeroWhereTheMaskIsFalseThroughout) {
  Softmax layer;
  EXPECT_EQ(floats(layer(zeros({2, 2}), {.mask = {constant({{false, false}, {true, false}})}})), (Floats{0, 0, 1, 0}));
}

TEST(GroupedQueryAttention, LetsAMaskedQuerySeeAllKeysAlike) {
  GroupedQueryAttention layer({.head_dim = 2, .num_query_heads = 2, .num_key_value_heads = 1});
  const Tensor query = normal({1, 3, 4}, 1), value = normal({1, 5, 4}, 2);
  const Tensor y = layer({query, value}, {.mask = {constant({{true, false, false}})}})[0];
  expect_close(y[{0, 1}], y[{0, 2}]);
  EXPECT_GT(reduce_max(abs(y[{0, 0}] - y[{0, 1}])).item<float>(), 1e-3);
}

TEST(MultiHeadAttention, SeesKeysInsideItsSlidingWindowOnly) {
  MultiHeadAttention near({.num_heads = 2, .key_dim = 3, .sliding_window = 2}), any({.num_heads = 2, .key_dim = 3});
  const Tensor x = normal({2, 5, 4}, 3), band = cast(broadcast_to(expand_dims(band_part(ones({5, 5}), 1, 1), 0), {2, 5, 5}), boolean);
  near.build_for(x.shape());
  any.build_for(x.shape());
  any.set_weights(near.get_weights());
  expect_close(near(x), any(x, {.attention_mask = band}));
  EXPECT_EQ(near.config().at("sliding_window"), 2);
  EXPECT_NE(message_of<InvalidArgumentError>([] { MultiHeadAttention({.num_heads = 1, .key_dim = 1, .sliding_window = 0}); }).find("sliding_window"), std::string::npos);
}

TEST(MultiHeadAttention, HasNoScoresWhereAQueryMaySeeNoKey) {
  MultiHeadAttention layer({.num_heads = 1, .key_dim = 2});
  const Tensor x = normal({1, 2, 3}, 4);
  const Tensors y = layer({x, x}, {.attention_mask = constant({{{false, false}, {true, false}}}), .return_attention_scores = true});
  EXPECT_EQ(floats(y[1]), (Floats{0, 0, 1, 0}));
}

TEST(UpSampling2D, InterpolatesInEveryWayOfKeras) {
  const Tensor x = normal({1, 3, 4, 2}, 5);
  for (const char* method : {"bilinear", "bicubic", "lanczos3", "lanczos5"}) {
    UpSampling2D layer({.size = {2, 3}, .interpolation = method});
    expect_close(layer(x), image::resize(x, {6, 12}, {.method = method}));
  }
  EXPECT_NE(message_of<InvalidArgumentError>([] { UpSampling2D({.interpolation = "cubic"}); }).find("cubic"), std::string::npos);
}

TEST(Rescaling, TakesANumberPerFeatureAndWholeNumbers) {
  Rescaling layer({2, 0.5}, {0, 1});
  EXPECT_EQ(floats(layer(constant({{1, 2}, {3, 4}}))), (Floats{2, 2, 6, 3}));
  EXPECT_EQ(layer.config().at("scale"), Json({2.0, 0.5}));
  EXPECT_EQ(Rescaling(0.5).config().at("scale"), 0.5);
}

TEST(Normalization, KeepsNestedStatisticsOfSeveralAxes) {
  const Json config{{"axis", {1, 2}}, {"mean", {{1.0, 2.0}, {3.0, 4.0}}}, {"variance", {{1.0, 4.0}, {4.0, 1.0}}}};
  const Ref<Layer> layer = layer_from("Normalization", config);
  EXPECT_EQ(floats((*layer)(reshape(constant({3.f, 4.f, 5.f, 6.f}), {1, 2, 2}))), (Floats{2, 1, 1, 2}));
  EXPECT_EQ(layer->config().at("mean"), config.at("mean"));
  EXPECT_EQ(layer_from("Normalization", {{"axis", nullptr}, {"mean", 0.5}, {"variance", 2.0}})->config().at("mean"), 0.5);
  EXPECT_NE(message_of<InvalidArgumentError>([] { layer_from("Normalization", {{"mean", {{1, 2}, {3}}}, {"variance", {1}}}); }).find("unequal"), std::string::npos);
}

TEST(Dropout, ReadsNullSizesOfItsNoise) {
  const Json config{{"rate", 0.5}, {"noise_shape", {nullptr, 1}}, {"seed", 3}};
  const Ref<Layer> layer = layer_from("Dropout", config);
  EXPECT_EQ(layer->config().at("noise_shape"), config.at("noise_shape"));
  const Floats y = floats((*layer)(ones({16, 2}), {.training = true}));
  for (std::size_t i = 0; i < y.size(); i += 2) EXPECT_EQ(y[i], y[i + 1]);
}

TEST(SpatialDropout, DropsWholeChannels) {
  SpatialDropout2D layer({.rate = 0.5, .seed = 1});
  const Tensor x = ones({8, 3, 2, 4}), y = layer(x, {.training = true});
  const Tensor first = broadcast_to(y[{all, slice(0, 1), slice(0, 1)}], {8, 3, 2, 4});
  EXPECT_EQ(floats(y), floats(first));
  EXPECT_GT(reduce_max(y).item<float>(), 0);
  EXPECT_EQ(reduce_min(y).item<float>(), 0);
  EXPECT_EQ(floats(layer(x)), floats(x));
  EXPECT_NE(message_of<InvalidArgumentError>([&] { SpatialDropout1D()(x); }).find("3 axes"), std::string::npos);
}

TEST(GaussianDropout, MultipliesByNoiseOfItsVariance) {
  GaussianDropout layer({.rate = 0.2, .seed = 1});
  const auto [mean, variance] = moments(layer(ones({20000}), {.training = true}), Ints{0});
  EXPECT_NEAR(mean.item<float>(), 1, 0.02);
  EXPECT_NEAR(variance.item<float>(), 0.25, 0.02);
}

TEST(AlphaDropout, KeepsMeanAndVariance) {
  AlphaDropout layer({.rate = 0.3, .seed = 1});
  const auto [mean, variance] = moments(layer(normal({20000}, 7), {.training = true}), Ints{0});
  EXPECT_NEAR(mean.item<float>(), 0, 0.04);
  EXPECT_NEAR(variance.item<float>(), 1, 0.06);
}

TEST(ActivityRegularization, AddsTheNormsOfItsInputToTheLoss) {
  ActivityRegularization layer(0.5, 0.25);
  EXPECT_EQ(floats(layer(constant({{1.f, -2.f}}))), (Floats{1, -2}));
  EXPECT_FLOAT_EQ(layer.take_losses().at(0).item<float>(), 0.5f * 3 + 0.25f * 5);
}

TEST(ConvLSTM1D, IsConvLSTM2DOfOneRow) {
  ConvLSTM1D line({.filters = 2, .kernel_size = 3, .padding = "same"});
  ConvLSTM2D plane({.filters = 2, .kernel_size = {1, 3}, .padding = "same"});
  const Tensor x = normal({2, 3, 5, 2}, 8);
  const Tensor y = line(x);
  plane.build_for(Shape{2, 3, 1, 5, 2});
  std::vector<Tensor> weights = line.get_weights();
  for (Tensor& each : weights)
    if (each.ndim() == 3) each = expand_dims(each, 0);
  plane.set_weights(weights);
  expect_close(y, squeeze(plane(expand_dims(x, 2)), 1));
  EXPECT_NE(message_of<InvalidArgumentError>([] { ConvLSTM2D({.filters = 1, .kernel_size = 2, .strides = 2, .dilation_rate = 2}); }).find("exclude"), std::string::npos);
}

TEST(AdaptivePooling, CutsAnAxisIntoWindowsThatMayOverlap) {
  const Tensor x = reshape(constant({1.f, 2.f, 3.f, 4.f, 5.f}), {1, 5, 1});
  EXPECT_EQ(floats(AdaptiveAveragePooling1D({.output_size = 3})(x)), (Floats{1.5, 3, 4.5}));
  EXPECT_EQ(floats(AdaptiveMaxPooling1D({.output_size = 2})(x)), (Floats{3, 5}));
  AdaptiveAveragePooling2D plane({.output_size = {1, 2}, .data_format = "channels_first"});
  EXPECT_EQ(floats(plane(reshape(constant({1.f, 2.f, 3.f, 4.f}), {1, 1, 2, 2}))), (Floats{2, 3}));
  EXPECT_NE(message_of<InvalidArgumentError>([] { AdaptiveMaxPooling1D({.output_size = 0}); }).find("output_size"), std::string::npos);
}

TEST(EinsumDense, RefusesAnOutputShapeThatTheInputContradicts) {
  EinsumDense layer({.equation = "abc,cd->abd", .output_shape = {5, 3}});
  EXPECT_NE(message_of<InvalidArgumentError>([&] { layer(zeros({2, 3, 4})); }).find("'b'"), std::string::npos);
  EinsumDense biased({.equation = "ab,bc->ac", .output_shape = {3}, .bias_axes = "z"});
  EXPECT_NE(message_of<InvalidArgumentError>([&] { biased(zeros({2, 3})); }).find("bias_axes"), std::string::npos);
}

TEST(Layer, RefusesOptionsOutsideOfTheirRange) {
  EXPECT_NE(message_of<InvalidArgumentError>([] { RepeatVector(0); }).find("positive"), std::string::npos);
  EXPECT_NE(message_of<InvalidArgumentError>([] { Flatten("channels_middle"); }).find("channels_middle"), std::string::npos);
  EXPECT_NE(message_of<InvalidArgumentError>([] { GaussianNoise({.stddev = 1.5}); }).find("stddev"), std::string::npos);
  EXPECT_NE(message_of<InvalidArgumentError>([] { LeakyReLU(-1); }).find("negative_slope"), std::string::npos);
}

TEST(BinaryFocalCrossentropy, IsExactForLargeLogits) {
  const losses::BinaryFocalCrossentropy loss({.from_logits = true});
  EXPECT_FLOAT_EQ(loss(constant({{0.f}}), constant({{100.f}})).item<float>(), 100);
}

TEST(Dice, KeepsAnAxisAsItWasGiven) {
  EXPECT_EQ(losses::Dice({.axis = 1}).config().at("axis"), 1);
  EXPECT_EQ(losses::Tversky({.axis = {1, 2}}).config().at("axis"), Json({1, 2}));
  EXPECT_TRUE(losses::Dice().config().at("axis").is_null());
}

TEST(Model, LeavesMaskedStepsOutOfItsMetricsAsOutOfItsLoss) {
  Sequential model({Masking(0.0), Dense({.units = 1, .kernel_initializer = "ones"})});
  model.compile({.loss = "mae", .metrics = {"mae", metrics::RootMeanSquaredError()}, .weighted_metrics = {"mse"}});
  const Tensor x = reshape(constant({2.f, 0.f, 4.f, 0.f}), {2, 2, 1});
  const Logs logs = model.evaluate(x, zeros({2, 2, 1}), {.verbose = 0, .sample_weight = constant({{1.f, 1.f}, {3.f, 3.f}})});
  EXPECT_FLOAT_EQ(float(logs.at("mae")), 3);                     // (2 + 4) / 2
  EXPECT_FLOAT_EQ(float(logs.at("mse")), (4 + 3 * 16) / 4.f);    // the weights count, too
  EXPECT_FLOAT_EQ(float(logs.at("root_mean_squared_error")), std::sqrt(5.f));  // which Keras takes over all
}

}  // namespace
}  // namespace lockstep::nn

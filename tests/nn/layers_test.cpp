// What the golden cases of layers do not show: randomness, state, masks, other data formats.

#include <gtest/gtest.h>

#include <cmath>

#include <lockstep/lockstep.h>

namespace lockstep::nn {
namespace {

void expect_near(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_EQ(a.spec(), b.spec());
  EXPECT_LE(reduce_max(abs(a - b)).item<float>(), tolerance);
}

TEST(Dropout, DropsTheRateAndKeepsTheMean) {
  Dropout dropout({.rate = 0.25, .seed = 1});
  const Tensor y = dropout(ones({100, 100}), {.training = true});
  const auto values = y.data<float>();
  const auto dropped = double(std::count(values.begin(), values.end(), 0.f)) / 1e4;
  EXPECT_NEAR(dropped, 0.25, 0.02);
  EXPECT_FLOAT_EQ(*std::max_element(values.begin(), values.end()), 1 / 0.75f);
}

TEST(Dropout, DrawsAnewInEachCallOfATracedFunction) {
  Dropout dropout(0.5);
  const auto traced = autodiff::function([&](const Tensor& x) { return dropout(x, {.training = true}); });
  const Tensor x = ones({64});
  const auto first = traced(x).to_vector<float>();
  EXPECT_NE(traced(x).to_vector<float>(), first);
  EXPECT_EQ(traced.trace_count(), 1);
  EXPECT_TRUE(dropout.weights().empty());
  ASSERT_EQ(dropout.variables().size(), 1u);
  EXPECT_EQ(dropout.variables()[0].path(), "dropout/seed_generator");
}

TEST(Dropout, SharesItsMaskAlongAxesOfNoise) {
  Dropout dropout({.rate = 0.5, .noise_shape = Ints{-1, 1}, .seed = 2});
  const Tensor y = dropout(ones({16, 3}), {.training = true});
  for (std::int64_t i = 0; i < 16; ++i) EXPECT_EQ(y.data<float>()[std::size_t(3 * i)], y.data<float>()[std::size_t(3 * i + 2)]);
}

TEST(BatchNormalization, MovesItsAveragesOncePerTracedStepAsPerEagerOne) {
  const Tensor a = constant({{1.f, 2.f}, {3.f, 6.f}}), b = constant({{0.f, 1.f}, {4.f, 1.f}});
  BatchNormalization eager({.momentum = 0.5}), traced({.momentum = 0.5});
  const auto step = autodiff::function([&](const Tensor& x) { return traced(x, {.training = true}); });
  for (const Tensor& x : {a, b}) {
    eager(x, {.training = true});
    step(x);
  }
  for (std::size_t i : {2u, 3u}) expect_near(eager.get_weights()[i], traced.get_weights()[i], 1e-6);
  EXPECT_FLOAT_EQ(eager.get_weights()[2].data<float>()[0], 0.5f * (0.5f * 0 + 0.5f * 2) + 0.5f * 2);
}

/// Row 31, exercise 12.
class MyLayerNormalization : public Layer {
 protected:
  void build(const Shape& input) override {
    alpha_ = add_weight("alpha", {input.dim(-1)}, {.initializer = "ones"});
    beta_ = add_weight("beta", {input.dim(-1)}, {.initializer = "zeros"});
  }
  Tensor call(const Tensor& x) override {
    const auto [mean, variance] = moments(x, -1, true);
    return alpha_ * (x - mean) / sqrt(variance + 1e-3) + beta_;
  }

 private:
  Weight alpha_, beta_;
};

TEST(LayerNormalization, EqualsTheOneWrittenAsACustomLayer) {
  MyLayerNormalization mine;
  LayerNormalization built_in;
  const Tensor x = random::normal({50, 8}, 2, 3, float32, 5);
  expect_near(mine(x), built_in(x), 1e-5);
  const Tensor alpha = random::uniform({8}, 0, 1, float32, 6), beta = random::uniform({8}, 0, 1, float32, 7);
  mine.set_weights({alpha, beta});
  built_in.set_weights({alpha, beta});
  expect_near(mine(x), built_in(x), 1e-5);
}

// Numbers of Keras.
TEST(SpectralNormalization, DividesTheKernelByItsNormInTrainingOnly) {
  for (const bool traced : {false, true}) {
    SCOPED_TRACE(traced ? "traced" : "eager");
    SpectralNormalization layer(Dense(2));
    layer.build_for(Shape{1, 2});
    const std::vector<Weight> weights = layer.weights();
    ASSERT_EQ(weights.size(), 3u);  // kernel, vector_u, bias
    EXPECT_EQ(weights[1].name(), "vector_u");
    layer.set_weights({constant({{1.f, 2.f}, {3.f, 4.f}}), constant({{1.f, 0.f}}), constant({0.f, 0.f})});
    const Tensor x = constant({{1.f, 1.f}});
    EXPECT_EQ(layer(x).to_vector<float>(), (std::vector<float>{4, 6}));
    const auto step = [&](const Tensor& input) -> Tensors {
      autodiff::GradientTape tape;
      const Tensor y = layer(input, {.training = true}), loss = reduce_sum(y * y);
      return {y, tape.gradient(loss, weights[0].variable()).dense()};
    };
    const Tensors found = traced ? autodiff::function(step)(x) : step(x);
    const auto expect = [](const Tensor& got, const std::vector<float>& wanted) {
      const auto values = got.to_vector<float>();
      ASSERT_EQ(values.size(), wanted.size());
      for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(values[i], wanted[i], 2e-6) << i;
    };
    expect(found[0], {0.73521465f, 1.102822f});
    expect(found[1], {1.4704293f, 2.2056439f, 1.4704293f, 2.2056439f});
    expect(weights[0].variable().value(), {0.18380366f, 0.36760733f, 0.55141097f, 0.73521465f});
    expect(weights[1].variable().value(), {0.58123821f, 0.81373352f});
    expect(layer(x, {.training = true}), {0.73193234f, 1.0978985f});
  }
}

TEST(SpectralNormalization, TrainsInShardsAsInOnePiece) {
  std::vector<std::vector<float>> found;
  for (const bool in_shards : {false, true}) {
    random::set_seed(3);
    Sequential model({InputLayer({3}), SpectralNormalization(Dense(4, "tanh")), Dense(1)});
    model.compile({.optimizer = optim::SGD({.learning_rate = 0.1}), .loss = "mse"});
    const Tensor x = reshape(range(0, 24, 1, float32), {8, 3}) / 10.0f, y = reduce_sum(x, 1, true);
    FitOptions options{.batch_size = 4, .epochs = 2, .verbose = 0, .shuffle = false};
    if (in_shards) options.shards = 2;
    model.fit(x, y, options);
    std::vector<float>& all = found.emplace_back();
    for (const Tensor& weight : model.get_weights()) {
      const auto values = weight.to_vector<float>();
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  ASSERT_EQ(found[0].size(), found[1].size());
  for (std::size_t i = 0; i < found[0].size(); ++i) EXPECT_NEAR(found[0][i], found[1][i], 1e-5) << i;
}

TEST(SpectralNormalization, LeavesAKernelOfZerosAndRefusesLayersWithoutOne) {
  SpectralNormalization layer(Dense({.units = 2, .kernel_initializer = "zeros"}), 3);
  EXPECT_EQ(layer(constant({{1.f, 1.f}}), {.training = true}).to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(SpectralNormalization(Embedding({.input_dim = 3, .output_dim = 2}))(constant({{0, 2}}), {.training = true}).shape(), (Shape{1, 2, 2}));
  SpectralNormalization without_kernel{ReLU()};
  EXPECT_THROW(without_kernel(constant({{1.f}})), InvalidArgumentError);
  EXPECT_THROW(SpectralNormalization(Dense(2), 0), InvalidArgumentError);
}

TEST(Conv2D, WithChannelsFirstEqualsTheTransposedChannelsLast) {
  Conv2D last({.filters = 3, .kernel_size = {2, 3}, .strides = 2, .padding = "same"}), first({.filters = 3, .kernel_size = {2, 3}, .strides = 2, .padding = "same", .data_format = "channels_first"});
  const Tensor x = random::normal({2, 5, 6, 4}, 0, 1, float32, 1);
  const Tensor y = last(x);
  const Tensor transposed = transpose(x, {0, 3, 1, 2});
  first.build_for(transposed.shape());
  const auto weights = last.get_weights();
  first.set_weights(std::span<const Tensor>(weights));
  expect_near(transpose(first(transposed), {0, 2, 3, 1}), y, 1e-5);
}

TEST(Conv3D, InGroupsAndDilatedEqualsConvolutionsOfTheParts) {
  const Tensor x = random::normal({1, 5, 5, 5, 4}, 0, 1, float32, 1), kernel = random::normal({2, 2, 2, 2, 6}, 0, 1, float32, 2);
  Conv3D layer({.filters = 6, .kernel_size = 2, .dilation_rate = 2, .groups = 2, .use_bias = false});
  layer.build_for(x.shape());
  layer.set_weights({kernel});
  // One output by hand: the sum over the eight corners of a cube of side 3.
  const Tensor y = layer(x);
  ASSERT_EQ(y.shape(), (Shape{1, 3, 3, 3, 6}));
  double sum = 0;
  const auto in = x.data<float>(), k = kernel.data<float>();
  for (int d = 0; d < 2; ++d)
    for (int h = 0; h < 2; ++h)
      for (int w = 0; w < 2; ++w)
        for (int c = 0; c < 2; ++c) sum += double(in[std::size_t(((2 * d * 5 + 2 * h) * 5 + 2 * w) * 4 + 2 + c)]) * double(k[std::size_t((((d * 2 + h) * 2 + w) * 2 + c) * 6 + 4)]);
  EXPECT_NEAR(y.data<float>()[4], sum, 1e-4);
}

TEST(Conv2DTranspose, IsTheGradientOfTheConvolutionByItsInput) {
  for (const char* padding : {"valid", "same"}) {
    const Tensor kernel = random::normal({3, 3, 2, 4}, 0, 1, float32, 3), x = random::normal({1, 7, 7, 2}, 0, 1, float32, 4);
    autodiff::GradientTape tape;
    tape.watch(x);
    const Tensor y = conv2d(x, kernel, {1, 1}, padding, {2, 2});
    const Tensor up = random::normal(y.shape(), 0, 1, float32, 5);
    Conv2DTranspose layer({.filters = 2, .kernel_size = 3, .padding = padding, .dilation_rate = 2, .use_bias = false});
    layer.build_for(up.shape());
    layer.set_weights({kernel});
    expect_near(layer(up), tape.gradient(y, x, up).dense(), 1e-4);
  }
}

TEST(MaxPooling3D, TakesTheLargestOfEachBox) {
  const Tensor x = reshape(range(0.0, 64.0, 1.0, float32), {1, 4, 4, 4, 1});
  EXPECT_EQ(MaxPooling3D()(x).to_vector<float>(), (std::vector<float>{21, 23, 29, 31, 53, 55, 61, 63}));
  EXPECT_EQ(AveragePooling3D()(x).data<float>()[0], (0 + 1 + 4 + 5 + 16 + 17 + 20 + 21) / 8.f);
}

TEST(LSTM, StatefulGoesOnWhereItStopped) {
  const Tensor x = random::normal({2, 6, 3}, 0, 1, float32, 1);
  LSTM whole({.units = 4}), halves({.units = 4, .stateful = true});
  const Tensor expected = whole(x);
  halves.build_for(Shape{2, 3, 3});
  const auto weights = whole.get_weights();
  halves.set_weights(std::span<const Tensor>(weights));
  const Tensor first = x[{all, slice(0, 3)}], second = x[{all, slice(3, 6)}];
  halves(first);
  expect_near(halves(second), expected, 1e-6);
  halves.reset_state();
  halves(first);
  expect_near(halves(second), expected, 1e-6);
  EXPECT_EQ(halves.weights().size(), 3u);
}

TEST(LSTM, StartsItsForgetGatesAtOne) {
  LSTM lstm({.units = 2});
  lstm.build_for(Shape{1, 1, 1});
  EXPECT_EQ(lstm.get_weights()[2].to_vector<float>(), (std::vector<float>{0, 0, 1, 1, 0, 0, 0, 0}));
  EXPECT_EQ(lstm.weights()[0].variable().path(), "lstm/lstm_cell/kernel");
}

TEST(GRU, DropsOneMaskForAllStepsInTrainingOnly) {
  GRU gru({.units = 3, .return_sequences = true, .dropout = 0.5, .recurrent_dropout = 0.5, .seed = 3});
  const Tensor x = ones({1, 4, 5});
  EXPECT_EQ(gru(x).to_vector<float>(), gru(x).to_vector<float>());
  EXPECT_NE(gru(x, {.training = true}).to_vector<float>(), gru(x, {.training = true}).to_vector<float>());
}

TEST(RnnCell, HasMasksForEveryGateWhereTheStateIsDroppedToo) {
  const Generator generator(5, "masks");
  const auto drawn = [&](const RnnCell& cell) { return cell.draw_masks(generator, {1, 64}, float32).at(0); };
  EXPECT_EQ(drawn(LSTMCell({.units = 3, .dropout = 0.5})).input.size(), 1u);
  const CellMasks masks = drawn(LSTMCell({.units = 3, .dropout = 0.5, .recurrent_dropout = 0.5}));
  ASSERT_EQ(masks.input.size(), 4u);
  ASSERT_EQ(masks.recurrent.size(), 4u);
  EXPECT_EQ(masks.recurrent[0].shape(), (Shape{1, 3}));
  for (int gate = 1; gate < 4; ++gate) EXPECT_NE(masks.input[0].to_vector<float>(), masks.input[std::size_t(gate)].to_vector<float>());
  EXPECT_EQ(drawn(GRUCell({.units = 3, .recurrent_dropout = 0.5})).recurrent.size(), 3u);
}

TEST(RnnCell, ShowsEachGateTheInputAndTheStateUnderItsOwnMask) {
  random::set_seed(4);
  const Tensor x = random::normal({2, 5}), h = random::normal({2, 3}), c = random::normal({2, 3});
  const auto check = [&](RnnCell& cell, std::size_t gates, bool carry) {
    cell.build_for(Shape{2, 5});
    Tensors states = {h};
    if (carry) states.push_back(c);
    const Tensor mask = constant({{0.f, 2.f, 0.f}, {2.f, 2.f, 0.f}}), other = constant({{2.f, 0.f, 0.f}, {0.f, 2.f, 2.f}});
    const auto step = [&](std::size_t count, std::size_t changed) {
      std::vector<CellMasks> masks(1);
      for (std::size_t gate = 0; gate < count; ++gate) masks[0].recurrent.push_back(gate == changed ? other : mask);
      Tensors inputs;
      for (std::size_t gate = 0; gate < count; ++gate) inputs.push_back(x);
      return cell.step(cell.project(inputs), states, masks)[0];
    };
    expect_near(step(gates, gates), step(1, gates), 1e-6);  // the same for all gates is one for all
    for (std::size_t gate = 0; gate < gates; ++gate) EXPECT_NE(step(gates, gate).to_vector<float>(), step(gates, gates).to_vector<float>()) << gate;
  };
  LSTMCell lstm({.units = 3});
  check(lstm, 4, true);
  GRUCell gru({.units = 3}), old({.units = 3, .reset_after = false});
  check(gru, 3, false);
  check(old, 3, false);
}

TEST(StackedRNNCells, DropsWhatEachCellDrops) {
  RNN stacked(StackedRNNCells({LSTMCell({.units = 4}), GRUCell({.units = 3, .dropout = 0.5, .recurrent_dropout = 0.25, .seed = 7})}), {.return_sequences = true});
  const Tensor x = ones({2, 5, 4});
  EXPECT_EQ(stacked(x).to_vector<float>(), stacked(x).to_vector<float>());
  EXPECT_NE(stacked(x, {.training = true}).to_vector<float>(), stacked(x, {.training = true}).to_vector<float>());
}

TEST(TimeDistributed, MovesTheStateOfItsLayerOnStepByStep) {
  // As a loop over the steps does it: each is normalized by its own statistics.
  BatchNormalization alone;
  TimeDistributed steps{BatchNormalization()};
  const Tensor x = constant({{{1.f}, {10.f}}, {{3.f}, {30.f}}});
  const std::vector<Tensor> each = unstack(x, 1);
  const Tensor expected = stack(std::array{alone(each[0], {.training = true}), alone(each[1], {.training = true})}, 1);
  expect_near(steps(x, {.training = true}), expected, 0);
  expect_near(steps(x), stack(std::array{alone(each[0]), alone(each[1])}, 1), 0);
}

TEST(TimeDistributed, HandsItsLayerTheMaskOfItsSteps) {
  TimeDistributed pooled{GlobalAveragePooling1D()};
  const Tensor x = constant({{{{1.f}, {3.f}}, {{5.f}, {7.f}}}});
  const Tensor mask = constant({{{true, false}, {true, true}}});
  EXPECT_EQ(pooled(x, {.mask = {mask}}).to_vector<float>(), (std::vector<float>{1, 6}));
  EXPECT_THROW(pooled(x, {.mask = {constant({{true}})}}), InvalidArgumentError);
}

TEST(Bidirectional, MakesItsMirrorImageByItself) {
  Bidirectional layer(LSTM({.units = 2, .return_sequences = true}));
  EXPECT_EQ(layer(ones({1, 3, 2})).shape(), (Shape{1, 3, 4}));
  EXPECT_EQ(layer.weights()[3].variable().path(), "bidirectional/backward_lstm/lstm_cell/kernel");
  EXPECT_THROW(Bidirectional(LSTM({.units = 2}), "sum", LSTM({.units = 2})), InvalidArgumentError);
  EXPECT_THROW(Bidirectional(Dense(2)), InvalidArgumentError);
}

/// By one op, and in steps because somebody wants to see the scores.
void expect_the_same_in_steps(HeadedAttention& attention, const Tensor& x, bool causal, std::size_t ops) {
  attention({x});
  const auto alone = autodiff::function([&](const Tensor& query) { return attention({query}, {.use_causal_mask = causal})[0]; });
  const auto watched = autodiff::function([&](const Tensor& query) { return attention({query}, {.use_causal_mask = causal, .return_attention_scores = true})[0]; });
  const auto count = [&](const auto& f) {
    const std::vector<std::string> names = f.concrete_function(x).optimized().op_names();
    return std::size_t(std::count(names.begin(), names.end(), "dot_product_attention"));
  };
  EXPECT_EQ(count(alone), ops);
  EXPECT_EQ(count(watched), 0u);
  expect_near(alone(x), watched(x), 2e-6);
}

TEST(MultiHeadAttention, IsOneOpWhereItsResultIsTheSame) {
  MultiHeadAttention plain({.num_heads = 2, .key_dim = 3, .value_dim = 5}), gated({.num_heads = 2, .key_dim = 3, .use_gate = true}), grid({.num_heads = 2, .key_dim = 3}), rows({.num_heads = 2, .key_dim = 3, .attention_axes = Ints{1}}),
      columns({.num_heads = 2, .key_dim = 3, .attention_axes = Ints{2}});
  GroupedQueryAttention grouped({.head_dim = 3, .num_query_heads = 4, .num_key_value_heads = 2});
  const Tensor line = random::normal({2, 9, 4}), picture = random::normal({2, 3, 5, 4});
  for (const bool causal : {false, true}) {
    expect_the_same_in_steps(plain, line, causal, 1);
    expect_the_same_in_steps(gated, line, causal, 1);
    expect_the_same_in_steps(grouped, line, causal, 1);
  }
  expect_the_same_in_steps(grid, picture, false, 1);
  expect_the_same_in_steps(columns, picture, false, 1);
  expect_the_same_in_steps(rows, picture, false, 0);  // heads do not follow the attended axis
}

TEST(MultiHeadAttention, DropsScoresInTrainingOnly) {
  MultiHeadAttention attention({.num_heads = 2, .key_dim = 3, .dropout = 0.5, .seed = 1});
  const Tensor x = random::normal({2, 9, 4});
  const Tensor still = attention({x})[0];
  expect_near(attention({x})[0], still, 0);
  EXPECT_GT(reduce_max(abs(attention({x}, {.training = true})[0] - still)).item<float>(), 1e-3f);
}

TEST(MultiHeadAttention, DoesNotSeeMaskedKeysNorLaterSteps) {
  MultiHeadAttention attention({.num_heads = 2, .key_dim = 3});
  const Tensor x = random::normal({1, 4, 5}, 0, 1, float32, 1);
  const Tensor changed = concat(std::vector<Tensor>{x[{all, slice(0, 3)}], ones({1, 1, 5})}, 1);
  const Tensor mask = constant({{true, true, true, false}});
  const CallOptions masked{.mask = {Tensor(), mask}}, causal{.use_causal_mask = true};
  expect_near(attention({x, x}, masked)[0][{all, slice(0, 3)}], attention({x, changed}, masked)[0][{all, slice(0, 3)}], 1e-6);
  expect_near(attention({x, x}, causal)[0][{all, slice(0, 3)}], attention({x, changed}, causal)[0][{all, slice(0, 3)}], 1e-6);
  const auto free = [&](const Tensor& value) { return attention({x, value})[0].to_vector<float>(); };
  EXPECT_NE(free(x), free(changed));
}

TEST(Masking, GivesTheMaskThatItsNeighboursTake) {
  Masking masking;
  const Tensor x = constant({{{1.f}, {0.f}, {2.f}}});
  const Tensor inputs[] = {x};
  EXPECT_EQ(masking.compute_mask(inputs, {}).to_vector<bool>(), (std::vector<bool>{true, false, true}));
  Embedding embedding({.input_dim = 3, .output_dim = 2, .mask_zero = true});
  const Tensor ids[] = {constant({{0, 2}})};
  EXPECT_EQ(embedding.compute_mask(ids, {}).to_vector<bool>(), (std::vector<bool>{false, true}));
  Concatenate join(1);
  const Tensor pair[] = {x, x};
  EXPECT_EQ(join.compute_mask(pair, {.mask = {masking.compute_mask(inputs, {})}}).to_vector<bool>(), (std::vector<bool>{true, false, true, true, true, true}));
}

TEST(Embedding, HasAGradientByRowsAlsoUnderMixedPrecision) {
  Embedding embedding({.input_dim = 9, .output_dim = 2, .dtype = DTypePolicy("mixed_bfloat16")});
  autodiff::GradientTape tape;
  const Tensor rows = embedding(constant({{4, 1}, {1, 4}}));
  EXPECT_EQ(rows.dtype(), bfloat16);
  const Gradient gradient = tape.gradient(rows, embedding.weights()[0].variable());
  ASSERT_TRUE(gradient.is_slices());
  EXPECT_EQ(gradient.slices().values.spec(), (TensorSpec{float32, {4, 2}}));
  EXPECT_EQ(gradient.dense().to_vector<float>(), (std::vector<float>{0, 0, 2, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(IntegerLookup, LearnsTheMostFrequentAndFindsTheWayBack) {
  IntegerLookup lookup({.max_tokens = 3});
  lookup.adapt(constant({7, 5, 5, 9, 7, 5}));
  EXPECT_EQ(lookup(constant({5, 7, 9, 1})).to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 2, 0, 0}));
  IntegerLookup back({.vocabulary = Ints{5, 7}, .invert = true});
  EXPECT_EQ(back(constant({1, 2, 0, 8})).to_vector<std::int64_t>(), (std::vector<std::int64_t>{5, 7, -1, -1}));
}

TEST(CategoryEncoding, WeighsCountsAndRefusesNumbersOutside) {
  CategoryEncoding encoding({.num_tokens = 3, .output_mode = "count"});
  EXPECT_EQ(encoding({constant({{0, 2, 2}}), constant({{1.f, 0.5f, 2.f}})})[0].to_vector<float>(), (std::vector<float>{1, 0, 2.5f}));
  EXPECT_THROW(encoding(constant({{3}})), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep::nn

// Recurrent layers as a scan against the same layers unrolled.

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

#include "../message_of.h"

namespace lockstep::nn {
namespace {

struct Pass {
  Tensors outputs, gradients;  // by the sequence, then by the weights
  std::vector<Tensor> losses;
  int nodes = 0;
};

/// One traced training pass. The layer is built before.
Pass train(Layer& layer, const Tensor& x, const Tensors& states = {}, const Tensor& mask = {}) {
  const std::vector<Variable> weights = layer.trainable_variables();
  std::size_t outputs = 0, losses = 0;
  const auto f = autodiff::function([&](std::span<const Tensor> in) {
    autodiff::GradientTape tape;
    tape.watch(in[0]);
    layer.clear_losses();
    Tensors all = layer(in.first(1 + states.size()), {.training = true, .mask = in.size() > 1 + states.size() ? Tensors{in.back()} : Tensors{}});
    outputs = all.size();
    const std::vector<Tensor> added = layer.take_losses();
    losses = added.size();
    Tensor loss = zeros({}, x.dtype());
    for (const Tensor& each : all) loss = loss + reduce_sum(sin(each) * each);
    for (const Tensor& each : added) loss = loss + each, all.push_back(each);
    std::vector<autodiff::Source> sources{in[0]};
    sources.insert(sources.end(), weights.begin(), weights.end());
    for (const Gradient& gradient : tape.gradient(loss, sources)) all.push_back(gradient.exists() ? gradient.dense() : zeros({}, x.dtype()));
    return all;
  });
  std::vector<Tensor> in{x};
  in.insert(in.end(), states.begin(), states.end());
  if (mask.defined()) in.push_back(mask);
  const Tensors all = f(std::span<const Tensor>(in));
  const auto first = all.begin() + std::ptrdiff_t(outputs), second = first + std::ptrdiff_t(losses);
  return {{all.begin(), first}, {second, all.end()}, {first, second}, f.concrete_function(std::span<const Tensor>(in)).graph().op_count()};
}

void expect_same(const Tensors& actual, const Tensors& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(to_string(actual[i].spec()), to_string(expected[i].spec())) << what << " " << i;
    EXPECT_LE(cast(reduce_max(abs(actual[i] - expected[i])), float64).item<double>(), tolerance) << what << " " << i;
  }
}

/// A layer of this configuration as a scan, unrolled, and not traced: outputs and gradients are the same. Two layers, because each moves generators and states on.
template <class L>
void compare(const std::function<std::shared_ptr<L>(bool unroll)>& make, const Tensor& x, const std::string& what, const Tensors& states = {}, const Tensor& mask = {}) {
  const double tolerance = x.dtype() == float64 ? 1e-11 : 2e-5;
  const auto scanned = make(false), unrolled = make(true), eager = make(false);
  for (const auto& each : {scanned, unrolled, eager}) each->build_for(x.shape());
  const std::vector<Tensor> weights = scanned->get_weights();
  for (const auto& each : {unrolled, eager}) each->set_weights(std::span<const Tensor>(weights));
  for (int call = 0; call < 2; ++call) {
    const Pass once = train(*scanned, x, states, mask), each = train(*unrolled, x, states, mask);
    expect_same(once.outputs, each.outputs, tolerance, what + ": output");
    expect_same(once.gradients, each.gradients, 10 * tolerance, what + ": gradient");
    EXPECT_LT(once.nodes, each.nodes) << what;
    Tensors in{x};
    in.append(states.begin(), states.end());
    expect_same((*eager)(std::span<const Tensor>(in), {.training = true, .mask = {mask}}), once.outputs, tolerance, what + ": eager output");
  }
  for (std::size_t i = 0; i < scanned->variables().size(); ++i) {
    const Tensor a = scanned->variables()[i].value(), b = unrolled->variables()[i].value();
    EXPECT_TRUE(reduce_all(equal(a, b)).template item<bool>() || is_float(a.dtype())) << what << ": " << scanned->variables()[i].path();
    if (is_float(a.dtype())) expect_same({a}, {b}, tolerance, what + ": " + scanned->variables()[i].path());
  }
}

const Tensor kMask = constant({{true, true, false, true, true, false}, {false, true, true, true, false, true}, {false, false, false, false, false, false}});

template <class L>
void compare_units(const RecurrentOptions& options, const std::string& what, const Tensors& states = {}, const Tensor& mask = {}, DType dtype = float64) {
  RecurrentOptions given = options;
  given.units = 4, given.seed = 5, given.dtype = dtype;
  compare<L>([&](bool unroll) {
    given.unroll = unroll;
    return std::make_shared<L>(given);
  }, random::normal({3, 6, 5}, 0, 1, dtype, 2), what, states, mask);
}

template <class L>
class UnitLayers : public ::testing::Test {};
using UnitTypes = ::testing::Types<SimpleRNN, LSTM, GRU>;
class UnitNames {
 public:
  template <class L>
  static std::string GetName(int) {
    return std::is_same_v<L, LSTM> ? "LSTM" : std::is_same_v<L, GRU> ? "GRU"
                                                                      : "SimpleRNN";
  }
};
TYPED_TEST_SUITE(UnitLayers, UnitTypes, UnitNames);

TYPED_TEST(UnitLayers, AreTheSameAsAScanAndUnrolled) {
  for (const DType dtype : {float32, float64})
    for (const bool sequences : {false, true}) {
      const std::string what = sequences ? "sequences" : "last";
      compare_units<TypeParam>({.return_sequences = sequences}, what, {}, {}, dtype);
      compare_units<TypeParam>({.return_sequences = sequences, .return_state = true, .go_backwards = true}, what + ", backwards, with states", {}, {}, dtype);
      compare_units<TypeParam>({.return_sequences = sequences}, what + ", masked", {}, kMask, dtype);
      compare_units<TypeParam>({.return_sequences = sequences, .return_state = true, .go_backwards = true, .zero_output_for_mask = true}, what + ", masked, zeros", {}, kMask, dtype);
      compare_units<TypeParam>({.return_sequences = sequences, .dropout = 0.5, .recurrent_dropout = 0.25}, what + ", dropped", {}, {}, dtype);
    }
  compare_units<TypeParam>({.activation = "relu", .recurrent_activation = "hard_sigmoid", .use_bias = false, .return_sequences = true, .reset_after = false}, "other gates");
}

TYPED_TEST(UnitLayers, StartFromGivenStatesInBothForms) {
  Tensors states;
  for (int i = 0; i < (std::is_same_v<TypeParam, LSTM> ? 2 : 1); ++i) states.push_back(random::normal({3, 4}, 0, 1, float64, 7 + i));
  compare_units<TypeParam>({.return_sequences = true, .return_state = true}, "given states", states);
  compare_units<TypeParam>({}, "given states, masked", states, kMask);
}

TYPED_TEST(UnitLayers, GoOnWhereTheyStoppedInBothForms) { compare_units<TypeParam>({.return_sequences = true, .stateful = true}, "stateful"); }

TEST(Recurrent, StacksAndMirrorImagesAreTheSameInBothForms) {
  const Tensor x = random::normal({3, 6, 5}, 0, 1, float64, 3);
  const auto stacked = [](SequenceOptions options) {
    return [options](bool unroll) mutable {
      options.unroll = unroll;
      auto rnn = std::make_shared<RNN>(StackedRNNCells({LSTMCell({.units = 4, .dtype = float64}), GRUCell({.units = 3, .dropout = 0.25, .recurrent_dropout = 0.25, .seed = 1, .dtype = float64})}), options);
      rnn->set_dtype_policy(float64);
      return rnn;
    };
  };
  compare<RNN>(stacked({.return_sequences = true, .return_state = true}), x, "stacked");
  compare<RNN>(stacked({}), x, "stacked, last");
  compare<RNN>(stacked({.go_backwards = true}), x, "stacked, masked", {}, kMask);
  compare<Bidirectional>([](bool unroll) {
    auto both = std::make_shared<Bidirectional>(GRU({.units = 3, .return_sequences = true, .unroll = unroll, .dtype = float64}));
    both->set_dtype_policy(float64);
    return both;
  }, x, "bidirectional", {}, kMask);
}

TEST(Recurrent, ConvLSTM2DIsTheSameInBothForms) {
  const Tensor x = random::normal({2, 4, 6, 5, 3}, 0, 1, float64, 3);
  for (const bool sequences : {false, true})
    compare<ConvLSTM2D>([&](bool unroll) {
      return std::make_shared<ConvLSTM2D>(ConvLSTM2D::Options{.filters = 2, .kernel_size = 3, .padding = "same", .return_sequences = sequences, .unroll = unroll, .dropout = 0.25, .recurrent_dropout = 0.25, .seed = 2, .dtype = float64});
    }, x, "images");
}

/// A cell that counts its steps in a variable, adds losses, has a layer inside that does so, and gives an output unlike its state.
class RestlessCell : public RnnCell {
 public:
  RestlessCell() : RnnCell("restless_cell") {}
  std::vector<Shape> state_shapes(const Shape& input) const override { return {input}; }
  Shape output_shape(const Shape& input) const override { return {input[0], 1}; }
  Tensors step(const Tensor& x, std::span<const Tensor> states, std::span<const CellMasks>) override {
    steps_.assign_add(1);
    add_loss(reduce_mean(square(states[0])));
    const Tensor h = (*inner_)(states[0]) + x * cast(steps_.value(), x.dtype());
    return {reduce_sum(h, {-1}, true), tanh(h)};
  }

 protected:
  void build(std::span<const Shape> inputs) override {
    steps_ = add_state("steps", constant(0));
    inner_ = track("inner", std::make_shared<Dense>(Dense::Options{.units = inputs[0].dim(-1), .activity_regularizer = L2(0.1)}));
    inner_->build_for(inputs[0]);
  }

 private:
  Variable steps_;
  std::shared_ptr<Dense> inner_;
};

TEST(Recurrent, CellsThatAssignVariablesAndAddLossesAreTheSameInBothForms) {
  const Tensor x = random::normal({3, 6, 5}, 0, 1, float32, 3);
  const auto make = [](bool unroll, bool sequences) {
    auto rnn = std::make_shared<RNN>(std::make_shared<RestlessCell>(), SequenceOptions{.return_sequences = sequences, .unroll = unroll});
    return rnn;
  };
  for (const bool sequences : {false, true}) compare<RNN>([&](bool unroll) { return make(unroll, sequences); }, x, "restless");
  compare<RNN>([&](bool unroll) { return make(unroll, false); }, x, "restless, masked", {}, kMask);
  const auto total = [&](bool unroll) {
    const auto rnn = make(unroll, false);
    rnn->build_for(x.shape());
    std::vector<Tensor> weights = rnn->get_weights();
    for (Tensor& weight : weights) weight = ones_like(weight) * 0.1f;
    rnn->set_weights(std::span<const Tensor>(weights));
    float sum = 0;
    for (const Tensor& loss : train(*rnn, x).losses) sum += loss.item<float>();
    return sum;
  };
  EXPECT_GT(total(false), 0);
  EXPECT_NEAR(total(false), total(true), 1e-3);
}

TEST(Recurrent, TracesOfAThousandStepsAreAsSmallAsOfTen) {
  LSTM lstm({.units = 4}), unrolled({.units = 4, .unroll = true});
  for (LSTM* each : {&lstm, &unrolled}) each->build_for(Shape{2, 10, 3});
  const auto nodes = [](LSTM& layer, std::int64_t steps) { return train(layer, random::normal({2, steps, 3}, 0, 1, float32, 1)).nodes; };
  EXPECT_EQ(nodes(lstm, 1000), nodes(lstm, 10));
  EXPECT_LT(nodes(lstm, 1000), 60);
  EXPECT_GT(nodes(unrolled, 20), nodes(unrolled, 10) + 100);
  TimeDistributed normalized{BatchNormalization()};
  normalized.build_for(Shape{2, 10, 3});
  const auto distributed = [&](std::int64_t steps) { return train(normalized, random::normal({2, steps, 3}, 0, 1, float32, 1)).nodes; };
  EXPECT_EQ(distributed(500), distributed(5));
}

TEST(TimeDistributed, MovesTheStateOnStepByStepWhenTracedToo) {
  TimeDistributed eager{BatchNormalization()}, traced{BatchNormalization()};
  const Tensor x = random::normal({4, 5, 3}, 1, 2, float32, 1);
  const auto f = autodiff::function([&](const Tensor& in) { return traced(in, {.training = true}); });
  expect_same({f(x)}, {eager(x, {.training = true})}, 1e-5, "output");
  for (std::size_t i = 0; i < 4; ++i) expect_same({traced.get_weights()[i]}, {eager.get_weights()[i]}, 1e-5, "weight");
}

TEST(TimeDistributed, DropsTheSameTracedAndNot) {
  TimeDistributed eager{Dropout({.rate = 0.5, .seed = 3})}, traced{Dropout({.rate = 0.5, .seed = 3})};
  const Tensor x = ones({2, 4, 8});
  const auto f = autodiff::function([&](const Tensor& in) { return traced(in, {.training = true}); });
  for (int call = 0; call < 2; ++call) {
    const Tensor dropped = f(x);
    expect_same({dropped}, {eager(x, {.training = true})}, 0, "call");
    const std::vector<Tensor> steps = unstack(dropped, 1);
    EXPECT_NE(steps[0].to_vector<float>(), steps[1].to_vector<float>()) << "each step draws";
  }
}

TEST(Recurrent, AreTheSameInBothFormsInSixteenBits) {
  const Tensor x = random::normal({3, 6, 5}, 0, 1, float32, 3);
  const auto run = [&](bool unroll) {
    LSTM lstm({.units = 4, .return_sequences = true, .unroll = unroll, .dtype = "mixed_bfloat16"});
    lstm.build_for(x.shape());
    std::vector<Tensor> weights = lstm.get_weights();
    for (Tensor& weight : weights) weight = sin(reshape(range(0.0, double(weight.numel()), 1.0, float32), Ints(weight.shape().begin(), weight.shape().end())));
    lstm.set_weights(std::span<const Tensor>(weights));
    return train(lstm, cast(x, bfloat16));
  };
  const Pass once = run(false), each = run(true);
  EXPECT_EQ(once.outputs[0].dtype(), bfloat16);
  expect_same({cast(once.outputs[0], float32)}, {cast(each.outputs[0], float32)}, 0.02, "output");
  for (std::size_t i = 0; i < once.gradients.size(); ++i) expect_same({cast(once.gradients[i], float32)}, {cast(each.gradients[i], float32)}, 0.2, "gradient " + std::to_string(i));
}

/// Says that it has one state, and gives none.
class ForgetfulCell : public RnnCell {
 public:
  ForgetfulCell() : RnnCell("forgetful_cell") {}
  std::vector<Shape> state_shapes(const Shape& input) const override { return {input}; }
  Tensors step(const Tensor& x, std::span<const Tensor>, std::span<const CellMasks>) override { return {x}; }
};

TEST(Recurrent, RefusesACellThatDoesNotGiveItsStates) {
  RNN rnn(std::make_shared<ForgetfulCell>());
  const std::string message = message_of<InvalidArgumentError>([&] { rnn(ones({1, 2, 3})); });
  EXPECT_NE(message.find("the cell gives 1 tensors, not an output and 1 states"), std::string::npos) << message;
}

}  // namespace
}  // namespace lockstep::nn

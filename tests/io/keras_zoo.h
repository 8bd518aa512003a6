#pragma once
// Models of every kind, as tests/io/keras_zoo.py has them for Keras.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include <lockstep/nn/functional.h>
#include <lockstep/nn/layers/attention.h>
#include <lockstep/nn/layers/convolutional.h>
#include <lockstep/nn/layers/core.h>
#include <lockstep/nn/layers/merging.h>
#include <lockstep/nn/layers/normalization.h>
#include <lockstep/nn/layers/pooling.h>
#include <lockstep/nn/layers/preprocessing.h>
#include <lockstep/nn/layers/recurrent.h>
#include <lockstep/nn/layers/regularization.h>
#include <lockstep/nn/layers/reshaping.h>
#include <lockstep/nn/sequential.h>
#include <lockstep/optim/adagrad.h>
#include <lockstep/optim/adam.h>
#include <lockstep/optim/matrix.h>
#include <lockstep/optim/sgd.h>
#include <lockstep/optim/wrappers.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io::zoo {

/// Weights of its own.
class MyDense : public nn::Layer {
 public:
  MyDense() = default;
  explicit MyDense(std::int64_t units) : units_(units) {}
  void fields(Fields& f) override {
    Layer::fields(f);
    f.field("units", units_);
  }

 protected:
  void build(const Shape& input) override {
    kernel_ = add_weight("kernel", {input.dim(-1), units_}, {.initializer = "glorot_uniform"});
    steps_ = add_weight("steps", {}, {.initializer = "ones", .trainable = false});
    bias_ = add_weight("bias", {units_}, {.initializer = "zeros"});
  }
  Tensor call(const Tensor& x) override { return tanh(matmul(x, kernel_) + bias_) * steps_; }

 private:
  std::int64_t units_ = 0;
  nn::Weight kernel_, bias_, steps_;
};

/// Sublayers: in a list, by a public name, by a private one.
class Block : public nn::Layer {
 public:
  Block() = default;
  explicit Block(std::int64_t units) : units_(units) { Block::configured(); }
  void fields(Fields& f) override {
    Layer::fields(f);
    f.field("units", units_);
  }
  void configured() override {
    norm_ = track("norm", nn::BatchNormalization());
    gate_ = track("_gate", nn::Dense(units_, "sigmoid"));
    hidden_ = {track("hidden_0", nn::Dense(units_, "tanh")), track("hidden_1", nn::LayerNormalization()), track("hidden_2", nn::Dense(units_))};
  }

 protected:
  Tensor call(const Tensor& x) override {
    Tensor z = (*norm_)(x);
    for (const auto& layer : hidden_) z = (*layer)(z);
    return x + z * (*gate_)(x);
  }

 private:
  std::int64_t units_ = 0;
  std::shared_ptr<nn::Layer> norm_, gate_;
  std::vector<std::shared_ptr<nn::Layer>> hidden_;
};

/// Attributes before and after "layers" in the alphabet, a list, a model, and a layer that is called twice.
class Tower : public nn::Model {
 public:
  Tower() = default;
  explicit Tower(std::int64_t units) : units_(units) { Tower::configured(); }
  void fields(Fields& f) override {
    Model::fields(f);
    f.field("units", units_);
  }
  void configured() override {
    out_ = track("out", nn::Dense(2));
    hidden1_ = track("hidden1", nn::Dense(units_, "relu"));
    block_ = track("block", Block(units_));
    stack_ = {track("stack_0", nn::Dense(units_)), track("stack_1", MyDense(units_))};
    last_ = track("_last", nn::Dense(units_));
    inner_ = track("inner", nn::Sequential({nn::Dense(units_, "tanh"), nn::BatchNormalization()}));
  }

 protected:
  Tensor call(const Tensor& x) override {
    Tensor z = (*block_)((*block_)((*hidden1_)(x)));
    for (const auto& layer : stack_) z = (*layer)(z);
    return (*out_)((*inner_)((*last_)(z)));
  }

 private:
  std::int64_t units_ = 0;
  std::shared_ptr<nn::Layer> out_, hidden1_, block_, last_, inner_;
  std::vector<std::shared_ptr<nn::Layer>> stack_;
};

inline CustomObjects objects() {
  CustomObjects objects;
  objects.add<MyDense>("MyDense").add<Block>("Block").add<Tower>("Tower");
  return objects;
}

/// A model and the optimizer that it is trained with.
struct Made {
  std::shared_ptr<nn::Model> model;
  Ref<optim::Optimizer> optimizer;
};

inline Made sequential(const std::string& name, const std::vector<Ref<nn::Layer>>& layers, Ref<optim::Optimizer> optimizer) {
  return {std::make_shared<nn::Sequential>(layers, name), std::move(optimizer)};
}
inline Made functional(const std::string& name, const nn::Symbols& inputs, const nn::Symbol& output, Ref<optim::Optimizer> optimizer) {
  return {std::make_shared<nn::Functional>(inputs, nn::Symbols{output}, name), std::move(optimizer)};
}

inline Made nested_sequential() {
  nn::Sequential innermost({nn::Dense(4, "tanh"), nn::LayerNormalization()}, "innermost");
  nn::Sequential inner({nn::Dense(5, "relu"), nn::BatchNormalization(), std::move(innermost), nn::Dense(4)}, "inner");
  return sequential("nested_sequential", {nn::InputLayer({6}), std::move(inner), nn::Dense(4, "tanh"), nn::Dense(2)}, optim::Adam({.learning_rate = 0.01}));
}
inline Made nested_functional() {
  const nn::Symbol a = nn::input({4});
  const auto innermost = std::make_shared<nn::Functional>(nn::Symbols{a}, nn::Symbols{nn::Symbols{a, a >> nn::Dense(4, "tanh")} >> nn::Add()}, "innermost");
  const nn::Symbol b = nn::input({6});
  const nn::Symbol z = b >> nn::Dense(5, "relu") >> nn::Sequential({nn::BatchNormalization(), nn::Dense(4)}, "stack");
  const auto inner = std::make_shared<nn::Functional>(nn::Symbols{b}, nn::Symbols{z >> innermost}, "inner");
  const nn::Symbol x = nn::input({6});
  const nn::Symbol one = x >> inner, two = x >> nn::Dense(6, "tanh") >> inner;  // one model at two places
  return functional("nested_functional", {x}, nn::Symbols{one, two} >> nn::Concatenate() >> nn::Dense(2), optim::RMSprop({.learning_rate = 0.01, .momentum = 0.5}));
}
inline Made shared() {
  const nn::Symbol a = nn::input({5}, {.dtype = int32}), b = nn::input({5}, {.dtype = int32});
  const auto embed = std::make_shared<nn::Embedding>(nn::Embedding::Options{.input_dim = 11, .output_dim = 3});
  const auto mix = std::make_shared<nn::Dense>(4, "tanh");
  const nn::Symbol one = a >> embed >> nn::Flatten() >> mix, two = b >> embed >> nn::Flatten() >> mix;
  return functional("shared", {a, b}, nn::Symbols{one, two} >> nn::Subtract() >> nn::Dense(2), optim::SGD({.learning_rate = 0.1, .momentum = 0.5}));
}
inline Made repeated() {
  const auto twice = std::make_shared<nn::Dense>(nn::Dense::Options{.units = 6, .activation = "tanh", .name = "twice"});
  return sequential("repeated", {nn::InputLayer({6}), twice, twice, nn::Dense({.units = 3, .name = "between"}), nn::Dense({.units = 2, .name = "out"})}, optim::SGD({.learning_rate = 0.05}));
}
inline Made recurrent() {
  const nn::SequenceOptions sequences{.return_sequences = true};
  return sequential("recurrent",
                    {nn::InputLayer({4, 3}), nn::Bidirectional(nn::LSTM({.units = 2, .return_sequences = true})), nn::TimeDistributed(nn::Dense(3, "tanh")),
                     nn::RNN(nn::StackedRNNCells({nn::LSTMCell({.units = 2}), nn::GRUCell({.units = 3})}), sequences), nn::RNN(nn::SimpleRNNCell({.units = 3}), sequences),
                     nn::TimeDistributed(nn::Sequential({nn::Dense(3), nn::LayerNormalization()}, "each_step")), nn::GRU({.units = 3, .return_sequences = true}),
                     nn::Bidirectional(nn::RNN(nn::StackedRNNCells({nn::SimpleRNNCell({.units = 2}), nn::LSTMCell({.units = 2})})), "sum"), nn::Dense(2)},
                    optim::SGD({.learning_rate = 0.05, .momentum = 0.9}));
}
inline Made attention() {
  const nn::Symbol x = nn::input({4, 6});
  nn::Symbol y = nn::Symbols{x, nn::Symbols{x, x} >> nn::MultiHeadAttention({.num_heads = 2, .key_dim = 3})} >> nn::Add() >> nn::LayerNormalization();
  y = nn::Symbols{y, y} >> nn::GroupedQueryAttention({.head_dim = 2, .num_query_heads = 4, .num_key_value_heads = 2});
  y = nn::Symbols{y, y} >> nn::AdditiveAttention();
  return functional("attention", {x}, y >> nn::GlobalAveragePooling1D() >> nn::Dense(2), optim::SGD({.learning_rate = 0.05, .momentum = 0.9, .nesterov = true}));
}
inline Made convolutions() {
  return sequential("convolutions",
                    {nn::InputLayer({8, 8, 3}), nn::Conv2D({.filters = 4, .kernel_size = 3, .padding = "same", .use_bias = false}), nn::BatchNormalization(), nn::PReLU({.shared_axes = Ints{1, 2}}),
                     nn::DepthwiseConv2D({.kernel_size = 3, .padding = "same", .depth_multiplier = 2}), nn::SeparableConv2D({.filters = 4, .kernel_size = 3}), nn::GroupNormalization({.groups = 2}),
                     nn::BatchNormalization({.scale = false}), nn::Conv2DTranspose({.filters = 3, .kernel_size = 2, .strides = 2, .activation = "tanh"}), nn::BatchNormalization({.center = false}),
                     nn::GlobalAveragePooling2D(), nn::Dense(2)},
                    optim::SGD({.learning_rate = 0.01, .momentum = 0.9}));
}
inline Made tower() {
  const auto model = std::make_shared<Tower>(4);
  model->set_name("tower");
  model->build_for({8, 4});
  return {model, optim::Nadam({.learning_rate = 0.01})};
}
inline Made custom_layers() {
  const nn::Symbol x = nn::input({4});
  return functional("custom_layers", {x}, x >> MyDense(4) >> Block(4) >> Tower(4) >> MyDense(3) >> nn::Dense(2),
                    optim::Adam({.learning_rate = optim::ExponentialDecay({.initial_learning_rate = 0.01, .decay_steps = 10, .decay_rate = 0.9}), .amsgrad = true}));
}
inline Made prepared() {
  return sequential("prepared",
                    {nn::InputLayer({4}), nn::Normalization({.mean = std::vector<double>{0.5, 0.25, 0, -1}, .variance = std::vector<double>{1, 4, 0.25, 2}}), nn::GaussianNoise(), nn::Dense(3, "relu"), nn::Dropout(0), nn::Dense(2)},
                    optim::AdamW({.learning_rate = 0.01, .weight_decay = 0.1}));
}
inline Made adapted() {
  nn::Normalization norm;
  const Tensor rows = reshape(range(0, 12, 1, float32), {3, 4});
  norm.adapt(rows * sqrt(rows));
  return sequential("adapted", {nn::InputLayer({4}), std::move(norm), nn::Dense(2)}, optim::Lion({.learning_rate = 0.01}));
}
inline Made doubles() {
  return sequential("doubles", {nn::InputLayer({.shape = {4}, .dtype = float64}), nn::Dense({.units = 3, .activation = "tanh", .dtype = "float64"}), nn::BatchNormalization({.dtype = "float64"}), nn::Dense({.units = 2, .dtype = "float64"})},
                    optim::Adam({.learning_rate = 0.01}));
}
inline Made spectral() {
  return sequential("spectral", {nn::InputLayer({4}), nn::SpectralNormalization(nn::Dense(3, "tanh"), 2), nn::Dense(2)}, optim::SGD({.learning_rate = 0.05, .momentum = 0.9}));
}

/// A small model to be trained by this optimizer.
inline std::function<Made()> trained_by(const std::string& name, const std::function<Ref<optim::Optimizer>()>& optimizer) {
  return [=] { return sequential(name, {nn::InputLayer({4}), nn::Dense(3, "tanh"), nn::Dense(2)}, optimizer()); };
}

inline const std::map<std::string, std::function<Made()>>& models() {
  static const auto* all = [] {
    auto* models = new std::map<std::string, std::function<Made()>>{
        {"nested_sequential", nested_sequential}, {"nested_functional", nested_functional}, {"shared", shared}, {"repeated", repeated}, {"recurrent", recurrent}, {"attention", attention}, {"convolutions", convolutions}, {"tower", tower}, {"custom_layers", custom_layers}, {"prepared", prepared}, {"adapted", adapted}, {"doubles", doubles}, {"spectral", spectral}};
    const std::map<std::string, std::function<Ref<optim::Optimizer>()>> optimizers = {
        {"adam_ema", [] { return optim::Adam({.learning_rate = 0.01, .use_ema = true, .ema_momentum = 0.9}); }},
        {"adam_accumulating", [] { return optim::Adam({.learning_rate = 0.01, .gradient_accumulation_steps = 2}); }},
        {"rmsprop_centered", [] { return optim::RMSprop({.learning_rate = 0.01, .momentum = 0.5, .centered = true}); }},
        {"adagrad", [] { return optim::Adagrad({.learning_rate = 0.1}); }},
        {"adadelta", [] { return optim::Adadelta({.learning_rate = 1.0}); }},
        {"adamax", [] { return optim::Adamax({.learning_rate = 0.01}); }},
        {"ftrl", [] { return optim::Ftrl({.learning_rate = 0.1}); }},
        {"lamb", [] { return optim::Lamb({.learning_rate = 0.01}); }},
        {"adafactor", [] { return optim::Adafactor({.learning_rate = 0.01}); }},
        {"scaled", [] { return optim::LossScaleOptimizer({.inner_optimizer = optim::Adam({.learning_rate = 0.01}), .initial_scale = 8}); }},
        {"several", [] { return optim::MultiOptimizer({.optimizer_map = optim::OptimizerMap({.default_optimizer = optim::SGD({.learning_rate = 0.1, .momentum = 0.5}), .optimizer_map = {{".*/kernel", optim::Adam({.learning_rate = 0.01})}}})}); }}};
    for (const auto& [name, optimizer] : optimizers) models->emplace(name, trained_by(name, optimizer));
    return models;
  }();
  return *all;
}

}  // namespace lockstep::io::zoo

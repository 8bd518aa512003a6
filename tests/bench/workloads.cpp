#include "workloads.h"

#include <lockstep/lockstep.h>

namespace lockstep::bench {
namespace {

using autodiff::GradientTape;
using namespace nn;

// ---- models

/// Layers one after the other.
class Chain : public Layer {
 public:
  template <std::derived_from<Layer>... L>
  explicit Chain(L... layers) {
    (add(std::make_shared<L>(std::move(layers))), ...);
  }

 protected:
  Tensor call(const Tensor& x) override {
    Tensor y = x;
    for (const Child& child : sublayers()) y = (*child.layer)(y);
    return y;
  }

 private:
  template <class L>
  void add(std::shared_ptr<L> layer) {
    track("layer_" + std::to_string(sublayers().size()), std::move(layer));
  }
};

/// A convolution and its batch normalization.
Chain normalized(std::int64_t filters, std::int64_t size, std::int64_t stride) {
  return Chain(Conv2D({.filters = filters, .kernel_size = size, .strides = stride, .padding = "same", .use_bias = false}), BatchNormalization());
}

/// relu(f(x) + shortcut(x))
class ResidualBlock : public Layer {
 public:
  ResidualBlock(std::int64_t filters, std::int64_t stride, bool projected) {
    first_ = track("first", normalized(filters, 3, stride));
    second_ = track("second", normalized(filters, 3, 1));
    if (projected) shortcut_ = track("shortcut", normalized(filters, 1, stride));
  }

 protected:
  Tensor call(const Tensor& x) override { return relu((*second_)(relu((*first_)(x))) + (shortcut_ ? (*shortcut_)(x) : x)); }

 private:
  std::shared_ptr<Chain> first_, second_, shortcut_;
};

class ResNet20 : public Layer {
 public:
  ResNet20() {
    stem_ = track("stem", normalized(16, 3, 1));
    for (const std::int64_t filters : {16, 32, 64})
      for (int k = 0; k < 3; ++k) {
        const bool down = k == 0 && filters != 16;
        blocks_.push_back(track("block_" + std::to_string(blocks_.size()), ResidualBlock(filters, down ? 2 : 1, down)));
      }
    pool_ = track("pool", GlobalAveragePooling2D());
    classes_ = track("classes", Dense(10));
  }

 protected:
  Tensor call(const Tensor& x) override {
    Tensor y = relu((*stem_)(x));
    for (const auto& block : blocks_) y = (*block)(y);
    return (*classes_)((*pool_)(y));
  }

 private:
  std::shared_ptr<Chain> stem_;
  std::vector<std::shared_ptr<ResidualBlock>> blocks_;
  std::shared_ptr<GlobalAveragePooling2D> pool_;
  std::shared_ptr<Dense> classes_;
};

/// Attention and two products, each behind a normalization and around a bypass.
class GptBlock : public Layer {
 public:
  GptBlock(std::int64_t width, std::int64_t heads, const DTypePolicy& dtype) {
    set_dtype_policy(dtype);
    attention_norm_ = track("attention_norm", LayerNormalization({.dtype = dtype}));
    attention_ = track("attention", MultiHeadAttention({.num_heads = heads, .key_dim = width / heads, .dtype = dtype}));
    mlp_norm_ = track("mlp_norm", LayerNormalization({.dtype = dtype}));
    up_ = track("up", Dense({.units = 4 * width, .activation = [](const Tensor& x) { return gelu(x, true); }, .dtype = dtype}));
    down_ = track("down", Dense({.units = width, .dtype = dtype}));
  }

 protected:
  Tensor call(const Tensor& x) override {
    const Tensor normalized = (*attention_norm_)(x);
    const Tensor attended = x + (*attention_)({normalized}, {.use_causal_mask = true})[0];
    return attended + (*down_)((*up_)((*mlp_norm_)(attended)));
  }

 private:
  std::shared_ptr<LayerNormalization> attention_norm_, mlp_norm_;
  std::shared_ptr<MultiHeadAttention> attention_;
  std::shared_ptr<Dense> up_, down_;
};

/// `tied`: the tokens' embeddings are the head's kernel too.
class Gpt : public Layer {
 public:
  Gpt(const GptSizes& sizes, bool tied, const DTypePolicy& dtype) : length_(sizes.length) {
    set_dtype_policy(dtype);
    tokens_ = track("tokens", Embedding({.input_dim = sizes.vocabulary, .output_dim = sizes.width, .dtype = dtype}));
    positions_ = track("positions", Embedding({.input_dim = sizes.length, .output_dim = sizes.width, .dtype = dtype}));
    for (int k = 0; k < sizes.layers; ++k) blocks_.push_back(track("block_" + std::to_string(k), GptBlock(sizes.width, sizes.heads, dtype)));
    norm_ = track("norm", LayerNormalization({.dtype = dtype}));
    if (!tied) head_ = track("head", Dense({.units = sizes.vocabulary, .use_bias = false, .dtype = dtype}));
  }

 protected:
  Tensor call(const Tensor& ids) override {
    Tensor x = (*tokens_)(ids) + (*positions_)(range(0, length_, 1, int32));
    for (const auto& block : blocks_) x = (*block)(x);
    x = (*norm_)(x);
    return head_ ? (*head_)(x) : matmul(x, cast(tokens_->trainable_variables()[0].value(), x.dtype()), false, true);
  }

 private:
  std::int64_t length_;
  std::shared_ptr<Embedding> tokens_, positions_;
  std::vector<std::shared_ptr<GptBlock>> blocks_;
  std::shared_ptr<LayerNormalization> norm_;
  std::shared_ptr<Dense> head_;
};

// ---- steps

Tensor noise(const Shape& shape) { return random::normal(shape, 0, 1, float32, 1); }
Tensor labels(const Shape& shape, std::int64_t classes) { return random::integers(shape, 0, classes, int32, 2); }
std::shared_ptr<Loss> crossentropy() { return std::make_shared<losses::SparseCategoricalCrossentropy>(losses::SparseCategoricalCrossentropy::Options{.from_logits = true}); }
template <class O>
std::shared_ptr<O> shared(O optimizer) {
  return std::make_shared<O>(std::move(optimizer));
}

WorkloadParts gpt_parts(const GptSizes& sizes, std::shared_ptr<Gpt> model) {
  const auto tokens = [sizes](std::int64_t rows) { return labels({rows, sizes.length}, sizes.vocabulary); };
  return {std::move(model), crossentropy(), shared(optim::AdamW({.learning_rate = 3e-4})), sizes.batch, tokens, tokens};
}

}  // namespace

std::vector<std::string> workload_names() { return {"book_mlp", "mlp", "cnn", "resnet20", "gpt", "gpt2"}; }

WorkloadParts workload_parts(const std::string& name) {
  const auto noise_of = [](Shape row) {
    return [row](std::int64_t rows) {
      Shape shape{rows};
      for (const std::int64_t size : row) shape.push_back(size);
      return noise(shape);
    };
  };
  const auto classes = [](std::int64_t count) { return [count](std::int64_t rows) { return labels({rows}, count); }; };
  if (name == "book_mlp")
    return {std::make_shared<Chain>(Dense(30, "relu"), Dense(1)), std::make_shared<losses::Huber>(), shared(optim::Nadam({.learning_rate = 1e-3})), 32, noise_of({8}), noise_of({1})};
  if (name == "mlp")
    return {std::make_shared<Chain>(Dense(512, "relu"), Dense(256, "relu"), Dense(10)), crossentropy(), shared(optim::Adam()), 256, noise_of({784}), classes(10)};
  if (name == "cnn")
    return {std::make_shared<Chain>(Conv2D({.filters = 32, .kernel_size = 3, .activation = "relu"}), Conv2D({.filters = 64, .kernel_size = 3, .activation = "relu"}),
                                    MaxPooling2D(), Flatten(), Dense(128, "relu"), Dense(10)),
            crossentropy(), shared(optim::Adam()), 64, noise_of({28, 28, 1}), classes(10)};
  if (name == "resnet20")
    return {std::make_shared<ResNet20>(), crossentropy(), shared(optim::SGD({.learning_rate = 0.1, .momentum = 0.9})), 32, noise_of({32, 32, 3}), classes(10)};
  if (name == "gpt") {
    const GptSizes sizes{.batch = 8, .length = 128, .vocabulary = 4096, .width = 256, .layers = 4, .heads = 4};
    return gpt_parts(sizes, std::make_shared<Gpt>(sizes, false, DTypePolicy()));
  }
  if (name == "gpt2") return gpt2_parts();
  const std::vector<std::string> names = workload_names();
  const std::string near = nearest_name(name, names);
  throw NotFoundError("there is no workload named '" + name + "'", {}, near.empty() ? "" : "did you mean '" + near + "'?");
}

WorkloadParts gpt2_parts(const GptSizes& sizes) { return gpt_parts(sizes, std::make_shared<Gpt>(sizes, true, DTypePolicy("mixed_bfloat16"))); }

/// Forward, loss, gradients and update as one traced function, called with the same batch again and again.
Workload make_workload(const WorkloadParts& parts) {
  const Tensor x = parts.inputs(parts.rows), y = parts.targets(parts.rows);
  (*parts.model)(x);  // makes the weights
  const std::vector<Variable> variables = parts.model->trainable_variables();
  parts.optimizer->build(variables);
  const std::vector<autodiff::Source> sources(variables.begin(), variables.end());
  const auto train = autodiff::function([=](const Tensor& inputs, const Tensor& targets) {
    GradientTape tape;
    const Tensor value = (*parts.loss)(targets, (*parts.model)(inputs, {.training = true}));
    parts.optimizer->apply(tape.gradient(value, sources), variables);
    return value;
  }, {.name = "train_step"});
  return {.step = [=] { return train(x, y); }, .trace = [=]() -> const autodiff::ConcreteFunction& { return train.concrete_function(x, y); }};
}

}  // namespace lockstep::bench

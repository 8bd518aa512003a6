// Trains a small model with a fixed number of shards and prints a hash of its weights and of the optimizer's state: promise MODEL SHARDS [DIR [STEP]].
// Run with any number of ranks that divides the shards, it must print the same. With DIR it saves checkpoints there and goes on from the last one;
// with STEP the last rank is killed after that step.
#include <csignal>
#include <cstring>
#include <iostream>

#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

/// Fowler, Noll and Vo's, of all bytes.
std::uint64_t hash_of(const std::vector<Variable>& variables) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const Variable& variable : variables) {
    const Tensor value = variable.peek();
    for (std::size_t i = 0; i < value.nbytes(); ++i) hash = (hash ^ static_cast<const unsigned char*>(value.raw())[i]) * 0x100000001b3u;
  }
  return hash;
}

class Block : public nn::Layer {
 public:
  Block() {
    norm_ = track("norm", nn::LayerNormalization());
    attention_ = track("attention", nn::MultiHeadAttention({.num_heads = 2, .key_dim = 8, .dropout = 0.1}));
    expand_ = track("expand", nn::Dense(32, "gelu"));
    contract_ = track("contract", nn::Dense(16));
    dropout_ = track("dropout", nn::Dropout({.rate = 0.2}));
  }

 protected:
  Tensor call(const Tensor& x) override {
    const Tensor normed = (*norm_)(x);
    const Tensor y = x + (*attention_)({normed, normed}, {.use_causal_mask = true})[0];
    return y + (*dropout_)((*contract_)((*expand_)(y)));
  }

 private:
  std::shared_ptr<nn::LayerNormalization> norm_;
  std::shared_ptr<nn::MultiHeadAttention> attention_;
  std::shared_ptr<nn::Dense> expand_, contract_;
  std::shared_ptr<nn::Dropout> dropout_;
};

Tensor numbers(std::int64_t stream, const Shape& shape) { return random::normal_from(constant(std::vector<std::int64_t>{11, stream}), shape); }
Tensor labels(std::int64_t stream, const Shape& shape, int classes) { return random::uniform_from(constant(std::vector<std::int64_t>{12, stream}), shape, 0, classes, int32); }

struct Job {
  nn::Sequential model;
  Tensor x, y;
  nn::CompileOptions options;
  std::int64_t batch_size;
};

/// 30 steps each; the last batch of an epoch is smaller than the others.
Job job_of(const std::string& name) {
  if (name == "book_mlp")
    return {nn::Sequential({nn::InputLayer({8}), nn::Dense({.units = 30, .activation = "relu", .kernel_regularizer = "l2"}), nn::Dense(1)}), numbers(1, {310, 8}), numbers(2, {310, 1}),
            {.optimizer = optim::Nadam({.learning_rate = 1e-2}), .loss = nn::losses::Huber(), .metrics = {"mae"}}, 32};
  if (name == "cnn")
    return {nn::Sequential({nn::InputLayer({12, 12, 1}), nn::Conv2D({.filters = 8, .kernel_size = {3, 3}}), nn::BatchNormalization({.synchronized = true}), nn::ReLU(), nn::MaxPooling2D(),
                            nn::Flatten(), nn::Dropout({.rate = 0.3}), nn::Dense(10, "softmax")}),
            numbers(3, {150, 12, 12, 1}), labels(4, {150}, 10), {.optimizer = optim::Adam({.learning_rate = 1e-2, .global_clipnorm = 1.0}), .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}}, 16};
  if (name == "gpt")
    return {nn::Sequential({nn::InputLayer({.shape = {12}, .dtype = int32}), nn::Embedding({.input_dim = 20, .output_dim = 16}), Block(), Block(), nn::Dense(20)}), labels(5, {150, 12}, 20), labels(6, {150, 12}, 20),
            {.optimizer = optim::AdamW({.learning_rate = 1e-2, .gradient_accumulation_steps = 2}), .loss = nn::losses::SparseCategoricalCrossentropy({.from_logits = true})}, 16};
  if (name == "embedding")  // large enough for gradients by rows
    return {nn::Sequential({nn::InputLayer({.shape = {12}, .dtype = int32}), nn::Embedding({.input_dim = 5000, .output_dim = 8}), nn::GlobalAveragePooling1D(), nn::Dense(1)}), labels(7, {150, 12}, 5000), numbers(8, {150, 1}),
            {.optimizer = optim::Adagrad({.learning_rate = 1e-2, .global_clipnorm = 0.1}), .loss = "mse"}, 16};
  throw NotFoundError("there is no model '" + name + "'");
}

}  // namespace

int main(int argc, char** argv) try {
  Job job = job_of(argv[1]);
  job.model.compile(job.options);
  nn::FitOptions fit{.batch_size = job.batch_size, .epochs = 3, .verbose = 0, .shards = std::stoi(argv[2])};
  if (argc > 3) {
    fit.callbacks = {io::ModelCheckpoint({.directory = argv[3], .every_steps = 4, .keep = 2})};
    fit.resume = io::resume_from(argv[3]);
  }
  if (argc > 4)
    fit.callbacks.push_back(nn::LambdaCallback({.on_train_batch_end = [&](std::int64_t, const nn::BatchLogs&) {
      if (job.model.position().step == std::stoll(argv[4]) && dist::rank() == dist::world_size() - 1) std::raise(SIGKILL);
    }}));
  const nn::History history = job.model.fit(job.x, job.y, fit);
  std::vector<Variable> state = job.model.variables();
  const std::vector<Variable> more = job.model.optimizer().variables();
  state.insert(state.end(), more.begin(), more.end());
  std::cout << "rank " << dist::rank() << " of " << dist::world_size() << ": " << std::hex << hash_of(state) << std::dec << " loss " << history.history.at("loss").back() << std::endl;
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return 1;
}

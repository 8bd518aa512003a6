#pragma once
// The training steps that Lockstep and its peers are compared on: the models of the peers' programs, written with the layers, losses and
// optimizers, each step one traced function over synthetic inputs that are in memory already. GPT-2 is one for a GPU.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <lockstep/autodiff/function.h>
#include <lockstep/nn/layer.h>
#include <lockstep/nn/loss.h>
#include <lockstep/optim/optimizer.h>

namespace lockstep::bench {

/// A model with its optimizer, ready to be trained.
struct Workload {
  std::function<Tensor()> step;  // one training step; returns the loss
  std::function<const autodiff::ConcreteFunction&()> trace;  // what a step runs
};

/// What a workload is made of.
struct WorkloadParts {
  std::shared_ptr<nn::Layer> model;
  std::shared_ptr<nn::Loss> loss;
  std::shared_ptr<optim::Optimizer> optimizer;
  std::int64_t rows;  // of a batch
  std::function<Tensor(std::int64_t rows)> inputs, targets;
};

/// Of a decoder of text; as they stand, those of GPT-2 with 124 million parameters.
struct GptSizes {
  std::int64_t batch = 16, length = 1024, vocabulary = 50257, width = 768, layers = 12, heads = 12;
};
/// GPT-2 in mixed bfloat16 with AdamW, the head's kernel tied to the embeddings.
WorkloadParts gpt2_parts(const GptSizes& sizes = {});

/// "book_mlp", "mlp", "cnn", "resnet20", "gpt", "gpt2"
std::vector<std::string> workload_names();
/// Throws NotFoundError for another name.
WorkloadParts workload_parts(const std::string& name);
Workload make_workload(const WorkloadParts& parts);

}  // namespace lockstep::bench

#pragma once
// The five training steps that Lockstep and its peers are compared on: the models of the peers' programs, written with the layers,
// losses and optimizers, each step one traced function over synthetic inputs that are in memory already.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <lockstep/autodiff/function.h>

namespace lockstep::bench {

/// A model with its optimizer, ready to be trained.
struct Workload {
  std::function<Tensor()> step;  // one training step; returns the loss
  std::function<const autodiff::ConcreteFunction&()> trace;  // what a step runs
};

/// "book_mlp", "mlp", "cnn", "resnet20", "gpt"
std::vector<std::string> workload_names();
/// Throws NotFoundError for another name.
Workload make_workload(const std::string& name);

}  // namespace lockstep::bench

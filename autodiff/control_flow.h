#pragma once
// Control flow that becomes part of a traced graph (tf.cond, tf.while_loop). Outside of a trace the functions just branch and loop.

#include <functional>
#include <optional>
#include <span>

#include <lockstep/tensor/op.h>

namespace lockstep::autodiff {

using Branch = std::function<Tensors()>;
using LoopCondition = std::function<Tensor(std::span<const Tensor> state)>;
using LoopBody = std::function<Tensors(std::span<const Tensor> state)>;

/// The results of `if_true` or `if_false`, by the scalar bool `predicate`. Both must give as many results of the same dtypes and
/// shapes; variables assigned in a branch change only if it is taken. Differentiable, to any order.
/// Throws TypeError for a predicate that is not bool, InvalidArgumentError if it is no scalar or the branches disagree.
Tensors cond(const Tensor& predicate, const Branch& if_true, const Branch& if_false);
/// For one result.
Tensor cond(const Tensor& predicate, const std::function<Tensor()>& if_true, const std::function<Tensor()>& if_false);

/// Repeats `body` on the state while `condition` gives true; dtypes and shapes of the state stay the same. Differentiable: the
/// gradient runs the loop again, keeps every state, and walks back (memory in proportion to the number of rounds); higher derivatives
/// unroll it op by op when they run, which is slow.
Tensors while_loop(const LoopCondition& condition, const LoopBody& body, Tensors initial);

/// `body(i, state)` for i = start, start + 1, ... limit - 1; `limit` is an int32 or int64 scalar.
Tensors for_range(const Tensor& start, const Tensor& limit, const std::function<Tensors(const Tensor& i, std::span<const Tensor> state)>& body, Tensors initial);

/// A state after the last step, and what the steps gave, stacked on a new first axis; of one step: the new state, and what it gives.
struct Scanned {
  Tensors state;
  Tensors outputs;
};
using ScanBody = std::function<Scanned(std::span<const Tensor> state, std::span<const Tensor> slices)>;

struct ScanOptions {
  /// From the last step to the first. What a step gives still stands at the place of its slices.
  bool reverse = false;
  /// The number of steps, where no sequence tells it.
  std::optional<std::int64_t> length = {};
  /// Traces every step, as a loop of C++ does: a graph that grows with the length, and says more to the passes where that is short.
  bool unroll = false;
};

/// Goes through `sequences`, which have the first axis in common: step i takes slice i of each and the state before it (jax.lax.scan; tf.scan, K.rnn). Dtypes and
/// shapes of the state and of what a step gives stay the same; variables assigned in the body go from step to step. In a trace the body is traced once
/// however long the sequences are, and steps write straight into the stacked outputs. Differentiable, to any order, also by what the body uses from outside: the
/// forward scan keeps what the gradient needs of each step, stacked, and the gradient is a scan in the other direction. A body in which ranks meet (collectives) is unrolled.
/// Throws InvalidArgumentError for sequences without a first axis or of different lengths, or none without a length; for a step whose new state, or number of outputs, differs.
Scanned scan(const ScanBody& body, Tensors initial, Tensors sequences, const ScanOptions& options = {});

/// Prints `message` and the tensors when it runs (tf.print): also inside a traced function, in the order of the program.
void print(const std::string& message, std::span<const Tensor> tensors = {});

}  // namespace lockstep::autodiff

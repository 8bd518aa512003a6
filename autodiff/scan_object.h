#pragma once
// What the op of scan, its gradient and the pass that makes scans smaller share. Private to autodiff.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <lockstep/autodiff/executable.h>
#include <lockstep/autodiff/graph.h>
#include <lockstep/tensor/op.h>

namespace lockstep::autodiff {

struct ScanDerivative;

/// Attribute of `scan`. The node's operands are the state, the sequences, and what the body captures; the body's arguments are the same with slices instead
/// of the sequences, its results the new state and what a step gives.
struct ScanObject : AttrObject {
  Graph body;
  std::size_t state_count = 0, sequence_count = 0;
  std::int64_t length = -1;  // -1: that of the sequences
  bool reverse = false;
  /// The scan whose results, from the same operands, are the first of this one's.
  std::weak_ptr<const ScanObject> narrow;

  std::string describe() const override;
  std::size_t output_count() const { return body.results.size() - state_count; }
  bool has_effects() const;
  /// Compiled for the default device when it is first asked for.
  const Executable& executable() const;
  /// Made once for each set of results with an upstream gradient, and each length (-1: unknown).
  std::shared_ptr<const ScanDerivative> derivative(const std::vector<bool>& has_upstream, std::int64_t steps,
                                                   const std::function<std::shared_ptr<const ScanDerivative>()>& make) const;

 private:
  mutable std::once_flag once_;
  mutable std::unique_ptr<const Executable> executable_;
  mutable std::mutex mutex_;
  struct Derived {
    std::vector<bool> has_upstream;
    std::int64_t steps;
    std::shared_ptr<const ScanDerivative> derivative;
  };
  mutable std::vector<Derived> derivatives_;
};

const OpDef& scan_op();

/// One call of the op. `state`, `sequences` and `captures` are the operands.
Tensors call_scan(const std::shared_ptr<const ScanObject>& object, std::span<const Tensor> operands);

std::shared_ptr<const ScanObject> silent(const std::shared_ptr<const ScanObject>& scan);

/// A body in two: what the captures alone decide, as a graph from the captures to new ones, and the rest, whose captures are these.
struct Hoisted {
  Graph before, body;
};
/// `varying`: leading arguments that differ from step to step. What has an effect, or results larger than its operands, stays in the body. For bodies that run.
Hoisted hoist(const Graph& body, std::size_t varying);

/// The gradient rule of `scan`.
Gradients scan_gradient(const GradContext& context);

}  // namespace lockstep::autodiff

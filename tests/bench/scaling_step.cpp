// The data-parallel step of a workload as fit runs it, beside the same step without reductions while all ranks compute, and beside the
// reductions alone. The three take turns.

#include <lockstep/dist/replica.h>
#include <lockstep/dist/world.h>
#include <lockstep/lockstep.h>
#include <lockstep/nn/replicas.h>

#include "ranks.h"
#include "scaling.h"
#include "timing.h"
#include "workloads.h"

namespace lockstep::bench {
namespace {

/// A workload's layers as a model, so that its own step trains them.
class Whole : public nn::Model {
 public:
  explicit Whole(std::shared_ptr<nn::Layer> layer) : layer_(track("layer", std::move(layer))) {}

 protected:
  Tensor call(const Tensor& x) override { return (*layer_)(x); }

 private:
  std::shared_ptr<nn::Layer> layer_;
};

/// The model's step, traced for this rank's rows; as a part of a larger batch if there is a replica.
auto traced_step(nn::Model& model, const dist::Replica* replica) {
  return autodiff::function([&model, replica](const Tensor& inputs, const Tensor& targets) {
    const dist::ReplicaScope scope(replica);
    return model.train_step({.x = {inputs}, .y = {targets}, .sample_weight = {}});
  }, {.name = "train_step"});
}

/// The reductions of a graph, with buffers of their own: those that were started, then the others one by one.
class Reductions {
 public:
  explicit Reductions(const autodiff::Graph& graph) {
    for (const autodiff::Node& node : graph.nodes) {
      if (node.kind != autodiff::Node::Kind::op || (node.op->name != "all_reduce_start" && node.op->name != "all_reduce")) continue;
      const bool gradients = node.op->name == "all_reduce_start";
      dist::Call call{.kind = dist::Collective::all_reduce, .op = gradients ? dist::ReduceOp::mean : dist::ReduceOp::sum, .dtype = graph.spec(node.inputs[0]).dtype, .label = "bench"};
      for (const int input : node.inputs) {
        const TensorSpec spec = graph.spec(input);
        buffers_.push_back(zeros(spec.shape, spec.dtype));
        call.parts.push_back({buffers_.back().mutable_raw(), std::int64_t(buffers_.back().nbytes())});
        call.count += spec.shape.numel();
      }
      bytes_ += call.nbytes();
      (gradients ? started_ : blocking_).push_back(std::move(call));
    }
  }
  std::int64_t calls() const { return std::int64_t(started_.size() + blocking_.size()); }
  std::int64_t bytes() const { return bytes_; }
  void run() const {
    dist::Communicator& communicator = dist::communicator();
    std::vector<dist::Communicator::Ticket> tickets;
    for (const dist::Call& call : started_) tickets.push_back(communicator.start(call));
    for (const dist::Communicator::Ticket ticket : tickets) communicator.wait(ticket);
    for (const dist::Call& call : blocking_) communicator.run(call);
  }

 private:
  std::vector<Tensor> buffers_;
  std::vector<dist::Call> started_, blocking_;
  std::int64_t bytes_ = 0;
};

}  // namespace

std::vector<double> step_times(const std::vector<std::function<void(int)>>& ways, double seconds) {
  dist::Communicator& communicator = dist::communicator();
  const auto timed = [&](const std::function<void(int)>& way, int steps) {
    communicator.barrier("start");
    const auto start = Clock::now();
    way(steps);
    return 1e3 * seconds_since(start) / steps;
  };
  // A few steps in a row: a rank that is late for one of them waits for the others where it reduces, or at the end.
  constexpr double kTurnMs = 50;
  std::vector<std::int64_t> plan;  // steps of each way in one turn, and then the number of turns
  double turn = 0;
  for (const auto& way : ways) {
    timed(way, 2);
    const double once = timed(way, 1);
    plan.push_back(std::clamp<std::int64_t>(std::int64_t(kTurnMs / once), 1, 1000));
    turn += 1e-3 * once * double(plan.back());
  }
  plan.push_back(std::clamp<std::int64_t>(std::int64_t(seconds / turn), 3, 1000));
  communicator.broadcast(plan.data(), std::int64_t(plan.size()), int64, 0, "plan");
  std::vector<std::vector<double>> times(ways.size());
  for (std::int64_t k = 0; k < plan.back(); ++k)
    for (std::size_t w = 0; w < ways.size(); ++w) times[w].push_back(timed(ways[w], int(plan[w])));
  std::vector<double> result;
  for (std::vector<double>& each : times) {
    communicator.all_reduce(each.data(), std::int64_t(each.size()), float64, dist::ReduceOp::max, "times");
    result.push_back(median(each));
  }
  return result;
}

ScalingPoint measure_workload(const ScalingOptions& options) {
  const nn::Replicas replicas;
  const WorkloadParts parts = workload_parts(options.workload);
  ScalingPoint point{.workload = options.workload, .mode = options.mode, .ranks = replicas.count()};
  point.rows = options.mode == "weak" ? parts.rows * replicas.count() : parts.rows;
  Whole model(parts.model);
  model.compile({.optimizer = parts.optimizer, .loss = parts.loss});
  const Tensor x = parts.inputs(point.rows), y = parts.targets(point.rows);
  model.train_on_batch(x, y);  // the first step of fit
  point.first_step_s = seconds_since_launch();

  const nn::BatchPart part = replicas.cut({x, y});
  const auto reduced = traced_step(model, part.replica ? &*part.replica : nullptr), alone = traced_step(model, nullptr);
  const Tensor own_x = part.tensors[0], own_y = part.tensors[1];
  const Reductions reductions(reduced.concrete_function(own_x, own_y).optimized());
  point.calls = reductions.calls();
  point.bytes = reductions.bytes();
  const std::vector<double> ms = step_times({[&](int steps) {
    for (int k = 0; k < steps; ++k) replicas.agree(nn::Replicas::contribution(double(reduced(own_x, own_y).item<float>()), part.replica), false, false);
  }, [&](int steps) {
    for (int k = 0; k < steps; ++k) alone(own_x, own_y);
  }, [&](int steps) {
    for (int k = 0; k < steps; ++k) reductions.run();
  }}, options.seconds);
  point.step_ms = ms[0];
  point.alone_ms = ms[1];
  point.communication_ms = replicas.several() ? ms[2] : 0;
  return point;
}

}  // namespace lockstep::bench

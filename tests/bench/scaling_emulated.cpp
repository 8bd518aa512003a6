// An emulated device: forward and backward pass are slept, as a host sleeps while a device computes, so that more ranks than cores can be measured.
// The gradients become ready evenly over the backward pass, from the last variable to the first, and travel in the buckets of real ones.

#include <cerrno>
#include <ctime>

#include <lockstep/dist/gradients.h>
#include <lockstep/dist/world.h>
#include <lockstep/lockstep.h>

#include "scaling.h"
#include "timing.h"
#include "workloads.h"

namespace lockstep::bench {
namespace {

void sleep_until(Clock::time_point when) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
  const timespec until{time_t(ns / 1'000'000'000), long(ns % 1'000'000'000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {}
}

/// The variables of ResNet-50 in their order: 25.6 M parameters that no rank here could compute with.
std::vector<TensorSpec> resnet50() {
  std::vector<TensorSpec> specs;
  const auto convolution = [&](std::int64_t size, std::int64_t from, std::int64_t to) {
    specs.push_back({float32, {size, size, from, to}});
    specs.insert(specs.end(), 2, {float32, {to}});  // scale and offset of its batch normalization
  };
  convolution(7, 3, 64);
  std::int64_t channels = 64;
  for (const auto& [blocks, width] : {std::pair{3, 64}, {4, 128}, {6, 256}, {3, 512}})
    for (int k = 0; k < blocks; ++k) {
      if (k == 0) convolution(1, channels, 4 * width);
      convolution(1, channels, width);
      convolution(3, width, width);
      convolution(1, width, 4 * width);
      channels = 4 * width;
    }
  specs.push_back({float32, {channels, 1000}});
  specs.push_back({float32, {1000}});
  return specs;
}

std::vector<TensorSpec> variables_of(const std::string& workload) {
  if (workload == "resnet50") return resnet50();
  const WorkloadParts parts = workload_parts(workload);
  (*parts.model)(parts.inputs(1));
  std::vector<TensorSpec> specs;
  for (const Variable& variable : parts.model->trainable_variables()) specs.push_back({variable.dtype(), variable.shape()});
  return specs;
}

struct Bucket {
  dist::Call call;
  double ready;  // the part of the backward pass after which it is complete
};

}  // namespace

ScalingPoint measure_emulated(const ScalingOptions& options) {
  dist::Communicator& communicator = dist::communicator();
  ScalingPoint point{.workload = options.workload, .mode = options.mode, .ranks = communicator.size(), .rows = communicator.size(), .forward_ms = options.emulate_ms[0], .backward_ms = options.emulate_ms[1]};
  const std::vector<TensorSpec> specs = variables_of(options.workload);
  std::vector<Tensor> gradients;
  for (const TensorSpec& spec : specs) gradients.push_back(zeros(spec.shape, spec.dtype));
  std::vector<Bucket> buckets;
  std::size_t done = 0;
  for (const std::vector<std::size_t>& members : dist::bucket_plan(specs)) {
    dist::Call call{.kind = dist::Collective::all_reduce, .op = dist::ReduceOp::mean, .dtype = specs[members[0]].dtype, .label = "bucket " + std::to_string(buckets.size())};
    for (const std::size_t i : members) {
      call.parts.push_back({gradients[i].mutable_raw(), std::int64_t(gradients[i].nbytes())});
      call.count += specs[i].shape.numel();
    }
    done += members.size();
    point.bytes += call.nbytes();
    buckets.push_back({std::move(call), double(done) / double(specs.size())});
  }
  point.calls = std::int64_t(buckets.size());
  const auto reduce = [&](bool computing) {
    const auto milliseconds = [](double ms) { return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(ms)); };
    const auto backward = Clock::now() + milliseconds(point.forward_ms);
    std::vector<dist::Communicator::Ticket> tickets;
    for (const Bucket& bucket : buckets) {
      if (computing) sleep_until(backward + milliseconds(point.backward_ms * bucket.ready));
      tickets.push_back(communicator.start(bucket.call));
    }
    for (const dist::Communicator::Ticket ticket : tickets) communicator.wait(ticket);
  };
  const auto compute = [&] {
    const auto start = Clock::now();
    sleep_until(start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(point.forward_ms + point.backward_ms)));
  };
  const std::vector<double> ms = step_times({[&](int steps) {
    for (int k = 0; k < steps; ++k) reduce(true);
  }, [&](int steps) {
    for (int k = 0; k < steps; ++k) compute();
  }, [&](int steps) {
    for (int k = 0; k < steps; ++k) reduce(false);
  }}, options.seconds);
  point.step_ms = ms[0];
  point.alone_ms = ms[1];
  point.communication_ms = communicator.size() > 1 ? ms[2] : 0;
  return point;
}

}  // namespace lockstep::bench

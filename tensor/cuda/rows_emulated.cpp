// For tests of what surrounds the kernels: with LOCKSTEP_CUDA_EMULATED_ROWS=1 the emulated device computes a row that has no CUDA kernel by the row's
// kernel for the CPU, run on device memory in the order of the stream. A program that works this way places and moves its tensors rightly.

#include <array>
#include <cstdlib>
#include <memory>

#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/cuda/rows_emulated.h>

namespace lockstep::cuda {
namespace {

BoundKernel bind_row(const BindContext& context) {
  const DeviceScope host{Device()};
  auto kernel = std::make_shared<BoundKernel>(context.op().cpu(context));
  return [kernel, inputs = context.input_count(), outputs = context.output_count()](Inputs in, Outputs out) {
    enqueue([kernel, from = std::vector<const void*>(in, in + inputs), to = std::vector<void*>(out, out + outputs)] {
      const DeviceScope there{Device()};
      (*kernel)(from.data(), to.data());
    });
  };
}

Tensors run_row(const OpCall& call, std::span<const Tensor> inputs) {
  const Device device = inputs.empty() ? default_device() : inputs[0].device();
  const DeviceScope host{Device()};
  Tensors operands;
  for (const Tensor& input : inputs) operands.push_back(to(input, Device()));
  Tensors results;
  for (const Tensor& result : call.op().cpu_dynamic(call, operands)) results.push_back(to(result, device));
  return results;
}

}  // namespace

DeviceKernel row_as_kernel(const OpDef& op) {
  static const bool wanted = [] {
    const char* text = std::getenv("LOCKSTEP_CUDA_EMULATED_ROWS");
    return text && std::string_view(text) == "1";
  }();
  if (!wanted || !op.no_cuda.empty()) return {};
  if (op.cpu) return {bind_row, nullptr};
  return {nullptr, op.cpu_dynamic ? run_row : nullptr};
}

}  // namespace lockstep::cuda

#pragma once
// Attention by cuDNN's fused kernels, which keep the scores on the chip. Not in the emulation, where attention.cu's own steps compute.

#include <memory>
#include <optional>

#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/ops/attention.h>

namespace lockstep::cuda {

namespace dnn {
struct Plan;
}

/// A prepared attention or its gradient, of bfloat16 or float16.
class BoundAttention {
 public:
  /// Asks cuDNN for a plan once for each shape; nothing if it has none for it: float32 and float64, sizes that are no multiple of 8 or above 256.
  /// Under op_determinism only plans that give the same bits in every run.
  static std::optional<BoundAttention> find(const attention::Sizes& sizes, bool gradient, DType dtype, std::string_view op);
  std::size_t workspace_bytes() const;
  void enqueue(const void* query, const void* key, const void* value, void* result, void* sums, void* workspace) const;
  void enqueue_gradient(const void* query, const void* key, const void* value, const void* upstream, const void* result, const void* sums, void* dq, void* dk, void* dv, void* workspace) const;

 private:
  attention::Sizes sizes_;
  bool gradient_ = false, accumulated_ = false;
  std::shared_ptr<const dnn::Plan> plan_;
};

}  // namespace lockstep::cuda

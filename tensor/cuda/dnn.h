#pragma once
// Convolutions by cuDNN's graph interface, channels last. Not in the emulation, where conv.cu's own kernels compute.

#include <optional>

#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/ops/window.h>

namespace lockstep::cuda {

namespace dnn {
struct Plan;
}

enum class ConvolutionPart : std::uint8_t { forward, input, kernel };

/// A prepared convolution or one of its gradients. The kernel of it is (out, spatial..., in / groups), as tensor cores want it.
class BoundConvolution {
 public:
  /// Asks cuDNN for a plan once for each shape; nothing if it has none for it. float32 is computed without TF32 unless LOCKSTEP_TF32=1 chooses it;
  /// under op_determinism only plans that give the same bits in every run.
  static std::optional<BoundConvolution> find(const window::Convolution& convolution, ConvolutionPart part, DType dtype, std::string_view op);
  std::size_t workspace_bytes() const;
  /// The operands in the order x, kernel, y of the forward convolution, whichever of them is written.
  void enqueue(const void* x, const void* kernel, const void* y, void* workspace) const;

 private:
  std::shared_ptr<const dnn::Plan> plan_;
};

}  // namespace lockstep::cuda

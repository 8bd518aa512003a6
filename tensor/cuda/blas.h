#pragma once
// Products of matrices by cuBLASLt; in the emulation by loops.

#include <string>

#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/ops/product.h>

namespace lockstep::cuda {

/// One strided batch of products of row-major matrices: c = a b, or c = relu(a b + bias).
struct Gemm {
  DType dtype = float32;
  bool transpose_a = false, transpose_b = false, bias = false, relu = false;
  std::int64_t m = 0, n = 0, k = 0;
  std::int64_t batch = 1, stride_a = 0, stride_b = 0;  // in elements, 0 for one matrix that serves all; results lie densely
};

/// Does cuBLASLt multiply this dtype? (Floats and complex numbers; integers are multiplied by a kernel of our own.)
bool is_gemm_dtype(DType dtype);

/// A prepared product. float32 is computed in float32, unless the environment's LOCKSTEP_TF32=1 chooses TF32; 16-bit floats are added up in float32.
class BoundGemm {
 public:
  BoundGemm() = default;
  /// Asks cuBLASLt for its algorithm once for each shape. Throws with the op's name and the sizes if there is none.
  BoundGemm(const Gemm& gemm, std::string_view op);
  std::size_t workspace_bytes() const;
  /// `bias` and `workspace` may be null where there is none.
  void enqueue(const void* a, const void* b, const void* bias, void* c, void* workspace) const;
  /// For benchmarks: seconds that the fastest of the algorithms cuBLASLt names takes for this product without a bias; each is tried. Waits. 0 in the emulation.
  double fastest(const void* a, const void* b, void* c) const;

 private:
  struct Plan;
  std::shared_ptr<const Plan> plan_;
};

}  // namespace lockstep::cuda

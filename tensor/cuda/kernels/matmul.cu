// Products of matrices.

#include <lockstep/tensor/cuda/activation.h>
#include <lockstep/tensor/cuda/blas.h>
#include <lockstep/tensor/cuda/families.h>

namespace lockstep::cuda {
namespace {

/// A product's batch axes as one strided batch, and a list of where it begins for everything that one stride cannot walk.
struct Batches {
  std::int64_t count = 1, stride_a = 0, stride_b = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> begins;  // offsets of a and b; results follow each other
};
Batches batches_of(const Product& p) {
  Batches result;
  const std::int64_t total = p.batch.numel();
  if (total == 0) return result;
  // As many of the last axes as one stride walks; the offsets say which.
  std::int64_t run = 1;
  for (int axis = p.batch.ndim() - 1; axis >= 0; --axis) {
    const std::int64_t longer = run * p.batch[axis];
    const auto second = total > 1 && longer > 1 ? batch_offsets(p, 1) : std::pair<std::int64_t, std::int64_t>{0, 0};
    bool even = true;
    for (std::int64_t i = 0; i < longer && even; ++i) {
      const auto at = batch_offsets(p, i);
      even = at.first == i * second.first && at.second == i * second.second;
    }
    if (!even) break;
    run = longer;
    result.stride_a = second.first;
    result.stride_b = second.second;
  }
  result.count = run;
  for (std::int64_t i = 0; i < total; i += run) result.begins.push_back(batch_offsets(p, i));
  return result;
}

template <class T>
struct WholeProduct {
  std::int64_t m, k, n, stride_a, stride_b;
  bool transpose_a, transpose_b;
  const T *a, *b;
  T* c;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t column = i % n, row = i / n % m, batch = i / (m * n);
    const T *x = a + batch * stride_a, *y = b + batch * stride_b;
    std::uint64_t sum = 0;
    for (std::int64_t j = 0; j < k; ++j)
      sum += static_cast<std::uint64_t>(x[transpose_a ? j * m + row : row * k + j]) * static_cast<std::uint64_t>(y[transpose_b ? column * k + j : j * n + column]);
    c[i] = static_cast<T>(sum);
  }
};

BoundKernel bind_whole(const Product& p, const Batches& batches, DType dtype, std::string_view op) {
  return visit<kInts.bits>(dtype, op, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      T* c = static_cast<T*>(out[0]);
      for (const auto& [a, b] : batches.begins) {
        for_each(batches.count * p.m * p.n, WholeProduct<T>{p.m, p.k, p.n, batches.stride_a, batches.stride_b, p.transpose_a, p.transpose_b, static_cast<const T*>(in[0]) + a, static_cast<const T*>(in[1]) + b, c});
        c += batches.count * p.m * p.n;
      }
    };
  });
}

BoundKernel bind_product(const BindContext& context, bool bias, Activation activation) {
  const Product p = product_of(context, context.shape(0), context.shape(1), context.output(0).shape);
  const std::int64_t numel = context.output(0).shape.numel();
  const DType dtype = context.dtype_of(0);
  const std::size_t size = itemsize(dtype);
  if (numel == 0) return [](Inputs, Outputs) {};
  if (p.k == 0) return [nbytes = std::size_t(numel) * size](Inputs, Outputs out) { fill_bytes(out[0], 0, nbytes); };
  const Batches batches = batches_of(p);
  if (!is_gemm_dtype(dtype)) return bind_whole(p, batches, dtype, context.op().name);
  const auto product = [&](bool within) {
    return BoundGemm({dtype, p.transpose_a, p.transpose_b, bias && within, activation == Activation::relu && within, p.m, p.n, p.k, batches.count, batches.stride_a, batches.stride_b}, context.op().name);
  };
  bool within = bias || activation == Activation::relu;  // the product's kernel adds the bias
  BoundGemm gemm;
  try {
    gemm = product(within);
  } catch (const UnimplementedError&) {
    if (!within) throw;
    within = false;
    gemm = product(false);
  }
  const bool passes = within ? activation != Activation::none && activation != Activation::relu : bias || activation != Activation::none;
  return [=, begins = batches.begins, step = std::size_t(batches.count * p.m * p.n) * size, columns = p.n, workspace = Workspace(gemm.workspace_bytes())](Inputs in, Outputs out) {
    std::byte* c = static_cast<std::byte*>(out[0]);
    for (const auto& [a, b] : begins) {
      gemm.enqueue(static_cast<const std::byte*>(in[0]) + std::size_t(a) * size, static_cast<const std::byte*>(in[1]) + std::size_t(b) * size, bias && within ? in[2] : nullptr, c, workspace.data());
      c += step;
    }
    if (passes)
      visit<kFloats.bits, void>(dtype, "fused_matmul", [&]<class T>(TypeTag<T>) {
        for_each(numel, Activate<T>{activation, columns, bias && !within ? static_cast<const T*>(in[2]) : nullptr, static_cast<T*>(out[0])});
      });
  };
}

BoundKernel matmul(const BindContext& context) { return bind_product(context, false, Activation::none); }
BoundKernel fused_matmul(const BindContext& context) { return bind_product(context, context.input_count() == 3, activation_of(context)); }

constexpr Kernel kMatmulKernels[] = {{"matmul", matmul}, {"fused_matmul", fused_matmul}};

}  // namespace

std::span<const Kernel> matmul_kernels() { return kMatmulKernels; }

}  // namespace lockstep::cuda

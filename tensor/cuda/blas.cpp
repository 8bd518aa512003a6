#include <lockstep/tensor/cuda/blas.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include <lockstep/tensor/cuda/element.h>
#include <lockstep/tensor/cuda/memory.h>
#include <lockstep/tensor/cuda/runtime.h>

#ifndef LOCKSTEP_CUDA_EMULATED
#include <cublasLt.h>
#endif

namespace lockstep::cuda {

bool is_gemm_dtype(DType dtype) { return is_float(dtype) || is_complex(dtype); }

#ifdef LOCKSTEP_CUDA_EMULATED

struct BoundGemm::Plan {
  Gemm gemm;
};

namespace {

template <class T>
void multiply(const Gemm& g, const T* a, const T* b, const T* bias, T* c) {
  using A = decltype(value_of(T()));
  for (std::int64_t p = 0; p < g.batch; ++p)
    for (std::int64_t r = 0; r < g.m; ++r)
      for (std::int64_t column = 0; column < g.n; ++column) {
        A sum{};
        for (std::int64_t k = 0; k < g.k; ++k)
          sum = sum + value_of(a[p * g.stride_a + (g.transpose_a ? k * g.m + r : r * g.k + k)]) * value_of(b[p * g.stride_b + (g.transpose_b ? column * g.k + k : k * g.n + column)]);
        if constexpr (!kIsComplex<T>) {
          if (bias) sum += value_of(bias[column]);
          if (g.relu && sum < 0) sum = 0;
        }
        c[(p * g.m + r) * g.n + column] = stored<T>(sum);
      }
}

}  // namespace

BoundGemm::BoundGemm(const Gemm& gemm, std::string_view) : plan_(std::make_shared<Plan>(Plan{gemm})) {}
std::size_t BoundGemm::workspace_bytes() const { return 0; }
void BoundGemm::enqueue(const void* a, const void* b, const void* bias, void* c, void*) const {
  cuda::enqueue([=, plan = plan_] {
    visit<(kFloats | kComplex).bits, void>(plan->gemm.dtype, "matmul", [&]<class T>(TypeTag<T>) {
      multiply(plan->gemm, static_cast<const T*>(a), static_cast<const T*>(b), static_cast<const T*>(plan->gemm.bias ? bias : nullptr), static_cast<T*>(c));
    });
  });
}

double BoundGemm::fastest(const void*, const void*, void*) const { return 0; }

#else

namespace {

std::string describe(const Gemm& g) {
  return std::to_string(g.batch) + " x (" + std::to_string(g.m) + ", " + std::to_string(g.k) + ") x (" + std::to_string(g.k) + ", " + std::to_string(g.n) + ") of " + std::string(name(g.dtype));
}

[[noreturn]] void refuse(cublasStatus_t status, const char* what, const Gemm& g, std::string_view op) {
  const std::string text = std::string(what) + " failed with " + cublasLtGetStatusName(status) + " (" + cublasLtGetStatusString(status) + ") for " + describe(g) + " on cuda:" + std::to_string(current_device());
  switch (status) {
    case CUBLAS_STATUS_ALLOC_FAILED: throw ResourceExhaustedError(text, op);
    case CUBLAS_STATUS_NOT_SUPPORTED: throw UnimplementedError(text, op);
    case CUBLAS_STATUS_NOT_INITIALIZED:
    case CUBLAS_STATUS_ARCH_MISMATCH: throw UnavailableError(text, op);
    default: throw InternalError(text, op);
  }
}

/// A foreign object with its own destructor.
template <class H, cublasStatus_t (*Destroy)(H)>
class Owned {
 public:
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle_) Destroy(handle_);
  }
  H* address() { return &handle_; }
  H get() const { return handle_; }

 private:
  H handle_ = nullptr;
};
using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

/// One for each device, for the life of the process.
cublasLtHandle_t handle(const Gemm& g, std::string_view op) {
  static std::mutex mutex;
  static auto* handles = new std::map<int, cublasLtHandle_t>;
  const std::lock_guard lock(mutex);
  cublasLtHandle_t& each = (*handles)[current_device()];
  if (!each)
    if (const cublasStatus_t status = cublasLtCreate(&each); status != CUBLAS_STATUS_SUCCESS) refuse(status, "cublasLtCreate", g, op);
  return each;
}

struct Types {
  cudaDataType_t data, scale;
  cublasComputeType_t compute;
};
Types types_of(DType dtype) {
  switch (dtype) {
    case DType::float16: return {CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case DType::bfloat16: return {CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case DType::float64: return {CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
    case DType::complex64: return {CUDA_C_32F, CUDA_C_32F, CUBLAS_COMPUTE_32F};
    case DType::complex128: return {CUDA_C_64F, CUDA_C_64F, CUBLAS_COMPUTE_64F};
    default: return {CUDA_R_32F, CUDA_R_32F, use_tf32() ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F};
  }
}

constexpr std::size_t kMostWorkspace = std::size_t(32) << 20;
constexpr std::uint32_t kAligned = 16;

using Key = std::tuple<int, DType, bool, bool, bool, bool, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool>;

}  // namespace

/// cuBLASLt's matrices are column-major: a row-major matrix is its transpose. So c^T = b^T a^T is what it is asked for.
struct BoundGemm::Plan {
  Gemm gemm;
  std::string op;
  cublasLtHandle_t lt = nullptr;
  Operation operation;
  Layout a, b, c;
  cublasLtMatmulAlgo_t algorithm, unaligned;  // for operands at multiples of kAligned bytes, and for any
  std::size_t workspace = 0;

  void check(cublasStatus_t status, const char* what) const {
    if (status != CUBLAS_STATUS_SUCCESS) refuse(status, what, gemm, op);
  }
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check(cublasLtMatmulDescSetAttribute(operation.get(), attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
  }
  void layout(Layout& to, cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
    check(cublasLtMatrixLayoutCreate(to.address(), type, std::uint64_t(rows), std::uint64_t(columns), rows), "cublasLtMatrixLayoutCreate");
    const std::int32_t batch = std::int32_t(gemm.batch);
    check(cublasLtMatrixLayoutSetAttribute(to.get(), CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch), "cublasLtMatrixLayoutSetAttribute");
    check(cublasLtMatrixLayoutSetAttribute(to.get(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride), "cublasLtMatrixLayoutSetAttribute");
  }
  void describe_call() {
    const Types types = types_of(gemm.dtype);
    check(cublasLtMatmulDescCreate(operation.address(), types.compute, types.scale), "cublasLtMatmulDescCreate");
    const cublasOperation_t first = gemm.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, second = gemm.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, first);
    set(CUBLASLT_MATMUL_DESC_TRANSB, second);
    const cublasLtEpilogue_t epilogue = gemm.bias ? (gemm.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS) : gemm.relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    // The choice of an algorithm asks for a bias before there is one; no element of this one is read.
    if (gemm.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, reinterpret_cast<const void*>(std::uintptr_t(4096)));
    layout(a, types.data, gemm.transpose_a ? gemm.m : gemm.k, gemm.transpose_a ? gemm.k : gemm.m, gemm.stride_a);
    layout(b, types.data, gemm.transpose_b ? gemm.k : gemm.n, gemm.transpose_b ? gemm.n : gemm.k, gemm.stride_b);
    layout(c, types.data, gemm.n, gemm.m, gemm.m * gemm.n);
  }
  /// Up to `most` algorithms, the most promising first, at least one.
  std::vector<cublasLtMatmulHeuristicResult_t> candidates(std::uint32_t alignment, int most) const {
    Preference preference;
    check(cublasLtMatmulPreferenceCreate(preference.address()), "cublasLtMatmulPreferenceCreate");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t(kMostWorkspace));
    for (const auto each : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      prefer(each, alignment);
    // Parts of k that are added in place come in any order.
    if (deterministic()) prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE));
    std::vector<cublasLtMatmulHeuristicResult_t> results(std::size_t(most), cublasLtMatmulHeuristicResult_t{});
    int found = 0;
    check(cublasLtMatmulAlgoGetHeuristic(lt, operation.get(), b.get(), a.get(), c.get(), c.get(), preference.get(), most, results.data(), &found), "cublasLtMatmulAlgoGetHeuristic");
    results.resize(std::size_t(found));
    std::erase_if(results, [](const auto& each) { return each.state != CUBLAS_STATUS_SUCCESS; });  // those listed that cannot run
    if (results.empty()) check(CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmulAlgoGetHeuristic");
    return results;
  }
  cublasLtMatmulAlgo_t choose(std::uint32_t alignment) {
    const auto best = candidates(alignment, 8).front();
    workspace = std::max(workspace, best.workspaceSize);
    return best.algo;
  }
  cublasStatus_t multiply(cublasLtMatmulDesc_t described, const void* first, const void* second, void* result, const cublasLtMatmulAlgo_t& algo, void* memory, std::size_t bytes) const {
    alignas(16) double one[2] = {1, 0}, zero[2] = {0, 0};
    const Types types = types_of(gemm.dtype);
    if (types.scale == CUDA_R_32F || types.scale == CUDA_C_32F) {
      const float single[2] = {1, 0};
      std::memcpy(one, single, sizeof single);
    }
    return cublasLtMatmul(lt, described, one, second, b.get(), first, a.get(), zero, result, c.get(), result, c.get(), &algo, memory, bytes, current_stream());
  }
};

BoundGemm::BoundGemm(const Gemm& g, std::string_view op) {
  static std::mutex mutex;
  static auto* plans = new std::map<Key, std::shared_ptr<const Plan>>;
  const Key key{current_device(), g.dtype, g.transpose_a, g.transpose_b, g.bias, g.relu, g.m, g.n, g.k, g.batch, g.stride_a, g.stride_b, deterministic()};
  {
    const std::lock_guard lock(mutex);
    if (const auto found = plans->find(key); found != plans->end()) {
      plan_ = found->second;
      return;
    }
  }
  auto plan = std::make_shared<Plan>();
  plan->gemm = g;
  plan->op = op;
  plan->lt = handle(g, op);
  plan->describe_call();
  plan->algorithm = plan->choose(kAligned);
  plan->unaligned = plan->choose(std::uint32_t(itemsize(g.dtype)));
  plan_ = plan;
  const std::lock_guard lock(mutex);
  plans->emplace(key, plan_);
}

std::size_t BoundGemm::workspace_bytes() const { return plan_->workspace; }

void BoundGemm::enqueue(const void* a, const void* b, const void* bias, void* c, void* workspace) const {
  const Plan& plan = *plan_;
  // (A bias is read as C and D are.)
  std::uintptr_t together = reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b) | reinterpret_cast<std::uintptr_t>(c);
  if (plan.gemm.bias) together |= reinterpret_cast<std::uintptr_t>(bias);
  // The bias is a part of the description, which several threads may share: each call describes its own.
  cublasLtMatmulDescOpaque_t copy;
  cublasLtMatmulDesc_t operation = plan.operation.get();
  if (plan.gemm.bias) {
    copy = *operation;
    operation = &copy;
    plan.check(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias), "cublasLtMatmulDescSetAttribute");
  }
  plan.check(plan.multiply(operation, a, b, c, together % kAligned ? plan.unaligned : plan.algorithm, workspace, plan.workspace), "cublasLtMatmul");
}

namespace {

/// Seconds of one of `calls` calls, which are enqueued together.
template <class F>
double seconds_of(int calls, const F& call) {
  const auto stream = current_stream();
  runtime::wait(stream);
  const auto start = std::chrono::steady_clock::now();
  for (int k = 0; k < calls; ++k) call();
  runtime::wait(stream);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
}

}  // namespace

double BoundGemm::fastest(const void* a, const void* b, void* c) const {
  constexpr int kMostAlgorithms = 64;
  constexpr double kSecondsEach = 0.02;
  const Plan& plan = *plan_;
  const auto give_back = [device = current_device()](void* memory) { deallocate(device, memory); };
  const std::unique_ptr<void, decltype(give_back)> workspace(allocate(current_device(), kMostWorkspace, "workspaces"), give_back);
  double best = 0;
  for (const auto& each : plan.candidates(kAligned, kMostAlgorithms)) {
    const auto call = [&] { return plan.multiply(plan.operation.get(), a, b, c, each.algo, workspace.get(), each.workspaceSize); };
    if (call() != CUBLAS_STATUS_SUCCESS) continue;  // named, and yet not for this device
    const double once = seconds_of(1, call);
    if (best > 0 && once > 2 * best) continue;
    const double mean = seconds_of(std::clamp(int(kSecondsEach / once), 1, 1000), call);
    if (best == 0 || mean < best) best = mean;
  }
  return best;
}

#endif

}  // namespace lockstep::cuda

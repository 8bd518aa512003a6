// Descriptors and plans of cuDNN's graph interface. Not in the emulation.

#ifndef LOCKSTEP_CUDA_EMULATED

#include <lockstep/tensor/cuda/dnn_graph.h>

#include <map>

namespace lockstep::cuda::dnn {
namespace {

[[noreturn]] void refuse(cudnnStatus_t status, const char* what, const std::string& call, std::string_view op) {
  char detail[256] = {};
  cudnnGetLastErrorString(detail, sizeof detail);
  const std::string text = std::string(what) + " failed with " + cudnnGetErrorString(status) + " (" + detail + ") for " + call;
  if (status == CUDNN_STATUS_NOT_INITIALIZED) throw UnavailableError(text, op);
  if (status == CUDNN_STATUS_ALLOC_FAILED) throw ResourceExhaustedError(text, op);
  if (status == CUDNN_STATUS_NOT_SUPPORTED) throw UnimplementedError(text, op);
  throw InternalError(text, op);
}

/// May results come from an engine with these notes?
bool allowed(const Descriptor& config, DType dtype, const Check& check) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR, check);
  cudnnBackendDescriptor_t at = engine.get();
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(config.get(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &at), "cudnnBackendGetAttribute");
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  check(cudnnBackendGetAttribute(engine.get(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes), "cudnnBackendGetAttribute");
  for (std::int64_t i = 0; i < count; ++i) {
    if (notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC && deterministic()) return false;
    if (notes[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) return false;
    // For float32 these are engines that round operands to TF32 (or less) on the way.
    if (dtype == float32 && !use_tf32() && (notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE || notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
  }
  return true;
}

/// What cuDNN would run, best first.
std::vector<Descriptor> configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode, const Check& check) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, check);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  std::vector<Descriptor> result;
  if (!heuristics.try_finalize()) return result;
  constexpr std::int64_t kMost = 64;  // for float32 without TF32 all of the first ones may be refused
  std::vector<cudnnBackendDescriptor_t> handles;
  for (std::int64_t i = 0; i < kMost; ++i) {
    result.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, check);
    handles.push_back(result.back().get());
  }
  std::int64_t found = 0;
  if (cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, kMost, &found, handles.data()) != CUDNN_STATUS_SUCCESS) found = 0;
  while (std::int64_t(result.size()) > found) result.pop_back();
  return result;
}

}  // namespace

void Check::operator()(cudnnStatus_t status, const char* what) const {
  if (status != CUDNN_STATUS_SUCCESS) refuse(status, what, call, op);
}

Handle::Handle(const Check& check) {
  struct Owned {
    std::mutex mutex;
    cudnnHandle_t handle = nullptr;
  };
  static std::mutex mutex;
  static auto* all = new std::map<int, Owned>;  // for the life of the process
  std::unique_lock lock(mutex);
  Owned& own = (*all)[current_device()];
  lock.unlock();
  lock_ = std::unique_lock(own.mutex);
  if (!own.handle) check(cudnnCreate(&own.handle), "cudnnCreate");
  check(cudnnSetStream(own.handle, current_stream()), "cudnnSetStream");
  handle_ = own.handle;
}

std::shared_ptr<const Plan> plan_for(std::span<const Descriptor> operations, DType dtype, Check named, std::int64_t most_workspace) {
  auto result = std::make_shared<Plan>(std::move(named));
  const Check& check = result->check;
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, check);
  const Handle owned(check);
  const cudnnHandle_t library = owned.get();
  std::vector<cudnnBackendDescriptor_t> handles;
  for (const Descriptor& each : operations) handles.push_back(each.get());
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::int64_t(handles.size()), handles.data());
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &library);
  if (!graph.try_finalize()) return nullptr;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
    for (Descriptor& config : configurations(graph, mode, check)) {
      if (!allowed(config, dtype, check)) continue;
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, check);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &library);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
      if (!plan.try_finalize()) continue;
      std::int64_t count = 0;
      check(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &result->workspace), "cudnnBackendGetAttribute");
      if (result->workspace > most_workspace) continue;
      result->config = std::move(config);  // cuDNN does not say that a plan outlives it
      result->plan = std::move(plan);
      return result;
    }
  return nullptr;
}

void enqueue(const Plan& plan, std::span<const std::int64_t> ids, std::span<const void* const> pointers, void* workspace) {
  const Check& check = plan.check;
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, check);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::int64_t(pointers.size()), pointers.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, std::int64_t(ids.size()), ids.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finalize();
  const Handle library(check);
  check(cudnnBackendExecute(library.get(), plan.plan->get(), pack.get()), "cudnnBackendExecute");
}

}  // namespace lockstep::cuda::dnn

#endif

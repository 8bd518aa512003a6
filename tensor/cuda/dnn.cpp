#include <lockstep/tensor/cuda/dnn.h>

#ifdef LOCKSTEP_CUDA_EMULATED

namespace lockstep::cuda {

std::optional<BoundConvolution> BoundConvolution::find(const window::Convolution&, ConvolutionPart, DType, std::string_view) { return std::nullopt; }
std::size_t BoundConvolution::workspace_bytes() const { return 0; }
void BoundConvolution::enqueue(const void*, const void*, const void*, void*) const {}

}  // namespace lockstep::cuda

#else

#include <map>
#include <mutex>
#include <vector>

#include <cudnn.h>

namespace lockstep::cuda {
namespace {

using window::Convolution;
using Sizes = std::vector<std::int64_t>;

std::string describe(const Convolution& c, ConvolutionPart part, DType dtype) {
  const auto list = [&](const std::array<std::int64_t, 3>& sizes) {
    std::string text;
    for (int i = 3 - c.ndim; i < 3; ++i) text.append(text.empty() ? "" : " x ").append(std::to_string(sizes[std::size_t(i)]));
    return text;
  };
  const char* names[] = {"a convolution", "the gradient of a convolution's input", "the gradient of a convolution's kernel"};
  return std::string(names[int(part)]) + " of " + std::string(name(dtype)) + ": batch " + std::to_string(c.batch) + ", input " + list(c.in) + " x " + std::to_string(c.in_channels) + ", kernel " + list(c.kernel) +
         ", " + std::to_string(c.out_channels) + " channels out, " + std::to_string(c.groups) + " groups, on cuda:" + std::to_string(current_device());
}

[[noreturn]] void refuse(cudnnStatus_t status, const char* what, const std::string& call, std::string_view op) {
  char detail[256] = {};
  cudnnGetLastErrorString(detail, sizeof detail);
  const std::string text = std::string(what) + " failed with " + cudnnGetErrorString(status) + " (" + detail + ") for " + call;
  if (status == CUDNN_STATUS_NOT_INITIALIZED) throw UnavailableError(text, op);
  if (status == CUDNN_STATUS_ALLOC_FAILED) throw ResourceExhaustedError(text, op);
  if (status == CUDNN_STATUS_NOT_SUPPORTED) throw UnimplementedError(text, op);
  throw InternalError(text, op);
}

/// What throws in the name of one call.
struct Check {
  std::string call;
  std::string_view op;
  void operator()(cudnnStatus_t status, const char* what) const {
    if (status != CUDNN_STATUS_SUCCESS) refuse(status, what, call, op);
  }
};

/// One for each thread and device: cuDNN's handles are not to be shared between threads.
cudnnHandle_t handle(const Check& check) {
  struct Handles {
    std::map<int, cudnnHandle_t> by_device;
    ~Handles() {
      for (const auto& [device, each] : by_device) cudnnDestroy(each);
    }
  };
  thread_local Handles handles;
  cudnnHandle_t& each = handles.by_device[current_device()];
  if (!each) check(cudnnCreate(&each), "cudnnCreate");
  check(cudnnSetStream(each, current_stream()), "cudnnSetStream");
  return each;
}

class Descriptor {
 public:
  Descriptor(cudnnBackendDescriptorType_t type, const Check& check) : check_(&check) { check(cudnnBackendCreateDescriptor(type, &handle_), "cudnnBackendCreateDescriptor"); }
  Descriptor(Descriptor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)), check_(other.check_) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(check_, other.check_);
    return *this;
  }
  ~Descriptor() {
    if (handle_) cudnnBackendDestroyDescriptor(handle_);
  }
  cudnnBackendDescriptor_t get() const { return handle_; }
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count, const void* values) {
    (*check_)(cudnnBackendSetAttribute(handle_, name, type, count, values), "cudnnBackendSetAttribute");
  }
  void set(cudnnBackendAttributeName_t name, const Sizes& sizes) { set(name, CUDNN_TYPE_INT64, std::int64_t(sizes.size()), sizes.data()); }
  void set(cudnnBackendAttributeName_t name, std::int64_t value) { set(name, CUDNN_TYPE_INT64, 1, &value); }
  void set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    const cudnnBackendDescriptor_t each = other.handle_;
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &each);
  }
  void finalize() { (*check_)(cudnnBackendFinalize(handle_), "cudnnBackendFinalize"); }
  bool try_finalize() { return cudnnBackendFinalize(handle_) == CUDNN_STATUS_SUCCESS; }

 private:
  cudnnBackendDescriptor_t handle_ = nullptr;
  const Check* check_;
};

cudnnDataType_t data_type(DType dtype) { return dtype == float16 ? CUDNN_DATA_HALF : dtype == bfloat16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT; }

/// cuDNN counts two spatial axes at least; the first one of a line has size 1.
int spatial_axes(const Convolution& c) { return std::max(2, c.ndim); }
Sizes spatial(const Convolution& c, const std::array<std::int64_t, 3>& sizes) {
  return Sizes(sizes.begin() + (3 - spatial_axes(c)), sizes.end());
}

/// (n, channels, spatial...) in cuDNN's order of axes, channels last in memory.
Descriptor tensor(std::int64_t id, std::int64_t n, std::int64_t channels, const Sizes& space, DType dtype, const Check& check) {
  Sizes sizes{n, channels}, strides(space.size() + 2, 1);
  sizes.insert(sizes.end(), space.begin(), space.end());
  std::int64_t stride = channels;
  for (std::size_t i = sizes.size(); i-- > 2;) {
    strides[i] = stride;
    stride *= sizes[i];
  }
  strides[0] = stride;
  Descriptor result(CUDNN_BACKEND_TENSOR_DESCRIPTOR, check);
  const cudnnDataType_t type = data_type(dtype);
  result.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  result.set(CUDNN_ATTR_TENSOR_DIMENSIONS, sizes);
  result.set(CUDNN_ATTR_TENSOR_STRIDES, strides);
  result.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  result.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t(16));
  result.finalize();
  return result;
}

constexpr std::int64_t kX = 'x', kW = 'w', kY = 'y';

Descriptor window_of(const Convolution& c, const Check& check) {
  Descriptor result(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, check);
  const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  result.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
  result.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  result.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t(spatial_axes(c)));
  result.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, spatial(c, c.before));
  result.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, spatial(c, c.after));
  result.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, spatial(c, c.stride));
  result.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, spatial(c, c.dilation));
  result.finalize();
  return result;
}

struct Names {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t alpha, beta, window, x, w, y;
};
Names names_of(ConvolutionPart part) {
  switch (part) {
    case ConvolutionPart::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
    case ConvolutionPart::input:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
    default:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
  }
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
  constexpr std::int64_t kMost = 16;
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

constexpr std::int64_t kMostWorkspace = std::int64_t(256) << 20;

}  // namespace

struct BoundConvolution::Plan {
  explicit Plan(Check named) : check(std::move(named)) {}
  Check check;  // what the descriptors throw by
  std::optional<Descriptor> config, plan;
  std::int64_t workspace = 0;
};

namespace {

std::shared_ptr<const BoundConvolution::Plan> make_plan(const Convolution& c, ConvolutionPart part, DType dtype, std::string_view op) {
  auto result = std::make_shared<BoundConvolution::Plan>(Check{describe(c, part, dtype), op});
  const Check& check = result->check;
  const Descriptor x = tensor(kX, c.batch, c.in_channels, spatial(c, c.in), dtype, check), w = tensor(kW, c.out_channels, c.in_channels / c.groups, spatial(c, c.kernel), dtype, check),
                   y = tensor(kY, c.batch, c.out_channels, spatial(c, c.out), dtype, check), window = window_of(c, check);
  const Names names = names_of(part);
  Descriptor operation(names.type, check);
  const float one = 1, zero = 0;
  operation.set(names.window, window);
  operation.set(names.x, x);
  operation.set(names.w, w);
  operation.set(names.y, y);
  operation.set(names.alpha, CUDNN_TYPE_FLOAT, 1, &one);
  operation.set(names.beta, CUDNN_TYPE_FLOAT, 1, &zero);
  if (!operation.try_finalize()) return nullptr;
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, check);
  const cudnnHandle_t library = handle(check);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
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
      if (result->workspace > kMostWorkspace) continue;
      result->config = std::move(config);  // cuDNN does not say that a plan outlives it
      result->plan = std::move(plan);
      return result;
    }
  return nullptr;
}

}  // namespace

std::optional<BoundConvolution> BoundConvolution::find(const Convolution& c, ConvolutionPart part, DType dtype, std::string_view op) {
  static std::mutex mutex;
  static auto* plans = new std::map<Sizes, std::shared_ptr<const Plan>>;
  Sizes key{current_device(), std::int64_t(part), std::int64_t(dtype), deterministic(), c.batch, c.in_channels, c.out_channels, c.groups, c.ndim};
  for (const auto* sizes : {&c.in, &c.kernel, &c.stride, &c.dilation, &c.before, &c.after}) key.insert(key.end(), sizes->begin(), sizes->end());
  const std::lock_guard lock(mutex);
  auto found = plans->find(key);
  if (found == plans->end()) found = plans->emplace(key, make_plan(c, part, dtype, op)).first;
  if (!found->second) return std::nullopt;
  BoundConvolution result;
  result.plan_ = found->second;
  return result;
}

std::size_t BoundConvolution::workspace_bytes() const { return std::size_t(plan_->workspace); }

void BoundConvolution::enqueue(const void* x, const void* kernel, const void* y, void* workspace) const {
  const Check& check = plan_->check;
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, check);
  const void* pointers[] = {x, kernel, y};
  const std::int64_t ids[] = {kX, kW, kY};
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, ids);
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finalize();
  check(cudnnBackendExecute(handle(check), plan_->plan->get(), pack.get()), "cudnnBackendExecute");
}

}  // namespace lockstep::cuda

#endif

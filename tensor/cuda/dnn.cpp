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

#include <lockstep/tensor/cuda/dnn_graph.h>

namespace lockstep::cuda {
namespace {

using dnn::Check;
using dnn::data_type;
using dnn::Descriptor;
using dnn::Sizes;
using window::Convolution;

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

std::shared_ptr<const dnn::Plan> make_plan(const Convolution& c, ConvolutionPart part, DType dtype, const Check& check) {
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
  return dnn::plan_for({&operation, 1}, dtype, check);
}

}  // namespace

std::optional<BoundConvolution> BoundConvolution::find(const Convolution& c, ConvolutionPart part, DType dtype, std::string_view op) {
  static std::mutex mutex;
  static auto* plans = new std::map<Sizes, std::shared_ptr<const dnn::Plan>>;
  Sizes key{current_device(), std::int64_t(part), std::int64_t(dtype), deterministic(), c.batch, c.in_channels, c.out_channels, c.groups, c.ndim};
  for (const auto* sizes : {&c.in, &c.kernel, &c.stride, &c.dilation, &c.before, &c.after}) key.insert(key.end(), sizes->begin(), sizes->end());
  const std::lock_guard lock(mutex);
  auto found = plans->find(key);
  if (found == plans->end()) {
    const Check check{describe(c, part, dtype), op};
    found = plans->emplace(key, dnn::plan_or_warning(check, [&] { return make_plan(c, part, dtype, check); })).first;
  }
  if (!found->second) return std::nullopt;
  BoundConvolution result;
  result.plan_ = found->second;
  return result;
}

std::size_t BoundConvolution::workspace_bytes() const { return std::size_t(plan_->workspace); }

void BoundConvolution::enqueue(const void* x, const void* kernel, const void* y, void* workspace) const {
  const void* pointers[] = {x, kernel, y};
  const std::int64_t ids[] = {kX, kW, kY};
  dnn::enqueue(*plan_, ids, pointers, workspace);
}

}  // namespace lockstep::cuda

#endif

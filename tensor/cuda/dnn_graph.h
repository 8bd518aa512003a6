#pragma once
// cuDNN's graph interface, as far as dnn.cpp and dnn_attention.cpp share it: descriptors, and the choice of a plan. Private to them.

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <cudnn.h>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/warning.h>
#include <lockstep/tensor/cuda/kernel.h>

namespace lockstep::cuda::dnn {

using Sizes = std::vector<std::int64_t>;

/// What throws in the name of one call.
struct Check {
  std::string call;
  std::string_view op;
  void operator()(cudnnStatus_t status, const char* what) const;
};

/// The current device's handle, with current_stream(), for as long as this lives: cuDNN's handles serve one thread at a time. (Not one for each thread:
/// cudnnCreate allocates, which a thread must not do that captures a graph.)
class Handle {
 public:
  explicit Handle(const Check& check);
  cudnnHandle_t get() const { return handle_; }

 private:
  std::unique_lock<std::mutex> lock_;
  cudnnHandle_t handle_ = nullptr;
};

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

inline cudnnDataType_t data_type(DType dtype) { return dtype == float16 ? CUDNN_DATA_HALF : dtype == bfloat16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT; }

/// What cuDNN runs for a graph of operations.
struct Plan {
  explicit Plan(Check named) : check(std::move(named)) {}
  Check check;  // what the descriptors throw by
  std::optional<Descriptor> config, plan;
  std::int64_t workspace = 0;
};

/// The first of cuDNN's plans for these operations that may be used: deterministic where that is asked for, without TF32 for float32 unless that was
/// chosen, with a workspace of no more than `most_workspace` bytes. Null if there is none.
std::shared_ptr<const Plan> plan_for(std::span<const Descriptor> operations, DType dtype, Check check, std::int64_t most_workspace = std::int64_t(256) << 20);

/// What `make` gives; null, with a warning, where cuDNN fails at what it is asked: other kernels compute then.
template <class Make>
std::shared_ptr<const Plan> plan_or_warning(const Check& check, const Make& make) {
  try {
    return make();
  } catch (const InternalError& error) {
    warn(check.op, error.what());
  } catch (const UnimplementedError& error) {
    warn(check.op, error.what());
  }
  return nullptr;
}

/// Enqueues a plan with the memory of its tensors (numbers that are given by value: on the host).
void enqueue(const Plan& plan, std::span<const std::int64_t> ids, std::span<const void* const> pointers, void* workspace);

}  // namespace lockstep::cuda::dnn

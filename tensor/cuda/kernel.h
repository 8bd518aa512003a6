#pragma once
// What a family of CUDA kernels sees of the plug-in: how it lists its kernels, where it enqueues work, where it gets memory. The same sources
// are compiled twice: by nvcc for GPUs, and with LOCKSTEP_CUDA_EMULATED as plain C++ whose "device" is memory of this process, so that what
// surrounds the arithmetic can be tested on a machine without a GPU.

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include <lockstep/tensor/op.h>

#ifdef LOCKSTEP_CUDA_EMULATED
struct CUstream_st;
#else
#include <cuda_runtime_api.h>
#endif

namespace lockstep::cuda {

/// cudaStream_t; in the emulation a queue of closures.
using Stream = CUstream_st*;

/// The CUDA kernel of the row of that name: `bind` where the row has `cpu`, `dynamic` where it has `cpu_dynamic`.
///
/// A bound kernel only enqueues on current_stream(). It never waits for the device, never reads an element on the host and never allocates (it takes
/// a Workspace when it is bound), so that a whole call can be captured into one CUDA graph; what it captures by value (numbers, shapes) is fixed then.
/// A dynamic kernel may wait: it makes its results by Tensor::empty(shape, dtype, operand.device()) and reads counts through copy_to_host.
struct Kernel {
  std::string_view op;
  BoundKernel (*bind)(const BindContext&) = nullptr;
  Tensors (*dynamic)(const OpCall&, std::span<const Tensor>) = nullptr;
};

/// All families, listed explicitly in kernels/table.cpp; each is a function of its own that returns its kernels.
std::span<const std::span<const Kernel>> kernel_families();

/// Where this thread enqueues: the compute stream of its device, or the stream that a graph is being captured from.
Stream current_stream();
/// Number of the GPU that this thread works on. Bound kernels are bound and called with it current.
int current_device();
/// Of current_device(): 80, 90, ...; 0 in the emulation.
int compute_capability();
/// Must results be the same bits in every run (see op_determinism in device.h)? Our kernels' are; of the libraries' algorithms some are then passed over.
bool deterministic();
/// May float32 products and convolutions round their operands to TF32? The environment's LOCKSTEP_TF32=1 says so.
bool use_tf32();

/// Memory of a bound kernel for the time between its own launches: taken when it is bound, kept in the closure. Kernels of one executable share the
/// largest one, for they run one after the other on one stream; so its contents do not outlast a call, and a kernel takes one Workspace and cuts it up.
/// Copies name the same memory. Aligned to 256 bytes.
class Workspace {
 public:
  struct Block;
  Workspace() = default;
  explicit Workspace(std::size_t nbytes);
  /// Null if nothing was asked for. To be called when the kernel runs, not when it is bound.
  void* data() const;

 private:
  std::shared_ptr<Block> block_;
};

/// Enqueues a copy between device memory and device memory of current_device().
void copy_on_device(void* to, const void* from, std::size_t nbytes);
/// Enqueues setting every byte.
void fill_bytes(void* to, int byte, std::size_t nbytes);
/// For dynamic kernels: copies and waits.
void copy_to_host(void* to, const void* from, std::size_t nbytes);
/// Copies to the device what may be gone when the call returns (shapes, strides, pointers of a dynamic kernel). Not to be captured.
void copy_to_device(void* to, const void* from, std::size_t nbytes);
/// Small constants that a bound kernel needs on the device (strides of many dimensions): made when it is bound, alive with the closure.
class Constants {
 public:
  Constants() = default;
  Constants(const void* data, std::size_t nbytes);
  const void* data() const { return block_.get(); }

 private:
  std::shared_ptr<const void> block_;
};

#ifdef LOCKSTEP_CUDA_EMULATED
/// The emulation's launch: `work` runs on the host when somebody waits for the stream (or waits for what was enqueued behind it), and only then may
/// device memory be touched; everywhere else a touch is a segmentation fault. What it throws comes out where somebody waits.
void enqueue(std::function<void()> work);
#else
/// Throws the typed error for a failed call, naming it: ResourceExhaustedError for memory, UnavailableError for a missing or lost device.
void check(cudaError_t code, const char* what);
#endif

}  // namespace lockstep::cuda

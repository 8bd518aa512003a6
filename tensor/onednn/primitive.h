#pragma once
// oneDNN primitives as bound calls. Private to the CPU kernels: the only place that knows memory objects and scratchpads.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <dnnl.hpp>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/small_vector.h>
#include <lockstep/tensor/dtype.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/shape.h>

namespace lockstep::onednn {

/// The CPU engine, one for the process.
const dnnl::engine& engine();

/// A primitive with its memory objects. Safe to run from several threads: one at a time uses the objects it keeps, others make
/// their own for the moment.
class Primitive {
 public:
  using Arguments = std::vector<std::pair<int, dnnl::memory::desc>>;
  Primitive(dnnl::primitive primitive, Arguments arguments, dnnl::memory::desc scratchpad);
  /// Pointers in the order of the arguments. Throws InternalError with oneDNN's words.
  void run(std::initializer_list<const void*> pointers) { run(std::data(pointers), pointers.size()); }
  void run(const void* const* pointers, std::size_t count);
  const dnnl::memory::desc& desc(std::size_t argument) const { return arguments_[argument].second; }

 private:
  dnnl::primitive primitive_;
  Arguments arguments_;
  dnnl::memory::desc scratchpad_;
  std::vector<dnnl::memory> memories_;  // one per argument, then the scratchpad's if it has one
  std::atomic_flag busy_;
};

/// What a primitive depends on: the kind, sizes, strides, dtypes, options.
using Key = SmallVector<std::int64_t, 32>;

/// The primitive of that key from this thread's cache, or a new one.
std::shared_ptr<Primitive> cached(const Key& key, const std::function<std::shared_ptr<Primitive>()>& make);

/// Attributes with a scratchpad of the caller's.
dnnl::primitive_attr attributes();

/// Lets the primitive end with "relu", "tanh", "sigmoid" or "gelu"; "none" adds nothing.
void append_activation(dnnl::primitive_attr& attributes, const std::string& activation);
/// A new primitive that copies from one layout to another.
std::shared_ptr<Primitive> reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);

/// Has this processor bfloat16 primitives (AVX-512)? Without them bfloat16 ops are bound by in_float32.
bool has_bfloat16();
/// The op's CPU kernel bound as if its bfloat16 operands and results were float32, with conversions before and after.
BoundKernel in_float32(const BindContext& context);

dnnl::memory::data_type data_type(DType dtype);
/// Row-major.
dnnl::memory::desc dense(const dnnl::memory::dims& dims, DType dtype);
dnnl::memory::desc strided(const dnnl::memory::dims& dims, const dnnl::memory::dims& strides, DType dtype);

/// Calls `f`, translating oneDNN's exceptions into InternalError.
template <class F>
decltype(auto) translating(F&& f) {
  try {
    return f();
  } catch (const dnnl::error& error) {
    throw InternalError(std::string("oneDNN: ") + error.what());
  }
}

}  // namespace lockstep::onednn

#pragma once
// Tensor: an immutable value of a dtype and a shape. The object is one pointer to a reference-counted body; the elements of a
// fresh tensor follow the body in the same block, so that creating one is a single allocation.

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/tensor/base/small_vector.h>
#include <lockstep/tensor/device.h>
#include <lockstep/tensor/dtype.h>
#include <lockstep/tensor/index.h>
#include <lockstep/tensor/scalar.h>
#include <lockstep/tensor/shape.h>

namespace lockstep {

/// Dtype and shape: what is known of a value before it exists.
struct TensorSpec {
  DType dtype = float32;
  Shape shape;
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};
/// "float32 (2, 3)"
std::string to_string(const TensorSpec& spec);

class Tensor;
/// Operands or results of an op.
using Tensors = SmallVector<Tensor, 4>;

/// Position of a symbolic tensor in the trace that made it (see autodiff/function.h): the trace's number, never given twice, and 0
/// for a tensor with data.
struct Symbol {
  std::uint64_t trace = 0;
  int value = -1;
};

/// An immutable, row-major, contiguous value on one device. Copies share the elements; thread-safe to read and copy.
/// A default-constructed Tensor is undefined: only defined() may be asked of it.
class Tensor {
 public:
  Tensor() noexcept = default;
  Tensor(const Tensor& other) noexcept : body_(other.body_) {
    if (body_) body_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Tensor(Tensor&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
  Tensor& operator=(const Tensor& other) noexcept {
    Tensor(other).swap(*this);
    return *this;
  }
  Tensor& operator=(Tensor&& other) noexcept {
    Tensor(std::move(other)).swap(*this);
    return *this;
  }
  ~Tensor() {
    if (body_ && body_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(body_);
  }
  void swap(Tensor& other) noexcept { std::swap(body_, other.body_); }

  /// A tensor with uninitialized elements (empty strings for string), to be filled through mutable_raw() before it is shared.
  static Tensor empty(const Shape& shape, DType dtype);
  /// As empty, in the memory of `device`; on a GPU only kernels fill it. Throws TypeError for strings on a GPU, ResourceExhaustedError.
  static Tensor empty(const Shape& shape, DType dtype, Device device);
  /// The same elements under another shape with as many elements; no copy.
  static Tensor view(const Tensor& base, const Shape& shape);
  /// `numel(shape)` elements of `base` from element `offset` on; no copy.
  static Tensor view(const Tensor& base, const Shape& shape, std::int64_t offset);
  /// Memory owned by somebody else; `release` runs when the last tensor that uses it dies. `data` must be aligned to itemsize.
  static Tensor borrow(void* data, const Shape& shape, DType dtype, std::function<void()> release, Device device = {});
  /// A value inside a trace, on the device that the traced function will run on. Only the tracer makes these.
  static Tensor symbolic(const TensorSpec& spec, Symbol symbol);

  bool defined() const noexcept { return body_ != nullptr; }
  DType dtype() const { return body_->spec.dtype; }
  const Shape& shape() const { return body_->spec.shape; }
  const TensorSpec& spec() const { return body_->spec; }
  Device device() const { return body_->device; }
  int ndim() const { return shape().ndim(); }
  std::int64_t numel() const { return shape().numel(); }
  std::size_t nbytes() const { return std::size_t(numel()) * itemsize(dtype()); }
  /// True inside a trace: there are no elements to look at.
  bool is_symbolic() const { return body_->symbol.trace != 0; }
  Symbol symbol() const { return body_->symbol; }
  /// Unique among all tensors of the process; a view has an id of its own. The tape's key.
  std::uint64_t id() const { return body_->id; }
  /// Do no other tensors share these elements?
  bool unique() const { return body_->references.load(std::memory_order_acquire) == 1 && !body_->base && !body_->release; }

  /// The elements. Throws TypeError if T is not the element type, FailedPreconditionError for a symbolic tensor. Of a tensor on a GPU it is a copy on
  /// the host, made by the first call (which waits for the device) and kept as long as the tensor.
  template <class T>
  std::span<const T> data() const {
    require_data(dtype_of<T>);
    return {static_cast<const T*>(host_raw()), std::size_t(numel())};
  }
  /// The only element. Throws as data() does, and InvalidArgumentError unless there is exactly one.
  template <class T>
  T item() const {
    require_single();
    return data<T>()[0];
  }
  /// A copy as std::vector, in row-major order.
  template <class T>
  std::vector<T> to_vector() const {
    const auto values = data<T>();
    return {values.begin(), values.end()};
  }
  /// Where the elements lie in the memory of device().
  const void* raw() const { return body_->data; }
  /// The elements, or their copy on the host as data() makes it.
  const void* host_raw() const { return body_->device.is_cpu() ? body_->data : mirror(); }
  /// For filling a tensor that nobody else has seen yet.
  void* mutable_raw() {
    if (body_->mirror.load(std::memory_order_relaxed)) [[unlikely]] forget_mirror();
    return body_->data;
  }
  template <class T>
  T* mutable_data() {
    require_data(dtype_of<T>);
    return static_cast<T*>(body_->data);
  }

  /// NumPy-like indexing: `t[1]`, `t[{all, slice(1)}]`, `t[{ellipsis, 1, newaxis}]`. Throws IndexError out of range.
  Tensor operator[](std::initializer_list<Index> spec) const;
  Tensor operator[](const Index& index) const { return (*this)[{index}]; }

 private:
  struct Body {
    std::atomic<std::int32_t> references{1};
    Device device;
    TensorSpec spec;
    void* data = nullptr;
    std::uint64_t id = 0;
    std::size_t block_nbytes = 0;
    Symbol symbol;
    Body* base = nullptr;  // owner of the elements, for views
    std::atomic<Body*> mirror{nullptr};  // of a tensor on a GPU: the copy on the host that data() gave out
    std::unique_ptr<std::function<void()>> release;
  };
  explicit Tensor(Body* body) noexcept : body_(body) {}
  static Body* new_body(std::size_t element_bytes);
  static void destroy(Body* body) noexcept;
  void require_data(DType wanted) const;
  void require_single() const;
  const void* mirror() const;
  void forget_mirror() noexcept;

  Body* body_ = nullptr;
};

/// The tensor on `device`: itself if it lives there, else a copy; from a GPU this waits. Inside a trace a value is where its function runs, and asking
/// for another device throws UnimplementedError. No op: tapes see a copy as another tensor. Throws TypeError for strings on a GPU. (tf.identity under tf.device)
Tensor to(const Tensor& tensor, Device device);
/// The tensor on the thread's default_device(); strings stay where they are.
Tensor placed(Tensor tensor);

/// A 0-d tensor of `dtype` on the default device. Throws InvalidArgumentError if the literal does not fit (1.5 as int32, 300 as int8).
Tensor scalar(const Scalar& value, DType dtype);
/// A tensor of zeros or of one value on the default device; no op, so nothing is recorded.
Tensor full(const Shape& shape, const Scalar& value, DType dtype);

/// Arithmetic on tensors of one dtype, broadcasting; a literal takes the tensor's dtype (`t + 10`), or throws
/// InvalidArgumentError if it does not fit (an int32 tensor + 1.5). Comparisons are the functions equal, less, ...
Tensor operator+(const Tensor& x, const Tensor& y);
Tensor operator-(const Tensor& x, const Tensor& y);
Tensor operator*(const Tensor& x, const Tensor& y);
Tensor operator/(const Tensor& x, const Tensor& y);
Tensor operator-(const Tensor& x);
Tensor operator+(const Tensor& x, const Scalar& y);
Tensor operator-(const Tensor& x, const Scalar& y);
Tensor operator*(const Tensor& x, const Scalar& y);
Tensor operator/(const Tensor& x, const Scalar& y);
Tensor operator+(const Scalar& x, const Tensor& y);
Tensor operator-(const Scalar& x, const Tensor& y);
Tensor operator*(const Scalar& x, const Tensor& y);
Tensor operator/(const Scalar& x, const Tensor& y);
Tensor operator<(const Tensor& x, const Tensor& y);
Tensor operator<=(const Tensor& x, const Tensor& y);
Tensor operator>(const Tensor& x, const Tensor& y);
Tensor operator>=(const Tensor& x, const Tensor& y);
Tensor operator<(const Tensor& x, const Scalar& y);
Tensor operator<=(const Tensor& x, const Scalar& y);
Tensor operator>(const Tensor& x, const Scalar& y);
Tensor operator>=(const Tensor& x, const Scalar& y);

}  // namespace lockstep

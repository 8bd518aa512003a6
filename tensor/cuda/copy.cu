#include <lockstep/tensor/cuda/copy.h>

#include <lockstep/tensor/cuda/launch.h>

namespace lockstep::cuda {
namespace {

/// Element i of the walk.
template <class T>
struct CopyElement {
  int ndim;
  bool narrow;
  Dims size, from_stride, to_stride;
  const T* from;
  T* to;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    std::int64_t a = 0, b = 0;
    for (int axis = ndim - 1; axis >= 0; --axis) {
      const std::int64_t quotient = axis == 0 ? 0 : narrow ? std::int64_t(std::uint32_t(i) / std::uint32_t(size[axis])) : i / size[axis];
      const std::int64_t k = i - quotient * size[axis];
      i = quotient;
      a += k * from_stride[axis];
      b += k * to_stride[axis];
    }
    to[b] = from[a];
  }
};

/// A transposition of planes through 32 x 32 tiles in shared memory, so that reads and writes are both of neighbours.
template <class T>
struct Planes {
  std::int64_t planes, rows, columns;  // of the result; the operand's rows are its columns
  std::int64_t from_plane, from_column, to_plane, to_row;
  const T* from;
  T* to;
};
constexpr int kTile = 32;

#ifdef LOCKSTEP_CUDA_EMULATED
template <class T>
void run_planes(const Planes<T>& p) {
  for_each(p.planes * p.rows * p.columns, [p](std::int64_t i) {
    const std::int64_t plane = i / (p.rows * p.columns), row = i / p.columns % p.rows, column = i % p.columns;
    p.to[plane * p.to_plane + row * p.to_row + column] = p.from[plane * p.from_plane + row + column * p.from_column];
  });
}
#else
template <class T>
__global__ void transpose_planes(Planes<T> p) {
  __shared__ T tile[kTile][kTile + 1];
  const std::int64_t rows = (p.rows + kTile - 1) / kTile, columns = (p.columns + kTile - 1) / kTile;
  for (std::int64_t b = blockIdx.x; b < p.planes * rows * columns; b += gridDim.x) {
    const std::int64_t plane = b / (rows * columns), r0 = b / columns % rows * kTile, c0 = b % columns * kTile;
    for (int k = int(threadIdx.y); k < kTile; k += int(blockDim.y))
      if (c0 + k < p.columns && r0 + threadIdx.x < p.rows) tile[k][threadIdx.x] = p.from[plane * p.from_plane + (c0 + k) * p.from_column + r0 + threadIdx.x];
    __syncthreads();
    for (int k = int(threadIdx.y); k < kTile; k += int(blockDim.y))
      if (r0 + k < p.rows && c0 + threadIdx.x < p.columns) p.to[plane * p.to_plane + (r0 + k) * p.to_row + c0 + threadIdx.x] = tile[threadIdx.x][k];
    __syncthreads();
  }
}
template <class T>
void run_planes(const Planes<T>& p) {
  const std::int64_t blocks = p.planes * ((p.rows + kTile - 1) / kTile) * ((p.columns + kTile - 1) / kTile);
  launch("a transposition", transpose_planes<T>, blocks, dim3(kTile, 8), p);
}
#endif

template <class T>
void copy_elements(const StridedCopy& copy, const T* from, T* to) {
  from += copy.from_offset;
  to += copy.to_offset;
  const int n = copy.shape.ndim();
  const auto f = [&](int axis) { return copy.from[std::size_t(axis)]; };
  const auto t = [&](int axis) { return copy.to[std::size_t(axis)]; };
  if (n == 0 || (n == 1 && f(0) == 1 && t(0) == 1)) return copy_on_device(to, from, std::size_t(copy.shape.numel()) * sizeof(T));
  if ((n == 2 || n == 3) && t(n - 1) == 1 && f(n - 2) == 1 && copy.shape[n - 1] >= 8 && copy.shape[n - 2] >= 8) {
    run_planes(Planes<T>{n == 3 ? copy.shape[0] : 1, copy.shape[n - 2], copy.shape[n - 1], n == 3 ? f(0) : 0, f(n - 1), n == 3 ? t(0) : 0, t(n - 2), from, to});
    return;
  }
  const std::int64_t count = copy.shape.numel();
  for_each(count, CopyElement<T>{n, count < (std::int64_t(1) << 31), dims_of(copy.shape), dims_of(copy.from), dims_of(copy.to), from, to});
}

template <class T>
struct FillElement {
  T value;
  T* to;
  LOCKSTEP_HD void operator()(std::int64_t i) const { to[i] = value; }
};

}  // namespace

void enqueue_copy(const StridedCopy& copy, DType dtype, const void* from, void* to) {
  if (copy.shape.numel() == 0) return;
  visit_size<void>(dtype, "copy", [&]<class T>(TypeTag<T>) { copy_elements(copy, static_cast<const T*>(from), static_cast<T*>(to)); });
}

BoundKernel bind_copy(const BindContext& context, const StridedCopy& copy) {
  const DType dtype = context.dtype_of(0);
  refuse_strings(dtype, context.op().name);
  return [copy = simplified(copy), dtype](Inputs in, Outputs out) { enqueue_copy(copy, dtype, in[0], out[0]); };
}

void enqueue_fill(std::int64_t count, const void* element, std::size_t itemsize, void* to) {
  const std::byte* bytes = static_cast<const std::byte*>(element);
  if (std::all_of(bytes, bytes + itemsize, [](std::byte each) { return each == std::byte{}; })) {
    if (count > 0) fill_bytes(to, 0, std::size_t(count) * itemsize);
    return;
  }
  visit_itemsize<void>(itemsize, [&]<class T>(TypeTag<T>) {
    FillElement<T> fill{{}, static_cast<T*>(to)};
    std::memcpy(&fill.value, element, sizeof(T));
    for_each(count, fill);
  });
}

ElementBits element_bits(const Scalar& value, DType dtype) {
  ElementBits bits{};
  const DeviceScope host{Device()};
  const Tensor element = scalar(value, dtype);
  std::memcpy(bits.at, element.raw(), itemsize(dtype));
  return bits;
}

}  // namespace lockstep::cuda

// Shape and arrangement.

#include <lockstep/tensor/cuda/copy.h>
#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/launch.h>
#include <lockstep/tensor/ops/array.h>

namespace lockstep::cuda {
namespace {

BoundKernel transpose(const BindContext& context) { return bind_copy(context, array::transpose_walk(context, context.shape(0), context.output(0).shape)); }
BoundKernel broadcast(const BindContext& context) { return bind_copy(context, array::broadcast_walk(context.shape(0), context.output(0).shape)); }
BoundKernel reverse(const BindContext& context) { return bind_copy(context, array::reverse_walk(context, context.shape(0))); }

/// Element i of the result from the element of the operand that `source` names for each axis.
template <class T, class Source>
struct Rearranged {
  int ndim;
  Dims size, stride;  // of the result, of the operand
  Source source;
  T otherwise;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    std::int64_t rest = i, at = 0;
    for (int axis = ndim - 1; axis >= 0; --axis) {
      const std::int64_t quotient = rest / size[axis], k = source(axis, rest - quotient * size[axis]);
      rest = quotient;
      if (k < 0) {
        z[i] = otherwise;
        return;
      }
      at += k * stride[axis];
    }
    z[i] = x[at];
  }
};
template <class Source>
BoundKernel bind_rearranged(const BindContext& context, const Source& source, const ElementBits& otherwise = {}) {
  const Shape &from = context.shape(0), &to = context.output(0).shape;
  return visit_size(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    Rearranged<T, Source> run{to.ndim(), dims_of(to), dims_of(row_major_strides(from)), source, {}, nullptr, nullptr};
    std::memcpy(&run.otherwise, otherwise.at, sizeof(T));
    return [run, count = to.numel()](Inputs in, Outputs out) {
      Rearranged<T, Source> now = run;
      now.x = static_cast<const T*>(in[0]);
      now.z = static_cast<T*>(out[0]);
      for_each(count, now);
    };
  });
}

struct TileSource {
  Dims size;
  LOCKSTEP_HD std::int64_t operator()(int axis, std::int64_t k) const { return k % size[axis]; }
};
BoundKernel tile(const BindContext& context) { return bind_rearranged(context, TileSource{dims_of(context.shape(0))}); }

struct RollSource {
  Dims size, shift;
  LOCKSTEP_HD std::int64_t operator()(int axis, std::int64_t k) const { return k < shift[axis] ? k - shift[axis] + size[axis] : k - shift[axis]; }
};
BoundKernel roll(const BindContext& context) {
  return bind_rearranged(context, RollSource{dims_of(context.shape(0)), dims_of(array::roll_shift(context, context.shape(0)))});
}

struct PadSource {
  Dims before, size;
  array::PadMode mode;
  LOCKSTEP_HD std::int64_t operator()(int axis, std::int64_t k) const { return array::padded_source(k, before[axis], size[axis], mode); }
};
BoundKernel pad(const BindContext& context) {
  const IntLists& paddings = context.int_lists("paddings");
  PadSource source{{}, dims_of(context.shape(0)), array::pad_mode(context)};
  for (std::size_t i = 0; i < paddings.size(); ++i) source.before.at[i] = paddings[i][0];
  const DType dtype = context.dtype_of(0);
  const double constant = context.number("constant_value");
  const Scalar value = is_float(dtype) || is_complex(dtype) ? Scalar(constant) : dtype == boolean ? Scalar(constant != 0) : Scalar(std::int64_t(constant));
  return bind_rearranged(context, source, source.mode == array::PadMode::constant ? element_bits(value, dtype) : ElementBits{});
}

template <class T>
struct RepeatRow {
  std::int64_t rows, count, inner;  // of the operand, of the result
  const std::int64_t* source;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t line = i / inner, outer = line / count;
    z[i] = x[(outer * rows + source[line - outer * count]) * inner + (i - line * inner)];
  }
};
BoundKernel repeat(const BindContext& context) {
  const auto [shape, axis] = array::repetition(context, context.shape(0));
  std::int64_t inner = 1;
  for (int i = axis + 1; i < shape.ndim(); ++i) inner *= shape[i];
  const std::int64_t numel = context.output(0).shape.numel(), rows = shape[axis];
  if (numel == 0) return [](Inputs, Outputs) {};
  const Ints source = array::repeated_rows(context, rows);
  return visit_size(context.dtype_of(0), "repeat", [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, count = std::int64_t(source.size()), ids = Constants(source.data(), source.size() * sizeof(std::int64_t))](Inputs in, Outputs out) {
      for_each(numel, RepeatRow<T>{rows, count, inner, static_cast<const std::int64_t*>(ids.data()), static_cast<const T*>(in[0]), static_cast<T*>(out[0])});
    };
  });
}

constexpr Kernel kArrayKernels[] = {
    {"transpose", transpose}, {"tile", tile}, {"repeat", repeat}, {"broadcast_to", broadcast}, {"broadcast_like", broadcast},
    {"reverse", reverse},     {"roll", roll}, {"pad", pad},
};

}  // namespace

std::span<const Kernel> array_kernels() { return kArrayKernels; }

}  // namespace lockstep::cuda

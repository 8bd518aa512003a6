// Tensors from sizes and values, and matrices by their diagonals.

#include <lockstep/tensor/cuda/copy.h>
#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/launch.h>
#include <lockstep/tensor/ops/create.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep::cuda {
namespace {

template <class T>
struct RangeElement {
  std::int64_t whole_start, whole_delta;
  double start, delta;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    if constexpr (kWhole<T>) {
      z[i] = static_cast<T>(std::uint64_t(whole_start) + std::uint64_t(i) * std::uint64_t(whole_delta));
    } else {
      using C = compute_t<T>;
      z[i] = stored<T>(C(start) + C(i) * C(delta));
    }
  }
};
BoundKernel range(const BindContext& context) {
  const std::int64_t count = context.output(0).shape[0];
  const Scalar start = context.scalar("start"), delta = context.scalar("delta");
  return visit<kReal.bits>(context.output(0).dtype, "range", [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs, Outputs out) { for_each(count, RangeElement<T>{start.integer(), delta.integer(), start.real(), delta.real(), static_cast<T*>(out[0])}); };
  });
}

template <class T>
struct LinspaceElement {
  double start, step, stop;
  std::int64_t last;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const { z[i] = stored<T>(compute_t<T>(i == last && last > 0 ? stop : start + double(i) * step)); }
};
BoundKernel linspace(const BindContext& context) {
  const std::int64_t count = context.integer("num");
  const double start = context.number("start"), stop = context.number("stop"), step = count > 1 ? (stop - start) / double(count - 1) : 0;
  return visit<kFloats.bits>(context.output(0).dtype, "linspace", [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs, Outputs out) { for_each(count, LinspaceElement<T>{start, step, stop, count - 1, static_cast<T*>(out[0])}); };
  });
}

BoundKernel bind_fill(const Scalar& value, DType dtype, std::int64_t count) {
  return [bits = element_bits(value, dtype), size = itemsize(dtype), count](Inputs, Outputs out) { enqueue_fill(count, bits.at, size, out[0]); };
}
BoundKernel fill(const BindContext& context) {
  const DType dtype = context.output(0).dtype;
  return bind_fill(fitted(context, "value", dtype), dtype, context.output(0).shape.numel());
}
template <int Value>
BoundKernel like(const BindContext& context) {
  const DType dtype = context.dtype_of(0);
  refuse_strings(dtype, context.op().name);
  return bind_fill(dtype == boolean ? Scalar(Value != 0) : Scalar(Value), dtype, context.shape(0).numel());
}

/// Matrices (rows, columns): what stands at (r, c) comes from `x`, or is `otherwise`.
template <class T>
struct Banded {
  std::int64_t rows, columns, lower, upper;  // negative: no bound
  T otherwise;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t c = i % columns, r = i / columns % rows;
    z[i] = (lower < 0 || r - c <= lower) && (upper < 0 || c - r <= upper) ? x[i] : otherwise;
  }
};
BoundKernel band_part(const BindContext& context) {
  const Shape& shape = context.shape(0);
  return visit_size(context.dtype_of(0), "band_part", [&]<class T>(TypeTag<T>) -> BoundKernel {
    const Banded<T> band{shape[shape.ndim() - 2], shape[shape.ndim() - 1], context.integer("num_lower"), context.integer("num_upper"), T{}, nullptr, nullptr};
    return [band, count = shape.numel()](Inputs in, Outputs out) {
      Banded<T> now = band;
      now.x = static_cast<const T*>(in[0]);
      now.z = static_cast<T*>(out[0]);
      for_each(count, now);
    };
  });
}

template <class T>
struct Diagonal {
  std::int64_t rows, columns;
  T on, off;
  const T* x;  // null: `on`
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t c = i % columns, r = i / columns % rows;
    z[i] = r != c ? off : x ? x[i / (rows * columns) * rows + r] : on;
  }
};
BoundKernel bind_diagonal(DType dtype, std::string_view op, const Shape& shape, bool given) {
  return visit_size(dtype, op, [&]<class T>(TypeTag<T>) -> BoundKernel {
    Diagonal<T> diagonal{shape[shape.ndim() - 2], shape[shape.ndim() - 1], {}, {}, nullptr, nullptr};
    const ElementBits one = element_bits(dtype == boolean ? Scalar(true) : Scalar(1), dtype);
    std::memcpy(&diagonal.on, one.at, sizeof(T));
    return [diagonal, given, count = shape.numel()](Inputs in, Outputs out) {
      Diagonal<T> now = diagonal;
      if (given) now.x = static_cast<const T*>(in[0]);
      now.z = static_cast<T*>(out[0]);
      for_each(count, now);
    };
  });
}
BoundKernel eye(const BindContext& context) { return bind_diagonal(context.output(0).dtype, "eye", context.output(0).shape, false); }
BoundKernel diag(const BindContext& context) { return bind_diagonal(context.dtype_of(0), "diag", context.output(0).shape, true); }

BoundKernel diag_part(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const std::int64_t rows = shape[shape.ndim() - 2], columns = shape[shape.ndim() - 1], n = std::min(rows, columns);
  const std::int64_t batch = n ? context.output(0).shape.numel() / n : 0;
  return bind_copy(context, {.shape = Shape{batch, n}, .from = {rows * columns, columns + 1}, .to = {n, 1}});
}

template <class T>
struct OneHot {
  std::int64_t depth, inner;
  const void* indices;
  DType dtype;
  T on, off;
  T* z;
  LOCKSTEP_HD std::int64_t index(std::int64_t i) const {
    switch (dtype) {
      case DType::int8: return static_cast<const std::int8_t*>(indices)[i];
      case DType::int16: return static_cast<const std::int16_t*>(indices)[i];
      case DType::int32: return static_cast<const std::int32_t*>(indices)[i];
      case DType::uint8: return static_cast<const std::uint8_t*>(indices)[i];
      case DType::uint16: return static_cast<const std::uint16_t*>(indices)[i];
      case DType::uint32: return static_cast<const std::uint32_t*>(indices)[i];
      default: return static_cast<const std::int64_t*>(indices)[i];  // a uint64 beyond int64 is negative: no class either
    }
  }
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t outer = i / (depth * inner), class_ = i / inner % depth;
    z[i] = index(outer * inner + i % inner) == class_ ? on : off;
  }
};
BoundKernel one_hot(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const DType dtype = context.output(0).dtype;
  const int axis = rules::wrap_axis(context.integer("axis"), shape.ndim() + 1);
  std::int64_t inner = 1;
  for (int i = axis; i < shape.ndim(); ++i) inner *= shape[i];
  return visit_size(dtype, "one_hot", [&]<class T>(TypeTag<T>) -> BoundKernel {
    OneHot<T> hot{context.integer("depth"), inner, nullptr, context.dtype_of(0), {}, {}, nullptr};
    const ElementBits on = element_bits(fitted(context, "on_value", dtype), dtype), off = element_bits(fitted(context, "off_value", dtype), dtype);
    std::memcpy(&hot.on, on.at, sizeof(T));
    std::memcpy(&hot.off, off.at, sizeof(T));
    return [hot, count = context.output(0).shape.numel()](Inputs in, Outputs out) {
      OneHot<T> now = hot;
      now.indices = in[0];
      now.z = static_cast<T*>(out[0]);
      for_each(count, now);
    };
  });
}

constexpr Kernel kCreateKernels[] = {
    {"range", range},         {"linspace", linspace},   {"eye", eye},   {"fill", fill},           {"zeros_like", like<0>},
    {"ones_like", like<1>}, {"band_part", band_part}, {"diag", diag}, {"diag_part", diag_part}, {"one_hot", one_hot},
};

}  // namespace

std::span<const Kernel> create_kernels() { return kCreateKernels; }

}  // namespace lockstep::cuda

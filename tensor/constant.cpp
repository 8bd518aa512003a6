#include <lockstep/tensor/constant.h>

#include <lockstep/tensor/base/error.h>

namespace lockstep {
namespace {

struct Layout {
  Shape shape;
  DType dtype = float32;
  bool any = false;
};

DType common(DType a, DType b) {
  if (a == b) return a;
  const auto rank = [](DType dtype) {
    switch (dtype) {
      case DType::int32: return 1;
      case DType::int64: return 2;
      case DType::float32: return 3;
      case DType::complex64: return 4;
      case DType::complex128: return 5;
      default: return 0;
    }
  };
  if (rank(a) == 0 || rank(b) == 0)
    throw InvalidArgumentError("braces mix " + std::string(name(a)) + " and " + std::string(name(b)), "constant");
  return rank(a) > rank(b) ? a : b;
}

/// Walks the braces; `depth` axes have been seen.
void measure(const NestedLiteral& values, int depth, bool first, Layout& layout) {
  if (!values.is_list()) {
    if (depth != layout.shape.ndim()) throw InvalidArgumentError("braces of unequal depth", "constant");
    layout.dtype = layout.any ? common(layout.dtype, values.dtype()) : values.dtype();
    layout.any = true;
    return;
  }
  const std::int64_t count = std::int64_t(values.items().size());
  if (depth == layout.shape.ndim()) {
    if (!first || layout.any) throw InvalidArgumentError("braces of unequal depth", "constant");
    layout.shape.push_back(count);
  } else if (layout.shape[depth] != count) {
    throw InvalidArgumentError("braces of unequal length: " + std::to_string(layout.shape[depth]) + " and " + std::to_string(count) +
                                   " elements along axis " + std::to_string(depth),
                               "constant");
  }
  for (std::size_t i = 0; i < values.items().size(); ++i) measure(values.items()[i], depth + 1, first && i == 0, layout);
}

template <class T>
void write(const NestedLiteral& values, DType dtype, T*& out) {
  if (values.is_list()) {
    for (const NestedLiteral& item : values.items()) write(item, dtype, out);
    return;
  }
  if constexpr (std::is_same_v<T, std::string>) {
    const auto* text = std::get_if<std::string>(&values.value());
    if (!text) throw InvalidArgumentError("a number does not fit dtype string", "constant");
    *out++ = *text;
  } else {
    const auto* number = std::get_if<Scalar>(&values.value());
    if (!number) throw InvalidArgumentError("a string does not fit dtype " + std::string(name(dtype)), "constant");
    *out++ = scalar(*number, dtype).item<T>();
  }
}

}  // namespace

namespace detail {
void require_numel(std::size_t given, const Shape& shape) {
  if (std::int64_t(given) != shape.numel())
    throw InvalidArgumentError(std::to_string(given) + " elements do not fill shape " + to_string(shape), "constant");
}
}  // namespace detail

Tensor constant(const NestedLiteral& values, std::optional<DType> dtype) {
  Layout layout;
  measure(values, 0, true, layout);
  Tensor tensor = Tensor::empty(layout.shape, dtype.value_or(layout.dtype));
  {
    const DeviceScope elements{Device()};
    visit_dtype(tensor.dtype(), [&]<class T>(TypeTag<T>) {
      T* out = static_cast<T*>(tensor.mutable_raw());
      write(values, tensor.dtype(), out);
    });
  }
  return placed(std::move(tensor));
}

Tensor zeros(const Shape& shape, DType dtype) {
  if (dtype == string) return Tensor::empty(shape, dtype);
  return full(shape, dtype == boolean ? Scalar(false) : Scalar(0), dtype);
}

Tensor ones(const Shape& shape, DType dtype) { return full(shape, dtype == boolean ? Scalar(true) : Scalar(1), dtype); }

}  // namespace lockstep

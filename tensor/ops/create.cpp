// Tensors from sizes and values, and matrices by their diagonals.

#include <algorithm>
#include <cmath>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/create.h>
#include <lockstep/tensor/ops/permute.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {

Scalar fitted(const OpCall& call, const Scalar& value, DType dtype) {
  if (dtype == boolean) return value.real() != 0;
  if (is_integer(dtype) && value.kind() == Scalar::Kind::real) {
    if (!(std::fabs(value.real()) < 0x1p63) || value.real() != std::floor(value.real())) call.refuse("the value " + to_string(value) + " does not fit " + std::string(name(dtype)));
    return fitted(call, value.integer(), dtype);
  }
  if (value.kind() == Scalar::Kind::boolean) return value.integer();
  if (!value.fits(dtype)) call.refuse("the value " + to_string(value) + " does not fit " + std::string(name(dtype)));
  return value;
}
Scalar fitted(const OpCall& call, std::string_view attr, DType dtype) { return fitted(call, call.scalar(attr), dtype); }

namespace {

using G = const GradContext&;

Shape shape_of(const InferContext& context, const Ints& sizes) {
  for (const std::int64_t size : sizes)
    if (size < 0) context.refuse("negative size " + std::to_string(size) + " in " + to_string(AttrValue(sizes)));
  return Shape(std::span<const std::int64_t>(sizes.begin(), sizes.size()));
}

/// One element for a kernel of the host's to copy, whatever the default device is.
Tensor host_scalar(const Scalar& value, DType dtype) {
  const DeviceScope host{Device()};
  return scalar(value, dtype);
}

void fill_elements(void* out, std::int64_t count, const Scalar& value, DType dtype) {
  if (dtype == string) return;
  const Tensor element = host_scalar(value, dtype);
  run_copy({.shape = Shape{count}, .from = {0}, .to = {1}}, dtype, element.raw(), out);
}

// ---- range, linspace, eye, fill

std::int64_t range_count(const InferContext& context) {
  const double start = context.number("start"), limit = context.number("limit"), delta = context.number("delta");
  const DType dtype = context.dtype("dtype");
  if (!is_integer(dtype) && !is_float(dtype)) context.refuse_type("dtype must be a float or an integer, got " + std::string(name(dtype)));
  if (delta == 0) context.refuse("delta must not be 0");
  if ((delta > 0 && start > limit) || (delta < 0 && start < limit))
    context.refuse("no step of " + to_string(context.scalar("delta")) + " leads from " + to_string(context.scalar("start")) + " to " + to_string(context.scalar("limit")));
  if (is_integer(dtype)) {
    // The limit itself is not reached, so it may lie just behind the last number of the dtype.
    const auto whole = [&](std::string_view attr) { return std::uint64_t(fitted(context, attr, attr == "start" ? dtype : int64).integer()); };
    const std::uint64_t a = whole("start"), b = whole("limit"), d = whole("delta"), distance = delta > 0 ? b - a : a - b, step = delta > 0 ? d : 0 - d;
    const std::uint64_t count = distance / step + (distance % step != 0);
    if (count > std::uint64_t(INT64_MAX)) context.refuse("the range has more than 2^63 numbers");
    if (count > 0) fitted(context, std::int64_t(a + (count - 1) * d), dtype);
    return std::int64_t(count);
  }
  const double count = std::ceil(std::fabs((limit - start) / delta));
  if (!(count < 0x1p63)) context.refuse("from " + to_string(context.scalar("start")) + " to " + to_string(context.scalar("limit")) + " by " + to_string(context.scalar("delta")) + " there is no finite number of steps");
  return std::int64_t(count);
}
void range_infer(InferContext& context) { context.output(context.dtype("dtype"), {range_count(context)}); }

BoundKernel range_cpu(const BindContext& context) {
  const DType dtype = context.output(0).dtype;
  const std::int64_t count = context.output(0).shape[0];
  const Scalar start = context.scalar("start"), delta = context.scalar("delta");
  return [=](Inputs, Outputs out) {
    visit_dtype(dtype, [&]<class T>(TypeTag<T>) {
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        for (std::int64_t i = 0; i < count; ++i) static_cast<T*>(out[0])[i] = static_cast<T>(std::uint64_t(start.integer()) + std::uint64_t(i) * std::uint64_t(delta.integer()));
      } else if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        using C = compute_t<T>;
        for (std::int64_t i = 0; i < count; ++i) static_cast<T*>(out[0])[i] = T(C(start.real()) + C(i) * C(delta.real()));
      }
    });
  };
}

void linspace_infer(InferContext& context) {
  if (context.integer("num") < 1) context.refuse("num must be at least 1, got " + std::to_string(context.integer("num")));
  if (!is_float(context.dtype("dtype"))) context.refuse_type("dtype must be a float, got " + std::string(name(context.dtype("dtype"))));
  context.output(context.dtype("dtype"), {context.integer("num")});
}

BoundKernel linspace_cpu(const BindContext& context) {
  const DType dtype = context.output(0).dtype;
  const std::int64_t count = context.integer("num");
  const double start = context.number("start"), stop = context.number("stop");
  return [=](Inputs, Outputs out) {
    visit_dtype(dtype, [&]<class T>(TypeTag<T>) {
      if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        using C = compute_t<T>;
        T* z = static_cast<T*>(out[0]);
        const double step = count > 1 ? (stop - start) / double(count - 1) : 0;
        for (std::int64_t i = 0; i < count; ++i) z[i] = T(C(start + double(i) * step));
        if (count > 1) z[count - 1] = T(C(stop));
      }
    });
  };
}

void eye_infer(InferContext& context) {
  Ints sizes = context.ints("batch_shape");
  const std::int64_t rows = context.integer("num_rows");
  sizes.push_back(rows);
  sizes.push_back(context.is_none("num_columns") ? rows : context.integer("num_columns"));
  if (context.dtype("dtype") == string) context.refuse_type("dtype must be a number or bool, got string");
  context.output(context.dtype("dtype"), shape_of(context, sizes));
}
BoundKernel eye_cpu(const BindContext& context) {
  const Shape shape = context.output(0).shape;
  const DType dtype = context.output(0).dtype;
  const std::int64_t rows = shape[shape.ndim() - 2], columns = shape[shape.ndim() - 1];
  return [=](Inputs, Outputs out) {
    const auto literal = [&](int value) { return dtype == boolean ? Scalar(value != 0) : Scalar(value); };
    fill_elements(out[0], shape.numel(), literal(0), dtype);
    const std::int64_t area = rows * columns, batch = area > 0 ? shape.numel() / area : 0;
    const Tensor one = host_scalar(literal(1), dtype);
    run_copy({.shape = Shape{batch, std::min(rows, columns)}, .from = {0, 0}, .to = {rows * columns, columns + 1}}, dtype, one.raw(), out[0]);
  };
}

void fill_infer(InferContext& context) {
  fitted(context, "value", context.dtype("dtype"));
  context.output(context.dtype("dtype"), shape_of(context, context.ints("shape")));
}
BoundKernel fill_cpu(const BindContext& context) {
  const DType dtype = context.output(0).dtype;
  return [=, value = fitted(context, "value", dtype), count = context.output(0).shape.numel()](Inputs, Outputs out) { fill_elements(out[0], count, value, dtype); };
}

template <int Value>
BoundKernel like_cpu(const BindContext& context) {
  const DType dtype = context.dtype_of(0);
  const Scalar value = dtype == boolean ? Scalar(Value != 0) : Scalar(Value);
  return [=, count = context.shape(0).numel()](Inputs, Outputs out) { fill_elements(out[0], count, value, dtype); };
}

// ---- diagonals

void matrix_infer(InferContext& context) {
  if (context.shape(0).ndim() < 2) context.refuse("needs at least two axes");
  rules::like_first(context);
}

BoundKernel band_cpu(const BindContext& context) {
  const Shape shape = context.shape(0);
  const std::int64_t rows = shape[shape.ndim() - 2], columns = shape[shape.ndim() - 1];
  const std::int64_t lower = context.integer("num_lower"), upper = std::min(context.integer("num_upper"), columns);
  const DType dtype = context.dtype_of(0);
  return [=](Inputs in, Outputs out) {
    fill_elements(out[0], shape.numel(), dtype == boolean ? Scalar(false) : Scalar(0), dtype);
    for (std::int64_t r = 0; r < shape.numel() / std::max<std::int64_t>(1, columns); ++r) {
      const std::int64_t row = r % rows;
      const std::int64_t first = lower < 0 ? 0 : std::max<std::int64_t>(0, row - lower), last = upper < 0 ? columns : std::min(columns, row + upper + 1);
      if (first < last) run_copy({.shape = Shape{last - first}, .from = {1}, .to = {1}, .from_offset = r * columns + first, .to_offset = r * columns + first}, dtype, in[0], out[0]);
    }
  };
}

void diag_infer(InferContext& context) {
  Shape shape = context.shape(0);
  if (shape.ndim() < 1 || shape.ndim() == Shape::kMaxDims) context.refuse("needs one to seven axes");
  shape.push_back(shape[shape.ndim() - 1]);
  context.output(context.dtype_of(0), shape);
}
BoundKernel diag_cpu(const BindContext& context) {
  const Shape shape = context.shape(0);
  const std::int64_t n = shape[shape.ndim() - 1], batch = n ? shape.numel() / n : 0;
  const DType dtype = context.dtype_of(0);
  return [=](Inputs in, Outputs out) {
    fill_elements(out[0], batch * n * n, dtype == boolean ? Scalar(false) : Scalar(0), dtype);
    run_copy({.shape = Shape{batch, n}, .from = {n, 1}, .to = {n * n, n + 1}}, dtype, in[0], out[0]);
  };
}

void diag_part_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  if (shape.ndim() < 2) context.refuse("needs at least two axes");
  Shape result;
  for (int i = 0; i < shape.ndim() - 2; ++i) result.push_back(shape[i]);
  result.push_back(std::min(shape[shape.ndim() - 2], shape[shape.ndim() - 1]));
  context.output(context.dtype_of(0), result);
}
BoundKernel diag_part_cpu(const BindContext& context) {
  const Shape shape = context.shape(0);
  const std::int64_t rows = shape[shape.ndim() - 2], columns = shape[shape.ndim() - 1], n = std::min(rows, columns);
  const std::int64_t batch = n ? context.output(0).shape.numel() / n : 0;
  const DType dtype = context.dtype_of(0);
  return [=](Inputs in, Outputs out) { run_copy({.shape = Shape{batch, n}, .from = {rows * columns, columns + 1}, .to = {n, 1}}, dtype, in[0], out[0]); };
}

Gradients diag_part_gradient(G context) {
  const Tensor& x = context.input(0);
  if (!x.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "diag_part");
  const std::int64_t rows = x.shape()[x.ndim() - 2], columns = x.shape()[x.ndim() - 1], n = std::min(rows, columns);
  IntLists paddings(std::size_t(x.ndim()), Ints{0, 0});
  paddings[std::size_t(x.ndim() - 2)][1] = rows - n;
  paddings[std::size_t(x.ndim() - 1)][1] = columns - n;
  const Tensor square_part = diag(context.upstream());
  return {rows == columns ? square_part : pad(square_part, paddings)};
}

// ---- one_hot

void one_hot_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  if (context.integer("depth") < 0) context.refuse("depth must not be negative, got " + std::to_string(context.integer("depth")));
  fitted(context, "on_value", context.dtype("dtype"));
  fitted(context, "off_value", context.dtype("dtype"));
  const int axis = rules::axis(context, context.integer("axis"), shape.ndim() + 1);
  Shape result;
  for (int i = 0; i <= shape.ndim(); ++i) {
    if (i == axis) result.push_back(context.integer("depth"));
    if (i < shape.ndim()) result.push_back(shape[i]);
  }
  context.output(context.dtype("dtype"), result);
}

BoundKernel one_hot_cpu(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const DType dtype = context.output(0).dtype, index = context.dtype_of(0);
  const int axis = rules::wrap_axis(context.integer("axis"), shape.ndim() + 1);
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis; i < shape.ndim(); ++i) inner *= shape[i];
  const std::int64_t depth = context.integer("depth");
  return [=, on = fitted(context, "on_value", dtype), off = fitted(context, "off_value", dtype)](Inputs in, Outputs out) {
    fill_elements(out[0], outer * depth * inner, off, dtype);
    const Tensor element = host_scalar(on, dtype);
    const std::size_t size = itemsize(dtype);
    visit_dtype(index, [&]<class T>(TypeTag<T>) {
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        for (std::int64_t o = 0; o < outer; ++o)
          for (std::int64_t i = 0; i < inner; ++i) {
            const auto at = static_cast<std::int64_t>(static_cast<const T*>(in[0])[o * inner + i]);
            if (at >= 0 && at < depth) std::memcpy(static_cast<std::byte*>(out[0]) + std::size_t((o * depth + at) * inner + i) * size, element.raw(), size);
          }
      }
    });
  };
}

AttrDef dtype_attr(DType fallback) { return {.name = "dtype", .type = AttrType::dtype, .fallback = fallback}; }
AttrDef required(std::string_view name, AttrType type) { return {.name = name, .type = type, .required = true}; }

OpDef source(std::string_view name, std::string_view doc, std::vector<AttrDef> attrs, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), OnnxForm form, AttrList sample) {
  OpDef row{.name = name, .doc = doc, .family = "create", .min_inputs = 0, .max_inputs = 0, .attrs = std::move(attrs), .infer = infer,
            .gradient = not_differentiable("it has no operands"), .onnx = form, .cpu = cpu};
  row.samples.push_back({.attrs = std::move(sample)});
  return row;
}
OpDef unary(std::string_view name, std::string_view doc, std::vector<AttrDef> attrs, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), GradRule gradient, OnnxForm form, Sample sample) {
  return {.name = name, .doc = doc, .family = "create", .attrs = std::move(attrs), .dtypes = same(kFixedSize), .infer = infer, .gradient = gradient, .onnx = form, .samples = {std::move(sample)}, .cpu = cpu};
}

}  // namespace

std::vector<OpDef> create_rows() {
  const Sample::Operand square{.shape = {3, 3}}, wide{.shape = {2, 3, 4}};
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(source("range", "start, start + delta, ... before limit", {required("start", AttrType::number), required("limit", AttrType::number), {.name = "delta", .type = AttrType::number, .fallback = std::int64_t(1)}, dtype_attr(int32)},
      range_infer, range_cpu, onnx("Range"), {{"start", std::int64_t(2)}, {"limit", std::int64_t(9)}, {"delta", std::int64_t(3)}}));
  rows.push_back(source("linspace", "num numbers from start to stop, both included", {required("start", AttrType::number), required("stop", AttrType::number), required("num", AttrType::integer), dtype_attr(float32)},
      linspace_infer, linspace_cpu, no_onnx("exported as a constant"), {{"start", 0.0}, {"stop", 1.0}, {"num", std::int64_t(5)}}));
  rows.push_back(source("eye", "ones on the diagonal of each matrix", {required("num_rows", AttrType::integer), {.name = "num_columns", .type = AttrType::any, .doc = "none: as many as rows"}, {.name = "batch_shape", .type = AttrType::ints, .fallback = Ints{}}, dtype_attr(float32)},
      eye_infer, eye_cpu, no_onnx("exported as a constant"), {{"num_rows", std::int64_t(3)}}));
  rows.back().samples.push_back({.attrs = {{"num_rows", std::int64_t(2)}, {"num_columns", std::int64_t(3)}, {"batch_shape", Ints{2}}}});
  rows.push_back(source("fill", "one value everywhere", {required("shape", AttrType::ints), required("value", AttrType::number), dtype_attr(float32)},
      fill_infer, fill_cpu, onnx("ConstantOfShape"), {{"shape", Ints{2, 3}}, {"value", 1.5}}));
  rows.push_back(unary("zeros_like", "zeros of the operand's shape and dtype", {}, rules::like_first, like_cpu<0>, not_differentiable("it does not depend on the values"), no_onnx("exported as ConstantOfShape"), {.inputs = {square}}));
  rows.push_back(unary("ones_like", "ones of the operand's shape and dtype", {}, rules::like_first, like_cpu<1>, not_differentiable("it does not depend on the values"), no_onnx("exported as ConstantOfShape"), {.inputs = {square}}));
  rows[rows.size() - 2].dtypes = same(kAny);
  rows.push_back(unary("band_part", "each matrix within num_lower below and num_upper above the diagonal (negative: all), else 0", {required("num_lower", AttrType::integer), required("num_upper", AttrType::integer)}, matrix_infer, band_cpu,
      [](G c) -> Gradients { return {band_part(c.upstream(), c.integer("num_lower"), c.integer("num_upper"))}; }, onnx("Trilu"), {.inputs = {wide}, .attrs = {{"num_lower", std::int64_t(1)}, {"num_upper", std::int64_t(0)}}}));
  rows.push_back(unary("diag", "matrices with these diagonals", {}, diag_infer, diag_cpu, [](G c) -> Gradients { return {diag_part(c.upstream())}; }, no_onnx("exported as Where on an identity mask"), {.inputs = {{.shape = {2, 3}}}}));
  rows.push_back(unary("diag_part", "the diagonals of matrices", {}, diag_part_infer, diag_part_cpu, diag_part_gradient, no_onnx("exported as GatherND"), {.inputs = {wide}}));
  rows.push_back(unary("trace", "the sums of the diagonals", {}, [](InferContext& c) { diag_part_infer(c); Shape& s = c.outputs[0].shape; const int axes[] = {s.ndim() - 1}; s = rules::reduce(s, axes, false); }, nullptr, {}, no_onnx("exported as GatherND and ReduceSum"), {.inputs = {wide}}));
  rows.back().dtypes = same(kNumeric);
  rows.back().compose = [](const OpCall&, std::span<const Tensor> in) -> Tensors { return {reduce_sum(diag_part(in[0]), -1)}; };
  rows.push_back(unary("one_hot", "on_value at the index, off_value elsewhere, along a new axis; an index out of range gives off_value only",
      {required("depth", AttrType::integer), {.name = "on_value", .type = AttrType::number, .fallback = std::int64_t(1)}, {.name = "off_value", .type = AttrType::number, .fallback = std::int64_t(0)},
       {.name = "axis", .type = AttrType::integer, .fallback = std::int64_t(-1)}, dtype_attr(float32)}, one_hot_infer, one_hot_cpu, not_differentiable("its operand is an index"), onnx("OneHot"),
      {.inputs = {{.dtype = int32, .shape = {2, 3}, .low = -1, .high = 5}}, .attrs = {{"depth", std::int64_t(4)}}}));
  rows.back().dtypes = same(kInts);
  rows.back().samples.push_back({.inputs = {{.dtype = int32, .shape = {2, 3}, .low = -1, .high = 5}}, .attrs = {{"depth", std::int64_t(4)}, {"axis", std::int64_t(1)}, {"on_value", 2.5}, {"dtype", float64}}});
  // clang-format on
  return rows;
}

}  // namespace lockstep

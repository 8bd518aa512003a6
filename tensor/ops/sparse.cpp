// Rows that compute with sparse tensors: indices int64 (n, axes) and n values. Dense from sparse, and the products with dense matrices that are each other's gradients.

#include <algorithm>
#include <array>
#include <vector>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/array.h>
#include <lockstep/tensor/ops/entries.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/sparse_product.h>

namespace lockstep {
namespace {

using G = const GradContext&;

Shape shape_attr(const OpCall& call) { return array::shape_of(call, call.ints("shape")); }

void require_entries(const InferContext& context, int axes) {
  const Shape &indices = context.shape(0), &values = context.shape(1);
  if (indices.ndim() != 2 || values.ndim() != 1 || indices[0] != values[0]) context.refuse("takes indices (n, axes) and n values");
  if (indices[1] != axes) context.refuse("there are " + std::to_string(indices[1]) + " indices for each value, for " + std::to_string(axes) + " axes");
}

// ---- sparse to dense

void dense_infer(InferContext& context) {
  const Shape shape = shape_attr(context);
  require_entries(context, shape.ndim());
  if (context.shape(2).ndim() != 0) context.refuse("the default value must be a scalar");
  context.output(context.dtype_of(1), shape);
}

void dense_of_shape_infer(InferContext& context) {
  if (context.shape(3).ndim() != 1) context.refuse("the shape must have one axis");
  require_entries(context, int(context.shape(3)[0]));
  if (context.shape(2).ndim() != 0) context.refuse("the default value must be a scalar");
  context.output(context.dtype_of(1), Shape::unknown());
}

/// Offsets of the entries in a dense tensor. Unless `validate` is false they must be in order, none twice.
std::vector<std::int64_t> dense_offsets(const std::int64_t* indices, std::int64_t count, const Shape& shape, bool validate, std::string_view op) {
  std::vector<std::int64_t> offsets = entries::offsets_of(indices, count, shape, entries::all_axes(shape.ndim()), op);
  if (validate) entries::require_in_order(offsets, indices, shape, op);
  return offsets;
}

void scatter_entries(const void* const* in, const std::vector<std::int64_t>& offsets, DType dtype, std::int64_t count, void* out) {
  visit_dtype(dtype, [&]<class T>(TypeTag<T>) {
    T* to = static_cast<T*>(out);
    std::fill_n(to, count, *static_cast<const T*>(in[2]));
    for (std::size_t e = 0; e < offsets.size(); ++e) to[offsets[e]] = static_cast<const T*>(in[1])[e];
  });
}

BoundKernel dense_cpu(const BindContext& context) {
  return [shape = context.output(0).shape, count = context.shape(1)[0], dtype = context.dtype_of(1), validate = context.boolean("validate_indices"), op = context.op().name](Inputs in, Outputs out) {
    scatter_entries(in, dense_offsets(static_cast<const std::int64_t*>(in[0]), count, shape, validate, op), dtype, shape.numel(), out[0]);
  };
}

Tensors dense_of_shape_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Shape shape(inputs[3].data<std::int64_t>());
  Tensor result = Tensor::empty(shape, inputs[1].dtype());
  const std::array<const void*, 3> in{inputs[0].raw(), inputs[1].raw(), inputs[2].raw()};
  scatter_entries(in.data(), dense_offsets(inputs[0].data<std::int64_t>().data(), inputs[1].numel(), shape, call.boolean("validate_indices"), call.op().name), result.dtype(), shape.numel(), result.mutable_raw());
  return {result};
}

/// What is no entry's goes to the default value.
Gradients dense_gradient(G context) {
  const Tensor up = context.upstream(), by_values = gather_nd(up, context.input(0));
  Gradients result{Gradient(), Gradient(by_values), Gradient(reduce_sum(up) - reduce_sum(by_values))};
  result.resize(context.input_count());
  return result;
}

// ---- sparse x dense

/// The result's rows and the dense operand's, as the call has them.
struct ProductSizes {
  std::int64_t rows, inner, width, entries;
  int row_axis;
};
template <class Context>
ProductSizes product_sizes(const Context& context) {
  const Ints shape = context.ints("shape");
  const bool transpose = context.boolean("transpose_a");
  return {shape[transpose ? 1 : 0], shape[transpose ? 0 : 1], context.shape(2)[1], context.shape(0)[0], transpose ? 1 : 0};
}

void product_infer(InferContext& context) {
  const Shape shape = shape_attr(context);
  if (shape.ndim() != 2 || context.shape(2).ndim() != 2) context.refuse("multiplies a sparse and a dense matrix");
  require_entries(context, 2);
  const ProductSizes sizes = product_sizes(context);
  if (sizes.inner != context.shape(2)[0])
    context.refuse("the sparse matrix " + to_string(shape) + (sizes.row_axis ? ", transposed," : "") + " does not multiply a matrix of " + std::to_string(context.shape(2)[0]) + " rows");
  context.output(context.dtype_of(1), Shape{sizes.rows, sizes.width});
}

/// Entries ordered by the result's row: where each row's begin, their columns, and where their values stand (empty: as they are).
struct Rows {
  std::vector<std::int64_t> begin, columns, order;
};

Rows by_rows(const std::int64_t* indices, const ProductSizes& sizes, std::string_view op) {
  Rows rows;
  rows.begin.assign(std::size_t(sizes.rows) + 1, 0);
  bool ordered = true;
  for (std::int64_t e = 0; e < sizes.entries; ++e) {
    const std::int64_t row = indices[2 * e + sizes.row_axis], column = indices[2 * e + 1 - sizes.row_axis];
    if (row < 0 || row >= sizes.rows || column < 0 || column >= sizes.inner)
      throw InvalidArgumentError("index " + entries::index_text(indices + 2 * e, 2) + " (entry " + std::to_string(e) + ") is outside of the matrix", op);
    ordered = ordered && (e == 0 || row >= indices[2 * (e - 1) + sizes.row_axis]);
    ++rows.begin[std::size_t(row) + 1];
  }
  for (std::size_t r = 1; r < rows.begin.size(); ++r) rows.begin[r] += rows.begin[r - 1];
  rows.columns.resize(std::size_t(sizes.entries));
  if (ordered) {
    for (std::int64_t e = 0; e < sizes.entries; ++e) rows.columns[std::size_t(e)] = indices[2 * e + 1 - sizes.row_axis];
    return rows;
  }
  rows.order.resize(std::size_t(sizes.entries));
  std::vector<std::int64_t> next(rows.begin.begin(), rows.begin.end() - 1);
  for (std::int64_t e = 0; e < sizes.entries; ++e) {
    const auto at = std::size_t(next[std::size_t(indices[2 * e + sizes.row_axis])]++);
    rows.columns[at] = indices[2 * e + 1 - sizes.row_axis];
    rows.order[at] = e;
  }
  return rows;
}

/// sum + a * b; integers wrap.
template <class C>
C multiply_add(C sum, C a, C b) {
  if constexpr (std::is_integral_v<C>) return static_cast<C>(std::uint64_t(sum) + std::uint64_t(a) * std::uint64_t(b));
  else return sum + a * b;
}

template <class T>
void multiply_row(const void* values, const std::int64_t* columns, std::int64_t entries, const void* dense, std::int64_t width, void* out) {
  using C = compute_t<T>;
  std::vector<C> sums(static_cast<std::size_t>(width), C{});
  for (std::int64_t e = 0; e < entries; ++e) {
    const C value = static_cast<C>(static_cast<const T*>(values)[e]);
    const T* row = static_cast<const T*>(dense) + columns[e] * width;
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] = multiply_add(sums[k], value, static_cast<C>(row[k]));
  }
  for (std::size_t k = 0; k < sums.size(); ++k) static_cast<T*>(out)[k] = static_cast<T>(sums[k]);
}

BoundKernel product_cpu(const BindContext& context) {
  return visit_dtype(context.dtype_of(1), [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) throw InternalError("the dtype rule let a dtype pass");
    else {
      const sparse_product::RowFn vector = sparse_product::vector_row(dtype_of<T>);
      return [row = vector ? vector : multiply_row<T>, sizes = product_sizes(context), op = context.op().name](Inputs in, Outputs out) {
        const Rows rows = by_rows(static_cast<const std::int64_t*>(in[0]), sizes, op);
        const T* values = static_cast<const T*>(in[1]);
        std::vector<T> ordered;
        if (!rows.order.empty()) {
          ordered.reserve(rows.order.size());
          for (const std::int64_t e : rows.order) ordered.push_back(values[e]);
          values = ordered.data();
        }
        const std::int64_t grain = std::max<std::int64_t>(1, sizes.rows * 16384 / std::max<std::int64_t>(1, (sizes.entries + sizes.rows) * sizes.width));
        parallel_for(sizes.rows, grain, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t r = begin; r < end; ++r) {
            const std::int64_t first = rows.begin[std::size_t(r)];
            row(values + first, rows.columns.data() + first, rows.begin[std::size_t(r) + 1] - first, in[2], sizes.width, static_cast<T*>(out[0]) + r * sizes.width);
          }
        });
      };
    }
  });
}

Tensor product(const Tensor& indices, const Tensor& values, const Tensor& dense, const Ints& shape, bool transpose) {
  static const OpDef& op = find_op("sparse_dense_matmul");
  return apply(op, {indices, values, dense}, {{"shape", shape}, {"transpose_a", transpose}});
}
Tensor sampled(const Tensor& indices, const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("sparse_sampled_product");
  return apply(op, {indices, x, y});
}

Gradients product_gradient(G context) {
  const Tensor &indices = context.input(0), up = context.upstream();
  const bool transpose = context.boolean("transpose_a");
  const Tensor dense = conj(context.input(2));
  return {Gradient(), transpose ? sampled(indices, dense, up) : sampled(indices, up, dense), product(indices, conj(context.input(1)), up, context.ints("shape"), !transpose)};
}

void sampled_infer(InferContext& context) {
  const Shape &indices = context.shape(0), &x = context.shape(1), &y = context.shape(2);
  if (indices.ndim() != 2 || indices[1] != 2 || x.ndim() != 2 || y.ndim() != 2 || x[1] != y[1]) context.refuse("takes indices (n, 2) and matrices of one width");
  context.output(context.dtype_of(1), Shape{indices[0]});
}

/// Eight sums side by side, so that the compiler can use vectors; their order is the same everywhere.
template <class T>
compute_t<T> inner_product(const T* x, const T* y, std::int64_t n) {
  using C = compute_t<T>;
  C sums[8] = {};
  std::int64_t k = 0;
  for (; k + 8 <= n; k += 8)
    for (int s = 0; s < 8; ++s) sums[s] = multiply_add(sums[s], static_cast<C>(x[k + s]), static_cast<C>(y[k + s]));
  for (; k < n; ++k) sums[0] = multiply_add(sums[0], static_cast<C>(x[k]), static_cast<C>(y[k]));
  for (int half = 4; half > 0; half /= 2)
    for (int s = 0; s < half; ++s) sums[s] = multiply_add(sums[s], sums[s + half], static_cast<C>(1));
  return sums[0];
}

BoundKernel sampled_cpu(const BindContext& context) {
  return visit_dtype(context.dtype_of(1), [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) throw InternalError("the dtype rule let a dtype pass");
    else
      return [entries = context.shape(0)[0], rows = context.shape(1)[0], columns = context.shape(2)[0], width = context.shape(1)[1], op = context.op().name](Inputs in, Outputs out) {
        const auto* indices = static_cast<const std::int64_t*>(in[0]);
        for (std::int64_t e = 0; e < entries; ++e)
          if (indices[2 * e] < 0 || indices[2 * e] >= rows || indices[2 * e + 1] < 0 || indices[2 * e + 1] >= columns)
            throw InvalidArgumentError("index " + entries::index_text(indices + 2 * e, 2) + " (entry " + std::to_string(e) + ") is outside of the matrix", op);
        parallel_for(entries, std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, width)), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t e = begin; e < end; ++e)
            static_cast<T*>(out[0])[e] = static_cast<T>(inner_product(static_cast<const T*>(in[1]) + indices[2 * e] * width, static_cast<const T*>(in[2]) + indices[2 * e + 1] * width, width));
        });
      };
  });
}

Gradients sampled_gradient(G context) {
  const Tensor &indices = context.input(0), &x = context.input(1), &y = context.input(2);
  const Ints shape{x.shape()[0], y.shape()[0]};
  return {Gradient(), product(indices, context.upstream(), conj(y), shape, false), product(indices, context.upstream(), conj(x), shape, true)};
}

OpDef sparse_row(std::string_view name, std::string_view doc, int inputs, DTypeRule dtypes, std::vector<AttrDef> attrs, void (*infer)(InferContext&), GradRule gradient, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "sparse", .min_inputs = inputs, .max_inputs = inputs, .attrs = std::move(attrs), .dtypes = std::move(dtypes), .infer = infer, .gradient = gradient,
          .onnx = no_onnx("ONNX's sparse tensors are constants only"), .samples = std::move(samples)};
}

}  // namespace

std::vector<OpDef> sparse_rows() {
  const Sample::Operand values{.shape = {4}}, scalar_operand{.shape = {}};
  const auto pairs = [](double first, double second) {  // the same bound for both axes in a draw
    return Sample::Operand{.dtype = int64, .shape = {4, 2}, .low = 0, .high = std::min(first, second)};
  };
  const auto ordered = [](std::span<const Tensor> in) -> Tensors {
    Tensors operands(in.begin(), in.end());
    operands[0] = constant(std::vector<std::int64_t>{0, 1, 1, 0, 1, 3, 2, 2}, Shape{4, 2});
    if (operands.size() == 4) operands[3] = constant(std::vector<std::int64_t>{3, 4});
    return operands;
  };
  const AttrDef shape{.name = "shape", .type = AttrType::ints, .required = true}, validate{.name = "validate_indices", .type = AttrType::boolean, .fallback = true};
  const DTypeRule entries{{{dtypes(int64), 0}, {kAny, 1}, {kAny, 1}}}, numbers{{{dtypes(int64), 0}, {kNumeric, 1}, {kNumeric, 1}}};
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(sparse_row("sparse_to_dense", "values (operand 1) at their indices (operand 0) in a tensor of the default value (operand 2); the indices in order, none twice, if validated", 3, entries, {shape, validate}, dense_infer, dense_gradient,
      {{.inputs = {pairs(3, 4), values, scalar_operand}, .attrs = {{"shape", Ints{3, 4}}}, .prepare = ordered}}));
  rows.back().cpu = dense_cpu;
  rows.push_back(sparse_row("sparse_to_dense_of_shape", "as sparse_to_dense, with the shape in operand 3", 4, {{{dtypes(int64), 0}, {kAny, 1}, {kAny, 1}, {dtypes(int64), 2}}}, {validate}, dense_of_shape_infer, dense_gradient,
      {{.inputs = {pairs(3, 4), values, scalar_operand, {.dtype = int64, .shape = {2}, .low = 3, .high = 4}}, .prepare = ordered}}));
  rows.back().cpu_dynamic = dense_of_shape_cpu;
  rows.push_back(sparse_row("sparse_dense_matmul", "a sparse matrix (indices, values, shape), transposed if asked for, times a dense one (operand 2); entries in any order, repeats add", 3, numbers,
      {shape, {.name = "transpose_a", .type = AttrType::boolean, .fallback = false}}, product_infer, product_gradient,
      {{.inputs = {pairs(5, 3), values, {.shape = {3, 4}}}, .attrs = {{"shape", Ints{5, 3}}}}, {.inputs = {pairs(5, 3), values, {.shape = {5, 9}}}, .attrs = {{"shape", Ints{5, 3}}, {"transpose_a", true}}}}));
  rows.back().cpu = product_cpu;
  rows.push_back(sparse_row("sparse_sampled_product", "for each index pair (operand 0) the inner product of that row of x (operand 1) and that row of y (operand 2)", 3, numbers, {}, sampled_infer, sampled_gradient,
      {{.inputs = {pairs(5, 3), {.shape = {5, 9}}, {.shape = {3, 9}}}}}));
  rows.back().cpu = sampled_cpu;
  // clang-format on
  return rows;
}

}  // namespace lockstep

// Cumulative ops along an axis, and reductions by segment.

#include <algorithm>
#include <cmath>
#include <limits>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using G = const GradContext&;

template <class T>
inline constexpr bool kLow = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T>
inline constexpr bool kRealElement = (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) || kLow<T>;

template <class F>
BoundKernel visit_real(const BindContext& context, F&& f) {
  return visit_dtype(context.dtype_of(0), [&]<class T>(TypeTag<T> tag) -> BoundKernel {
    if constexpr (kRealElement<T>) return f(tag);
    else throw UnimplementedError("there is no CPU kernel for " + std::string(name(context.dtype_of(0))), context.op().name);
  });
}

// ---- scans

void scan_infer(InferContext& context) {
  rules::axis(context, context.integer("axis"), context.shape(0).ndim());
  rules::like_first(context);
}

struct Sum {
  template <class C>
  static C start() { return C(0); }
  template <class C>
  static C apply(C a, C b) {
    if constexpr (std::is_integral_v<C>) return static_cast<C>(std::uint64_t(a) + std::uint64_t(b));
    else return a + b;
  }
};
struct Product {
  template <class C>
  static C start() { return C(1); }
  template <class C>
  static C apply(C a, C b) {
    if constexpr (std::is_integral_v<C>) return static_cast<C>(std::uint64_t(a) * std::uint64_t(b));
    else return a * b;
  }
};
struct LogSumExp {
  template <class C>
  static C start() { return -std::numeric_limits<C>::infinity(); }
  template <class C>
  static C apply(C a, C b) {
    const C high = std::max(a, b), low = std::min(a, b);
    if (std::isinf(high)) return high;
    return high + std::log1p(std::exp(low - high));
  }
};

template <class Fold>
BoundKernel scan_cpu(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::wrap_axis(context.integer("axis"), shape.ndim());
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.ndim(); ++i) inner *= shape[i];
  const std::int64_t count = shape[axis];
  const bool exclusive = context.boolean("exclusive"), reverse = context.boolean("reverse");
  return visit_real(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = compute_t<T>;
    if constexpr (std::is_same_v<Fold, LogSumExp> && !std::is_floating_point_v<C>) {
      throw UnimplementedError("there is no CPU kernel for " + std::string(name(context.dtype_of(0))), context.op().name);
    } else {
      return [=](Inputs in, Outputs out) {
        for (std::int64_t o = 0; o < outer; ++o)
          for (std::int64_t i = 0; i < inner; ++i) {
            const T* x = static_cast<const T*>(in[0]) + o * count * inner + i;
            T* z = static_cast<T*>(out[0]) + o * count * inner + i;
            C total = Fold::template start<C>();
            for (std::int64_t k = 0; k < count; ++k) {
              const std::int64_t at = (reverse ? count - 1 - k : k) * inner;
              const C value = static_cast<C>(x[at]);
              if (exclusive) z[at] = static_cast<T>(total);
              total = Fold::apply(total, value);
              if (!exclusive) z[at] = static_cast<T>(total);
            }
          }
      };
    }
  });
}

Gradients cumsum_gradient(G c) { return {cumsum(c.upstream(), c.integer("axis"), c.boolean("exclusive"), !c.boolean("reverse"))}; }

Gradients cumprod_gradient(G c) {
  return {cumsum(c.output() * c.upstream(), c.integer("axis"), c.boolean("exclusive"), !c.boolean("reverse")) / c.input(0)};
}

/// In logarithms, positive and negative upstreams apart.
Gradients cumulative_logsumexp_gradient(G c) {
  const Tensor up = c.upstream();
  const Tensor nothing = scalar(-INFINITY, up.dtype());
  const auto part = [&](const Tensor& logs) {
    return exp(cumulative_logsumexp(logs - c.output(), c.integer("axis"), c.boolean("exclusive"), !c.boolean("reverse")) + c.input(0));
  };
  const Tensor positive = up > 0, negative = up < 0;
  const Tensor one = scalar(1, up.dtype());
  return {part(where(positive, log(where(positive, up, one)), nothing)) - part(where(negative, log(where(negative, -up, one)), nothing))};
}

// ---- segments

enum class Segment { sum, mean, max, min, prod };

/// What an empty segment gives: 0, for unsorted maxima the lowest number, for minima the largest, for products 1.
template <Segment S, bool Sorted, class T>
T empty_value() {
  if constexpr (S == Segment::max && !Sorted) {
    if constexpr (kLow<T>) return std::is_same_v<T, Half> ? T(-65504.0f) : T(-3.3895313892515355e38f);
    else return std::numeric_limits<T>::lowest();
  }
  if constexpr (S == Segment::min) {
    if constexpr (kLow<T>) return std::is_same_v<T, Half> ? T(65504.0f) : T(3.3895313892515355e38f);
    else return std::numeric_limits<T>::max();
  }
  if constexpr (S == Segment::prod) return static_cast<T>(compute_t<T>(1));
  return T();
}

/// Rows of `inner` elements folded by segment; ids below 0 are left out.
template <Segment S, bool Sorted, class T>
void fold_segments(const T* x, const std::vector<std::int64_t>& ids, std::int64_t inner, std::int64_t segments, T* out) {
  using C = compute_t<T>;
  std::vector<std::int64_t> count(static_cast<std::size_t>(segments), 0);
  std::vector<C> acc(std::size_t(segments * inner), C());
  for (std::size_t r = 0; r < ids.size(); ++r) {
    if (ids[r] < 0) continue;
    const bool first = count[std::size_t(ids[r])]++ == 0;
    C* to = acc.data() + ids[r] * inner;
    const T* from = x + std::int64_t(r) * inner;
    for (std::int64_t i = 0; i < inner; ++i) {
      const C value = static_cast<C>(from[i]);
      if constexpr (S == Segment::max) to[i] = first || value > to[i] || value != value ? value : to[i];
      else if constexpr (S == Segment::min) to[i] = first || value < to[i] || value != value ? value : to[i];
      else if constexpr (S == Segment::prod) to[i] = first ? value : Product::apply(to[i], value);
      else to[i] = Sum::apply(to[i], value);
    }
  }
  for (std::int64_t s = 0; s < segments; ++s)
    for (std::int64_t i = 0; i < inner; ++i) {
      const std::int64_t n = count[std::size_t(s)];
      const C value = acc[std::size_t(s * inner + i)];
      if (n == 0) out[s * inner + i] = empty_value<S, Sorted, T>();
      else if constexpr (S == Segment::mean) out[s * inner + i] = static_cast<T>(value / static_cast<C>(n));
      else out[s * inner + i] = static_cast<T>(value);
    }
}

std::vector<std::int64_t> ids_of(const void* ids, DType dtype, std::int64_t count) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i)
    result[std::size_t(i)] = dtype == int64 ? static_cast<const std::int64_t*>(ids)[i] : std::int64_t(static_cast<const std::int32_t*>(ids)[i]);
  return result;
}

void sorted_infer(InferContext& context) {
  if (context.shape(1).ndim() != 1 || context.shape(0).ndim() < 1 || context.shape(0)[0] != context.shape(1)[0])
    context.refuse("segment_ids must have one axis, as long as the first axis of the data");
  context.output(context.dtype_of(0), Shape::unknown());
}

template <Segment S>
Tensors sorted_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor& data = inputs[0];
  const std::vector<std::int64_t> ids = ids_of(inputs[1].raw(), inputs[1].dtype(), inputs[1].numel());
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] == INT64_MAX || (i && ids[i] < ids[i - 1])) call.refuse("segment_ids must be sorted, not negative and below 2^63 - 1; element " + std::to_string(i) + " is " + std::to_string(ids[i]));
  Shape shape = data.shape();
  shape[0] = ids.empty() ? 0 : ids.back() + 1;
  shape = Shape(shape.dims());
  Tensor result = Tensor::empty(shape, data.dtype());
  const std::int64_t inner = shape[0] ? shape.numel() / shape[0] : 0;
  visit_dtype(data.dtype(), [&]<class T>(TypeTag<T>) {
    if constexpr (kRealElement<T>) fold_segments<S, true>(static_cast<const T*>(data.raw()), ids, inner, shape[0], static_cast<T*>(result.mutable_raw()));
  });
  return {result};
}

void unsorted_infer(InferContext& context) {
  const Shape &data = context.shape(0), &ids = context.shape(1);
  bool fits = data.ndim() >= ids.ndim();
  for (int i = 0; fits && i < ids.ndim(); ++i) fits = data[i] == ids[i];
  if (!fits) context.refuse("the data's shape must begin with that of segment_ids");
  const std::int64_t segments = context.integer("num_segments");
  if (segments < 0) context.refuse("num_segments must not be negative, got " + std::to_string(segments));
  Shape shape{segments};
  for (int i = ids.ndim(); i < data.ndim(); ++i) shape.push_back(data[i]);
  context.output(context.dtype_of(0), shape);
}

template <Segment S>
BoundKernel unsorted_cpu(const BindContext& context) {
  const std::int64_t rows = context.shape(1).numel(), segments = context.integer("num_segments");
  std::int64_t inner = 1;
  for (int i = context.shape(1).ndim(); i < context.shape(0).ndim(); ++i) inner *= context.shape(0)[i];
  const DType ids_dtype = context.dtype_of(1);
  return visit_real(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, op = context.op().name](Inputs in, Outputs out) {
      const std::vector<std::int64_t> ids = ids_of(in[1], ids_dtype, rows);
      for (std::size_t i = 0; i < ids.size(); ++i)
        if (ids[i] >= segments)
          throw InvalidArgumentError("segment id " + std::to_string(ids[i]) + " (element " + std::to_string(i) + ") is not below num_segments " + std::to_string(segments), op);
      fold_segments<S, false>(static_cast<const T*>(in[0]), ids, inner, segments, static_cast<T*>(out[0]));
    };
  });
}

/// Rows of `values` by id, zeros for negative ids.
Tensor gather_segments(const Tensor& values, const Tensor& ids, const Tensor& data) {
  const Tensor zero_ids = zeros_like(ids);
  const Tensor rows = gather(values, maximum(ids, zero_ids));
  if (!ids.shape().known() || !data.shape().known()) throw UnimplementedError("the gradient needs known shapes inside a traced function", "unsorted_segment");
  Ints column(ids.shape().begin(), ids.shape().end());
  while (int(column.size()) < data.ndim()) column.push_back(1);
  return where(reshape(ids >= 0, column), rows, scalar(0, values.dtype()));
}

Tensor ones_of_ids(const Tensor& ids, DType dtype) { return cast(ones_like(ids), dtype); }

Gradients segment_sum_gradient(G c) { return {gather(c.upstream(), c.input(1)), Gradient()}; }

/// (n,) counts as a column that broadcasts against rows.
Tensor as_column(const Tensor& counts, const Tensor& like) {
  Ints sizes{-1};
  for (int i = 1; i < like.ndim(); ++i) sizes.push_back(1);
  return reshape(counts, sizes);
}

Gradients segment_mean_gradient(G c) {
  const Tensor one = scalar(1, c.upstream().dtype());
  const Tensor counts = maximum(segment_sum(ones_of_ids(c.input(1), c.upstream().dtype()), c.input(1)), one);
  return {gather(c.upstream() / as_column(counts, c.input(0)), c.input(1)), Gradient()};
}

Gradients segment_max_gradient(G c) {
  const Tensor chosen = cast(equal(c.input(0), gather(c.output(), c.input(1))), c.upstream().dtype());
  const Tensor one = scalar(1, c.upstream().dtype());
  const Tensor share = c.upstream() / maximum(segment_sum(chosen, c.input(1)), one);
  return {gather(share, c.input(1)) * chosen, Gradient()};
}

Gradients unsorted_sum_gradient(G c) { return {gather_segments(c.upstream(), c.input(1), c.input(0)), Gradient()}; }

Gradients unsorted_mean_gradient(G c) {
  const Tensor up = c.upstream();
  const Tensor one = scalar(1, up.dtype());
  const Tensor counts = maximum(unsorted_segment_sum(ones_of_ids(c.input(1), up.dtype()), c.input(1), c.integer("num_segments")), one);
  return {gather_segments(up / as_column(counts, up), c.input(1), c.input(0)), Gradient()};
}

Gradients unsorted_extreme_gradient(G c) {
  const Tensor up = c.upstream();
  const Tensor &data = c.input(0), &ids = c.input(1);
  const Tensor chosen = cast(equal(data, gather_segments(c.output(), ids, data)), up.dtype());
  const Tensor count = unsorted_segment_sum(chosen, ids, c.integer("num_segments"));
  const Tensor one = scalar(1, up.dtype());
  return {gather_segments(up / maximum(count, one), ids, data) * chosen, Gradient()};
}

/// The product of all others, also where one of them is 0.
Gradients unsorted_prod_gradient(G c) {
  const Tensor &data = c.input(0), &ids = c.input(1);
  const std::int64_t segments = c.integer("num_segments");
  const Tensor up = c.upstream(), zero = scalar(0, up.dtype()), one = scalar(1, up.dtype());
  const Tensor is_zero = equal(data, zero), others = where(is_zero, one, data);
  const Tensor zeros = unsorted_segment_sum(cast(is_zero, up.dtype()), ids, segments);
  const Tensor without_zeros = gather_segments(unsorted_segment_prod(others, ids, segments), ids, data);
  const Tensor product = where(is_zero, without_zeros, gather_segments(c.output(), ids, data) / others);
  return {gather_segments(where(zeros > one, zero, up), ids, data) * product, Gradient()};
}

std::vector<AttrDef> scan_attrs() {
  return {{.name = "axis", .type = AttrType::integer, .fallback = std::int64_t(0)}, {.name = "exclusive", .type = AttrType::boolean, .fallback = false}, {.name = "reverse", .type = AttrType::boolean, .fallback = false}};
}

OpDef scan(std::string_view name, std::string_view doc, DTypeSet dtypes, BoundKernel (*cpu)(const BindContext&), GradRule gradient, OnnxForm form) {
  const Sample::Operand x{.shape = {3, 4}, .low = 0.4, .high = 2};
  return {.name = name,
          .doc = doc,
          .family = "scan",
          .attrs = scan_attrs(),
          .dtypes = same(dtypes),
          .infer = scan_infer,
          .gradient = gradient,
          .onnx = form,
          .samples = {{.inputs = {x}}, {.inputs = {x}, .attrs = {{"axis", std::int64_t(1)}, {"exclusive", true}}}, {.inputs = {x}, .attrs = {{"axis", std::int64_t(-1)}, {"reverse", true}}}},
          .cpu = cpu};
}

OpDef segment(std::string_view name, std::string_view doc, void (*infer)(InferContext&), GradRule gradient) {
  return {.name = name, .doc = doc, .family = "scan", .min_inputs = 2, .max_inputs = 2, .dtypes = {{{kReal, 0}, {kIndexInts, 1}}}, .infer = infer, .gradient = gradient,
          .onnx = no_onnx("ONNX has no such operator")};
}

}  // namespace

std::vector<OpDef> scan_rows() {
  std::vector<OpDef> rows;
  rows.push_back(scan("cumsum", "running sums along an axis; exclusive: without the element itself; reverse: from the end", kReal, scan_cpu<Sum>, cumsum_gradient, onnx("CumSum")));
  rows.push_back(scan("cumprod", "running products along an axis", kReal, scan_cpu<Product>, cumprod_gradient, no_onnx("ONNX has no such operator")));
  rows.push_back(scan("cumulative_logsumexp", "running log(sum(exp(x))) along an axis", kFloats, scan_cpu<LogSumExp>, cumulative_logsumexp_gradient, no_onnx("ONNX has no such operator")));
  const Sample::Operand data{.shape = {4, 3}};
  const auto sorted = [&](std::string_view name, std::string_view doc, GradRule gradient, Tensors (*cpu)(const OpCall&, std::span<const Tensor>)) {
    rows.push_back(segment(name, doc, sorted_infer, gradient));
    rows.back().cpu_dynamic = cpu;
    rows.back().samples = {{.inputs = {data, {.dtype = int32, .shape = {4}, .low = 0, .high = 5}}, .prepare = [](std::span<const Tensor> in) -> Tensors { return {in[0], sort(in[1])}; }}};
  };
  sorted("segment_sum", "sums of the rows of each segment; ids sorted, gaps give 0", segment_sum_gradient, sorted_cpu<Segment::sum>);
  sorted("segment_mean", "means of the rows of each segment; ids sorted, gaps give 0", segment_mean_gradient, sorted_cpu<Segment::mean>);
  sorted("segment_max", "maxima of the rows of each segment; ids sorted, gaps give 0", segment_max_gradient, sorted_cpu<Segment::max>);
  const auto unsorted = [&](std::string_view name, std::string_view doc, GradRule gradient, BoundKernel (*cpu)(const BindContext&)) {
    rows.push_back(segment(name, doc, unsorted_infer, gradient));
    rows.back().attrs = {{.name = "num_segments", .type = AttrType::integer, .required = true}};
    rows.back().cpu = cpu;
    rows.back().samples = {{.inputs = {data, {.dtype = int32, .shape = {4}, .low = -1, .high = 3}}, .attrs = {{"num_segments", std::int64_t(4)}}}};
  };
  unsorted("unsorted_segment_sum", "sums of the rows of each segment, ids in any order; negative ids are dropped", unsorted_sum_gradient, unsorted_cpu<Segment::sum>);
  unsorted("unsorted_segment_mean", "means of the rows of each segment, ids in any order; empty ones give 0", unsorted_mean_gradient, unsorted_cpu<Segment::mean>);
  unsorted("unsorted_segment_max", "maxima of the rows of each segment, ids in any order; empty ones give the lowest number", unsorted_extreme_gradient, unsorted_cpu<Segment::max>);
  unsorted("unsorted_segment_min", "minima of the rows of each segment, ids in any order; empty ones give the largest number", unsorted_extreme_gradient, unsorted_cpu<Segment::min>);
  unsorted("unsorted_segment_prod", "products of the rows of each segment, ids in any order; empty ones give 1", unsorted_prod_gradient, unsorted_cpu<Segment::prod>);
  return rows;
}

}  // namespace lockstep

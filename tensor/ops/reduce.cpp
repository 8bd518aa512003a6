// Reductions over axes.

#include <lockstep/tensor/ops/reduce.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {

Folding fold_axes(const Shape& shape, std::span<const int> axes) {
  Folding folding;
  for (int i = 0; i < shape.ndim(); ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), i) != axes.end();
    (reduced ? folding.reduced : folding.kept) *= shape[i];
    if (shape[i] == 1) continue;
    if (!folding.parts.empty() && folding.parts.back().reduced == reduced) folding.parts.back().size *= shape[i];
    else folding.parts.push_back({shape[i], reduced});
  }
  return folding;
}

SmallVector<int, 8> broadcast_axes(const Shape& from, const Shape& to) {
  SmallVector<int, 8> axes;
  const int lead = from.ndim() - to.ndim();
  for (int i = 0; i < from.ndim(); ++i)
    if (i < lead || (to[i - lead] == 1 && from[i] != 1)) axes.push_back(i);
  return axes;
}

namespace {

using G = const GradContext&;

/// Accumulates everything into `acc` (one A per kept position), whatever the order of the parts.
template <class T, class A, class F>
void fold_general(const Folding& folding, const T* x, A* acc, F fold) {
  const int n = int(folding.parts.size());
  std::array<std::int64_t, Shape::kMaxDims> at{}, step{};
  std::int64_t stride = 1;
  for (int i = n - 1; i >= 0; --i) {
    const auto& part = folding.parts[std::size_t(i)];
    step[std::size_t(i)] = part.reduced ? 0 : stride;
    if (!part.reduced) stride *= part.size;
  }
  const std::int64_t inner = n ? folding.parts[std::size_t(n - 1)].size : 1;
  const bool inner_reduced = n == 0 || folding.parts[std::size_t(n - 1)].reduced;
  const std::int64_t outer = folding.kept * folding.reduced / std::max<std::int64_t>(1, inner);
  std::int64_t position = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    if (inner_reduced) {
      A value = acc[position];
      for (std::int64_t i = 0; i < inner; ++i) value = fold(value, x[i]);
      acc[position] = value;
    } else {
      for (std::int64_t i = 0; i < inner; ++i) acc[position + i] = fold(acc[position + i], x[i]);
    }
    x += inner;
    for (int axis = n - 2; axis >= 0; --axis) {
      const auto k = std::size_t(axis);
      position += step[k];
      if (++at[k] < folding.parts[k].size) break;
      position -= step[k] * folding.parts[k].size;
      at[k] = 0;
    }
  }
}

constexpr std::int64_t kGrain = 32 * 1024;
constexpr std::int64_t kChunk = 256 * 1024;  // elements of a long run that one thread folds at once

/// All of x into one number, in chunks that do not depend on the number of threads.
template <class T>
T fold_all(const ReduceRuns<T>& runs, const T* x, std::int64_t n) {
  const std::int64_t chunks = (n + kChunk - 1) / kChunk;
  if (chunks <= 1) return runs.run(x, n);
  Tensor memory = Tensor::empty({chunks}, dtype_of<T>);
  T* parts = memory.mutable_data<T>();
  parallel_for(chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) parts[c] = runs.run(x + c * kChunk, std::min(kChunk, n - c * kChunk));
  });
  return runs.run(parts, chunks);
}

/// Rows that are folded one after the other, whoever else folds others: enough to be worth a call, few enough for a float32 sum.
std::int64_t rows_per_block(std::int64_t columns) { return std::clamp<std::int64_t>(kChunk / std::max<std::int64_t>(1, columns), 64, 2048); }

/// (rows, columns) into columns, in blocks of rows that do not depend on the number of threads.
template <class T>
void fold_rows(const ReduceRuns<T>& runs, T start, const T* x, std::int64_t rows, std::int64_t columns, T* out) {
  std::fill_n(out, columns, start);
  const std::int64_t block = rows_per_block(columns);
  const std::int64_t blocks = (rows + block - 1) / block;
  if (blocks <= 1) return runs.rows(x, rows, columns, out);
  Tensor memory = Tensor::empty({blocks * columns}, dtype_of<T>);
  T* parts = memory.mutable_data<T>();
  std::fill_n(parts, blocks * columns, start);
  parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) runs.rows(x + b * block * columns, std::min(block, rows - b * block), columns, parts + b * columns);
  });
  runs.rows(parts, blocks, columns, out);
}

/// Element by element: accumulated in A, written as T.
template <class T, class A, class F, class Finish>
BoundKernel bind_scalar(const Folding& folding, A start, F fold, Finish finish) {
  return [=](Inputs in, Outputs out) {
    const auto acc = std::make_unique<A[]>(std::size_t(folding.kept));
    std::fill_n(acc.get(), folding.kept, start);
    fold_general(folding, static_cast<const T*>(in[0]), acc.get(), fold);
    T* z = static_cast<T*>(out[0]);
    for (std::int64_t i = 0; i < folding.kept; ++i) z[i] = finish(acc[std::size_t(i)]);
  };
}

/// float and double: parts (outer kept, reduced, inner kept) by runs, anything else element by element.
template <class T>
BoundKernel bind_float(Reducer reducer, const Folding& folding, T scale) {
  const ReduceRuns<T> runs = reduce_runs<T>(reducer);
  const T start = reducer == Reducer::sum ? T(0) : reducer == Reducer::product ? T(1) : reducer == Reducer::maximum ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
  std::int64_t outer = 1, reduced = 1, inner = 1;
  int stage = 0;  // 0: outer kept, 1: reduced, 2: inner kept, 3: none of these
  for (const auto& part : folding.parts) {
    if (part.reduced) stage = stage <= 1 && reduced == 1 ? (reduced = part.size, 1) : 3;
    else if (stage == 0) outer *= part.size;
    else if (stage == 1) inner = part.size, stage = 2;
    else stage = 3;
  }
  // A running sum in T would stop growing; here nothing else splits it up.
  if (stage == 3 && reducer == Reducer::sum)
    return bind_scalar<T>(folding, 0.0, [](double a, T b) { return a + double(b); }, [scale](double a) { return static_cast<T>(a * double(scale)); });
  if (stage == 3)
    return [=](Inputs in, Outputs out) {
      T* z = static_cast<T*>(out[0]);
      std::fill_n(z, folding.kept, start);
      const T* x = static_cast<const T*>(in[0]);
      switch (reducer) {
        case Reducer::maximum: fold_general(folding, x, z, [](T a, T b) { return b > a || b != b ? b : a; }); break;
        case Reducer::minimum: fold_general(folding, x, z, [](T a, T b) { return b < a || b != b ? b : a; }); break;
        default: fold_general(folding, x, z, [](T a, T b) { return a * b; }); break;
      }
    };
  if (folding.reduced == 0) reduced = 0;
  if (folding.kept == 0) outer = 0;
  return [=](Inputs in, Outputs out) {
    const T* x = static_cast<const T*>(in[0]);
    T* z = static_cast<T*>(out[0]);
    if (inner == 1 && outer == 1) {
      z[0] = fold_all(runs, x, reduced);
    } else if (inner == 1) {
      parallel_for(outer, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, reduced)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t o = begin; o < end; ++o) z[o] = runs.run(x + o * reduced, reduced);
      });
    } else if (outer == 1 || reduced > rows_per_block(inner)) {
      for (std::int64_t o = 0; o < outer; ++o) fold_rows(runs, start, x + o * reduced * inner, reduced, inner, z + o * inner);
    } else {
      parallel_for(outer, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, reduced * inner)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t o = begin; o < end; ++o) {
          std::fill_n(z + o * inner, inner, start);
          runs.rows(x + o * reduced * inner, reduced, inner, z + o * inner);
        }
      });
    }
    if (scale != T(1))
      for (std::int64_t i = 0; i < folding.kept; ++i) z[i] *= scale;
  };
}

template <class T>
BoundKernel bind_low(Reducer reducer, const Folding& folding, float scale) {
  const auto finish = [scale](float a) { return T(a * scale); };
  switch (reducer) {
    case Reducer::sum: return bind_scalar<T>(folding, 0.0f, [](float a, T b) { return a + float(b); }, finish);
    case Reducer::product: return bind_scalar<T>(folding, 1.0f, [](float a, T b) { return a * float(b); }, finish);
    case Reducer::maximum: return bind_scalar<T>(folding, -INFINITY, [](float a, T b) { return float(b) > a || float(b) != float(b) ? float(b) : a; }, finish);
    default: return bind_scalar<T>(folding, INFINITY, [](float a, T b) { return float(b) < a || float(b) != float(b) ? float(b) : a; }, finish);
  }
}

template <class T>
BoundKernel bind_integer(Reducer reducer, const Folding& folding, bool mean) {
  using U = std::uint64_t;
  const std::int64_t count = mean ? folding.reduced : 1;
  const auto finish = [count](U a) {
    const T total = static_cast<T>(a);
    if (count == 1) return total;
    if (count == 0) return T(0);
    if constexpr (std::is_signed_v<T>) return T(std::int64_t(total) / count);
    else return T(U(total) / U(count));
  };
  const auto plain = [](T a) { return a; };
  switch (reducer) {
    case Reducer::sum: return bind_scalar<T>(folding, U(0), [](U a, T b) { return a + U(b); }, finish);
    case Reducer::product: return bind_scalar<T>(folding, U(1), [](U a, T b) { return a * U(b); }, finish);
    case Reducer::maximum: return bind_scalar<T>(folding, std::numeric_limits<T>::min(), [](T a, T b) { return std::max(a, b); }, plain);
    default: return bind_scalar<T>(folding, std::numeric_limits<T>::max(), [](T a, T b) { return std::min(a, b); }, plain);
  }
}

BoundKernel bind_reduction(const BindContext& context, Reducer reducer, bool mean, std::span<const int> axes) {
  const Folding folding = fold_axes(context.shape(0), axes);
  return visit_dtype(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    const double scale = mean ? 1.0 / double(folding.reduced) : 1.0;
    if constexpr (std::is_floating_point_v<T>) {
      return bind_float<T>(reducer, folding, T(scale));
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return bind_low<T>(reducer, folding, float(scale));
    } else if constexpr (std::is_same_v<T, bool>) {
      if (reducer == Reducer::maximum) return bind_scalar<T>(folding, false, [](bool a, bool b) { return a || b; }, [](bool a) { return a; });
      return bind_scalar<T>(folding, true, [](bool a, bool b) { return a && b; }, [](bool a) { return a; });
    } else if constexpr (std::is_integral_v<T>) {
      return bind_integer<T>(reducer, folding, mean);
    } else if constexpr (std::is_same_v<T, std::string>) {
      throw UnimplementedError("there is no CPU kernel for string", context.op().name);
    } else {
      const auto finish = [scale](T a) { return a * typename T::value_type(scale); };
      if (reducer == Reducer::sum) return bind_scalar<T>(folding, T(0), [](T a, T b) { return a + b; }, finish);
      return bind_scalar<T>(folding, T(1), [](T a, T b) { return a * b; }, finish);
    }
  });
}

template <Reducer R, bool Mean = false>
BoundKernel reduce_cpu(const BindContext& context) {
  return bind_reduction(context, R, Mean, rules::wrap_axes(context.attr("axis"), context.shape(0).ndim()));
}

void reduce_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  context.output(context.dtype_of(0), rules::reduce(shape, rules::axes(context, context.attr("axis"), shape.ndim()), context.boolean("keepdims")));
}

/// A reduced tensor broadcast back to the operand.
Tensor spread(G context, const Tensor& reduced) { return broadcast_like(grads::restore_axes(context, reduced), context.input(0)); }

Gradients sum_gradient(G context) { return {spread(context, context.upstream())}; }

Gradients mean_gradient(G context) {
  const Tensor& x = context.input(0);
  if (x.shape().known() && context.output().shape().known()) {
    const double count = double(x.numel()) / double(std::max<std::int64_t>(1, context.output().numel()));
    return {spread(context, context.upstream() / std::max(count, 1.0))};
  }
  return {spread(context, context.upstream() / reduce_sum(ones_like(x), Axes(), false) * reduce_sum(ones_like(context.output())))};
}

/// Elements that tie share the gradient equally.
Gradients extreme_gradient(G context) {
  const Tensor& x = context.input(0);
  const Tensor chosen = cast(equal(x, spread(context, context.output())), x.dtype());
  Axes axes;
  axes.value = context.attr("axis");
  const Tensor count = reduce_sum(chosen, axes, context.boolean("keepdims"));
  return {chosen * spread(context, context.upstream() / count)};
}

/// The product of all others, without dividing: the reduced axes last, products of what stands before and behind.
Gradients product_gradient(G context) {
  const Tensor& x = context.input(0);
  if (!x.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "reduce_prod");
  const SmallVector<int, 8> axes = rules::wrap_axes(context.attr("axis"), x.ndim());
  Ints order, back(std::size_t(x.ndim()), 0);
  std::int64_t reduced = 1, kept = 1;
  for (int i = 0; i < x.ndim(); ++i)
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) order.push_back(i), kept *= x.shape()[i];
  for (const int i : axes) order.push_back(i), reduced *= x.shape()[i];
  for (std::size_t i = 0; i < order.size(); ++i) back[std::size_t(order[i])] = std::int64_t(i);
  const Tensor moved = transpose(x, order);
  const Tensor rows = reshape(moved, {kept, reduced});
  const Tensor others = cumprod(rows, 1, true, false) * cumprod(rows, 1, true, true);
  return {spread(context, context.upstream()) * transpose(grads::reshape_like(others, moved), back)};
}

std::vector<AttrDef> axis_attrs() {
  return {{.name = "axis", .type = AttrType::axes, .doc = "axes to reduce; none: all"}, {.name = "keepdims", .type = AttrType::boolean, .fallback = false}};
}

std::vector<Sample> reduce_samples(DType dtype = float64, double low = 0.3) {
  const Sample::Operand x{.dtype = dtype, .shape = {2, 3, 4}, .low = low, .high = 2};
  return {{.inputs = {x}},
          {.inputs = {x}, .attrs = {{"axis", std::int64_t(-1)}}},
          {.inputs = {x}, .attrs = {{"axis", std::int64_t(0)}, {"keepdims", true}}},
          {.inputs = {x}, .attrs = {{"axis", Ints{0, 2}}}}};
}

OpDef row(std::string_view name, std::string_view doc, DTypeSet dtypes, BoundKernel (*cpu)(const BindContext&), GradRule gradient, OnnxForm form) {
  return {.name = name,
          .doc = doc,
          .family = "reduce",
          .attrs = axis_attrs(),
          .dtypes = same(dtypes),
          .infer = reduce_infer,
          .gradient = gradient,
          .fusion = Fusion::reduction,
          .onnx = form,
          .samples = reduce_samples(),
          .cpu = cpu};
}

/// Rows defined by other ops; their gradient follows from them.
OpDef composed(std::string_view name, std::string_view doc, Tensors (*compose)(const OpCall&, std::span<const Tensor>)) {
  OpDef result = row(name, doc, kFloats, nullptr, {}, no_onnx("exported as the ops that define it"));
  result.fusion = Fusion::opaque;
  result.compose = compose;
  return result;
}

Axes axes_of(const OpCall& call) {
  Axes axes;
  axes.value = call.attr("axis");
  return axes;
}

Tensors logsumexp(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor& x = inputs[0];
  const Tensor raw = stop_gradient(reduce_max(x, axes_of(call), true));
  const Tensor peak = where(is_finite(raw), raw, scalar(0, x.dtype()));
  const Tensor sum = log(reduce_sum(exp(x - peak), axes_of(call), true)) + peak;
  if (call.boolean("keepdims")) return {sum};
  const Shape shape = rules::reduce(x.shape(), rules::wrap_axes(call.attr("axis"), x.ndim()), false);
  return {reshape(sum, Ints(shape.begin(), shape.end()))};
}

Tensor variance_of(const Tensor& x, const Axes& axes, bool keepdims) {
  return reduce_mean(square(x - reduce_mean(x, axes, true)), axes, keepdims);
}

Tensors variance(const OpCall& call, std::span<const Tensor> inputs) { return {variance_of(inputs[0], axes_of(call), call.boolean("keepdims"))}; }
Tensors standard_deviation(const OpCall& call, std::span<const Tensor> inputs) {
  return {sqrt(variance_of(inputs[0], axes_of(call), call.boolean("keepdims")))};
}

Tensors norm_of(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor& x = inputs[0];
  const Axes axes = axes_of(call);
  const bool keep = call.boolean("keepdims");
  const AttrValue& order = call.attr("ord");
  if (const auto* word = std::get_if<std::string>(&order)) {
    if (*word == "inf") return {reduce_max(abs(x), axes, keep)};
    return {sqrt(reduce_sum(x * x, axes, keep))};
  }
  const double p = call.number("ord");
  if (p == 1) return {reduce_sum(abs(x), axes, keep)};
  if (p == 2) return {sqrt(reduce_sum(x * x, axes, keep))};
  if (std::isinf(p)) return {reduce_max(abs(x), axes, keep)};
  return {pow(reduce_sum(pow(abs(x), scalar(p, x.dtype())), axes, keep), scalar(1 / p, x.dtype()))};
}

void norm_infer(InferContext& context) {
  const AttrValue& order = context.attr("ord");
  const auto* word = std::get_if<std::string>(&order);
  const bool number = std::holds_alternative<std::int64_t>(order) || std::holds_alternative<double>(order);
  if (word ? *word != "euclidean" && *word != "fro" && *word != "inf" : !number || context.number("ord") < 1)
    context.refuse("ord must be \"euclidean\", \"fro\", \"inf\" or a number >= 1, got " + to_string(order));
  reduce_infer(context);
}

void moments_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  const Shape reduced = rules::reduce(shape, rules::axes(context, context.attr("axes"), shape.ndim()), context.boolean("keepdims"));
  context.output(context.dtype_of(0), reduced);
  context.output(context.dtype_of(0), reduced);
}

Tensors moments_of(const OpCall& call, std::span<const Tensor> inputs) {
  Axes axes;
  axes.value = call.attr("axes");
  const Tensor& x = inputs[0];
  const Tensor mean = reduce_mean(x, axes, true), still = stop_gradient(mean);
  const Tensor spread = reduce_mean(square(x - still), axes, call.boolean("keepdims"));
  const auto arranged = [&](const Tensor& each) { return call.boolean("keepdims") ? each : reshape(each, Ints(spread.shape().begin(), spread.shape().end())); };
  // E[(x - c)^2] - (mean - c)^2 for the constant c = mean: the second term and its gradient are 0, but not its second derivative.
  return {arranged(mean), spread - square(arranged(mean - still))};
}

void scalar_infer(InferContext& context) { context.output(context.dtype_of(0), {}); }

// ---- argmax, argmin

void arg_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::axis(context, context.integer("axis"), shape.ndim());
  if (shape[axis] == 0) context.refuse("axis " + std::to_string(axis) + " is empty");
  const DType out = context.dtype("output_type");
  if (out != int32 && out != int64) context.refuse("output_type must be int32 or int64, got " + std::string(name(out)));
  const int axes[] = {axis};
  context.output(out, rules::reduce(shape, axes, false));
}

template <bool Largest>
BoundKernel arg_cpu(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::wrap_axis(context.integer("axis"), shape.ndim());
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.ndim(); ++i) inner *= shape[i];
  const std::int64_t count = shape[axis];
  const bool wide = context.output(0).dtype == int64;
  return visit_dtype(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return [=](Inputs in, Outputs out) {
        const T* x = static_cast<const T*>(in[0]);
        parallel_for(outer, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, count * inner)), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t o = begin; o < end; ++o)
            for (std::int64_t i = 0; i < inner; ++i) {
              const T* at = x + o * count * inner + i;
              std::int64_t best = 0;
              auto value = compute_t<T>(at[0]);
              for (std::int64_t k = 1; k < count && value == value; ++k) {
                const auto other = compute_t<T>(at[k * inner]);
                if ((Largest ? other > value : other < value) || other != other) value = other, best = k;
              }
              if (wide) static_cast<std::int64_t*>(out[0])[o * inner + i] = best;
              else static_cast<std::int32_t*>(out[0])[o * inner + i] = std::int32_t(best);
            }
        });
      };
    } else {
      throw UnimplementedError("there is no CPU kernel for " + std::string(name(context.dtype_of(0))), context.op().name);
    }
  });
}

// ---- summing back to an operand

void sum_to_infer(InferContext& context) {
  const auto joined = rules::try_broadcast(context.shape(0), context.shape(1));
  if (!joined || *joined != context.shape(0)) context.refuse("operand 1 does not broadcast to operand 0");
  context.output(context.dtype_of(0), context.shape(1));
}

BoundKernel sum_to_cpu(const BindContext& context) {
  return bind_reduction(context, Reducer::sum, false, broadcast_axes(context.shape(0), context.shape(1)));
}

}  // namespace

std::vector<OpDef> reduce_rows() {
  std::vector<OpDef> rows;
  rows.push_back(row("reduce_sum", "the sum over axes", kNumeric, reduce_cpu<Reducer::sum>, sum_gradient, onnx("ReduceSum")));
  rows.push_back(row("reduce_mean", "the mean over axes; integers truncate", kNumeric, reduce_cpu<Reducer::sum, true>, mean_gradient, onnx("ReduceMean")));
  rows.push_back(row("reduce_max", "the largest element over axes; ties share the gradient", kReal, reduce_cpu<Reducer::maximum>, extreme_gradient, onnx("ReduceMax")));
  rows.push_back(row("reduce_min", "the smallest element over axes; ties share the gradient", kReal, reduce_cpu<Reducer::minimum>, extreme_gradient, onnx("ReduceMin")));
  rows.push_back(row("reduce_prod", "the product over axes", kNumeric, reduce_cpu<Reducer::product>, product_gradient, onnx("ReduceProd")));
  rows.push_back(composed("reduce_logsumexp", "log(sum(exp(x))) over axes, finite for large x", logsumexp));
  rows.push_back(composed("reduce_variance", "the population variance over axes", variance));
  rows.push_back(composed("reduce_std", "the population standard deviation over axes", standard_deviation));
  rows.push_back(row("reduce_any", "is any element true?", kBool, reduce_cpu<Reducer::maximum>, not_differentiable("its result is bool"), onnx("ReduceMax")));
  rows.back().samples = reduce_samples(boolean, 0);
  rows.push_back(row("reduce_all", "are all elements true?", kBool, reduce_cpu<Reducer::minimum>, not_differentiable("its result is bool"), onnx("ReduceMin")));
  rows.back().samples = reduce_samples(boolean, 0);
  for (const bool largest : {true, false}) {
    rows.push_back({.name = largest ? "argmax" : "argmin",
                    .doc = largest ? "the index of the first largest element along an axis" : "the index of the first smallest element along an axis",
                    .family = "reduce",
                    .attrs = {{.name = "axis", .type = AttrType::integer, .fallback = std::int64_t(0)}, {.name = "output_type", .type = AttrType::dtype, .fallback = int64}},
                    .dtypes = same(kReal | kBool),
                    .infer = arg_infer,
                    .gradient = not_differentiable("its result is an index"),
                    .onnx = onnx(largest ? "ArgMax" : "ArgMin"),
                    .samples = {{.inputs = {{.shape = {2, 3}}}}, {.inputs = {{.shape = {2, 3}}}, .attrs = {{"axis", std::int64_t(-1)}, {"output_type", int32}}}},
                    .cpu = largest ? arg_cpu<true> : arg_cpu<false>});
  }
  rows.push_back(composed("norm", "the vector norm over axes; none flattens; two axes with \"euclidean\": Frobenius", norm_of));
  rows.back().attrs = {{.name = "ord", .type = AttrType::any, .fallback = std::string("euclidean"), .doc = "euclidean, fro, inf, or a number >= 1"}, axis_attrs()[0], axis_attrs()[1]};
  rows.back().infer = norm_infer;
  for (const AttrValue& order : {AttrValue(std::int64_t(1)), AttrValue(2.5), AttrValue(std::string("inf"))}) {
    rows.back().samples.push_back(rows.back().samples[1]);
    rows.back().samples.back().attrs.push_back({"ord", order});
  }
  rows.push_back(composed("moments", "mean and population variance over axes", moments_of));
  rows.back().attrs = {{.name = "axes", .type = AttrType::axes}, axis_attrs()[1]};
  rows.back().infer = moments_infer;
  rows.back().samples = {{.inputs = {{.shape = {2, 3, 4}}}, .attrs = {{"axes", Ints{0, 1}}}}, {.inputs = {{.shape = {2, 3}}}, .attrs = {{"axes", std::int64_t(1)}, {"keepdims", true}}}};
  rows.push_back(composed("l2_loss", "sum(x^2) / 2", [](const OpCall&, std::span<const Tensor> in) -> Tensors { return {reduce_sum(square(in[0])) * 0.5}; }));
  rows.back().attrs = {};
  rows.back().infer = scalar_infer;
  rows.back().samples = {{.inputs = {{.shape = {2, 3}}}}};
  rows.push_back({.name = "sum_to_shape_of",
                  .doc = "x summed over the axes along which operand 1 was broadcast to it",
                  .family = "reduce",
                  .min_inputs = 2,
                  .max_inputs = 2,
                  .dtypes = {{{kNumeric, 0}, {kAny, 1}}},
                  .infer = sum_to_infer,
                  .gradient = [](G context) -> Gradients { return {broadcast_like(context.upstream(), context.input(0)), Gradient()}; },
                  .onnx = no_onnx("exported as ReduceSum"),
                  .samples = {{.inputs = {{.shape = {2, 3}}, {.shape = {3}}}}},
                  .cpu = sum_to_cpu});
  return rows;
}

}  // namespace lockstep

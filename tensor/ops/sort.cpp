// Sorting and searching. NaN counts as larger than every number, so that an order always exists.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using G = const GradContext&;

template <class T>
inline constexpr bool kOrdered = std::is_arithmetic_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

template <class T>
bool before(T a, T b) {
  const auto x = static_cast<compute_t<T>>(a), y = static_cast<compute_t<T>>(b);
  if constexpr (std::is_floating_point_v<compute_t<T>>) {
    if (x != x) return false;
    if (y != y) return true;
  }
  return x < y;
}

/// Runs `f(tag)` for an ordered dtype.
template <class F>
auto visit_ordered(DType dtype, std::string_view op, F&& f) {
  return visit_dtype(dtype, [&]<class T>(TypeTag<T> tag) -> decltype(f(TypeTag<float>{})) {
    if constexpr (kOrdered<T>) return f(tag);
    else throw UnimplementedError("there is no CPU kernel for " + std::string(name(dtype)), op);
  });
}

void require_direction(const InferContext& context) {
  const std::string& direction = context.text("direction");
  if (!context.attrs().empty() && direction != "ascending" && direction != "descending") context.refuse("direction must be ascending or descending, got \"" + direction + "\"");
}

void sort_infer(InferContext& context) {
  rules::axis(context, context.integer("axis"), context.shape(0).ndim());
  require_direction(context);
  rules::like_first(context);
}
void argsort_infer(InferContext& context) {
  sort_infer(context);
  context.outputs[0].dtype = int32;
}

/// Order of the elements along the axis, stable in both directions.
template <bool Indices>
BoundKernel sort_cpu(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const int axis = rules::wrap_axis(context.integer("axis"), shape.ndim());
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.ndim(); ++i) inner *= shape[i];
  const std::int64_t count = shape[axis];
  const bool descending = context.text("direction") == "descending";
  return visit_ordered(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      std::vector<std::int32_t> order(static_cast<std::size_t>(count));
      for (std::int64_t line = 0; line < outer * inner; ++line) {
        const std::int64_t at = line / inner * count * inner + line % inner;
        const T* x = static_cast<const T*>(in[0]) + at;
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return descending ? before(x[b * inner], x[a * inner]) : before(x[a * inner], x[b * inner]); });
        for (std::int64_t k = 0; k < count; ++k) {
          const std::int32_t from = order[std::size_t(k)];
          if constexpr (Indices) static_cast<std::int32_t*>(out[0])[at + k * inner] = from;
          else static_cast<T*>(out[0])[at + k * inner] = x[from * inner];
        }
      }
    };
  });
}

/// The upstream put back where its elements came from.
Tensor unsorted(const Tensor& indices, const Tensor& upstream, const Tensor& x, std::int64_t axis) {
  static const OpDef& op = find_op("take_along_axis_gradient");
  return apply(op, {indices, upstream, x}, {{"axis", axis}});
}

Gradients sort_gradient(G context) {
  const std::int64_t axis = context.integer("axis");
  return {unsorted(argsort(context.input(0), axis, context.text("direction")), context.upstream(), context.input(0), axis)};
}

void top_k_infer(InferContext& context) {
  Shape shape = context.shape(0);
  const std::int64_t k = context.integer("k");
  if (shape.ndim() < 1) context.refuse("needs at least one axis");
  std::int64_t& last = shape[shape.ndim() - 1];
  if (k < 0 || k > last) context.refuse("k " + std::to_string(k) + " must be between 0 and the last axis' " + std::to_string(last));
  last = k;
  context.output(context.dtype_of(0), shape);
  context.output(int32, shape);
}

BoundKernel top_k_cpu(const BindContext& context) {
  const Shape& shape = context.shape(0);
  const std::int64_t count = shape[shape.ndim() - 1], k = context.integer("k"), lines = count ? shape.numel() / count : 0;
  return visit_ordered(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      std::vector<std::int32_t> order(static_cast<std::size_t>(count));
      for (std::int64_t line = 0; line < lines; ++line) {
        const T* x = static_cast<const T*>(in[0]) + line * count;
        std::iota(order.begin(), order.end(), 0);
        std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](std::int32_t a, std::int32_t b) {
          if (before(x[b], x[a])) return true;
          return !before(x[a], x[b]) && a < b;
        });
        for (std::int64_t i = 0; i < k; ++i) {
          static_cast<T*>(out[0])[line * k + i] = x[order[std::size_t(i)]];
          static_cast<std::int32_t*>(out[1])[line * k + i] = order[std::size_t(i)];
        }
      }
    };
  });
}

Gradients top_k_gradient(G context) { return {unsorted(context.output(1), context.upstream(0), context.input(0), -1)}; }

// ---- unique, bincount

template <bool Counts>
void unique_infer(InferContext& context) {
  if (context.shape(0).ndim() != 1) context.refuse("takes a tensor of one axis");
  context.output(context.dtype_of(0), Shape::unknown());
  context.output(int32, context.shape(0));
  if (Counts) context.output(int32, Shape::unknown());
}

/// A key under which equal elements meet: bits for numbers (all NaN alike, -0 as 0).
template <class T>
auto key_of(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) return value;
  else if constexpr (std::is_integral_v<T>) return std::uint64_t(value);
  else {
    const double wide = double(static_cast<compute_t<T>>(value));
    return wide != wide ? ~std::uint64_t(0) : std::bit_cast<std::uint64_t>(wide == 0 ? 0.0 : wide);
  }
}

template <bool Counts>
Tensors unique_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  return visit_dtype(inputs[0].dtype(), [&]<class T>(TypeTag<T>) -> Tensors {
    if constexpr (!kOrdered<T> && !std::is_same_v<T, std::string>) {
      throw UnimplementedError("there is no CPU kernel for " + std::string(name(inputs[0].dtype())), call.op().name);
    } else {
      const auto x = inputs[0].data<T>();
      std::unordered_map<decltype(key_of(x[0])), std::int32_t> seen;
      std::vector<std::size_t> firsts;
      std::vector<std::int32_t> counts;
      Tensor index = Tensor::empty(inputs[0].shape(), int32);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const auto [at, fresh] = seen.try_emplace(key_of(x[i]), std::int32_t(firsts.size()));
        if (fresh) firsts.push_back(i), counts.push_back(0);
        ++counts[std::size_t(at->second)];
        index.mutable_data<std::int32_t>()[i] = at->second;
      }
      Tensor values = Tensor::empty({std::int64_t(firsts.size())}, inputs[0].dtype());
      for (std::size_t k = 0; k < firsts.size(); ++k) values.mutable_data<T>()[k] = x[firsts[k]];
      Tensors result{values, index};
      if (Counts) {
        Tensor tally = Tensor::empty({std::int64_t(counts.size())}, int32);
        std::copy(counts.begin(), counts.end(), tally.mutable_data<std::int32_t>());
        result.push_back(tally);
      }
      return result;
    }
  });
}

std::int64_t length_attr(const OpCall& call, std::string_view name, std::int64_t none) { return call.is_none(name) ? none : std::get<std::int64_t>(call.attr(name)); }

void bincount_infer(InferContext& context) {
  if (!kIndexInts.contains(context.dtype_of(0))) context.refuse_type("operand 0 must be int32 or int64");
  if (context.input_count() == 2 && context.shape(0) != context.shape(1)) context.refuse("the weights must have the shape of the values");
  for (const char* attr : {"minlength", "maxlength"})
    if (length_attr(context, attr, 0) < 0) context.refuse(std::string(attr) + " must not be negative");
  context.output(context.input_count() == 2 ? context.dtype_of(1) : int32, Shape::unknown());
}

Tensors bincount_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const std::int64_t least = length_attr(call, "minlength", 0), most = length_attr(call, "maxlength", INT64_MAX);
  std::int64_t length = least;
  const auto at = [&](std::int64_t i) { return inputs[0].dtype() == int64 ? inputs[0].data<std::int64_t>()[std::size_t(i)] : std::int64_t(inputs[0].data<std::int32_t>()[std::size_t(i)]); };
  for (std::int64_t i = 0; i < inputs[0].numel(); ++i) {
    if (at(i) < 0) call.refuse("values must not be negative; element " + std::to_string(i) + " is " + std::to_string(at(i)));
    length = std::max(length, at(i) + 1);
  }
  length = std::min(length, most);
  const bool weighted = inputs.size() == 2;
  Tensor result = full({length}, 0, weighted ? inputs[1].dtype() : int32);
  visit_ordered(result.dtype(), "bincount", [&]<class T>(TypeTag<T>) {
    if constexpr (!std::is_same_v<T, bool>) {
      T* out = result.mutable_data<T>();
      for (std::int64_t i = 0; i < inputs[0].numel(); ++i) {
        if (at(i) >= length) continue;
        using C = compute_t<T>;
        const C weight = weighted ? static_cast<C>(inputs[1].data<T>()[std::size_t(i)]) : C(1);
        out[at(i)] = static_cast<T>(static_cast<C>(static_cast<C>(out[at(i)]) + weight));
      }
    }
  });
  return {result};
}

// ---- searchsorted, in_top_k

void searchsorted_infer(InferContext& context) {
  const std::string& side = context.text("side");
  if (side != "left" && side != "right") context.refuse("side must be left or right, got \"" + side + "\"");
  const Shape &sorted = context.shape(0), &values = context.shape(1);
  bool fits = sorted.ndim() >= 1 && sorted.ndim() == values.ndim();
  for (int i = 0; fits && i < sorted.ndim() - 1; ++i) fits = sorted[i] == values[i];
  if (!fits) context.refuse("the operands must agree in all axes but the last");
  context.output(int32, values);
}

BoundKernel searchsorted_cpu(const BindContext& context) {
  const Shape &sorted = context.shape(0), &values = context.shape(1);
  const std::int64_t count = sorted[sorted.ndim() - 1], wanted = values[values.ndim() - 1], lines = wanted ? values.numel() / wanted : 0;
  const bool right = context.text("side") == "right";
  return visit_ordered(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      for (std::int64_t line = 0; line < lines; ++line) {
        const T* x = static_cast<const T*>(in[0]) + line * count;
        for (std::int64_t i = 0; i < wanted; ++i) {
          const T value = static_cast<const T*>(in[1])[line * wanted + i];
          const T* found = right ? std::upper_bound(x, x + count, value, before<T>) : std::lower_bound(x, x + count, value, before<T>);
          static_cast<std::int32_t*>(out[0])[line * wanted + i] = std::int32_t(found - x);
        }
      }
    };
  });
}

void in_top_k_infer(InferContext& context) {
  if (context.shape(0).ndim() != 2 || context.shape(1).ndim() != 1 || context.shape(0)[0] != context.shape(1)[0]) context.refuse("needs (batch, classes) predictions and (batch,) targets");
  context.output(boolean, context.shape(1));
}

BoundKernel in_top_k_cpu(const BindContext& context) {
  const std::int64_t batch = context.shape(0)[0], classes = context.shape(0)[1], k = context.integer("k");
  const bool wide = context.dtype_of(1) == int64;
  return visit_ordered(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      for (std::int64_t b = 0; b < batch; ++b) {
        const T* x = static_cast<const T*>(in[0]) + b * classes;
        const std::int64_t target = wide ? static_cast<const std::int64_t*>(in[1])[b] : std::int64_t(static_cast<const std::int32_t*>(in[1])[b]);
        bool hit = target >= 0 && target < classes && std::isfinite(double(static_cast<compute_t<T>>(x[target])));
        std::int64_t larger = 0;
        for (std::int64_t c = 0; hit && c < classes; ++c) {
          hit = std::isfinite(double(static_cast<compute_t<T>>(x[c])));
          larger += before(x[target], x[c]);
        }
        static_cast<bool*>(out[0])[b] = hit && larger < k;
      }
    };
  });
}

OpDef base(std::string_view name, std::string_view doc, int least, int most, DTypeRule dtypes, std::vector<AttrDef> attrs, void (*infer)(InferContext&), GradRule gradient, OnnxForm form, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "sort", .min_inputs = least, .max_inputs = most, .attrs = std::move(attrs), .dtypes = std::move(dtypes), .infer = infer, .gradient = gradient, .onnx = form, .samples = std::move(samples)};
}

}  // namespace

std::vector<OpDef> sort_rows() {
  const Sample::Operand x{.shape = {2, 5}};
  const std::vector<AttrDef> sort_attrs{{.name = "axis", .type = AttrType::integer, .fallback = std::int64_t(-1)}, {.name = "direction", .type = AttrType::string, .fallback = std::string("ascending")}};
  const std::vector<Sample> sort_samples{{.inputs = {x}}, {.inputs = {x}, .attrs = {{"axis", std::int64_t(0)}, {"direction", std::string("descending")}}}};
  const auto index = not_differentiable("its result is an index");
  std::vector<OpDef> rows;
  rows.push_back(base("sort", "sorted along an axis; NaN counts as the largest", 1, 1, same(kReal | kBool), sort_attrs, sort_infer, sort_gradient, no_onnx("exported as TopK"), sort_samples));
  rows.back().cpu = sort_cpu<false>;
  rows.push_back(base("argsort", "int32 indices that sort along an axis, stable", 1, 1, same(kReal | kBool), sort_attrs, argsort_infer, index, no_onnx("exported as TopK"), sort_samples));
  rows.back().cpu = sort_cpu<true>;
  rows.push_back(base("top_k", "the k largest along the last axis and their int32 indices; of equal ones the lower index first", 1, 1, same(kReal), {{.name = "k", .type = AttrType::integer, .fallback = std::int64_t(1)}},
                      top_k_infer, top_k_gradient, onnx("TopK"), {{.inputs = {x}, .attrs = {{"k", std::int64_t(3)}}}}));
  rows.back().cpu = top_k_cpu;
  const Sample ints{.inputs = {{.dtype = int32, .shape = {7}, .low = 0, .high = 4}}};
  rows.push_back(base("unique", "the distinct elements in the order they appear, and the int32 place of each element among them", 1, 1, same(kAny), {}, unique_infer<false>, not_differentiable("its results are a choice and indices"), onnx("Unique"), {ints}));
  rows.back().cpu_dynamic = unique_cpu<false>;
  rows.push_back(base("unique_with_counts", "as unique, and how often each occurs", 1, 1, same(kAny), {}, unique_infer<true>, not_differentiable("its results are a choice and indices"), onnx("Unique"), {ints}));
  rows.back().cpu_dynamic = unique_cpu<true>;
  rows.push_back(base("bincount", "how often each number 0, 1, ... occurs, or the sum of its weights (operand 1)", 1, 2, {{{kIndexInts, 0}, {kReal, 1}}}, {{.name = "minlength", .type = AttrType::axis}, {.name = "maxlength", .type = AttrType::axis}},
                      bincount_infer, not_differentiable("its operand is an index"), no_onnx("ONNX has no such operator"), {ints, {.inputs = {ints.inputs[0], {.shape = {7}}}, .attrs = {{"minlength", std::int64_t(6)}}}}));
  rows.back().cpu_dynamic = bincount_cpu;
  rows.push_back(base("searchsorted", "where each value would be put into the sorted operand 0 (last axis), before or behind its equals", 2, 2, same(kReal), {{.name = "side", .type = AttrType::string, .fallback = std::string("left")}},
                      searchsorted_infer, index, no_onnx("ONNX has no such operator"), {{.inputs = {{.shape = {2, 4}}, {.shape = {2, 3}}}, .prepare = [](std::span<const Tensor> in) -> Tensors { return {sort(in[0]), in[1]}; }}}));
  rows.back().cpu = searchsorted_cpu;
  rows.push_back(base("in_top_k", "is the target's prediction among the k largest of its row? Ties count, rows with NaN or inf do not", 2, 2, {{{kFloats, 0}, {kIndexInts, 1}}}, {{.name = "k", .type = AttrType::integer, .required = true}},
                      in_top_k_infer, not_differentiable("its result is bool"), no_onnx("exported as TopK and comparisons"), {{.inputs = {x, {.dtype = int32, .shape = {2}, .low = 0, .high = 5}}, .attrs = {{"k", std::int64_t(2)}}}}));
  rows.back().cpu = in_top_k_cpu;
  return rows;
}

}  // namespace lockstep

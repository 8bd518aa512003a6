// Sorting and searching. NaN counts as larger than every number, so that an order always exists.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>
#include <unordered_map>
#include <vector>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using G = const GradContext&;

template <class T>
inline constexpr bool kOrdered = std::is_arithmetic_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

/// A number of which the order is the elements': equal elements (0 and -0, all NaN) get equal keys. One dtype to sort, not twelve.
template <class T>
std::uint64_t order_key(T value) {
  constexpr std::uint64_t kSign = std::uint64_t(1) << 63;
  if constexpr (std::is_unsigned_v<T>) {
    return value;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<std::uint64_t>(std::int64_t(value)) ^ kSign;
  } else {
    const double wide = double(static_cast<compute_t<T>>(value));
    if (wide != wide) return ~std::uint64_t(0);
    const auto bits = std::bit_cast<std::uint64_t>(wide == 0 ? 0.0 : wide);
    return bits & kSign ? ~bits : bits ^ kSign;
  }
}

/// Writes the keys of `count` elements, `stride` apart.
using KeysFn = void (*)(const void* from, std::int64_t stride, std::int64_t count, std::uint64_t* keys);
KeysFn keys_of(DType dtype, std::string_view op) {
  return visit_dtype(dtype, [&]<class T>(TypeTag<T>) -> KeysFn {
    if constexpr (kOrdered<T>)
      return [](const void* from, std::int64_t stride, std::int64_t count, std::uint64_t* keys) {
        for (std::int64_t i = 0; i < count; ++i) keys[i] = order_key(static_cast<const T*>(from)[i * stride]);
      };
    else throw UnimplementedError("there is no CPU kernel for " + std::string(name(dtype)), op);
  });
}

/// An element's key and place; in order of the keys, then of the places.
using Ranked = std::pair<std::uint64_t, std::int32_t>;

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
  return [=, size = std::int64_t(itemsize(context.dtype_of(0))), keys_of_line = keys_of(context.dtype_of(0), context.op().name)](Inputs in, Outputs out) {
    std::vector<std::uint64_t> keys(static_cast<std::size_t>(count));
    std::vector<Ranked> ranked(keys.size());
    for (std::int64_t line = 0; line < outer * inner; ++line) {
      const std::int64_t at = line / inner * count * inner + line % inner;
      const std::byte* x = static_cast<const std::byte*>(in[0]) + at * size;
      keys_of_line(x, inner, count, keys.data());
      for (std::size_t i = 0; i < keys.size(); ++i) ranked[i] = {descending ? ~keys[i] : keys[i], std::int32_t(i)};
      std::sort(ranked.begin(), ranked.end());
      for (std::int64_t k = 0; k < count; ++k) {
        const std::int32_t from = ranked[std::size_t(k)].second;
        if constexpr (Indices) static_cast<std::int32_t*>(out[0])[at + k * inner] = from;
        else std::memcpy(static_cast<std::byte*>(out[0]) + (at + k * inner) * size, x + from * inner * size, std::size_t(size));
      }
    }
  };
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
  return [=, size = std::int64_t(itemsize(context.dtype_of(0))), keys_of_line = keys_of(context.dtype_of(0), context.op().name)](Inputs in, Outputs out) {
    std::vector<std::uint64_t> keys(static_cast<std::size_t>(count));
    std::vector<Ranked> ranked(keys.size());
    for (std::int64_t line = 0; line < lines; ++line) {
      const std::byte* x = static_cast<const std::byte*>(in[0]) + line * count * size;
      keys_of_line(x, 1, count, keys.data());
      for (std::size_t i = 0; i < keys.size(); ++i) ranked[i] = {~keys[i], std::int32_t(i)};
      std::partial_sort(ranked.begin(), ranked.begin() + k, ranked.end());
      for (std::int64_t i = 0; i < k; ++i) {
        const std::int32_t from = ranked[std::size_t(i)].second;
        std::memcpy(static_cast<std::byte*>(out[0]) + (line * k + i) * size, x + from * size, std::size_t(size));
        static_cast<std::int32_t*>(out[1])[line * k + i] = from;
      }
    }
  };
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

/// The places of the distinct elements, the number of each element among them, and how often each occurs.
struct Distinct {
  std::vector<std::size_t> firsts;
  std::vector<std::int32_t> counts;
};
template <class Key>
Distinct distinct(std::span<const Key> keys, std::int32_t* index) {
  std::unordered_map<Key, std::int32_t> seen;
  Distinct result;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto [at, fresh] = seen.try_emplace(keys[i], std::int32_t(result.firsts.size()));
    if (fresh) result.firsts.push_back(i), result.counts.push_back(0);
    ++result.counts[std::size_t(at->second)];
    index[i] = at->second;
  }
  return result;
}

template <bool Counts>
Tensors unique_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor& x = inputs[0];
  Tensor index = Tensor::empty(x.shape(), int32);
  std::int32_t* places = index.mutable_data<std::int32_t>();
  Distinct found;
  Tensor values;
  if (x.dtype() == string) {
    found = distinct(x.data<std::string>(), places);
    values = Tensor::empty({std::int64_t(found.firsts.size())}, string);
    for (std::size_t k = 0; k < found.firsts.size(); ++k) values.mutable_data<std::string>()[k] = x.data<std::string>()[found.firsts[k]];
  } else {
    std::vector<std::uint64_t> keys(std::size_t(x.numel()));
    keys_of(x.dtype(), call.op().name)(x.raw(), 1, x.numel(), keys.data());
    found = distinct(std::span<const std::uint64_t>(keys), places);
    values = Tensor::empty({std::int64_t(found.firsts.size())}, x.dtype());
    const std::size_t size = itemsize(x.dtype());
    for (std::size_t k = 0; k < found.firsts.size(); ++k)
      std::memcpy(static_cast<std::byte*>(values.mutable_raw()) + k * size, static_cast<const std::byte*>(x.raw()) + found.firsts[k] * size, size);
  }
  Tensors result{values, index};
  if (Counts) result.push_back(constant(found.counts));
  return result;
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
    if (at(i) >= most) continue;  // not counted
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
  return [=, size = std::int64_t(itemsize(context.dtype_of(0))), keys_of_line = keys_of(context.dtype_of(0), context.op().name)](Inputs in, Outputs out) {
    std::vector<std::uint64_t> keys(static_cast<std::size_t>(count)), asked(static_cast<std::size_t>(wanted));
    for (std::int64_t line = 0; line < lines; ++line) {
      keys_of_line(static_cast<const std::byte*>(in[0]) + line * count * size, 1, count, keys.data());
      keys_of_line(static_cast<const std::byte*>(in[1]) + line * wanted * size, 1, wanted, asked.data());
      for (std::int64_t i = 0; i < wanted; ++i) {
        const std::uint64_t key = asked[std::size_t(i)];
        const auto at = right ? std::upper_bound(keys.begin(), keys.end(), key) : std::lower_bound(keys.begin(), keys.end(), key);
        static_cast<std::int32_t*>(out[0])[line * wanted + i] = std::int32_t(at - keys.begin());
      }
    }
  };
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
          larger += order_key(x[target]) < order_key(x[c]);
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

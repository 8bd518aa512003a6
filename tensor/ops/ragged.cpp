// What ragged tensors need besides the ops on their flat values: places. Row splits (0 <= s[0] <= s[1] ... = number of values, int64) go in, and indices that
// gather and scatter take come out, so that gradients flow through those. Only padding is a row of its own, with its inverse.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/entries.h>
#include <lockstep/tensor/ops/index_walk.h>
#include <lockstep/tensor/ops/row_splits.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {

void require_splits(Splits splits, std::int64_t count, std::string_view op) {
  if (splits.empty() || splits[0] != 0) throw InvalidArgumentError("row splits must begin with 0", op);
  for (std::size_t r = 1; r < splits.size(); ++r)
    if (splits[r] < splits[r - 1]) throw InvalidArgumentError("row splits must not fall: " + std::to_string(splits[r]) + " follows on " + std::to_string(splits[r - 1]) + " (row " + std::to_string(r - 1) + ")", op);
  if (splits.back() != count) throw InvalidArgumentError("row splits end at " + std::to_string(splits.back()) + ", but there are " + std::to_string(count) + " values", op);
}

namespace {

using G = const GradContext&;

Splits splits_of(const void* data, const Shape& shape) { return {static_cast<const std::int64_t*>(data), std::size_t(shape[0])}; }

void require_splits_shape(const InferContext& context, std::size_t first, std::size_t last = std::size_t(-1)) {
  for (std::size_t i = first; i < std::min(last, context.input_count()); ++i)
    if (context.shape(i).ndim() != 1 || context.shape(i)[0] < 1) context.refuse("row splits must have one axis, of one more than the rows");
}

// ---- which row, which coordinates

void rowids_infer(InferContext& context) {
  require_splits_shape(context, 1);
  if (context.shape(0).ndim() < 1 || context.input_count() != 2) context.refuse("takes values of at least one axis and their row splits");
  context.output(int64, Shape{context.shape(0)[0]});
}

BoundKernel rowids_cpu(const BindContext& context) {
  return [count = context.shape(0)[0], shape = context.shape(1), op = context.op().name](Inputs in, Outputs out) {
    const Splits splits = splits_of(in[1], shape);
    require_splits(splits, count, op);
    auto* ids = static_cast<std::int64_t*>(out[0]);
    for (std::size_t r = 0; r + 1 < splits.size(); ++r) std::fill(ids + splits[r], ids + splits[r + 1], std::int64_t(r));
  };
}

void coordinates_infer(InferContext& context) {
  require_splits_shape(context, 1);
  if (context.shape(0).ndim() < 1) context.refuse("the values need at least one axis");
  context.output(int64, Shape{context.shape(0)[0], std::int64_t(context.input_count())});
}

/// All splits of a ragged tensor, outermost first; each is checked against the one below.
std::vector<Splits> nested_splits(const std::vector<Shape>& shapes, Inputs in, std::int64_t count, std::string_view op) {
  std::vector<Splits> result;
  for (std::size_t d = 0; d < shapes.size(); ++d) result.push_back(splits_of(in[d], shapes[d]));
  for (std::size_t d = 0; d < shapes.size(); ++d) require_splits(result[d], d + 1 < shapes.size() ? std::int64_t(result[d + 1].size()) - 1 : count, op);
  return result;
}

std::vector<Shape> shapes_from(const BindContext& context, std::size_t first) {
  std::vector<Shape> result;
  for (std::size_t i = first; i < context.input_count(); ++i) result.push_back(context.shape(i));
  return result;
}

std::vector<Splits> splits_from(const OpCall& call, std::span<const Tensor> inputs, std::size_t first, std::int64_t count) {
  std::vector<Shape> shapes;
  std::vector<const void*> data;
  for (std::size_t i = first; i < inputs.size(); ++i) shapes.push_back(inputs[i].shape()), data.push_back(inputs[i].raw());
  return nested_splits(shapes, data.data(), count, call.op().name);
}

/// Calls `visit(value, coordinates)` for every value; coordinates are (row, place in the row, ...).
template <class F>
void for_each_value(const std::vector<Splits>& splits, F&& visit) {
  std::vector<std::int64_t> at(splits.size() + 1);
  const auto walk = [&](auto&& self, std::size_t depth, std::int64_t begin, std::int64_t end) -> void {
    for (std::int64_t i = begin; i < end; ++i) {
      at[depth] = i - begin;
      if (depth == splits.size()) visit(i, at);
      else self(self, depth + 1, splits[depth][std::size_t(i)], splits[depth][std::size_t(i) + 1]);
    }
  };
  walk(walk, 0, 0, std::int64_t(splits[0].size()) - 1);
}

BoundKernel coordinates_cpu(const BindContext& context) {
  return [shapes = shapes_from(context, 1), count = context.shape(0)[0], op = context.op().name](Inputs in, Outputs out) {
    auto* to = static_cast<std::int64_t*>(out[0]);
    for_each_value(nested_splits(shapes, in + 1, count, op), [&](std::int64_t, const std::vector<std::int64_t>& at) { to = std::copy(at.begin(), at.end(), to); });
  };
}

void bounding_infer(InferContext& context) {
  require_splits_shape(context, 1);
  if (context.shape(0).ndim() < 1) context.refuse("the values need at least one axis");
  context.output(int64, Shape{std::int64_t(context.input_count()) + context.shape(0).ndim() - 1});
}

/// Rows, then the longest row of each ragged axis, then the sizes of the values' own axes.
std::vector<std::int64_t> bounds_of(const std::vector<Splits>& splits, const Shape& values) {
  std::vector<std::int64_t> bounds{std::int64_t(splits[0].size()) - 1};
  for (const Splits& each : splits) {
    std::int64_t longest = 0;
    for (std::size_t r = 1; r < each.size(); ++r) longest = std::max(longest, each[r] - each[r - 1]);
    bounds.push_back(longest);
  }
  bounds.insert(bounds.end(), values.begin() + 1, values.end());
  return bounds;
}

BoundKernel bounding_cpu(const BindContext& context) {
  return [shapes = shapes_from(context, 1), values = context.shape(0), op = context.op().name](Inputs in, Outputs out) {
    const std::vector<std::int64_t> bounds = bounds_of(nested_splits(shapes, in + 1, values[0], op), values);
    std::copy(bounds.begin(), bounds.end(), static_cast<std::int64_t*>(out[0]));
  };
}

void same_splits_infer(InferContext& context) {
  require_splits_shape(context, 0);
  if (context.shape(0) != context.shape(1)) context.refuse("the operands have " + std::to_string(context.shape(0)[0] - 1) + " and " + std::to_string(context.shape(1)[0] - 1) + " rows");
  rules::like_first(context);
}

BoundKernel same_splits_cpu(const BindContext& context) {
  return [shape = context.shape(0), op = context.op().name](Inputs in, Outputs out) {
    const Splits a = splits_of(in[0], shape), b = splits_of(in[1], shape);
    for (std::size_t r = 0; r + 1 < a.size(); ++r)
      if (a[r + 1] - a[r] != b[r + 1] - b[r])
        throw InvalidArgumentError("the operands' rows " + std::to_string(r) + " have lengths " + std::to_string(a[r + 1] - a[r]) + " and " + std::to_string(b[r + 1] - b[r]), op);
    std::copy(a.begin(), a.end(), static_cast<std::int64_t*>(out[0]));
  };
}

// ---- rows and parts of rows

/// The splits of rows with these lengths, and the places of their values: `begin(row)`, then every `step(row)`-th.
template <class F>
Tensors places_of(std::int64_t rows, F&& row) {
  Tensor splits = Tensor::empty({rows + 1}, int64);
  std::int64_t* ends = splits.mutable_data<std::int64_t>();
  ends[0] = 0;
  for (std::int64_t r = 0; r < rows; ++r) ends[r + 1] = ends[r] + row(r).length;
  Tensor places = Tensor::empty({ends[rows]}, int64);
  std::int64_t* to = places.mutable_data<std::int64_t>();
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto part = row(r);
    for (std::int64_t k = 0; k < part.length; ++k) *to++ = part.begin + k * part.step;
  }
  return {splits, places};
}
struct RowPart {
  std::int64_t begin, length, step;
};

void take_rows_infer(InferContext& context) {
  require_splits_shape(context, 0, 1);
  if (context.shape(1).ndim() != 1) context.refuse("the row numbers must have one axis");
  context.output(int64, Shape{context.shape(1)[0] + 1});
  context.output(int64, Shape::unknown());
}

Tensors take_rows_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Splits splits = inputs[0].data<std::int64_t>(), wanted = inputs[1].data<std::int64_t>();
  require_splits(splits, splits.back(), call.op().name);
  const auto rows = std::int64_t(splits.size()) - 1;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i] < 0 || wanted[i] >= rows) throw IndexError("row " + std::to_string(wanted[i]) + " (element " + std::to_string(i) + ") is out of range for " + std::to_string(rows) + " rows", call.op().name);
  return places_of(std::int64_t(wanted.size()), [&](std::int64_t i) {
    const auto r = std::size_t(wanted[std::size_t(i)]);
    return RowPart{splits[r], splits[r + 1] - splits[r], 1};
  });
}

void slice_rows_infer(InferContext& context) {
  require_splits_shape(context, 0);
  if (!context.is_none("step") && context.integer("step") == 0) context.refuse("the step of a slice must not be 0");
  context.output(int64, context.shape(0));
  context.output(int64, Shape::unknown());
}

Tensors slice_rows_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Splits splits = inputs[0].data<std::int64_t>();
  require_splits(splits, splits.back(), call.op().name);
  const auto given = [&](const char* attr) { return call.is_none(attr) ? std::nullopt : std::optional(call.integer(attr)); };
  const std::optional<std::int64_t> start = given("start"), stop = given("stop"), step = given("step");
  return places_of(std::int64_t(splits.size()) - 1, [&](std::int64_t r) {
    const std::int64_t begin = splits[std::size_t(r)];
    const index_walk::SliceRange range = index_walk::slice_range(start, stop, step, splits[std::size_t(r) + 1] - begin);
    return RowPart{begin + range.start, range.count, range.step};
  });
}

void range_infer(InferContext& context) {
  const std::int64_t rows = context.shape(0).numel();
  for (std::size_t i = 0; i < 3; ++i)
    if (context.shape(i).ndim() != 1 || context.shape(i)[0] != rows) context.refuse("starts, limits and deltas must have one axis, of one size");
  context.output(context.dtype_of(0), Shape::unknown());
  context.output(int64, Shape{rows + 1});
}

/// How many numbers from `start` on stay before `limit`.
template <class T>
std::int64_t steps_between(T start, T limit, T delta, std::string_view op) {
  if (delta == 0) throw InvalidArgumentError("a range's delta must not be 0", op);
  if ((delta > 0) != (limit > start) || limit == start) return 0;
  if constexpr (std::is_floating_point_v<T>) {
    const double steps = std::ceil((double(limit) - double(start)) / double(delta));
    if (!(steps < 0x1p58)) throw InvalidArgumentError("a range of " + std::to_string(steps) + " numbers is too long", op);
    return std::int64_t(steps);
  } else {
    const auto distance = delta > 0 ? std::uint64_t(limit) - std::uint64_t(start) : std::uint64_t(start) - std::uint64_t(limit);
    const auto stride = delta > 0 ? std::uint64_t(delta) : -std::uint64_t(delta);
    return std::int64_t((distance - 1) / stride + 1);
  }
}

Tensors range_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  return visit_dtype(inputs[0].dtype(), [&]<class T>(TypeTag<T>) -> Tensors {
    if constexpr (std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::int64_t> || std::is_same_v<T, float> || std::is_same_v<T, double>) {
      const auto starts = inputs[0].data<T>(), limits = inputs[1].data<T>(), deltas = inputs[2].data<T>();
      const std::size_t rows = starts.size();
      Tensor splits = Tensor::empty({std::int64_t(rows) + 1}, int64);
      std::int64_t* ends = splits.mutable_data<std::int64_t>();
      ends[0] = 0;
      for (std::size_t r = 0; r < rows; ++r)
        if (__builtin_add_overflow(ends[r], steps_between(starts[r], limits[r], deltas[r], call.op().name), &ends[r + 1]) || ends[r + 1] > std::int64_t(1) << 58)
          call.refuse("the rows up to " + std::to_string(r) + " have more than 2^58 numbers");
      Tensor values = Tensor::empty({ends[rows]}, inputs[0].dtype());
      T* to = values.mutable_data<T>();
      for (std::size_t r = 0; r < rows; ++r) {
        T value = starts[r];
        for (std::int64_t k = ends[r]; k < ends[r + 1]; ++k) {
          *to++ = value;
          if (k + 1 < ends[r + 1]) value = static_cast<T>(value + deltas[r]);  // (the one behind the last might overflow)
        }
      }
      return {values, splits};
    } else {
      throw InternalError("the dtype rule let a dtype pass");
    }
  });
}

// ---- reductions

/// Each value's segment when ragged axes are reduced. A kept axis is as long as the longest of the rows that meet in it.
void reduce_places_infer(InferContext& context) {
  require_splits_shape(context, 1);
  const Ints axes = context.ints("axis");
  const auto levels = std::int64_t(context.input_count());
  if (context.shape(0).ndim() < 1 || axes.empty() || std::int64_t(axes.size()) >= levels) context.refuse("reduces at least one of the ragged axes, and not all");
  for (const std::int64_t axis : axes)
    if (axis < 0 || axis >= levels) context.refuse("axis " + std::to_string(axis) + " is none of the ragged axes");
  context.output(int64, Shape{context.shape(0)[0]});
  context.output(int64, Shape{});
  for (std::int64_t kept = levels - std::int64_t(axes.size()); kept > 1; --kept) context.output(int64, Shape::unknown());
}

Tensors reduce_places_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Ints axes = call.ints("axis");
  std::vector<Splits> splits = splits_from(call, inputs, 1, inputs[0].shape()[0]);
  const std::int64_t whole[] = {0, std::int64_t(splits[0].size()) - 1};
  splits.insert(splits.begin(), Splits(whole));
  std::vector<std::int64_t> node{0};  // of each input node at this depth, the output's
  std::int64_t nodes = 1;
  Tensors result;
  for (std::size_t depth = 0; depth < splits.size(); ++depth) {
    const Splits level = splits[depth];
    std::vector<std::int64_t> next(std::size_t(level.back()));
    if (std::find(axes.begin(), axes.end(), std::int64_t(depth)) != axes.end()) {
      for (std::size_t p = 0; p + 1 < level.size(); ++p) std::fill(next.begin() + level[p], next.begin() + level[p + 1], node[p]);
    } else {
      std::vector<std::int64_t> ends(std::size_t(nodes) + 1, 0);
      for (std::size_t p = 0; p + 1 < level.size(); ++p) ends[std::size_t(node[p]) + 1] = std::max(ends[std::size_t(node[p]) + 1], level[p + 1] - level[p]);
      for (std::size_t n = 1; n < ends.size(); ++n) ends[n] += ends[n - 1];
      for (std::size_t p = 0; p + 1 < level.size(); ++p)
        for (std::int64_t i = level[p]; i < level[p + 1]; ++i) next[std::size_t(i)] = ends[std::size_t(node[p])] + i - level[p];
      nodes = ends.back();
      result.push_back(entries::int64_tensor(ends));
    }
    node = std::move(next);
  }
  // The first kept axis has one row, of all: its splits say nothing.
  Tensors ordered{entries::int64_tensor(node), entries::int64_tensor({&nodes, 1}, {})};
  for (std::size_t i = 1; i < result.size(); ++i) ordered.push_back(result[i]);
  return ordered;
}

// ---- padding

/// The shape that padding gives, where it does not depend on the splits: `shape` names every ragged axis' size.
void to_tensor_infer(InferContext& context) {
  require_splits_shape(context, 2);
  const Shape& values = context.shape(0);
  const auto levels = int(context.input_count()) - 1;
  const Ints sizes = context.ints("shape");
  if (values.ndim() < 1 || context.shape(1).ndim() != 0) context.refuse("takes values of at least one axis, a scalar and row splits");
  if (!sizes.empty() && int(sizes.size()) != levels + values.ndim() - 1) context.refuse("shape must have " + std::to_string(levels + values.ndim() - 1) + " sizes, got " + to_string(AttrValue(sizes)));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < -1) context.refuse("a size must be -1 (as the values need) or not negative, got " + std::to_string(sizes[i]));
    if (int(i) >= levels && sizes[i] != -1 && sizes[i] != values[int(i) - levels + 1]) context.refuse("the values' own axes cannot be padded");
  }
  bool known = !sizes.empty();
  for (int i = 1; i < levels && known; ++i) known = sizes[std::size_t(i)] >= 0;
  if (!known) return context.output(context.dtype_of(0), Shape::unknown());
  Shape shape{sizes[0] < 0 ? context.shape(2)[0] - 1 : sizes[0]};
  for (int i = 1; i < levels; ++i) shape.push_back(sizes[std::size_t(i)]);
  for (int i = 1; i < values.ndim(); ++i) shape.push_back(values[i]);
  context.output(context.dtype_of(0), shape);
}

/// Where each value stands among the rows of `inner` elements of a padded tensor; -1: cut off.
std::vector<std::int64_t> padded_places(const std::vector<Splits>& splits, std::span<const std::int64_t> sizes, std::int64_t count) {
  std::vector<std::int64_t> places(std::size_t(count), -1);
  for_each_value(splits, [&](std::int64_t i, const std::vector<std::int64_t>& at) {
    std::int64_t place = 0;
    for (std::size_t k = 0; k < at.size(); ++k) {
      if (at[k] >= sizes[k]) return;
      place = place * sizes[k] + at[k];
    }
    places[std::size_t(i)] = place;
  });
  return places;
}

Tensors to_tensor_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor &values = inputs[0], &filling = inputs[1];
  const std::vector<Splits> splits = splits_from(call, inputs, 2, values.shape()[0]);
  std::vector<std::int64_t> sizes = bounds_of(splits, values.shape());
  const Ints asked = call.ints("shape");
  for (std::size_t i = 0; i < asked.size(); ++i)
    if (asked[i] >= 0) sizes[i] = asked[i];
  Tensor result = Tensor::empty(Shape(sizes), values.dtype());
  const std::int64_t inner = values.shape()[0] ? values.numel() / values.shape()[0] : 0;
  const std::vector<std::int64_t> places = padded_places(splits, sizes, values.shape()[0]);
  visit_dtype(values.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = static_cast<T*>(result.mutable_raw());
    const T* from = static_cast<const T*>(values.raw());
    std::fill_n(to, result.numel(), *static_cast<const T*>(filling.raw()));
    for (std::size_t i = 0; i < places.size(); ++i)
      if (places[i] >= 0) std::copy_n(from + std::int64_t(i) * inner, inner, to + places[i] * inner);
  });
  return {result};
}

Tensor from_padded(const Tensor& padded, const Tensor& like, std::span<const Tensor> splits) {
  static const OpDef& op = find_op("ragged_from_padded");
  Tensors operands{padded, like};
  operands.append(splits.begin(), splits.end());
  return apply(op, operands);
}

/// What is not a value's goes to the filling.
Gradients to_tensor_gradient(G context) {
  const Tensor up = context.upstream(), by_values = from_padded(up, context.input(0), context.inputs().subspan(2));
  Gradients result{Gradient(by_values), Gradient(reduce_sum(up) - reduce_sum(by_values))};
  result.resize(context.input_count());
  return result;
}

void from_padded_infer(InferContext& context) {
  require_splits_shape(context, 2);
  const Shape &padded = context.shape(0), &like = context.shape(1);
  const int levels = int(context.input_count()) - 1;
  bool fits = like.ndim() >= 1 && padded.ndim() == levels + like.ndim() - 1;
  for (int i = 1; fits && i < like.ndim(); ++i) fits = padded[levels + i - 1] == like[i];
  if (!fits) context.refuse("the padded tensor must end as the values do");
  context.output(context.dtype_of(0), like);
}

BoundKernel from_padded_cpu(const BindContext& context) {
  const Shape& like = context.shape(1);
  const std::int64_t inner = like[0] ? like.numel() / like[0] : 0;
  return visit_dtype(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, padded = context.shape(0), count = like[0], shapes = shapes_from(context, 2), op = context.op().name](Inputs in, Outputs out) {
      const std::vector<std::int64_t> places = padded_places(nested_splits(shapes, in + 2, count, op), padded.dims(), count);
      T* to = static_cast<T*>(out[0]);
      for (std::size_t i = 0; i < places.size(); ++i, to += inner) {
        if (places[i] >= 0) std::copy_n(static_cast<const T*>(in[0]) + places[i] * inner, inner, to);
        else std::fill_n(to, inner, T());
      }
    };
  });
}

Gradients from_padded_gradient(G context) {
  static const OpDef& op = find_op("ragged_to_tensor");
  Tensors operands{context.upstream(), scalar(0, context.upstream().dtype())};
  operands.append(context.inputs().begin() + 2, context.inputs().end());
  Ints sizes;
  for (const std::int64_t size : context.input(0).shape()) sizes.push_back(size);
  Gradients result{Gradient(apply(op, operands, {{"shape", sizes}}))};
  result.resize(context.input_count());
  return result;
}

OpDef ragged_row(std::string_view name, std::string_view doc, int inputs, DTypeRule dtypes, void (*infer)(InferContext&), std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "ragged", .min_inputs = inputs, .max_inputs = inputs, .dtypes = std::move(dtypes), .infer = infer, .gradient = not_differentiable("its results are indices"),
          .onnx = no_onnx("ONNX has no ragged tensors"), .samples = std::move(samples)};
}

}  // namespace

std::vector<OpDef> ragged_rows() {
  const Sample::Operand values{.shape = {6, 2}}, splits{.dtype = int64, .shape = {4}, .low = 0, .high = 1};
  const auto rows_of_six = [](std::span<const Tensor> in) -> Tensors { return {in[0], constant(std::vector<std::int64_t>{0, 2, 2, 6})}; };
  const auto nested = [](std::span<const Tensor> in) -> Tensors { return {in[0], constant(std::vector<std::int64_t>{0, 2, 3}), constant(std::vector<std::int64_t>{0, 2, 2, 6})}; };
  const DTypeRule values_splits = each(kAny, dtypes(int64)), only_splits = each(dtypes(int64), dtypes(int64));
  const std::vector<Sample> places{{.inputs = {values, splits}, .prepare = rows_of_six}, {.inputs = {values, splits, splits}, .prepare = nested}};
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(ragged_row("ragged_value_rowids", "int64: the row of each value (operand 0) between row splits (operand 1)", 2, values_splits, rowids_infer, {places[0]}));
  rows.back().cpu = rowids_cpu;
  rows.push_back(ragged_row("ragged_coordinates", "int64 (values, ragged axes + 1): the row of each value, its place in the row, ...; operands: values, row splits from the outermost on", 2, values_splits, coordinates_infer, places));
  rows.back().max_inputs = -1;
  rows.back().cpu = coordinates_cpu;
  rows.push_back(ragged_row("ragged_bounding_shape", "int64: the shape of the padded tensor; operands: values, row splits from the outermost on", 2, values_splits, bounding_infer, places));
  rows.back().max_inputs = -1;
  rows.back().cpu = bounding_cpu;
  rows.push_back(ragged_row("ragged_same_splits", "row splits, equal to those of the other operand, or an error when it runs", 2, only_splits, same_splits_infer, {{.inputs = {splits, splits}}}));
  rows.back().cpu = same_splits_cpu;
  rows.push_back(ragged_row("ragged_take_rows", "the row splits of the rows that operand 1 names, and the places of their values", 2, only_splits, take_rows_infer,
      {{.inputs = {splits, {.dtype = int64, .shape = {5}, .low = 0, .high = 3}}, .prepare = [](std::span<const Tensor> in) -> Tensors { return {constant(std::vector<std::int64_t>{0, 2, 2, 6}), in[1]}; }}}));
  rows.back().cpu_dynamic = take_rows_cpu;
  rows.push_back(ragged_row("ragged_slice_rows", "the row splits of start:stop:step of every row, and the places of the values", 1, same(dtypes(int64)), slice_rows_infer,
      {{.inputs = {splits}, .attrs = {{"start", std::int64_t(-1)}}, .prepare = [](std::span<const Tensor>) -> Tensors { return {constant(std::vector<std::int64_t>{0, 2, 2, 6})}; }}}));
  rows.back().attrs = {{.name = "start", .type = AttrType::axis}, {.name = "stop", .type = AttrType::axis}, {.name = "step", .type = AttrType::axis}};
  rows.back().cpu_dynamic = slice_rows_cpu;
  const Sample::Operand bounds{.dtype = int32, .shape = {3}, .low = 0, .high = 5};
  rows.push_back(ragged_row("ragged_range", "start, start + delta, ... before limit for each row, and the rows' splits; operands: starts, limits, deltas", 3, same(dtypes(int32, int64, float32, float64)), range_infer,
      {{.inputs = {bounds, bounds, {.dtype = int32, .shape = {3}, .low = 1, .high = 3}}}}));
  rows.back().cpu_dynamic = range_cpu;
  rows.push_back(ragged_row("ragged_reduce_places", "each value's int64 segment when the ragged axes in axis are reduced, the number of segments, and the row splits of what is left", 2, values_splits, reduce_places_infer,
      {{.inputs = {values, splits}, .attrs = {{"axis", Ints{0}}}, .prepare = rows_of_six}, {.inputs = {values, splits, splits}, .attrs = {{"axis", Ints{1}}}, .prepare = nested}}));
  rows.back().attrs = {{.name = "axis", .type = AttrType::ints, .required = true}};
  rows.back().max_inputs = -1;
  rows.back().cpu_dynamic = reduce_places_cpu;
  rows.push_back(ragged_row("ragged_to_tensor", "values (operand 0) between row splits (from operand 2 on) padded with operand 1, to the longest rows or to shape; what does not fit is cut off", 3, {{{kAny, 0}, {kAny, 0}, {dtypes(int64), 1}}}, to_tensor_infer,
      {{.inputs = {values, {.shape = {}}, splits}, .prepare = [](std::span<const Tensor> in) -> Tensors { return {in[0], in[1], constant(std::vector<std::int64_t>{0, 2, 2, 6})}; }},
       {.inputs = {values, {.shape = {}}, splits, splits}, .attrs = {{"shape", Ints{-1, 3, 3, -1}}}, .prepare = [](std::span<const Tensor> in) -> Tensors { return {in[0], in[1], constant(std::vector<std::int64_t>{0, 2, 3}), constant(std::vector<std::int64_t>{0, 2, 2, 6})}; }}}));
  rows.back().attrs = {{.name = "shape", .type = AttrType::ints, .fallback = Ints{}}};
  rows.back().max_inputs = -1;
  rows.back().gradient = to_tensor_gradient;
  rows.back().cpu_dynamic = to_tensor_cpu;
  rows.push_back(ragged_row("ragged_from_padded", "the values out of a padded tensor (operand 0), as many as operand 1 has, between row splits; 0 for what was cut off", 3, {{{kFixedSize, 0}, {kFixedSize, 1}, {dtypes(int64), 2}}}, from_padded_infer,
      {{.inputs = {{.shape = {3, 3, 2}}, values, splits}, .prepare = [](std::span<const Tensor> in) -> Tensors { return {in[0], in[1], constant(std::vector<std::int64_t>{0, 2, 2, 6})}; }}}));
  rows.back().max_inputs = -1;
  rows.back().gradient = from_padded_gradient;
  rows.back().cpu = from_padded_cpu;
  // clang-format on
  return rows;
}

}  // namespace lockstep

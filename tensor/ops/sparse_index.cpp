// What sparse tensors need besides their values: orders, places and new indices. Everything here is int64 in and out; the values follow by gather, and so do gradients.

#include <algorithm>
#include <numeric>
#include <vector>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops/array.h>
#include <lockstep/tensor/ops/entries.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using namespace entries;

Shape sizes_attr(const OpCall& call, std::string_view attr) { return array::shape_of(call, call.ints(attr)); }

/// Operand i as index tuples for the axes of `shape`.
void require_tuples(const InferContext& context, std::size_t i, const Shape& shape) {
  if (context.shape(i).ndim() != 2 || context.shape(i)[1] != shape.ndim()) context.refuse("takes indices (n, " + std::to_string(shape.ndim()) + ")");
}

Tensor tuples(const std::vector<std::int64_t>& values, int axes) { return int64_tensor(values, Shape{axes ? std::int64_t(values.size()) / axes : 0, axes}); }

// ---- orders and offsets

void order_infer(InferContext& context) {
  require_tuples(context, 0, sizes_attr(context, "shape"));
  context.output(int64, Shape{context.shape(0)[0]});
}

BoundKernel order_cpu(const BindContext& context) {
  return [shape = sizes_attr(context, "shape"), count = context.shape(0)[0], op = context.op().name](Inputs in, Outputs out) {
    const std::vector<std::int64_t> offsets = offsets_of(static_cast<const std::int64_t*>(in[0]), count, shape, all_axes(shape.ndim()), op);
    auto* order = static_cast<std::int64_t*>(out[0]);
    std::iota(order, order + count, std::int64_t(0));
    if (!std::is_sorted(offsets.begin(), offsets.end()))
      std::stable_sort(order, order + count, [&](std::int64_t a, std::int64_t b) { return offsets[std::size_t(a)] < offsets[std::size_t(b)]; });
  };
}

BoundKernel offsets_cpu(const BindContext& context) {
  const Shape shape = sizes_attr(context, "shape");
  return [shape, axes = rules::wrap_axes(context.attr("axis"), shape.ndim()), count = context.shape(0)[0], op = context.op().name](Inputs in, Outputs out) {
    const std::vector<std::int64_t> offsets = offsets_of(static_cast<const std::int64_t*>(in[0]), count, shape, axes, op);
    std::copy(offsets.begin(), offsets.end(), static_cast<std::int64_t*>(out[0]));
  };
}
void offsets_infer(InferContext& context) {
  const Shape shape = sizes_attr(context, "shape");
  rules::axes(context, context.attr("axis"), shape.ndim());
  order_infer(context);
}

void unravel_infer(InferContext& context) {
  if (context.shape(0).ndim() != 1) context.refuse("takes offsets (n,)");
  context.output(int64, Shape{context.shape(0)[0], sizes_attr(context, "shape").ndim()});
}

BoundKernel unravel_cpu(const BindContext& context) {
  return [shape = sizes_attr(context, "shape"), count = context.shape(0)[0], op = context.op().name](Inputs in, Outputs out) {
    const auto strides = row_major_strides(shape);
    auto* to = static_cast<std::int64_t*>(out[0]);
    for (std::int64_t e = 0; e < count; ++e) {
      const std::int64_t offset = static_cast<const std::int64_t*>(in[0])[e];
      if (offset < 0 || offset >= shape.numel()) throw InvalidArgumentError("offset " + std::to_string(offset) + " is outside of shape " + to_string(shape), op);
      for (int k = 0; k < shape.ndim(); ++k) *to++ = offset / strides[std::size_t(k)] % shape[k];
    }
  };
}

/// A number for each distinct row of all but the last axis, in the order they appear.
BoundKernel groups_cpu(const BindContext& context) {
  const Shape shape = sizes_attr(context, "shape");
  return [shape, count = context.shape(0)[0], op = context.op().name](Inputs in, Outputs out) {
    const SmallVector<int, 8> axes = all_axes(shape.ndim() - 1);
    const std::vector<std::int64_t> offsets = offsets_of(static_cast<const std::int64_t*>(in[0]), count, shape, axes, op);
    std::vector<std::int64_t> order(offsets.size());
    std::iota(order.begin(), order.end(), std::int64_t(0));
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return offsets[std::size_t(a)] < offsets[std::size_t(b)]; });
    std::int64_t group = -1;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i == 0 || offsets[std::size_t(order[i])] != offsets[std::size_t(order[i - 1])]) ++group;
      static_cast<std::int64_t*>(out[0])[order[i]] = group;
    }
  };
}
void groups_infer(InferContext& context) {
  if (sizes_attr(context, "shape").ndim() < 2) context.refuse("needs at least two axes");
  order_infer(context);
}

// ---- results of as many entries as turn out

void slice_places_infer(InferContext& context) {
  const Ints start = context.ints("start");
  const Shape size = sizes_attr(context, "size");
  if (int(start.size()) != size.ndim()) context.refuse("start and size must have a number for each axis");
  require_tuples(context, 0, size);
  context.output(int64, Shape::unknown());
  context.output(int64, Shape::unknown());
}

Tensors slice_places_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Ints start = call.ints("start"), size = call.ints("size");
  const auto axes = int(start.size());
  const std::int64_t* index = inputs[0].data<std::int64_t>().data();
  std::vector<std::int64_t> kept, places;
  for (std::int64_t e = 0; e < inputs[0].shape()[0]; ++e, index += axes) {
    bool inside = true;
    for (int k = 0; k < axes && inside; ++k) inside = index[k] >= start[std::size_t(k)] && std::uint64_t(index[k]) - std::uint64_t(start[std::size_t(k)]) < std::uint64_t(size[std::size_t(k)]);
    if (!inside) continue;
    for (int k = 0; k < axes; ++k) kept.push_back(index[k] - start[std::size_t(k)]);
    places.push_back(e);
  }
  return {tuples(kept, axes), int64_tensor(places)};
}

void union_infer(InferContext& context) {
  const Shape shape = sizes_attr(context, "shape");
  require_tuples(context, 0, shape);
  require_tuples(context, 1, shape);
  for (int i = 0; i < 3; ++i) context.output(int64, Shape::unknown());
}

/// Two ordered lists merged. An entry that one of them lacks is the place behind its last.
Tensors union_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Shape shape = sizes_attr(call, "shape");
  const SmallVector<int, 8> axes = all_axes(shape.ndim());
  std::vector<std::int64_t> offsets[2];
  for (std::size_t i = 0; i < 2; ++i) {
    offsets[i] = offsets_of(inputs[i].data<std::int64_t>().data(), inputs[i].shape()[0], shape, axes, call.op().name);
    require_in_order(offsets[i], inputs[i].data<std::int64_t>().data(), shape, call.op().name);
  }
  const auto &a = offsets[0], &b = offsets[1];
  std::vector<std::int64_t> indices, from_a, from_b;
  for (std::size_t i = 0, k = 0; i < a.size() || k < b.size();) {
    const bool takes_a = i < a.size() && (k == b.size() || a[i] <= b[k]), takes_b = k < b.size() && (i == a.size() || b[k] <= a[i]);
    const std::int64_t* index = takes_a ? inputs[0].data<std::int64_t>().data() + std::int64_t(i) * shape.ndim() : inputs[1].data<std::int64_t>().data() + std::int64_t(k) * shape.ndim();
    indices.insert(indices.end(), index, index + shape.ndim());
    from_a.push_back(std::int64_t(takes_a ? i++ : a.size()));
    from_b.push_back(std::int64_t(takes_b ? k++ : b.size()));
  }
  return {tuples(indices, shape.ndim()), int64_tensor(from_a), int64_tensor(from_b)};
}

void fill_rows_infer(InferContext& context) {
  const Shape shape = sizes_attr(context, "shape");
  if (shape.ndim() < 1) context.refuse("needs at least one axis");
  require_tuples(context, 0, shape);
  context.output(int64, Shape::unknown());
  context.output(int64, Shape::unknown());
  context.output(boolean, Shape{shape[0]});
}

/// Entries by row, and one for each row that has none: the place behind the last.
Tensors fill_rows_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Shape shape = sizes_attr(call, "shape");
  const std::int64_t count = inputs[0].shape()[0];
  const std::int64_t* from = inputs[0].data<std::int64_t>().data();
  const int first[] = {0};
  const std::vector<std::int64_t> row_of = offsets_of(from, count, shape, first, call.op().name);
  std::vector<std::int64_t> order(row_of.size());
  std::iota(order.begin(), order.end(), std::int64_t(0));
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return row_of[std::size_t(a)] < row_of[std::size_t(b)]; });
  Tensor empty_rows = Tensor::empty({shape[0]}, boolean);
  std::vector<std::int64_t> indices, places;
  std::size_t next = 0;
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    const std::size_t before = next;
    for (; next < order.size() && row_of[std::size_t(order[next])] == row; ++next) {
      const std::int64_t* index = from + order[next] * shape.ndim();
      indices.insert(indices.end(), index, index + shape.ndim());
      places.push_back(order[next]);
    }
    const bool is_empty = next == before;
    empty_rows.mutable_data<bool>()[row] = is_empty;
    if (!is_empty) continue;
    indices.push_back(row);
    indices.insert(indices.end(), std::size_t(shape.ndim()) - 1, 0);
    places.push_back(count);
  }
  return {tuples(indices, shape.ndim()), int64_tensor(places), empty_rows};
}

OpDef index_row(std::string_view name, std::string_view doc, int inputs, std::vector<AttrDef> attrs, void (*infer)(InferContext&), std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "sparse", .min_inputs = inputs, .max_inputs = inputs, .attrs = std::move(attrs), .dtypes = same(dtypes(int64)), .infer = infer,
          .gradient = not_differentiable("its results are indices"), .onnx = no_onnx("ONNX's sparse tensors are constants only"), .samples = std::move(samples)};
}

}  // namespace

std::vector<OpDef> sparse_index_rows() {
  const Sample::Operand indices{.dtype = int64, .shape = {5, 2}, .low = 0, .high = 3};
  const auto ordered = [](std::span<const Tensor>) -> Tensors {
    return {constant(std::vector<std::int64_t>{0, 1, 1, 0, 1, 2, 2, 0, 2, 2}, Shape{5, 2}), constant(std::vector<std::int64_t>{0, 1, 0, 2, 1, 1, 1, 2, 2, 1}, Shape{5, 2})};
  };
  const AttrDef shape{.name = "shape", .type = AttrType::ints, .required = true};
  const std::vector<Sample> plain{{.inputs = {indices}, .attrs = {{"shape", Ints{3, 4}}}}};
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(index_row("sparse_order", "the places of index tuples in row-major order, stable", 1, {shape}, order_infer, plain));
  rows.back().cpu = order_cpu;
  rows.push_back(index_row("sparse_offsets", "the row-major offset of every index tuple over some axes (none: all) of the shape", 1, {shape, {.name = "axis", .type = AttrType::axes}}, offsets_infer, {plain[0], {.inputs = {indices}, .attrs = {{"shape", Ints{3, 4}}, {"axis", std::int64_t(1)}}}}));
  rows.back().cpu = offsets_cpu;
  rows.push_back(index_row("sparse_unravel", "the index tuple of every row-major offset (n,) in the shape", 1, {shape}, unravel_infer, {{.inputs = {{.dtype = int64, .shape = {5}, .low = 0, .high = 12}}, .attrs = {{"shape", Ints{3, 4}}}}}));
  rows.back().cpu = unravel_cpu;
  rows.push_back(index_row("sparse_groups", "a number below n for each index tuple: equal where all but the last index are", 1, {shape}, groups_infer, plain));
  rows.back().cpu = groups_cpu;
  rows.push_back(index_row("sparse_slice_places", "the index tuples within size elements from start on, counted from there, and their places", 1, {{.name = "start", .type = AttrType::ints, .required = true}, {.name = "size", .type = AttrType::ints, .required = true}},
      slice_places_infer, {{.inputs = {indices}, .attrs = {{"start", Ints{1, 0}}, {"size", Ints{2, 2}}}}}));
  rows.back().cpu_dynamic = slice_places_cpu;
  rows.push_back(index_row("sparse_union", "the index tuples of two ordered lists, in order, and where each stands in the one and in the other (behind the last: nowhere)", 2, {shape}, union_infer, {{.inputs = {indices, indices}, .attrs = {{"shape", Ints{3, 3}}}, .prepare = ordered}}));
  rows.back().cpu_dynamic = union_cpu;
  rows.push_back(index_row("sparse_fill_rows", "the index tuples by rows with one at column 0 for each row that has none, their places (behind the last: new), and bool which rows had none", 1, {shape}, fill_rows_infer, {{.inputs = {indices}, .attrs = {{"shape", Ints{4, 4}}}}}));
  rows.back().cpu_dynamic = fill_rows_cpu;
  // clang-format on
  return rows;
}

}  // namespace lockstep

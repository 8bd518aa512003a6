// Sets along the last axis: each row of all but the last is one, its elements in any order, repeats counting once. Results are sparse.

#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/array.h>
#include <lockstep/tensor/ops/entries.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

constexpr DTypeSet kSetElements = dtypes(int8, int16, int32, int64, uint8, uint16, string);

Shape set_shape(const OpCall& call, std::string_view attr) { return array::shape_of(call, call.ints(attr)); }

void require_sets(const InferContext& context, std::size_t first, const Shape& shape) {
  const Shape &indices = context.shape(first), &values = context.shape(first + 1);
  if (context.dtype_of(first) != int64) context.refuse_type("indices must be int64");
  if (!kSetElements.contains(context.dtype_of(first + 1))) context.refuse_type("elements must be " + to_string(kSetElements) + ", not " + std::string(name(context.dtype_of(first + 1))));
  if (shape.ndim() < 2) context.refuse("sets need at least two axes, got shape " + to_string(shape));
  if (indices.ndim() != 2 || indices[1] != shape.ndim() || values.ndim() != 1 || values[0] != indices[0]) context.refuse("takes indices (n, " + std::to_string(shape.ndim()) + ") and n elements");
}

Shape group_shape(const Shape& shape) { return Shape(shape.dims().first(std::size_t(shape.ndim()) - 1)); }

template <class T>
using Sets = std::map<std::int64_t, std::vector<T>>;  // by the row-major number of their row; sorted, each element once

template <class T>
Sets<T> sets_of(const std::int64_t* indices, const T* values, std::int64_t count, const Shape& shape, bool validate, std::string_view op) {
  Sets<T> sets;
  const std::vector<std::int64_t> offsets = entries::offsets_of(indices, count, shape, entries::all_axes(shape.ndim()), op);
  if (validate) entries::require_in_order(offsets, indices, shape, op);
  for (std::size_t e = 0; e < offsets.size(); ++e) sets[offsets[e] / shape[shape.ndim() - 1]].push_back(values[e]);
  for (auto& [group, elements] : sets) {
    std::sort(elements.begin(), elements.end());
    elements.erase(std::unique(elements.begin(), elements.end()), elements.end());
  }
  return sets;
}

void operation_infer(InferContext& context) {
  const Shape a = set_shape(context, "shape_a"), b = set_shape(context, "shape_b");
  const std::string& operation = context.text("operation");
  if (operation != "union" && operation != "intersection" && operation != "difference") context.refuse("operation must be union, intersection or difference, got \"" + operation + "\"");
  if (context.dtype_of(1) != context.dtype_of(3)) context.refuse_type("the operands' elements are " + std::string(name(context.dtype_of(1))) + " and " + std::string(name(context.dtype_of(3))));
  require_sets(context, 0, a);
  require_sets(context, 2, b);
  if (group_shape(a) != group_shape(b)) context.refuse("the operands have " + to_string(group_shape(a)) + " and " + to_string(group_shape(b)) + " sets");
  context.output(int64, Shape::unknown());
  context.output(context.dtype_of(1), Shape::unknown());
  context.output(int64, Shape{a.ndim()});
}

template <class T>
std::vector<T> combined(const std::string& operation, const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> result;
  if (operation == "union") std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  else if (operation == "intersection") std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  else std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

Tensors operation_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const Shape shape_a = set_shape(call, "shape_a"), shape_b = set_shape(call, "shape_b"), groups = group_shape(shape_a);
  return visit_dtype(inputs[1].dtype(), [&]<class T>(TypeTag<T>) -> Tensors {
    if constexpr (std::is_integral_v<T> || std::is_same_v<T, std::string>) {
      const bool validate = call.boolean("validate_indices");
      Sets<T> a = sets_of(inputs[0].data<std::int64_t>().data(), static_cast<const T*>(inputs[1].raw()), inputs[1].numel(), shape_a, validate, call.op().name);
      Sets<T> b = sets_of(inputs[2].data<std::int64_t>().data(), static_cast<const T*>(inputs[3].raw()), inputs[3].numel(), shape_b, validate, call.op().name);
      for (const auto& entry : b) a.try_emplace(entry.first);
      std::vector<std::int64_t> indices;
      std::vector<T> values;
      std::int64_t longest = 0;
      const auto strides = row_major_strides(groups);
      for (const auto& [group, elements] : a) {
        const std::vector<T> result = combined(call.text("operation"), elements, b[group]);
        longest = std::max(longest, std::int64_t(result.size()));
        for (std::size_t k = 0; k < result.size(); ++k) {
          for (int axis = 0; axis < groups.ndim(); ++axis) indices.push_back(group / strides[std::size_t(axis)] % groups[axis]);
          indices.push_back(std::int64_t(k));
          values.push_back(result[k]);
        }
      }
      Tensor elements = Tensor::empty({std::int64_t(values.size())}, inputs[1].dtype());
      std::copy(values.begin(), values.end(), static_cast<T*>(elements.mutable_raw()));
      std::vector<std::int64_t> shape(groups.begin(), groups.end());
      shape.push_back(longest);
      return {entries::int64_tensor(indices, Shape{elements.numel(), shape_a.ndim()}), elements, entries::int64_tensor(shape)};
    } else {
      throw InternalError("the shape rule let a dtype pass");
    }
  });
}

void size_infer(InferContext& context) {
  const Shape shape = set_shape(context, "shape");
  require_sets(context, 0, shape);
  context.output(int32, group_shape(shape));
}

BoundKernel size_cpu(const BindContext& context) {
  return visit_dtype(context.dtype_of(1), [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_integral_v<T> || std::is_same_v<T, std::string>)
      return [shape = set_shape(context, "shape"), count = context.shape(1)[0], validate = context.boolean("validate_indices"), op = context.op().name](Inputs in, Outputs out) {
        auto* sizes = static_cast<std::int32_t*>(out[0]);
        std::fill_n(sizes, group_shape(shape).numel(), 0);
        for (const auto& [group, elements] : sets_of(static_cast<const std::int64_t*>(in[0]), static_cast<const T*>(in[1]), count, shape, validate, op)) sizes[group] = std::int32_t(elements.size());
      };
    else throw InternalError("the shape rule let a dtype pass");
  });
}

OpDef set_row(std::string_view name, std::string_view doc, int inputs, std::vector<AttrDef> attrs, DTypeRule dtypes, void (*infer)(InferContext&), std::vector<Sample> samples) {
  attrs.push_back({.name = "validate_indices", .type = AttrType::boolean, .fallback = true});
  return {.name = name, .doc = doc, .family = "sets", .min_inputs = inputs, .max_inputs = inputs, .attrs = std::move(attrs), .dtypes = std::move(dtypes), .infer = infer,
          .gradient = not_differentiable("sets are of integers and strings"), .onnx = no_onnx("ONNX has no sets"), .samples = std::move(samples), .no_cuda = "sets are sorted and merged on the host"};
}

}  // namespace

std::vector<OpDef> set_rows() {
  const Sample::Operand indices{.dtype = int64, .shape = {4, 2}, .low = 0, .high = 2}, elements{.dtype = int32, .shape = {4}, .low = 0, .high = 5};
  const auto square = [](std::span<const Tensor> in) -> Tensors {
    Tensors operands(in.begin(), in.end());
    for (std::size_t i = 0; i < operands.size(); i += 2) operands[i] = constant(std::vector<std::int64_t>{0, 0, 0, 1, 1, 0, 1, 1}, Shape{4, 2});
    return operands;
  };
  const auto shape = [](std::string_view attr) { return AttrDef{.name = attr, .type = AttrType::ints, .required = true}; };
  std::vector<OpDef> rows;
  rows.push_back(set_row("set_operation", "union, intersection or difference of the sets along the last axis of two sparse tensors (indices, elements; shapes as attributes): indices, sorted elements and shape of the sets that result",
                         4, {shape("shape_a"), shape("shape_b"), {.name = "operation", .type = AttrType::string, .required = true}}, {{{dtypes(int64), 0}, {kSetElements, 1}, {dtypes(int64), 2}, {kSetElements, 1}}}, operation_infer,
                         {{.inputs = {indices, elements, indices, elements}, .attrs = {{"shape_a", Ints{2, 2}}, {"shape_b", Ints{2, 2}}, {"operation", std::string("union")}}, .prepare = square}}));
  rows.back().cpu_dynamic = operation_cpu;
  rows.push_back(set_row("set_size", "int32: how many distinct elements each set along the last axis of a sparse tensor (indices, elements) has", 2, {shape("shape")}, {{{dtypes(int64), 0}, {kSetElements, 1}}}, size_infer,
                         {{.inputs = {indices, elements}, .attrs = {{"shape", Ints{2, 2}}}, .prepare = square}}));
  rows.back().cpu = size_cpu;
  return rows;
}

}  // namespace lockstep

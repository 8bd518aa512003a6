// Shape and arrangement: views, transposition, repetition, padding. (Joining and splitting: join.cpp.)

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/array.h>
#include <lockstep/tensor/ops/permute.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {

using namespace array;

namespace {

using G = const GradContext&;

BoundKernel bind_copy(const StridedCopy& copy, DType dtype) {
  return [copy = simplified(copy), dtype](Inputs in, Outputs out) { run_copy(copy, dtype, in[0], out[0]); };
}

// ---- transpose

void transpose_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  if (!context.is_none("perm"))
    for (const std::int64_t axis : context.ints("perm")) rules::axis(context, axis, shape.ndim());
  const SmallVector<int, 8> order = permutation(context, shape.ndim());
  SmallVector<int, 8> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  bool valid = int(order.size()) == shape.ndim();
  for (int i = 0; valid && i < shape.ndim(); ++i) valid = sorted[std::size_t(i)] == i;
  if (!valid) context.refuse("perm " + to_string(context.attr("perm")) + " is not an order of " + std::to_string(shape.ndim()) + " axes");
  Shape result;
  for (const int axis : order) result.push_back(shape[axis]);
  context.output(context.dtype_of(0), result);
}

BoundKernel transpose_cpu(const BindContext& context) { return bind_copy(transpose_walk(context, context.shape(0), context.output(0).shape), context.dtype_of(0)); }

Gradients transpose_gradient(G context) {
  if (context.is_none("perm")) return {transpose(context.upstream())};
  const Ints perm = context.ints("perm");
  Ints back(perm.size(), 0);
  for (std::size_t i = 0; i < perm.size(); ++i) back[std::size_t(rules::wrap_axis(perm[i], int(perm.size())))] = std::int64_t(i);
  return {transpose(context.upstream(), back)};
}

// ---- views

void reshape_infer(InferContext& context) {
  Ints sizes = context.ints("shape");
  const std::int64_t numel = context.shape(0).numel();
  std::int64_t known = 1;
  int free = -1;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == -1) {
      if (free >= 0) context.refuse("only one size may be -1 in " + to_string(AttrValue(sizes)));
      free = int(i);
    } else if (sizes[i] < 0) {
      context.refuse("negative size " + std::to_string(sizes[i]) + " in " + to_string(AttrValue(sizes)));
    } else if (__builtin_mul_overflow(known, sizes[i], &known)) {
      context.refuse("the shape " + to_string(AttrValue(sizes)) + " overflows");
    }
  }
  if (free >= 0) {
    if (known == 0 || numel % known != 0)
      context.refuse(std::to_string(numel) + " elements cannot be arranged as " + to_string(AttrValue(sizes)));
    sizes[std::size_t(free)] = numel / known;
    known = numel;
  }
  if (known != numel) context.refuse(std::to_string(numel) + " elements cannot be arranged as " + to_string(AttrValue(sizes)));
  context.output(context.dtype_of(0), shape_of(context, sizes));
}

void like_second_infer(InferContext& context) {
  if (context.shape(0).numel() != context.shape(1).numel()) context.refuse("the operands differ in their number of elements");
  context.output(context.dtype_of(0), context.shape(1));
}

void restore_axes_infer(InferContext& context) {
  const Shape& like = context.shape(1);
  const Shape kept = rules::reduce(like, rules::axes(context, context.attr("axis"), like.ndim()), true);
  if (kept.numel() != context.shape(0).numel()) context.refuse("operand 0 is not a reduction of operand 1");
  context.output(context.dtype_of(0), kept);
}

void squeeze_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  Shape result;
  const bool all = context.is_none("axis") || (std::holds_alternative<Ints>(context.attr("axis")) && context.ints("axis").empty());
  const SmallVector<int, 8> axes = all ? SmallVector<int, 8>() : rules::axes(context, context.attr("axis"), shape.ndim());
  for (int i = 0; i < shape.ndim(); ++i) {
    const bool named = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (named && shape[i] != 1) context.refuse("axis " + std::to_string(i) + " has size " + std::to_string(shape[i]) + ", not 1");
    if (!named && !(all && shape[i] == 1)) result.push_back(shape[i]);
  }
  context.output(context.dtype_of(0), result);
}

void expand_dims_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  if (shape.ndim() == Shape::kMaxDims) context.refuse("a tensor has at most " + std::to_string(Shape::kMaxDims) + " axes");
  const int axis = rules::axis(context, context.integer("axis"), shape.ndim() + 1);
  Shape result;
  for (int i = 0; i <= shape.ndim(); ++i) {
    if (i == axis) result.push_back(1);
    if (i < shape.ndim()) result.push_back(shape[i]);
  }
  context.output(context.dtype_of(0), result);
}

Gradients like_input_gradient(G context) { return {grads::reshape_like(context.upstream(), context.input(0))}; }

// ---- tile, repeat, broadcast

void tile_infer(InferContext& context) {
  const Ints multiples = context.ints("multiples");
  const Shape& shape = context.shape(0);
  if (int(multiples.size()) != shape.ndim()) context.refuse("multiples " + to_string(AttrValue(multiples)) + " must have one number per axis");
  Ints sizes;
  for (int i = 0; i < shape.ndim(); ++i) {
    std::int64_t size = 0;
    if (multiples[std::size_t(i)] < 0 || __builtin_mul_overflow(shape[i], multiples[std::size_t(i)], &size))
      context.refuse("multiples " + to_string(AttrValue(multiples)) + " must be >= 0 and small enough");
    sizes.push_back(size);
  }
  context.output(context.dtype_of(0), shape_of(context, sizes));
}

BoundKernel tile_cpu(const BindContext& context) {
  const Shape shape = context.shape(0);
  const Ints multiples = context.ints("multiples");
  const DType dtype = context.dtype_of(0);
  const auto in_strides = row_major_strides(shape), out_strides = row_major_strides(context.output(0).shape);
  // Each copy of the whole is a strided one.
  return [=, empty = context.output(0).shape.numel() == 0](Inputs in, Outputs out) {
    if (empty) return;
    const std::int64_t copies = std::accumulate(multiples.begin(), multiples.end(), std::int64_t(1), std::multiplies<>());
    for (std::int64_t c = 0; c < copies; ++c) {
      StridedCopy copy{.shape = shape, .from = in_strides, .to = out_strides};
      std::int64_t rest = c;
      for (int i = shape.ndim() - 1; i >= 0; --i) {
        copy.to_offset += rest % multiples[std::size_t(i)] * shape[i] * out_strides[std::size_t(i)];
        rest /= multiples[std::size_t(i)];
      }
      run_copy(simplified(copy), dtype, in[0], out[0]);
    }
  };
}

Gradients tile_gradient(G context) {
  const Tensor& x = context.input(0);
  if (!x.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "tile");
  if (2 * x.ndim() > Shape::kMaxDims) throw UnimplementedError("the gradient takes tensors of at most 4 axes", "tile");
  const Ints multiples = context.ints("multiples");
  Ints split, axes;
  for (int i = 0; i < x.ndim(); ++i) {
    axes.push_back(std::int64_t(split.size()));
    split.push_back(multiples[std::size_t(i)]);
    split.push_back(x.shape()[i]);
  }
  return {reduce_sum(reshape(context.upstream(), split), axes)};
}

void repeat_infer(InferContext& context) {
  if (!context.is_none("axis")) rules::axis(context, std::get<std::int64_t>(context.attr("axis")), context.shape(0).ndim());
  auto [shape, axis] = repetition(context, context.shape(0));
  const Ints repeats = context.ints("repeats");
  if (repeats.size() != 1 && std::int64_t(repeats.size()) != shape[axis])
    context.refuse("repeats " + to_string(AttrValue(repeats)) + " must be one number or one for each of " + std::to_string(shape[axis]));
  std::int64_t total = 0;
  for (const std::int64_t count : repeats) {
    if (count < 0) context.refuse("repeats must not be negative, got " + to_string(AttrValue(repeats)));
    std::int64_t rows = 0;
    if (__builtin_mul_overflow(count, repeats.size() == 1 ? shape[axis] : 1, &rows) || __builtin_add_overflow(total, rows, &total))
      context.refuse("repeats " + to_string(AttrValue(repeats)) + " are too large");
  }
  Ints sizes = list(shape);
  sizes[std::size_t(axis)] = total;
  context.output(context.dtype_of(0), shape_of(context, sizes));
}

BoundKernel repeat_cpu(const BindContext& context) {
  const auto [shape, axis] = repetition(context, context.shape(0));
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.ndim(); ++i) inner *= shape[i];
  const std::int64_t rows = shape[axis];
  const DType dtype = context.dtype_of(0);
  if (context.output(0).shape.numel() == 0) return [](Inputs, Outputs) {};
  return [=, source = repeated_rows(context, rows)](Inputs in, Outputs out) {
    const std::int64_t count = std::int64_t(source.size());
    for (std::int64_t o = 0; o < outer; ++o)
      for (std::int64_t k = 0; k < count; ++k)
        run_copy({.shape = Shape{inner}, .from = {1}, .to = {1}, .from_offset = (o * rows + source[std::size_t(k)]) * inner, .to_offset = (o * count + k) * inner},
                 dtype, in[0], out[0]);
  };
}

Gradients repeat_gradient(G context) {
  const Tensor& x = context.input(0);
  if (!x.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "repeat");
  const auto [shape, axis] = repetition(context, x.shape());
  const Ints rows = repeated_rows(context, shape[axis]);
  Tensor ids = Tensor::empty({std::int64_t(rows.size())}, int64);
  std::copy(rows.begin(), rows.end(), ids.mutable_data<std::int64_t>());
  ids = placed(std::move(ids));
  // The axis in front, its repeats summed, and back.
  Ints order{axis}, back;
  for (int i = 0; i < shape.ndim(); ++i)
    if (i != axis) order.push_back(i);
  back = Ints(order.size(), 0);
  for (std::size_t i = 0; i < order.size(); ++i) back[std::size_t(order[i])] = std::int64_t(i);
  const Tensor summed = transpose(unsorted_segment_sum(transpose(context.upstream(), order), ids, shape[axis]), back);
  return {grads::reshape_like(summed, x)};
}

void require_broadcast(InferContext& context, const Shape& to) {
  const auto joined = rules::try_broadcast(context.shape(0), to);
  if (!joined || *joined != to) context.refuse("shape " + to_string(context.shape(0)) + " does not broadcast to " + to_string(to));
  context.output(context.dtype_of(0), to);
}
void broadcast_to_infer(InferContext& context) { require_broadcast(context, shape_of(context, context.ints("shape"))); }
void broadcast_like_infer(InferContext& context) { require_broadcast(context, context.shape(1)); }
BoundKernel broadcast_cpu(const BindContext& context) { return bind_copy(broadcast_walk(context.shape(0), context.output(0).shape), context.dtype_of(0)); }

Gradients broadcast_gradient(G context) {
  Gradients result{grads::unbroadcast(context.upstream(), context.input(0))};
  if (context.input_count() == 2) result.push_back(Gradient());
  return result;
}

// ---- reverse, roll

void reverse_infer(InferContext& context) {
  rules::axes(context, context.attr("axis"), context.shape(0).ndim());
  rules::like_first(context);
}
BoundKernel reverse_cpu(const BindContext& context) { return bind_copy(reverse_walk(context, context.shape(0)), context.dtype_of(0)); }

void roll_infer(InferContext& context) {
  const Ints shift = context.ints("shift"), axis = context.ints("axis");
  if (shift.size() != axis.size()) context.refuse("shift " + to_string(AttrValue(shift)) + " and axis " + to_string(AttrValue(axis)) + " differ in length");
  for (const std::int64_t each : axis) rules::axis(context, each, context.shape(0).ndim());
  rules::like_first(context);
}

BoundKernel roll_cpu(const BindContext& context) {
  const Shape shape = context.shape(0);
  const std::array<std::int64_t, Shape::kMaxDims> shift = roll_shift(context, shape);
  const DType dtype = context.dtype_of(0);
  return [=](Inputs in, Outputs out) {
    if (shape.numel() == 0) return;
    // Along each axis two blocks change places: 2^axes copies of boxes.
    const auto strides = row_major_strides(shape);
    const int n = shape.ndim();
    for (int corner = 0; corner < (1 << n); ++corner) {
      StridedCopy copy{.shape = shape, .from = strides, .to = strides};
      bool empty = false;
      for (int i = 0; i < n; ++i) {
        const auto k = std::size_t(i);
        const bool wraps = (corner >> i) & 1;
        copy.shape[i] = wraps ? shift[k] : shape[i] - shift[k];
        empty = empty || copy.shape[i] == 0;
        copy.from_offset += (wraps ? shape[i] - shift[k] : 0) * strides[k];
        copy.to_offset += (wraps ? 0 : shift[k]) * strides[k];
      }
      if (!empty) run_copy(simplified(copy), dtype, in[0], out[0]);
    }
  };
}

Gradients roll_gradient(G context) {
  Ints back = context.ints("shift");
  for (std::int64_t& each : back) each = -each;
  return {roll(context.upstream(), back, context.ints("axis"))};
}

// ---- pad

void pad_infer(InferContext& context) {
  const IntLists& paddings = context.int_lists("paddings");
  const Shape& shape = context.shape(0);
  const std::string& mode = context.text("mode");
  if (mode != "constant" && mode != "reflect" && mode != "symmetric") context.refuse("mode must be constant, reflect or symmetric, got \"" + mode + "\"");
  if (int(paddings.size()) != shape.ndim()) context.refuse("paddings must have one pair per axis, got " + to_string(context.attr("paddings")));
  Ints sizes;
  for (int i = 0; i < shape.ndim(); ++i) {
    const Ints& pair = paddings[std::size_t(i)];
    const std::int64_t most = mode == "constant" ? std::int64_t(1) << 58 : shape[i] - (mode == "reflect" ? 1 : 0);
    if (pair.size() != 2 || pair[0] < 0 || pair[1] < 0 || pair[0] > most || pair[1] > most)
      context.refuse("axis " + std::to_string(i) + " of size " + std::to_string(shape[i]) + " cannot be padded by " + to_string(AttrValue(pair)) + " in mode " + mode);
    sizes.push_back(shape[i] + pair[0] + pair[1]);
  }
  const Scalar value = context.scalar("constant_value");
  if (mode == "constant" && !value.fits(context.dtype_of(0)) && !(std::fabs(value.real()) < 0x1p63 && value.real() == std::floor(value.real())))
    context.refuse("constant_value " + to_string(value) + " does not fit " + std::string(name(context.dtype_of(0))));
  context.output(context.dtype_of(0), shape_of(context, sizes));
}

BoundKernel pad_cpu(const BindContext& context) {
  const Shape shape = context.shape(0), padded = context.output(0).shape;
  const IntLists paddings = context.int_lists("paddings");
  const PadMode mode = pad_mode(context);
  const DType dtype = context.dtype_of(0);
  const double constant = context.number("constant_value");
  return [=](Inputs in, Outputs out) {
    const auto from = row_major_strides(shape), to = row_major_strides(padded);
    if (mode == PadMode::constant) {
      const Scalar value = is_float(dtype) || is_complex(dtype) ? Scalar(constant) : dtype == boolean ? Scalar(constant != 0) : Scalar(std::int64_t(constant));
      if (dtype != string) {
        const Tensor element = scalar(value, dtype);
        run_copy({.shape = Shape{padded.numel()}, .from = {0}, .to = {1}}, dtype, element.raw(), out[0]);
      }
      StridedCopy copy{.shape = shape, .from = from, .to = to};
      for (int i = 0; i < shape.ndim(); ++i) copy.to_offset += paddings[std::size_t(i)][0] * to[std::size_t(i)];
      run_copy(simplified(copy), dtype, in[0], out[0]);
      return;
    }
    const int n = shape.ndim();
    const std::int64_t columns = n ? padded[n - 1] : 1, rows = padded.numel() / std::max<std::int64_t>(1, columns);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::int64_t rest = r, source = 0;
      for (int i = n - 2; i >= 0; --i) {
        source += padded_source(rest % padded[i], paddings[std::size_t(i)][0], shape[i], mode) * from[std::size_t(i)];
        rest /= padded[i];
      }
      for (std::int64_t c = 0; c < columns; ++c) {
        const std::int64_t at = n ? padded_source(c, paddings[std::size_t(n - 1)][0], shape[n - 1], mode) : 0;
        run_copy({.shape = {}, .from_offset = source + at, .to_offset = r * columns + c}, dtype, in[0], out[0]);
      }
    }
  };
}

/// Constant padding: the middle. Mirrors: each border is folded back, axis by axis.
Gradients pad_gradient(G context) {
  const IntLists& paddings = context.int_lists("paddings");
  const std::string& mode = context.text("mode");
  const Tensor& x = context.input(0);
  if (!x.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "pad");
  Tensor up = context.upstream();
  for (int axis = 0; axis < x.ndim(); ++axis) {
    const std::int64_t before = paddings[std::size_t(axis)][0], after = paddings[std::size_t(axis)][1], size = x.shape()[axis];
    if (before == 0 && after == 0) continue;
    const std::vector<Tensor> parts = split(up, {before, size, after}, axis);
    up = parts[1];
    if (mode == "constant") continue;
    const std::int64_t skip = mode == "reflect" ? 1 : 0;
    IntLists left(std::size_t(x.ndim()), Ints{0, 0}), right = left;
    left[std::size_t(axis)] = {skip, size - before - skip};
    right[std::size_t(axis)] = {size - after - skip, skip};
    if (before) up = up + pad(reverse(parts[0], axis), left);
    if (after) up = up + pad(reverse(parts[2], axis), right);
  }
  return {up};
}

// ---- meshgrid, depth to space: compositions

void meshgrid_infer(InferContext& context) {
  const std::string& indexing = context.text("indexing");
  if (indexing != "xy" && indexing != "ij") context.refuse("indexing must be xy or ij, got \"" + indexing + "\"");
  Shape shape;
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    if (context.shape(i).ndim() > 1) context.refuse("operands must have at most one axis");
    shape.push_back(context.shape(i).numel());
  }
  if (indexing == "xy" && shape.ndim() > 1) std::swap(shape[0], shape[1]);
  for (std::size_t i = 0; i < context.input_count(); ++i) context.output(context.dtype_of(0), shape);
}

Tensors meshgrid_of(const OpCall& call, std::span<const Tensor> inputs) {
  const bool swapped = call.text("indexing") == "xy" && inputs.size() > 1;
  Ints sizes;
  for (const Tensor& input : inputs) sizes.push_back(input.numel());
  if (swapped) std::swap(sizes[0], sizes[1]);
  Tensors result;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Ints column(inputs.size(), 1);
    column[swapped && i < 2 ? 1 - i : i] = inputs[i].numel();
    result.push_back(broadcast_to(reshape(inputs[i], column), sizes));
  }
  return result;
}

void space_to_depth_infer(InferContext& context) {
  const Shape& s = context.shape(0);
  const std::int64_t b = context.integer("block_size");
  if (s.ndim() != 4 || b < 1 || s[1] % b || s[2] % b) context.refuse("needs (batch, height, width, channels) with height and width divisible by block_size " + std::to_string(b));
  context.output(context.dtype_of(0), {s[0], s[1] / b, s[2] / b, s[3] * b * b});
}
Tensors space_to_depth_of(const OpCall& call, std::span<const Tensor> inputs) {
  const Shape& s = inputs[0].shape();
  const std::int64_t b = call.integer("block_size");
  const Tensor blocks = reshape(inputs[0], {s[0], s[1] / b, b, s[2] / b, b, s[3]});
  return {reshape(transpose(blocks, {0, 1, 3, 2, 4, 5}), {s[0], s[1] / b, s[2] / b, s[3] * b * b})};
}
void depth_to_space_infer(InferContext& context) {
  const Shape& s = context.shape(0);
  const std::int64_t b = context.integer("block_size");
  if (s.ndim() != 4 || b < 1 || s[3] % (b * b)) context.refuse("needs (batch, height, width, channels) with channels divisible by block_size^2 " + std::to_string(b * b));
  context.output(context.dtype_of(0), {s[0], s[1] * b, s[2] * b, s[3] / (b * b)});
}
Tensors depth_to_space_of(const OpCall& call, std::span<const Tensor> inputs) {
  const Shape& s = inputs[0].shape();
  const std::int64_t b = call.integer("block_size");
  const Tensor blocks = reshape(inputs[0], {s[0], s[1], s[2], b, b, s[3] / (b * b)});
  return {reshape(transpose(blocks, {0, 1, 3, 2, 4, 5}), {s[0], s[1] * b, s[2] * b, s[3] / (b * b)})};
}

}  // namespace

std::vector<OpDef> array_rows() {
  const Sample::Operand x{.shape = {2, 3}}, y{.shape = {2, 3, 1}};
  const auto ints = [](std::string_view name) { return AttrDef{.name = name, .type = AttrType::ints, .required = true}; };
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(with_kernel(base("transpose", "the axes in another order; none reverses them", transpose_infer, transpose_gradient, onnx("Transpose"),
      {{.name = "perm", .type = AttrType::axes}}, {.inputs = {x}}), transpose_cpu));
  rows.back().samples.push_back({.inputs = {{.shape = {2, 3, 4}}}, .attrs = {{"perm", Ints{2, 0, 1}}}});
  rows.push_back(viewing(base("reshape", "the same elements under another shape; one size may be -1", reshape_infer, like_input_gradient, onnx("Reshape"),
      {ints("shape")}, {.inputs = {x}, .attrs = {{"shape", Ints{3, -1}}}})));
  rows.push_back(viewing(taking(base("reshape_like", "the elements of operand 0 under the shape of operand 1", like_second_infer, [](G c) -> Gradients { return {grads::reshape_like(c.upstream(), c.input(0)), Gradient()}; },
      no_onnx("exported as Reshape"), {}, {.inputs = {x, {.shape = {3, 2}}}}), 2, 2)));
  rows.back().dtypes = {{{kAny, 0}, {kAny, 1}}};
  rows.push_back(viewing(taking(base("restore_axes", "a reduction of operand 1, its reduced axes put back with size 1", restore_axes_infer, [](G c) -> Gradients { return {grads::reshape_like(c.upstream(), c.input(0)), Gradient()}; },
      no_onnx("exported as Reshape"), {{.name = "axis", .type = AttrType::axes}}, {.inputs = {{.shape = {2}}, x}, .attrs = {{"axis", std::int64_t(1)}}}), 2, 2)));
  rows.back().dtypes = {{{kAny, 0}, {kAny, 1}}};
  rows.push_back(viewing(base("squeeze", "without the axes of size 1 (all, or those named)", squeeze_infer, like_input_gradient, onnx("Squeeze"),
      {{.name = "axis", .type = AttrType::axes}}, {.inputs = {y}})));
  rows.push_back(viewing(base("expand_dims", "a new axis of size 1 before `axis`", expand_dims_infer, like_input_gradient, onnx("Unsqueeze"),
      {{.name = "axis", .type = AttrType::integer, .required = true}}, {.inputs = {x}, .attrs = {{"axis", std::int64_t(-1)}}})));
  rows.push_back(with_kernel(base("tile", "the tensor repeated `multiples` times along each axis", tile_infer, tile_gradient, onnx("Tile"), {ints("multiples")}, {.inputs = {x}, .attrs = {{"multiples", Ints{2, 2}}}}), tile_cpu));
  rows.push_back(with_kernel(base("repeat", "each element along `axis` repeated; no axis flattens first", repeat_infer, repeat_gradient, no_onnx("exported as Gather"),
      {ints("repeats"), {.name = "axis", .type = AttrType::axis}}, {.inputs = {x}, .attrs = {{"repeats", Ints{1, 0, 2}}, {"axis", std::int64_t(1)}}}), repeat_cpu));
  rows.back().samples.push_back({.inputs = {x}, .attrs = {{"repeats", Ints{2}}}});
  rows.push_back(with_kernel(base("broadcast_to", "the tensor broadcast to a shape", broadcast_to_infer, broadcast_gradient, onnx("Expand"), {ints("shape")}, {.inputs = {{.shape = {3}}}, .attrs = {{"shape", Ints{2, 3}}}}), broadcast_cpu));
  rows.push_back(with_kernel(taking(base("broadcast_like", "operand 0 broadcast to the shape of operand 1", broadcast_like_infer, broadcast_gradient, no_onnx("exported as Expand"), {}, {.inputs = {{.shape = {3}}, x}}), 2, 2), broadcast_cpu));
  rows.back().dtypes = {{{kAny, 0}, {kAny, 1}}};
  rows.push_back(with_kernel(base("reverse", "back to front along the axes", reverse_infer, [](G c) -> Gradients { Axes axes; axes.value = c.attr("axis"); return {reverse(c.upstream(), axes)}; }, no_onnx("exported as Slice with step -1"),
      {{.name = "axis", .type = AttrType::axes, .required = true}}, {.inputs = {x}, .attrs = {{"axis", Ints{1}}}}), reverse_cpu));
  rows.push_back(with_kernel(base("roll", "shifted along the axes, what falls off comes back in front", roll_infer, roll_gradient, no_onnx("exported as Slice and Concat"),
      {ints("shift"), ints("axis")}, {.inputs = {x}, .attrs = {{"shift", std::int64_t(-1)}, {"axis", std::int64_t(1)}}}), roll_cpu));
  rows.push_back(with_kernel(base("pad", "a border of a constant, or of the mirrored inside (reflect: without the edge; symmetric: with it)", pad_infer, pad_gradient, onnx("Pad"),
      {{.name = "paddings", .type = AttrType::int_lists, .required = true, .doc = "cells before and after each axis"}, {.name = "mode", .type = AttrType::string, .fallback = std::string("constant")}, {.name = "constant_value", .type = AttrType::number, .fallback = 0.0}},
      {.inputs = {x}, .attrs = {{"paddings", IntLists{{0, 1}, {2, 0}}}}}), pad_cpu));
  rows.back().dtypes = same(kFixedSize);
  rows.back().samples.push_back({.inputs = {x}, .attrs = {{"paddings", IntLists{{1, 0}, {2, 1}}}, {"mode", std::string("reflect")}}});
  rows.back().samples.push_back({.inputs = {x}, .attrs = {{"paddings", IntLists{{1, 2}, {2, 3}}}, {"mode", std::string("symmetric")}}});
  rows.push_back(composed(taking(base("meshgrid", "coordinate matrices of coordinate vectors", meshgrid_infer, {}, no_onnx("exported as Expand"),
      {{.name = "indexing", .type = AttrType::string, .fallback = std::string("xy")}}, {.inputs = {{.shape = {2}}, {.shape = {3}}}}), 1, -1), meshgrid_of));
  rows.push_back(composed(base("space_to_depth", "blocks of pixels to channels", space_to_depth_infer, {}, onnx("SpaceToDepth"), {{.name = "block_size", .type = AttrType::integer, .required = true}},
      {.inputs = {{.shape = {1, 2, 4, 2}}}, .attrs = {{"block_size", std::int64_t(2)}}}), space_to_depth_of));
  rows.push_back(composed(base("depth_to_space", "channels to blocks of pixels", depth_to_space_infer, {}, onnx("DepthToSpace"), {{.name = "block_size", .type = AttrType::integer, .required = true}},
      {.inputs = {{.shape = {1, 2, 2, 8}}}, .attrs = {{"block_size", std::int64_t(2)}}}), depth_to_space_of));
  // clang-format on
  return rows;
}

}  // namespace lockstep

// Slicing, gathering and scattering.

#include <algorithm>
#include <cstring>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/index_walk.h>
#include <lockstep/tensor/ops/permute.h>
#include <lockstep/tensor/ops/row_access.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using G = const GradContext&;
using namespace index_walk;
using namespace row_access;

// ---- slices

void slice_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  const Ints begin = context.ints("begin"), size = context.ints("size");
  if (int(begin.size()) != shape.ndim() || int(size.size()) != shape.ndim()) context.refuse("begin and size must have one number per axis");
  Shape result;
  for (int i = 0; i < shape.ndim(); ++i) {
    const auto k = std::size_t(i);
    const std::int64_t count = size[k] == -1 ? shape[i] - begin[k] : size[k];
    if (begin[k] < 0 || count < 0 || count > shape[i] || begin[k] > shape[i] - count)
      context.refuse("begin " + std::to_string(begin[k]) + " and size " + std::to_string(size[k]) + " leave axis " + std::to_string(i) + " of size " + std::to_string(shape[i]));
    result.push_back(count);
  }
  context.output(context.dtype_of(0), result);
}

BoundKernel slice_cpu(const BindContext& context) {
  return [copy = simplified(slice_walk(context, context.shape(0), context.output(0).shape)), dtype = context.dtype_of(0)](Inputs in, Outputs out) { run_copy(copy, dtype, in[0], out[0]); };
}

Gradients slice_gradient(G context) {
  const Tensor& x = context.input(0);
  const Tensor up = context.upstream();
  if (!x.shape().known() || !up.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "slice");
  const Ints begin = context.ints("begin");
  IntLists paddings;
  for (int i = 0; i < x.ndim(); ++i) paddings.push_back({begin[std::size_t(i)], x.shape()[i] - begin[std::size_t(i)] - up.shape()[i]});
  return {pad(up, paddings)};
}

const IndexList& spec_of(const OpCall& call) { return std::get<IndexList>(call.attr("spec")); }

void strided_infer(InferContext& context) { context.output(context.dtype_of(0), select(context.shape(0), spec_of(context), context.op().name).shape); }

BoundKernel strided_cpu(const BindContext& context) {
  StridedCopy copy = select(context.shape(0), spec_of(context), context.op().name).box;
  copy.to = row_major_strides(copy.shape);
  return [copy = simplified(copy), dtype = context.dtype_of(0)](Inputs in, Outputs out) { run_copy(copy, dtype, in[0], out[0]); };
}

Gradients strided_gradient(G context) { return {tensor_strided_slice_update(zeros_like(context.input(0)), context.upstream(), spec_of(context))}; }

void update_infer(InferContext& context) {
  const Selection part = select(context.shape(0), spec_of(context), context.op().name);
  const auto joined = rules::try_broadcast(part.shape, context.shape(1));
  if (!joined || *joined != part.shape) context.refuse("the value's shape " + to_string(context.shape(1)) + " does not broadcast to the part's, " + to_string(part.shape));
  rules::like_first(context);
}

BoundKernel update_cpu(const BindContext& context) {
  const StridedCopy write = update_walk(select(context.shape(0), spec_of(context), context.op().name), context.shape(1)), flat{.shape = Shape{context.shape(0).numel()}, .from = {1}, .to = {1}};
  return [write = simplified(write), flat, dtype = context.dtype_of(0)](Inputs in, Outputs out) {
    if (in[0] != out[0]) run_copy(flat, dtype, in[0], out[0]);
    run_copy(write, dtype, in[1], out[0]);
  };
}

Gradients update_gradient(G context) {
  const Tensor up = context.upstream();
  return {tensor_strided_slice_update(up, zeros_like(context.input(1)), spec_of(context)), grads::unbroadcast(strided_slice(up, spec_of(context)), context.input(1))};
}

// ---- gather

Shape gather_shape(const InferContext& context, const Shape& params, const Shape& indices) {
  const std::int64_t wanted_batch = context.integer("batch_dims");
  rules::axis(context, context.integer("axis"), params.ndim());
  const auto [axis, batch_dims] = gather_axes(context, params.ndim(), indices.ndim());
  if (wanted_batch < -indices.ndim() || wanted_batch > indices.ndim() || batch_dims > axis)
    context.refuse("batch_dims " + std::to_string(wanted_batch) + " must be at most axis " + std::to_string(axis) + " and the indices' axes");
  for (int i = 0; i < batch_dims; ++i)
    if (params[i] != indices[i]) context.refuse("batch axis " + std::to_string(i) + " differs between the operands");
  Shape result;
  for (int i = 0; i < axis; ++i) result.push_back(params[i]);
  for (int i = batch_dims; i < indices.ndim(); ++i) result.push_back(indices[i]);
  for (int i = axis + 1; i < params.ndim(); ++i) result.push_back(params[i]);
  return result;
}

void gather_infer(InferContext& context) { context.output(context.dtype_of(0), gather_shape(context, context.shape(0), context.shape(1))); }

BoundKernel gather_cpu(const BindContext& context) {
  const auto [axis, batch_dims] = gather_axes(context, context.shape(0).ndim(), context.shape(1).ndim());
  const GatherSizes s = gather_sizes(context.shape(0), context.shape(1), axis, batch_dims);
  const DType dtype = context.dtype_of(0);
  const bool wide = context.dtype_of(1) == int64;
  return [=, op = context.op().name](Inputs in, Outputs out) {
    require_indices(in[1], wide, s.batch * s.picks, s.rows, op);
    const std::size_t bytes = std::size_t(s.inner) * itemsize(dtype);
    for (std::int64_t b = 0; b < s.batch; ++b)
      for (std::int64_t o = 0; o < s.outer; ++o)
        for (std::int64_t p = 0; p < s.picks; ++p) {
          const std::int64_t row = (b * s.outer + o) * s.rows + index_at(in[1], wide, b * s.picks + p), to = (b * s.outer + o) * s.picks + p;
          if (dtype == string) run_copy({.shape = Shape{s.inner}, .from = {1}, .to = {1}, .from_offset = row * s.inner, .to_offset = to * s.inner}, dtype, in[0], out[0]);
          else if (bytes) std::memcpy(static_cast<std::byte*>(out[0]) + std::size_t(to) * bytes, static_cast<const std::byte*>(in[0]) + std::size_t(row) * bytes, bytes);
        }
  };
}

/// (indices, upstream, params) -> a gradient of the shape of params; `read` is what the op that is differentiated reads.
void gradient_of(InferContext& context, const Shape& read) {
  if (read != context.shape(1)) context.refuse("operand 1 must have shape " + to_string(read));
  context.output(context.dtype_of(1), context.shape(2));
}
void gather_gradient_infer(InferContext& context) { gradient_of(context, gather_shape(context, context.shape(2), context.shape(0))); }

BoundKernel gather_gradient_cpu(const BindContext& context) {
  const Shape &indices = context.shape(0), &params = context.shape(2);
  const auto [axis, batch_dims] = gather_axes(context, params.ndim(), indices.ndim());
  const GatherSizes s = gather_sizes(params, indices, axis, batch_dims);
  const bool wide = context.dtype_of(0) == int64;
  return visit_numeric(context.dtype_of(1), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, count = params.numel(), op = context.op().name](Inputs in, Outputs out) {
      require_indices(in[0], wide, s.batch * s.picks, s.rows, op);
      T* z = static_cast<T*>(out[0]);
      std::fill_n(z, count, T());
      for (std::int64_t b = 0; b < s.batch; ++b)
        for (std::int64_t o = 0; o < s.outer; ++o)
          for (std::int64_t p = 0; p < s.picks; ++p)
            add_row(z + ((b * s.outer + o) * s.rows + index_at(in[0], wide, b * s.picks + p)) * s.inner,
                    static_cast<const T*>(in[1]) + ((b * s.outer + o) * s.picks + p) * s.inner, s.inner);
    };
  });
}

Tensor call(const char* name, std::initializer_list<Tensor> inputs, const AttrList& attrs) { return apply(find_op(name), inputs, attrs); }

Gradients gather_gradient(G context) {
  const Tensor& params = context.input(0);
  const Tensor& indices = context.input(1);
  const Tensor up = context.upstream();
  if (params.shape().known() && params.ndim() > 0 && indices.shape().known() && context.integer("batch_dims") == 0 && rules::wrap_axis(context.integer("axis"), params.ndim()) == 0) {
    Ints rows{indices.numel()};
    for (int i = 1; i < params.ndim(); ++i) rows.push_back(params.shape()[i]);
    return {IndexedSlices{reshape(indices, {-1}), reshape(up, rows), params.shape()}, Gradient()};
  }
  return {call("gather_gradient", {indices, up, params}, context.attrs()), Gradient()};
}

Gradients gather_gradient_gradient(G context) {
  return {Gradient(), gather(context.upstream(), context.input(0), context.integer("axis"), context.integer("batch_dims")), Gradient()};
}

// ---- gather_nd and the scatters: an index tuple names a row

/// Offset of each tuple; throws for one outside.
std::vector<std::int64_t> nd_offsets(const NdSizes& s, const void* indices, bool wide, std::string_view op) {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(s.batch * s.tuples));
  for (std::int64_t t = 0; t < s.batch * s.tuples; ++t) {
    std::int64_t offset = t / std::max<std::int64_t>(1, s.tuples) * s.span;
    for (int k = 0; k < s.depth; ++k) {
      const std::int64_t at = index_at(indices, wide, t * s.depth + k), size = s.size[std::size_t(k)];
      if (at < 0 || at >= size)
        throw InvalidArgumentError("index " + std::to_string(at) + " (tuple " + std::to_string(t) + ", position " + std::to_string(k) + ") is not in [0, " + std::to_string(size) + ")", op);
      offset += at * s.stride[std::size_t(k)];
    }
    offsets[std::size_t(t)] = offset;
  }
  return offsets;
}

/// The shape that goes with these indices: their batch and outer axes, then what a tuple names.
Shape nd_shape(const InferContext& context, const Shape& params, const Shape& indices, std::int64_t batch_dims) {
  if (indices.ndim() < 1) context.refuse("indices must have at least one axis");
  if (batch_dims < 0 || batch_dims >= indices.ndim() || batch_dims > params.ndim()) context.refuse("batch_dims " + std::to_string(batch_dims) + " is out of range");
  const std::int64_t depth = indices[indices.ndim() - 1];
  if (depth + batch_dims > params.ndim()) context.refuse("index tuples of depth " + std::to_string(depth) + " are too long for shape " + to_string(params));
  for (int i = 0; i < int(batch_dims); ++i)
    if (params[i] != indices[i]) context.refuse("batch axis " + std::to_string(i) + " differs between the operands");
  Shape result;
  for (int i = 0; i < indices.ndim() - 1; ++i) result.push_back(indices[i]);
  for (int i = int(batch_dims + depth); i < params.ndim(); ++i) result.push_back(params[i]);
  return result;
}

void gather_nd_infer(InferContext& context) { context.output(context.dtype_of(0), nd_shape(context, context.shape(0), context.shape(1), context.integer("batch_dims"))); }

BoundKernel gather_nd_cpu(const BindContext& context) {
  const NdSizes s = nd_sizes(context.shape(0), context.shape(1), int(context.integer("batch_dims")));
  const DType dtype = context.dtype_of(0);
  const bool wide = context.dtype_of(1) == int64;
  return [=, op = context.op().name](Inputs in, Outputs out) {
    const std::vector<std::int64_t> offsets = nd_offsets(s, in[1], wide, op);
    for (std::size_t t = 0; t < offsets.size(); ++t)
      run_copy({.shape = Shape{s.inner}, .from = {1}, .to = {1}, .from_offset = offsets[t], .to_offset = std::int64_t(t) * s.inner}, dtype, in[0], out[0]);
  };
}

void gather_nd_gradient_infer(InferContext& context) { gradient_of(context, nd_shape(context, context.shape(2), context.shape(0), context.integer("batch_dims"))); }

BoundKernel gather_nd_gradient_cpu(const BindContext& context) {
  const NdSizes s = nd_sizes(context.shape(2), context.shape(0), int(context.integer("batch_dims")));
  const bool wide = context.dtype_of(0) == int64;
  return visit_numeric(context.dtype_of(1), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, count = context.shape(2).numel(), op = context.op().name](Inputs in, Outputs out) {
      const std::vector<std::int64_t> offsets = nd_offsets(s, in[0], wide, op);
      T* z = static_cast<T*>(out[0]);
      std::fill_n(z, count, T());
      for (std::size_t t = 0; t < offsets.size(); ++t) add_row(z + offsets[t], static_cast<const T*>(in[1]) + std::int64_t(t) * s.inner, s.inner);
    };
  });
}

Gradients gather_nd_gradient(G context) {
  return {call("gather_nd_gradient", {context.input(1), context.upstream(), context.input(0)}, context.attrs()), Gradient()};
}
Gradients gather_nd_gradient_gradient(G context) { return {Gradient(), gather_nd(context.upstream(), context.input(0), context.integer("batch_dims")), Gradient()}; }

// ---- take_along_axis

/// The shape of `indices`, which is what they read of `x`.
const Shape& along_shape(const InferContext& context, const Shape& x, const Shape& indices) {
  const int axis = rules::axis(context, context.integer("axis"), x.ndim());
  bool fits = x.ndim() == indices.ndim();
  for (int i = 0; fits && i < x.ndim(); ++i) fits = i == axis || x[i] == indices[i];
  if (!fits) context.refuse("the indices must have the operand's shape but along axis " + std::to_string(axis));
  return indices;
}
void along_infer(InferContext& context) { context.output(context.dtype_of(0), along_shape(context, context.shape(0), context.shape(1))); }
void along_gradient_infer(InferContext& context) { gradient_of(context, along_shape(context, context.shape(2), context.shape(0))); }

BoundKernel along_cpu(const BindContext& context) {
  const AlongSizes s = along_sizes(context.shape(0), context.shape(1), context.integer("axis"));
  const std::size_t size = itemsize(context.dtype_of(0));
  const bool wide = context.dtype_of(1) == int64;
  return [=, op = context.op().name](Inputs in, Outputs out) {
    require_indices(in[1], wide, s.outer * s.picks * s.inner, s.rows, op);
    for (std::int64_t i = 0; i < s.outer * s.picks * s.inner; ++i) {
      const std::int64_t o = i / (s.picks * s.inner), j = i % s.inner;
      std::memcpy(static_cast<std::byte*>(out[0]) + std::size_t(i) * size, static_cast<const std::byte*>(in[0]) + std::size_t((o * s.rows + index_at(in[1], wide, i)) * s.inner + j) * size, size);
    }
  };
}

BoundKernel along_gradient_cpu(const BindContext& context) {
  const AlongSizes s = along_sizes(context.shape(2), context.shape(0), context.integer("axis"));
  const bool wide = context.dtype_of(0) == int64;
  return visit_numeric(context.dtype_of(1), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, count = context.shape(2).numel(), op = context.op().name](Inputs in, Outputs out) {
      require_indices(in[0], wide, s.outer * s.picks * s.inner, s.rows, op);
      T* z = static_cast<T*>(out[0]);
      std::fill_n(z, count, T());
      for (std::int64_t i = 0; i < s.outer * s.picks * s.inner; ++i) {
        const std::int64_t o = i / (s.picks * s.inner), j = i % s.inner;
        add_row(z + (o * s.rows + index_at(in[0], wide, i)) * s.inner + j, static_cast<const T*>(in[1]) + i, 1);
      }
    };
  });
}

Gradients along_gradient(G context) { return {call("take_along_axis_gradient", {context.input(1), context.upstream(), context.input(0)}, context.attrs()), Gradient()}; }
Gradients along_gradient_gradient(G context) { return {Gradient(), take_along_axis(context.upstream(), context.input(0), context.integer("axis")), Gradient()}; }

// ---- scatter

enum class Scatter { update, add, sub, mul, div, max, min };

template <Scatter S, class T>
void scatter_row(T* to, const T* from, std::int64_t n) {
  using C = compute_t<T>;
  if constexpr (S == Scatter::add) add_row(to, from, n);
  else
    for (std::int64_t i = 0; i < n; ++i) {
      if constexpr (S == Scatter::update) to[i] = from[i];
      else if constexpr (S == Scatter::sub && std::is_integral_v<T>) to[i] = static_cast<T>(std::uint64_t(to[i]) - std::uint64_t(from[i]));
      else if constexpr (S == Scatter::sub) to[i] = static_cast<T>(static_cast<C>(to[i]) - static_cast<C>(from[i]));
      else if constexpr (S == Scatter::mul && std::is_integral_v<T>) to[i] = static_cast<T>(std::uint64_t(to[i]) * std::uint64_t(from[i]));
      else if constexpr (S == Scatter::mul) to[i] = static_cast<T>(static_cast<C>(to[i]) * static_cast<C>(from[i]));
      else if constexpr (S == Scatter::div) to[i] = static_cast<T>(static_cast<C>(to[i]) / static_cast<C>(from[i]));
      else if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) throw InternalError("complex numbers have no order");
      else if constexpr (S == Scatter::max) to[i] = static_cast<C>(to[i]) < static_cast<C>(from[i]) ? from[i] : to[i];
      else to[i] = static_cast<C>(from[i]) < static_cast<C>(to[i]) ? from[i] : to[i];
    }
}

template <Scatter S>
BoundKernel bind_scatter(const BindContext& context, const Shape& shape, std::size_t indices, bool from_zero) {
  const NdSizes s = nd_sizes(shape, context.shape(indices), 0);
  const bool wide = context.dtype_of(indices) == int64;
  const DType dtype = context.dtype_of(indices + 1);
  const auto bind = [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, count = shape.numel(), op = context.op().name](Inputs in, Outputs out) {
      const std::vector<std::int64_t> offsets = nd_offsets(s, in[indices], wide, op);
      T* z = static_cast<T*>(out[0]);
      if (from_zero) std::fill_n(z, count, T());
      else if (in[0] != out[0]) std::copy_n(static_cast<const T*>(in[0]), count, z);
      for (std::size_t t = 0; t < offsets.size(); ++t) scatter_row<S>(z + offsets[t], static_cast<const T*>(in[indices + 1]) + std::int64_t(t) * s.inner, s.inner);
    };
  };
  if constexpr (S == Scatter::update) {
    return visit_dtype(dtype, [&]<class T>(TypeTag<T> tag) -> BoundKernel {
      if constexpr (std::is_same_v<T, bool>) return bind(TypeTag<std::uint8_t>{});
      else return bind(tag);
    });
  } else {
    return visit_numeric(dtype, context.op().name, bind);
  }
}

void scatter_nd_infer(InferContext& context) {
  const Ints sizes = context.ints("shape");
  for (const std::int64_t size : sizes)
    if (size < 0) context.refuse("negative size in shape " + to_string(AttrValue(sizes)));
  const Shape shape(std::span<const std::int64_t>(sizes.begin(), sizes.size()));
  const Shape wanted = nd_shape(context, shape, context.shape(0), 0);
  if (wanted != context.shape(1)) context.refuse("updates must have shape " + to_string(wanted));
  context.output(context.dtype_of(1), shape);
}
BoundKernel scatter_nd_cpu(const BindContext& context) { return bind_scatter<Scatter::add>(context, context.output(0).shape, 0, true); }
Gradients scatter_nd_gradient(G context) { return {Gradient(), gather_nd(context.upstream(), context.input(0))}; }

void scatter_infer(InferContext& context) {
  const Shape wanted = nd_shape(context, context.shape(0), context.shape(1), 0);
  if (wanted != context.shape(2)) context.refuse("updates must have shape " + to_string(wanted));
  rules::like_first(context);
}
template <Scatter S>
BoundKernel scatter_cpu(const BindContext& context) {
  return bind_scatter<S>(context, context.shape(0), 1, false);
}

Gradients scatter_add_gradient(G context) { return {context.upstream(), Gradient(), gather_nd(context.upstream(), context.input(1))}; }
Gradients scatter_sub_gradient(G context) { return {context.upstream(), Gradient(), -gather_nd(context.upstream(), context.input(1))}; }
Gradients scatter_update_gradient(G context) {
  const Tensor up = context.upstream();
  return {tensor_scatter_update(up, context.input(1), zeros_like(context.input(2))), Gradient(), gather_nd(up, context.input(1))};
}
/// Whoever holds the maximum (minimum) shares the gradient equally.
Gradients scatter_extreme_gradient(G context) {
  const Tensor &x = context.input(0), &indices = context.input(1), &updates = context.input(2);
  const Tensor up = context.upstream();
  const Tensor x_holds = cast(equal(x, context.output()), up.dtype());
  const Tensor updates_hold = cast(equal(updates, gather_nd(context.output(), indices)), up.dtype());
  const Tensor share = up / tensor_scatter_add(x_holds, indices, updates_hold);
  return {share * x_holds, Gradient(), gather_nd(share, indices) * updates_hold};
}

// ---- results whose shape depends on the elements

void where_index_infer(InferContext& context) { context.output(int64, Shape::unknown()); }

Tensors where_index_cpu(const OpCall&, std::span<const Tensor> inputs) {
  const auto mask = inputs[0].data<bool>();
  const Shape& shape = inputs[0].shape();
  Tensor result = Tensor::empty({std::count(mask.begin(), mask.end(), true), shape.ndim()}, int64);
  std::int64_t* out = result.mutable_data<std::int64_t>();
  const auto strides = row_major_strides(shape);
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    if (!mask[std::size_t(i)]) continue;
    for (int k = 0; k < shape.ndim(); ++k) *out++ = i / strides[std::size_t(k)] % shape[k];
  }
  return {result};
}

void boolean_mask_infer(InferContext& context) {
  const Shape &x = context.shape(0), &mask = context.shape(1);
  const int axis = mask.ndim() == 0 ? 0 : rules::axis(context, context.integer("axis"), x.ndim());
  bool fits = mask.ndim() >= 1 && axis + mask.ndim() <= x.ndim();
  for (int i = 0; fits && i < mask.ndim(); ++i) fits = x[axis + i] == mask[i];
  if (!fits) context.refuse("the mask's shape must equal the operand's from axis " + std::to_string(axis) + " on");
  context.output(context.dtype_of(0), Shape::unknown());
}

Tensors boolean_mask_of(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor &x = inputs[0], &mask = inputs[1];
  const int axis = rules::wrap_axis(call.integer("axis"), x.ndim());
  Ints sizes;
  for (int i = 0; i < axis; ++i) sizes.push_back(x.shape()[i]);
  sizes.push_back(mask.numel());
  for (int i = axis + mask.ndim(); i < x.ndim(); ++i) sizes.push_back(x.shape()[i]);
  return {gather(reshape(x, sizes), squeeze(where(reshape(mask, {-1})), 1), axis)};
}

void stitch_infer(InferContext& context) {
  const std::size_t half = context.input_count() / 2;
  if (context.input_count() % 2) context.refuse("takes as many index tensors as data tensors, indices first");
  Shape row;
  for (std::size_t i = 0; i < half; ++i) {
    const Shape &indices = context.shape(i), &data = context.shape(half + i);
    if (!kIndexInts.contains(context.dtype_of(i))) context.refuse_type("operand " + std::to_string(i) + " must be int32 or int64");
    if (context.dtype_of(half + i) != context.dtype_of(half)) context.refuse_type("data tensors must have one dtype");
    bool fits = data.ndim() >= indices.ndim();
    for (int k = 0; fits && k < indices.ndim(); ++k) fits = data[k] == indices[k];
    if (!fits) context.refuse("the shape of data tensor " + std::to_string(i) + " must begin with that of its indices");
    Shape rest;
    for (int k = indices.ndim(); k < data.ndim(); ++k) rest.push_back(data[k]);
    if (i == 0) row = rest;
    else if (row != rest) context.refuse("data tensors differ behind their indices");
  }
  context.output(context.dtype_of(half), Shape::unknown());
}

Tensors stitch_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const std::size_t half = inputs.size() / 2;
  std::int64_t rows = 0;
  for (std::size_t i = 0; i < half; ++i)
    for (std::int64_t k = 0; k < inputs[i].numel(); ++k) {
      const std::int64_t at = index_at(inputs[i].raw(), inputs[i].dtype() == int64, k);
      if (at < 0 || at == INT64_MAX) call.refuse("index " + std::to_string(at) + " is " + (at < 0 ? "negative" : "too large"));
      rows = std::max(rows, at + 1);
    }
  Shape shape{rows};
  for (int k = inputs[0].ndim(); k < inputs[half].ndim(); ++k) shape.push_back(inputs[half].shape()[k]);
  Tensor result = Tensor::empty(shape, inputs[half].dtype());
  if (result.dtype() != string) std::memset(result.mutable_raw(), 0, result.nbytes());
  const std::int64_t inner = rows ? shape.numel() / rows : 0;
  for (std::size_t i = 0; i < half; ++i)
    for (std::int64_t k = 0; k < inputs[i].numel(); ++k)
      run_copy({.shape = Shape{inner}, .from = {1}, .to = {1}, .from_offset = k * inner, .to_offset = index_at(inputs[i].raw(), inputs[i].dtype() == int64, k) * inner},
               result.dtype(), inputs[half + i].raw(), result.mutable_raw());
  return {result};
}

Gradients stitch_gradient(G context) {
  const std::size_t half = context.input_count() / 2;
  Gradients result(half);
  for (std::size_t i = 0; i < half; ++i) result.push_back(gather(context.upstream(), context.input(i)));
  return result;
}

OpDef base(std::string_view name, std::string_view doc, int inputs, DTypeRule dtypes, std::vector<AttrDef> attrs, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), GradRule gradient, OnnxForm form, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "index", .min_inputs = inputs, .max_inputs = inputs, .attrs = std::move(attrs), .dtypes = std::move(dtypes), .infer = infer, .gradient = gradient, .onnx = form, .samples = std::move(samples), .cpu = cpu};
}

AttrDef integer(std::string_view name, std::int64_t fallback) { return {.name = name, .type = AttrType::integer, .fallback = fallback}; }
AttrDef required(std::string_view name, AttrType type) { return {.name = name, .type = type, .required = true}; }

}  // namespace

std::vector<OpDef> index_rows() {
  const Sample::Operand x{.shape = {4, 3}};
  const auto ids = [](Shape shape, double below) { return Sample::Operand{.dtype = int32, .shape = shape, .low = 0, .high = below}; };
  const DTypeRule params_indices{{{kAny, 0}, {kIndexInts, 1}}}, indices_updates{{{kIndexInts, 0}, {kNumeric, 1}}}, indices_updates_params{{{kIndexInts, 0}, {kNumeric, 1}, {kNumeric, 1}}};
  const DTypeRule scatter_dtypes{{{kNumeric, 0}, {kIndexInts, 1}, {kNumeric, 0}}};
  const IndexList spec{slice({}, {}, -2), 1};
  const AttrDef spec_attr{.name = "spec", .type = AttrType::index, .required = true, .doc = "one entry per axis"};
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(base("slice", "size[i] elements from begin[i] on along each axis; size -1: all that are left", 1, same(kAny), {required("begin", AttrType::ints), required("size", AttrType::ints)},
      slice_infer, slice_cpu, slice_gradient, onnx("Slice"), {{.inputs = {x}, .attrs = {{"begin", Ints{1, 0}}, {"size", Ints{2, -1}}}}}));
  rows.push_back(base("strided_slice", "NumPy's basic indexing: integers, slices with steps, ellipsis, newaxis", 1, same(kAny), {spec_attr},
      strided_infer, strided_cpu, strided_gradient, no_onnx("exported as Slice, Squeeze and Unsqueeze"), {{.inputs = {x}, .attrs = {{"spec", spec}}}}));
  rows.push_back(base("tensor_strided_slice_update", "operand 0 with the part that spec names replaced by operand 1 (broadcast)", 2, same(kAny), {spec_attr},
      update_infer, update_cpu, update_gradient, no_onnx("exported as ScatterND"), {{.inputs = {x, {.shape = {2}}}, .attrs = {{"spec", spec}}}, {.inputs = {x, {.shape = {}}}, .attrs = {{"spec", spec}}}}));
  rows.push_back(base("gather", "the rows of operand 0 along an axis that the indices name", 2, params_indices, {integer("axis", 0), integer("batch_dims", 0)},
      gather_infer, gather_cpu, gather_gradient, onnx("Gather"), {{.inputs = {x, ids({2, 2}, 4)}}, {.inputs = {x, ids({5}, 3)}, .attrs = {{"axis", std::int64_t(1)}}}, {.inputs = {x, ids({4, 2}, 3)}, .attrs = {{"axis", std::int64_t(1)}, {"batch_dims", std::int64_t(1)}}}}));
  rows.push_back(base("gather_gradient", "operand 1 added to zeros of the shape of operand 2 where gather by operand 0 would read", 3, indices_updates_params, {integer("axis", 0), integer("batch_dims", 0)},
      gather_gradient_infer, gather_gradient_cpu, gather_gradient_gradient, no_onnx("used in training only"), {{.inputs = {ids({5}, 3), {.shape = {4, 5}}, x}, .attrs = {{"axis", std::int64_t(1)}}}}));
  rows.push_back(base("gather_nd", "the elements or slices that index tuples (last axis of the indices) name", 2, params_indices, {integer("batch_dims", 0)},
      gather_nd_infer, gather_nd_cpu, gather_nd_gradient, onnx("GatherND"), {{.inputs = {x, ids({2, 1}, 4)}}, {.inputs = {x, ids({5, 2}, 3)}}, {.inputs = {x, ids({4, 1}, 3)}, .attrs = {{"batch_dims", std::int64_t(1)}}}}));
  rows.push_back(base("gather_nd_gradient", "operand 1 added to zeros of the shape of operand 2 where gather_nd by operand 0 would read", 3, indices_updates_params, {integer("batch_dims", 0)},
      gather_nd_gradient_infer, gather_nd_gradient_cpu, gather_nd_gradient_gradient, no_onnx("used in training only"), {{.inputs = {ids({5, 2}, 3), {.shape = {5}}, x}}}));
  rows.push_back(base("embedding_lookup", "the rows of the table that the ids name", 2, params_indices, {},
      [](InferContext& c) { if (c.shape(0).ndim() < 1) c.refuse("the table needs at least one axis"); Shape s = c.shape(1); for (int i = 1; i < c.shape(0).ndim(); ++i) s.push_back(c.shape(0)[i]); c.output(c.dtype_of(0), s); },
      nullptr, {}, no_onnx("exported as Gather"), {{.inputs = {x, ids({2, 3}, 4)}}}));
  rows.back().compose = [](const OpCall&, std::span<const Tensor> in) -> Tensors { return {gather(in[0], in[1])}; };
  rows.push_back(base("take_along_axis", "for each position the element that the index there names along an axis", 2, {{{kFixedSize, 0}, {kIndexInts, 1}}}, {required("axis", AttrType::integer)},
      along_infer, along_cpu, along_gradient, onnx("GatherElements"), {{.inputs = {x, ids({4, 2}, 3)}, .attrs = {{"axis", std::int64_t(1)}}}}));
  rows.push_back(base("take_along_axis_gradient", "operand 1 added to zeros of the shape of operand 2 where take_along_axis by operand 0 would read", 3, indices_updates_params, {required("axis", AttrType::integer)},
      along_gradient_infer, along_gradient_cpu, along_gradient_gradient, no_onnx("used in training only"), {{.inputs = {ids({4, 2}, 3), {.shape = {4, 2}}, x}, .attrs = {{"axis", std::int64_t(1)}}}}));
  rows.push_back(base("scatter_nd", "updates added to zeros of a shape at the places that index tuples name", 2, indices_updates, {required("shape", AttrType::ints)},
      scatter_nd_infer, scatter_nd_cpu, scatter_nd_gradient, no_onnx("exported as ScatterND"), {{.inputs = {ids({2, 1}, 4), {.shape = {2, 3}}}, .attrs = {{"shape", Ints{4, 3}}}}}));
  const std::vector<Sample> scatter_samples{{.inputs = {x, ids({5, 1}, 4), {.shape = {5, 3}}}}, {.inputs = {x, ids({2, 2}, 3), {.shape = {2}}}}};
  const std::vector<Sample> distinct{{.inputs = {x, ids({1, 1}, 4), {.shape = {1, 3}}}}};
  const auto scatter = [&](std::string_view name, std::string_view doc, BoundKernel (*cpu)(const BindContext&), GradRule gradient, const std::vector<Sample>& samples) {
    rows.push_back(base(name, doc, 3, scatter_dtypes, {}, scatter_infer, cpu, gradient, onnx("ScatterND"), samples));
  };
  scatter("tensor_scatter_add", "operand 0 with updates added at the places that index tuples name; repeats all add", scatter_cpu<Scatter::add>, scatter_add_gradient, scatter_samples);
  scatter("tensor_scatter_sub", "operand 0 with updates subtracted at the places that index tuples name", scatter_cpu<Scatter::sub>, scatter_sub_gradient, scatter_samples);
  scatter("tensor_scatter_max", "the larger of operand 0 and the updates at the places that index tuples name", scatter_cpu<Scatter::max>, scatter_extreme_gradient, distinct);
  rows.back().dtypes = {{{kReal, 0}, {kIndexInts, 1}, {kReal, 0}}};
  scatter("tensor_scatter_min", "the smaller of operand 0 and the updates at the places that index tuples name", scatter_cpu<Scatter::min>, scatter_extreme_gradient, distinct);
  rows.back().dtypes = {{{kReal, 0}, {kIndexInts, 1}, {kReal, 0}}};
  const auto variables_only = not_differentiable("it updates variables, as TensorFlow's scatter_mul and scatter_div, which have no gradient");
  scatter("tensor_scatter_mul", "operand 0 multiplied by updates at the places that index tuples name; repeats all multiply", scatter_cpu<Scatter::mul>, variables_only, scatter_samples);
  scatter("tensor_scatter_div", "operand 0 divided by updates at the places that index tuples name; floats", scatter_cpu<Scatter::div>, variables_only, scatter_samples);
  rows.back().dtypes = {{{kFloats, 0}, {kIndexInts, 1}, {kFloats, 0}}};
  scatter("tensor_scatter_update", "operand 0 with updates put at the places that index tuples name; of repeats the last one wins", scatter_cpu<Scatter::update>, scatter_update_gradient, distinct);
  rows.back().dtypes = {{{kAny, 0}, {kIndexInts, 1}, {kAny, 0}}};
  rows.push_back(base("where_index", "int64 (n, ndim): where the elements are true, in row-major order", 1, same(kBool), {}, where_index_infer, nullptr, not_differentiable("its result is an index"), onnx("NonZero"), {{.inputs = {{.dtype = boolean, .shape = {2, 3}, .low = 0}}}}));
  rows.back().cpu_dynamic = where_index_cpu;
  rows.push_back(base("boolean_mask", "the parts of operand 0 where the mask is true, from an axis on", 2, {{{kAny, 0}, {kBool, 1}}}, {integer("axis", 0)}, boolean_mask_infer, nullptr, {}, onnx("Compress"), {{.inputs = {x, {.dtype = boolean, .shape = {4}, .low = 0}}}, {.inputs = {x, {.dtype = boolean, .shape = {3}, .low = 0}}, .attrs = {{"axis", std::int64_t(1)}}}}));
  rows.back().compose = boolean_mask_of;
  rows.push_back(base("dynamic_stitch", "data tensors merged by their index tensors (indices first): result[indices[i][k]] = data[i][k], later ones win", 2, {{{kAny, -1}}}, {}, stitch_infer, nullptr, stitch_gradient, no_onnx("ONNX has no such operator"), {{.inputs = {ids({1}, 1), {.shape = {1, 3}}}}}));
  rows.back().max_inputs = -1;
  rows.back().cpu_dynamic = stitch_cpu;
  // clang-format on
  return rows;
}

}  // namespace lockstep

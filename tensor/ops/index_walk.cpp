#include <lockstep/tensor/ops/index_walk.h>

#include <algorithm>

#include <lockstep/tensor/ops/rules.h>

namespace lockstep::index_walk {

SliceRange slice_range(const std::optional<std::int64_t>& start, const std::optional<std::int64_t>& stop, const std::optional<std::int64_t>& step, std::int64_t size) {
  const std::int64_t stride = std::clamp(step.value_or(1), -size - 1, size + 1);  // longer steps reach no further
  const std::int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1;
  const auto bound = [&](const std::optional<std::int64_t>& at, std::int64_t none) { return at ? std::clamp(*at < 0 ? *at + size : *at, low, high) : none; };
  const std::int64_t first = bound(start, stride > 0 ? 0 : size - 1), end = bound(stop, stride > 0 ? size : -1);
  const std::int64_t distance = stride > 0 ? end - first : first - end;
  return {first, stride, distance > 0 ? (distance - 1) / (stride > 0 ? stride : -stride) + 1 : 0};
}

Selection select(const Shape& shape, const IndexList& spec, std::string_view op) {
  const std::string where = " in " + to_string(spec) + " of a tensor of shape " + to_string(shape);
  int consumed = 0;
  bool has_ellipsis = false;
  for (const Index& index : spec) {
    if (index.kind == Index::Kind::ellipsis) {
      if (has_ellipsis) throw IndexError("more than one ellipsis" + where, op);
      has_ellipsis = true;
    } else if (index.kind != Index::Kind::newaxis) {
      ++consumed;
    }
  }
  if (consumed > shape.ndim()) throw IndexError("too many indices" + where, op);
  const auto strides = row_major_strides(shape);
  Selection result;
  int axis = 0;
  const auto take = [&](std::int64_t start, std::int64_t step, std::int64_t count) {
    const auto k = std::size_t(result.box.shape.ndim());
    result.box.shape.push_back(count);
    result.box.from[k] = step * strides[std::size_t(axis)];
    result.box.from_offset += count > 0 ? start * strides[std::size_t(axis)] : 0;
    ++axis;
  };
  const auto whole = [&] {
    result.shape.push_back(shape[axis]);
    take(0, 1, shape[axis]);
  };
  for (const Index& index : spec) {
    switch (index.kind) {
      case Index::Kind::newaxis: result.shape.push_back(1); break;
      case Index::Kind::ellipsis:
        for (int n = shape.ndim() - consumed; n > 0; --n) whole();
        break;
      case Index::Kind::integer: {
        const std::int64_t size = shape[axis], at = *index.start < 0 ? *index.start + size : *index.start;
        if (at < 0 || at >= size) throw IndexError("index " + std::to_string(*index.start) + " is out of range for axis " + std::to_string(axis) + " of size " + std::to_string(size) + where, op);
        take(at, 1, 1);
        break;
      }
      case Index::Kind::slice: {
        if (index.step == 0) throw InvalidArgumentError("the step of a slice must not be 0" + where, op);
        const SliceRange range = slice_range(index.start, index.stop, index.step, shape[axis]);
        result.shape.push_back(range.count);
        take(range.start, range.step, range.count);
        break;
      }
    }
  }
  while (axis < shape.ndim()) whole();
  return result;
}

StridedCopy slice_walk(const OpCall& call, const Shape& from, const Shape& to) {
  StridedCopy copy = gather_walk(to);
  copy.from = row_major_strides(from);
  const Ints begin = call.ints("begin");
  for (std::size_t i = 0; i < begin.size(); ++i) copy.from_offset += begin[i] * copy.from[i];
  return copy;
}

StridedCopy update_walk(const Selection& part, const Shape& value) {
  // The box and the part's shape differ in axes of size 1 only: the others of both are walked side by side.
  const auto strides = row_major_strides(value);
  StridedCopy write;
  write.to_offset = part.box.from_offset;
  int axis = 0;
  for (int i = 0; i < part.box.shape.ndim(); ++i) {
    if (part.box.shape[i] == 1) continue;
    while (part.shape[axis] == 1) ++axis;
    const auto k = std::size_t(write.shape.ndim());
    const int own = axis - (part.shape.ndim() - value.ndim());
    write.from[k] = own >= 0 && value[own] != 1 ? strides[std::size_t(own)] : 0;
    write.to[k] = part.box.from[std::size_t(i)];
    write.shape.push_back(part.box.shape[i]);
    ++axis;
  }
  return write;
}

GatherSizes gather_sizes(const Shape& params, const Shape& indices, int axis, int batch_dims) {
  GatherSizes sizes;
  for (int i = 0; i < batch_dims; ++i) sizes.batch *= params[i];
  for (int i = batch_dims; i < axis; ++i) sizes.outer *= params[i];
  sizes.rows = params[axis];
  for (int i = axis + 1; i < params.ndim(); ++i) sizes.inner *= params[i];
  for (int i = batch_dims; i < indices.ndim(); ++i) sizes.picks *= indices[i];
  return sizes;
}

std::pair<int, int> gather_axes(const OpCall& call, int params_ndim, int indices_ndim) {
  return {rules::wrap_axis(call.integer("axis"), params_ndim), rules::wrap_axis(call.integer("batch_dims"), indices_ndim)};
}

NdSizes nd_sizes(const Shape& params, const Shape& indices, int batch_dims) {
  NdSizes s;
  s.depth = int(indices[indices.ndim() - 1]);
  for (int i = 0; i < batch_dims; ++i) s.batch *= params[i];
  for (int i = batch_dims; i < indices.ndim() - 1; ++i) s.tuples *= indices[i];
  for (int i = batch_dims + s.depth; i < params.ndim(); ++i) s.inner *= params[i];
  s.span = s.inner;
  for (int i = s.depth - 1; i >= 0; --i) {
    s.size[std::size_t(i)] = params[batch_dims + i];
    s.stride[std::size_t(i)] = s.span;
    s.span *= params[batch_dims + i];
  }
  return s;
}

AlongSizes along_sizes(const Shape& x, const Shape& indices, std::int64_t axis_) {
  const int axis = rules::wrap_axis(axis_, x.ndim());
  AlongSizes s;
  for (int i = 0; i < axis; ++i) s.outer *= x[i];
  s.rows = x[axis];
  s.picks = indices[axis];
  for (int i = axis + 1; i < x.ndim(); ++i) s.inner *= x[i];
  return s;
}

}  // namespace lockstep::index_walk

#pragma once
// How the rows of index.cpp walk their operands, for the kernels of every device.

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops/permute.h>

namespace lockstep::index_walk {

/// What an index expression selects: a strided box, and its shape with new axes put in and integers taken out.
struct Selection {
  StridedCopy box;  // `from` strides walk the operand
  Shape shape;
};

Selection select(const Shape& shape, const IndexList& spec, std::string_view op);

/// What start:stop:step, with a step that is not 0, names on an axis of `size` places, as Python has it: `count` places from `start` on.
struct SliceRange {
  std::int64_t start, step, count;
};
SliceRange slice_range(const std::optional<std::int64_t>& start, const std::optional<std::int64_t>& stop, const std::optional<std::int64_t>& step, std::int64_t size);

/// What slice reads: the box of shape `to` that begins at the attribute `begin`.
StridedCopy slice_walk(const OpCall& call, const Shape& from, const Shape& to);
/// Writes an operand of shape `value`, broadcast to the part's shape, where the part lies.
StridedCopy update_walk(const Selection& part, const Shape& value);

/// gather: `picks` rows of `inner` elements out of `rows`, for each of batch and outer.
struct GatherSizes {
  std::int64_t batch = 1, outer = 1, rows = 1, inner = 1, picks = 1;
};

GatherSizes gather_sizes(const Shape& params, const Shape& indices, int axis, int batch_dims);
/// The axis and the number of batch axes of a call.
std::pair<int, int> gather_axes(const OpCall& call, int params_ndim, int indices_ndim);

/// gather_nd and the scatters: tuples of `depth` indices name slices of `inner` elements.
struct NdSizes {
  std::int64_t batch = 1, tuples = 1, inner = 1, span = 1;  // span: elements of one batch entry
  int depth = 0;
  std::array<std::int64_t, Shape::kMaxDims> size{}, stride{};
};

NdSizes nd_sizes(const Shape& params, const Shape& indices, int batch_dims);

/// take_along_axis.
struct AlongSizes {
  std::int64_t outer = 1, rows = 1, picks = 1, inner = 1;
};
AlongSizes along_sizes(const Shape& x, const Shape& indices, std::int64_t axis);

}  // namespace lockstep::index_walk

#pragma once
// What the rows on index tuples, int64 (n, axes), have in common: sparse tensors and sets.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <lockstep/tensor/op.h>

namespace lockstep::entries {

/// "(1, 2)"
std::string index_text(const std::int64_t* index, int axes);

/// All axes of a shape, for offsets_of.
SmallVector<int, 8> all_axes(int ndim);
/// Throws InvalidArgumentError for an index tuple that lies outside of the shape.
void require_inside(const std::int64_t* indices, std::int64_t count, const Shape& shape, std::string_view op);
/// Row-major offsets of `count` index tuples over some axes. Throws as require_inside.
std::vector<std::int64_t> offsets_of(const std::int64_t* indices, std::int64_t count, const Shape& shape, std::span<const int> axes, std::string_view op);
/// Throws InvalidArgumentError unless the offsets (over all axes) of the tuples rise.
void require_in_order(std::span<const std::int64_t> offsets, const std::int64_t* indices, const Shape& shape, std::string_view op);

/// In the host's memory, where kernels compute their results: constant() would bring it to the default device.
Tensor int64_tensor(std::span<const std::int64_t> values);
Tensor int64_tensor(std::span<const std::int64_t> values, const Shape& shape);

}  // namespace lockstep::entries

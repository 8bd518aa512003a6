#pragma once
// What the functions on ragged and sparse tensors have in common.

#include <string_view>

#include <lockstep/tensor/ragged.h>

namespace lockstep::ragged_parts {

/// The operands of the ragged rows: the flat values, then the row splits from the outermost on.
Tensors with_splits(const RaggedTensor& x);
/// `rank` ragged axes at least: of uniform ones rows of equal lengths are made. Throws InvalidArgumentError for too few axes.
RaggedTensor with_ragged_rank(const RaggedTensor& x, int rank);
/// `axis` in [0, ndim); negative counts from the end. Throws InvalidArgumentError.
int checked_axis(std::int64_t axis, int ndim, std::string_view op);

}  // namespace lockstep::ragged_parts

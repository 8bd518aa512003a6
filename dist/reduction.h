#pragma once
// Adding what the ranks bring, always in one order: a binary tree over their numbers, ((0 + 1) + (2 + 3)) + ... . Who adds, and in which
// portions, changes nothing in the bits.

#include <cstdint>
#include <span>
#include <string_view>

#include <lockstep/tensor/dtype.h>

namespace lockstep::dist {

enum class ReduceOp : std::uint8_t { sum, mean, max, min };
std::string_view name(ReduceOp op);
/// Throws InvalidArgumentError for another name.
ReduceOp reduce_op(std::string_view name);

/// Throws InvalidArgumentError where the reduction has no meaning: strings, the sum of booleans, the mean of whole numbers, the
/// maximum of complex numbers.
void check_reduction(ReduceOp op, DType dtype);

/// The tree over n leaves splits into [0, tree_split(n)) and the rest: at the largest power of two below n.
int tree_split(int n);

/// The dtype in which a dtype is added: float32 for 16-bit floats, otherwise itself.
DType wide_dtype(DType dtype);

/// target[i] = the tree's reduction of sources[0][i] ... sources[n - 1][i]. 16-bit floats are added as float32 and rounded once.
/// mean divides by `ranks`, which may be more than there are sources (parts of a larger tree: then only its root says mean).
/// `target` may be one of the sources.
void reduce_sources(ReduceOp op, DType dtype, std::span<const void* const> sources, void* target, std::int64_t count, int ranks);
/// The same of sources of dtype `from` in a target of dtype `to`, where one may be the wide dtype of the other: a part of a larger tree stays wide.
void reduce_sources(ReduceOp op, DType from, DType to, std::span<const void* const> sources, void* target, std::int64_t count, int ranks);

}  // namespace lockstep::dist

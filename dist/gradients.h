#pragma once
// The gradients of a step over all replicas: in buckets, last variable first, since its gradient is there first.

#include <span>
#include <string>
#include <vector>

#include <lockstep/dist/replica.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::dist {

/// Bytes of a bucket: large enough to be worth a message, small enough that the first leaves early.
inline constexpr std::int64_t kBucketBytes = std::int64_t(1) << 20;

/// The indices of tensors that travel together: from the last to the first, of one dtype, up to `limit` bytes (or one tensor).
std::vector<std::vector<std::size_t>> bucket_plan(std::span<const TensorSpec> specs, std::int64_t limit = kBucketBytes);

/// The mean over the replicas of each gradient; without replicas the gradients themselves. Gradients that do not exist stay so.
/// Inside a traced function the buckets travel while the rest of the backward pass runs.
///
/// Gradients by rows come out by rows, equal indices summed (sum_slices): each replica's slices are gathered, behind the buckets, and every rank adds them up
/// in the same order, so that dense() has the bits that the dense gradients' reduction has (in the tree of reduction.h). A replica may have fewer slices than
/// others. They become dense where the gathered slices would be larger than the dense gradient, and for members of one process (Replica::joint) whose parts of
/// the batch differ in rows.
/// Throws FailedPreconditionError, on all ranks, when they do not have gradients for the same variables; it names the first.
std::vector<Gradient> reduce_gradients(std::span<const Gradient> gradients, std::span<const Variable> variables);

/// Compares a text between the ranks, line by line. Throws FailedPreconditionError with `what` and the first lines that differ, on all ranks.
void require_same(Communicator& communicator, const std::string& text, const std::string& what);

}  // namespace lockstep::dist

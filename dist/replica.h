#pragma once
// What the parts of a model are told of the other replicas while a training step is traced or run. Outside of a step there is none, and everything
// is about the tensors at hand.
//
// The convention that all parts keep: a loss is the mean over the replica's own rows; the loss of the global batch is the sum over replicas of
// share() * loss. A part that couples samples (batch statistics, masked means) asks here what the others bring.

#include <cstdint>
#include <optional>

#include <lockstep/dist/collectives.h>

namespace lockstep::dist {

/// One of the `count` replicas that have a part of the global batch each.
struct Replica {
  Group group = {};
  int count = 1;
  int index = 0;
  std::int64_t rows = 0;         // of this replica's part
  std::int64_t first_row = 0;    // where it begins within the global batch
  std::int64_t global_rows = 0;  // of the global batch
  /// How the rows are dealt out, where replicas bring what they have: another number for other rows, the same one on all of them. 0: by rows_of_part.
  std::uint64_t division = 0;
  /// Do several replicas run in one process, in lockstep (autodiff/members.h)? Collectives then may not stand inside branches.
  bool joint = false;
  /// Gradients travel in this dtype, if it is another than theirs.
  std::optional<DType> wire = {};
  /// Overrides what layers with batch statistics are set to.
  std::optional<bool> synchronized_statistics = {};

  /// Part of the global batch that is here: rows / global_rows.
  double share() const { return global_rows == 0 ? 0.0 : double(rows) / double(global_rows); }
  /// Is share() one part of `count`?
  bool even() const { return rows * count == global_rows; }
  /// The sum over all replicas; part of the step.
  Tensor sum(const Tensor& x, const std::string& label) const;
};

/// The replica of this thread's step; null outside of one.
const Replica* replica();

/// Makes `replica` the present one while it lives; null: none. It must outlive the scope.
class ReplicaScope {
 public:
  explicit ReplicaScope(const Replica* replica);
  ~ReplicaScope();
  ReplicaScope(const ReplicaScope&) = delete;
  ReplicaScope& operator=(const ReplicaScope&) = delete;

 private:
  const Replica* before_;
};

/// Rows [begin, end) of part `index` of `count`, of a batch of `rows` rows.
struct RowRange {
  std::int64_t begin, end;
};
inline RowRange rows_of_part(std::int64_t rows, int index, int count) { return {rows * index / count, rows * (index + 1) / count}; }

}  // namespace lockstep::dist

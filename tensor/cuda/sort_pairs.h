#pragma once
// A stable sort of 64-bit keys with the places they came from, and what is built on it: runs of equal keys.

#include <lockstep/tensor/cuda/launch.h>

namespace lockstep::cuda {

/// Memory for sorting n pairs. n < 2^32; throws UnimplementedError naming the op beyond.
struct SortPlan {
  std::int64_t n = 0;
  std::size_t nbytes = 0;  // of scratch
};
SortPlan sort_plan(std::int64_t n, std::string_view op);

/// Sorts by bits [0, bits) of the keys, in place; equal keys stay in their order.
void sort_pairs(const SortPlan& plan, void* scratch, std::uint64_t* keys, std::uint32_t* places, int bits = 64);

/// Bits that hold 0 ... most.
inline int bits_of(std::int64_t most) { return std::max(1, 64 - std::countl_zero(std::uint64_t(most))); }

/// Which entries go to which row, for adding up entries by row in the entries' order. Entries with a row outside are left out.
struct BucketsPlan {
  std::int64_t entries = 0, rows = 0;
  SortPlan sort;
  std::size_t keys = 0, places = 0, starts = 0, scratch = 0;  // offsets
  static BucketsPlan take(std::int64_t entries, std::int64_t rows, std::string_view op, Cuts& cuts);
};
struct Buckets {
  const std::uint32_t* places;  // entries in order of their rows
  const std::int64_t* starts;   // rows + 1: where each row's entries begin among them
};

struct RowStart {
  const std::uint64_t* keys;
  std::int64_t entries;
  std::int64_t* starts;
  LOCKSTEP_HD void operator()(std::int64_t row) const {
    std::int64_t low = 0, high = entries;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (keys[middle] < std::uint64_t(row)) low = middle + 1;
      else high = middle;
    }
    starts[row] = low;
  }
};
template <class RowOf>
struct BucketKey {
  RowOf row_of;
  std::int64_t rows;
  std::uint64_t* keys;
  std::uint32_t* places;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t row = row_of(i);
    keys[i] = row < 0 || row >= rows ? std::uint64_t(rows) : std::uint64_t(row);
    places[i] = std::uint32_t(i);
  }
};
/// Enqueues the sort. `row_of(entry)` gives the row.
template <class RowOf>
Buckets buckets(const BucketsPlan& plan, const Workspace& workspace, const RowOf& row_of) {
  std::uint64_t* keys = at<std::uint64_t>(workspace, plan.keys);
  std::uint32_t* places = at<std::uint32_t>(workspace, plan.places);
  std::int64_t* starts = at<std::int64_t>(workspace, plan.starts);
  for_each(plan.entries, BucketKey<RowOf>{row_of, plan.rows, keys, places});
  sort_pairs(plan.sort, at<std::byte>(workspace, plan.scratch), keys, places, bits_of(plan.rows));
  for_each(plan.rows + 1, RowStart{keys, plan.entries, starts});
  return {places, starts};
}

}  // namespace lockstep::cuda

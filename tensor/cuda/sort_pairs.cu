// The only file that compiles CUB: its radix sort takes a while, and one instance serves every op that sorts.

#include <lockstep/tensor/cuda/sort_pairs.h>

#ifdef LOCKSTEP_CUDA_EMULATED
#include <numeric>
#include <vector>
#else
#include <cub/device/device_radix_sort.cuh>
#endif

namespace lockstep::cuda {
namespace {

#ifndef LOCKSTEP_CUDA_EMULATED
/// Bytes that CUB asks for, or what it does with them.
std::size_t radix_sort(void* memory, std::size_t nbytes, cub::DoubleBuffer<std::uint64_t>& keys, cub::DoubleBuffer<std::uint32_t>& places, std::int64_t n, int bits) {
  static_cast<void>(cudaGetLastError());  // CUB takes an error that another library left for its own
  check(cub::DeviceRadixSort::SortPairs(memory, nbytes, keys, places, std::uint32_t(n), 0, bits, current_stream()), "cub::DeviceRadixSort::SortPairs");
  return nbytes;
}
struct CopyPairs {
  const std::uint64_t* from_keys;
  const std::uint32_t* from_places;
  std::uint64_t* keys;
  std::uint32_t* places;
  __device__ void operator()(std::int64_t i) const {
    keys[i] = from_keys[i];
    places[i] = from_places[i];
  }
};
std::size_t aligned(std::size_t nbytes) { return (nbytes + 255) / 256 * 256; }
#endif

}  // namespace

SortPlan sort_plan(std::int64_t n, std::string_view op) {
  if (n > std::int64_t(UINT32_MAX)) throw UnimplementedError("sorts at most 2^32 - 1 elements on a GPU, got " + std::to_string(n), op);
#ifdef LOCKSTEP_CUDA_EMULATED
  return {n, 0};
#else
  if (n == 0) return {};
  cub::DoubleBuffer<std::uint64_t> keys;
  cub::DoubleBuffer<std::uint32_t> places;
  return {n, aligned(std::size_t(n) * 8) + aligned(std::size_t(n) * 4) + radix_sort(nullptr, 0, keys, places, n, 64)};
#endif
}

void sort_pairs(const SortPlan& plan, void* scratch, std::uint64_t* keys, std::uint32_t* places, int bits) {
  if (plan.n == 0) return;
#ifdef LOCKSTEP_CUDA_EMULATED
  static_cast<void>(scratch);
  enqueue([=, n = plan.n] {
    const std::uint64_t mask = bits == 64 ? ~std::uint64_t(0) : (std::uint64_t(1) << bits) - 1;
    std::vector<std::size_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return (keys[a] & mask) < (keys[b] & mask); });
    const std::vector<std::uint64_t> old_keys(keys, keys + n);
    const std::vector<std::uint32_t> old_places(places, places + n);
    for (std::size_t i = 0; i < order.size(); ++i) keys[i] = old_keys[order[i]], places[i] = old_places[order[i]];
  });
#else
  std::byte* memory = static_cast<std::byte*>(scratch);
  const std::size_t key_bytes = aligned(std::size_t(plan.n) * 8), place_bytes = aligned(std::size_t(plan.n) * 4);
  cub::DoubleBuffer<std::uint64_t> key_buffers(keys, reinterpret_cast<std::uint64_t*>(memory));
  cub::DoubleBuffer<std::uint32_t> place_buffers(places, reinterpret_cast<std::uint32_t*>(memory + key_bytes));
  radix_sort(memory + key_bytes + place_bytes, plan.nbytes - key_bytes - place_bytes, key_buffers, place_buffers, plan.n, bits);
  if (key_buffers.Current() != keys) for_each(plan.n, CopyPairs{key_buffers.Current(), place_buffers.Current(), keys, places});
#endif
}

BucketsPlan BucketsPlan::take(std::int64_t entries, std::int64_t rows, std::string_view op, Cuts& cuts) {
  BucketsPlan plan;
  plan.entries = entries;
  plan.rows = rows;
  plan.sort = sort_plan(entries, op);
  plan.keys = cuts.take(std::size_t(entries) * 8);
  plan.places = cuts.take(std::size_t(entries) * 4);
  plan.starts = cuts.take(std::size_t(rows + 1) * 8);
  plan.scratch = cuts.take(plan.sort.nbytes);
  return plan;
}

}  // namespace lockstep::cuda

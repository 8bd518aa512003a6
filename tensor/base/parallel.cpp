#include <lockstep/tensor/base/parallel.h>

#include <omp.h>

#include <algorithm>
#include <string>

#include <lockstep/tensor/base/error.h>

namespace lockstep {

int intra_op_threads() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }

void set_intra_op_threads(int threads) {
  if (threads < 1) throw InvalidArgumentError("an op needs at least one thread, got " + std::to_string(threads));
  omp_set_num_threads(threads);
}

void detail::parallel_for(std::int64_t count, std::int64_t grain, void* closure, void (*run)(void*, std::int64_t, std::int64_t)) {
  const std::int64_t parts = std::min<std::int64_t>(intra_op_threads(), count / std::max<std::int64_t>(grain, 1));
  if (parts <= 1) {
    run(closure, 0, count);
    return;
  }
#pragma omp parallel for schedule(static, 1) num_threads(int(parts))
  for (std::int64_t part = 0; part < parts; ++part) {
    // Multiples of 64 where there are many, so that no two threads write one cache line; a few are tiles or blocks, to be shared evenly.
    const std::int64_t unit = count / parts >= 1024 ? 64 : 1;
    const auto bound = [&](std::int64_t i) { return i == parts ? count : count * i / parts / unit * unit; };
    run(closure, bound(part), bound(part + 1));
  }
}

}  // namespace lockstep

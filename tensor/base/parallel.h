#pragma once
// Threads inside one op. One OpenMP pool serves the whole process (oneDNN uses it too); the schedule of a traced function runs
// independent branches on the same pool.

#include <cstdint>
#include <type_traits>

namespace lockstep {

/// Threads that one op may use; 1 inside a parallel region. Starts as OMP_NUM_THREADS or the number of cores.
int intra_op_threads();
/// Sets it for the calling thread's ops. Throws InvalidArgumentError below 1.
void set_intra_op_threads(int threads);

namespace detail {
void parallel_for(std::int64_t count, std::int64_t grain, void* closure, void (*run)(void*, std::int64_t, std::int64_t));
}

/// Calls `body(begin, end)` on parts of [0, count), each of at least `grain`, in parallel when it pays. The parts depend on count,
/// grain and the number of threads only. `body` must not throw.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& body) {
  if (count <= grain) {
    if (count > 0) body(std::int64_t(0), count);
    return;
  }
  detail::parallel_for(count, grain, &body, [](void* closure, std::int64_t begin, std::int64_t end) {
    (*static_cast<std::remove_reference_t<F>*>(closure))(begin, end);
  });
}

}  // namespace lockstep

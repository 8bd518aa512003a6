#pragma once
// The runs that reductions are made of, dispatched by Highway; the fusion of sums into pointwise chains uses them too.

#include <cstdint>
#include <span>

#include <lockstep/tensor/op.h>

namespace lockstep {

enum class Reducer : std::uint8_t { sum, product, maximum, minimum };

/// Folding n elements into one, and folding rows into an accumulator of `columns` elements.
template <class T>
struct ReduceRuns {
  T (*run)(const T* x, std::int64_t n);
  void (*rows)(const T* x, std::int64_t rows, std::int64_t columns, T* acc);
};
/// For float and double. The order of the operations depends on the sizes only. NaN stays NaN in maximum and minimum.
template <class T>
ReduceRuns<T> reduce_runs(Reducer reducer);
template <>
ReduceRuns<float> reduce_runs<float>(Reducer reducer);
template <>
ReduceRuns<double> reduce_runs<double>(Reducer reducer);

/// Sum of n floats; the order of additions depends on n only.
inline float sum_run(const float* x, std::int64_t n) {
  static const ReduceRuns<float> runs = reduce_runs<float>(Reducer::sum);
  return runs.run(x, n);
}
/// acc[j] += x[i * columns + j] for all rows.
inline void add_rows(const float* x, std::int64_t rows, std::int64_t columns, float* acc) {
  static const ReduceRuns<float> runs = reduce_runs<float>(Reducer::sum);
  runs.rows(x, rows, columns, acc);
}

/// Neighbouring axes that are all kept, or all reduced, as one.
struct Folding {
  struct Part {
    std::int64_t size;
    bool reduced;
  };
  SmallVector<Part, 8> parts;
  std::int64_t kept = 1, reduced = 1;
};

/// Of `shape`, reduced over `axes`.
Folding fold_axes(const Shape& shape, std::span<const int> axes);
/// The axes of `from` along which a tensor of shape `to` was broadcast to it.
SmallVector<int, 8> broadcast_axes(const Shape& from, const Shape& to);

}  // namespace lockstep

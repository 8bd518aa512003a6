#pragma once
// The runs that reductions are made of, dispatched by Highway; the fusion of sums into pointwise chains uses them too.

#include <cstdint>

#include <lockstep/tensor/dtype.h>

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

}  // namespace lockstep

#pragma once
// Datasets of numbers, and what comes out of them.

#include <cstdint>
#include <numeric>
#include <vector>

#include <lockstep/io/dataset.h>
#include <lockstep/tensor/constant.h>

namespace lockstep::io {

using Numbers = std::vector<std::int64_t>;

/// 0 ... n - 1, as rows of one table (the path by row numbers).
inline Dataset counting(std::int64_t n) {
  Numbers numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return Dataset::from_tensor_slices(constant(numbers));
}

/// All numbers of the iterator's pass, batches flattened; the first tensor of each element.
inline Numbers drain(Iterator& iterator) {
  Numbers all;
  for (Tensors element; iterator.next(element);)
    for (const std::int64_t number : element[0].data<std::int64_t>()) all.push_back(number);
  return all;
}
inline Numbers pass(const Dataset& dataset, std::int64_t epoch = 0) {
  Iterator iterator = dataset.iterate({.epoch = epoch});
  return drain(iterator);
}

}  // namespace lockstep::io

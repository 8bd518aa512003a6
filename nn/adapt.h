#pragma once
// What layers that learn from data before training have in common: batches one after the other, and what the ranks have seen brought together.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <lockstep/nn/batch_source.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

struct AdaptOptions {
  /// So many batches of a source; none: to the end of the pass.
  std::optional<std::int64_t> steps = {};
  /// Has every rank other data? Then all ranks call adapt, and each ends with what follows from everybody's.
  bool own_data = false;
};

namespace detail {
/// `update` of the first tensor of each batch. Throws InvalidArgumentError for a source without end and without `steps`.
void for_each_batch(BatchSource& source, const AdaptOptions& options, const std::function<void(const Tensor&)>& update);
/// Do other ranks have data of their own?
bool have_others(const AdaptOptions& options);
/// Every rank's bytes, by rank, if the ranks have data of their own; else this one's alone.
std::vector<std::string> summaries_of_ranks(const std::string& mine, const AdaptOptions& options, const std::string& label);
/// Numbers as bytes, and back.
std::string bytes_of_numbers(const std::vector<double>& numbers);
std::vector<double> numbers_of_bytes(const std::string& bytes);
}  // namespace detail

}  // namespace lockstep::nn

#include <lockstep/nn/array_source.h>

#include <algorithm>

#include <lockstep/dist/replica.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/random.h>

namespace lockstep::nn {

ArraySource::ArraySource(Tensors arrays, ArraySourceOptions options) : arrays_(std::move(arrays)), options_(options) {
  if (arrays_.empty()) throw InvalidArgumentError("there are no arrays to take batches from", "ArraySource");
  if (options_.batch_size < 1) throw InvalidArgumentError("batch_size must be at least 1, got " + std::to_string(options_.batch_size), "ArraySource");
  if (options_.part < 0 || options_.part >= options_.parts) throw InvalidArgumentError("there is no part " + std::to_string(options_.part) + " of " + std::to_string(options_.parts), "ArraySource");
  for (const Tensor& array : arrays_) {
    if (array.ndim() == 0) throw InvalidArgumentError("a scalar has no rows to take batches of", "ArraySource");
    if (array.shape()[0] != arrays_[0].shape()[0])
      throw InvalidArgumentError("the arrays have different numbers of rows: " + std::to_string(arrays_[0].shape()[0]) + " and " + std::to_string(array.shape()[0]), "ArraySource");
  }
  rows_ = arrays_[0].shape()[0];
  if (rows_ == 0) throw InvalidArgumentError("the arrays have no rows", "ArraySource");
}

bool ArraySource::next(Tensors& batch) {
  if (state_.offset * options_.batch_size >= rows_) {
    state_ = {state_.epoch + 1, 0};
    order_ = Tensor();
    return false;
  }
  const std::int64_t first = state_.offset * options_.batch_size, last = std::min(rows_, first + options_.batch_size);
  batch_rows_ = last - first;
  const dist::RowRange part = dist::rows_of_part(batch_rows_, options_.part, options_.parts);
  const std::int64_t begin = first + part.begin, end = first + part.end;
  const DeviceScope there(arrays_[0].device());  // batches are cut where the arrays lie
  if (options_.shuffle && !order_.defined()) order_ = random::permutation_from(constant(std::vector<std::int64_t>{options_.seed, state_.epoch}), rows_);
  batch.clear();
  if (options_.shuffle) {
    const Tensor rows = order_[slice(begin, end)];
    for (const Tensor& array : arrays_) batch.push_back(gather(array, to(rows, array.device())));
  } else {
    for (const Tensor& array : arrays_) batch.push_back(begin == 0 && end == rows_ ? array : array[slice(begin, end)]);
  }
  ++state_.offset;
  return true;
}

void ArraySource::restore(const DatasetState& state) {
  if (state.epoch < 0 || state.offset < 0 || state.offset > cardinality())
    throw InvalidArgumentError("no such position: pass " + std::to_string(state.epoch) + ", batch " + std::to_string(state.offset) + " of " + std::to_string(cardinality()), "ArraySource");
  state_ = state;
  order_ = Tensor();
}

}  // namespace lockstep::nn

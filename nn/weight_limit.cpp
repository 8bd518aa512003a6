#include <lockstep/nn/weight_limit.h>

#include <limits>
#include <utility>

#include <lockstep/tensor/base/error.h>

namespace lockstep::nn {
namespace {

thread_local std::int64_t limit = std::numeric_limits<std::int64_t>::max();

}  // namespace

WeightLimit::WeightLimit(std::int64_t most) : before_(std::exchange(limit, most)) {}
WeightLimit::~WeightLimit() { limit = before_; }

void WeightLimit::check(const std::string& path, const Shape& shape) {
  if (shape.numel() > limit) throw InvalidArgumentError("the weight '" + path + "' has " + to_string(shape) + " elements, and all weights in the file have " + std::to_string(limit));
}

}  // namespace lockstep::nn

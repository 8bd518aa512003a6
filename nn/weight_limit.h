#pragma once
// A limit for models that a file describes.

#include <cstdint>
#include <string>

#include <lockstep/tensor/shape.h>

namespace lockstep::nn {

/// While it lives, a layer that is built on this thread makes no weight of more elements than `most`: what a file describes is judged by what the file holds before
/// memory is asked for. Limits nest; the innermost counts.
class WeightLimit {
 public:
  explicit WeightLimit(std::int64_t most);
  WeightLimit(const WeightLimit&) = delete;
  ~WeightLimit();
  /// Throws InvalidArgumentError, naming `path`, for a shape beyond the limit.
  static void check(const std::string& path, const Shape& shape);

 private:
  std::int64_t before_;
};

}  // namespace lockstep::nn

#pragma once
// How an axis is resized: each result the weighted sum of a few operands.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/tensor/op.h>

namespace lockstep::resizing {

/// Result i is the sum of weights[k] * operand[sources[k]] for k in [first[i], first[i + 1]).
struct Taps {
  std::vector<std::int64_t> first{0}, sources;
  std::vector<float> weights;

  void add(std::int64_t source, float weight) {
    sources.push_back(source);
    weights.push_back(weight);
  }
  void close() { first.push_back(std::int64_t(sources.size())); }
  std::int64_t count() const { return std::int64_t(first.size()) - 1; }

  /// The matrix of `operands` columns transposed.
  Taps transposed(std::int64_t operands) const {
    std::vector<std::vector<std::pair<std::int64_t, float>>> rows(static_cast<std::size_t>(operands));
    for (std::int64_t i = 0; i < count(); ++i)
      for (std::int64_t k = first[std::size_t(i)]; k < first[std::size_t(i) + 1]; ++k) rows[std::size_t(sources[std::size_t(k)])].emplace_back(i, weights[std::size_t(k)]);
    Taps result;
    for (const auto& row : rows) {
      for (const auto& [source, weight] : row) result.add(source, weight);
      result.close();
    }
    return result;
  }
};

/// The weights that one of tf.image's methods but "nearest" gives `in` pixels of a line for `out` of them.
Taps taps_of(const std::string& method, bool antialias, std::int64_t in, std::int64_t out);
/// Those of a call of image_resample along the axis of `in` pixels: transposed, if it is the gradient.
Taps taps_of(const OpCall& call, std::int64_t in, std::int64_t out);

}  // namespace lockstep::resizing

#pragma once
// Counts of one batch at thresholds: how many positives and negatives lie above and below each.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// The four counts.
enum class Count { true_positives, false_positives, true_negatives, false_negatives };
/// "true_positives", ...
const char* name(Count count);

/// Are they spread evenly from 0 to 1, up to rounding? Counting is then one pass over buckets.
bool evenly_spaced(const std::vector<double>& thresholds);
/// `count` thresholds from 0 to 1 (0.5 if there is one only).
std::vector<double> spaced_thresholds(std::int64_t count);

/// The (weighted) counts of a batch, one per threshold; of each column by itself if `multi_label`: then (thresholds, labels).
/// Only what is asked for is computed.
class Confusion {
 public:
  struct Setup {
    const std::vector<double>& thresholds;
    DType dtype = float32;
    std::optional<std::int64_t> top_k = {};
    std::optional<std::int64_t> class_id = {};
    bool multi_label = false;
    bool evenly = false;
    const std::vector<double>* label_weights = nullptr;
  };
  /// Throws InvalidArgumentError, naming `owner`, for shapes that do not fit.
  Confusion(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight, const Setup& setup, const std::string& owner);
  Tensor operator[](Count count) const;

 private:
  void fill_buckets(const Tensor& y_pred, const Setup& setup);
  Tensor positives_, negatives_;  // weights of the elements that are positive, negative
  Tensor above_;                  // (thresholds, elements...): 1 where the prediction is above
  Tensor true_above_, false_above_;  // instead of it, from buckets
  bool multi_label_;
};

}  // namespace lockstep::nn

// Intersection over union.

#include <algorithm>

#include <lockstep/nn/aligned.h>
#include <lockstep/nn/metrics_iou.h>

namespace lockstep::nn::metrics {

IoUBase::IoUBase(Setup setup, Metric::Options options) : Metric(std::move(options)), setup_(std::move(setup)) { IoUBase::configured(); }

void IoUBase::configured() {
  if (setup_.num_classes < 1) throw InvalidArgumentError("num_classes must be at least 1, got " + std::to_string(setup_.num_classes), name());
  for (const std::int64_t id : setup_.target_class_ids)
    if (id < 0 || id >= setup_.num_classes) throw InvalidArgumentError("target class " + std::to_string(id) + " is not in [0, " + std::to_string(setup_.num_classes) + ")", name());
  drop_weights();
  total_ = add_weight("total_confusion_matrix", {setup_.num_classes, setup_.num_classes});
  Metric::configured();
}

void IoUBase::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  const Tensor truth = reshape(setup_.sparse_y_true ? as_dtype(y_true, int64) : argmax(y_true, setup_.axis), {-1});
  const Tensor prediction = reshape(setup_.sparse_y_pred ? as_dtype(y_pred, int64) : argmax(y_pred, setup_.axis), {-1});
  require_same_shape(truth, prediction, name());
  Tensor weights = ones_like(as_dtype(truth, dtype()));
  if (sample_weight.defined()) {
    Tensor given = as_dtype(sample_weight, dtype());
    if (given.ndim() > 1) given = reshape(given, {-1});
    weights = broadcast_to(given, Ints(truth.shape().begin(), truth.shape().end()));
  }
  // Classes out of range, and the one to ignore, weigh nothing.
  const Scalar classes = setup_.num_classes;
  Tensor counted = logical_and(logical_and(truth >= 0, truth < classes), logical_and(prediction >= 0, prediction < classes));
  if (setup_.ignore_class) counted = logical_and(counted, not_equal(truth, scalar(*setup_.ignore_class, int64)));
  const Tensor cell = where(counted, truth * classes + prediction, scalar(-1, int64));
  const Tensor matrix = unsorted_segment_sum(weights, cell, setup_.num_classes * setup_.num_classes);
  total_.assign_add(reshape(matrix, {setup_.num_classes, setup_.num_classes}));
}

Tensor IoUBase::result() const {
  const Tensor matrix = total_;
  const Tensor hit = diag_part(matrix), all_of = reduce_sum(matrix, 0) + reduce_sum(matrix, 1) - hit;
  const auto of_targets = [&](const Tensor& counts) {
    const Tensor chosen = setup_.target_class_ids.empty() ? counts : gather(counts, constant(std::vector<std::int64_t>(setup_.target_class_ids.begin(), setup_.target_class_ids.end())));
    return as_dtype(chosen, float32);
  };
  const Tensor hits = of_targets(hit), unions = of_targets(all_of);
  const Tensor occurs = unions > 1e-9;
  const Tensor shares = where(occurs, hits / (unions + kEpsilon), scalar(0, float32));
  return reduce_sum(shares) / (reduce_sum(cast(occurs, float32)) + kEpsilon);
}

IoU::IoU() : IoU(Options()) {}
IoU::IoU(Options options) : IoUBase({options.num_classes, options.target_class_ids, options.ignore_class, options.sparse_y_true, options.sparse_y_pred, options.axis}, {options.name, options.dtype}) {}
void IoU::fields(Fields& f) {
  Metric::fields(f);
  f.required({"num_classes", "target_class_ids"});
  f.field("num_classes", setup_.num_classes);
  f.field("target_class_ids", setup_.target_class_ids);
  f.field("ignore_class", setup_.ignore_class);
  f.field("sparse_y_true", setup_.sparse_y_true);
  f.field("sparse_y_pred", setup_.sparse_y_pred);
  f.field("axis", setup_.axis);
}

MeanIoU::MeanIoU() : MeanIoU(Options()) {}
MeanIoU::MeanIoU(Options options) : IoUBase({options.num_classes, {}, options.ignore_class, options.sparse_y_true, options.sparse_y_pred, options.axis}, {options.name, options.dtype}) {}
void MeanIoU::fields(Fields& f) {
  Metric::fields(f);
  f.required({"num_classes"});
  f.field("num_classes", setup_.num_classes);
  f.field("ignore_class", setup_.ignore_class);
  f.field("sparse_y_true", setup_.sparse_y_true);
  f.field("sparse_y_pred", setup_.sparse_y_pred);
  f.field("axis", setup_.axis);
}

BinaryIoU::BinaryIoU() : BinaryIoU(Options()) {}
BinaryIoU::BinaryIoU(Options options) : IoUBase({.num_classes = 2, .target_class_ids = options.target_class_ids}, {options.name, options.dtype}), threshold_(options.threshold) {}
void BinaryIoU::fields(Fields& f) {
  Metric::fields(f);
  f.field("target_class_ids", setup_.target_class_ids);
  f.field("threshold", threshold_);
}
void BinaryIoU::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  IoUBase::update_state(y_true, cast(as_float(y_pred) >= threshold_, int64), sample_weight);
}

OneHotIoU::OneHotIoU() : OneHotIoU(Options()) {}
OneHotIoU::OneHotIoU(Options options) : IoUBase({options.num_classes, options.target_class_ids, options.ignore_class, false, options.sparse_y_pred, options.axis}, {options.name, options.dtype}) {}
void OneHotIoU::fields(Fields& f) {
  Metric::fields(f);
  f.required({"num_classes", "target_class_ids"});
  f.field("num_classes", setup_.num_classes);
  f.field("target_class_ids", setup_.target_class_ids);
  f.field("ignore_class", setup_.ignore_class);
  f.field("sparse_y_pred", setup_.sparse_y_pred);
  f.field("axis", setup_.axis);
}

OneHotMeanIoU::OneHotMeanIoU() : OneHotMeanIoU(Options()) {}
OneHotMeanIoU::OneHotMeanIoU(Options options) : IoUBase({options.num_classes, {}, options.ignore_class, false, options.sparse_y_pred, options.axis}, {options.name, options.dtype}) {}
void OneHotMeanIoU::fields(Fields& f) {
  Metric::fields(f);
  f.required({"num_classes"});
  f.field("num_classes", setup_.num_classes);
  f.field("ignore_class", setup_.ignore_class);
  f.field("sparse_y_pred", setup_.sparse_y_pred);
  f.field("axis", setup_.axis);
}

}  // namespace lockstep::nn::metrics

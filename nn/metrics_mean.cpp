// Mean and Sum, and the metrics that are means of a value per sample.

#include <numeric>

#include <lockstep/dist/replica.h>
#include <lockstep/nn/aligned.h>
#include <lockstep/nn/metrics.h>

namespace lockstep::nn::metrics {
namespace {

using Reduce = Tensor (*)(const Tensor&, const Axes&, bool);

Axes axes_from(int first, int last) {
  Ints axes;
  for (int axis = first; axis < last; ++axis) axes.push_back(axis);
  return axes;
}

struct Weighted {
  Tensor values;   // one per sample, or a scalar
  Tensor weights;  // as many; undefined without weights
};
/// Values reduced to one per sample. With weights they are first reduced to the weights' axes and multiplied by them.
Weighted per_sample(const Tensor& given, const Tensor& sample_weight, Reduce reduce, DType dtype) {
  Tensor values = as_dtype(given, dtype), weights;
  if (sample_weight.defined()) {
    std::tie(values, weights) = align_ranks(values, as_dtype(sample_weight, dtype));
    const int ndim = weights.ndim();
    if (values.ndim() > ndim) values = reduce(values, axes_from(ndim, values.ndim()), false);
    weights = broadcast_to(weights, Ints(values.shape().begin(), values.shape().end()));
    values = values * weights;
    if (ndim > 1) weights = reduce(weights, axes_from(1, ndim), false);
  }
  if (values.ndim() > 1) values = reduce(values, axes_from(1, values.ndim()), false);
  return {values, weights};
}

[[noreturn]] void refuse_pair(const char* owner) {
  throw InvalidArgumentError("takes values and, if any, their weights; not a target and a prediction", owner, "call update_state(values, sample_weight)");
}

}  // namespace

// ---- of values

Sum::Sum() : Sum(Options()) {}
Sum::Sum(Options options) : Metric(std::move(options)) { Sum::configured(); }
void Sum::configured() {
  drop_weights();
  total_ = add_weight("total");
  Metric::configured();
}
void Sum::update_state(const Tensor& values, const Tensor& sample_weight) { total_.assign_add(reduce_sum(per_sample(values, sample_weight, reduce_sum, dtype()).values)); }
void Sum::update_state(const Tensor&, const Tensor&, const Tensor&) { refuse_pair("Sum"); }
Tensor Sum::operator()(const Tensor& values) {
  update_state(values);
  return result();
}

Mean::Mean() : Mean(Options()) {}
Mean::Mean(Options options) : Metric(std::move(options)) { Mean::configured(); }
void Mean::configured() {
  drop_weights();
  total_ = add_weight("total");
  count_ = add_weight("count");
  Metric::configured();
}
void Mean::update_state(const Tensor& values, const Tensor& sample_weight) {
  if (const dist::Replica* replica = dist::replica(); replica && !sample_weight.defined() && values.shape().known() && values.ndim() == 0) {
    // One number for the batch: where replicas share it, each one's counts by its rows.
    if (replica->rows > 0) update_state(values, scalar(replica->share(), dtype()));
    return;
  }
  const Weighted batch = per_sample(values, sample_weight, reduce_mean, dtype());
  total_.assign_add(reduce_sum(batch.values));
  if (batch.weights.defined()) count_.assign_add(reduce_sum(batch.weights));
  else if (batch.values.shape().known()) count_.assign_add(scalar(double(batch.values.numel()), dtype()));
  else count_.assign_add(reduce_sum(ones_like(batch.values)));
}
void Mean::update_state(const Tensor&, const Tensor&, const Tensor&) { refuse_pair("Mean"); }
Tensor Mean::operator()(const Tensor& values) {
  update_state(values);
  return result();
}

// ---- of targets and predictions

void SampleMean::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) { Mean::update_state(values(y_true, y_pred), sample_weight); }

MeanMetricWrapper::MeanMetricWrapper(Named<Function> function, Options options) : SampleMean(std::move(options)), function_(std::move(function)) {
  if (!function_.function) throw InvalidArgumentError("a metric needs a function", "MeanMetricWrapper");
}
Tensor MeanMetricWrapper::values(const Tensor& y_true, const Tensor& y_pred) const {
  // As for a loss: a plain function sees floats, and never (n,) against (n, 1).
  const Tensor prediction = as_float(y_pred);
  const auto [truth, fitted] = align_ranks(as_dtype(y_true, prediction.dtype()), prediction);
  return function_.function(truth, fitted);
}

LogCoshError::LogCoshError() : LogCoshError(Options()) {}
LogCoshError::LogCoshError(Options options) : Plain({options.name.empty() ? "logcosh" : options.name, options.dtype}) {}

Tensor RootMeanSquaredError::values(const Tensor& y_true, const Tensor& y_pred) const {
  const Aligned a = aligned(as_dtype(y_true, dtype()), as_dtype(y_pred, dtype()), "RootMeanSquaredError");
  return squared_difference(a.y_pred, a.y_true);
}

BinaryAccuracy::BinaryAccuracy() : BinaryAccuracy(Options()) {}
BinaryAccuracy::BinaryAccuracy(Options options) : SampleMean({options.name, options.dtype}), options_(std::move(options)) {}
Tensor BinaryAccuracy::values(const Tensor& y_true, const Tensor& y_pred) const { return binary_accuracy(y_true, y_pred, options_.threshold); }
void BinaryAccuracy::fields(Fields& f) {
  Metric::fields(f);
  f.field("threshold", options_.threshold);
}

TopKCategoricalAccuracy::TopKCategoricalAccuracy() : TopKCategoricalAccuracy(Options()) {}
TopKCategoricalAccuracy::TopKCategoricalAccuracy(Options options) : SampleMean({options.name, options.dtype}), options_(std::move(options)) {}
Tensor TopKCategoricalAccuracy::values(const Tensor& y_true, const Tensor& y_pred) const { return top_k_categorical_accuracy(y_true, y_pred, options_.k); }
void TopKCategoricalAccuracy::fields(Fields& f) {
  Metric::fields(f);
  f.field("k", options_.k);
}

SparseTopKCategoricalAccuracy::SparseTopKCategoricalAccuracy() : SparseTopKCategoricalAccuracy(Options()) {}
SparseTopKCategoricalAccuracy::SparseTopKCategoricalAccuracy(Options options) : SampleMean({options.name, options.dtype}), options_(std::move(options)) {}
Tensor SparseTopKCategoricalAccuracy::values(const Tensor& y_true, const Tensor& y_pred) const { return sparse_top_k_categorical_accuracy(y_true, y_pred, options_.k, options_.from_sorted_ids); }
void SparseTopKCategoricalAccuracy::fields(Fields& f) {
  Metric::fields(f);
  f.field("k", options_.k);
  f.field("from_sorted_ids", options_.from_sorted_ids);
}

CosineSimilarity::CosineSimilarity() : CosineSimilarity(Options()) {}
CosineSimilarity::CosineSimilarity(Options options) : SampleMean({options.name, options.dtype}), options_(std::move(options)) {}
Tensor CosineSimilarity::values(const Tensor& y_true, const Tensor& y_pred) const { return cosine_similarity(y_true, y_pred, options_.axis); }
void CosineSimilarity::fields(Fields& f) {
  Metric::fields(f);
  f.field("axis", options_.axis);
}

BinaryCrossentropy::BinaryCrossentropy() : BinaryCrossentropy(Options()) {}
BinaryCrossentropy::BinaryCrossentropy(Options options) : SampleMean({options.name, options.dtype}), options_(std::move(options)) {}
Tensor BinaryCrossentropy::values(const Tensor& y_true, const Tensor& y_pred) const { return losses::binary_crossentropy(y_true, y_pred, options_.from_logits, options_.label_smoothing); }
void BinaryCrossentropy::fields(Fields& f) {
  Metric::fields(f);
  f.field("from_logits", options_.from_logits);
  f.field("label_smoothing", options_.label_smoothing);
}

CategoricalCrossentropy::CategoricalCrossentropy() : CategoricalCrossentropy(Options()) {}
CategoricalCrossentropy::CategoricalCrossentropy(Options options) : SampleMean({options.name, options.dtype}), options_(std::move(options)) {}
Tensor CategoricalCrossentropy::values(const Tensor& y_true, const Tensor& y_pred) const { return losses::categorical_crossentropy(y_true, y_pred, options_.from_logits, options_.label_smoothing, options_.axis); }
void CategoricalCrossentropy::fields(Fields& f) {
  Metric::fields(f);
  f.field("from_logits", options_.from_logits);
  f.field("label_smoothing", options_.label_smoothing);
  f.field("axis", options_.axis);
}

SparseCategoricalCrossentropy::SparseCategoricalCrossentropy() : SparseCategoricalCrossentropy(Options()) {}
SparseCategoricalCrossentropy::SparseCategoricalCrossentropy(Options options) : SampleMean({options.name, options.dtype}), options_(std::move(options)) {}
Tensor SparseCategoricalCrossentropy::values(const Tensor& y_true, const Tensor& y_pred) const { return losses::sparse_categorical_crossentropy(y_true, y_pred, options_.from_logits, options_.ignore_class, options_.axis); }
void SparseCategoricalCrossentropy::fields(Fields& f) {
  Metric::fields(f);
  f.field("from_logits", options_.from_logits);
  f.field("ignore_class", options_.ignore_class);
  f.field("axis", options_.axis);
}
/// What is ignored weighs nothing where there are weights; without them it counts as a loss of 0, as in Keras.
void SparseCategoricalCrossentropy::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  const bool masked = options_.ignore_class && sample_weight.defined();
  SampleMean::update_state(y_true, y_pred, masked ? apply_mask(sample_weight, losses::not_ignored(y_true, y_pred, *options_.ignore_class), dtype()) : sample_weight);
}

PearsonCorrelation::PearsonCorrelation() : PearsonCorrelation(Options()) {}
PearsonCorrelation::PearsonCorrelation(Options options) : SampleMean({options.name, options.dtype}), options_(std::move(options)) {}
Tensor PearsonCorrelation::values(const Tensor& y_true, const Tensor& y_pred) const { return pearson_correlation(y_true, y_pred, options_.axis); }
void PearsonCorrelation::fields(Fields& f) {
  Metric::fields(f);
  f.field("axis", options_.axis);
}

ConcordanceCorrelation::ConcordanceCorrelation() : ConcordanceCorrelation(Options()) {}
ConcordanceCorrelation::ConcordanceCorrelation(Options options) : SampleMean({options.name, options.dtype}), options_(std::move(options)) {}
Tensor ConcordanceCorrelation::values(const Tensor& y_true, const Tensor& y_pred) const { return concordance_correlation(y_true, y_pred, options_.axis); }
void ConcordanceCorrelation::fields(Fields& f) {
  Metric::fields(f);
  f.field("axis", options_.axis);
}

}  // namespace lockstep::nn::metrics

#include <lockstep/nn/loss.h>

#include <algorithm>
#include <cctype>
#include <tuple>

#include <lockstep/dist/replica.h>
#include <lockstep/nn/losses.h>
#include <lockstep/tensor/base/snake_case.h>
#include <lockstep/tensor/constant.h>

namespace lockstep::nn {
namespace {

std::string known_reduction(std::string reduction, const std::string& owner) {
  static constexpr const char* kReductions[] = {"sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"};
  if (reduction == "auto") return "sum_over_batch_size";
  if (std::find(std::begin(kReductions), std::end(kReductions), reduction) == std::end(kReductions))
    throw InvalidArgumentError("reduction must be sum_over_batch_size, sum, mean, mean_with_sample_weight or none, got '" + reduction + "'", owner);
  return reduction;
}

bool is_mean(const std::string& reduction) { return reduction == "sum_over_batch_size" || reduction == "mean"; }

/// Does `small` broadcast to the shape of `large`, axis by axis?
bool fits(const Shape& small, const Shape& large) {
  if (!small.known() || !large.known() || small.ndim() == 0) return true;
  if (small.ndim() != large.ndim()) return false;
  for (int i = 0; i < small.ndim(); ++i)
    if (small[i] != large[i] && small[i] != 1) return false;
  return true;
}

/// values * weights. Weights of fewer axes would be broadcast along the last ones, which are not the samples: they are refused.
Tensor weighted(const Tensor& values, const Tensor& weights, const std::string& owner) {
  const bool scalar_values = values.shape().known() && values.ndim() == 0;  // a loss that is one number: each weight scales it
  if (!scalar_values && !fits(weights.shape(), values.shape()))
    throw InvalidArgumentError("weights of shape " + to_string(weights.shape()) + " do not fit losses of shape " + to_string(values.shape()), owner,
                               "give one weight per sample, or one per value");
  return values * weights;
}

/// What the mean over this replica's rows must be divided by to become its part of a sum over all of them (see dist/replica.h).
double share() {
  const dist::Replica* replica = dist::replica();
  return replica ? replica->share() : 1;
}
/// The sum over all replicas of what only they know.
Tensor over_replicas(const Tensor& x) {
  const dist::Replica* replica = dist::replica();
  return replica ? replica->sum(stop_gradient(x), "weights of the loss") * replica->share() : x;
}

Tensor reduced(const Tensor& values, const Tensor& weights, const std::string& reduction) {
  const bool nothing_to_do = values.shape().known() && (values.ndim() == 0 || values.shape() == Shape{0});
  const bool no_rows = share() == 0;
  if (reduction == "none" || (nothing_to_do && !no_rows)) return values;
  if (reduction == "mean_with_sample_weight" && weights.defined()) return divide_no_nan(reduce_sum(values), over_replicas(reduce_sum(weights)));
  if (reduction == "sum") return no_rows || share() == 1 ? reduce_sum(values) : reduce_sum(values) * (1 / share());
  if (no_rows) return reduce_sum(values);  // 0, from which gradients go back as they do on the other ranks
  return values.shape().known() && values.numel() == 0 ? reduce_sum(values) : reduce_mean(values);  // no values: 0, not NaN
}

std::string lower(std::string text) {
  for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

Tensor as_dtype(const Tensor& x, DType dtype) { return x.dtype() == dtype ? x : cast(x, dtype); }

std::pair<Tensor, Tensor> align_ranks(const Tensor& x, const Tensor& y, bool expand_vectors) {
  if (!x.shape().known() || !y.shape().known()) return {x, y};
  const auto longer_by_one = [](const Tensor& a, const Tensor& b) { return a.ndim() == b.ndim() + 1 && a.shape()[a.ndim() - 1] == 1; };
  if (longer_by_one(x, y)) return y.ndim() == 1 && expand_vectors ? std::pair(x, expand_dims(y, -1)) : std::pair(squeeze(x, -1), y);
  if (longer_by_one(y, x)) return x.ndim() == 1 && expand_vectors ? std::pair(expand_dims(x, -1), y) : std::pair(x, squeeze(y, -1));
  return {x, y};
}

Tensor apply_mask(const Tensor& sample_weight, const Tensor& mask, DType dtype, const std::string& reduction) {
  if (!mask.defined()) return sample_weight.defined() ? as_dtype(sample_weight, dtype) : sample_weight;
  Tensor weights = as_dtype(mask, dtype);
  if (is_mean(reduction)) {
    const Tensor total = reduce_sum(ones_like(weights));
    weights = weights * divide_no_nan(total, over_replicas(reduce_sum(weights)));  // nothing valid: all weights are 0
  }
  if (!sample_weight.defined()) return weights;
  const auto [scaled, given] = align_ranks(weights, as_dtype(sample_weight, dtype));
  if (!fits(scaled.shape(), given.shape()) && !fits(given.shape(), scaled.shape()))
    throw InvalidArgumentError("weights of shape " + to_string(given.shape()) + " do not fit a mask of shape " + to_string(scaled.shape()), "apply_mask");
  return given * scaled;
}

// ---- Loss

Loss::Loss() : Loss(Options()) {}
Loss::Loss(Options options) : reduction_(std::move(options.reduction)), name_(std::move(options.name)), dtype_(options.dtype) {
  register_builtins();  // so that serialize() knows them
  Loss::configured();
}

std::shared_ptr<Loss> Loss::wrap(Named<Function> function) {
  std::string name = function.name;
  return std::make_shared<LossFunctionWrapper>(std::move(function), Options{.name = std::move(name)});
}

LossFunctionWrapper::LossFunctionWrapper(Named<Function> function, Options options) : Loss(std::move(options)), function_(std::move(function)) {
  if (!function_.function) throw InvalidArgumentError("a loss needs a function", "LossFunctionWrapper");
}

Tensor Loss::valid(const Tensor&, const Tensor&, const Tensor&) const { return {}; }

std::string Loss::name() const { return name_.empty() ? snake_case(class_name()) : name_; }

void Loss::fields(Fields& f) {
  std::string name = this->name();
  f.field("name", name);
  if (name != this->name()) name_ = std::move(name);
  std::optional<std::string> reduction;
  if (!reduction_is_null_) reduction = reduction_;
  f.field("reduction", reduction);
  reduction_is_null_ = !reduction;
  reduction_ = reduction.value_or("none");
  f.field("dtype", dtype_);
}

void Loss::configured() {
  reduction_ = known_reduction(reduction_, class_name());
  if (dtype_ && !is_float(*dtype_)) throw InvalidArgumentError("a loss computes in a float dtype, got " + std::string(lockstep::name(*dtype_)), class_name());
}

Tensor Loss::operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight, const Tensor& mask) const {
  const DType given = y_pred.dtype();
  const DType dtype = dtype_.value_or(given == float64 ? float64 : float32);
  const auto [truth, prediction] = align_ranks(as_dtype(y_true, dtype), as_dtype(y_pred, dtype));
  Tensor values = as_dtype(call(truth, prediction), dtype);
  Tensor counted = valid(truth, prediction, values);
  if (counted.defined() && mask.defined()) {
    const auto [own, given_mask] = align_ranks(counted, as_dtype(mask, boolean));
    counted = logical_and(own, given_mask);
  } else if (mask.defined()) {
    counted = mask;
  }
  Tensor weights = apply_mask(sample_weight, counted, dtype, reduction_);
  if (weights.defined()) {
    std::tie(values, weights) = align_ranks(values, weights);
    values = values_end_in_classes() ? values * weights : weighted(values, weights, class_name());
  }
  return reduced(values, weights, reduction_);
}

// ---- by name

TargetKind target_kind(const Shape& y_true, const Shape& y_pred) {
  if (y_pred.ndim() == 0) throw InvalidArgumentError("the output is a scalar: nothing to classify", "target_kind");
  const std::int64_t classes = y_pred.dim(-1);
  if (classes == 1) return TargetKind::binary;
  const bool labels = y_true.ndim() < y_pred.ndim() || (y_true.ndim() > 0 && y_true.dim(-1) == 1);
  return labels ? TargetKind::sparse_categorical : TargetKind::categorical;
}

Ref<Loss> loss_for(const std::string& identifier, const Shape& y_true, const Shape& y_pred) {
  const std::string key = lower(identifier);
  if (key != "crossentropy" && key != "ce") return Ref<Loss>(identifier);
  std::shared_ptr<Loss> loss;
  switch (target_kind(y_true, y_pred)) {
    case TargetKind::binary: loss = std::make_shared<losses::BinaryCrossentropy>(); break;
    case TargetKind::sparse_categorical: loss = std::make_shared<losses::SparseCategoricalCrossentropy>(); break;
    case TargetKind::categorical: loss = std::make_shared<losses::CategoricalCrossentropy>(); break;
  }
  loss->set_name(identifier);
  return Ref<Loss>(loss);
}

}  // namespace lockstep::nn

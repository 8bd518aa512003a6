// Losses of probabilities and logits: cross-entropies in all their forms, divergence, circle and CTC.

#include <limits>

#include <lockstep/autodiff/control_flow.h>
#include <lockstep/nn/aligned.h>
#include <lockstep/nn/losses.h>
#include <lockstep/tensor/constant.h>

namespace lockstep::nn::losses {
namespace {

Tensor clipped(const Tensor& probabilities) { return clip_by_value(probabilities, kEpsilon, 1.0 - kEpsilon); }

/// Soft targets: 1 becomes 1 - smoothing, and what is taken away is spread over `classes`.
Tensor smoothed(const Tensor& y_true, double smoothing, double classes) { return smoothing == 0 ? y_true : y_true * (1.0 - smoothing) + smoothing / classes; }

double class_count(const Tensor& y_true) { return y_true.shape().known() && y_true.ndim() > 0 ? double(y_true.shape().dim(-1)) : 1.0; }

/// Elementwise, not yet averaged.
Tensor binary_entropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits) {
  if (from_logits) return sigmoid_cross_entropy_with_logits(y_true, y_pred);
  // The logits behind a sigmoid give exact values where the probability would have been clipped.
  if (const Tensor logits = operand_of(y_pred, "sigmoid"); logits.defined()) return sigmoid_cross_entropy_with_logits(y_true, logits);
  const Tensor p = clipped(y_pred);
  return -(y_true * log(p) + (1.0 - y_true) * log(1.0 - p));
}

}  // namespace

Tensor binary_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits, double label_smoothing, std::int64_t axis) {
  const Aligned a = aligned(y_true, y_pred, "binary_crossentropy");
  return reduce_mean(binary_entropy(smoothed(a.y_true, label_smoothing, 2), a.y_pred, from_logits), axis);
}

Tensor binary_focal_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool apply_class_balancing, double alpha, double gamma, bool from_logits, double label_smoothing, std::int64_t axis) {
  const Aligned a = aligned(y_true, y_pred, "binary_focal_crossentropy");
  const Tensor truth = smoothed(a.y_true, label_smoothing, 2), p = from_logits ? sigmoid(a.y_pred) : a.y_pred;
  const Tensor hit = truth * p + (1.0 - truth) * (1.0 - p);
  Tensor loss = pow(1.0 - hit, scalar(gamma, p.dtype())) * binary_entropy(truth, a.y_pred, from_logits);
  if (apply_class_balancing) loss = (truth * alpha + (1.0 - truth) * (1.0 - alpha)) * loss;
  return reduce_mean(loss, axis);
}

Tensor categorical_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits, double label_smoothing, std::int64_t axis) {
  const Aligned a = aligned(y_true, y_pred, "categorical_crossentropy");
  const Tensor truth = smoothed(a.y_true, label_smoothing, class_count(a.y_true));
  if (from_logits) return softmax_cross_entropy_with_logits(truth, a.y_pred, axis);
  if (const Tensor logits = operand_of(a.y_pred, "softmax"); logits.defined() && axis == -1) return softmax_cross_entropy_with_logits(truth, logits, axis);
  const Tensor p = clipped(a.y_pred / reduce_sum(a.y_pred, axis, true));
  return -reduce_sum(truth * log(p), axis);
}

Tensor categorical_focal_crossentropy(const Tensor& y_true, const Tensor& y_pred, const NumberList& alpha, double gamma, bool from_logits, double label_smoothing, std::int64_t axis) {
  const Aligned a = aligned(y_true, y_pred, "categorical_focal_crossentropy");
  const DType dtype = a.y_pred.dtype();
  if (alpha.values.empty()) throw InvalidArgumentError("alpha must be a number, or one per class", "categorical_focal_crossentropy");
  const Tensor truth = smoothed(a.y_true, label_smoothing, class_count(a.y_true));
  const Tensor given = from_logits ? softmax(a.y_pred, axis) : a.y_pred;
  const Tensor p = clipped(given / reduce_sum(given, axis, true));
  // A list of literals is float32, as it is in Keras; a single number is exact in any dtype.
  const Tensor weight = alpha.single ? scalar(alpha.values[0], dtype) : as_dtype(cast(constant(alpha.values), float32), dtype);
  return reduce_sum(pow(1.0 - p, scalar(gamma, dtype)) * weight * (-truth * log(p)), axis);
}

Tensor not_ignored(const Tensor& y_true, const Tensor& y_pred, std::int64_t ignore_class) {
  const Tensor labels = labels_of(y_true, y_pred, "sparse_categorical_crossentropy");
  return not_equal(labels, scalar(ignore_class, int64));
}

Tensor sparse_categorical_crossentropy(const Tensor& y_true, const Tensor& y_pred, bool from_logits, std::optional<std::int64_t> ignore_class, std::int64_t axis) {
  Tensor given = as_float(y_pred);
  if (axis != -1 && axis != given.ndim() - 1) throw InvalidArgumentError("the classes must be the last axis, got axis " + std::to_string(axis), "sparse_categorical_crossentropy");
  Tensor labels = labels_of(y_true, given, "sparse_categorical_crossentropy");
  if (const Tensor logits = from_logits ? Tensor() : operand_of(given, "softmax"); logits.defined()) {
    given = logits;
    from_logits = true;
  }
  Tensor counted;
  if (ignore_class) {
    counted = not_equal(labels, scalar(*ignore_class, int64));
    labels = where(counted, labels, scalar(0, int64));
    given = where(expand_dims(counted, -1), given, scalar(0, given.dtype()));
  }
  const Tensor losses = sparse_softmax_cross_entropy_with_logits(labels, from_logits ? given : log(clipped(given)));
  return ignore_class ? where(counted, losses, scalar(0, losses.dtype())) : losses;
}

Tensor categorical_generalized_cross_entropy(const Tensor& y_true, const Tensor& y_pred, double q) {
  const Tensor given = as_float(y_pred);
  const Tensor labels = labels_of(y_true, given, "categorical_generalized_cross_entropy");
  const Tensor p = reduce_sum(given * one_hot(labels, given.shape().dim(-1), 1, 0, -1, given.dtype()), -1);
  return (1.0 - pow(p, scalar(q, p.dtype()))) / q;
}

Tensor kl_divergence(const Tensor& y_true, const Tensor& y_pred) {
  const Aligned a = aligned(y_true, y_pred, "kl_divergence");
  const Tensor truth = clip_by_value(a.y_true, kEpsilon, 1.0), p = clip_by_value(a.y_pred, kEpsilon, 1.0);
  return reduce_sum(truth * log(truth / p), -1);
}

// ---- circle

Tensor circle(const Tensor& y_true, const Tensor& y_pred, double gamma, double margin, bool remove_diagonal) {
  const Tensor embeddings = as_float(y_pred);
  const DType dtype = embeddings.dtype();
  if (embeddings.ndim() != 2) throw InvalidArgumentError("embeddings must be (batch, size), got " + to_string(embeddings.shape()), "circle");
  const std::int64_t batch = embeddings.shape()[0];
  if (y_true.numel() != batch) throw InvalidArgumentError("labels of shape " + to_string(y_true.shape()) + " do not fit embeddings of shape " + to_string(embeddings.shape()), "circle");
  const Tensor labels = as_dtype(y_true, int64);
  const Tensor same = equal(reshape(labels, {batch, 1}), reshape(labels, {1, batch}));
  const Tensor positive = remove_diagonal ? logical_and(same, logical_not(cast(eye(batch), boolean))) : same, negative = logical_not(same);

  const Tensor distance = relu(1.0 - matmul(embeddings, embeddings, false, true));
  const Tensor pull = relu((margin + distance) * cast(positive, dtype)), push = relu(((1.0 + margin) - distance) * cast(negative, dtype));
  const Tensor nothing = scalar(-std::numeric_limits<double>::infinity(), dtype);
  const Tensor positives = where(positive, -gamma * pull * (margin - distance), nothing);
  const Tensor negatives = where(negative, gamma * push * ((1.0 - margin) - distance), nothing);
  return softplus(reduce_logsumexp(positives, 1) + reduce_logsumexp(negatives, 1));
}

// ---- CTC

Tensor ctc(const Tensor& y_true, const Tensor& y_pred) {
  const Tensor logits = as_float(y_pred);
  if (y_true.ndim() != 2 || logits.ndim() != 3 || y_true.shape()[0] != logits.shape()[0])
    throw InvalidArgumentError("y_true must be (batch, labels) and y_pred (batch, time, classes), got " + to_string(y_true.shape()) + " and " + to_string(logits.shape()), "ctc");
  const DType dtype = logits.dtype();
  const std::int64_t batch = logits.shape()[0], time = logits.shape()[1], count = y_true.shape()[1], states = 2 * count + 1;
  const Tensor labels = as_dtype(y_true, int64);

  // The states of a sequence: a blank (0) before, between and after its labels. A step stays, goes on by one, or skips the blank
  // between two different labels.
  const Tensor blanks = zeros({batch, count, 1}, int64);
  const Tensor path = concat(std::vector<Tensor>{zeros({batch, 1}, int64), reshape(concat(std::vector<Tensor>{expand_dims(labels, -1), blanks}, -1), {batch, 2 * count})}, -1);
  const Tensor two_before = slice(concat(std::vector<Tensor>{zeros({batch, 2}, int64), path}, -1), {0, 0}, {batch, states});
  const Tensor may_skip = logical_and(not_equal(path, scalar(0, int64)), not_equal(path, two_before));
  const Tensor emitted = take_along_axis(log_softmax(logits), broadcast_to(expand_dims(path, 1), {batch, time, states}), -1);

  // A huge negative number stands for log 0: differences of infinities would have no gradient.
  const double kImpossible = dtype == float16 ? -3e4 : -1e30;
  const auto shifted = [&](const Tensor& alpha, std::int64_t by) {
    return slice(concat(std::vector<Tensor>{full({batch, by}, kImpossible, dtype), alpha}, -1), {0, 0}, {batch, states});
  };
  const Tensor impossible = scalar(kImpossible, dtype);
  const Tensor may_start = range(0, states) < 2;
  const Tensor start = where(may_start, emitted[{all, 0}], impossible);
  const Tensor alpha = autodiff::for_range(scalar(1, int64), scalar(time, int64), [&](const Tensor& t, std::span<const Tensor> state) {
    const Tensor steps = stack(std::vector<Tensor>{state[0], shifted(state[0], 1), where(may_skip, shifted(state[0], 2), impossible)});
    return Tensors{maximum(reduce_logsumexp(steps, 0) + gather(emitted, t, 1), impossible)};
  }, {start})[0];

  // It ends on the last label or on the blank behind it.
  const Tensor last = 2 * reduce_sum(cast(not_equal(labels, scalar(0, int64)), int64), -1, true);
  const Tensor position = expand_dims(range(0, states, 1, int64), 0);
  const Tensor ends = logical_or(equal(position, last), equal(position, last - 1));
  const Tensor loss = -reduce_logsumexp(where(ends, alpha, impossible), -1);
  return where(loss < -0.5 * kImpossible, loss, scalar(std::numeric_limits<double>::infinity(), dtype));
}

}  // namespace lockstep::nn::losses

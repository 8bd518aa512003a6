#include <lockstep/nn/aligned.h>

#include <lockstep/autodiff/trace.h>
#include <lockstep/nn/loss.h>
#include <lockstep/tensor/op.h>

namespace lockstep::nn {

Tensor as_float(const Tensor& y_pred) { return is_float(y_pred.dtype()) ? y_pred : cast(y_pred, float32); }

void require_same_shape(const Tensor& y_true, const Tensor& y_pred, std::string_view owner) {
  if (!y_true.shape().known() || !y_pred.shape().known() || y_true.shape() == y_pred.shape()) return;
  throw InvalidArgumentError("y_true has shape " + to_string(y_true.shape()) + ", y_pred " + to_string(y_pred.shape()), owner, "both must have the same shape");
}

Aligned aligned(const Tensor& y_true, const Tensor& y_pred, std::string_view owner) {
  const Tensor prediction = as_float(y_pred);
  auto [truth, fitted] = align_ranks(as_dtype(y_true, prediction.dtype()), prediction);
  require_same_shape(truth, fitted, owner);
  return {std::move(truth), std::move(fitted)};
}

Tensor labels_of(const Tensor& y_true, const Tensor& y_pred, std::string_view owner) {
  const Tensor labels = as_dtype(y_true, int64);
  if (!labels.shape().known() || !y_pred.shape().known()) return labels;
  const Shape wanted(y_pred.shape().dims().first(std::size_t(std::max(y_pred.ndim() - 1, 0))));
  if (y_pred.ndim() > 0 && labels.shape() == wanted) return labels;
  if (y_pred.ndim() > 0 && labels.ndim() == y_pred.ndim() && labels.shape().dim(-1) == 1 && Shape(labels.shape().dims().first(std::size_t(labels.ndim() - 1))) == wanted) return squeeze(labels, -1);
  throw InvalidArgumentError("labels of shape " + to_string(y_true.shape()) + " do not fit predictions of shape " + to_string(y_pred.shape()), owner,
                             "labels have all axes of the predictions but the last, the classes");
}

Tensor operand_of(const Tensor& x, std::string_view op) {
  const auto* trace = dynamic_cast<const autodiff::Trace*>(listeners().tracer);
  const auto* call = trace ? trace->producer(x) : nullptr;
  return call && call->op->name == op ? call->inputs[0] : Tensor();
}

}  // namespace lockstep::nn

#include "huber.h"

using namespace lockstep;

namespace book {

Tensor huber_fn(const Tensor& y_true, const Tensor& y_pred) {
  const Tensor error = y_true - y_pred;
  return where(abs(error) < 1.f, square(error) / 2, abs(error) - 0.5f);
}

Named<nn::Loss::Function> create_huber(double threshold) {
  return named("huber_fn", nn::Loss::Function([threshold](const Tensor& y_true, const Tensor& y_pred) {
                 const Tensor error = y_true - y_pred;
                 return where(abs(error) < threshold, square(error) / 2, threshold * abs(error) - threshold * threshold / 2);
               }));
}

void HuberMetric::update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor&) {
  const Tensor values = create_huber(threshold_).function(y_true, y_pred);
  total_.assign_add(reduce_sum(values));
  count_.assign_add(Scalar(double(values.numel())));
}

}  // namespace book

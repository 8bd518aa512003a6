// Helpers of gradient rules.

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {

Tensor GradContext::upstream(std::size_t i) const { return upstream_[i].defined() ? upstream_[i] : zeros_like(outputs_[i]); }

Tensor Gradient::dense() const {
  if (!slices_) return tensor_;
  const Tensor column = expand_dims(slices_->indices, 1);
  return scatter_nd(column, slices_->values, Ints(slices_->dense_shape.begin(), slices_->dense_shape.end()));
}

namespace grads {

Tensor unbroadcast(const Tensor& upstream, const Tensor& operand) {
  const Shape& from = upstream.shape();
  const Shape& to = operand.shape();
  if (!from.known() || !to.known()) return sum_to_shape_of(upstream, operand);
  if (from == to) return upstream;
  Ints axes;
  const int lead = from.ndim() - to.ndim();
  for (int i = 0; i < from.ndim(); ++i)
    if (i < lead || (to[i - lead] == 1 && from[i] != 1)) axes.push_back(i);
  return reshape(reduce_sum(upstream, axes), Ints(to.begin(), to.end()));
}

Tensor reshape_like(const Tensor& x, const Tensor& like) {
  if (!x.shape().known() || !like.shape().known()) return lockstep::reshape_like(x, like);
  return x.shape() == like.shape() ? x : reshape(x, Ints(like.shape().begin(), like.shape().end()));
}

Tensor restore_axes(const GradContext& context, const Tensor& reduced) {
  if (context.boolean("keepdims")) return reduced;
  static const OpDef& op = find_op("restore_axes");
  return apply(op, {reduced, context.input(0)}, {{"axis", context.attr("axis")}});
}

}  // namespace grads
}  // namespace lockstep

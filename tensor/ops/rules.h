#pragma once
// Small shape rules and axis arithmetic that many rows share.

#include <lockstep/tensor/op.h>

namespace lockstep::rules {

/// The shape both broadcast to (NumPy's rule). Throws the op's refusal naming the axis.
Shape broadcast(const InferContext& context, const Shape& a, const Shape& b);
/// As above without a call at hand; null if they do not broadcast.
std::optional<Shape> try_broadcast(const Shape& a, const Shape& b);

/// Output 0 is operand 0's spec.
void like_first(InferContext& context);
/// All operands broadcast; dtype of operand 0.
void broadcast_all(InferContext& context);
/// All operands broadcast; bool.
void broadcast_to_bool(InferContext& context);
/// Operand 0's shape; bool.
void bool_like_first(InferContext& context);

/// `axis` in [0, ndim); negative counts from the end. Throws the op's refusal.
int axis(const InferContext& context, std::int64_t axis, int ndim);
/// The same outside a shape rule (the axis has been checked).
inline int wrap_axis(std::int64_t axis, int ndim) { return int(axis < 0 ? axis + ndim : axis); }
/// The attribute `axis` as sorted, distinct axes: none means all. Throws for one out of range or repeated.
SmallVector<int, 8> axes(const InferContext& context, const AttrValue& value, int ndim);
/// The same outside a shape rule.
SmallVector<int, 8> wrap_axes(const AttrValue& value, int ndim);
/// What a product or convolution with an epilogue needs besides its own rule: no empty operand, a known `activation`.
void epilogue(const InferContext& context);
/// `shape` without `axes` (or with size 1 there).
Shape reduce(const Shape& shape, std::span<const int> axes, bool keepdims);

}  // namespace lockstep::rules

namespace lockstep::grads {

/// The gradient of an operand that was broadcast: `upstream` summed back to the shape of `operand`.
Tensor unbroadcast(const Tensor& upstream, const Tensor& operand);
/// `x` reshaped to the shape of `like` (works inside a trace for shapes known only at run time).
Tensor reshape_like(const Tensor& x, const Tensor& like);
/// Refuses an operand whose sizes are not known until the traced function runs.
inline void require_known(const Tensor& x, std::string_view op) {
  if (!x.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", op);
}
/// A reduced tensor with its reduced axes put back as size 1, as in the operand of `context` (attributes axis and keepdims).
Tensor restore_axes(const GradContext& context, const Tensor& reduced);

}  // namespace lockstep::grads

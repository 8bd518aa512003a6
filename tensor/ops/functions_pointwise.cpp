// The pointwise ops as functions: each finds its row once and applies it.

#include <lockstep/tensor/ops.h>

#include <lockstep/tensor/complex.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops/functions.h>

namespace lockstep {

Tensor neg(const Tensor& x) {
  static const OpDef& op = find_op("neg");
  return apply(op, {x});
}

Tensor abs(const Tensor& x) {
  if (x.defined() && is_complex(x.dtype())) return complex_abs(x);
  static const OpDef& op = find_op("abs");
  return apply(op, {x});
}

Tensor sign(const Tensor& x) {
  static const OpDef& op = find_op("sign");
  return apply(op, {x});
}

Tensor square(const Tensor& x) {
  static const OpDef& op = find_op("square");
  return apply(op, {x});
}

Tensor sqrt(const Tensor& x) {
  static const OpDef& op = find_op("sqrt");
  return apply(op, {x});
}

Tensor rsqrt(const Tensor& x) {
  static const OpDef& op = find_op("rsqrt");
  return apply(op, {x});
}

Tensor reciprocal(const Tensor& x) {
  static const OpDef& op = find_op("reciprocal");
  return apply(op, {x});
}

Tensor exp(const Tensor& x) {
  static const OpDef& op = find_op("exp");
  return apply(op, {x});
}

Tensor expm1(const Tensor& x) {
  static const OpDef& op = find_op("expm1");
  return apply(op, {x});
}

Tensor log(const Tensor& x) {
  static const OpDef& op = find_op("log");
  return apply(op, {x});
}

Tensor log1p(const Tensor& x) {
  static const OpDef& op = find_op("log1p");
  return apply(op, {x});
}

Tensor sin(const Tensor& x) {
  static const OpDef& op = find_op("sin");
  return apply(op, {x});
}

Tensor cos(const Tensor& x) {
  static const OpDef& op = find_op("cos");
  return apply(op, {x});
}

Tensor tan(const Tensor& x) {
  static const OpDef& op = find_op("tan");
  return apply(op, {x});
}

Tensor asin(const Tensor& x) {
  static const OpDef& op = find_op("asin");
  return apply(op, {x});
}

Tensor acos(const Tensor& x) {
  static const OpDef& op = find_op("acos");
  return apply(op, {x});
}

Tensor atan(const Tensor& x) {
  static const OpDef& op = find_op("atan");
  return apply(op, {x});
}

Tensor sinh(const Tensor& x) {
  static const OpDef& op = find_op("sinh");
  return apply(op, {x});
}

Tensor cosh(const Tensor& x) {
  static const OpDef& op = find_op("cosh");
  return apply(op, {x});
}

Tensor tanh(const Tensor& x) {
  static const OpDef& op = find_op("tanh");
  return apply(op, {x});
}

Tensor asinh(const Tensor& x) {
  static const OpDef& op = find_op("asinh");
  return apply(op, {x});
}

Tensor acosh(const Tensor& x) {
  static const OpDef& op = find_op("acosh");
  return apply(op, {x});
}

Tensor atanh(const Tensor& x) {
  static const OpDef& op = find_op("atanh");
  return apply(op, {x});
}

Tensor sigmoid(const Tensor& x) {
  static const OpDef& op = find_op("sigmoid");
  return apply(op, {x});
}

Tensor softplus(const Tensor& x) {
  static const OpDef& op = find_op("softplus");
  return apply(op, {x});
}

Tensor softsign(const Tensor& x) {
  static const OpDef& op = find_op("softsign");
  return apply(op, {x});
}

Tensor relu(const Tensor& x) {
  static const OpDef& op = find_op("relu");
  return apply(op, {x});
}

Tensor relu6(const Tensor& x) {
  static const OpDef& op = find_op("relu6");
  return apply(op, {x});
}

Tensor selu(const Tensor& x) {
  static const OpDef& op = find_op("selu");
  return apply(op, {x});
}

Tensor erf(const Tensor& x) {
  static const OpDef& op = find_op("erf");
  return apply(op, {x});
}

Tensor erfc(const Tensor& x) {
  static const OpDef& op = find_op("erfc");
  return apply(op, {x});
}

Tensor erfinv(const Tensor& x) {
  static const OpDef& op = find_op("erfinv");
  return apply(op, {x});
}

Tensor lgamma(const Tensor& x) {
  static const OpDef& op = find_op("lgamma");
  return apply(op, {x});
}

Tensor digamma(const Tensor& x) {
  static const OpDef& op = find_op("digamma");
  return apply(op, {x});
}

Tensor floor(const Tensor& x) {
  static const OpDef& op = find_op("floor");
  return apply(op, {x});
}

Tensor ceil(const Tensor& x) {
  static const OpDef& op = find_op("ceil");
  return apply(op, {x});
}

Tensor round(const Tensor& x) {
  static const OpDef& op = find_op("round");
  return apply(op, {x});
}

Tensor log_sigmoid(const Tensor& x) {
  static const OpDef& op = find_op("log_sigmoid");
  return apply(op, {x});
}

Tensor mish(const Tensor& x) {
  static const OpDef& op = find_op("mish");
  return apply(op, {x});
}

Tensor hard_sigmoid(const Tensor& x) {
  static const OpDef& op = find_op("hard_sigmoid");
  return apply(op, {x});
}

Tensor hard_silu(const Tensor& x) {
  static const OpDef& op = find_op("hard_silu");
  return apply(op, {x});
}

Tensor is_nan(const Tensor& x) {
  static const OpDef& op = find_op("is_nan");
  return apply(op, {x});
}

Tensor is_inf(const Tensor& x) {
  static const OpDef& op = find_op("is_inf");
  return apply(op, {x});
}

Tensor is_finite(const Tensor& x) {
  static const OpDef& op = find_op("is_finite");
  return apply(op, {x});
}

Tensor logical_not(const Tensor& x) {
  static const OpDef& op = find_op("logical_not");
  return apply(op, {x});
}

Tensor stop_gradient(const Tensor& x) {
  static const OpDef& op = find_op("stop_gradient");
  return apply(op, {x});
}

Tensor identity(const Tensor& x) {
  static const OpDef& op = find_op("identity");
  return apply(op, {x});
}

Tensor leaky_relu(const Tensor& x, double alpha) {
  static const OpDef& op = find_op("leaky_relu");
  return apply(op, {x}, {{"alpha", alpha}});
}

Tensor elu(const Tensor& x, double alpha) {
  static const OpDef& op = find_op("elu");
  return apply(op, {x}, {{"alpha", alpha}});
}

Tensor gelu(const Tensor& x, bool approximate) {
  static const OpDef& op = find_op("gelu");
  return apply(op, {x}, {{"approximate", approximate}});
}

Tensor silu(const Tensor& x, double beta) {
  static const OpDef& op = find_op("silu");
  return apply(op, {x}, {{"beta", beta}});
}

Tensor clip_by_value(const Tensor& x, const Scalar& min, const Scalar& max) {
  static const OpDef& op = find_op("clip_by_value");
  return apply(op, {x}, {{"min", number(min)}, {"max", number(max)}});
}

Tensor cast(const Tensor& x, DType dtype) {
  static const OpDef& op = find_op("cast");
  return apply(op, {x}, {{"dtype", dtype}});
}

Tensor add(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("add");
  return apply(op, {x, y});
}

Tensor subtract(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("subtract");
  return apply(op, {x, y});
}

Tensor multiply(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("multiply");
  return apply(op, {x, y});
}

Tensor divide(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("divide");
  return apply(op, {x, y});
}

Tensor floordiv(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("floordiv");
  return apply(op, {x, y});
}

Tensor mod(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("mod");
  return apply(op, {x, y});
}

Tensor pow(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("pow");
  return apply(op, {x, y});
}

Tensor maximum(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("maximum");
  return apply(op, {x, y});
}

Tensor minimum(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("minimum");
  return apply(op, {x, y});
}

Tensor atan2(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("atan2");
  return apply(op, {x, y});
}

Tensor squared_difference(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("squared_difference");
  return apply(op, {x, y});
}

Tensor divide_no_nan(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("divide_no_nan");
  return apply(op, {x, y});
}

Tensor equal(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("equal");
  return apply(op, {x, y});
}

Tensor not_equal(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("not_equal");
  return apply(op, {x, y});
}

Tensor less(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("less");
  return apply(op, {x, y});
}

Tensor less_equal(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("less_equal");
  return apply(op, {x, y});
}

Tensor greater(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("greater");
  return apply(op, {x, y});
}

Tensor greater_equal(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("greater_equal");
  return apply(op, {x, y});
}

Tensor logical_and(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("logical_and");
  return apply(op, {x, y});
}

Tensor logical_or(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("logical_or");
  return apply(op, {x, y});
}

Tensor logical_xor(const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("logical_xor");
  return apply(op, {x, y});
}

Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y) {
  static const OpDef& op = find_op("where");
  return apply(op, {condition, x, y});
}

Tensor where(const Tensor& condition) {
  static const OpDef& op = find_op("where_index");
  return apply(op, {condition});
}

}  // namespace lockstep

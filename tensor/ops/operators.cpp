// Operators and indexing of Tensor, in terms of the ops.

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>

namespace lockstep {

Tensor Tensor::operator[](std::initializer_list<Index> spec) const { return strided_slice(*this, IndexList(spec)); }

Tensor operator-(const Tensor& x) { return neg(x); }

#define LOCKSTEP_OPERATOR(symbol, function)                                                              \
  Tensor operator symbol(const Tensor& x, const Tensor& y) { return function(x, y); }                    \
  Tensor operator symbol(const Tensor& x, const Scalar& y) { return function(x, scalar(y, x.dtype())); }
LOCKSTEP_OPERATOR(+, add)
LOCKSTEP_OPERATOR(-, subtract)
LOCKSTEP_OPERATOR(*, multiply)
LOCKSTEP_OPERATOR(/, divide)
LOCKSTEP_OPERATOR(<, less)
LOCKSTEP_OPERATOR(<=, less_equal)
LOCKSTEP_OPERATOR(>, greater)
LOCKSTEP_OPERATOR(>=, greater_equal)
#undef LOCKSTEP_OPERATOR

Tensor operator+(const Scalar& x, const Tensor& y) { return add(scalar(x, y.dtype()), y); }
Tensor operator-(const Scalar& x, const Tensor& y) { return subtract(scalar(x, y.dtype()), y); }
Tensor operator*(const Scalar& x, const Tensor& y) { return multiply(scalar(x, y.dtype()), y); }
Tensor operator/(const Scalar& x, const Tensor& y) { return divide(scalar(x, y.dtype()), y); }

}  // namespace lockstep

// Operators and indexing of Tensor, in terms of the ops.

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>

namespace lockstep {

Tensor Tensor::operator[](std::initializer_list<Index> spec) const { return strided_slice(*this, IndexList(spec)); }

Tensor operator-(const Tensor& x) { return neg(x); }

namespace {

/// The literal beside an operand, in the operand's dtype and on its device.
Tensor literal(const Scalar& value, const Tensor& beside, const char* op) {
  if (!beside.defined()) throw InvalidArgumentError("an operand is an undefined Tensor", op);
  if (!value.fits(beside.dtype()))
    throw InvalidArgumentError("the literal " + to_string(value) + " does not fit dtype " + std::string(name(beside.dtype())) + "; operands: " + to_string(beside.spec()), op,
                               "there are no implicit casts: write a literal of that kind, or cast the tensor");
  if (beside.device().is_cpu() && default_device().is_cpu()) [[likely]] return scalar(value, beside.dtype());
  const DeviceScope there(beside.device());
  return scalar(value, beside.dtype());
}

}  // namespace

#define LOCKSTEP_OPERATOR(symbol, function)                                                              \
  Tensor operator symbol(const Tensor& x, const Tensor& y) { return function(x, y); }                    \
  Tensor operator symbol(const Tensor& x, const Scalar& y) { return function(x, literal(y, x, #function)); }
LOCKSTEP_OPERATOR(+, add)
LOCKSTEP_OPERATOR(-, subtract)
LOCKSTEP_OPERATOR(*, multiply)
LOCKSTEP_OPERATOR(/, divide)
LOCKSTEP_OPERATOR(<, less)
LOCKSTEP_OPERATOR(<=, less_equal)
LOCKSTEP_OPERATOR(>, greater)
LOCKSTEP_OPERATOR(>=, greater_equal)
#undef LOCKSTEP_OPERATOR

Tensor operator+(const Scalar& x, const Tensor& y) { return add(literal(x, y, "add"), y); }
Tensor operator-(const Scalar& x, const Tensor& y) { return subtract(literal(x, y, "subtract"), y); }
Tensor operator*(const Scalar& x, const Tensor& y) { return multiply(literal(x, y, "multiply"), y); }
Tensor operator/(const Scalar& x, const Tensor& y) { return divide(literal(x, y, "divide"), y); }

}  // namespace lockstep

#pragma once
// Complex numbers as parts: what tf.math has besides arithmetic. The gradient by a complex z is dL/dRe z + i dL/dIm z, as TensorFlow's.

#include <lockstep/tensor/tensor.h>

namespace lockstep {

/// re + i im, of float32 (complex64) or float64 (complex128) parts that broadcast (tf.complex).
Tensor complex(const Tensor& re, const Tensor& im);
/// The real part; float32 or float64 (tf.math.real).
Tensor real(const Tensor& z);
/// The imaginary part (tf.math.imag).
Tensor imag(const Tensor& z);
/// The argument in (-pi, pi] (tf.math.angle).
Tensor angle(const Tensor& z);
/// |z|, real; its gradient at 0 is 0 (tf.abs of complex numbers). abs() calls it.
Tensor complex_abs(const Tensor& z);

namespace math {
using lockstep::angle;
using lockstep::imag;
using lockstep::real;
}  // namespace math

}  // namespace lockstep

// Complex numbers from parts, and their parts.

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/pointwise.h>

namespace lockstep::cuda {
namespace {

struct join_body {
  static constexpr int kOperands = 2;
  static constexpr bool kHeavy = true;
  template <class T>
  LOCKSTEP_HD static Complex<T> apply(const double*, T re, T im) { return {re, im}; }
};
template <class Part>
struct part_body {
  static constexpr int kOperands = 1;
  static constexpr bool kHeavy = true;
  template <class T>
  LOCKSTEP_HD static T apply(const double*, Complex<T> z) { return Part::of(z); }
};
struct Real {
  template <class T>
  LOCKSTEP_HD static T of(Complex<T> z) { return z.re; }
};
struct Imaginary {
  template <class T>
  LOCKSTEP_HD static T of(Complex<T> z) { return z.im; }
};
struct Argument {
  template <class T>
  LOCKSTEP_HD static T of(Complex<T> z) { return ::atan2(z.im, z.re); }
};
struct Modulus {
  template <class T>
  LOCKSTEP_HD static T of(Complex<T> z) { return ::hypot(z.re, z.im); }
};

BoundKernel join(const BindContext& context) {
  if (context.dtype_of(0) == float32) return bind_body<join_body, Complex<float>, float>(context);
  return bind_body<join_body, Complex<double>, double>(context);
}
template <class Part>
BoundKernel part(const BindContext& context) {
  if (context.dtype_of(0) == complex64) return bind_body<part_body<Part>, float, Complex<float>>(context);
  return bind_body<part_body<Part>, double, Complex<double>>(context);
}

constexpr Kernel kComplexKernels[] = {
    {"complex", join}, {"real", part<Real>}, {"imag", part<Imaginary>}, {"angle", part<Argument>}, {"complex_abs", part<Modulus>},
};

}  // namespace

std::span<const Kernel> complex_kernels() { return kComplexKernels; }

}  // namespace lockstep::cuda

// Pointwise ops of one operand.

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/pointwise.h>

namespace lockstep::cuda {
namespace {

/// Floats only.
template <class Body>
BoundKernel floats(const BindContext& context) {
  return pointwise<Body, Body, kFloats.bits>(context);
}

struct complex_neg_body {
  static constexpr int kOperands = 1;
  static constexpr bool kHeavy = false;
  template <class V>
  LOCKSTEP_HD static V apply(const double* p, V x) {
    if constexpr (kIsComplex<V>) return -x;
    else return neg_other_body::apply(p, x);
  }
};
struct complex_square_body {
  static constexpr int kOperands = 1;
  static constexpr bool kHeavy = false;
  template <class V>
  LOCKSTEP_HD static V apply(const double* p, V x) {
    if constexpr (kIsComplex<V>) return x * x;
    else return square_other_body::apply(p, x);
  }
};
struct complex_conj_body {
  static constexpr int kOperands = 1;
  static constexpr bool kHeavy = false;
  template <class T>
  LOCKSTEP_HD static Complex<T> apply(const double*, Complex<T> x) { return {x.re, -x.im}; }
};

/// The exact form and the tanh form are one row.
BoundKernel gelu(const BindContext& context) { return context.boolean("approximate") ? floats<gelu_tanh_body>(context) : floats<gelu_erf_body>(context); }

constexpr std::uint32_t kSignedReal = (kSigned | kFloats).bits, kSignedOrComplex = (kSigned | kFloats | kComplex).bits;

constexpr Kernel kMathKernels[] = {
    {"neg", pointwise<neg_body, complex_neg_body, kSignedOrComplex>},
    {"abs", pointwise<abs_body, abs_other_body, kSignedReal>},
    {"sign", pointwise<sign_body, sign_other_body, kSignedReal>},
    {"square", pointwise<square_body, complex_square_body, kNumeric.bits>},
    {"conj", pointwise<conj_body, complex_conj_body, (kFloats | kComplex).bits>},
    {"sqrt", floats<sqrt_body>},
    {"rsqrt", floats<rsqrt_body>},
    {"reciprocal", floats<reciprocal_body>},
    {"exp", floats<exp_body>},
    {"expm1", floats<expm1_body>},
    {"log", floats<log_body>},
    {"log1p", floats<log1p_body>},
    {"sin", floats<sin_body>},
    {"cos", floats<cos_body>},
    {"tan", floats<tan_body>},
    {"asin", floats<asin_body>},
    {"acos", floats<acos_body>},
    {"atan", floats<atan_body>},
    {"sinh", floats<sinh_body>},
    {"cosh", floats<cosh_body>},
    {"tanh", floats<tanh_body>},
    {"asinh", floats<asinh_body>},
    {"acosh", floats<acosh_body>},
    {"atanh", floats<atanh_body>},
    {"sigmoid", floats<sigmoid_body>},
    {"softplus", floats<softplus_body>},
    {"softsign", floats<softsign_body>},
    {"relu", floats<relu_body>},
    {"relu6", floats<relu6_body>},
    {"selu", floats<selu_body>},
    {"erf", floats<erf_body>},
    {"erfc", floats<erfc_body>},
    {"erfinv", floats<erfinv_body>},
    {"lgamma", floats<lgamma_body>},
    {"digamma", floats<digamma_body>},
    {"polygamma", floats<polygamma_body>},
    {"floor", floats<floor_body>},
    {"ceil", floats<ceil_body>},
    {"round", floats<round_body>},
    {"log_sigmoid", floats<log_sigmoid_body>},
    {"mish", floats<mish_body>},
    {"hard_sigmoid", floats<hard_sigmoid_body>},
    {"hard_silu", floats<hard_silu_body>},
    {"leaky_relu", floats<leaky_relu_body>},
    {"elu", floats<elu_body>},
    {"gelu", gelu},
    {"gelu_tanh_slope", floats<gelu_tanh_slope_body>},
    {"silu", floats<silu_body>},
    {"clip_by_value", pointwise<clip_body, clip_other_body, kReal.bits>},
    {"is_nan", floats<is_nan_body>},
    {"is_inf", floats<is_inf_body>},
    {"is_finite", floats<is_finite_body>},
    {"logical_not", pointwise<logical_not_other_body, logical_not_other_body, kBool.bits>},
};

}  // namespace

std::span<const Kernel> math_kernels() { return kMathKernels; }

}  // namespace lockstep::cuda

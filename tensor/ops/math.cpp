// Pointwise ops of one operand.

#include <cmath>
#include <complex>
#include <numbers>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/pointwise/bind.h>
#include <lockstep/tensor/pointwise/kernels.h>
#include <lockstep/tensor/pointwise/loops.h>
#include <lockstep/tensor/special.h>

namespace lockstep {
namespace {

using pointwise::ComplexNumber;
using pointwise::Kernel;
using pointwise::Real;
using pointwise::Whole;
using Types = std::span<const DType>;

template <Kernel K>
PointwiseFn floats(Types in, DType) {
  return pointwise::float_run(K, in[0]);
}
template <class Body>
PointwiseFn loop(Types in, DType) {
  return pointwise::unary_loop<Body>(in[0]);
}
/// A vector kernel for floats, a loop for the rest.
template <Kernel K, class Body>
PointwiseFn floats_or_loop(Types in, DType) {
  return is_float(in[0]) ? pointwise::float_run(K, in[0]) : pointwise::unary_loop<Body>(in[0]);
}

/// Integers wrap around, as those of every tensor do.
template <Whole T>
T wrapped(std::uint64_t value) {
  return static_cast<T>(value);
}

/// Constants that TensorFlow keeps as float32 whatever the dtype: sqrt(1/2), and the cubic coefficient of the tanh form.
constexpr double kGeluSlope = 0.707106769084930419921875, kGeluCubic = 0.0447149984538555145263671875;

// clang-format off
struct Neg { static auto apply(Whole auto x, const double*) { return wrapped<decltype(x)>(0 - std::uint64_t(x)); }
             static auto apply(ComplexNumber auto x, const double*) { return -x; } };
struct Abs { static auto apply(Whole auto x, const double*) { return x < 0 ? wrapped<decltype(x)>(0 - std::uint64_t(x)) : x; } };
struct Sign { static auto apply(Whole auto x, const double*) { return decltype(x)((x > 0) - (x < 0)); } };
struct Square { static auto apply(Whole auto x, const double*) { return wrapped<decltype(x)>(std::uint64_t(x) * std::uint64_t(x)); }
                static auto apply(ComplexNumber auto x, const double*) { return x * x; } };
struct Sin { static auto apply(Real auto x, const double*) { return std::sin(x); } };
struct Cos { static auto apply(Real auto x, const double*) { return std::cos(x); } };
struct Tan { static auto apply(Real auto x, const double*) { return std::tan(x); } };
struct Asin { static auto apply(Real auto x, const double*) { return std::asin(x); } };
struct Acos { static auto apply(Real auto x, const double*) { return std::acos(x); } };
struct Atan { static auto apply(Real auto x, const double*) { return std::atan(x); } };
struct Sinh { static auto apply(Real auto x, const double*) { return std::sinh(x); } };
struct Cosh { static auto apply(Real auto x, const double*) { return std::cosh(x); } };
struct Asinh { static auto apply(Real auto x, const double*) { return std::asinh(x); } };
struct Acosh { static auto apply(Real auto x, const double*) { return std::acosh(x); } };
struct Atanh { static auto apply(Real auto x, const double*) { return std::atanh(x); } };
struct Erf { static auto apply(Real auto x, const double*) { return std::erf(x); } };
struct Erfc { static auto apply(Real auto x, const double*) { return std::erfc(x); } };
struct Erfinv { static auto apply(Real auto x, const double*) { return decltype(x)(special::erfinv(x)); } };
struct Lgamma { static auto apply(Real auto x, const double*) { int sign; return decltype(x)(::lgamma_r(double(x), &sign)); } };
struct Digamma { static auto apply(Real auto x, const double*) { return decltype(x)(special::digamma(x)); } };
struct Polygamma { static auto apply(Real auto x, const double* p) { return decltype(x)(special::polygamma(int(p[0]), x)); } };
struct IsNan { static bool apply(Real auto x, const double*) { return std::isnan(x); } };
struct IsInf { static bool apply(Real auto x, const double*) { return std::isinf(x); } };
struct IsFinite { static bool apply(Real auto x, const double*) { return std::isfinite(x); } };
struct Not { static bool apply(std::same_as<bool> auto x, const double*) { return !x; } };
struct Conj { static auto apply(Real auto x, const double*) { return x; }
              static auto apply(ComplexNumber auto x, const double*) { return std::conj(x); } };
struct Clip { static auto apply(Whole auto x, const double* p) { using T = decltype(x); return double(x) < p[0] ? T(p[0]) : double(x) > p[1] ? T(p[1]) : x; } };
struct GeluErf { static auto apply(Real auto x, const double*) { using T = decltype(x); return T(0.5) * x * std::erfc(-x * T(kGeluSlope)); } };
// clang-format on

PointwiseFn erf_run(Types in, DType) { return in[0] == float64 ? pointwise::unary_loop<Erf>(float64) : pointwise::float_run(Kernel::erf_float, in[0]); }

/// The exact form and the tanh form are one row: the choice is made on the first parameter.
template <class T>
void gelu_stretch(const void* const* in, void* out, std::int64_t n, const double* p) {
  static const PointwiseFn exact = pointwise::unary_loop<GeluErf>(dtype_of<T>);
  static const PointwiseFn approximate = pointwise::float_run(Kernel::gelu_tanh, dtype_of<T>);
  (p[0] != 0 ? approximate : exact)(in, out, n, p);
}
PointwiseFn gelu_run(Types in, DType) {
  switch (in[0]) {
    case DType::float16: return gelu_stretch<Half>;
    case DType::bfloat16: return gelu_stretch<BFloat16>;
    case DType::float32: return gelu_stretch<float>;
    default: return gelu_stretch<double>;
  }
}

/// One-operand gradient: dx = f(upstream, x, y).
template <auto F>
Gradients rule(const GradContext& context) {
  return {F(context, context.upstream(), context.input(0), context.output())};
}
using G = const GradContext&;
using T = const Tensor&;

Tensor zero(T like) { return scalar(0, like.dtype()); }
Tensor masked(T mask, T value) { return where(mask, value, zero(value)); }

struct Unary {
  std::string_view name;
  std::string_view doc;
  DTypeSet dtypes;
  PointwiseFn (*run)(Types, DType);
  GradRule gradient;
  OnnxForm onnx;
  double low = -2, high = 2;
  std::vector<AttrDef> attrs = {};
  AttrList sample_attrs = {};
  std::vector<std::string_view> aliases = {};
};

OpDef row(Unary op) {
  OpDef result{.name = op.name,
               .aliases = std::move(op.aliases),
               .doc = op.doc,
               .family = "math",
               .attrs = std::move(op.attrs),
               .dtypes = same(op.dtypes),
               .infer = rules::like_first,
               .gradient = op.gradient,
               .fusion = Fusion::pointwise,
               .onnx = op.onnx,
               .cpu = bind_pointwise,
               .pointwise = op.run};
  result.samples.push_back({.inputs = {{.shape = {2, 3}, .low = op.low, .high = op.high}}, .attrs = op.sample_attrs});
  return result;
}

constexpr double kSeluScale = 1.0507009873554804934193349852946, kSeluAlpha = 1.6732632423543772848170429916717;
constexpr DTypeSet kSignedReal = kSigned | kFloats;

Tensor gelu_gradient(G context, T up, T x, T) {
  if (context.boolean("approximate")) {
    static const OpDef& slope = find_op("gelu_tanh_slope");
    return up * apply(slope, {x});
  }
  return up * (erfc(x * -kGeluSlope) * 0.5 + x * exp(x * x * -(kGeluSlope * kGeluSlope)) * (std::numbers::inv_sqrtpi * kGeluSlope));
}

Tensor gelu_slope_gradient(G, T up, T x, T) {
  constexpr double c = 0.7978845608028653558798921198687;
  const Tensor t = tanh((x + x * x * x * kGeluCubic) * c), bend = 1 - t * t, inner = (1 + x * x * (3 * kGeluCubic)) * c;
  return up * bend * (inner + x * (x * (3 * c * kGeluCubic) - t * square(inner)));
}

/// A zero upstream gives 0 even at 0, where the slope is infinite.
Tensor sqrt_gradient(G, T up, T, T y) { return masked(not_equal(up, zero(up)), up * 0.5 / y); }

Tensor mish_gradient(G, T up, T x, T) {
  const Tensor t = tanh(softplus(x));
  return up * (t + x * sigmoid(x) * (1 - t * t));
}

Tensor silu_gradient(G context, T up, T x, T) {
  const double beta = context.number("beta");
  const Tensor s = sigmoid(x * beta);
  return up * (s + x * s * (1 - s) * beta);
}

Tensor within(T x, double low, double high) { return logical_and(x > low, x < high); }

void cast_infer(InferContext& context) { context.output(context.dtype("dtype"), context.shape(0)); }

template <class From, class To>
void complex_convert(const void* const* in, void* out, std::int64_t n, const double*) {
  const From* x = static_cast<const From*>(in[0]);
  To* z = static_cast<To*>(out);
  for (std::int64_t i = 0; i < n; ++i) {
    if constexpr (ComplexNumber<From> && ComplexNumber<To>) z[i] = To(typename To::value_type(x[i].real()), typename To::value_type(x[i].imag()));
    else if constexpr (ComplexNumber<From>) z[i] = static_cast<To>(static_cast<float>(x[i].real()));
    else z[i] = To(typename To::value_type(static_cast<compute_t<From>>(x[i])));
  }
}

void real_parts(const void* const* x, void* z, std::int64_t n, const double*) {
  for (std::int64_t i = 0; i < n; ++i) static_cast<double*>(z)[i] = static_cast<const std::complex<double>*>(x[0])[i].real();
}

PointwiseFn cast_runs(Types in, DType out) {
  if (!is_complex(in[0]) && !is_complex(out)) return pointwise::cast_run(in[0], out);
  return visit_dtype(in[0], [&]<class From>(TypeTag<From>) -> PointwiseFn {
    return visit_dtype(out, [&]<class To>(TypeTag<To>) -> PointwiseFn {
      if constexpr (std::is_same_v<From, std::string> || std::is_same_v<To, std::string>) return nullptr;
      else if constexpr (std::is_same_v<From, std::complex<double>> && std::is_same_v<To, double>) return real_parts;
      else if constexpr (ComplexNumber<From> || ComplexNumber<To>) return complex_convert<From, To>;
      else return nullptr;
    });
  });
}

Gradients cast_gradient(const GradContext& context) {
  const DType from = context.input(0).dtype();
  if (!is_differentiable(from) || !is_differentiable(context.output().dtype())) return {Gradient()};
  return {cast(context.upstream(), from)};
}

OpDef view_row(std::string_view name, std::string_view doc, GradRule gradient) {
  return {.name = name,
          .doc = doc,
          .family = "math",
          .dtypes = same(kAny),
          .infer = rules::like_first,
          .gradient = gradient,
          .fusion = Fusion::view,
          .onnx = onnx("Identity"),
          .samples = {{.inputs = {{.shape = {2, 3}}}}}};
}

AttrDef number_attr(std::string_view name, double fallback) { return {.name = name, .type = AttrType::number, .fallback = fallback}; }

}  // namespace

Tensor conj(const Tensor& x) {
  static const OpDef& op = find_op("conj");
  return apply(op, {x});
}

Tensor polygamma(std::int64_t n, const Tensor& x) {
  static const OpDef& op = find_op("polygamma");
  return apply(op, {x}, {{"n", n}});
}

std::vector<OpDef> math_rows() {
  const auto no_onnx_form = no_onnx("ONNX has no such operator; it is exported as its formula");
  std::vector<OpDef> rows;
  const auto add = [&](Unary op) { rows.push_back(row(std::move(op))); };
  // clang-format off
  add({"neg", "-x", kSignedReal | kComplex, floats_or_loop<Kernel::neg, Neg>, rule<[](G, T up, T, T) { return -up; }>, onnx("Neg"), -2, 2, {}, {}, {"negative"}});
  add({"abs", "|x|", kSignedReal, floats_or_loop<Kernel::abs, Abs>, rule<[](G, T up, T x, T) { return up * sign(x); }>, onnx("Abs")});
  add({"sign", "-1, 0 or 1; NaN stays NaN", kSignedReal, floats_or_loop<Kernel::sign, Sign>, rule<[](G, T up, T, T) { return zeros_like(up); }>, onnx("Sign")});
  add({"square", "x * x", kReal | kComplex, floats_or_loop<Kernel::square, Square>, rule<[](G, T up, T x, T) { return up * ((is_complex(x.dtype()) ? conj(x) : x) * 2); }>, no_onnx_form});
  add({"conj", "the complex conjugate; x itself where it is real", kFloats | kComplex, loop<Conj>, rule<[](G, T up, T, T) { return conj(up); }>, no_onnx_form});
  add({"sqrt", "the square root; NaN below 0", kFloats, floats<Kernel::sqrt>, rule<sqrt_gradient>, onnx("Sqrt"), 0.3, 3});
  add({"rsqrt", "1 / sqrt(x)", kFloats, floats<Kernel::rsqrt>, rule<[](G, T up, T, T y) { return up * -0.5 * (y * y * y); }>, no_onnx_form, 0.3, 3});
  add({"reciprocal", "1 / x", kFloats, floats<Kernel::reciprocal>, rule<[](G, T up, T, T y) { return -up * (y * y); }>, onnx("Reciprocal"), 0.3, 2});
  add({"exp", "e^x", kFloats, floats<Kernel::exp>, rule<[](G, T up, T, T y) { return up * y; }>, onnx("Exp")});
  add({"expm1", "e^x - 1, exact near 0", kFloats, floats<Kernel::expm1>, rule<[](G, T up, T, T y) { return up * (y + 1); }>, no_onnx_form});
  add({"log", "the natural logarithm", kFloats, floats<Kernel::log>, rule<[](G, T up, T x, T) { return up / x; }>, onnx("Log"), 0.3, 3, {}, {}, {"math::log"}});
  add({"log1p", "log(1 + x), exact near 0", kFloats, floats<Kernel::log1p>, rule<[](G, T up, T x, T) { return up / (x + 1); }>, no_onnx_form, -0.6, 3});
  add({"sin", "the sine of x in radians", kFloats, loop<Sin>, rule<[](G, T up, T x, T) { return up * cos(x); }>, onnx("Sin")});
  add({"cos", "the cosine of x in radians", kFloats, loop<Cos>, rule<[](G, T up, T x, T) { return -(up * sin(x)); }>, onnx("Cos")});
  add({"tan", "the tangent of x in radians", kFloats, loop<Tan>, rule<[](G, T up, T, T y) { return up * (y * y + 1); }>, onnx("Tan"), -1, 1});
  add({"asin", "the inverse sine, in [-pi/2, pi/2]", kFloats, loop<Asin>, rule<[](G, T up, T x, T) { return up / sqrt(1 - x * x); }>, onnx("Asin"), -0.8, 0.8});
  add({"acos", "the inverse cosine, in [0, pi]", kFloats, loop<Acos>, rule<[](G, T up, T x, T) { return -(up / sqrt(1 - x * x)); }>, onnx("Acos"), -0.8, 0.8});
  add({"atan", "the inverse tangent", kFloats, loop<Atan>, rule<[](G, T up, T x, T) { return up / (x * x + 1); }>, onnx("Atan")});
  add({"sinh", "(e^x - e^-x) / 2", kFloats, loop<Sinh>, rule<[](G, T up, T x, T) { return up * cosh(x); }>, onnx("Sinh")});
  add({"cosh", "(e^x + e^-x) / 2", kFloats, loop<Cosh>, rule<[](G, T up, T x, T) { return up * sinh(x); }>, onnx("Cosh")});
  add({"tanh", "the hyperbolic tangent", kFloats, floats<Kernel::tanh>, rule<[](G, T up, T, T y) { return up * (1 - y * y); }>, onnx("Tanh")});
  add({"asinh", "the inverse of sinh", kFloats, loop<Asinh>, rule<[](G, T up, T, T y) { return up / cosh(y); }>, onnx("Asinh")});
  add({"acosh", "the inverse of cosh; NaN below 1", kFloats, loop<Acosh>, rule<[](G, T up, T, T y) { return up / sinh(y); }>, onnx("Acosh"), 1.3, 3});
  add({"atanh", "the inverse of tanh", kFloats, loop<Atanh>, rule<[](G, T up, T x, T) { return up / (1 - x * x); }>, onnx("Atanh"), -0.8, 0.8});
  add({"sigmoid", "1 / (1 + e^-x)", kFloats, floats<Kernel::sigmoid>, rule<[](G, T up, T, T y) { return up * y * (1 - y); }>, onnx("Sigmoid")});
  add({"softplus", "log(1 + e^x), finite for large x", kFloats, floats<Kernel::softplus>, rule<[](G, T up, T x, T) { return up * sigmoid(x); }>, onnx("Softplus")});
  add({"softsign", "x / (1 + |x|)", kFloats, floats<Kernel::softsign>, rule<[](G, T up, T x, T) { return up / square(abs(x) + 1); }>, onnx("Softsign")});
  add({"relu", "max(x, 0); the gradient at 0 is 0", kFloats, floats<Kernel::relu>, rule<[](G, T up, T, T y) { return masked(y > 0, up); }>, onnx("Relu")});
  add({"relu6", "min(max(x, 0), 6)", kFloats, floats<Kernel::relu6>, rule<[](G, T up, T, T y) { return masked(within(y, 0, 6), up); }>, onnx("Clip"), -4, 10});
  add({"selu", "1.0507 x above 0, 1.7581 (e^x - 1) below", kFloats, floats<Kernel::selu>, rule<[](G, T up, T, T y) { return up * where(y < 0, y + kSeluScale * kSeluAlpha, full({}, kSeluScale, y.dtype())); }>, onnx("Selu")});
  add({"erf", "the error function", kFloats, erf_run, rule<[](G, T up, T x, T) { return up * exp(-(x * x)) * (2 * std::numbers::inv_sqrtpi); }>, onnx("Erf")});
  add({"erfc", "1 - erf(x), exact for large x", kFloats, loop<Erfc>, rule<[](G, T up, T x, T) { return up * exp(-(x * x)) * (-2 * std::numbers::inv_sqrtpi); }>, no_onnx_form});
  add({"erfinv", "the inverse of erf on [-1, 1]", kFloats, loop<Erfinv>, rule<[](G, T up, T, T y) { return up * exp(y * y) * (0.5 / std::numbers::inv_sqrtpi); }>, no_onnx_form, -0.8, 0.8});
  add({"lgamma", "log |gamma(x)|", kFloats, loop<Lgamma>, rule<[](G, T up, T x, T) { return up * digamma(x); }>, no_onnx_form, 0.4, 4});
  add({"digamma", "the derivative of lgamma", kFloats, loop<Digamma>, rule<[](G, T up, T x, T) { return up * polygamma(1, x); }>, no_onnx_form, 0.4, 4});
  add({"polygamma", "the n-th derivative of digamma, for x > 0", kFloats, loop<Polygamma>, rule<[](G c, T up, T x, T) { return up * polygamma(c.integer("n") + 1, x); }>, no_onnx_form, 0.6, 4,
       {{.name = "n", .type = AttrType::integer, .fallback = std::int64_t(0)}}, {{"n", std::int64_t(1)}}});
  add({"floor", "the largest whole number <= x", kFloats, floats<Kernel::floor>, not_differentiable("its derivative is zero everywhere but at the steps"), onnx("Floor")});
  add({"ceil", "the smallest whole number >= x", kFloats, floats<Kernel::ceil>, not_differentiable("its derivative is zero everywhere but at the steps"), onnx("Ceil")});
  add({"round", "the nearest whole number, halves to even", kFloats, floats<Kernel::round>, not_differentiable("its derivative is zero everywhere but at the steps"), onnx("Round")});
  add({"log_sigmoid", "log(sigmoid(x)), finite for large -x", kFloats, floats<Kernel::log_sigmoid>, rule<[](G, T up, T x, T) { return up * sigmoid(-x); }>, no_onnx_form});
  add({"mish", "x tanh(softplus(x))", kFloats, floats<Kernel::mish>, rule<mish_gradient>, onnx("Mish")});
  add({"hard_sigmoid", "relu6(x + 3) / 6", kFloats, floats<Kernel::hard_sigmoid>, rule<[](G, T up, T x, T) { return masked(within(x, -3, 3), up * (1.0 / 6)); }>, onnx("HardSigmoid"), -6, 6});
  add({"hard_silu", "x relu6(x + 3) / 6", kFloats, floats<Kernel::hard_silu>, rule<[](G, T up, T x, T) { return up * (hard_sigmoid(x) + masked(within(x, -3, 3), x * (1.0 / 6))); }>, onnx("HardSwish"), -6, 6, {}, {}, {"hard_swish"}});
  add({"leaky_relu", "x above 0, alpha x below; alpha is rounded to float32, as in TensorFlow", kFloats, floats<Kernel::leaky_relu>, rule<[](G c, T up, T x, T) { return where(x > 0, up, up * double(float(c.number("alpha")))); }>, onnx("LeakyRelu"), -2, 2, {number_attr("alpha", 0.2)}});
  add({"elu", "x above 0, alpha (e^x - 1) below", kFloats, floats<Kernel::elu>, rule<[](G c, T up, T x, T y) { return where(x < 0, up * (y + c.number("alpha")), up); }>, onnx("Elu"), -2, 2, {number_attr("alpha", 1.0)}});
  add({"gelu", "x P(X <= x) for a standard normal X, or its tanh approximation", kFloats, gelu_run, rule<gelu_gradient>, onnx("Gelu"), -2, 2, {{.name = "approximate", .type = AttrType::boolean, .fallback = false}}});
  rows.back().samples.push_back({.inputs = {{.shape = {2, 3}}}, .attrs = {{"approximate", true}}});
  add({"gelu_tanh_slope", "the derivative of gelu's tanh form", kFloats, floats<Kernel::gelu_tanh_slope>, rule<gelu_slope_gradient>, no_onnx("used in training only")});
  add({"silu", "x sigmoid(beta x)", kFloats, floats<Kernel::silu>, rule<silu_gradient>, no_onnx_form, -2, 2, {number_attr("beta", 1.0)}, {}, {"swish"}});
  add({"clip_by_value", "min where x < min, max where x > max, else x", kReal, floats_or_loop<Kernel::clip, Clip>,
       rule<[](G c, T up, T x, T) { return where(logical_or(x < c.scalar("min"), x > c.scalar("max")), zero(up), up); }>, onnx("Clip"), -2, 2,
       {{.name = "min", .type = AttrType::number, .required = true}, {.name = "max", .type = AttrType::number, .required = true}},
       {{"min", -0.7}, {"max", 0.6}}});
  // clang-format on
  const std::tuple<const char*, const char*, PointwiseFn (*)(Types, DType), const char*> tests[] = {
      {"is_nan", "is the element NaN?", loop<IsNan>, "IsNaN"}, {"is_inf", "is the element infinite?", loop<IsInf>, "IsInf"},
      {"is_finite", "is the element neither NaN nor infinite?", loop<IsFinite>, ""}};
  for (const auto& [name, doc, run, form] : tests) {
    add({name, doc, kFloats, run, not_differentiable("its result is bool"), *form ? onnx(form) : no_onnx_form});
    rows.back().infer = rules::bool_like_first;
  }
  add({"logical_not", "not x", kBool, loop<Not>, not_differentiable("its result is bool"), onnx("Not")});
  rows.back().samples[0].inputs[0].dtype = boolean;
  add({"cast", "to another dtype: floats truncate to integers, != 0 gives true, integers wrap", kFixedSize, cast_runs, cast_gradient, onnx("Cast"), -2, 2,
       {{.name = "dtype", .type = AttrType::dtype, .required = true}}, {{"dtype", float64}}});
  rows.back().infer = cast_infer;
  rows.back().samples.push_back({.inputs = {{.shape = {2, 3}}}, .attrs = {{"dtype", int32}}});
  rows.back().samples.push_back({.inputs = {{.dtype = int32, .shape = {2, 3}}}, .attrs = {{"dtype", float64}}});
  rows.push_back(view_row("identity", "the value itself, as a tensor of its own in the graph", rule<[](G, T up, T, T) { return up; }>));
  rows.push_back(view_row("stop_gradient", "the value itself, through which no gradient flows", not_differentiable("that is its purpose")));
  return rows;
}

}  // namespace lockstep

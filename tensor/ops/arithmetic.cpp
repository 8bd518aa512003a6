// Pointwise ops of two and three operands.

#include <cmath>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/pointwise/bind.h>
#include <lockstep/tensor/pointwise/kernels.h>
#include <lockstep/tensor/pointwise/loops.h>

namespace lockstep {
namespace {

using pointwise::ComplexNumber;
using pointwise::floor_quotient;
using pointwise::power;
using pointwise::Kernel;
using pointwise::Real;
using pointwise::Whole;
using Types = std::span<const DType>;

/// Index of the operation in pointwise::integer_run, -1 if it has none.
template <Kernel K, int IntegerOperation, class Other>
PointwiseFn arithmetic(Types in, DType) {
  if (is_float(in[0])) return pointwise::float_run(K, in[0]);
  if (IntegerOperation >= 0 && is_integer(in[0])) return pointwise::integer_run(IntegerOperation, in[0]);
  return pointwise::binary_loop<Other>(in[0]);
}
template <class Body>
PointwiseFn loop(Types in, DType) {
  return pointwise::binary_loop<Body>(in[0]);
}

// clang-format off
struct NoOther { static void apply(); };  // takes no operands, and so no type
struct Add { static auto apply(ComplexNumber auto x, ComplexNumber auto y) { return x + y; }
             static std::string apply(const std::string& x, const std::string& y) { return x + y; } };
struct Subtract { static auto apply(ComplexNumber auto x, ComplexNumber auto y) { return x - y; } };
struct Multiply { static auto apply(ComplexNumber auto x, ComplexNumber auto y) { return x * y; } };
struct Divide { static double apply(Whole auto x, Whole auto y) { return double(x) / double(y); }
                static auto apply(ComplexNumber auto x, ComplexNumber auto y) { return x / y; } };
struct FloorDiv { template <Real T> static T apply(T x, T y) { return std::floor(x / y); }
                  template <Whole T> static T apply(T x, T y) { return floor_quotient(x, y); } };
struct Mod { template <Real T> static T apply(T x, T y) { const T r = std::fmod(x, y); return r != 0 && (r < 0) != (y < 0) ? r + y : r; }
             template <Whole T> static T apply(T x, T y) { return static_cast<T>(std::uint64_t(x) - std::uint64_t(floor_quotient(x, y)) * std::uint64_t(y)); } };
struct Pow { template <Real T> static T apply(T x, T y) { return std::pow(x, y); }
             template <Whole T> static T apply(T x, T y) { return power(x, y); } };
struct Atan2 { template <Real T> static T apply(T y, T x) { return std::atan2(y, x); } };
struct Equal { static bool apply(ComplexNumber auto x, ComplexNumber auto y) { return x == y; }
               static bool apply(const std::string& x, const std::string& y) { return x == y; } };
struct NotEqual { static bool apply(ComplexNumber auto x, ComplexNumber auto y) { return x != y; }
                  static bool apply(const std::string& x, const std::string& y) { return x != y; } };
struct And { static bool apply(std::same_as<bool> auto x, bool y) { return x && y; } };
struct Or { static bool apply(std::same_as<bool> auto x, bool y) { return x || y; } };
struct Xor { static bool apply(std::same_as<bool> auto x, bool y) { return x != y; } };
// clang-format on

template <int Relation, class Other>
PointwiseFn comparison(Types in, DType) {
  const PointwiseFn run = pointwise::compare_run(Relation, in[0]);
  return run ? run : pointwise::binary_loop<Other>(in[0]);
}

PointwiseFn where_run(Types in, DType) { return pointwise::select_run(in[1]); }

/// Integer operands that have no result are found before the run, which may not throw.
template <class Wrong>
BoundKernel bind_checked(const BindContext& context, std::string_view complaint, Wrong wrong) {
  BoundKernel run = bind_pointwise(context);
  if (!is_integer(context.dtype_of(0))) return run;
  const std::int64_t count = context.shape(1).numel();
  const bool empty = context.output(0).shape.numel() == 0;
  return visit_dtype(context.dtype_of(1), [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (Whole<T>) {
      return [run = std::move(run), op = context.op().name, complaint, wrong, count, empty](Inputs in, Outputs out) mutable {
        const T* y = static_cast<const T*>(in[1]);
        for (std::int64_t i = 0; i < count && !empty; ++i)
          if (wrong(y[i])) throw InvalidArgumentError(std::string(complaint) + " (element " + std::to_string(i) + " of operand 1)", op);
        run(in, out);
      };
    } else {
      throw InternalError("bind_checked is for integers", context.op().name);
    }
  });
}

BoundKernel bind_division(const BindContext& context) {
  return bind_checked(context, "integer division by zero", [](auto y) { return y == 0; });
}
BoundKernel bind_power(const BindContext& context) {
  return bind_checked(context, "integers to negative powers are not integers", [](auto y) { return y < 0; });
}

using G = const GradContext&;
using T = const Tensor&;

/// Two-operand gradient: each part is computed at the broadcast shape and summed back to its operand.
template <auto Dx, auto Dy>
Gradients rule(G context) {
  const Tensor up = context.upstream();
  T x = context.input(0);
  T y = context.input(1);
  return {grads::unbroadcast(Dx(up, x, y, context.output()), x), grads::unbroadcast(Dy(up, x, y, context.output()), y)};
}

Tensor conjugate(T x) { return is_complex(x.dtype()) ? conj(x) : x; }
Tensor zero(T like) { return scalar(0, like.dtype()); }
Tensor masked(T mask, T value) { return where(mask, value, zero(value)); }

void divide_infer(InferContext& context) {
  rules::broadcast_all(context);
  if (is_integer(context.dtype_of(0))) context.outputs[0].dtype = float64;
}

void where_infer(InferContext& context) {
  rules::broadcast_all(context);
  context.outputs[0].dtype = context.dtype_of(1);
}

Gradients where_gradient(G context) {
  const Tensor up = context.upstream();
  return {Gradient(), grads::unbroadcast(masked(context.input(0), up), context.input(1)),
          grads::unbroadcast(where(context.input(0), zero(up), up), context.input(2))};
}

OpDef row(std::string_view name, std::string_view doc, DTypeSet dtypes, PointwiseFn (*run)(Types, DType), GradRule gradient, OnnxForm form, bool commutative = false) {
  return {.name = name,
          .doc = doc,
          .family = "arithmetic",
          .min_inputs = 2,
          .max_inputs = 2,
          .dtypes = same(dtypes),
          .infer = rules::broadcast_all,
          .gradient = gradient,
          .fusion = Fusion::pointwise,
          .onnx = form,
          .samples = {{.inputs = {{.shape = {2, 3}}, {.shape = {3}}}}, {.inputs = {{.shape = {2, 1}}, {.shape = {2, 3}}}}},
          .cpu = bind_pointwise,
          .pointwise = run,
          .commutative = commutative};
}

OpDef within(OpDef row, double low, double high) {
  for (Sample& sample : row.samples)
    for (Sample::Operand& operand : sample.inputs) operand.low = low, operand.high = high;
  return row;
}

OpDef comparing(std::string_view name, std::string_view doc, DTypeSet dtypes, PointwiseFn (*run)(Types, DType), std::string_view form, bool commutative, DType sample = float64) {
  OpDef result = row(name, doc, dtypes, run, not_differentiable("its result is bool"), form.empty() ? no_onnx("exported as not equal") : onnx(form), commutative);
  result.infer = rules::broadcast_to_bool;
  for (Sample& each : result.samples)
    for (Sample::Operand& operand : each.inputs) operand.dtype = sample;
  return result;
}

}  // namespace

std::vector<OpDef> arithmetic_rows() {
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(row("add", "x + y; strings are joined", kNumeric | dtypes(string), arithmetic<Kernel::add, 0, Add>,
      rule<[](T up, T, T, T) { return up; }, [](T up, T, T, T) { return up; }>, onnx("Add"), true));
  rows.push_back(row("subtract", "x - y", kNumeric, arithmetic<Kernel::subtract, 1, Subtract>,
      rule<[](T up, T, T, T) { return up; }, [](T up, T, T, T) { return -up; }>, onnx("Sub")));
  rows.push_back(row("multiply", "x * y", kNumeric, arithmetic<Kernel::multiply, 2, Multiply>,
      rule<[](T up, T, T y, T) { return up * conjugate(y); }, [](T up, T x, T, T) { return up * conjugate(x); }>, onnx("Mul"), true));
  rows.push_back(within(row("divide", "x / y; integers give float64", kNumeric, arithmetic<Kernel::divide, -1, Divide>,
      rule<[](T up, T, T y, T) { return up / conjugate(y); }, [](T up, T, T y, T out) { return -(up * conjugate(out) / conjugate(y)); }>, onnx("Div")), 0.4, 2));
  rows.back().infer = divide_infer;
  rows.push_back(within(row("floordiv", "the largest whole number <= x / y", kReal, loop<FloorDiv>, not_differentiable("its derivative is zero everywhere but at the steps"), no_onnx("exported as floor of a division")), 0.5, 4));
  rows.push_back(within(row("mod", "x - y floordiv(x, y): the remainder with the sign of y", kReal, loop<Mod>,
      rule<[](T up, T, T, T) { return up; }, [](T up, T x, T y, T) { return -(up * floordiv(x, y)); }>, onnx("Mod")), 1.1, 1.9));
  for (OpDef* each : {&rows[rows.size() - 2], &rows.back()}) {
    each->cpu = bind_division;
    each->fusion = Fusion::opaque;  // a fused chain cannot refuse a zero
  }
  rows.push_back(within(row("pow", "x^y; integers to negative powers are refused", kReal, loop<Pow>,
      rule<[](T up, T x, T y, T) { return up * y * pow(x, y - 1); },
           [](T up, T x, T, T out) { const Tensor positive = (x > 0); return up * out * masked(positive, log(where(positive, x, scalar(1, x.dtype())))); }>, onnx("Pow")), 0.4, 2));
  rows.back().cpu = bind_power;
  rows.back().fusion = Fusion::opaque;
  rows.push_back(row("maximum", "the larger one; NaN if either is; at a tie the gradient goes to x", kReal, arithmetic<Kernel::maximum, 3, NoOther>,
      rule<[](T up, T x, T y, T) { return masked(x >= y, up); }, [](T up, T x, T y, T) { return where(x >= y, zero(up), up); }>, onnx("Max")));
  rows.push_back(row("minimum", "the smaller one; NaN if either is; at a tie the gradient goes to x", kReal, arithmetic<Kernel::minimum, 4, NoOther>,
      rule<[](T up, T x, T y, T) { return masked(x <= y, up); }, [](T up, T x, T y, T) { return where(x <= y, zero(up), up); }>, onnx("Min")));
  rows.push_back(within(row("atan2", "the angle of the point (y, x): operand 0 is its ordinate", kFloats, loop<Atan2>,
      rule<[](T up, T y, T x, T) { return up * x / (x * x + y * y); }, [](T up, T y, T x, T) { return -(up * y / (x * x + y * y)); }>, no_onnx("exported by atan and the quadrant")), 0.4, 2));
  rows.push_back(row("squared_difference", "(x - y)^2", kReal, arithmetic<Kernel::squared_difference, 5, NoOther>,
      rule<[](T up, T x, T y, T) { return up * (x - y) * 2; }, [](T up, T x, T y, T) { return up * (y - x) * 2; }>, no_onnx("exported as its formula"), true));
  rows.push_back(within(row("divide_no_nan", "x / y, and 0 where y is 0", kFloats, arithmetic<Kernel::divide_no_nan, -1, NoOther>,
      rule<[](T up, T, T y, T) { return divide_no_nan(up, y); }, [](T up, T, T y, T out) { return -(up * divide_no_nan(out, y)); }>, no_onnx("exported as where and a division")), 0.4, 2));
  rows.push_back(comparing("equal", "x == y; NaN equals nothing", kAny, comparison<0, Equal>, "Equal", true));
  rows.push_back(comparing("not_equal", "x != y", kAny, comparison<1, NotEqual>, "", true));
  rows.push_back(comparing("less", "x < y", kReal, comparison<2, NoOther>, "Less", false));
  rows.push_back(comparing("less_equal", "x <= y", kReal, comparison<3, NoOther>, "LessOrEqual", false));
  rows.push_back(comparing("greater", "x > y", kReal, comparison<4, NoOther>, "Greater", false));
  rows.push_back(comparing("greater_equal", "x >= y", kReal, comparison<5, NoOther>, "GreaterOrEqual", false));
  rows.push_back(comparing("logical_and", "x and y", kBool, loop<And>, "And", true, boolean));
  rows.push_back(comparing("logical_or", "x or y", kBool, loop<Or>, "Or", true, boolean));
  rows.push_back(comparing("logical_xor", "x or y but not both", kBool, loop<Xor>, "Xor", true, boolean));
  // clang-format on
  rows.push_back({.name = "where",
                  .aliases = {"select"},
                  .doc = "x where the condition is true, else y; all three broadcast",
                  .family = "arithmetic",
                  .min_inputs = 3,
                  .max_inputs = 3,
                  .dtypes = {{{kBool, 0}, {kFixedSize, 1}, {kFixedSize, 1}}},
                  .infer = where_infer,
                  .gradient = where_gradient,
                  .fusion = Fusion::pointwise,
                  .onnx = onnx("Where"),
                  .samples = {{.inputs = {{.dtype = boolean, .shape = {3}}, {.shape = {2, 3}}, {.shape = {2, 1}}}}},
                  .cpu = bind_pointwise,
                  .pointwise = where_run});
  return rows;
}

}  // namespace lockstep

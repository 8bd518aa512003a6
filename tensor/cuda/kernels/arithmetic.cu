// Pointwise ops of two and three operands.

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/pointwise.h>
#include <lockstep/tensor/pointwise/loops.h>

namespace lockstep::cuda {
namespace {

/// Integers by one body, complex numbers by an operator.
template <class Whole, class Operator>
struct number_body {
  static constexpr int kOperands = 2;
  static constexpr bool kHeavy = false;
  template <class V>
  LOCKSTEP_HD static auto apply(const double* p, V x, V y) {
    if constexpr (kIsComplex<V>) return Operator()(x, y);
    else return Whole::apply(p, x, y);
  }
};
struct Minus {
  template <class V>
  LOCKSTEP_HD V operator()(V x, V y) const { return x - y; }
};
struct Times {
  template <class V>
  LOCKSTEP_HD V operator()(V x, V y) const { return x * y; }
};
struct Over {
  template <class V>
  LOCKSTEP_HD V operator()(V x, V y) const { return x / y; }
};

// A GPU cannot refuse in the middle of a stream: integers divided by 0 give 0, and so do integers to negative powers (which are no integers
// but for 1 and -1). The CPU refuses both.
struct floordiv_body {
  static constexpr int kOperands = 2;
  static constexpr bool kHeavy = false;
  template <class V>
  LOCKSTEP_HD static V apply(const double*, V x, V y) {
    if constexpr (std::is_floating_point_v<V>) return ::floor(x / y);
    else return y == V(0) ? V(0) : ::lockstep::pointwise::floor_quotient(x, y);
  }
};
struct mod_body {
  static constexpr int kOperands = 2;
  static constexpr bool kHeavy = true;
  template <class V>
  LOCKSTEP_HD static V apply(const double* p, V x, V y) {
    if constexpr (std::is_floating_point_v<V>) {
      const V r = ::fmod(x, y);
      return r != 0 && (r < 0) != (y < 0) ? r + y : r;
    } else {
      return y == V(0) ? V(0) : static_cast<V>(std::uint64_t(x) - std::uint64_t(floordiv_body::apply(p, x, y)) * std::uint64_t(y));
    }
  }
};
struct pow_body {
  static constexpr int kOperands = 2;
  static constexpr bool kHeavy = true;
  template <class V>
  LOCKSTEP_HD static V apply(const double*, V x, V y) {
    if constexpr (std::is_floating_point_v<V>) return ::pow(x, y);
    else return y < V(0) ? V(0) : ::lockstep::pointwise::power(x, y);
  }
};

struct where_body {
  static constexpr int kOperands = 3;
  static constexpr bool kHeavy = false;
  template <class T>
  LOCKSTEP_HD static T apply(const double*, std::uint8_t condition, T x, T y) { return condition ? x : y; }
};
BoundKernel where(const BindContext& context) {
  return visit_size(context.dtype_of(1), "where", [&]<class T>(TypeTag<T>) { return bind_body<where_body, T, std::uint8_t, T, T>(context); });
}

constexpr std::uint32_t kOrdered = (kReal | kBool).bits, kComparable = kFixedSize.bits;

constexpr Kernel kArithmeticKernels[] = {
    {"add", pointwise<add_body, number_body<add_other_body, AddUp>, kNumeric.bits>},
    {"subtract", pointwise<subtract_body, number_body<subtract_other_body, Minus>, kNumeric.bits>},
    {"multiply", pointwise<multiply_body, number_body<multiply_other_body, Times>, kNumeric.bits>},
    {"divide", pointwise<divide_body, number_body<divide_other_body, Over>, kNumeric.bits>},
    {"floordiv", pointwise<floordiv_body, floordiv_body, kReal.bits>},
    {"mod", pointwise<mod_body, mod_body, kReal.bits>},
    {"pow", pointwise<pow_body, pow_body, kReal.bits>},
    {"maximum", pointwise<maximum_body, maximum_other_body, kReal.bits>},
    {"minimum", pointwise<minimum_body, minimum_other_body, kReal.bits>},
    {"atan2", pointwise<atan2_body, atan2_body, kFloats.bits>},
    {"squared_difference", pointwise<squared_difference_body, squared_difference_other_body, kReal.bits>},
    {"divide_no_nan", pointwise<divide_no_nan_body, divide_no_nan_body, kFloats.bits>},
    {"equal", pointwise<equal_body, equal_body, kComparable>},
    {"not_equal", pointwise<not_equal_body, not_equal_body, kComparable>},
    {"less", pointwise<less_body, less_body, kOrdered>},
    {"less_equal", pointwise<less_equal_body, less_equal_body, kOrdered>},
    {"greater", pointwise<greater_body, greater_body, kOrdered>},
    {"greater_equal", pointwise<greater_equal_body, greater_equal_body, kOrdered>},
    {"logical_and", pointwise<logical_and_other_body, logical_and_other_body, kBool.bits>},
    {"logical_or", pointwise<logical_or_other_body, logical_or_other_body, kBool.bits>},
    {"logical_xor", pointwise<logical_xor_other_body, logical_xor_other_body, kBool.bits>},
    {"where", where},
};

}  // namespace

std::span<const Kernel> arithmetic_kernels() { return kArithmeticKernels; }

}  // namespace lockstep::cuda

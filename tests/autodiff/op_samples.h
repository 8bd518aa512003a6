#pragma once
// Operands for the generic tests, drawn as the samples of the rows say. Every draw is a function of a seed, so a failure repeats.

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep::testing {

using Values = std::vector<Tensor>;

/// 64-bit Mersenne numbers; the same on every machine, unlike the distributions of <random>.
class Draw {
 public:
  explicit Draw(std::string_view name, std::uint64_t seed = 0) {
    for (const char c : name) seed = seed * 1099511628211u + std::uint64_t(std::uint8_t(c));
    engine_.seed(seed);
  }
  /// Uniform in [low, high).
  double number(double low, double high) { return low + (high - low) * double(engine_() >> 11) * 0x1p-53; }
  std::int64_t whole(std::int64_t low, std::int64_t high) { return std::int64_t(std::floor(number(double(low), double(high)))); }

  Tensor tensor(DType dtype, const Shape& shape, double low, double high) {
    Tensor result = Tensor::empty(shape, dtype);
    visit_dtype(dtype, [&]<class T>(TypeTag<T>) {
      for (std::int64_t i = 0; i < result.numel(); ++i) {
        T& to = result.mutable_data<T>()[i];
        if constexpr (std::is_same_v<T, std::string>) to = std::string(std::size_t(whole(0, 4)), char('a' + whole(0, 3)));
        else if constexpr (std::is_same_v<T, bool>) to = number(low, high) > (low + high) / 2;
        else if constexpr (std::is_integral_v<T>) to = static_cast<T>(std::int64_t(std::floor(number(low, high))));
        else if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) to = T(std::complex<double>(number(low, high), number(low, high)));
        else to = static_cast<T>(static_cast<compute_t<T>>(number(low, high)));
      }
    });
    return result;
  }
  Tensor tensor(const Sample::Operand& operand) { return tensor(operand.dtype, operand.shape, operand.low, operand.high); }
  Values values(const Sample& sample) {
    Values result;
    for (const Sample::Operand& operand : sample.inputs) result.push_back(tensor(operand));
    return result;
  }

 private:
  std::mt19937_64 engine_;
};

/// The sample's call on drawn operands: brings them into the domain, then calls the op by name.
inline Tensors call(const OpDef& op, const Sample& sample, std::span<const Tensor> drawn) {
  const Tensors prepared = sample.prepare ? sample.prepare(drawn) : Tensors(drawn.begin(), drawn.end());
  return apply_named(op.name, prepared, sample.attrs);
}

/// Element by element as doubles: NaN equals NaN, infinities by sign. The largest |a - b| / max(1, |b|); infinite where they differ otherwise.
inline double largest_difference(const Tensor& a, const Tensor& b) {
  if (a.spec() != b.spec()) return INFINITY;
  return visit_dtype(a.dtype(), [&]<class T>(TypeTag<T>) {
    double largest = 0;
    for (std::size_t i = 0; i < std::size_t(a.numel()); ++i) {
      if constexpr (std::is_same_v<T, std::string>) {
        if (a.data<T>()[i] != b.data<T>()[i]) return double(INFINITY);
      } else {
        using C = std::conditional_t<std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>, std::complex<double>, double>;
        const C x = C(static_cast<compute_t<T>>(a.data<T>()[i])), y = C(static_cast<compute_t<T>>(b.data<T>()[i]));
        if (x == y || (x != x && y != y)) continue;
        const double difference = std::abs(x - y) / std::max(1.0, std::abs(y));
        if (!(difference <= largest)) largest = std::isnan(difference) ? double(INFINITY) : difference;
      }
    }
    return largest;
  });
}

/// The same bytes (strings: the same text).
inline bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.spec() != b.spec()) return false;
  if (a.dtype() == string) return largest_difference(a, b) == 0;
  return a.nbytes() == 0 || std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0;
}

/// How a generic test is named: by its row.
inline std::string test_name(const ::testing::TestParamInfo<const OpDef*>& info) { return std::string(info.param->name); }
/// Rows for which `wanted` holds.
template <class F>
std::vector<const OpDef*> rows_where(F wanted) {
  std::vector<const OpDef*> rows;
  for (const OpDef& row : op_table())
    if (wanted(row)) rows.push_back(&row);
  return rows;
}

}  // namespace lockstep::testing

namespace lockstep {
/// A failing test prints the row's name instead of its address.
inline void PrintTo(const OpDef* row, std::ostream* stream) { *stream << row->name; }
}  // namespace lockstep

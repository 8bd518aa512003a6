#include <lockstep/tensor/ops/small_product.h>

#include <algorithm>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lockstep/tensor/ops/small_product.cpp"
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lockstep {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::VFromD<D>;

/// Element (row, inner) of the left operand, wherever it lies.
struct Left {
  const float* data;
  std::int64_t row_stride, inner_stride;
  float at(std::int64_t row, std::int64_t inner) const { return data[row * row_stride + inner * inner_stride]; }
};

/// kRows rows of z, a vector of columns at a time: the sums stay in registers over the whole inner size.
template <bool kRest, std::size_t... R>
HWY_INLINE void Columns(const Left& x, const float* y, float* z, std::int64_t row, std::int64_t n, std::int64_t k, std::int64_t column, std::size_t rest, std::index_sequence<R...>) {
  const D d;
  V sum[] = {(static_cast<void>(R), hn::Zero(d))...};
  for (std::int64_t i = 0; i < k; ++i) {
    const float* from = y + i * n + column;
    V v;
    if constexpr (kRest) v = hn::MaskedLoad(hn::FirstN(d, rest), d, from);
    else v = hn::LoadU(d, from);
    ((sum[R] = hn::MulAdd(hn::Set(d, x.at(row + std::int64_t(R), i)), v, sum[R])), ...);
  }
  const auto store = [&](V v, std::int64_t r) HWY_ATTR {
    float* to = z + r * n + column;
    if constexpr (kRest) hn::BlendedStore(v, hn::FirstN(d, rest), d, to);
    else hn::StoreU(v, d, to);
  };
  (store(sum[R], row + std::int64_t(R)), ...);
}

template <std::size_t kRows>
HWY_INLINE void Rows(const Left& x, const float* y, float* z, std::int64_t row, std::int64_t n, std::int64_t k) {
  const std::int64_t lanes = std::int64_t(hn::Lanes(D()));
  std::int64_t column = 0;
  for (; column + lanes <= n; column += lanes) Columns<false>(x, y, z, row, n, k, column, 0, std::make_index_sequence<kRows>());
  if (column < n) Columns<true>(x, y, z, row, n, k, column, std::size_t(n - column), std::make_index_sequence<kRows>());
}

void ByRows(bool transpose_x, std::int64_t m, std::int64_t n, std::int64_t k, const float* x, const float* y, float* z) {
  const Left left{x, transpose_x ? 1 : k, transpose_x ? m : 1};
  std::int64_t row = 0;
  for (; row + 8 <= m; row += 8) Rows<8>(left, y, z, row, n, k);
  for (; row + 4 <= m; row += 4) Rows<4>(left, y, z, row, n, k);
  for (; row < m; ++row) Rows<1>(left, y, z, row, n, k);
}

template <std::size_t... R>
HWY_INLINE void Inner(const float* x, const float* y, float* z, std::int64_t k, std::index_sequence<R...>) {
  const D d;
  const std::int64_t lanes = std::int64_t(hn::Lanes(d));
  V sum[] = {(static_cast<void>(R), hn::Zero(d))...};
  std::int64_t i = 0;
  for (; i + lanes <= k; i += lanes) {
    const V v = hn::LoadU(d, y + i);
    ((sum[R] = hn::MulAdd(hn::LoadU(d, x + std::int64_t(R) * k + i), v, sum[R])), ...);
  }
  if (i < k) {
    const auto mask = hn::FirstN(d, std::size_t(k - i));
    const V v = hn::MaskedLoad(mask, d, y + i);
    ((sum[R] = hn::MulAdd(hn::MaskedLoad(mask, d, x + std::int64_t(R) * k + i), v, sum[R])), ...);
  }
  ((z[R] = hn::GetLane(hn::SumOfLanes(d, sum[R]))), ...);
}

/// z (m) = x (m, k) y (k): inner products of rows.
void MatrixVector(std::int64_t m, std::int64_t k, const float* x, const float* y, float* z) {
  std::int64_t row = 0;
  for (; row + 4 <= m; row += 4) Inner(x + row * k, y, z + row, k, std::make_index_sequence<4>());
  for (; row < m; ++row) Inner(x + row * k, y, z + row, k, std::index_sequence<0>());
}

}  // namespace HWY_NAMESPACE
}  // namespace lockstep
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lockstep {

namespace {
constexpr std::int64_t kTransposed = 4096;  // floats of a right operand that is transposed on the stack
}  // namespace

HWY_EXPORT(ByRows);
HWY_EXPORT(MatrixVector);

bool is_small_product(std::int64_t m, std::int64_t n, std::int64_t k) {
  return n * k <= kTransposed && k <= 256 && m * n * k <= 32 * 32 * 32;
}

void small_product(bool transpose_x, bool transpose_y, std::int64_t m, std::int64_t n, std::int64_t k, const float* x, const float* y, float* z) {
  // A vector lies the same way whether it is called a row or a column.
  if (n == 1 || k == 1) transpose_y = false;
  if (m == 1 || k == 1) transpose_x = false;
  if (n == 1) {
    if (transpose_x) return HWY_DYNAMIC_DISPATCH(ByRows)(false, 1, m, k, y, x, z);
    return HWY_DYNAMIC_DISPATCH(MatrixVector)(m, k, x, y, z);
  }
  float rows[kTransposed];
  if (transpose_y) {
    for (std::int64_t c = 0; c < n; ++c)
      for (std::int64_t i = 0; i < k; ++i) rows[i * n + c] = y[c * k + i];
    y = rows;
  }
  HWY_DYNAMIC_DISPATCH(ByRows)(transpose_x, m, n, k, x, y, z);
}

}  // namespace lockstep
#endif

// One row of a sparse times a dense matrix, for every instruction set that Highway knows here: a strip of the result stays in registers while the row's entries are
// walked, so that the dense rows are all that is read. Multiply-add in the order of the entries: the width of the vectors changes no bit.

#include <lockstep/tensor/ops/sparse_product.h>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lockstep/tensor/ops/sparse_product.cpp"
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lockstep {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// `Strips` vectors of columns from `at` on.
template <int Strips, class D, class T>
HWY_INLINE void MultiplyStrip(D d, const T* values, const std::int64_t* columns, std::int64_t entries, const T* dense, std::int64_t width, std::int64_t at, T* out) {
  const auto lanes = std::int64_t(hn::Lanes(d));
  using V = hn::Vec<D>;
  V sums[Strips];
  for (int s = 0; s < Strips; ++s) sums[s] = hn::Zero(d);
  for (std::int64_t e = 0; e < entries; ++e) {
    const V value = hn::Set(d, values[e]);
    const T* row = dense + columns[e] * width + at;
    for (int s = 0; s < Strips; ++s) sums[s] = hn::MulAdd(value, hn::LoadU(d, row + s * lanes), sums[s]);
  }
  for (int s = 0; s < Strips; ++s) hn::StoreU(sums[s], d, out + at + s * lanes);
}

template <class T>
void MultiplyRow(const void* values_, const std::int64_t* columns, std::int64_t entries, const void* dense_, std::int64_t width, void* out_) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, 1> one;
  const auto lanes = std::int64_t(hn::Lanes(d));
  const T *values = static_cast<const T*>(values_), *dense = static_cast<const T*>(dense_);
  T* out = static_cast<T*>(out_);
  std::int64_t at = 0;
  for (; at + 8 * lanes <= width; at += 8 * lanes) MultiplyStrip<8>(d, values, columns, entries, dense, width, at, out);
  for (; at + 4 * lanes <= width; at += 4 * lanes) MultiplyStrip<4>(d, values, columns, entries, dense, width, at, out);
  for (; at + lanes <= width; at += lanes) MultiplyStrip<1>(d, values, columns, entries, dense, width, at, out);
  for (; at < width; ++at) MultiplyStrip<1>(one, values, columns, entries, dense, width, at, out);
}

sparse_product::RowFn VectorRow(DType dtype) {
  if (dtype == float32) return MultiplyRow<float>;
  if (dtype == float64) return MultiplyRow<double>;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace lockstep
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lockstep {
HWY_EXPORT(VectorRow);
namespace sparse_product {
RowFn vector_row(DType dtype) { return HWY_DYNAMIC_DISPATCH(VectorRow)(dtype); }
}  // namespace sparse_product
}  // namespace lockstep
#endif

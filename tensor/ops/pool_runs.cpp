#include <lockstep/tensor/ops/pool_runs.h>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lockstep/tensor/ops/pool_runs.cpp"
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lockstep {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Does x take the place of `best`? Of equals the first one stays, and so does the first NaN.
template <class V>
HWY_INLINE auto Beats(V x, V best) {
  return hn::Or(hn::Gt(x, best), hn::AndNot(hn::IsNaN(best), hn::IsNaN(x)));
}

template <class D>
HWY_INLINE void MaxAt(D d, const float* x, const WindowCells& window, std::int64_t c, float* out) {
  auto best = hn::LoadU(d, x + window.offsets[0] + c);
  for (std::int64_t k = 1; k < window.count; ++k) {
    const auto other = hn::LoadU(d, x + window.offsets[k] + c);
    best = hn::IfThenElse(Beats(other, best), other, best);
  }
  hn::StoreU(best, d, out + c);
}

template <class D>
HWY_INLINE void GradientAt(D d, const float* x, const WindowCells& window, std::int64_t c, const float* upstream, float* z) {
  auto best = hn::LoadU(d, x + window.offsets[0] + c);
  auto place = hn::Zero(d);  // its number, exact in a float
  for (std::int64_t k = 1; k < window.count; ++k) {
    const auto other = hn::LoadU(d, x + window.offsets[k] + c);
    const auto beats = Beats(other, best);
    best = hn::IfThenElse(beats, other, best);
    place = hn::IfThenElse(beats, hn::Set(d, float(k)), place);
  }
  const auto up = hn::LoadU(d, upstream + c);
  for (std::int64_t k = 0; k < window.count; ++k) {
    float* to = z + window.offsets[k] + c;
    hn::StoreU(hn::Add(hn::LoadU(d, to), hn::IfThenElseZero(hn::Eq(place, hn::Set(d, float(k))), up)), d, to);
  }
}

/// Calls f(vector type, first channel) for whole vectors, then for single channels.
template <class F>
HWY_INLINE void ForChannels(std::int64_t channels, F&& f) {
  const hn::ScalableTag<float> d;
  const std::int64_t lanes = std::int64_t(hn::Lanes(d));
  std::int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) f(d, c);
  for (; c < channels; ++c) f(hn::CappedTag<float, 1>(), c);
}

void Max(const float* x, const WindowCells& window, float* out) {
  ForChannels(window.channels, [&](auto d, std::int64_t c) HWY_ATTR { MaxAt(d, x, window, c, out); });
}
void MaxGradient(const float* x, const WindowCells& window, const float* upstream, float* z) {
  ForChannels(window.channels, [&](auto d, std::int64_t c) HWY_ATTR { GradientAt(d, x, window, c, upstream, z); });
}

}  // namespace HWY_NAMESPACE
}  // namespace lockstep
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lockstep {
HWY_EXPORT(Max);
HWY_EXPORT(MaxGradient);

void window_max(const float* x, const WindowCells& window, float* out) { HWY_DYNAMIC_DISPATCH(Max)(x, window, out); }
void window_max_gradient(const float* x, const WindowCells& window, const float* upstream, float* z) { HWY_DYNAMIC_DISPATCH(MaxGradient)(x, window, upstream, z); }
}  // namespace lockstep
#endif

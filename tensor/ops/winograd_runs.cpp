#include <lockstep/tensor/ops/winograd_runs.h>

#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lockstep/tensor/ops/winograd_runs.cpp"
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lockstep::winograd {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::VFromD<D>;

HWY_INLINE V Times(float factor, V x) { return hn::Mul(hn::Set(D(), factor), x); }
HWY_INLINE V Plus(V sum, float factor, V x) { return hn::MulAdd(hn::Set(D(), factor), x, sum); }

// ---- along one axis; the two-dimensional maps apply one of these to columns, then to rows

constexpr float kA = 0.625f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB, kA3 = kA * kA2, kB3 = kB * kB2;
/// One over the products of a point's distances to the others.
constexpr float kAt0 = 1 / (kA2 * kB2), kAtA = 1 / (2 * kA2 * (kA2 - kB2)), kAtB = 1 / (2 * kB2 * (kB2 - kA2));

/// B^T
struct WindowToPoints {
  static constexpr int kIn = 6, kOut = 6;
  HWY_INLINE static void Apply(const V* d, V* p) {
    p[0] = Plus(Plus(d[4], -(kA2 + kB2), d[2]), kA2 * kB2, d[0]);
    const V even1 = Plus(d[4], -kB2, d[2]), odd1 = Plus(d[3], -kB2, d[1]);
    p[1] = Plus(even1, kA, odd1);
    p[2] = Plus(even1, -kA, odd1);
    const V even2 = Plus(d[4], -kA2, d[2]), odd2 = Plus(d[3], -kA2, d[1]);
    p[3] = Plus(even2, kB, odd2);
    p[4] = Plus(even2, -kB, odd2);
    p[5] = Plus(Plus(d[5], -(kA2 + kB2), d[3]), kA2 * kB2, d[1]);
  }
};
/// A^T
struct PointsToTile {
  static constexpr int kIn = 6, kOut = 4;
  HWY_INLINE static void Apply(const V* p, V* y) {
    const V even1 = hn::Add(p[1], p[2]), odd1 = hn::Sub(p[1], p[2]), even2 = hn::Add(p[3], p[4]), odd2 = hn::Sub(p[3], p[4]);
    y[0] = hn::Add(p[0], hn::Add(even1, even2));
    y[1] = Plus(Times(kA, odd1), kB, odd2);
    y[2] = Plus(Times(kA2, even1), kB2, even2);
    y[3] = Plus(Plus(p[5], kA3, odd1), kB3, odd2);
  }
};
/// A
struct TileToPoints {
  static constexpr int kIn = 4, kOut = 6;
  HWY_INLINE static void Apply(const V* y, V* p) {
    p[0] = y[0];
    const V even1 = Plus(y[0], kA2, y[2]), odd1 = Plus(Times(kA, y[1]), kA3, y[3]);
    p[1] = hn::Add(even1, odd1);
    p[2] = hn::Sub(even1, odd1);
    const V even2 = Plus(y[0], kB2, y[2]), odd2 = Plus(Times(kB, y[1]), kB3, y[3]);
    p[3] = hn::Add(even2, odd2);
    p[4] = hn::Sub(even2, odd2);
    p[5] = y[3];
  }
};
/// G
struct KernelToPoints {
  static constexpr int kIn = 3, kOut = 6;
  HWY_INLINE static void Apply(const V* g, V* p) {
    p[0] = Times(kAt0, g[0]);
    const V even1 = Times(kAtA, Plus(g[0], kA2, g[2])), even2 = Times(kAtB, Plus(g[0], kB2, g[2]));
    p[1] = Plus(even1, kAtA * kA, g[1]);
    p[2] = Plus(even1, -kAtA * kA, g[1]);
    p[3] = Plus(even2, kAtB * kB, g[1]);
    p[4] = Plus(even2, -kAtB * kB, g[1]);
    p[5] = g[2];
  }
};
/// G^T
struct PointsToKernel {
  static constexpr int kIn = 6, kOut = 3;
  HWY_INLINE static void Apply(const V* p, V* g) {
    const V even1 = Times(kAtA, hn::Add(p[1], p[2])), odd1 = Times(kAtA, hn::Sub(p[1], p[2])), even2 = Times(kAtB, hn::Add(p[3], p[4])), odd2 = Times(kAtB, hn::Sub(p[3], p[4]));
    g[0] = Plus(hn::Add(even1, even2), kAt0, p[0]);
    g[1] = Plus(Times(kA, odd1), kB, odd2);
    g[2] = Plus(Plus(p[5], kA2, even1), kB2, even2);
  }
};

/// Calls store(i, j, v) with the map of load(i, j) along both axes.
template <class Map, class Load, class Store>
HWY_INLINE void AlongBoth(Load&& load, Store&& store) {
  V half[Map::kOut][Map::kIn];
  for (int j = 0; j < Map::kIn; ++j) {
    V in[Map::kIn], out[Map::kOut];
    for (int i = 0; i < Map::kIn; ++i) in[i] = load(i, j);
    Map::Apply(in, out);
    for (int i = 0; i < Map::kOut; ++i) half[i][j] = out[i];
  }
  for (int i = 0; i < Map::kOut; ++i) {
    V out[Map::kOut];
    Map::Apply(half[i], out);
    for (int j = 0; j < Map::kOut; ++j) store(i, j, out[j]);
  }
}

// ---- images

bool LieInside(const Cells& cells, std::int64_t size) {
  return cells.top >= 0 && cells.left >= 0 && cells.top + size <= cells.height && cells.left + size <= cells.width;
}

template <class Map>
void ToPoints(const Cells& cells, const Planes& planes, std::int64_t row) {
  const D d;
  const std::int64_t lanes = std::int64_t(hn::Lanes(d)), channels = planes.channels;
  const bool inside = LieInside(cells, Map::kIn);
  const float* image = cells.image + (cells.top * cells.width + cells.left) * channels;
  for (std::int64_t c = 0; c < channels; c += lanes) {
    const auto cell = [&](std::int64_t i, std::int64_t j) HWY_ATTR { return hn::LoadU(d, image + (i * cells.width + j) * channels + c); };
    const auto store = [&](std::int64_t i, std::int64_t j, V v) HWY_ATTR { hn::StoreU(v, d, planes.at(i * kWindow + j, row) + c); };
    if (inside) {
      AlongBoth<Map>(cell, store);
    } else {
      AlongBoth<Map>(
          [&](std::int64_t i, std::int64_t j) HWY_ATTR {
            const std::int64_t y = cells.top + i, x = cells.left + j;
            return y >= 0 && x >= 0 && y < cells.height && x < cells.width ? cell(i, j) : hn::Zero(d);
          },
          store);
    }
  }
}

void WindowPoints(const Cells& cells, const Planes& planes, std::int64_t row) { ToPoints<WindowToPoints>(cells, planes, row); }
void TilePoints(const Cells& cells, const Planes& planes, std::int64_t row) { ToPoints<TileToPoints>(cells, planes, row); }

void Tile(const Planes& planes, std::int64_t row, const float* bias, bool relu, const Cells& cells) {
  const D d;
  const std::int64_t lanes = std::int64_t(hn::Lanes(d)), channels = planes.channels;
  float* image = cells.image + (cells.top * cells.width + cells.left) * channels;
  for (std::int64_t c = 0; c < channels; c += lanes) {
    const V added = bias ? hn::LoadU(d, bias + c) : hn::Zero(d);
    AlongBoth<PointsToTile>([&](std::int64_t i, std::int64_t j) HWY_ATTR { return hn::LoadU(d, planes.at(i * kWindow + j, row) + c); },
                            [&](std::int64_t i, std::int64_t j, V v) HWY_ATTR {
                              if (cells.top + i >= cells.height || cells.left + j >= cells.width) return;
                              v = hn::Add(v, added);
                              hn::StoreU(relu ? hn::IfThenZeroElse(hn::Lt(v, hn::Zero(d)), v) : v, d, image + (i * cells.width + j) * channels + c);
                            });
  }
}

// ---- kernels

void KernelPoints(const float* kernel, std::int64_t ins, std::int64_t outs, std::int64_t in, const Planes& planes) {
  const D d;
  for (std::int64_t o = 0; o < outs; o += std::int64_t(hn::Lanes(d)))
    AlongBoth<KernelToPoints>([&](std::int64_t i, std::int64_t j) HWY_ATTR { return hn::LoadU(d, kernel + ((i * kTaps + j) * ins + in) * outs + o); },
                              [&](std::int64_t i, std::int64_t j, V v) HWY_ATTR { hn::StoreU(v, d, planes.at(i * kWindow + j, in) + o); });
}

void Kernel(const Planes& planes, std::int64_t ins, std::int64_t outs, std::int64_t in, float* kernel) {
  const D d;
  for (std::int64_t o = 0; o < outs; o += std::int64_t(hn::Lanes(d)))
    AlongBoth<PointsToKernel>([&](std::int64_t i, std::int64_t j) HWY_ATTR { return hn::LoadU(d, planes.at(i * kWindow + j, in) + o); },
                              [&](std::int64_t i, std::int64_t j, V v) HWY_ATTR { hn::StoreU(v, d, kernel + ((i * kTaps + j) * ins + in) * outs + o); });
}

// ---- products

/// Element (row, inner) of the left operand, wherever it lies.
struct LeftOperand {
  const float* data;
  std::int64_t row_stride, inner_stride;
};

/// As many rows as leave registers for the operands, and two vectors of columns: the sums stay in registers over the whole inner size.
constexpr std::size_t kRows = HWY_MAX_BYTES >= 64 ? 8 : 4;

template <bool kAdd, bool kPair, std::size_t... R>
HWY_INLINE void SumsInRegisters(const LeftOperand& left, const float* y, float* z, std::int64_t n, std::int64_t k, std::index_sequence<R...>) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  V first[] = {(static_cast<void>(R), hn::Zero(d))...};
  V second[] = {(static_cast<void>(R), hn::Zero(d))...};
  const float* x = left.data;
  for (std::int64_t i = 0; i < k; ++i, x += left.inner_stride, y += n) {
    const V a = hn::LoadU(d, y);
    const V b = kPair ? hn::LoadU(d, y + lanes) : a;
    const auto take = [&](std::size_t r) HWY_ATTR {
      const V each = hn::Set(d, x[std::int64_t(r) * left.row_stride]);
      first[r] = hn::MulAdd(each, a, first[r]);
      if constexpr (kPair) second[r] = hn::MulAdd(each, b, second[r]);
    };
    (take(R), ...);
  }
  const auto store = [&](V sum, float* to) HWY_ATTR { hn::StoreU(kAdd ? hn::Add(hn::LoadU(d, to), sum) : sum, d, to); };
  (store(first[R], z + std::int64_t(R) * n), ...);
  if constexpr (kPair) (store(second[R], z + std::int64_t(R) * n + lanes), ...);
}

template <bool kAdd>
HWY_INLINE void Products(const LeftOperand& left, std::int64_t m, std::int64_t n, std::int64_t k, const float* y, float* z) {
  const std::int64_t lanes = std::int64_t(hn::Lanes(D()));
  const auto rows = std::make_index_sequence<kRows>();
  for (std::int64_t column = 0; column < n; column += 2 * lanes)
    for (std::int64_t row = 0; row < m; row += std::int64_t(kRows)) {
      const LeftOperand from{left.data + row * left.row_stride, left.row_stride, left.inner_stride};
      if (column + lanes < n) SumsInRegisters<kAdd, true>(from, y + column, z + row * n + column, n, k, rows);
      else SumsInRegisters<kAdd, false>(from, y + column, z + row * n + column, n, k, rows);
    }
}

void Multiply(std::int64_t m, std::int64_t n, std::int64_t k, const float* x, const float* y, float* z) { Products<false>({x, k, 1}, m, n, k, y, z); }
void MultiplyTransposedAdd(std::int64_t m, std::int64_t n, std::int64_t k, const float* x, std::int64_t x_columns, const float* y, float* z) {
  Products<true>({x, 1, x_columns}, m, n, k, y, z);
}

}  // namespace HWY_NAMESPACE
}  // namespace lockstep::winograd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lockstep::winograd {
HWY_EXPORT(WindowPoints);
HWY_EXPORT(TilePoints);
HWY_EXPORT(Tile);
HWY_EXPORT(KernelPoints);
HWY_EXPORT(Kernel);
HWY_EXPORT(Multiply);
HWY_EXPORT(MultiplyTransposedAdd);

void window_to_points(const Cells& cells, const Planes& planes, std::int64_t row) { HWY_DYNAMIC_DISPATCH(WindowPoints)(cells, planes, row); }
void tile_to_points(const Cells& cells, const Planes& planes, std::int64_t row) { HWY_DYNAMIC_DISPATCH(TilePoints)(cells, planes, row); }
void points_to_tile(const Planes& planes, std::int64_t row, const float* bias, bool relu, const Cells& cells) { HWY_DYNAMIC_DISPATCH(Tile)(planes, row, bias, relu, cells); }
void kernel_to_points(const float* kernel, std::int64_t ins, std::int64_t outs, std::int64_t in, const Planes& planes) { HWY_DYNAMIC_DISPATCH(KernelPoints)(kernel, ins, outs, in, planes); }
void points_to_kernel(const Planes& planes, std::int64_t ins, std::int64_t outs, std::int64_t in, float* kernel) { HWY_DYNAMIC_DISPATCH(Kernel)(planes, ins, outs, in, kernel); }
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const float* x, const float* y, float* z) { HWY_DYNAMIC_DISPATCH(Multiply)(m, n, k, x, y, z); }
void multiply_transposed_add(std::int64_t m, std::int64_t n, std::int64_t k, const float* x, std::int64_t x_columns, const float* y, float* z) {
  HWY_DYNAMIC_DISPATCH(MultiplyTransposedAdd)(m, n, k, x, x_columns, y, z);
}
}  // namespace lockstep::winograd
#endif

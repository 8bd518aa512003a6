// Random numbers: each element is a function of the key and its position, from the same Philox words as on the CPU.

#include <numbers>

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/pointwise.h>
#include <lockstep/tensor/philox.h>

namespace lockstep::cuda {
namespace {

using Words = random::PhiloxWords;

LOCKSTEP_HD inline float unit(std::uint32_t word) { return float(word >> 8) * 0x1p-24f; }
LOCKSTEP_HD inline double unit(std::uint32_t low, std::uint32_t high) { return double(((std::uint64_t(high) << 32) | low) >> 11) * 0x1p-53; }
LOCKSTEP_HD inline std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
#ifdef __CUDA_ARCH__
  return __umul64hi(a, b);
#else
  __extension__ using Wide = unsigned __int128;
  return std::uint64_t((Wide(a) * b) >> 64);
#endif
}

/// Block b of the sequence that (seed, stream) begins holds `Draw::kPerBlock` elements. A key (seed, stream, offset) gives those from offset
/// on. `draw(j, words)` is element j of a block.
template <class T, class Draw>
struct Block {
  Draw draw;
  bool has_offset;
  std::int64_t count;
  const std::int64_t* key;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t b) const {
    constexpr int kPerBlock = Draw::kPerBlock;
    const std::int64_t offset = has_offset ? key[2] : 0, first = b * kPerBlock - offset % kPerBlock;
    if (first >= count) return;
    const Words words = random::philox(std::uint64_t(offset / kPerBlock + b), std::uint64_t(key[1]), std::uint64_t(key[0]));
    for (int j = 0; j < kPerBlock; ++j)
      if (first + j >= 0 && first + j < count) z[first + j] = draw(j, words);
  }
};
template <class T, class Draw>
BoundKernel bind_draw(const BindContext& context, const Draw& draw) {
  return [draw, has_offset = context.shape(0) == Shape{3}, count = context.output(0).shape.numel()](Inputs in, Outputs out) {
    // One block more than fills the result: the first may begin before it.
    for_each((count + 2 * Draw::kPerBlock - 2) / Draw::kPerBlock, Block<T, Draw>{draw, has_offset, count, static_cast<const std::int64_t*>(in[0]), static_cast<T*>(out[0])});
  };
}

template <class T>
struct UniformWhole {
  static constexpr int kPerBlock = 2;
  std::uint64_t low, range;
  LOCKSTEP_HD T operator()(int j, const Words& w) const {
    return static_cast<T>(low + multiply_high((std::uint64_t(w[std::size_t(2 * j + 1)]) << 32) | w[std::size_t(2 * j)], range));
  }
};
struct UniformDouble {
  static constexpr int kPerBlock = 2;
  double low, high, most;
  LOCKSTEP_HD double operator()(int j, const Words& w) const {
    const double value = low + (high - low) * unit(w[std::size_t(2 * j)], w[std::size_t(2 * j + 1)]);
    return value < most ? value : most;
  }
};
template <class T>
struct UniformFloat {
  static constexpr int kPerBlock = 4;
  float low, high;
  LOCKSTEP_HD T operator()(int j, const Words& w) const {
    const T value = stored<T>(low + (high - low) * unit(w[std::size_t(j)]));
    // Rounding to 16 bits may reach the bound that is excluded.
    return value_of(value) < high ? value : stored<T>(low);
  }
};
BoundKernel uniform(const BindContext& context) {
  const Scalar low = context.scalar("low"), high = context.scalar("high");
  return visit<kReal.bits>(context.output(0).dtype, "random_uniform", [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (kWhole<T>) return bind_draw<T>(context, UniformWhole<T>{std::uint64_t(low.integer()), std::uint64_t(high.integer()) - std::uint64_t(low.integer())});
    else if constexpr (std::is_same_v<T, double>) return bind_draw<T>(context, UniformDouble{low.real(), high.real(), std::nextafter(high.real(), low.real())});
    else return bind_draw<T>(context, UniformFloat<T>{float(low.real()), float(high.real())});
  });
}

/// Box and Muller's transform: two uniform numbers to two normal ones.
template <class T>
struct Normal {
  static constexpr bool kWide = std::is_same_v<T, double>;
  static constexpr int kPerBlock = kWide ? 2 : 4;
  using C = compute_t<T>;
  C mean, stddev;
  LOCKSTEP_HD T operator()(int j, const Words& w) const {
    C u, v;
    if constexpr (kWide) u = unit(w[0], w[1]), v = unit(w[2], w[3]);
    else u = unit(w[std::size_t(j / 2 * 2)]), v = unit(w[std::size_t(j / 2 * 2 + 1)]);
    const C radius = ::sqrt(C(-2) * ::log(C(1) - u)), angle = C(2 * std::numbers::pi) * v;
    return stored<T>(mean + stddev * radius * (j % 2 ? ::sin(angle) : ::cos(angle)));
  }
};
BoundKernel normal(const BindContext& context) {
  return visit<kFloats.bits>(context.output(0).dtype, "random_normal", [&]<class T>(TypeTag<T>) -> BoundKernel {
    return bind_draw<T>(context, Normal<T>{compute_t<T>(context.number("mean")), compute_t<T>(context.number("stddev"))});
  });
}

template <class T>
struct Truncated {
  static constexpr int kPerBlock = 2;
  double mean, stddev, edge;  // by inversion: u in (-edge, edge) is a value in (-2, 2)
  LOCKSTEP_HD T operator()(int j, const Words& w) const {
    const double u = (2 * unit(w[std::size_t(2 * j)], w[std::size_t(2 * j + 1)]) - 1) * edge;
    return stored<T>(compute_t<T>(mean + stddev * std::numbers::sqrt2 * special_erfinv(u)));
  }
};
BoundKernel truncated(const BindContext& context) {
  const double edge = std::erf(2 / std::numbers::sqrt2);
  return visit<kFloats.bits>(context.output(0).dtype, "random_truncated_normal", [&]<class T>(TypeTag<T>) -> BoundKernel {
    return bind_draw<T>(context, Truncated<T>{context.number("mean"), context.number("stddev"), edge});
  });
}

struct Iota {
  std::int64_t* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const { z[i] = i; }
};
/// Fisher and Yates' shuffle, by one thread: every exchange needs those before it, and the CPU's order must come out.
struct Shuffle {
  std::int64_t n;
  const std::int64_t* key;
  std::int64_t* z;
  LOCKSTEP_HD void operator()(std::int64_t) const {
    for (std::int64_t i = n - 1; i > 0; --i) {
      const Words w = random::philox(std::uint64_t(i), std::uint64_t(key[1]), std::uint64_t(key[0]));
      const std::int64_t k = std::int64_t(multiply_high((std::uint64_t(w[1]) << 32) | w[0], std::uint64_t(i + 1))), kept = z[i];
      z[i] = z[k];
      z[k] = kept;
    }
  }
};
BoundKernel permutation(const BindContext& context) {
  return [n = context.integer("n")](Inputs in, Outputs out) {
    std::int64_t* z = static_cast<std::int64_t*>(out[0]);
    for_each(n, Iota{z});
    for_each(n > 1 ? 1 : 0, Shuffle{n, static_cast<const std::int64_t*>(in[0]), z});
  };
}

constexpr Kernel kRandomKernels[] = {
    {"random_uniform", uniform}, {"random_normal", normal}, {"random_truncated_normal", truncated}, {"random_permutation", permutation}};

}  // namespace

std::span<const Kernel> random_kernels() { return kRandomKernels; }

}  // namespace lockstep::cuda

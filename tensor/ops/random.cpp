// Random numbers: each element is a function of the key and its position.

#include <cmath>
#include <numbers>
#include <numeric>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/philox.h>
#include <lockstep/tensor/special.h>

namespace lockstep {
namespace {

using random::philox;
using Words = random::PhiloxWords;

/// [0, 1) with 24 and 53 random bits.
float unit(std::uint32_t word) { return float(word >> 8) * 0x1p-24f; }
double unit(std::uint32_t low, std::uint32_t high) { return double(((std::uint64_t(high) << 32) | low) >> 11) * 0x1p-53; }

/// Calls `write(first element, words)` for each block of `per_block` elements. `first` is negative where a block begins before element 0:
/// a key (seed, stream, offset) gives elements offset, offset + 1, ... of the sequence that (seed, stream) begins.
template <class F>
void for_each_block(const void* key, bool has_offset, std::int64_t count, int per_block, F&& write) {
  const auto* words = static_cast<const std::int64_t*>(key);
  const std::uint64_t seed = std::uint64_t(words[0]), stream = std::uint64_t(words[1]);
  const std::int64_t offset = has_offset ? words[2] : 0, first_block = offset / per_block, skipped = offset % per_block;
  const std::int64_t blocks = (skipped + count + per_block - 1) / per_block;
  parallel_for(blocks, 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) write(b * per_block - skipped, philox(std::uint64_t(first_block + b), stream, seed));
  });
}

void random_infer(InferContext& context) {
  if (context.shape(0) != Shape{2} && context.shape(0) != Shape{3}) context.refuse("the key must be int64 (2,), or (3,) with an offset");
  const Ints sizes = context.ints("shape");
  for (const std::int64_t size : sizes)
    if (size < 0) context.refuse("negative size in shape " + to_string(AttrValue(sizes)));
  context.output(context.dtype("dtype"), Shape(std::span<const std::int64_t>(sizes.begin(), sizes.size())));
}

void uniform_infer(InferContext& context) {
  random_infer(context);
  const DType dtype = context.dtype("dtype");
  if (!is_float(dtype) && !is_integer(dtype)) context.refuse_type("dtype must be a float or an integer, got " + std::string(name(dtype)));
  const Scalar low = context.scalar("low"), high = context.scalar("high");
  if (is_integer(dtype) && (low.kind() == Scalar::Kind::real || high.kind() == Scalar::Kind::real)) context.refuse("integers need whole bounds, got " + to_string(low) + " and " + to_string(high));
  if (is_integer(dtype) && (!low.fits(dtype) || !(high.fits(dtype) || Scalar(high.integer() - 1).fits(dtype)))) context.refuse("the bounds " + to_string(low) + " and " + to_string(high) + " do not fit " + std::string(name(dtype)));
  if (!(low.real() < high.real())) context.refuse("low " + to_string(low) + " must be below high " + to_string(high));
}
void normal_infer(InferContext& context) {
  random_infer(context);
  if (!is_float(context.dtype("dtype"))) context.refuse_type("dtype must be a float, got " + std::string(name(context.dtype("dtype"))));
  if (!(context.number("stddev") >= 0)) context.refuse("stddev must not be negative");
}

BoundKernel uniform_cpu(const BindContext& context) {
  const std::int64_t count = context.output(0).shape.numel();
  const bool has_offset = context.shape(0) == Shape{3};
  const Scalar low = context.scalar("low"), high = context.scalar("high");
  return visit_dtype(context.output(0).dtype, [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      const std::uint64_t range = std::uint64_t(high.integer()) - std::uint64_t(low.integer());
      return [=](Inputs in, Outputs out) {
        for_each_block(in[0], has_offset, count, 2, [&](std::int64_t first, const Words& w) {
          for (int j = first < 0 ? int(-first) : 0; j < 2 && first + j < count; ++j) {
            const std::uint64_t draw = (std::uint64_t(w[std::size_t(2 * j + 1)]) << 32) | w[std::size_t(2 * j)];
            __extension__ using Wide = unsigned __int128;
            static_cast<T*>(out[0])[first + j] = static_cast<T>(std::uint64_t(low.integer()) + std::uint64_t((Wide(draw) * range) >> 64));
          }
        });
      };
    } else if constexpr (std::is_same_v<T, double>) {
      return [=](Inputs in, Outputs out) {
        for_each_block(in[0], has_offset, count, 2, [&](std::int64_t first, const Words& w) {
          for (int j = first < 0 ? int(-first) : 0; j < 2 && first + j < count; ++j)
            static_cast<double*>(out[0])[first + j] = std::min(low.real() + (high.real() - low.real()) * unit(w[std::size_t(2 * j)], w[std::size_t(2 * j + 1)]), std::nextafter(high.real(), low.real()));
        });
      };
    } else if constexpr (std::is_same_v<compute_t<T>, float>) {
      const float a = float(low.real()), b = float(high.real());
      return [=](Inputs in, Outputs out) {
        for_each_block(in[0], has_offset, count, 4, [&](std::int64_t first, const Words& w) {
          for (int j = first < 0 ? int(-first) : 0; j < 4 && first + j < count; ++j) {
            T value = T(a + (b - a) * unit(w[std::size_t(j)]));
            // Rounding to 16 bits may reach the bound that is excluded.
            if (!(static_cast<float>(value) < b)) value = T(a);
            static_cast<T*>(out[0])[first + j] = value;
          }
        });
      };
    } else {
      throw UnimplementedError("there is no CPU kernel for " + std::string(name(context.output(0).dtype)), context.op().name);
    }
  });
}

/// Calls `make(tag)` for the dtype of the result, a float.
template <class Make>
BoundKernel visit_float_result(const BindContext& context, Make&& make) {
  switch (context.output(0).dtype) {
    case DType::float16: return make(TypeTag<Half>{});
    case DType::bfloat16: return make(TypeTag<BFloat16>{});
    case DType::float32: return make(TypeTag<float>{});
    default: return make(TypeTag<double>{});
  }
}

BoundKernel normal_cpu(const BindContext& context) {
  const std::int64_t count = context.output(0).shape.numel();
  const bool has_offset = context.shape(0) == Shape{3};
  const double mean = context.number("mean"), stddev = context.number("stddev");
  return visit_float_result(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = compute_t<T>;
    return [=](Inputs in, Outputs out) {
      // Box and Muller's transform: two uniform numbers to two normal ones.
      const auto pair = [&](std::int64_t first, C u, C v) {
        const C radius = std::sqrt(C(-2) * std::log(C(1) - u)), angle = C(2 * std::numbers::pi) * v;
        T* z = static_cast<T*>(out[0]);
        if (first >= 0 && first < count) z[first] = T(C(mean) + C(stddev) * radius * std::cos(angle));
        if (first + 1 >= 0 && first + 1 < count) z[first + 1] = T(C(mean) + C(stddev) * radius * std::sin(angle));
      };
      if constexpr (std::is_same_v<T, double>) {
        for_each_block(in[0], has_offset, count, 2, [&](std::int64_t first, const Words& w) { pair(first, unit(w[0], w[1]), unit(w[2], w[3])); });
      } else {
        for_each_block(in[0], has_offset, count, 4, [&](std::int64_t first, const Words& w) {
          pair(first, unit(w[0]), unit(w[1]));
          if (first + 3 >= 0 && first + 2 < count) pair(first + 2, unit(w[2]), unit(w[3]));
        });
      }
    };
  });
}

BoundKernel truncated_cpu(const BindContext& context) {
  const std::int64_t count = context.output(0).shape.numel();
  const bool has_offset = context.shape(0) == Shape{3};
  const double mean = context.number("mean"), stddev = context.number("stddev");
  return visit_float_result(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      const double edge = std::erf(2 / std::numbers::sqrt2);  // by inversion: u in (-edge, edge) is a value in (-2, 2)
      for_each_block(in[0], has_offset, count, 2, [&](std::int64_t first, const Words& w) {
        for (int j = first < 0 ? int(-first) : 0; j < 2 && first + j < count; ++j) {
          const double u = (2 * unit(w[std::size_t(2 * j)], w[std::size_t(2 * j + 1)]) - 1) * edge;
          static_cast<T*>(out[0])[first + j] = T(static_cast<compute_t<T>>(mean + stddev * std::numbers::sqrt2 * special::erfinv(u)));
        }
      });
    };
  });
}

void permutation_infer(InferContext& context) {
  if (context.shape(0) != Shape{2}) context.refuse("the key must be int64 (2,)");
  if (context.integer("n") < 0) context.refuse("n must not be negative");
  context.output(int64, {context.integer("n")});
}
/// Fisher and Yates' shuffle.
BoundKernel permutation_cpu(const BindContext& context) {
  return [n = context.integer("n")](Inputs in, Outputs out) {
    const auto* key = static_cast<const std::int64_t*>(in[0]);
    auto* z = static_cast<std::int64_t*>(out[0]);
    std::iota(z, z + n, std::int64_t(0));
    for (std::int64_t i = n - 1; i > 0; --i) {
      const Words w = philox(std::uint64_t(i), std::uint64_t(key[1]), std::uint64_t(key[0]));
      __extension__ using Wide = unsigned __int128;
      std::swap(z[i], z[std::int64_t((Wide((std::uint64_t(w[1]) << 32) | w[0]) * std::uint64_t(i + 1)) >> 64)]);
    }
  };
}

OpDef base(std::string_view name, std::string_view doc, std::vector<AttrDef> attrs, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), AttrList sample) {
  return {.name = name, .doc = doc, .family = "random", .attrs = std::move(attrs), .dtypes = same(dtypes(int64)), .infer = infer, .gradient = not_differentiable("its operand is a key"),
          .onnx = no_onnx("ONNX's generators are not counter-based"), .samples = {{.inputs = {{.dtype = int64, .shape = {2}, .low = 0, .high = 1000}}, .attrs = std::move(sample)}}, .cpu = cpu};
}

}  // namespace

std::vector<OpDef> random_rows() {
  const AttrDef shape{.name = "shape", .type = AttrType::ints, .required = true}, dtype{.name = "dtype", .type = AttrType::dtype, .fallback = float32};
  const auto number = [](std::string_view name, AttrValue fallback) { return AttrDef{.name = name, .type = AttrType::number, .fallback = std::move(fallback)}; };
  const AttrList sample{{"shape", Ints{2, 3}}};
  std::vector<OpDef> rows;
  rows.push_back(base("random_uniform", "uniform numbers in [low, high) from a key (seed, stream); integer dtypes draw whole numbers", {shape, number("low", std::int64_t(0)), number("high", std::int64_t(1)), dtype}, uniform_infer, uniform_cpu, sample));
  rows.push_back(base("random_normal", "normal numbers from a key (seed, stream)", {shape, number("mean", 0.0), number("stddev", 1.0), dtype}, normal_infer, normal_cpu, sample));
  rows.push_back(base("random_truncated_normal", "normal numbers within two standard deviations, from a key (seed, stream)", {shape, number("mean", 0.0), number("stddev", 1.0), dtype}, normal_infer, truncated_cpu, sample));
  rows.push_back(base("random_permutation", "int64 0 ... n - 1 in random order, from a key (seed, stream)", {{.name = "n", .type = AttrType::integer, .required = true}}, permutation_infer, permutation_cpu, {{"n", std::int64_t(5)}}));
  return rows;
}

}  // namespace lockstep

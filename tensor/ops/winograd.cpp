#include <lockstep/tensor/ops/winograd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/ops/winograd_runs.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::winograd {
namespace {

using window::Convolution;

/// Rows that `multiply` takes at a time.
constexpr std::int64_t kRowBlock = 8;

/// One size of images, cut into windows of 6x6 cells whose tiles of 4x4 cells of the other images they give.
struct Tiling {
  std::int64_t batch, from_height, from_width, to_height, to_width, above, left;
  std::int64_t down() const { return (to_height + kTile - 1) / kTile; }
  std::int64_t across() const { return (to_width + kTile - 1) / kTile; }
  std::int64_t count() const { return batch * down() * across(); }
  Cells window(const float* images, std::int64_t channels, std::int64_t tile) const { return cells(images, from_height, from_width, channels, tile, above, left); }
  Cells tile(const float* images, std::int64_t channels, std::int64_t tile) const { return cells(images, to_height, to_width, channels, tile, 0, 0); }

 private:
  Cells cells(const float* images, std::int64_t height, std::int64_t width, std::int64_t channels, std::int64_t tile, std::int64_t up, std::int64_t back) const {
    const std::int64_t image = tile / (down() * across()), place = tile % (down() * across());
    return {const_cast<float*>(images) + image * height * width * channels, height, width, place / across() * kTile - up, place % across() * kTile - back};
  }
};

Tiling forward_tiling(const Convolution& c) { return {c.batch, c.in[1], c.in[2], c.out[1], c.out[2], c.before[1], c.before[2]}; }
/// The gradient of the input is a convolution of upstream with the kernel turned by half a turn.
Tiling backward_tiling(const Convolution& c) { return {c.batch, c.out[1], c.out[2], c.in[1], c.in[2], kTaps - 1 - c.before[1], kTaps - 1 - c.before[2]}; }

/// Planes of so many rows: one row more lies between them, lest all points fall into the same lines of a cache.
std::int64_t plane_size(std::int64_t rows, std::int64_t channels) { return rows * channels + 16; }
std::int64_t planes_size(std::int64_t rows, std::int64_t channels) { return kPoints * plane_size(rows, channels); }
Planes planes_at(float* data, std::int64_t rows, std::int64_t channels) { return {data, plane_size(rows, channels), channels}; }

/// Tiles that are transformed, multiplied and transformed back together: their planes stay in a core's cache.
std::int64_t tiles_at_once(std::int64_t channels, std::int64_t tiles) {
  constexpr std::int64_t kCache = 200'000;  // elements
  const std::int64_t most = std::max(kRowBlock, kCache / (kPoints * channels) / kRowBlock * kRowBlock);
  return std::min(most, (tiles + kRowBlock - 1) / kRowBlock * kRowBlock);
}

void zero_rows(const Planes& planes, std::int64_t first, std::int64_t end) {
  for (std::int64_t point = 0; point < kPoints; ++point) std::memset(planes.at(point, first), 0, std::size_t((end - first) * planes.channels) * sizeof(float));
}

/// Images `to` from images `from` and a kernel (3, 3, ins, outs).
void convolve(const Tiling& tiling, const float* from, const float* kernel, std::int64_t ins, std::int64_t outs, const float* bias, bool relu, float* to) {
  const std::int64_t tiles = tiling.count(), at_once = tiles_at_once(ins + outs, tiles), blocks = (tiles + at_once - 1) / at_once, parts = std::min<std::int64_t>(intra_op_threads(), blocks);
  const std::int64_t kernel_size = planes_size(ins, outs), in_size = planes_size(at_once, ins), part_size = in_size + planes_size(at_once, outs);
  Tensor scratch = Tensor::empty({kernel_size + parts * part_size}, float32);
  const Planes factors = planes_at(scratch.mutable_data<float>(), ins, outs);
  parallel_for(ins, kRowBlock, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) kernel_to_points(kernel, ins, outs, i, factors);
  });
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      float* const own = factors.data + kernel_size + part * part_size;
      const Planes in = planes_at(own, at_once, ins), out = planes_at(own + in_size, at_once, outs);
      for (std::int64_t block = blocks * part / parts; block < blocks * (part + 1) / parts; ++block) {
        const std::int64_t first = block * at_once, count = std::min(at_once, tiles - first), rows = (count + kRowBlock - 1) / kRowBlock * kRowBlock;
        for (std::int64_t i = 0; i < count; ++i) window_to_points(tiling.window(from, ins, first + i), in, i);
        zero_rows(in, count, rows);
        for (std::int64_t point = 0; point < kPoints; ++point) multiply(rows, outs, ins, in.at(point, 0), factors.at(point, 0), out.at(point, 0));
        for (std::int64_t i = 0; i < count; ++i) points_to_tile(out, i, bias, relu, tiling.tile(to, outs, first + i));
      }
    }
  });
}

bool is_chosen() {
  static const bool chosen = [] {
    const char* text = std::getenv("LOCKSTEP_WINOGRAD");
    return !text || std::string_view(text) != "0";
  }();
  return chosen;
}

}  // namespace

bool pays(const Convolution& c) {
  constexpr std::int64_t kLanes = 16, kMostProducts = 128 * 128, kLeastTiles = 16;
  if (c.ndim != 2 || c.groups != 1 || c.in_channels % kLanes || c.out_channels % kLanes || c.in_channels * c.out_channels > kMostProducts) return false;
  for (const std::size_t axis : {1u, 2u})
    if (c.kernel[axis] != kTaps || c.stride[axis] != 1 || c.dilation[axis] != 1 || c.before[axis] >= kTaps || c.after[axis] >= kTaps || c.out[axis] < kTile || c.in[axis] < kTile) return false;
  return forward_tiling(c).count() >= kLeastTiles && is_chosen();
}

void forward(const Convolution& c, const float* x, const float* kernel, const float* bias, bool relu, float* y) {
  convolve(forward_tiling(c), x, kernel, c.in_channels, c.out_channels, bias, relu, y);
}

void input_gradient(const Convolution& c, const float* upstream, const float* kernel, float* x) {
  const std::int64_t ins = c.in_channels, outs = c.out_channels, taps = kTaps * kTaps;
  Tensor turned = Tensor::empty({taps, outs, ins}, float32);
  float* const to = turned.mutable_data<float>();
  parallel_for(taps, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t tap = begin; tap < end; ++tap)
      for (std::int64_t o = 0; o < outs; ++o)
        for (std::int64_t i = 0; i < ins; ++i) to[(tap * outs + o) * ins + i] = kernel[((taps - 1 - tap) * ins + i) * outs + o];
  });
  convolve(backward_tiling(c), upstream, to, outs, ins, nullptr, false, x);
}

void kernel_gradient(const Convolution& c, const float* x, const float* upstream, float* kernel) {
  const Tiling tiling = forward_tiling(c);
  const std::int64_t ins = c.in_channels, outs = c.out_channels, tiles = tiling.count(), at_once = tiles_at_once(ins + outs, tiles);
  const std::int64_t in_size = planes_size(at_once, ins), out_size = planes_size(at_once, outs), sum_size = planes_size(ins, outs);
  Tensor memory = Tensor::empty({in_size + out_size + sum_size}, float32);
  float* const base = memory.mutable_data<float>();
  const Planes in = planes_at(base, at_once, ins), out = planes_at(base + in_size, at_once, outs), sums = planes_at(base + in_size + out_size, ins, outs);
  parallel_for(sum_size, 1 << 16, [&](std::int64_t begin, std::int64_t end) { std::fill(sums.data + begin, sums.data + end, 0.0f); });
  const std::int64_t groups = ins / kRowBlock;
  for (std::int64_t first = 0; first < tiles; first += at_once) {
    const std::int64_t count = std::min(at_once, tiles - first);
    parallel_for(count, kRowBlock, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        window_to_points(tiling.window(x, ins, first + i), in, i);
        tile_to_points(tiling.tile(upstream, outs, first + i), out, i);
      }
    });
    // Every sum belongs to one thread.
    parallel_for(kPoints * groups, groups, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t point = i / groups, row = i % groups * kRowBlock;
        multiply_transposed_add(kRowBlock, outs, count, in.at(point, 0) + row, ins, out.at(point, 0), sums.at(point, row));
      }
    });
  }
  parallel_for(ins, kRowBlock, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) points_to_kernel(sums, ins, outs, i, kernel);
  });
}

}  // namespace lockstep::winograd

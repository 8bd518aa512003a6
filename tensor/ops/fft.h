#pragma once
// What the rows of transforms share: one transform for each index of the leading axes, over aligned copies, in parallel.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <new>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/fft/plan.h>
#include <lockstep/tensor/ops/fft_sizes.h>

namespace lockstep::fft {

/// The corner that two boxes share goes from one to the other, the rest of the other is zeros. Sizes of the last axis are in T.
struct Fit {
  std::array<std::int64_t, 3> from{1, 1, 1}, to{1, 1, 1};

  template <class T>
  void copy(const T* x, T* z) const {
    const std::int64_t columns = std::min(from[2], to[2]);
    for (std::int64_t a = 0; a < to[0]; ++a)
      for (std::int64_t b = 0; b < to[1]; ++b, z += to[2]) {
        const bool inside = a < from[0] && b < from[1];
        if (inside) std::memcpy(z, x + (a * from[1] + b) * from[2], std::size_t(columns) * sizeof(T));
        std::fill(z + (inside ? columns : 0), z + to[2], T(0));
      }
  }
};

/// `load(row, buffer)` fills the operand of transform `row`, `store(row, buffer)` takes its result. Throws ResourceExhaustedError if there is no memory.
template <class T, class Load, class Store>
void transform_rows(const Plan<T>& plan, std::int64_t rows, Load&& load, Store&& store) {
  std::atomic<bool> failed = false;
  const std::int64_t grain = std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, plan.in_count));
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    try {
      Buffer<T> in(plan.in_count), out(plan.out_count);
      for (std::int64_t row = begin; row < end; ++row) {
        load(row, in.data());
        plan.run(in.data(), out.data());
        store(row, static_cast<const T*>(out.data()));
      }
    } catch (const std::bad_alloc&) {
      failed = true;
    }
  });
  if (failed) throw ResourceExhaustedError("there is no memory for a transform of " + std::to_string(plan.in_count) + " numbers");
}

/// `count` numbers, scaled.
template <class T>
void scaled_copy(const T* from, T* to, std::int64_t count, T scale) {
  if (scale == T(1)) {
    std::memcpy(to, from, std::size_t(count) * sizeof(T));
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i] * scale;
}

/// Refuses lengths that cannot be transformed.
inline void require_length(const InferContext& context, std::int64_t length, std::int64_t least = 1) {
  if (length < least || length > (std::int64_t(1) << 30)) context.refuse("the axes to transform must have " + std::to_string(least) + " to 2^30 elements, got " + std::to_string(length));
}

/// x cropped, or padded with zeros, at the end of its last axes to these sizes.
Tensor fitted_to(const Tensor& x, const Ints& sizes);

}  // namespace lockstep::fft

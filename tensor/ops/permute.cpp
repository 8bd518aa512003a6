#include <lockstep/tensor/ops/permute.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <lockstep/tensor/base/parallel.h>

namespace lockstep {
namespace {

struct Bytes16 {
  std::uint64_t low, high;
};

constexpr std::int64_t kGrain = 16 * 1024;

/// The two innermost axes in tiles, so that a transposition reads and writes whole cache lines.
template <class T>
void copy_plane(const T* from, T* to, std::int64_t rows, std::int64_t columns, std::int64_t from_row, std::int64_t from_column, std::int64_t to_row, std::int64_t to_column) {
  if (from_column == 1 && to_column == 1) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const T* source = from + r * from_row;
      T* target = to + r * to_row;
      if constexpr (std::is_trivially_copyable_v<T>) std::memcpy(target, source, std::size_t(columns) * sizeof(T));
      else std::copy_n(source, columns, target);
    }
    return;
  }
  if (from_column == 0 && to_column == 1) {
    for (std::int64_t r = 0; r < rows; ++r) std::fill_n(to + r * to_row, columns, from[r * from_row]);
    return;
  }
  constexpr std::int64_t kTile = 16;
  for (std::int64_t r0 = 0; r0 < rows; r0 += kTile)
    for (std::int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const std::int64_t r1 = std::min(rows, r0 + kTile), c1 = std::min(columns, c0 + kTile);
      for (std::int64_t r = r0; r < r1; ++r)
        for (std::int64_t c = c0; c < c1; ++c) to[r * to_row + c * to_column] = from[r * from_row + c * from_column];
    }
}

template <class T>
void copy_all(const StridedCopy& copy, const T* from, T* to) {
  from += copy.from_offset;
  to += copy.to_offset;
  const int n = copy.shape.ndim();
  if (n == 0) {
    *to = *from;
    return;
  }
  const auto axis = [&](int i) { return std::size_t(i); };
  const std::int64_t columns = copy.shape[n - 1], rows = n > 1 ? copy.shape[n - 2] : 1;
  const std::int64_t from_column = copy.from[axis(n - 1)], to_column = copy.to[axis(n - 1)];
  const std::int64_t from_row = n > 1 ? copy.from[axis(n - 2)] : 0, to_row = n > 1 ? copy.to[axis(n - 2)] : 0;
  std::int64_t planes = 1;
  for (int i = 0; i < n - 2; ++i) planes *= copy.shape[i];
  const auto plane_at = [&](std::int64_t plane, std::int64_t first, std::int64_t last) {
    std::int64_t a = 0, b = 0;
    for (int i = n - 3; i >= 0; --i) {
      const std::int64_t at = plane % copy.shape[i];
      plane /= copy.shape[i];
      a += at * copy.from[axis(i)];
      b += at * copy.to[axis(i)];
    }
    copy_plane(from + a + first * from_row, to + b + first * to_row, last - first, columns, from_row, from_column, to_row, to_column);
  };
  if (planes == 1) {
    parallel_for(rows, std::max<std::int64_t>(16, kGrain / std::max<std::int64_t>(1, columns)), [&](std::int64_t begin, std::int64_t end) { plane_at(0, begin, end); });
  } else {
    parallel_for(planes, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, rows * columns)), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t plane = begin; plane < end; ++plane) plane_at(plane, 0, rows);
    });
  }
}

}  // namespace

StridedCopy gather_walk(const Shape& shape) {
  StridedCopy copy{.shape = shape};
  copy.to = row_major_strides(shape);
  return copy;
}

StridedCopy simplified(const StridedCopy& copy) {
  StridedCopy result;
  result.from_offset = copy.from_offset;
  result.to_offset = copy.to_offset;
  for (int i = 0; i < copy.shape.ndim(); ++i) {
    const auto k = std::size_t(i);
    if (copy.shape[i] == 1) continue;
    const int last = result.shape.ndim() - 1;
    const auto l = std::size_t(std::max(0, last));
    if (last >= 0 && result.from[l] == copy.from[k] * copy.shape[i] && result.to[l] == copy.to[k] * copy.shape[i]) {
      result.shape[last] *= copy.shape[i];
      result.from[l] = copy.from[k];
      result.to[l] = copy.to[k];
    } else {
      result.shape.push_back(copy.shape[i]);
      result.from[l + (last >= 0 ? 1 : 0)] = copy.from[k];
      result.to[l + (last >= 0 ? 1 : 0)] = copy.to[k];
    }
  }
  return result;
}

void run_copy(const StridedCopy& copy, DType dtype, const void* in, void* out) {
  if (copy.shape.numel() == 0) return;
  const auto as = [&]<class T>(TypeTag<T>) { copy_all(copy, static_cast<const T*>(in), static_cast<T*>(out)); };
  if (dtype == string) return as(TypeTag<std::string>{});
  switch (itemsize(dtype)) {
    case 1: return as(TypeTag<std::uint8_t>{});
    case 2: return as(TypeTag<std::uint16_t>{});
    case 4: return as(TypeTag<std::uint32_t>{});
    case 8: return as(TypeTag<std::uint64_t>{});
    default: return as(TypeTag<Bytes16>{});
  }
}

}  // namespace lockstep

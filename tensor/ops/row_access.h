#pragma once
// How CPU kernels read indices and add rows.

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/dtype.h>
#include <lockstep/tensor/math.h>

namespace lockstep::row_access {

/// Index i of an int32 or int64 operand.
inline std::int64_t index_at(const void* indices, bool wide, std::int64_t i) {
  return wide ? static_cast<const std::int64_t*>(indices)[i] : std::int64_t(static_cast<const std::int32_t*>(indices)[i]);
}

/// Throws InvalidArgumentError unless all of `count` indices lie in [0, size).
inline void require_indices(const void* indices, bool wide, std::int64_t count, std::int64_t size, std::string_view op) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t at = index_at(indices, wide, i);
    if (at < 0 || at >= size)
      throw InvalidArgumentError("index " + std::to_string(at) + " (element " + std::to_string(i) + " of the indices) is not in [0, " + std::to_string(size) + ")", op);
  }
}

/// to += from, n elements.
template <class T>
void add_row(T* to, const T* from, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) to[i] = T(float(to[i]) + float(from[i]));
    else if constexpr (std::is_integral_v<T>) to[i] = static_cast<T>(std::uint64_t(to[i]) + std::uint64_t(from[i]));
    else to[i] += from[i];
  }
}

/// f(TypeTag<T>) for the type of a numeric dtype. Throws UnimplementedError for the others.
template <class F>
decltype(auto) visit_numeric(DType dtype, std::string_view op, F&& f) {
  return visit_dtype(dtype, [&]<class T>(TypeTag<T> tag) -> decltype(f(TypeTag<float>{})) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>) throw UnimplementedError("there is no CPU kernel for " + std::string(name(dtype)), op);
    else return f(tag);
  });
}

}  // namespace lockstep::row_access

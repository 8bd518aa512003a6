#pragma once
// Tensors as text, as NumPy prints arrays.

#include <iosfwd>
#include <string>

#include <lockstep/tensor/tensor.h>

namespace lockstep {

/// NumPy's print options.
struct PrintOptions {
  int precision = 8;               // digits behind the point at most
  std::int64_t threshold = 1000;   // beyond so many elements the middle is left out
  std::int64_t edge_items = 3;     // kept at either end of an axis then
  int line_width = 75;
};

/// The elements as `str(numpy_array)` prints them: "[[1. 2.]\n [3. 4.]]". Throws FailedPreconditionError for a symbolic tensor.
std::string array_to_string(const Tensor& tensor, const PrintOptions& options = {});

/// "<Tensor shape=(2, 2) dtype=float32\n[[1. 2.]\n [3. 4.]]>"; a symbolic tensor without its elements.
std::string to_string(const Tensor& tensor);
std::ostream& operator<<(std::ostream& stream, const Tensor& tensor);

}  // namespace lockstep

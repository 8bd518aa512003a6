#pragma once
// Elements as bytes, for files of the pipeline's own and for comparing. io's own.

#include <cstddef>
#include <span>
#include <string>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

/// The tensors of an element: their number, then each one's dtype, axes and elements. Equal elements give equal bytes.
std::string to_bytes(const Tensors& element);
/// The way back. Throws DataLossError for bytes that to_bytes() does not give; what they claim is judged before memory is asked for.
Tensors from_bytes(std::span<const char> bytes);

}  // namespace lockstep::io

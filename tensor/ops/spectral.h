#pragma once
// Windows by their names.

#include <string>

#include <lockstep/tensor/tensor.h>

namespace lockstep::spectral {

/// Undefined for "none". Throws InvalidArgumentError for a name that no window has.
Tensor window(const std::string& name, std::int64_t length, DType dtype);

}  // namespace lockstep::spectral

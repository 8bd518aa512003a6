#pragma once
// What the kernels of create.cpp's rows share on every device.

#include <lockstep/tensor/op.h>

namespace lockstep {

/// A value given for `dtype`: whole reals become integers, 0 and 1 become bools. Throws the op's refusal for one that does not fit.
Scalar fitted(const OpCall& call, const Scalar& value, DType dtype);
/// As above, of the attribute of that name.
Scalar fitted(const OpCall& call, std::string_view attr, DType dtype);

}  // namespace lockstep

#pragma once
// What the files of op functions share.

#include <lockstep/tensor/attrs.h>
#include <lockstep/tensor/scalar.h>

namespace lockstep {

/// The attribute for a literal, of the literal's own kind.
inline AttrValue number(const Scalar& value) {
  if (value.kind() == Scalar::Kind::real) return value.real();
  if (value.kind() == Scalar::Kind::boolean) return value.integer() != 0;
  return value.integer();
}

}  // namespace lockstep

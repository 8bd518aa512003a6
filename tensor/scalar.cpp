#include <lockstep/tensor/scalar.h>

#include <charconv>

namespace lockstep {

bool Scalar::fits(DType dtype) const {
  switch (kind_) {
    case Kind::boolean: return dtype == boolean;
    case Kind::integer: return kNumeric.contains(dtype);
    case Kind::real: return kFloats.contains(dtype) || kComplex.contains(dtype);
    case Kind::complex: return kComplex.contains(dtype);
  }
  return false;
}

std::string to_string(const Scalar& scalar) {
  const auto shortest = [](double value) {
    char text[32];
    return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
  };
  switch (scalar.kind()) {
    case Scalar::Kind::boolean: return scalar.integer() ? "true" : "false";
    case Scalar::Kind::integer: return std::to_string(scalar.integer());
    case Scalar::Kind::real: return shortest(scalar.real());
    case Scalar::Kind::complex: return shortest(scalar.real()) + (scalar.imaginary() < 0 ? "" : "+") + shortest(scalar.imaginary()) + "j";
  }
  return {};
}

}  // namespace lockstep

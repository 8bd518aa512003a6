#include <lockstep/tensor/scalar.h>

#include <charconv>

namespace lockstep {

bool Scalar::fits(DType dtype) const {
  switch (kind_) {
    case Kind::boolean: return dtype == boolean;
    case Kind::integer: {
      if (!kInts.contains(dtype)) return kNumeric.contains(dtype);
      const bool beyond = integer_ < 0 && real_ > 0;  // an unsigned literal of 2^63 or more
      if (dtype == uint64) return integer_ >= 0 || beyond;
      const int bits = int(8 * itemsize(dtype)) - (kSigned.contains(dtype) ? 1 : 0);
      const std::int64_t most = bits == 63 ? INT64_MAX : (std::int64_t(1) << bits) - 1, least = kSigned.contains(dtype) ? -most - 1 : 0;
      return !beyond && integer_ >= least && integer_ <= most;
    }
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
    case Scalar::Kind::integer: return scalar.integer() < 0 && scalar.real() > 0 ? std::to_string(std::uint64_t(scalar.integer())) : std::to_string(scalar.integer());
    case Scalar::Kind::real: return shortest(scalar.real());
    case Scalar::Kind::complex: return shortest(scalar.real()) + (scalar.imaginary() < 0 ? "" : "+") + shortest(scalar.imaginary()) + "j";
  }
  return {};
}

}  // namespace lockstep

#include <lockstep/tensor/dtype.h>

#include <array>

#include <lockstep/tensor/base/error.h>

namespace lockstep {
namespace {

struct Row {
  std::string_view name;
  std::size_t itemsize;
};
constexpr std::array<Row, kDTypeCount> kRows = {{
    {"bool", 1}, {"int8", 1}, {"int16", 2}, {"int32", 4}, {"int64", 8}, {"uint8", 1}, {"uint16", 2}, {"uint32", 4}, {"uint64", 8},
    {"float16", 2}, {"bfloat16", 2}, {"float32", 4}, {"float64", 8}, {"complex64", 8}, {"complex128", 16}, {"string", sizeof(std::string)},
}};

}  // namespace

std::size_t itemsize(DType dtype) { return kRows[std::size_t(dtype)].itemsize; }

std::string_view name(DType dtype) { return kRows[std::size_t(dtype)].name; }

DType dtype_from_name(std::string_view wanted) {
  for (int i = 0; i < kDTypeCount; ++i)
    if (kRows[std::size_t(i)].name == wanted) return DType(i);
  std::array<std::string_view, kDTypeCount> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kRows[i].name;
  const std::string near = nearest_name(wanted, names);
  throw InvalidArgumentError("unknown dtype '" + std::string(wanted) + "'", {}, near.empty() ? "" : "did you mean '" + near + "'?");
}

std::string to_string(DTypeSet set) {
  std::string text;
  for (int i = 0; i < kDTypeCount; ++i)
    if (set.contains(DType(i))) text.append(text.empty() ? "" : ", ").append(name(DType(i)));
  return text;
}

std::uint16_t Half::from_float(float value) {
  const std::uint32_t word = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (word >> 16) & 0x8000u;
  const std::uint32_t magnitude = word & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return std::uint16_t(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
  if (magnitude >= 0x47800000u) return std::uint16_t(sign | 0x7c00u);  // overflow, and infinity itself
  if (magnitude < 0x38800000u) {                                        // subnormal: let the float adder round
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return std::uint16_t(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
  }
  const std::uint32_t rounded = magnitude + 0xc8000fffu + ((magnitude >> 13) & 1u);  // rebias the exponent, round to even
  return std::uint16_t(sign | (rounded >> 13));
}

float Half::to_float(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16;
  const std::uint32_t magnitude = std::uint32_t(bits & 0x7fffu) << 13;
  if (magnitude >= 0x0f800000u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x007fffffu));
  if (magnitude >= 0x00800000u) return std::bit_cast<float>(sign | (magnitude + 0x38000000u));
  const float subnormal = std::bit_cast<float>(magnitude + 0x38800000u) - std::bit_cast<float>(0x38800000u);
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(subnormal));
}

}  // namespace lockstep

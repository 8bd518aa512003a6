#pragma once
// Attributes as rows declare them most: required, or with a fallback.

#include <string>
#include <string_view>

#include <lockstep/tensor/op.h>

namespace lockstep::attrs {

inline AttrDef integer(std::string_view name) { return {.name = name, .type = AttrType::integer, .required = true}; }
inline AttrDef integer(std::string_view name, std::int64_t fallback) { return {.name = name, .type = AttrType::integer, .fallback = fallback}; }
inline AttrDef number(std::string_view name) { return {.name = name, .type = AttrType::number, .required = true}; }
inline AttrDef number(std::string_view name, double fallback) { return {.name = name, .type = AttrType::number, .fallback = fallback}; }
inline AttrDef boolean(std::string_view name, bool fallback) { return {.name = name, .type = AttrType::boolean, .fallback = fallback}; }
inline AttrDef text(std::string_view name, const char* fallback) { return {.name = name, .type = AttrType::string, .fallback = std::string(fallback)}; }

/// Refuses the integer of that name below `least` or above 2^30, so that no product of two overflows.
inline void require_size(const InferContext& context, std::string_view name, std::int64_t least = 1) {
  const std::int64_t value = context.integer(name);
  if (value < least || value > (std::int64_t(1) << 30)) context.refuse(std::string(name) + " must be in [" + std::to_string(least) + ", 2^30], got " + std::to_string(value));
}

}  // namespace lockstep::attrs

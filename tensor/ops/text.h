#pragma once
// What the rows on strings share: elements in parallel although making a string may throw, and code points out of bytes.

#include <algorithm>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/op.h>

namespace lockstep::text {

inline constexpr std::string_view kNoCuda = "strings live in the host's memory";

/// As parallel_for; the first error that a part throws is thrown when all have ended.
template <class F>
void for_parts(std::int64_t count, std::int64_t grain, F&& body) {
  std::exception_ptr first;
  std::mutex mutex;
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    try {
      body(begin, end);
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!first) first = std::current_exception();
    }
  });
  if (first) std::rethrow_exception(first);
}

/// int64 row splits of parts: element i has `count(i)` of them.
template <class F>
Tensor part_splits(std::int64_t elements, std::int64_t grain, F&& count) {
  Tensor splits = Tensor::empty({elements + 1}, int64);
  std::int64_t* ends = splits.mutable_data<std::int64_t>();
  ends[0] = 0;
  for_parts(elements, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ends[i + 1] = count(i);
  });
  for (std::int64_t i = 0; i < elements; ++i) ends[i + 1] += ends[i];
  return splits;
}

/// Does the op's row declare this attribute?
inline bool declares(const OpCall& call, std::string_view attr) {
  return std::any_of(call.op().attrs.begin(), call.op().attrs.end(), [&](const AttrDef& each) { return each.name == attr; });
}

/// "C" locale's white space, as TensorFlow cuts strings.
inline bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
/// Without white space at either end.
std::string_view stripped(std::string_view text);
/// Is this byte the first of a character in UTF-8?
inline bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

enum class Encoding { utf8, utf16_be, utf32_be, us_ascii, iso_8859_1 };
/// By TensorFlow's name. Throws the op's refusal.
Encoding encoding_of(const OpCall& call, const std::string& name);

/// One step through encoded text: the code point, how many bytes it takes, and whether these are well formed. What is ill formed ends where
/// Unicode's "maximal subpart" ends.
struct Decoded {
  std::int32_t code_point;
  std::size_t bytes;
  bool valid;
};
Decoded decode(std::string_view text, Encoding encoding);
/// Appends a code point that is_scalar().
void encode(std::int32_t code_point, Encoding encoding, std::string& to);
/// Is it a code point of a character: below 0x110000, no surrogate?
inline bool is_scalar(std::int32_t c) { return c >= 0 && c < 0x110000 && (c < 0xD800 || c > 0xDFFF); }

/// Unicode's full case mapping; ill-formed bytes become U+FFFD.
std::string to_upper_utf8(std::string_view text);
std::string to_lower_utf8(std::string_view text);

}  // namespace lockstep::text

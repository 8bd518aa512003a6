// Encodings and case, without tensors. UTF-8 is decoded here rather than by utf8proc, which tells neither how much of an ill-formed sequence belongs together
// nor anything of the other encodings; what characters are comes from utf8proc, but the mappings to several characters (from Unicode's SpecialCasing.txt).

#include <lockstep/tensor/ops/text.h>

#include <algorithm>
#include <array>
#include <iterator>

#include <utf8proc.h>

namespace lockstep::text {
namespace {

constexpr std::int32_t kReplacement = 0xFFFD;

unsigned byte_at(std::string_view text, std::size_t i) { return static_cast<unsigned char>(text[i]); }

/// Unicode's table 3-7: how long a sequence is, and what its second byte may be.
Decoded decode_utf8(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return {std::int32_t(first), 1, true};
  if (first < 0xC2 || first > 0xF4) return {kReplacement, 1, false};
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80, high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  unsigned code = first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size()) return {kReplacement, i, false};
    const unsigned next = byte_at(text, i);
    if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xBF)) return {kReplacement, i, false};
    code = (code << 6) | (next & 0x3F);
  }
  return {std::int32_t(code), length, true};
}

Decoded decode_utf16(std::string_view text) {
  if (text.size() < 2) return {kReplacement, text.size(), false};
  const auto unit = [&](std::size_t i) { return std::int32_t(byte_at(text, i) << 8 | byte_at(text, i + 1)); };
  const std::int32_t first = unit(0);
  if (first < 0xD800 || first > 0xDFFF) return {first, 2, true};
  if (first > 0xDBFF) return {kReplacement, 2, false};
  if (text.size() < 4) return {kReplacement, text.size(), false};
  const std::int32_t second = unit(2);
  if (second < 0xDC00 || second > 0xDFFF) return {kReplacement, 2, false};
  return {0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), 4, true};
}

Decoded decode_utf32(std::string_view text) {
  if (text.size() < 4) return {kReplacement, text.size(), false};
  const auto code = std::int32_t(byte_at(text, 0) << 24 | byte_at(text, 1) << 16 | byte_at(text, 2) << 8 | byte_at(text, 3));
  return is_scalar(code) ? Decoded{code, 4, true} : Decoded{kReplacement, 4, false};
}

/// What one character becomes several of when it is written large: 102 characters, sorted.
struct Special {
  std::int32_t from;
  std::array<std::int32_t, 3> to;  // ends at 0
};
constexpr Special kSpecialUpper[] = {
    {0xDF, {0x53, 0x53}}, {0x149, {0x2BC, 0x4E}}, {0x1F0, {0x4A, 0x30C}}, {0x390, {0x399, 0x308, 0x301}}, {0x3B0, {0x3A5, 0x308, 0x301}},
    {0x587, {0x535, 0x552}}, {0x1E96, {0x48, 0x331}}, {0x1E97, {0x54, 0x308}}, {0x1E98, {0x57, 0x30A}}, {0x1E99, {0x59, 0x30A}}, {0x1E9A, {0x41, 0x2BE}},
    {0x1F50, {0x3A5, 0x313}}, {0x1F52, {0x3A5, 0x313, 0x300}}, {0x1F54, {0x3A5, 0x313, 0x301}}, {0x1F56, {0x3A5, 0x313, 0x342}}, {0x1F80, {0x1F08, 0x399}},
    {0x1F81, {0x1F09, 0x399}}, {0x1F82, {0x1F0A, 0x399}}, {0x1F83, {0x1F0B, 0x399}}, {0x1F84, {0x1F0C, 0x399}}, {0x1F85, {0x1F0D, 0x399}},
    {0x1F86, {0x1F0E, 0x399}}, {0x1F87, {0x1F0F, 0x399}}, {0x1F88, {0x1F08, 0x399}}, {0x1F89, {0x1F09, 0x399}}, {0x1F8A, {0x1F0A, 0x399}},
    {0x1F8B, {0x1F0B, 0x399}}, {0x1F8C, {0x1F0C, 0x399}}, {0x1F8D, {0x1F0D, 0x399}}, {0x1F8E, {0x1F0E, 0x399}}, {0x1F8F, {0x1F0F, 0x399}},
    {0x1F90, {0x1F28, 0x399}}, {0x1F91, {0x1F29, 0x399}}, {0x1F92, {0x1F2A, 0x399}}, {0x1F93, {0x1F2B, 0x399}}, {0x1F94, {0x1F2C, 0x399}},
    {0x1F95, {0x1F2D, 0x399}}, {0x1F96, {0x1F2E, 0x399}}, {0x1F97, {0x1F2F, 0x399}}, {0x1F98, {0x1F28, 0x399}}, {0x1F99, {0x1F29, 0x399}},
    {0x1F9A, {0x1F2A, 0x399}}, {0x1F9B, {0x1F2B, 0x399}}, {0x1F9C, {0x1F2C, 0x399}}, {0x1F9D, {0x1F2D, 0x399}}, {0x1F9E, {0x1F2E, 0x399}},
    {0x1F9F, {0x1F2F, 0x399}}, {0x1FA0, {0x1F68, 0x399}}, {0x1FA1, {0x1F69, 0x399}}, {0x1FA2, {0x1F6A, 0x399}}, {0x1FA3, {0x1F6B, 0x399}},
    {0x1FA4, {0x1F6C, 0x399}}, {0x1FA5, {0x1F6D, 0x399}}, {0x1FA6, {0x1F6E, 0x399}}, {0x1FA7, {0x1F6F, 0x399}}, {0x1FA8, {0x1F68, 0x399}},
    {0x1FA9, {0x1F69, 0x399}}, {0x1FAA, {0x1F6A, 0x399}}, {0x1FAB, {0x1F6B, 0x399}}, {0x1FAC, {0x1F6C, 0x399}}, {0x1FAD, {0x1F6D, 0x399}},
    {0x1FAE, {0x1F6E, 0x399}}, {0x1FAF, {0x1F6F, 0x399}}, {0x1FB2, {0x1FBA, 0x399}}, {0x1FB3, {0x391, 0x399}}, {0x1FB4, {0x386, 0x399}},
    {0x1FB6, {0x391, 0x342}}, {0x1FB7, {0x391, 0x342, 0x399}}, {0x1FBC, {0x391, 0x399}}, {0x1FC2, {0x1FCA, 0x399}}, {0x1FC3, {0x397, 0x399}},
    {0x1FC4, {0x389, 0x399}}, {0x1FC6, {0x397, 0x342}}, {0x1FC7, {0x397, 0x342, 0x399}}, {0x1FCC, {0x397, 0x399}}, {0x1FD2, {0x399, 0x308, 0x300}},
    {0x1FD3, {0x399, 0x308, 0x301}}, {0x1FD6, {0x399, 0x342}}, {0x1FD7, {0x399, 0x308, 0x342}}, {0x1FE2, {0x3A5, 0x308, 0x300}},
    {0x1FE3, {0x3A5, 0x308, 0x301}}, {0x1FE4, {0x3A1, 0x313}}, {0x1FE6, {0x3A5, 0x342}}, {0x1FE7, {0x3A5, 0x308, 0x342}}, {0x1FF2, {0x1FFA, 0x399}},
    {0x1FF3, {0x3A9, 0x399}}, {0x1FF4, {0x38F, 0x399}}, {0x1FF6, {0x3A9, 0x342}}, {0x1FF7, {0x3A9, 0x342, 0x399}}, {0x1FFC, {0x3A9, 0x399}},
    {0xFB00, {0x46, 0x46}}, {0xFB01, {0x46, 0x49}}, {0xFB02, {0x46, 0x4C}}, {0xFB03, {0x46, 0x46, 0x49}}, {0xFB04, {0x46, 0x46, 0x4C}},
    {0xFB05, {0x53, 0x54}}, {0xFB06, {0x53, 0x54}}, {0xFB13, {0x544, 0x546}}, {0xFB14, {0x544, 0x535}}, {0xFB15, {0x544, 0x53B}}, {0xFB16, {0x54E, 0x546}},
    {0xFB17, {0x544, 0x53D}},
};

bool is_letter(std::int32_t c) {
  const utf8proc_category_t category = utf8proc_category(c);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
}
/// What Unicode passes over when it looks for the letters beside a sigma (marks, modifiers, apostrophes and dots within words).
bool is_case_ignorable(std::int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2019 || c == 0x2018 || c == 0x2024 || c == 0x2027;
  }
}

std::u32string decode_all(std::string_view utf8) {
  std::u32string result;
  while (!utf8.empty()) {
    const Decoded next = decode_utf8(utf8);
    result.push_back(char32_t(next.code_point));
    utf8.remove_prefix(next.bytes);
  }
  return result;
}

/// A sigma is final behind a letter, unless a letter follows.
bool is_final_sigma(const std::u32string& text, std::size_t at) {
  const auto letter_towards = [&](std::ptrdiff_t step) {
    for (auto i = std::ptrdiff_t(at) + step; i >= 0 && i < std::ptrdiff_t(text.size()); i += step) {
      const auto c = std::int32_t(text[std::size_t(i)]);
      if (!is_case_ignorable(c)) return is_letter(c);
    }
    return false;
  };
  return letter_towards(-1) && !letter_towards(1);
}

}  // namespace

std::string_view stripped(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

Encoding encoding_of(const OpCall& call, const std::string& name) {
  if (name == "UTF-8") return Encoding::utf8;
  if (name == "UTF-16-BE" || name == "UTF-16BE") return Encoding::utf16_be;
  if (name == "UTF-32-BE" || name == "UTF-32BE") return Encoding::utf32_be;
  if (name == "US-ASCII") return Encoding::us_ascii;
  if (name == "ISO-8859-1") return Encoding::iso_8859_1;
  call.refuse("the encoding must be UTF-8, UTF-16-BE, UTF-32-BE, US-ASCII or ISO-8859-1, got \"" + name + "\"");
}

Decoded decode(std::string_view text, Encoding encoding) {
  switch (encoding) {
    case Encoding::utf8: return decode_utf8(text);
    case Encoding::utf16_be: return decode_utf16(text);
    case Encoding::utf32_be: return decode_utf32(text);
    case Encoding::us_ascii: return byte_at(text, 0) < 0x80 ? Decoded{std::int32_t(byte_at(text, 0)), 1, true} : Decoded{kReplacement, 1, false};
    case Encoding::iso_8859_1: return {std::int32_t(byte_at(text, 0)), 1, true};
  }
  __builtin_unreachable();
}

void encode(std::int32_t c, Encoding encoding, std::string& to) {
  const auto put = [&](std::int32_t byte) { to.push_back(static_cast<char>(byte & 0xFF)); };
  const auto put_unit = [&](std::int32_t unit) { put(unit >> 8), put(unit); };
  if (encoding == Encoding::utf16_be) {
    if (c < 0x10000) return put_unit(c);
    put_unit(0xD800 + ((c - 0x10000) >> 10));
    put_unit(0xDC00 + ((c - 0x10000) & 0x3FF));
  } else if (encoding == Encoding::utf32_be) {
    put_unit(c >> 16), put_unit(c & 0xFFFF);
  } else if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

std::string to_upper_utf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Decoded next = decode_utf8(text);
    text.remove_prefix(next.bytes);
    const auto special = std::lower_bound(std::begin(kSpecialUpper), std::end(kSpecialUpper), next.code_point, [](const Special& s, std::int32_t c) { return s.from < c; });
    if (special == std::end(kSpecialUpper) || special->from != next.code_point) {
      encode(utf8proc_toupper(next.code_point), Encoding::utf8, result);
      continue;
    }
    for (const std::int32_t c : special->to)
      if (c) encode(c, Encoding::utf8, result);
  }
  return result;
}

std::string to_lower_utf8(std::string_view text) {
  const std::u32string characters = decode_all(text);
  std::string result;
  for (std::size_t i = 0; i < characters.size(); ++i) {
    const auto c = std::int32_t(characters[i]);
    if (c == 0x130) {  // a capital i with its dot keeps the dot
      encode('i', Encoding::utf8, result);
      encode(0x307, Encoding::utf8, result);
    } else if (c == 0x3A3 && is_final_sigma(characters, i)) {
      encode(0x3C2, Encoding::utf8, result);
    } else {
      encode(utf8proc_tolower(c), Encoding::utf8, result);
    }
  }
  return result;
}

}  // namespace lockstep::text

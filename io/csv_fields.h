#pragma once
// Inside readers of CSV: a text cut into records and fields, and fields as numbers. io's own.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/dtype.h>

namespace lockstep::io::csv {

struct Field {
  std::string_view text;  // without the quotes around it; quotes inside still doubled
  bool quoted = false;
};

inline std::string unescaped(const Field& field) {
  std::string text(field.text);
  if (field.quoted)
    for (std::size_t at = text.find("\"\""); at != std::string::npos; at = text.find("\"\"", at + 1)) text.erase(at, 1);
  return text;
}

class Records {
 public:
  Records(std::string_view text, char delimiter, const std::string& origin) : text_(text), delimiter_(delimiter), origin_(origin) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;  // a byte order mark
  }

  /// The next record; false at the end of the text.
  bool next(std::vector<Field>& fields) {
    fields.clear();
    if (at_ == text_.size()) return false;
    line_ = next_line_;
    while (true) {
      fields.push_back(field(fields.size()));
      if (at_ < text_.size() && text_[at_] == delimiter_) {
        ++at_;
        continue;
      }
      if (at_ < text_.size() && text_[at_] == '\r') ++at_;
      if (at_ < text_.size() && text_[at_] == '\n') ++at_;
      ++next_line_;
      return true;
    }
  }
  /// The line on which the last record begins, counted from 1.
  std::int64_t line() const { return line_; }

 private:
  DataLossError damaged(std::int64_t line, std::size_t index, const std::string& why) const { return DataLossError(origin_ + ", line " + std::to_string(line) + ", field " + std::to_string(index + 1) + ": " + why); }

  Field field(std::size_t index) {
    if (at_ < text_.size() && text_[at_] == '"') return quoted(index);
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] != delimiter_ && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
    const std::string_view text = text_.substr(start, at_ - start);
    if (text.find('"') != std::string_view::npos) throw damaged(next_line_, index, "a quote inside a field that does not begin with one");
    return {text, false};
  }

  Field quoted(std::size_t index) {
    const std::int64_t opened = next_line_;
    const std::size_t start = ++at_;
    while (true) {
      const std::size_t quote = text_.find('"', at_);
      next_line_ += std::count(text_.begin() + std::ptrdiff_t(at_), text_.begin() + std::ptrdiff_t(std::min(quote, text_.size())), '\n');
      if (quote == std::string_view::npos) throw damaged(opened, index, "the quoted field has no end");
      at_ = quote + 1;
      if (at_ == text_.size() || text_[at_] != '"') break;
      ++at_;  // a doubled quote: one of the text
    }
    if (at_ < text_.size() && text_[at_] != delimiter_ && text_[at_] != '\n' && text_[at_] != '\r') throw damaged(opened, index, "text follows the closing quote");
    return {text_.substr(start, at_ - 1 - start), true};
  }

  std::string_view text_;
  char delimiter_;
  const std::string& origin_;
  std::size_t at_ = 0;
  std::int64_t line_ = 0, next_line_ = 1;
};

inline std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Reads the whole of `text` as a number of type T.
template <class T>
bool to_number(std::string_view text, T& value) {
  text = without_blanks(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

inline bool to_element(std::string_view text, bool& value) {
  text = without_blanks(text);
  value = text == "1" || text == "true" || text == "True" || text == "TRUE";
  return value || text == "0" || text == "false" || text == "False" || text == "FALSE";
}
template <class T>
  requires std::is_arithmetic_v<T>
bool to_element(std::string_view text, T& value) {
  return to_number(text, value);
}
template <class T>
  requires(std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
bool to_element(std::string_view text, T& value) {
  float wide = 0;
  const bool read = to_number(text, wide);
  value = T(wide);
  return read;
}

}  // namespace lockstep::io::csv

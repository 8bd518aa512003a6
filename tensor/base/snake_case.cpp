#include <lockstep/tensor/base/snake_case.h>

namespace lockstep {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

}  // namespace

std::string snake_case(std::string_view class_name) {
  std::string result;
  for (std::size_t i = 0; i < class_name.size(); ++i) {
    const char c = class_name[i];
    const bool begins_word = i + 1 < class_name.size() && is_lower(class_name[i + 1]);
    if (i > 0 && is_upper(c) && (is_lower(class_name[i - 1]) || begins_word)) result += '_';
    result += is_upper(c) ? char(c - 'A' + 'a') : c;
  }
  return result;
}

}  // namespace lockstep

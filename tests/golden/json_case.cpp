// Cases that are a list in a JSON file.

#include <fstream>

#include "case.h"

namespace golden {

void for_each_json_case(const std::filesystem::path& file, const std::function<void(const Case&)>& visit) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error("cannot open " + file.string());
  const Json cases = Json::parse(stream);
  int number = 0;
  for (const Json& spec : cases) {
    char digits[16];
    std::snprintf(digits, sizeof digits, "%04d_", number++);
    std::string name = digits;
    for (const auto& [key, value] : spec.items())
      if (value.is_string()) {
        name += value.get<std::string>();
        break;
      }
    visit({.name = name, .spec = spec, .data = {}, .folder = file.parent_path()});
  }
}

}  // namespace golden

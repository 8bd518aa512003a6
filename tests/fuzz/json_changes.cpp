#include "json_changes.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace lockstep::fuzz {
namespace {

using Json = nlohmann::ordered_json;

void collect(Json& value, std::vector<Json*>& all) {
  all.push_back(&value);
  if (value.is_structured())
    for (Json& each : value) collect(each, all);
}

Json odd_value(std::minstd_rand& random) {
  static const Json values[] = {nullptr, true, false, 0, -1, 1, 3, 0.5, 1e308, INT64_MAX, UINT64_MAX, "", "x", "float16", "mse", Json::array(), Json::object(), Json::array({nullptr, 2}), {{"class_name", "Dense"}, {"config", Json::object()}}};
  return values[random() % std::size(values)];
}

void change(Json& value, const std::vector<Json*>& all, std::minstd_rand& random) {
  switch (random() % 6) {
    case 0:
      if (value.is_structured() && !value.empty()) value.erase(std::next(value.begin(), std::ptrdiff_t(random() % value.size())));
      else value = odd_value(random);
      return;
    case 1: {
      const Json copy = *all[random() % all.size()];  // of what may hold it
      value = copy;
      return;
    }
    case 2:
      if (value.is_array()) value.push_back(value.empty() ? odd_value(random) : Json(value[random() % value.size()]));
      else if (value.is_object()) value["k" + std::to_string(random() % 3)] = odd_value(random);
      else value = odd_value(random);
      return;
    case 3:
      if (value.is_number_integer()) value = value.get<std::int64_t>() ^ (std::int64_t(1) << random() % 63);
      else if (value.is_string()) value = value.get<std::string>() + "x";
      else value = odd_value(random);
      return;
    default: value = odd_value(random);
  }
}

}  // namespace

std::size_t change_json(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  std::minstd_rand random(seed);
  Json json = Json::parse(data, data + size, nullptr, false);
  if (json.is_discarded() || random() % 5 == 0) return LLVMFuzzerMutate(data, size, most);
  for (unsigned changes = random() % 3 + 1; changes > 0; --changes) {
    std::vector<Json*> all;
    collect(json, all);
    change(*all[random() % all.size()], all, random);
  }
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::copy(text.begin(), text.end(), data);
  return text.size();
}

}  // namespace lockstep::fuzz

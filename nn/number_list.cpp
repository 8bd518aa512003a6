#include <lockstep/nn/number_list.h>

#include <algorithm>

#include <nlohmann/json.hpp>

namespace lockstep::nn {

void visit(Fields& fields, std::string_view name, NumberList& value) {
  Json json = value.single ? Json(value.values[0]) : value.given ? Json(value.values) : Json(nullptr);
  fields.field(name, json);
  if (json.is_null()) value = {};
  else if (json.is_number()) value = json.get<double>();
  else if (json.is_array() && std::all_of(json.begin(), json.end(), [](const Json& each) { return each.is_number(); })) value = json.get<std::vector<double>>();
  else throw TypeError("'" + std::string(name) + "' must be a number or a list of numbers, got " + json.dump());
}

}  // namespace lockstep::nn

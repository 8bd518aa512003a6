// What a configuration must hold, and what must be refused.

#include <cmath>

#include "case.h"

namespace golden {

using namespace lockstep;

namespace {

bool same_number(double actual, double expected) {
  if (actual == expected || std::fabs(actual - expected) <= 1e-12 * std::fabs(expected)) return true;
  return double(float(expected)) == expected && float(actual) == float(expected);
}

}  // namespace

bool same_value(const Json& actual, const Json& expected) {
  if (expected.is_number() && actual.is_number()) return same_number(actual.get<double>(), expected.get<double>());
  if (expected.is_object() && actual.is_object()) {
    for (const auto& [key, value] : expected.items())
      if (!actual.contains(key) || !same_value(actual.at(key), value)) return false;
    return true;
  }
  if (expected.is_array() && actual.is_array()) {
    if (actual.size() != expected.size()) return false;
    for (std::size_t i = 0; i < expected.size(); ++i)
      if (!same_value(actual[i], expected[i])) return false;
    return true;
  }
  return actual == expected;
}

Json without_build_config(Json json) {
  if (json.is_object()) json.erase("build_config");
  if (json.is_structured())
    for (auto& each : json) each = without_build_config(each);
  return json;
}

void require_config(const Json& actual, const Json& expected) {
  for (const auto& [key, value] : expected.items()) {
    if (!actual.contains(key)) throw Mismatch("the configuration lacks '" + key + "': " + actual.dump());
    if (!same_value(actual.at(key), value)) throw Mismatch("'" + key + "' is " + actual.at(key).dump() + " in the configuration, expected " + value.dump());
  }
}

void accepted(const std::string& what) {
  if (!default_device().is_cpu()) throw TakenByDevice(what);
  throw Mismatch(what);
}

void require_refusal(const std::string& wanted, const std::function<void()>& f) {
  try {
    f();
    synchronize(default_device());
  } catch (const Error& error) {
    // A name that does not exist is a NotFoundError here, a ValueError there.
    const bool right = wanted == "InvalidArgument" ? dynamic_cast<const InvalidArgumentError*>(&error) || dynamic_cast<const NotFoundError*>(&error)
                       : wanted == "TypeError"     ? dynamic_cast<const TypeError*>(&error) != nullptr
                       : wanted == "IndexError"    ? dynamic_cast<const IndexError*>(&error) != nullptr
                       : wanted == "OutOfRange"    ? dynamic_cast<const OutOfRangeError*>(&error) != nullptr
                       : wanted == "Cancelled"     ? dynamic_cast<const CancelledError*>(&error) != nullptr
                                                   : false;
    if (!right) throw Mismatch("expected " + wanted + ", got another error: " + error.what());
    return;
  }
  accepted("expected " + wanted + ", but it was accepted");
}

}  // namespace golden

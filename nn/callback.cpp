#include <lockstep/nn/callback.h>

#include <algorithm>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>

namespace lockstep::nn {
namespace {

constexpr auto kBefore = [](const std::pair<std::string, double>& entry, std::string_view name) { return entry.first < name; };

}  // namespace

std::optional<double> Logs::find(std::string_view name) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), name, kBefore);
  if (at == entries_.end() || at->first != name) return {};
  return at->second;
}

double Logs::at(std::string_view name) const {
  if (const std::optional<double> value = find(name)) return *value;
  std::vector<std::string> names;
  for (const auto& [other, value] : entries_) names.push_back(other);
  const std::string nearest = nearest_name(name, names);
  throw NotFoundError("the logs have no '" + std::string(name) + "'", "Logs", nearest.empty() ? "" : "did you mean '" + nearest + "'?");
}

void Logs::set(std::string_view name, double value) {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), name, kBefore);
  if (at != entries_.end() && at->first == name) at->second = value;
  else entries_.emplace(at, name, value);
}

void CallbackState::set_count(std::string name, std::int64_t value) { set(std::move(name), constant(value, int64)); }
void CallbackState::set_number(std::string name, double value) { set(std::move(name), constant(value, float64)); }

const Tensor& CallbackState::at(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) throw NotFoundError("the callback's state has no '" + std::string(name) + "'", "checkpoint");
  return found->second;
}

Model& Callback::model() const {
  if (!model_) throw FailedPreconditionError("a callback has a model only while fit, evaluate or predict runs", "Callback");
  return *model_;
}

}  // namespace lockstep::nn

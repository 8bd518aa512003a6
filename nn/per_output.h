#pragma once
// PerOutput<T>: an argument of compile or fit that is given once for all outputs (or inputs) of a model, as a list in their order, or by their names.

#include <concepts>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <lockstep/tensor/base/error.h>

namespace lockstep::nn {

/// `"mse"`, `{"mse", "mae"}` or `{{"main", "mse"}, {"aux", "mae"}}`.
template <class T>
class PerOutput {
 public:
  using Named = std::map<std::string, T>;

  PerOutput() = default;
  template <std::convertible_to<T> U>
    requires(!std::same_as<std::remove_cvref_t<U>, PerOutput>)
  PerOutput(U&& value) : value_(std::in_place_index<1>, T(std::forward<U>(value))) {}
  PerOutput(std::vector<T> list) : value_(std::in_place_index<2>, std::move(list)) {}
  PerOutput(std::initializer_list<T> list) : value_(std::in_place_index<2>, list) {}
  PerOutput(std::initializer_list<std::pair<const std::string, T>> named) : value_(std::in_place_index<3>, named) {}
  PerOutput(Named named) : value_(std::in_place_index<3>, std::move(named)) {}

  bool empty() const { return value_.index() == 0; }
  bool is_named() const { return value_.index() == 3; }
  /// Does a map name `name`?
  bool names(const std::string& name) const { return is_named() && std::get<3>(value_).contains(name); }
  /// The number of values given.
  std::size_t size() const { return value_.index() == 0 ? 0 : value_.index() == 1 ? 1 : value_.index() == 2 ? std::get<2>(value_).size() : std::get<3>(value_).size(); }

  /// One value for each name, in the names' order; T() where a map names none, or nothing was given. One value alone is for a model of one
  /// output, or with `broadcast` for each.
  /// Throws InvalidArgumentError (naming `what`) for another number of values, NotFoundError for a name that is none of `names`.
  std::vector<T> resolve(const std::vector<std::string>& names, const std::string& what, bool broadcast = false) const {
    if (empty()) return std::vector<T>(names.size());
    if (broadcast && value_.index() == 1) return std::vector<T>(names.size(), std::get<1>(value_));
    if (value_.index() == 1 || value_.index() == 2) {
      std::vector<T> list = value_.index() == 1 ? std::vector<T>{std::get<1>(value_)} : std::get<2>(value_);
      if (list.size() != names.size())
        throw InvalidArgumentError(what + ": " + std::to_string(list.size()) + (list.size() == 1 ? " is" : " are") + " given, the model has " + std::to_string(names.size()));
      return list;
    }
    std::vector<T> list(names.size());
    for (const auto& [name, value] : std::get<3>(value_)) {
      std::size_t i = 0;
      while (i < names.size() && names[i] != name) ++i;
      if (i == names.size()) {
        std::string all;
        for (const std::string& each : names) all += (all.empty() ? "'" : ", '") + each + "'";
        throw NotFoundError(what + " is given for '" + name + "', the model has " + all);
      }
      list[i] = value;
    }
    return list;
  }

 private:
  std::variant<std::monostate, T, std::vector<T>, Named> value_;
};

}  // namespace lockstep::nn

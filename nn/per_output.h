#pragma once
// PerOutput<T>: an argument of compile or fit that is given once for all outputs (or inputs) of a model, as a list in their order, or by their names.

#include <algorithm>
#include <concepts>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
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
  PerOutput(U&& value) : values_{T(std::forward<U>(value))}, form_(Form::one) {}
  PerOutput(std::vector<T> list) : values_(std::move(list)), form_(Form::list) {}
  PerOutput(std::initializer_list<T> list) : values_(list), form_(Form::list) {}
  PerOutput(std::initializer_list<std::pair<const std::string, T>> named) : PerOutput(Named(named)) {}
  PerOutput(const Named& named) : form_(Form::named) {
    for (const auto& [name, value] : named) names_.push_back(name), values_.push_back(value);
  }

  bool empty() const { return form_ == Form::none; }
  bool is_named() const { return form_ == Form::named; }
  /// Does a map name `name`?
  bool names(const std::string& name) const { return std::find(names_.begin(), names_.end(), name) != names_.end(); }
  /// The number of values given.
  std::size_t size() const { return values_.size(); }

  /// One value for each name, in the names' order; T() where a map names none, or nothing was given. One value alone is for a model of one
  /// output, or with `broadcast` for each.
  /// Throws InvalidArgumentError (naming `what`) for another number of values, NotFoundError for a name that is none of `names`.
  std::vector<T> resolve(const std::vector<std::string>& names, const std::string& what, bool broadcast = false) const {
    if (empty()) return std::vector<T>(names.size());
    if (broadcast && form_ == Form::one) return std::vector<T>(names.size(), values_[0]);
    if (!is_named()) {
      if (values_.size() != names.size())
        throw InvalidArgumentError(what + ": " + std::to_string(values_.size()) + (values_.size() == 1 ? " is" : " are") + " given, the model has " + std::to_string(names.size()));
      return values_;
    }
    std::vector<T> list(names.size());
    for (std::size_t given = 0; given < names_.size(); ++given) {
      const auto found = std::find(names.begin(), names.end(), names_[given]);
      if (found == names.end()) {
        std::string all;
        for (const std::string& each : names) all += (all.empty() ? "'" : ", '") + each + "'";
        throw NotFoundError(what + " is given for '" + names_[given] + "', the model has " + all);
      }
      list[std::size_t(found - names.begin())] = values_[given];
    }
    return list;
  }

 private:
  enum class Form : unsigned char { none, one, list, named };
  std::vector<T> values_;
  std::vector<std::string> names_;  // of the values, if named
  Form form_ = Form::none;
};

}  // namespace lockstep::nn

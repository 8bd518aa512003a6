#pragma once
// Arguments that take one number or several, and are saved as they were given.

#include <concepts>
#include <initializer_list>
#include <string_view>
#include <vector>

#include <lockstep/tensor/base/component.h>

namespace lockstep::nn {

/// Nothing, one number, or a list: `.thresholds = 0.3`, `.thresholds = {0.2, 0.5, 0.8}`.
struct NumberList {
  NumberList() = default;
  template <class T>
    requires std::integral<T> || std::floating_point<T>
  NumberList(T value) : values{double(value)}, single(true) {}
  NumberList(std::initializer_list<double> list) : values(list), given(true) {}
  NumberList(std::vector<double> list) : values(std::move(list)), given(true) {}

  std::vector<double> values;
  bool single = false;
  bool given = single;
};

/// The field `name`: null, a number, or a list of numbers. Throws InvalidArgumentError for anything else.
void visit(Fields& fields, std::string_view name, NumberList& value);

}  // namespace lockstep::nn

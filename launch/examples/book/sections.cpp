#include "sections.h"

#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>

namespace book {
namespace {

bool held = true;

lockstep::Tensor as_float64(const lockstep::Tensor& value) { return lockstep::cast(value, lockstep::float64); }

}  // namespace

void heading(const std::string& title) { std::cout << "\n== " << title << "\n"; }

void show(const std::string& name, const std::string& value) {
  std::cout << name << " ->";
  if (value.find('\n') == std::string::npos) {
    std::cout << " " << value << "\n";
    return;
  }
  std::istringstream lines(value);
  std::cout << "\n";
  for (std::string line; std::getline(lines, line);) std::cout << "    " << line << "\n";
}
void show(const std::string& name, const lockstep::Tensor& value, int precision) { show(name, lockstep::array_to_string(value, {.precision = precision})); }
void show(const std::string& name, double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  show(name, text.str());
}

void check(int number, std::initializer_list<bool> facts) {
  std::cout << "row " << number << ":";
  int fact = 0;
  bool right = true;
  for (const bool holds : facts) {
    ++fact;
    if (!holds) std::cout << " fact " << fact << " does not hold", right = false;
  }
  std::cout << (right ? " ok\n" : "\n");
  held = held && right;
}
bool all_held() { return held; }

bool equals(const lockstep::Tensor& value, const lockstep::NestedLiteral& expected) {
  const lockstep::Tensor wanted = lockstep::constant(expected, value.dtype());
  return value.shape() == wanted.shape() && lockstep::reduce_all(lockstep::equal(value, wanted)).item<bool>();
}
bool near(const lockstep::Tensor& value, const lockstep::NestedLiteral& expected, double tolerance) {
  const lockstep::Tensor wanted = lockstep::constant(expected, lockstep::float64);
  return value.shape() == wanted.shape() && lockstep::reduce_max(lockstep::abs(as_float64(value) - wanted)).item<double>() <= tolerance;
}
bool near(double value, double expected, double tolerance) { return std::abs(value - expected) <= tolerance; }

}  // namespace book

#pragma once
// What the sections of the chapter share: headings, printed values, and the check that closes a row of the table of contents.

#include <functional>
#include <initializer_list>
#include <string>

#include <lockstep/lockstep.h>

namespace book {

// The sections, in the order of the chapter.
void tensors();
void variables();
void data_structures();
void losses();
void components();
void metrics();
void layers();
void models();
void gradients();
void training_loops();
void functions();
void exercises();

void heading(const std::string& title);
/// "name -> value", a matrix on lines of its own.
void show(const std::string& name, const lockstep::Tensor& value, int precision = 8);
void show(const std::string& name, const std::string& value);
/// With few digits: what training gives depends on the last bits of the machine's arithmetic.
void show(const std::string& name, double value, int digits);
/// Closes row `number`: "row 3: ok", or which of the facts does not hold.
void check(int number, std::initializer_list<bool> facts);
/// Did all facts hold so far?
bool all_held();

/// Has `value` these elements and this shape?
bool equals(const lockstep::Tensor& value, const lockstep::NestedLiteral& expected);
bool near(const lockstep::Tensor& value, const lockstep::NestedLiteral& expected, double tolerance = 1e-6);
bool near(double value, double expected, double tolerance = 1e-6);

/// What the Error of kind E says that `f` throws; empty if it throws none.
template <class E>
std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

}  // namespace book

#pragma once
// A stand-in for the California housing data of the book: districts with 8 standardized features and a median house value (in 100,000
// dollars), drawn from a fixed seed, so that the program needs no download and prints the same everywhere.

#include <lockstep/lockstep.h>

namespace book {

struct Housing {
  lockstep::Tensor x_train, y_train;  // (1161, 8), (1161, 1)
  lockstep::Tensor x_valid, y_valid;  // 387
  lockstep::Tensor x_test, y_test;    // 516
};
Housing housing();

}  // namespace book

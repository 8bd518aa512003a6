// Exercise 13 of the book's chapter 12 in full size: Fashion-MNIST by a custom training loop with two optimizers (book/exercise_13.cpp).
//   exercise_13 [EPOCHS]
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include <lockstep/lockstep.h>

#include "book/exercise_13.h"

int main(int argc, char** argv) try {
  book::exercise_13({.epochs = argc > 1 ? std::atoll(argv[1]) : 5, .live = isatty(STDOUT_FILENO) == 1});
  return 0;
} catch (const lockstep::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}

// Chapter 12 of "Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow" (A. Geron, 3rd edition): "Custom Models and Training
// with TensorFlow", in C++. Read it beside the book: a file of the folder book/ for each part of the chapter, in its order. Each row of
// the printed output ends with "row N: ok" if what the book says holds.
#include <iostream>

#include "book/sections.h"

int main() try {
  lockstep::random::set_seed(42);
  book::tensors();
  book::variables();
  book::data_structures();
  book::losses();
  book::components();
  book::metrics();
  book::layers();
  book::models();
  book::gradients();
  book::training_loops();
  book::functions();
  book::exercises();
  return book::all_held() ? 0 : 1;
} catch (const lockstep::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}

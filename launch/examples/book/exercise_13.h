#pragma once
// Exercise 13: Fashion-MNIST by a custom loop, with one optimizer for the lower layers and another for the upper ones.

#include <cstdint>

namespace book {

struct Exercise13 {
  std::int64_t epochs = 5;
  std::int64_t batch_size = 32;
  std::int64_t train_samples = 55000;
  std::int64_t valid_samples = 5000;  // of those that are left
  /// On a terminal, iteration and means are shown while an epoch runs; else once, at its end, and with few digits.
  bool live = false;
};
/// Prints epoch, iteration, mean loss and accuracy; returns the accuracy on the validation set. Throws NotFoundError without the data.
double exercise_13(const Exercise13& options);

}  // namespace book

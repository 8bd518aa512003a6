// The exercises 12 and 13.
#include "exercise_13.h"
#include "layers.h"
#include "sections.h"

using namespace lockstep;

namespace book {

void exercises() {
  heading("Exercise 12: layer normalization (row 31)");
  random::set_seed(42);
  const Tensor x = random::normal({50, 8}, 3, 2);
  MyLayerNormalization mine;
  nn::LayerNormalization keras;
  const auto largest_difference = [&] { return reduce_max(abs(mine(x) - keras(x))).item<float>(); };
  const float untrained = largest_difference();
  const Tensor alpha = random::uniform({8}), beta = random::uniform({8});
  mine.set_weights({alpha, beta});
  keras.set_weights({alpha, beta});
  const float trained = largest_difference();
  show("is the largest difference below 1e-6?", std::string(untrained < 1e-6f ? "yes" : "no"));
  show("and with other weights?", std::string(trained < 1e-6f ? "yes" : "no"));
  check(31, {untrained < 1e-6f, trained < 1e-6f, reduce_max(abs(mine(x))).item<float>() > 0.1f});

  heading("Exercise 13: two optimizers (row 32)");
  const double accuracy = exercise_13({.epochs = 2, .train_samples = 6400, .valid_samples = 1000});
  check(32, {accuracy > 0.6});
}

}  // namespace book

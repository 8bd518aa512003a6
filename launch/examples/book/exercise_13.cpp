#include "exercise_13.h"

#include <cstdio>
#include <vector>

#include <lockstep/lockstep.h>

using namespace lockstep;

namespace book {

double exercise_13(const Exercise13& options) {
  const io::FashionMnist data = io::fashion_mnist();
  const auto pictures = [&](std::int64_t begin, std::int64_t end) { return cast(data.train.images[{slice(begin, end)}], float32) / 255; };
  const std::int64_t last = options.train_samples + options.valid_samples;
  const Tensor x_train = pictures(0, options.train_samples), x_valid = pictures(options.train_samples, last);
  const Tensor y_train = data.train.labels[{slice(0, options.train_samples)}], y_valid = data.train.labels[{slice(options.train_samples, last)}];

  random::set_seed(42);
  const auto lower_layers = std::make_shared<nn::Sequential>(std::initializer_list<Ref<nn::Layer>>{nn::Flatten(), nn::Dense(100, "relu")}, "lower_layers");
  const auto upper_layers = std::make_shared<nn::Sequential>(std::initializer_list<Ref<nn::Layer>>{nn::Dense(10, "softmax")}, "upper_layers");
  nn::Sequential model({lower_layers, upper_layers});
  model.build_for({options.batch_size, 28, 28});
  optim::SGD lower_optimizer({.learning_rate = 0.0001});
  optim::Nadam upper_optimizer({.learning_rate = 0.001});
  const nn::losses::SparseCategoricalCrossentropy loss_fn;
  nn::metrics::Mean mean_loss;
  nn::metrics::SparseCategoricalAccuracy accuracy;

  // One tape, and the gradients of both halves from one walk over it.
  const auto train_step = autodiff::function([&](const Tensor& x, const Tensor& y) {
    autodiff::GradientTape tape;
    const Tensor y_pred = model(x, {.training = true});
    const Tensor loss = loss_fn(y, y_pred);
    const std::vector<Variable> lower = lower_layers->trainable_variables(), upper = upper_layers->trainable_variables();
    std::vector<autodiff::Source> sources(lower.begin(), lower.end());
    sources.insert(sources.end(), upper.begin(), upper.end());
    const std::vector<Gradient> gradients = tape.gradient(loss, sources);
    lower_optimizer.apply(std::span(gradients).first(lower.size()), lower);
    upper_optimizer.apply(std::span(gradients).subspan(lower.size()), upper);
    mean_loss.update_state(loss);
    accuracy.update_state(y, y_pred);
  });
  const auto predict = autodiff::function([&](const Tensor& x) { return model(x); });

  const io::Dataset batches = io::Dataset::from_tensor_slices({x_train, y_train}).shuffle(options.train_samples, {.seed = 42}).batch(options.batch_size, true);
  const auto iterations = static_cast<long long>(batches.cardinality());
  double valid_accuracy = 0;
  for (std::int64_t epoch = 1; epoch <= options.epochs; ++epoch) {
    long long iteration = 0;
    for (const Tensors& batch : batches) {
      train_step(batch[0], batch[1]);
      ++iteration;
      const double loss = mean_loss.result().item<float>(), right = accuracy.result().item<float>();
      const auto epochs = static_cast<long long>(options.epochs), now = static_cast<long long>(epoch);
      if (options.live)
        std::printf("\repoch %lld/%lld  iteration %lld/%lld  mean loss %.4f  accuracy %.2f%%", now, epochs, iteration, iterations, loss, 100 * right), std::fflush(stdout);
      else if (iteration == iterations)
        std::printf("epoch %lld/%lld  iteration %lld/%lld  mean loss %.1f  accuracy %.1f", now, epochs, iteration, iterations, loss, right);
    }
    const Tensor y_pred = predict(x_valid);
    valid_accuracy = reduce_mean(nn::metrics::sparse_categorical_accuracy(y_valid, y_pred)).item<float>();
    const double valid_loss = loss_fn(y_valid, y_pred).item<float>();
    if (options.live)
      std::printf("  validation loss %.4f  accuracy %.2f%%\n", valid_loss, 100 * valid_accuracy);
    else
      std::printf("  validation loss %.1f  accuracy %.1f\n", valid_loss, valid_accuracy);
    std::fflush(stdout);
    mean_loss.reset_states();
    accuracy.reset_states();
  }
  return valid_accuracy;
}

}  // namespace book

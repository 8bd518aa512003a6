// Learns to tell ten kinds of clothes apart on 28 x 28 grey pictures: what ./launch/quickstart runs. Trains on 54,000 pictures, watches 6,000
// others to keep the best weights, and reports on the 10,000 test pictures: accuracy, who was taken for whom, and the surest mistakes.
// Nothing in it depends on how many ranks run it: fit and predict share the work, rank 0 prints (dist::out()) and writes.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>

#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

struct Options {
  std::string model = "mlp";
  std::int64_t epochs = 0;  // 0: what suits the model
  std::int64_t batch_size = 128;
  std::int64_t seed = 42;
  std::int64_t samples = 60000;
  int verbose = 1;
  std::string output = "build/quickstart-results";
  bool resume = false;
  std::int64_t demo_fault = 0;  // the step after which the last rank is killed; 0: never
};

/// Two hidden layers; dropout, so that it may train on the same pictures for longer.
nn::Sequential mlp() {
  return nn::Sequential({nn::InputLayer({28, 28}), nn::Flatten(), nn::Dense({.units = 256, .activation = "relu", .kernel_initializer = "he_normal"}), nn::Dropout(0.3),
                         nn::Dense({.units = 128, .activation = "relu", .kernel_initializer = "he_normal"}), nn::Dropout(0.3), nn::Dense(10, "softmax")},
                        "mlp");
}

/// Two convolutions, each followed by pooling.
nn::Sequential cnn() {
  return nn::Sequential({nn::InputLayer({28, 28}), nn::Reshape({28, 28, 1}), nn::Conv2D({.filters = 32, .kernel_size = 3, .padding = "same", .activation = "relu"}), nn::MaxPooling2D(),
                         nn::Conv2D({.filters = 64, .kernel_size = 3, .padding = "same", .activation = "relu"}), nn::MaxPooling2D(), nn::Flatten(), nn::Dropout(0.3), nn::Dense(128, "relu"),
                         nn::Dropout(0.3), nn::Dense(10, "softmax")},
                        "cnn");
}

/// Pixels from 0 to 1.
Tensor scaled(const Tensor& images) { return cast(images, float32) / 255; }

/// How often class `row` was taken for class `column`.
Tensor confusion_matrix(const Tensor& labels, const Tensor& guesses) { return reshape(bincount(labels * 10 + guesses, 100), {10, 10}); }

/// Writes the wrongly classified pictures of which the model was surest, three times as large, and says what they are.
void show_mistakes(const io::FashionMnist& data, const Tensor& probabilities, const Tensor& guesses, const std::string& path) {
  constexpr std::size_t kMost = 30, kListed = 6;
  constexpr std::int64_t kColumns = 6;
  const Tensor sureness = reduce_max(probabilities, 1);
  const auto sure = sureness.data<float>();
  const auto labels = data.test.labels.data<std::int32_t>(), guessed = guesses.data<std::int32_t>();
  std::vector<std::int32_t> wrong;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != guessed[i]) wrong.push_back(std::int32_t(i));
  if (wrong.empty()) return;
  std::stable_sort(wrong.begin(), wrong.end(), [&](std::int32_t a, std::int32_t b) { return sure[std::size_t(a)] > sure[std::size_t(b)]; });
  wrong.resize(std::min(wrong.size(), kMost));

  const Tensor pictures = gather(data.test.images, constant(wrong));
  io::write_png(path, io::image_grid(repeat(repeat(255 - pictures, {3}, 1), {3}, 2), {.columns = kColumns, .margin = 6, .background = 200}));
  std::cout << "The surest mistakes, of " << wrong.size() << " in " << path << " (row by row):\n";
  for (std::size_t k = 0; k < std::min(wrong.size(), kListed); ++k) {
    const auto i = std::size_t(wrong[k]);
    std::cout << "  test picture " << i << ": " << data.class_names[std::size_t(labels[i])] << ", taken for " << data.class_names[std::size_t(guessed[i])] << " (" << std::fixed << std::setprecision(1)
              << 100 * sure[i] << " % sure)\n";
  }
}

void save_weights(const nn::Model& model, const std::string& path) {
  io::NamedTensors tensors;
  for (const nn::Weight& weight : model.weights()) tensors.emplace_back(weight.variable().path(), weight.variable().value());
  io::save_npz(path, tensors);
}

Options parse(int argc, char** argv) {
  Options options;
  CLI::App app("Trains a classifier on Fashion-MNIST and reports on the test pictures.", "fashion_mnist");
  app.add_option("--model", options.model, "mlp (two hidden layers) or cnn (two convolutions)")->check(CLI::IsMember({"mlp", "cnn"}))->capture_default_str();
  app.add_option("--epochs", options.epochs, "most passes over the training pictures; 0: 20 for mlp, 12 for cnn")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--batch-size", options.batch_size, "pictures in a step")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--seed", options.seed, "of the weights, the order of the pictures and dropout")->capture_default_str();
  app.add_option("--samples", options.samples, "training pictures to use, from 10 to 60000")->check(CLI::Range(10, 60000))->capture_default_str();
  app.add_option("--verbose", options.verbose, "0: silent; 1: a progress line; 2: one line per epoch")->check(CLI::Range(0, 2))->capture_default_str();
  app.add_option("--output", options.output, "directory for the results")->capture_default_str();
  app.add_flag("--resume", options.resume, "go on from the last checkpoint in the output directory");
  app.add_option("--demo-fault", options.demo_fault, "kill the last rank after so many steps, to see the job go on with --resume; 0: never")->check(CLI::NonNegativeNumber);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  if (options.epochs == 0) options.epochs = options.model == "mlp" ? 20 : 12;
  return options;
}

void run(const Options& options) {
  std::filesystem::create_directories(options.output);
  const std::string checkpoints = options.output + "/checkpoints";
  if (!options.resume && dist::is_chief()) std::filesystem::remove_all(checkpoints);  // an earlier training's
  dist::communicator().barrier("output directory");
  random::set_seed(options.seed);
  const io::FashionMnist data = io::fashion_mnist();
  const Tensor x = scaled(data.train.images[{slice(0, options.samples)}]), y = data.train.labels[{slice(0, options.samples)}];
  const Tensor x_test = scaled(data.test.images);

  nn::Sequential model = options.model == "mlp" ? mlp() : cnn();
  dist::out() << model.summary();
  constexpr double kValidation = 0.1;
  const double steps = std::ceil(std::floor(double(options.samples) * (1 - kValidation)) / double(options.batch_size));
  model.compile({.optimizer = optim::Adam({.learning_rate = optim::CosineDecay({.initial_learning_rate = 1e-3, .decay_steps = steps * double(options.epochs), .alpha = 0.01})}),
                 .loss = "sparse_categorical_crossentropy",
                 .metrics = {"accuracy"}});
  const auto die = nn::LambdaCallback({.on_train_batch_end = [&](std::int64_t, const nn::BatchLogs&) {
    if (options.demo_fault > 0 && model.position().step == options.demo_fault && dist::rank() == dist::world_size() - 1) std::raise(SIGKILL);
  }});
  const auto start = std::chrono::steady_clock::now();
  const nn::History history = model.fit(x, y,
                                        {.batch_size = options.batch_size,
                                         .epochs = options.epochs,
                                         .verbose = options.verbose,
                                         .callbacks = {nn::EarlyStopping({.monitor = "val_accuracy", .patience = 5, .restore_best_weights = true}),
                                                       io::ModelCheckpoint({.directory = checkpoints, .every_steps = 100, .keep = 2}), die},
                                         .validation_split = kValidation,
                                         .seed = options.seed,
                                         .resume = options.resume ? io::resume_from(checkpoints) : nullptr});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  io::save_keras(model, options.output + "/model.keras");
  const Tensor probabilities = model.predict(x_test, {.batch_size = 500, .verbose = 0});
  const Tensor guesses = argmax(probabilities, 1, int32);
  const std::string table = io::format_confusion_matrix(confusion_matrix(data.test.labels, guesses), data.class_names);
  const double accuracy = reduce_mean(cast(equal(guesses, data.test.labels), float64)).item<double>();
  std::ostringstream line;
  line << "test accuracy " << std::fixed << std::setprecision(2) << 100 * accuracy << " % (" << options.model << ", " << model.count_params() << " weights, " << history.epoch.size() << " epochs in "
       << std::setprecision(0) << seconds << " s on " << dist::world_size() << (dist::world_size() == 1 ? " rank)\n" : " ranks)\n");
  if (!dist::is_chief()) return;
  std::cout << "\nWhat the test pictures show (rows), and what they were taken for (columns):\n" << table << "\n";
  show_mistakes(data, probabilities, guesses, options.output + "/mistakes.png");
  save_weights(model, options.output + "/weights.npz");
  std::cout << "\n" << line.str();
  std::ofstream(options.output + "/report.txt") << line.str() << "\n" << table;
}

}  // namespace

int main(int argc, char** argv) try {
  run(parse(argc, argv));
  return 0;
} catch (const Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
} catch (const std::filesystem::filesystem_error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}

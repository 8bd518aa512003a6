// Saves two generations of a checkpoint, and is killed in the middle of the second: committer DIR [STEP RANK]. Without STEP it is not killed. The weights are
// the same in every run.
#include <csignal>
#include <iostream>
#include <string>

#include <lockstep/io/checkpoint_files.h>
#include <lockstep/lockstep.h>

using namespace lockstep;

int main(int argc, char** argv) try {
  const std::string folder = argv[1], step = argc > 2 ? argv[2] : "";
  const int rank = argc > 3 ? std::stoi(argv[3]) : 0;
  nn::Sequential model({nn::InputLayer({6}), nn::Dense(300, "relu"), nn::Dense(1000), nn::Dense(1)});
  model.compile({.optimizer = optim::Adam({.learning_rate = 0.01}), .loss = "mse"});
  const Tensor x = random::normal_from(constant(std::vector<std::int64_t>{1, 1}), {8, 6}), y = random::normal_from(constant(std::vector<std::int64_t>{1, 2}), {8, 1});
  nn::FitOptions options{.batch_size = 8, .verbose = 0, .shuffle = false, .resume = io::resume_from(folder)};
  options.epochs = 1;
  if (!options.resume->position()) {
    model.fit(x, y, options);
    io::save_checkpoint(model, folder);
    options.initial_epoch = 1;
  }
  options.epochs = 2;
  model.fit(x, y, options);
  io::write_generation(io::take_snapshot(model), folder, dist::communicator(), [&](const std::string& here) {
    if (here == step && dist::rank() == rank) std::raise(SIGKILL);
  });
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return 1;
}

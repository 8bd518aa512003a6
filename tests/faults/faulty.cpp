// A job in which something goes wrong on purpose: faulty CASE. Prints "ready" when it has begun, and for the rest is a usual program: errors go to
// stderr, and main returns 1.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

void reduce(std::int64_t size, const std::string& label) { dist::all_reduce(ones({size}), dist::ReduceOp::sum, {.label = label}); }

/// Reduces until somebody puts an end to it.
void reduce_forever() {
  for (;;) {
    reduce(1000, "forever");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void train(nn::FitOptions options, nn::Choice<nn::Loss> loss) {
  nn::Sequential model({nn::InputLayer({4}), nn::Dense(8, "relu"), nn::Dense(dist::rank() == 1 && options.initial_epoch == 7 ? 2 : 1)});
  options.initial_epoch = 0;
  model.compile({.optimizer = "sgd", .loss = std::move(loss)});
  const nn::History history = model.fit(ones({64, 4}), ones({64, 1}), options);
  if (history.interrupted) std::cout << "rank " << dist::rank() << " was interrupted after epoch " << history.epoch.back() << std::endl;
}

}  // namespace

int main(int, char** argv) try {
  const std::string what = argv[1];
  const int own = dist::rank(), last = dist::world_size() - 1;
  reduce(4, "first");
  dist::out() << "ready" << std::endl;
  std::cout << "process " << own << " " << getpid() << std::endl;
  if (what == "forever") reduce_forever();
  else if (what == "killed") {
    if (own == last) raise(SIGKILL);
    reduce_forever();
  } else if (what == "stopped") {
    if (own == last) raise(SIGSTOP);
    reduce(1000, "after the stop");
  } else if (what == "shape") reduce(own == last ? 11 : 10, "sizes");
  else if (what == "order") {
    if (own == last) dist::communicator().barrier("other");
    else reduce(10, "one");
  } else if (what == "fewer") {
    if (own != last) reduce(10, "not on the last rank");
  } else if (what == "throws") {
    train({.verbose = 0}, nn::Choice<nn::Loss>([own, last](const Tensor& y, const Tensor& p) -> Tensor {
            if (own == last) throw std::runtime_error("the user's own message");
            return reduce_mean(square(y - p), -1);
          }));
  } else if (what == "model") train({.verbose = 0, .initial_epoch = 7}, "mse");
  else if (what == "train") train({.batch_size = 8, .epochs = 1000000, .verbose = 0}, "mse");
  else if (what == "exit") return own == last ? 3 : 0;
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return 1;
}

// Fits a line to the stopping distances of cars (Ezekiel, 1930: speed in miles an hour, distance in feet) with nothing but tensors,
// variables, a tape and a traced function.
#include <fstream>
#include <iostream>

#include <lockstep/lockstep.h>

using namespace lockstep;

int main(int argc, char** argv) try {
  const std::string path = argc > 1 ? argv[1] : "launch/examples/cars.csv";
  std::ifstream file(path);
  if (!file) throw NotFoundError("cannot read " + path);
  std::vector<float> speeds, distances;
  std::string header;
  std::getline(file, header);
  char comma;
  for (float speed, distance; file >> speed >> comma >> distance;) speeds.push_back(speed), distances.push_back(distance);

  const Tensor x = constant(speeds), y = constant(distances);
  const Tensor mean = reduce_mean(x), spread = reduce_std(x);
  const Variable slope(constant(0.0f), {.path = "slope"}), bias(constant(0.0f), {.path = "bias"});

  // Traced at the first call; from then on forward pass, gradients and updates run as one optimized graph.
  const auto train_step = autodiff::function([&](const Tensor& x, const Tensor& y) {
    autodiff::GradientTape tape;
    const Tensor prediction = slope.value() * (x - mean) / spread + bias.value();
    const Tensor loss = reduce_mean(square(prediction - y));
    const auto gradients = tape.gradient(loss, {slope, bias});
    slope.assign_sub(0.1f * gradients[0].dense());
    bias.assign_sub(0.1f * gradients[1].dense());
    return loss;
  });

  for (int step = 1; step <= 100; ++step) {
    const Tensor loss = train_step(x, y);
    if (step == 1 || step % 25 == 0) std::cout << "step " << step << "  loss " << loss.item<float>() << "\n";
  }
  const Tensor per_mph = slope.value() / spread;
  std::cout << "distance = " << (bias.value() - per_mph * mean).item<float>() << " + " << per_mph.item<float>() << " * speed\n";
  return 0;
} catch (const Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}

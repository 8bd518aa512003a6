// Why Huber: house values by income, where one report in twelve got a digit too many. The squared error bends the fit towards the wrong
// reports, the Huber loss hardly notices them. Writes a picture: reports in grey, the fit by squared errors in red, by Huber in blue.
//   huber_outliers [PICTURE.png [EPOCHS]]
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iostream>

#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

struct Reports {
  Tensor income, value;  // (n, 1)
  Tensor true_value;     // without noise and wrong digits
};
Reports reports(std::int64_t n) {
  const Tensor income = random::uniform({n, 1}, -2, 2);
  const Tensor true_value = 2 + income + 0.5 * sin(2 * income);
  const Tensor noisy = true_value + random::normal({n, 1}, 0, 0.2);
  const Tensor wrong = random::uniform({n, 1}) < 1. / 12;
  return {income, where(wrong, 10 * abs(noisy), noisy), true_value};
}

nn::Sequential fit(const Reports& data, const nn::LossChoice& loss, std::int64_t epochs) {
  random::set_seed(42);
  nn::Sequential model({nn::Dense(32, "tanh"), nn::Dense(32, "tanh"), nn::Dense(1)});
  model.compile({.optimizer = optim::Adam({.learning_rate = 0.005}), .loss = loss});
  model.fit(data.income, data.value, {.epochs = epochs, .verbose = 0});
  return model;
}

/// A picture with axes from (-2, -1) to (2, 20), on which points are drawn as little squares.
class Plot {
 public:
  void draw(const Tensor& x, const Tensor& y, std::array<std::uint8_t, 3> colour, int radius) {
    const auto xs = x.data<float>(), ys = y.data<float>();
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const int column = int(std::lround((xs[i] + 2) / 4 * (kWidth - 1))), row = int(std::lround((20 - ys[i]) / 21 * (kHeight - 1)));
      for (int r = std::max(0, row - radius); r <= std::min(kHeight - 1, row + radius); ++r)
        for (int c = std::max(0, column - radius); c <= std::min(kWidth - 1, column + radius); ++c) std::copy(colour.begin(), colour.end(), pixels_.begin() + (r * kWidth + c) * 3);
    }
  }
  void write(const std::string& path) const { io::write_png(path, constant(pixels_, {kHeight, kWidth, 3})); }

 private:
  static constexpr int kWidth = 640, kHeight = 420;
  std::vector<std::uint8_t> pixels_ = std::vector<std::uint8_t>(std::size_t(kWidth) * kHeight * 3, 255);
};

}  // namespace

int main(int argc, char** argv) try {
  const std::int64_t epochs = argc > 2 ? std::atoll(argv[2]) : 60;
  random::set_seed(42);
  const Reports data = reports(1000);
  nn::Sequential squared = fit(data, "mse", epochs), robust = fit(data, nn::losses::Huber(), epochs);

  const auto error = [&](nn::Model& model) { return reduce_mean(abs(model.predict(data.income, {.verbose = 0}) - data.true_value)).item<float>(); };
  std::cout << std::fixed << std::setprecision(2) << "mean error from the true values\n"
            << "  squared error  " << error(squared) << "\n"
            << "  Huber          " << error(robust) << "\n";
  std::cout << (error(robust) < error(squared) ? "Huber comes closer.\n" : "The squared error comes closer.\n");

  if (argc > 1) {
    const Tensor line = reshape(linspace(-2, 2, 2000), {-1, 1});
    Plot plot;
    plot.draw(data.income, data.value, {170, 170, 170}, 1);
    plot.draw(line, squared.predict(line, {.verbose = 0}), {200, 40, 40}, 1);
    plot.draw(line, robust.predict(line, {.verbose = 0}), {30, 80, 200}, 1);
    plot.write(argv[1]);
    std::cout << "The picture is in " << argv[1] << "\n";
  }
  return 0;
} catch (const Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}

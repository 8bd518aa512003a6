// Fashion-MNIST with little data: a convolutional network learns from a few hundred pictures, once as they are and once shifted and dimmed at random by
// layers of the model. Prints both accuracies on the test pictures, and writes a sheet of augmented pictures if given a path:
// augmented_fashion_mnist [PICTURES] [EPOCHS] [SHEET.png].
#include <iomanip>
#include <iostream>
#include <optional>
#include <string>

#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

/// Moves each picture by at most one pixel either way, in training; a layer of one's own from a function of tensor/image_random.h.
class RandomShift : public nn::Layer {
 protected:
  void build(const Shape&) override { generator_ = add_generator("seed_generator", {}); }
  Tensor call(const Tensor& x, const nn::CallOptions& options) override {
    if (!options.training) return x;
    const Shape& shape = x.shape();
    return image::random_crop(pad(x, {{0, 0}, {1, 1}, {1, 1}, {0, 0}}), {shape[1], shape[2]}, nn::sample_key(*generator_, {shape[0]}));
  }

 private:
  std::optional<Generator> generator_;
};

/// Clothes look alike a little aside and in another light. (Not in a mirror: nearly all shoes point to the left, those of the test too.)
std::vector<std::shared_ptr<nn::Layer>> augmentation() {
  const auto layer = [](auto each) { return std::make_shared<decltype(each)>(std::move(each)); };
  return {layer(RandomShift()), layer(nn::RandomContrast({.factor = {0.0, 0.2}, .value_range = {0, 1}}))};
}

nn::Sequential network(bool augmented) {
  nn::Sequential model({nn::InputLayer({28, 28, 1})});
  if (augmented)
    for (const auto& layer : augmentation()) model.add(layer);
  for (const std::int64_t filters : {16, 32}) {
    model.add(nn::Conv2D({.filters = filters, .kernel_size = 3, .padding = "same", .activation = "relu"}));
    model.add(nn::MaxPooling2D());
  }
  model.add(nn::Flatten());
  model.add(nn::Dense(64, "relu"));
  model.add(nn::Dense(10, "softmax"));
  return model;
}

/// Each of the pictures, and beside it what augmentation made of it.
void write_sheet(const Tensor& pictures, const std::string& path) {
  std::vector<Tensor> columns{pictures};
  for (int i = 0; i < 7; ++i) {
    Tensor x = pictures;
    for (const auto& layer : augmentation()) x = (*layer)(x, {.training = true});
    columns.push_back(x);
  }
  const Tensor sheet = reshape(stack(columns, 1), {-1, 28, 28});
  io::write_png(path, io::image_grid(image::convert_image_dtype(sheet, uint8, true), {.columns = std::int64_t(columns.size())}));
}

}  // namespace

int main(int argc, char** argv) try {
  const std::int64_t pictures = argc > 1 ? std::stoll(argv[1]) : 500, epochs = argc > 2 ? std::stoll(argv[2]) : 80;
  const io::FashionMnist data = io::fashion_mnist();
  const auto scaled = [](const Tensor& images) { return expand_dims(image::convert_image_dtype(images, float32), -1); };
  const Tensor x = scaled(data.train.images[{slice(0, pictures)}]), y = data.train.labels[{slice(0, pictures)}], x_test = scaled(data.test.images);
  random::set_seed(42);
  if (argc > 3) write_sheet(x[{slice(0, 8)}], argv[3]);
  for (const bool augmented : {false, true}) {
    nn::Sequential model = network(augmented);
    model.compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
    model.fit(x, y, {.batch_size = 64, .epochs = epochs, .verbose = 0, .seed = 1});
    const auto result = model.evaluate(x_test, data.test.labels, {.batch_size = 500, .verbose = 0});
    std::cout << std::left << std::setw(15) << (augmented ? "augmented" : "as they are") << "test accuracy " << std::fixed << std::setprecision(1) << 100 * result.at("accuracy") << " %\n";
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}

#include <lockstep/io/fashion_mnist.h>

#include <cstdlib>
#include <filesystem>

#include <lockstep/io/idx.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

namespace fs = std::filesystem;

fs::path directory() {
  const char* chosen = std::getenv("LOCKSTEP_DATA");
  if (!chosen || !*chosen) return "/usr/share/datasets/fashion-mnist";  // where the package puts them
  const fs::path inside = fs::path(chosen) / "fashion-mnist";
  return fs::is_directory(inside) ? inside : fs::path(chosen);
}

Tensor read(const std::string& name) {
  const fs::path plain = directory() / name, gzipped = plain.string() + ".gz";
  for (const fs::path& path : {gzipped, plain})
    if (fs::exists(path)) return read_idx(path.string());
  throw NotFoundError("Fashion-MNIST is not there: no " + gzipped.string(), {}, "apt-get install dataset-fashion-mnist, or set LOCKSTEP_DATA to the directory of the four files");
}

LabelledImages read_set(const std::string& prefix, std::size_t class_count) {
  const Tensor images = read(prefix + "-images-idx3-ubyte"), labels = read(prefix + "-labels-idx1-ubyte");
  const auto refuse = [&](const std::string& why) { throw DataLossError("the " + prefix + " files of Fashion-MNIST in " + directory().string() + " " + why); };
  if (images.dtype() != uint8 || images.ndim() != 3 || images.shape()[1] != 28 || images.shape()[2] != 28) refuse("hold " + to_string(images.spec()) + " instead of images uint8 (n, 28, 28)");
  if (labels.spec() != TensorSpec{uint8, {images.shape()[0]}}) refuse("hold " + to_string(labels.spec()) + " instead of labels uint8 (" + std::to_string(images.shape()[0]) + ",)");

  Tensor classes = Tensor::empty(labels.shape(), int32);
  const auto from = labels.data<std::uint8_t>();
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] >= class_count) refuse("have the label " + std::to_string(from[i]) + " at position " + std::to_string(i) + ", there are " + std::to_string(class_count) + " classes");
    classes.mutable_data<std::int32_t>()[i] = from[i];
  }
  return {images, classes};
}

}  // namespace

FashionMnist fashion_mnist() {
  FashionMnist data;
  data.class_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};
  data.train = read_set("train", data.class_names.size());
  data.test = read_set("t10k", data.class_names.size());
  return data;
}

}  // namespace lockstep::io

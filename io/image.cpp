#include <lockstep/io/image.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/image.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io {
namespace {

void require_images(const Tensor& images, int axes, const char* function) {
  if (!images.defined() || images.is_symbolic()) throw InvalidArgumentError("there are no elements to look at", function);
  if (images.dtype() != uint8) throw TypeError("an image is uint8, not " + to_string(images.spec()), function, "scale to 0 ... 255 and cast");
  if (images.ndim() != axes && images.ndim() != axes + 1)
    throw InvalidArgumentError("expected " + std::to_string(axes) + " axes, or one more for the channels, got " + to_string(images.spec()), function);
}

}  // namespace

void write_png(const std::string& path, const Tensor& image) {
  require_images(image, 2, "write_png");
  const std::int64_t channels = image.ndim() == 3 ? image.shape()[2] : 1;
  if (channels != 1 && channels != 3) throw InvalidArgumentError("an image has 1 or 3 channels, not " + to_string(image.spec()), "write_png");
  const Unheard unheard;  // written now, also in the middle of a trace
  const std::string bytes = image::encode_png(reshape(to(image, "cpu"), {image.shape()[0], image.shape()[1], channels})).item<std::string>();

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "wb"));
  if (!file) throw NotFoundError("cannot open '" + path + "' for writing: " + std::strerror(errno));
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
  if (!written || std::fclose(file.release()) != 0) throw ResourceExhaustedError("cannot write '" + path + "': " + std::strerror(errno));
}

Tensor image_grid(const Tensor& images, const GridOptions& options) {
  require_images(images, 3, "image_grid");
  if (options.columns < 0 || options.margin < 0) throw InvalidArgumentError("columns and margin must not be negative", "image_grid");
  const std::int64_t n = images.shape()[0], height = images.shape()[1], width = images.shape()[2];
  if (n == 0) throw InvalidArgumentError("there is no image to lay out: " + to_string(images.spec()), "image_grid");
  const std::int64_t channels = images.ndim() == 4 ? images.shape()[3] : 1;
  const std::int64_t columns = options.columns > 0 ? options.columns : std::int64_t(std::ceil(std::sqrt(double(n))));
  const std::int64_t rows = (n + columns - 1) / columns, margin = options.margin;

  Shape shape{rows * (height + margin) + margin, columns * (width + margin) + margin};
  if (images.ndim() == 4) shape.push_back(channels);
  Tensor grid = Tensor::empty(shape, uint8);
  auto* to = grid.mutable_data<std::uint8_t>();
  std::fill_n(to, grid.numel(), options.background);
  const auto* from = static_cast<const std::uint8_t*>(images.host_raw());
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t y = 0; y < height; ++y) {
      const std::int64_t top = margin + i / columns * (height + margin) + y, left = margin + i % columns * (width + margin);
      std::copy_n(from + (i * height + y) * width * channels, width * channels, to + (top * shape[1] + left) * channels);
    }
  return grid;
}

}  // namespace lockstep::io

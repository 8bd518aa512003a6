#include <lockstep/tensor/image_random.h>

#include <cmath>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/image.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/image.h>
#include <lockstep/tensor/random.h>

namespace lockstep::image {
namespace {

void require_images(const Tensor& images, const char* function) {
  if (!images.defined() || !images.shape().known() || (images.ndim() != 3 && images.ndim() != 4))
    throw InvalidArgumentError("images are (height, width, channels) or (batch, height, width, channels)" + (images.defined() ? ", got " + to_string(images.spec()) : std::string()), function);
}
void require_colours(const Tensor& images, const char* function) {
  require_images(images, function);
  if (images.shape().dim(-1) != 3) throw InvalidArgumentError("needs 3 channels, got " + to_string(images.spec()), function);
}
void require_order(double lower, double upper, double least, const char* function) {
  if (!(least <= lower && lower < upper && std::isfinite(upper))) throw InvalidArgumentError("the bounds must be " + std::to_string(least) + " <= lower < upper, got " + std::to_string(lower) + " and " + std::to_string(upper), function);
}

Tensor given_or_next(const Tensor& key) { return key.defined() ? key : random::global_generator().next_key(); }

/// One number for each image, as wide as `images` has axes: (batch, 1, 1, 1) or (1, 1, 1).
Tensor one_each(const Tensor& images, const Tensor& key, double low, double high, DType dtype) {
  const bool batch = images.ndim() == 4;
  const std::int64_t count = batch ? images.shape()[0] : 1;
  return reshape(random::uniform_from(given_or_next(key), {count}, low, high, dtype), batch ? Ints{count, 1, 1, 1} : Ints{1, 1, 1});
}

/// `change(images as floats, one number each)`, back in the images' dtype.
template <class F>
Tensor changed(const Tensor& images, const Tensor& key, double low, double high, F&& change) {
  const DType given = images.dtype();
  const Tensor x = is_float(given) ? images : convert_image_dtype(images, float32);
  const Tensor result = change(x, cast(one_each(x, key, low, high, x.dtype() == float64 ? float64 : float32), x.dtype()));
  return is_float(given) ? result : convert_image_dtype(result, given, true);
}

Tensor flipped(const Tensor& images, const Tensor& key, int axis) { return where(one_each(images, key, 0, 1, float32) < 0.5, reverse(images, axis), images); }

}  // namespace

Tensor random_flip_left_right(const Tensor& images, const Tensor& key) {
  require_images(images, "random_flip_left_right");
  return flipped(images, key, -2);
}
Tensor random_flip_up_down(const Tensor& images, const Tensor& key) {
  require_images(images, "random_flip_up_down");
  return flipped(images, key, -3);
}

Tensor random_crop(const Tensor& images, const Ints& size, const Tensor& key) {
  require_images(images, "random_crop");
  const Shape& shape = images.shape();
  const std::int64_t height = shape.dim(-3), width = shape.dim(-2), channels = shape.dim(-1), count = images.ndim() == 4 ? shape[0] : 1;
  if (size.size() != 2 || size[0] < 1 || size[1] < 1 || size[0] > height || size[1] > width)
    throw InvalidArgumentError("the size must be {height, width} within " + std::to_string(height) + " x " + std::to_string(width) + ", got " + to_string(AttrValue(size)), "random_crop");
  // One draw an image decides both offsets, so that images count as draws do.
  const Tensor place = random::uniform_from(given_or_next(key), {count}, 0, (height - size[0] + 1) * (width - size[1] + 1), int64);
  const Tensor columns = scalar(width - size[1] + 1, int64);
  const Tensor top = reshape(floordiv(place, columns), {count, 1, 1}), left = reshape(mod(place, columns), {count, 1, 1});
  const Tensor rows = reshape(range(0, size[0], 1, int64), {size[0], 1}), across = range(0, size[1], 1, int64), first = reshape(range(0, count, 1, int64) * height, {count, 1, 1});
  const Tensor pixels = gather(reshape(images, {count * height * width, channels}), (first + top + rows) * width + left + across);
  return images.ndim() == 4 ? pixels : squeeze(pixels, 0);
}

Tensor random_brightness(const Tensor& images, double max_delta, const Tensor& key) {
  require_images(images, "random_brightness");
  require_order(0, max_delta, 0, "random_brightness");
  return changed(images, key, -max_delta, max_delta, [](const Tensor& x, const Tensor& delta) { return x + delta; });
}
Tensor random_contrast(const Tensor& images, double lower, double upper, const Tensor& key) {
  require_images(images, "random_contrast");
  require_order(lower, upper, 0, "random_contrast");
  return changed(images, key, lower, upper, with_contrast);
}

Tensor random_hue(const Tensor& images, double max_delta, const Tensor& key) {
  require_order(0, max_delta, 0, "random_hue");
  if (max_delta > 0.5) throw InvalidArgumentError("max_delta must be at most 0.5, got " + std::to_string(max_delta), "random_hue");
  require_colours(images, "random_hue");
  return changed(images, key, -max_delta, max_delta, with_hue);
}
Tensor random_saturation(const Tensor& images, double lower, double upper, const Tensor& key) {
  require_order(lower, upper, 0, "random_saturation");
  require_colours(images, "random_saturation");
  return changed(images, key, lower, upper, with_saturation);
}

}  // namespace lockstep::image

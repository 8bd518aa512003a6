#include <lockstep/nn/layers/image.h>

#include <algorithm>
#include <cmath>

#include <lockstep/nn/layers/regularization.h>
#include <lockstep/nn/layers/spatial.h>
#include <lockstep/tensor/image.h>
#include <lockstep/tensor/image_random.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/image.h>

namespace lockstep::nn {
namespace {

/// `f` of channels-last images, the result in the layer's format again.
template <class F>
Tensor of_images(const Tensor& x, const std::string& data_format, F&& f) {
  const bool first = data_format == "channels_first";
  if ((x.ndim() != 3 && x.ndim() != 4) || (first && x.ndim() == 3)) throw InvalidArgumentError("the input must be (batch, height, width, channels), or one image with channels last, got " + to_string(x.shape()));
  return spatial::as_format(f(spatial::channels_last(x, data_format)), data_format);
}

struct Window {
  std::int64_t height, width;
};
/// The largest window of that aspect ratio.
Window window_of(const Shape& images, std::int64_t height, std::int64_t width) {
  const std::int64_t h = images.dim(-3), w = images.dim(-2);
  const auto share = [](std::int64_t a, std::int64_t b, std::int64_t c) { return std::int64_t(double(a * b) / double(c)); };
  return {std::clamp<std::int64_t>(share(w, height, width), 1, h), std::clamp<std::int64_t>(share(h, width, height), 1, w)};
}
Tensor middle(const Tensor& images, Window window) {
  return image::crop_to_bounding_box(images, (images.shape().dim(-3) - window.height) / 2, (images.shape().dim(-2) - window.width) / 2, window.height, window.width);
}
/// The middle window of the aspect ratio, resized, in the images' dtype.
Tensor fitted(const Tensor& images, std::int64_t height, std::int64_t width) {
  return cast(image::resize(middle(images, window_of(images.shape(), height, width)), {height, width}), images.dtype());
}
bool holds(const Tensor& images, std::int64_t height, std::int64_t width) { return images.shape().dim(-3) >= height && images.shape().dim(-2) >= width; }

void require_target_size(std::int64_t height, std::int64_t width, const char* layer) {
  if (height < 1 || width < 1) throw InvalidArgumentError("height and width must be positive, got " + std::to_string(height) + " and " + std::to_string(width), layer);
}

}  // namespace

// ---- Resizing

void Resizing::fields(Fields& f) {
  Layer::fields(f);
  f.required({"height", "width"});
  f.field("height", options_.height);
  f.field("width", options_.width);
  f.field("interpolation", options_.interpolation);
  f.field("crop_to_aspect_ratio", options_.crop_to_aspect_ratio);
  f.field("pad_to_aspect_ratio", options_.pad_to_aspect_ratio);
  std::string fill_mode = "constant";
  f.field("fill_mode", fill_mode);
  require(fill_mode == "constant", "fill_mode must be \"constant\", got \"" + fill_mode + "\"");
  f.field("fill_value", options_.fill_value);
  f.field("antialias", options_.antialias);
  f.field("data_format", options_.data_format);
}
void Resizing::configured() {
  require_target_size(options_.height, options_.width, "Resizing");
  spatial::require_format(options_.data_format);
  require(!options_.crop_to_aspect_ratio || !options_.pad_to_aspect_ratio, "crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other");
  const auto known = {"bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"};
  require(std::find(known.begin(), known.end(), options_.interpolation) != known.end(), "there is no interpolation \"" + options_.interpolation + "\"");
}
Tensor Resizing::call(const Tensor& x) {
  return of_images(x, options_.data_format, [&](Tensor images) {
    const std::int64_t height = options_.height, width = options_.width, h = images.shape().dim(-3), w = images.shape().dim(-2);
    if (options_.crop_to_aspect_ratio) images = middle(images, window_of(images.shape(), height, width));
    if (options_.pad_to_aspect_ratio) {
      const std::int64_t padded_height = std::max(h, std::int64_t(double(w * height) / double(width))), padded_width = std::max(w, std::int64_t(double(h * width) / double(height)));
      IntLists paddings(std::size_t(images.ndim()), Ints{0, 0});
      const std::int64_t top = (padded_height - h) / 2, left = (padded_width - w) / 2;
      paddings[std::size_t(images.ndim() - 3)] = {top, padded_height - h - top};
      paddings[std::size_t(images.ndim() - 2)] = {left, padded_width - w - left};
      images = pad(images, paddings, "constant", options_.fill_value);
    }
    const Tensor resized = image::resize(images, {height, width}, {.method = options_.interpolation, .antialias = options_.antialias});
    if (resized.dtype() == x.dtype()) return resized;
    // Integers stay integers: rounded, and kept within their range.
    if (!is_integer(x.dtype())) return cast(resized, x.dtype());
    return image::saturated(round(resized), x.dtype());
  });
}

// ---- CenterCrop

void CenterCrop::fields(Fields& f) {
  Layer::fields(f);
  f.required({"height", "width"});
  f.field("height", options_.height);
  f.field("width", options_.width);
  f.field("data_format", options_.data_format);
}
void CenterCrop::configured() {
  require_target_size(options_.height, options_.width, "CenterCrop");
  spatial::require_format(options_.data_format);
}
Tensor CenterCrop::call(const Tensor& x) {
  return of_images(cast(x, compute_dtype()), options_.data_format, [&](const Tensor& images) {
    return holds(images, options_.height, options_.width) ? middle(images, {options_.height, options_.width}) : fitted(images, options_.height, options_.width);
  });
}

// ---- the random ones

void RandomImageLayer::fields(Fields& f) {
  Layer::fields(f);
  f.field("data_format", randomness_.data_format);
  f.field("seed", randomness_.seed);
}
void RandomImageLayer::configured() { spatial::require_format(randomness_.data_format); }
void RandomImageLayer::build(const Shape& input) {
  static_cast<void>(input);
  generator_ = add_generator("seed_generator", randomness_.seed);
}
Tensor RandomImageLayer::call(const Tensor& x, const CallOptions& options) {
  return of_images(cast(x, compute_dtype()), randomness_.data_format, [&](const Tensor& images) { return options.training ? change(images) : keep(images); });
}
Tensor RandomImageLayer::key_for(const Tensor& images) const { return sample_key(*generator_, images.ndim() == 4 ? Shape{images.shape()[0]} : Shape{}); }

void RandomFlip::fields(Fields& f) {
  RandomImageLayer::fields(f);
  f.field("mode", mode_);
}
void RandomFlip::configured() {
  RandomImageLayer::configured();
  require(mode_ == "horizontal" || mode_ == "vertical" || mode_ == "horizontal_and_vertical", "mode must be \"horizontal\", \"vertical\" or \"horizontal_and_vertical\", got \"" + mode_ + "\"");
}
Tensor RandomFlip::change(const Tensor& images) {
  Tensor result = images;
  if (mode_ != "vertical") result = image::random_flip_left_right(result, key_for(images));
  if (mode_ != "horizontal") result = image::random_flip_up_down(result, key_for(images));
  return result;
}

void RandomCrop::fields(Fields& f) {
  RandomImageLayer::fields(f);
  f.required({"height", "width"});
  f.field("height", height_);
  f.field("width", width_);
}
void RandomCrop::configured() {
  RandomImageLayer::configured();
  require_target_size(height_, width_, "RandomCrop");
}
Tensor RandomCrop::change(const Tensor& images) { return holds(images, height_, width_) ? image::random_crop(images, {height_, width_}, key_for(images)) : fitted(images, height_, width_); }
Tensor RandomCrop::keep(const Tensor& images) { return fitted(images, height_, width_); }

void RandomValueLayer::fields(Fields& f) {
  RandomImageLayer::fields(f);
  f.required({"factor"});
  f.field("factor", factor_);
  f.field("value_range", range_);
}
void RandomValueLayer::configured() {
  RandomImageLayer::configured();
  require(factor_.size() == 1 || factor_.size() == 2, "factor must be one number or two");
  if (factor_.size() == 1) factor_ = {std::max(-std::fabs(factor_[0]), least_), std::fabs(factor_[0])};
  std::sort(factor_.begin(), factor_.end());
  require(factor_[0] >= least_ && factor_[1] <= 1, "factor must be within [" + std::to_string(int(least_)) + ", 1], got " + std::to_string(factor_[0]) + " and " + std::to_string(factor_[1]));
  require(range_.size() == 2 && range_[0] != range_[1], "value_range must be two different numbers");
  std::sort(range_.begin(), range_.end());
}
Tensor RandomValueLayer::draw(const Tensor& images, double lower, double upper) const {
  const bool batch = images.ndim() == 4;
  const std::int64_t count = batch ? images.shape()[0] : 1;
  const Tensor key = key_for(images);  // also where nothing is drawn: the calls after this one draw the same numbers
  const Tensor numbers = lower < upper ? random::uniform_from(key, {count}, lower, upper, float32) : full({count}, lower, float32);
  return cast(reshape(numbers, batch ? Ints{count, 1, 1, 1} : Ints{1, 1, 1}), images.dtype());
}
Tensor RandomValueLayer::clipped(const Tensor& images) const { return clip_by_value(images, range_[0], range_[1]); }

Tensor RandomContrast::change(const Tensor& images) { return clipped(image::with_contrast(images, draw(images, 1 - lower(), 1 + upper()))); }
Tensor RandomBrightness::change(const Tensor& images) { return clipped(images + draw(images, lower(), upper()) * range()); }

}  // namespace lockstep::nn

#pragma once
// Layers that prepare and augment images (keras.layers, "image preprocessing"): (batch, height, width, channels), or one image. The random ones change images
// in training only, each image by draws of its own that follow from (seed, path, step, its row in the global batch): no division among ranks changes them.

#include <lockstep/nn/layer.h>

namespace lockstep::nn {

/// Bounds of a random number: `.factor = 0.2` is what the layer makes of it, `.factor = {0.1, 0.3}` says both.
struct Bounds {
  Bounds() = default;
  Bounds(double size) : values{size} {}
  Bounds(double lower, double upper) : values{lower, upper} {}
  std::vector<double> values = {};
};

/// Images of another size.
class Resizing : public Layer {
 public:
  struct Options {
    std::int64_t height = 1, width = 1;
    /// A method of image::resize
    std::string interpolation = "bilinear";
    /// The middle window of the target's aspect ratio is resized, not the whole.
    bool crop_to_aspect_ratio = false;
    /// Padded with fill_value to the target's aspect ratio first.
    bool pad_to_aspect_ratio = false;
    double fill_value = 0;
    bool antialias = false;
    std::string data_format = "channels_last";
    std::string name = {};
  };
  Resizing() = default;
  explicit Resizing(Options options) : Layer(options.name), options_(std::move(options)) { Resizing::configured(); }
  Resizing(std::int64_t height, std::int64_t width) : Resizing(Options{.height = height, .width = width}) {}
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
};

/// The middle of images; of smaller ones the middle window of that aspect ratio, resized.
class CenterCrop : public Layer {
 public:
  struct Options {
    std::int64_t height = 1, width = 1;
    std::string data_format = "channels_last";
    std::string name = {};
  };
  CenterCrop() = default;
  explicit CenterCrop(Options options) : Layer(options.name), options_(std::move(options)) { CenterCrop::configured(); }
  CenterCrop(std::int64_t height, std::int64_t width) : CenterCrop(Options{.height = height, .width = width}) {}
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
};

/// What random layers have in common: in training change() with a key, else the images as they are.
class RandomImageLayer : public Layer {
 public:
  void fields(Fields& f) override;
  void configured() override;

 protected:
  struct Randomness {
    std::optional<std::int64_t> seed = {};
    std::string data_format = "channels_last";
  };
  RandomImageLayer() = default;
  RandomImageLayer(std::string name, Randomness randomness) : Layer(std::move(name)), randomness_(std::move(randomness)) {}
  void build(const Shape& input) override;
  Tensor call(const Tensor& x, const CallOptions& options) override;
  /// A key for one number an image; another one at each call.
  Tensor key_for(const Tensor& images) const;
  /// Of channels-last images, in the layer's dtype.
  virtual Tensor change(const Tensor& images) = 0;
  virtual Tensor keep(const Tensor& images) { return images; }

 private:
  Randomness randomness_;
  std::optional<Generator> generator_;
};

/// Mirrored with probability 1/2, for each direction of its own (Keras flips both or neither).
class RandomFlip : public RandomImageLayer {
 public:
  struct Options {
    /// "horizontal", "vertical" or "horizontal_and_vertical"
    std::string mode = "horizontal_and_vertical";
    std::optional<std::int64_t> seed = {};
    std::string data_format = "channels_last";
    std::string name = {};
  };
  RandomFlip() : RandomFlip(Options()) {}
  explicit RandomFlip(Options options) : RandomImageLayer(options.name, {options.seed, options.data_format}), mode_(options.mode) { RandomFlip::configured(); }
  explicit RandomFlip(const char* mode) : RandomFlip(Options{.mode = mode}) {}
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor change(const Tensor& images) override;

 private:
  std::string mode_;
};

/// A window anywhere in each image (Keras: at one place in all of a batch). Outside of training, and of images that are smaller, the middle window of
/// that aspect ratio, resized.
class RandomCrop : public RandomImageLayer {
 public:
  struct Options {
    std::int64_t height = 1, width = 1;
    std::optional<std::int64_t> seed = {};
    std::string data_format = "channels_last";
    std::string name = {};
  };
  RandomCrop() : RandomCrop(Options()) {}
  explicit RandomCrop(Options options) : RandomImageLayer(options.name, {options.seed, options.data_format}), height_(options.height), width_(options.width) { RandomCrop::configured(); }
  RandomCrop(std::int64_t height, std::int64_t width) : RandomCrop(Options{.height = height, .width = width}) {}
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor change(const Tensor& images) override;
  Tensor keep(const Tensor& images) override;

 private:
  std::int64_t height_, width_;
};

/// What the two layers of values have in common: bounds of a factor, and the values' range, to which results are clipped.
class RandomValueLayer : public RandomImageLayer {
 public:
  struct Options {
    Bounds factor = 0.0;
    /// Of the images' values.
    std::vector<double> value_range = {0, 255};
    std::optional<std::int64_t> seed = {};
    std::string data_format = "channels_last";
    std::string name = {};
  };
  void fields(Fields& f) override;
  void configured() override;

 protected:
  /// A factor is within [least, 1].
  RandomValueLayer(double least, Options options) : RandomImageLayer(options.name, {options.seed, options.data_format}), least_(least), factor_(std::move(options.factor.values)), range_(std::move(options.value_range)) {}
  /// One number an image, uniform in [lower, upper): (batch, 1, 1, 1), or (1, 1, 1) for one image.
  Tensor draw(const Tensor& images, double lower, double upper) const;
  double lower() const { return factor_[0]; }
  double upper() const { return factor_[1]; }
  double range() const { return range_[1] - range_[0]; }
  Tensor clipped(const Tensor& images) const;

 private:
  double least_;
  std::vector<double> factor_, range_;
};

/// (x - mean) f + mean of each channel, f uniform in [1 - lower, 1 + upper); a single factor is {0, factor}.
class RandomContrast : public RandomValueLayer {
 public:
  RandomContrast() : RandomContrast(Options()) {}
  explicit RandomContrast(Options options) : RandomValueLayer(0, std::move(options)) { RandomContrast::configured(); }
  explicit RandomContrast(double factor) : RandomContrast(Options{.factor = factor}) {}

 protected:
  Tensor change(const Tensor& images) override;
};

/// x + d, d uniform in [lower, upper) of the values' range; a single factor is {-factor, factor}.
class RandomBrightness : public RandomValueLayer {
 public:
  RandomBrightness() : RandomBrightness(Options()) {}
  explicit RandomBrightness(Options options) : RandomValueLayer(-1, std::move(options)) { RandomBrightness::configured(); }
  explicit RandomBrightness(double factor) : RandomBrightness(Options{.factor = factor}) {}

 protected:
  Tensor change(const Tensor& images) override;
};

}  // namespace lockstep::nn
